"""A model version is a directory, complete or absent.

    versions/0001/
        manifest.json   format, name, encoder, sizes, actions, fields, fusion weights, what it was trained on, how good
                        it was, and the sha256 of every other file
        item.onnx       text [n, text_dim] (tags [n, m], numbers [n, f], brought [n, b]) -> vector [n, dim]     g(y)
        step.onnx       state [n, size], x [n, dim], action, value, gap [n] -> next state                  one event
        fold.onnx       state [n, size], x [n, k, dim], action, value, gap, mask [n, k] -> next state      k events
        query.onnx      state [n, size] (x, action, value, gap of the newest event, since [n], profile [n, m])
                        -> asked [n, dim]                                                                       f(x)
        residual.npy    what its history adds to the vector of each item that was there in training [items, dim]
        heads.npz       per-action logistic heads, calibrated; where people do different things
        rating.npz      how many stars a person would give; where there are ratings
        vectors.npy, index.faiss    item vectors as of the publication, and the large index over them
        states.npz      states of all people, folded up to an offset; not part of what makes a version whole
        card.md         the version in words, for people
    versions/current    the numbers of the versions that were in use, one a line; the last one is
    versions/lock       held by whoever writes here: a learner may publish beside a running engine

Version 0 has the four graphs alone. A graph has those of the inputs in brackets that it reads. A version is written
into a draft folder, synced, and renamed; a reader sees all of it or nothing. A directory whose manifest is missing, of
another format, whose hashes do not match, or which was trained on another log is refused by name. `gap` is log1p of
the seconds since the event before, `since` of those from the newest event to the moment of asking. An unknown item
steps with x = 0; a missing value is NaN; the action of nobody's first event, the beginning, is ``len(actions)``.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec
from msgspec import Struct

from penchant import durable
from penchant.errors import Corrupt, NotFound
from penchant.models.fields import Fields
from penchant.models.fusion import Fusion, fault

FORMAT = 5
GRAPHS = ("item.onnx", "step.onnx", "fold.onnx", "query.onnx")
STATES, INDEX, HEADS, RATING = "states.npz", "index.faiss", "heads.npz", "rating.npz"
DRAFT, CURRENT = "draft", "current"
_LOCK = "lock"


class Training(Struct):
    """What a version was trained on, how, and how good it was. Times are Unix seconds."""

    size: str
    seed: int
    epochs: float
    recipe: dict[str, float | str | bool]
    events: int
    people: int
    items: int
    offset: int  # of the newest event that was learned from
    newest: float  # its time
    data: str  # fingerprint of the log: `fingerprint` of the names of its first ``items`` items
    metrics: dict[str, float] = {}


class Manifest(Struct):
    name: str
    created: float
    encoder: str
    encoder_fingerprint: str
    text_dim: int
    dim: int
    state_size: int
    actions: dict[str, float]
    fitted_on: int
    fusion: Fusion
    search: dict[str, float]
    kind: str = "v0"
    fields: Fields = Fields()
    profile: Fields = Fields()
    training: Training | None = None
    files: dict[str, str] = {}
    format: int = FORMAT


class _Format(Struct):
    format: int = 1


def publish(
    folder: Path, manifest: Manifest, files: Mapping[str, bytes], states: bytes | None = None, use: bool = True
) -> Path:
    """Write a version under ``folder`` and give it the next number; returns its directory."""
    folder.mkdir(parents=True, exist_ok=True)
    if not use and pointer(folder) is None and (present := current(folder)) is not None:
        use_version(folder, present.name)  # the newest counts as chosen where nobody chose, and this one is not to be
    draft = folder / DRAFT
    with _alone(folder):
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir()
        for name, content in files.items():
            durable.write(draft / name, content)
        if states is not None:
            durable.write(draft / STATES, states)
        manifest.files = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
        path = folder / f"{max((int(one.name) for one in published(folder)), default=0) + 1:04d}"
        manifest.name = f"{manifest.name}-{path.name}"
        durable.write(draft / "manifest.json", msgspec.json.format(msgspec.json.encode(manifest), indent=2))
        durable.sync(draft)
        draft.rename(path)
        durable.sync(folder)
    if use:
        use_version(folder, path.name)
    return path


def published(folder: Path) -> list[Path]:
    """The directories of all versions, oldest first."""
    paths = [path for path in folder.glob("*") if path.name.isdigit()] if folder.exists() else []
    return sorted(paths, key=lambda path: int(path.name))


def find(folder: Path, name: str) -> Path:
    """The directory of a version named by its number (3, 0003) or its name (medium-0003). Raises NotFound."""
    number = name.rpartition("-")[2]
    for path in published(folder):
        if number.isdigit() and int(path.name) == int(number):
            return path
    raise NotFound(
        "no such version was published.",
        field="version",
        value=name,
        way_out=f"There are: {', '.join(path.name for path in published(folder)) or 'none'}.",
    )


def current(folder: Path) -> Path | None:
    """The version in use: the last line of `current` whose directory is there, else the newest one."""
    known = {path.name: path for path in published(folder)}
    for name in reversed(_used(folder)):
        if name in known:
            return known[name]
    return known[max(known, key=int)] if known else None


def is_readable(path: Path) -> bool:
    """Whether the manifest is of the format that this program reads; of an older one it is made anew."""
    try:
        return bool(msgspec.json.decode((path / "manifest.json").read_bytes(), type=_Format).format >= FORMAT)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return True  # `read_manifest` says what is wrong


def use_version(folder: Path, name: str) -> None:
    """From now on this is the version in use; an engine that has the folder open goes over to it within a second."""
    with _alone(folder):
        _write_used(folder, [*(one for one in _used(folder) if one != name), name])


def roll_back(folder: Path) -> Path:
    """Back to the version that was in use before. Raises NotFound where there was none."""
    before = previous(folder)
    if before is None:
        now = current(folder)
        raise NotFound(
            "no version was in use before this one.",
            field="version",
            value=now.name if now else "none",
            way_out="Name one: model use NUMBER.",
        )
    with _alone(folder):
        _write_used(folder, _used(folder)[: _used(folder).index(before.name) + 1])
    return before


def previous(folder: Path) -> Path | None:
    """The version that was in use before the one that is, and is still there."""
    known = {path.name for path in published(folder)}
    used = [name for name in _used(folder) if name in known]
    return folder / used[-2] if len(used) > 1 else None


def pointer(folder: Path) -> tuple[int, bytes] | None:
    """Another value each time that somebody chose a version, the same one included; cheap to look at."""
    try:
        return (folder / CURRENT).stat().st_mtime_ns, (folder / CURRENT).read_bytes()
    except OSError:
        return None


def fingerprint(names: Iterable[str]) -> str:
    """Of a log, by the names of its items in order; they are never forgotten."""
    digest = hashlib.sha256()
    for name in names:
        digest.update(name.encode() + b"\0")
    return digest.hexdigest()[:32]


def read_manifest(path: Path) -> Manifest:
    """The manifest of a version whose files are all there and unchanged. Raises Corrupt otherwise."""

    def refuse(why: str) -> Corrupt:
        return Corrupt(why, field="version", value=_shown(path), way_out="Delete the directory or restore it whole.")

    try:
        manifest = msgspec.json.decode((path / "manifest.json").read_bytes(), type=Manifest)
    except OSError:
        raise refuse("it has no manifest.json, so it is incomplete or not a version.") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise refuse(f"its manifest cannot be read: {error}.") from None
    if manifest.format != FORMAT:
        raise refuse(f"its format is {manifest.format}, this program reads {FORMAT}.")
    if (why := fault(manifest.fusion)) is not None:
        raise refuse(why)
    for name in dict.fromkeys((*GRAPHS, *manifest.files)):
        if name not in manifest.files or not (path / name).is_file():
            raise refuse(f"{name} is missing.")
    for name, digest in manifest.files.items():
        if hashlib.sha256((path / name).read_bytes()).hexdigest() != digest:
            raise refuse(f"{name} is not the file that the manifest names.")
    return manifest


def check_ours(path: Path, manifest: Manifest, encoder: tuple[str, str], names: Callable[[int], list[str]]) -> None:
    """Raises Corrupt when a version was made by another encoder, or trained on another log.

    ``encoder``: name and fingerprint of this folder's; ``names(n)``: of the log's first n items.
    """
    if manifest.encoder_fingerprint != encoder[1]:
        why = f"it reads texts by {manifest.encoder}, this folder by {encoder[0]}."
    elif manifest.training is not None and manifest.training.data != fingerprint(names(manifest.training.items)):
        why = "it was trained on another log."
    else:
        return
    raise Corrupt(
        why, field="version", value=_shown(path), way_out="Name another: penchant model use NUMBER, or train anew."
    )


def forget_states(folder: Path) -> None:
    """Delete the folded states of all versions: somebody in them was erased. They are folded from the log again."""
    for path in published(folder):
        (path / STATES).unlink(missing_ok=True)


def _shown(path: Path) -> str:
    """A directory inside its data folder: a whole path would be cut where the number stands."""
    return f"{path.parent.name}/{path.name}"


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One writer at a time, in whatever process."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / _LOCK, "w", encoding="ascii") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _used(folder: Path) -> list[str]:
    path = folder / CURRENT
    return path.read_text(encoding="ascii").split() if path.exists() else []


def _write_used(folder: Path, names: list[str]) -> None:
    draft = folder / f"{CURRENT}.draft"
    durable.write(draft, "".join(f"{name}\n" for name in names).encode())
    draft.rename(folder / CURRENT)
    durable.sync(folder)
