"""A Parquet file is read as the same rows in CSV are: by the importers, hence by import, doctor and try."""

from __future__ import annotations

import io
import json
import sys
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from penchant import Event, InvalidInput
from penchant.errors import Corrupt, Unavailable
from penchant.serving.importers import fingerprint, plan, read
from penchant.serving.importers.parquet import json_lines
from tests.serving.test_cli import Penchant, penchant

__all__ = ["penchant"]  # a fixture

pyarrow = pytest.importorskip("pyarrow", reason="the extra `parquet` is not installed")
parquet = pytest.importorskip("pyarrow.parquet")

NOON = datetime(2020, 1, 1, 12, tzinfo=UTC)


def write(path: Path, group: int = 1000, **columns: Any) -> Path:
    parquet.write_table(pyarrow.table(columns), path, row_group_size=group)
    return path


def rows(path: Path) -> list[dict[str, Any]]:
    with json_lines(path) as file:
        return [json.loads(line) for line in file]


def walk(path: Path, count: int = 500, group: int = 100, turned: bool = False) -> Path:
    """So many clicks, one a second, in row groups; ``turned``: the newest first."""
    times = [NOON.timestamp() * 1000 + 1000 * k for k in range(count)][:: -1 if turned else 1]
    moments = pyarrow.array(list(map(int, times)), pyarrow.timestamp("ms"))
    return write(path, group, user_id=[f"u{k % 7}" for k in range(count)], item_id=list(range(count)), ts=moments)


def test_every_kind_of_column_becomes_what_json_knows(tmp_path: Path) -> None:
    path = write(
        tmp_path / "x.parquet",
        named=pyarrow.array(["a", None]).dictionary_encode(),
        nano=pyarrow.array([NOON, None], pyarrow.timestamp("ns", "Europe/Oslo")),
        local=pyarrow.array([NOON.replace(tzinfo=None), None], pyarrow.timestamp("s")),
        day=pyarrow.array([date(2020, 1, 1), None]),
        price=pyarrow.array([Decimal("9.50"), None]),
        text=pyarrow.array([b"abc", "ø".encode()]),
        raw=pyarrow.array([b"\xff\x00", None]),
        tags=pyarrow.array([["x", "y"], []]),
        info=pyarrow.array([{"year": 1979, "by": {"name": "Scott"}}, None]),
        left=pyarrow.array([[("k", 1)], None], pyarrow.map_(pyarrow.string(), pyarrow.int64())),
    )
    one, two = rows(path)
    assert one == {
        "named": "a", "nano": "2020-01-01 12:00:00.000000Z", "local": "2020-01-01 12:00:00.000000",
        "day": "2020-01-01", "price": 9.5, "text": "abc", "raw": "ff00", "tags": ["x", "y"],
        "info.year": 1979, "info.by.name": "Scott",
    }  # fmt: skip
    assert two == dict.fromkeys(one) | {"text": "ø", "tags": []}


def test_columns_are_guessed_ids_that_became_floats_are_whole_again_and_rows_are_counted(tmp_path: Path) -> None:
    path = write(tmp_path / "log.parquet", user_id=[7.0, None, 8.0], item_id=[1, 2, 3], stars=[4.5, 1.0, None],
                 ts=pyarrow.array([NOON] * 3, pyarrow.timestamp("us", "UTC")))  # fmt: skip
    (part,) = plan(path)
    made = [one for _, one in read(part)]
    assert (part.what, part.rows) == ("events", 3)
    assert part.mapping == {"user": "user_id", "item": "item_id", "value": "stars", "action": '"rate"',
                            "time": "ts (ISO 8601)"}  # fmt: skip
    assert [(one.user, one.item, one.value) for one in made if isinstance(one, Event)] == [("7", "1", 4.5),
                                                                                         ("8", "3", None)]  # fmt: skip
    assert [one.time for one in made if isinstance(one, Event)] == [NOON.timestamp()] * 2


def test_one_row_group_is_read_at_a_time_and_no_more_than_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_groups: list[list[int]] = []
    really = parquet.ParquetFile.iter_batches

    def noted(file: Any, size: int, row_groups: list[int], columns: list[str]) -> Any:
        read_groups.append(row_groups)
        return really(file, size, row_groups=row_groups, columns=columns)

    monkeypatch.setattr(parquet.ParquetFile, "iter_batches", noted)
    with json_lines(walk(tmp_path / "log.parquet", 50_000, 10_000)) as file:
        assert json.loads(file.readline())["item_id"] == 0
        assert len(read_groups) < 5
        assert sum(1 for _ in file) == 49_999
    assert read_groups == [[0], [1], [2], [3], [4]]


def test_it_can_be_begun_again_and_read_from_a_place(tmp_path: Path) -> None:
    with json_lines(walk(tmp_path / "log.parquet")) as file:
        whole = file.read()
        assert file.seek(0) == 0
        assert file.read() == whole
        assert file.seek(1000) == 1000
        assert file.read() == whole[1000:]
        with pytest.raises(io.UnsupportedOperation):
            file.seek(0, io.SEEK_END)


def test_events_are_put_in_the_order_of_time_under_their_rows_in_the_file(tmp_path: Path) -> None:
    (straight,), (turned,) = plan(walk(tmp_path / "a.parquet")), plan(walk(tmp_path / "b.parquet", turned=True))
    assert [row for row, _ in read(straight)] == list(range(1, 501))
    found = list(read(turned))
    assert [row for row, _ in found] == list(range(500, 0, -1))
    assert [one.item for _, one in found if isinstance(one, Event)] == [str(k) for k in range(499, -1, -1)]
    assert fingerprint(straight) != fingerprint(turned)


def test_a_folder_of_parquet_files_is_planned(tmp_path: Path) -> None:
    walk(tmp_path / "log.parquet")
    write(tmp_path / "items.parquet", item_id=["1", "2"], title=["One", "Two"])
    assert [(part.name, part.what) for part in plan(tmp_path)] == [
        ("items.parquet", "items"),
        ("log.parquet", "events"),
    ]


def test_parquet_is_imported_once_and_examined(penchant: Penchant, tmp_path: Path) -> None:
    path = str(walk(tmp_path / "log.parquet", turned=True))
    code, told, _ = penchant("import", path)
    assert code == 0
    assert "500" in told
    assert "imported before" in penchant("import", path)[1]
    code, told, _ = penchant("doctor", path, "--json")
    assert json.loads(told)["events"] == 500


def test_what_is_no_parquet_after_all_has_no_rows_or_no_plain_column_is_refused(tmp_path: Path) -> None:
    walk(tmp_path / "log.parquet")
    whole = (tmp_path / "log.parquet").read_bytes()
    (tmp_path / "cut.parquet").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(Corrupt, match="cannot be read"):
        plan(tmp_path / "cut.parquet")
    with pytest.raises(InvalidInput, match="empty"):
        plan(write(tmp_path / "none.parquet", user_id=pyarrow.array([], pyarrow.string())))
    maps = pyarrow.array([[("k", 1)]], pyarrow.map_(pyarrow.string(), pyarrow.int64()))
    with pytest.raises(InvalidInput, match="no column"):
        plan(write(tmp_path / "maps.parquet", maps=maps))


def test_without_pyarrow_the_extra_is_named_and_other_files_of_a_folder_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = walk(tmp_path / "log.parquet")
    (tmp_path / "items.csv").write_text("item_id,title\n1,One\n")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(Unavailable, match=r"penchant\[parquet\]"):
        plan(path)
    assert [part.name for part in plan(tmp_path)] == ["items.csv"]
