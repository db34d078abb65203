"""The table of shown lists: kept, settled once, no larger and no older than it may be."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from penchant.storage.slates import FILE, Kept, Settled, SlateTable

COLUMNS = ("slates", "clicks")


def opened(folder: Path, most: int = 10**6) -> SlateTable:
    return SlateTable(folder, COLUMNS, most)


@pytest.fixture
def table(tmp_path: Path) -> Iterator[SlateTable]:
    table = opened(tmp_path)
    yield table
    table.close()


def kept(id: int, person: int = 1, size: int = 10) -> Kept:
    return Kept(id, person, float(id), b"x" * size)


def test_a_list_is_found_before_and_after_it_is_written(table: SlateTable) -> None:
    table.keep(kept(5))
    assert table.get(5) == kept(5)
    table.flush()
    assert table.get(5) == kept(5)
    assert table.get(6) is None


def test_what_is_written_is_there_after_a_start(tmp_path: Path) -> None:
    first = opened(tmp_path)
    first.keep(kept(5))
    first.settle(Settled(5, b"done", {(0, "0001", ""): (1.0, 2.0)}, [3, 9]))
    first.keep(kept(6))
    first.close()
    again = opened(tmp_path)
    assert [one.id for one in again.waiting()] == [6]
    assert again.get(5) == kept(5)._replace(done=b"done")
    assert list(again.totals(0)) == [((0, "0001", ""), (1.0, 2.0))]
    assert again.last_id() == 6
    again.close()


def test_totals_are_sums_over_settled_lists_by_hour_version_and_source(table: SlateTable) -> None:
    for id in (1, 2, 3):
        table.keep(kept(id))
        table.settle(Settled(id, b"", {(4, "0001", ""): (1.0, 0.5), (4, "0001", "dense"): (0.0, 0.5)}, [id]))
        if id != 1:
            table.flush()
    assert dict(table.totals(0)) == {(4, "0001", ""): (3.0, 1.5), (4, "0001", "dense"): (0.0, 1.5)}
    assert dict(table.totals(5)) == {}


def test_different_items_are_counted_by_version_over_hours(table: SlateTable) -> None:
    shown = {1: (0, "a", [1, 9]), 2: (1, "a", [9, 70_000]), 3: (1, "b", [0])}
    for id, (hour, version, items) in shown.items():
        table.keep(kept(id))
        table.settle(Settled(id, b"", {(hour, version, ""): (1.0, 0.0)}, items))
    table.flush()
    assert table.shown(0) == {"a": 3, "b": 1}
    assert table.shown(1) == {"a": 2, "b": 1}
    assert table.shown(2) == {}


def test_the_oldest_go_where_there_is_no_room(tmp_path: Path) -> None:
    table = opened(tmp_path, most=200_000)
    for id in range(400):
        table.keep(kept(id, size=2000))
        if id % 10 == 0:
            table.flush()
    table.flush()
    left = [id for id in range(400) if table.get(id) is not None]
    assert left == list(range(left[0], 400))
    assert 50 <= len(left) <= 90
    table.close()
    again = opened(tmp_path, most=100_000)
    again.keep(kept(999, size=2000))
    again.flush()
    assert again.get(999) is not None
    assert again.get(left[0]) is None
    again.close()


def test_what_is_too_old_goes_with_its_totals(table: SlateTable) -> None:
    for id in (1, 2, 3):
        table.keep(kept(id))
        table.settle(Settled(id, b"", {(id, "0001", ""): (1.0, 0.0)}, [id]))
    table.drop_before(3, 2)
    table.flush()
    assert [table.get(id) is not None for id in (1, 2, 3)] == [False, False, True]
    assert [key[0] for key, _ in table.totals(0)] == [2, 3]


def test_an_erased_person_leaves_no_byte(tmp_path: Path) -> None:
    table = opened(tmp_path)
    for id, packed in ((1, b"secret of a session"), (2, b"secret of a person"), (3, b"somebody else")):
        table.keep(Kept(id, id, 0.0, packed))
    table.flush()
    table.move(1, 2)
    table.forget([2])
    assert [table.get(id) is not None for id in (1, 2, 3)] == [False, False, True]
    on_disk = b"".join(path.read_bytes() for path in tmp_path.glob(f"{FILE}*"))
    assert b"somebody else" in on_disk
    assert b"secret" not in on_disk
    table.close()


def test_where_the_disk_refuses_writes_wait_and_are_written_later(tmp_path: Path) -> None:
    table = opened(tmp_path)
    other = sqlite3.connect(tmp_path / FILE, isolation_level=None)
    table._db.execute("PRAGMA busy_timeout = 0")
    other.execute("BEGIN IMMEDIATE")
    table.keep(kept(1))
    with pytest.raises(sqlite3.OperationalError):
        table.flush()
    table.settle(Settled(1, b"done", {(0, "0001", ""): (1.0, 1.0)}, [1]))
    assert table.get(1) == kept(1)
    other.execute("ROLLBACK")
    other.close()
    table.flush()
    assert table.get(1) == kept(1)._replace(done=b"done")
    assert dict(table.totals(0)) == {(0, "0001", ""): (1.0, 1.0)}
    table.close()
