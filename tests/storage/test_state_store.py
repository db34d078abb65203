"""Rows of states: their size, growing, clearing; and snapshots that are there whole or not at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from penchant.errors import Corrupt
from penchant.models.cold_start import DIM
from penchant.storage.state_store import (
    CURRENT,
    MAX_STATE_BYTES,
    OTHER_VERSION,
    StateStore,
    drop_snapshots,
    read_snapshot,
    write_snapshot,
)

SUMS = 5


def store(people: int, size: int = 2 * DIM) -> StateStore:
    made = StateStore(size, SUMS)
    made.ensure(people)
    return made


def touch(made: StateStore, person: int, mark: float) -> None:
    """Leave a mark in every array of a person."""
    made.now[person] = made.checkpoint[person] = mark
    made.sums[person] = mark
    made.fresh[person], made.folded[person], made.newest[person] = CURRENT, 7, 9
    for array in made.ring:
        array[person] = mark


def assert_same(one: StateStore, other: StateStore) -> None:
    mine, theirs = one.arrays(), other.arrays()
    assert mine.keys() == theirs.keys()
    for name, array in mine.items():
        np.testing.assert_array_equal(array, theirs[name], err_msg=name)


def test_a_state_is_at_most_4096_bytes() -> None:
    assert 3000 < store(1).bytes_per_person() <= MAX_STATE_BYTES == 4096


def test_a_new_row_is_the_empty_state() -> None:
    grown = store(1)
    touch(grown, 0, 3.0)
    grown.ensure(5000)
    assert not grown.now[1:].any()
    assert not grown.sums[1:].any()
    assert grown.fresh[1:].all()
    assert np.isneginf(grown.ring.newest[1:]).all()
    assert np.isneginf(grown.ring.anchor[1:]).all()
    assert (grown.now[0] == 3.0).all()
    assert grown.people == 5000


def test_clearing_a_person_leaves_the_empty_state_and_the_others() -> None:
    marked, expected = store(3), store(3)
    for person in range(3):
        touch(marked, person, person + 1.0)
    for person in (0, 2):
        touch(expected, person, person + 1.0)
    marked.clear(1)
    assert_same(marked, expected)


def test_for_another_version_only_who_had_events_is_to_be_folded_again() -> None:
    before = store(3)
    touch(before, 1, 1.0)
    after = before.of_other_size(16, SUMS + 1)
    assert (after.now.shape[1], after.sums.shape[1]) == (16, SUMS + 1)
    assert not after.sums.any()
    assert after.fresh[:3].tolist() == [CURRENT, OTHER_VERSION, CURRENT]
    assert after.newest[:3].tolist() == [0, 9, 0]


# -- snapshots ---------------------------------------------------------------------------------------------------------


def test_a_snapshot_is_read_back(tmp_path: Path) -> None:
    saved, loaded = store(3), StateStore(2 * DIM, SUMS)
    touch(saved, 1, 2.5)
    write_snapshot(tmp_path, 42, saved.arrays(), "v0-0001")
    found = read_snapshot(tmp_path)
    assert found is not None
    assert found[:2] == (42, "v0-0001")
    loaded.load(found[2])
    assert_same(loaded, saved)
    loaded.ensure(100)  # what was loaded can grow
    assert (loaded.now[1] == 2.5).all()


def test_only_the_newest_snapshot_is_kept(tmp_path: Path) -> None:
    for offset in (9, 10, 11):
        write_snapshot(tmp_path, offset, {"x": np.array(offset)}, "v")
    assert [path.name for path in tmp_path.iterdir()] == [f"{11:016d}.npz"]
    drop_snapshots(tmp_path)
    assert read_snapshot(tmp_path) is None
    assert read_snapshot(tmp_path / "nowhere") is None


def test_a_snapshot_that_was_not_finished_is_ignored(tmp_path: Path) -> None:
    write_snapshot(tmp_path, 1, {"x": np.array(1)}, "v")
    (tmp_path / "draft").write_bytes((tmp_path / f"{1:016d}.npz").read_bytes()[:100])
    found = read_snapshot(tmp_path)
    assert found is not None
    assert found[0] == 1
    write_snapshot(tmp_path, 2, {"x": np.array(2)}, "v")
    assert not (tmp_path / "draft").exists()


def damage(name: str, whole: bytes) -> bytes:
    middle = len(whole) // 2
    return {
        "cut": whole[:middle],
        "empty": b"",
        "flipped": whole[:middle] + bytes([whole[middle] ^ 255]) + whole[middle + 1 :],
        "foreign": b"not a snapshot",
    }[name]


@pytest.mark.parametrize("name", ["cut", "empty", "flipped", "foreign"])
def test_a_damaged_snapshot_is_refused_by_name_with_the_way_out(tmp_path: Path, name: str) -> None:
    path = write_snapshot(tmp_path, 5, store(50).arrays(), "v")
    path.write_bytes(damage(name, path.read_bytes()))
    with pytest.raises(Corrupt) as refused:
        read_snapshot(tmp_path)
    assert path.name in refused.value.value
    assert "Delete the file" in refused.value.way_out


def test_a_snapshot_without_its_marks_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "0001.npz", x=np.array(1))
    with pytest.raises(Corrupt, match="offset"):
        read_snapshot(tmp_path)


@pytest.mark.parametrize(("size", "sums"), [(2 * DIM, SUMS), (8, 0)])
def test_states_of_another_size_are_refused(tmp_path: Path, size: int, sums: int) -> None:
    write_snapshot(tmp_path, 1, store(2, size=8).arrays(), "v")
    found = read_snapshot(tmp_path)
    assert found is not None
    with pytest.raises(Corrupt, match="another size"):
        StateStore(size, sums).load(found[2])
