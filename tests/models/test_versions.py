"""A version directory is there whole, or it is refused by name."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import pytest

from penchant.errors import Corrupt, NotFound
from penchant.models.cold_start import publish_version_0
from penchant.models.runtime import Version
from penchant.models.versions import GRAPHS, current, pointer, published, read_manifest, roll_back, use_version
from penchant.models.versions import publish as publish_any
from tests.conftest import NOW, OpenEngine


def publish(folder: Path) -> Path:
    return publish_version_0(folder, ("an encoder", "its fingerprint", 4), {"click": 1.0, "buy": 1.5}, None, NOW)


@pytest.fixture
def version(tmp_path: Path) -> Path:
    return publish(tmp_path / "versions")


def test_a_published_version_holds_what_its_manifest_names(version: Path) -> None:
    manifest = read_manifest(version)
    assert version.name == "0001"
    assert manifest.name == "v0-0001"
    assert (manifest.encoder, manifest.encoder_fingerprint, manifest.text_dim) == ("an encoder", "its fingerprint", 4)
    assert manifest.actions == {"click": 1.0, "buy": 1.5}
    assert set(manifest.files) == set(GRAPHS) == {path.name for path in version.iterdir()} - {"manifest.json"}


def test_versions_are_numbered_on_and_the_newest_is_found(version: Path) -> None:
    folder = version.parent
    for number in range(2, 12):
        assert publish(folder).name == f"{number:04d}"
    (folder / "10000").mkdir()
    assert publish(folder).name == "10001"  # by number, not by letters
    (folder / "current").unlink()
    assert current(folder) == folder / "10001"


def test_a_draft_that_was_never_finished_is_ignored_and_written_over(version: Path) -> None:
    draft = version.parent / "draft"
    draft.mkdir()
    (draft / "step.onnx").write_bytes(b"half")
    assert current(version.parent) == version
    assert set(read_manifest(publish(version.parent)).files) == set(GRAPHS)
    assert not draft.exists()


def test_where_there_are_no_versions_there_is_no_current(tmp_path: Path) -> None:
    assert current(tmp_path / "nowhere") is None
    assert current(tmp_path) is None


def test_one_goes_over_to_a_version_and_back(version: Path) -> None:
    folder = version.parent
    second, third = publish(folder), publish(folder)
    use_version(folder, version.name)
    assert current(folder) == version
    assert roll_back(folder) == current(folder) == third
    assert roll_back(folder) == current(folder) == second


def test_a_version_that_is_published_and_not_to_be_used_is_not_used(version: Path) -> None:
    """Nor where nobody ever chose, and the newest one counts as chosen."""
    folder = version.parent
    for _ in range(2):
        manifest, files = read_manifest(version), {name: (version / name).read_bytes() for name in GRAPHS}
        publish_any(folder, manifest, files, use=False)
        assert current(folder) == version
        (folder / "current").unlink()
        for path in published(folder)[1:]:
            shutil.rmtree(path)


def test_whoever_looks_sees_that_somebody_chose_even_the_same_version(version: Path) -> None:
    folder = version.parent
    before = pointer(folder)
    assert pointer(folder) == before
    time.sleep(0.02)
    use_version(folder, version.name)
    assert pointer(folder) != before
    assert pointer(folder / "nowhere") is None


def test_there_is_nothing_to_go_back_to_from_the_first_version(version: Path) -> None:
    with pytest.raises(NotFound, match="no version was in use before"):
        roll_back(version.parent)


def test_a_version_that_was_deleted_is_not_gone_back_to(version: Path) -> None:
    folder = version.parent
    second, third = publish(folder), publish(folder)
    shutil.rmtree(second)
    assert current(folder) == third
    assert roll_back(folder) == version


def rewrite(version: Path, **changed: object) -> None:
    path = version / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changed), encoding="utf-8")


def scored_by(version: Path, **changed: object) -> None:
    fusion = json.loads((version / "manifest.json").read_text())["fusion"]
    rewrite(version, fusion=fusion | changed)


DAMAGE = {
    "no manifest.json": lambda version: (version / "manifest.json").unlink(),
    "manifest cannot be read": lambda version: (version / "manifest.json").write_text("{", encoding="utf-8"),
    "its manifest cannot be read": lambda version: (version / "manifest.json").write_bytes(b"\xff\xfe"),
    "format is 99": lambda version: rewrite(version, format=99),
    "missing required field": lambda version: (version / "manifest.json").write_text("{}", encoding="utf-8"),
    "it scores by text, luck": lambda version: scored_by(version, weights={"text": 1.0, "luck": 1.0}),
    "it scores by nothing": lambda version: scored_by(version, weights={}),
    "weights for similar items": lambda version: scored_by(version, likeness={"text": 1.0}),
    "not one for each feature": lambda version: scored_by(
        version, depths=[0], curves={"text": {"low": 0, "high": 1, "heights": [[0, 1]]}}
    ),
    "fold.onnx is missing": lambda version: (version / "fold.onnx").unlink(),
    "item.onnx is missing": lambda version: rewrite(version, files={}),
    "step.onnx is not the file": lambda version: (version / "step.onnx").write_bytes(b"another"),
}


@pytest.mark.parametrize("why", DAMAGE)
def test_a_damaged_or_foreign_version_is_refused_by_name(version: Path, why: str) -> None:
    DAMAGE[why](version)
    with pytest.raises(Corrupt, match=why) as refused:
        Version(version)
    assert str(version) in refused.value.value or "versions" in refused.value.value
    assert "Delete the directory or restore it whole" in refused.value.way_out


@pytest.mark.parametrize("why", ["no manifest.json", "step.onnx is not the file"])
def test_an_engine_refuses_a_damaged_version_and_lets_go_of_the_folder(
    open_engine: OpenEngine, tmp_path: Path, why: str
) -> None:
    open_engine().close()
    version = tmp_path / "data" / "versions" / "0001"
    kept = {path: path.read_bytes() for path in version.iterdir()}
    DAMAGE[why](version)
    with pytest.raises(Corrupt, match=why):
        open_engine()
    for path, content in kept.items():
        path.write_bytes(content)
    assert open_engine().parts.version.name == "v0-0001"


def test_an_engine_ignores_a_half_written_draft(open_engine: OpenEngine, tmp_path: Path) -> None:
    open_engine().close()
    (tmp_path / "data" / "versions" / "draft").mkdir()
    (tmp_path / "data" / "versions" / "draft" / "step.onnx").write_bytes(b"half")
    assert open_engine().parts.version.name == "v0-0001"
