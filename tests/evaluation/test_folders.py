"""A prepared folder is opened as it was left: whoever asks at once must not be answered from an empty index."""

from __future__ import annotations

import shutil
from pathlib import Path

from penchant.evaluation.folders import World, opened, prepare
from tests.conftest import circle, click


def test_an_engine_that_is_opened_without_a_snapshot_has_all_its_item_vectors(tmp_path: Path) -> None:
    """As under a version that was published since: its vectors are made anew, in another thread."""
    items = circle(3000)
    prepare(tmp_path / "there", World(items, settings={"encoder": "none"}), [click("ann", "i1")])
    shutil.rmtree(tmp_path / "there" / "snapshots")
    with opened(tmp_path / "there", {"encoder": "none"}) as engine:
        assert int((engine.parts.index.epoch > 0).sum()) == len(items)
