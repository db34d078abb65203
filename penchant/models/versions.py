"""A model version is a directory, complete or absent.

    versions/0001/
        manifest.json   format, name, encoder, sizes, actions, fusion weights, and the sha256 of every other file
        item.onnx       text [n, text_dim] -> vector [n, dim]                                       g(y)
        step.onnx       state [n, size], x [n, dim], action, value, gap [n] -> state                one event
        fold.onnx       state [n, size], x [n, k, dim], action, value, gap, mask [n, k] -> state    k events
        query.onnx      state [n, size] -> asked [n, dim]                                           f(x)

It is written into a draft folder, synced, and renamed; a reader sees all of it or nothing. A directory whose
manifest is missing, of another format, or whose hashes do not match is refused by name. `gap` is log1p of the
seconds since the event before. An unknown item steps with x = 0.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from penchant.errors import Corrupt

FORMAT = 1
GRAPHS = ("item.onnx", "step.onnx", "fold.onnx", "query.onnx")


class Fusion(Struct):
    """score = sum over features of weight * feature; the scales below are part of the features' definition."""

    weights: dict[str, float]
    transition_decay: float
    transition_floor: float
    neighbour_decay: float
    neighbour_floor: float
    neighbour_power: float


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
    files: dict[str, str] = {}
    format: int = FORMAT


def publish(folder: Path, manifest: Manifest, files: Mapping[str, bytes]) -> Path:
    """Write a version under ``folder`` and give it the next number; returns its directory."""
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / "draft"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir()
    for name, content in files.items():
        _write(draft / name, content)
    manifest.files = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    numbers = [int(path.name) for path in folder.iterdir() if path.name.isdigit()]
    path = folder / f"{max(numbers, default=0) + 1:04d}"
    manifest.name = f"{manifest.name}-{path.name}"
    _write(draft / "manifest.json", msgspec.json.format(msgspec.json.encode(manifest), indent=2))
    draft.rename(path)
    return path


def newest(folder: Path) -> Path | None:
    paths = [path for path in folder.glob("*") if path.name.isdigit()] if folder.exists() else []
    return max(paths, key=lambda path: int(path.name), default=None)


def read_manifest(path: Path) -> Manifest:
    """The manifest of a version whose files are all there and unchanged. Raises Corrupt otherwise."""

    def refuse(why: str) -> Corrupt:
        return Corrupt(why, field="version", value=str(path), way_out="Delete the directory or restore it whole.")

    try:
        manifest = msgspec.json.decode((path / "manifest.json").read_bytes(), type=Manifest)
    except OSError:
        raise refuse("it has no manifest.json, so it is incomplete or not a version.") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise refuse(f"its manifest cannot be read: {error}.") from None
    if manifest.format != FORMAT:
        raise refuse(f"its format is {manifest.format}, this program reads {FORMAT}.")
    for name in GRAPHS:
        if name not in manifest.files or not (path / name).exists():
            raise refuse(f"{name} is missing.")
    for name, digest in manifest.files.items():
        if hashlib.sha256((path / name).read_bytes()).hexdigest() != digest:
            raise refuse(f"{name} is not the file that the manifest names.")
    return manifest


def _write(path: Path, content: bytes) -> None:
    with open(path, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
