"""`penchant doctor` reads a log, which may be open, or files, as an import would; and says what was found."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from penchant import Event, Item
from penchant.config import load_settings
from penchant.engine import Engine
from penchant.errors import NotFound
from penchant.evaluation.doctor import examine
from penchant.evaluation.doctor.world import World
from penchant.serving.cli import run
from penchant.serving.doctor import reading
from penchant.serving.importers import plan
from tests.evaluation.doctor_worlds import START, Row, clean_rows, clean_things

DATA = Path(os.environ.get("PENCHANT_DATA", ""))
real = pytest.mark.skipif("PENCHANT_DATA" not in os.environ, reason="PENCHANT_DATA does not name the real data")


def of_log(folder: Path) -> World:
    return reading.of_log(folder, load_settings(folder))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PENCHANT_ENCODER", "none")
    return tmp_path / "data"


def fill(engine: Engine, rows: Sequence[Row]) -> None:
    engine.ingest([Item(id=thing.name, fields={"title": thing.text}, time=START).event() for thing in clean_things()])
    engine.ingest(
        [Event(user=row.user, item=row.item, action=row.action, value=row.value, time=row.time) for row in rows]
    )


def test_a_log_is_read_while_an_engine_has_it_open_and_nothing_is_found_in_a_clean_one(folder: Path) -> None:
    with Engine.open(folder) as engine:
        fill(engine, clean_rows())
        before = engine.parts.log.end
        made = of_log(folder)
        assert len(made.events.time) == 3600
        assert made.people == 30
        assert made.items is not None
        assert made.items.sent.sum() == 40
        assert examine(made) == []
        assert engine.parts.log.end == before


def test_in_a_log_what_was_retracted_is_gone_and_sessions_are_people(folder: Path) -> None:
    with Engine.open(folder) as engine:
        fill(engine, [])
        engine.ingest([
            Event(id="wrong", user="ann", item="i1", action="click", time=START),
            Event(user="session", item="i2", action="click", time=START + 10.0),
            Event(kind="alias", session="session", user="ann", time=START + 20.0),
            Event(kind="retraction", target="wrong", user="ann", time=START + 30.0),
        ])  # fmt: skip
        made = of_log(folder)
    assert [made.event(row).split(",")[0] for row in range(len(made.events.time))] == ["ann: click on i2"]


def test_in_a_log_items_are_gone_from_the_event_that_says_so_until_they_are_back(folder: Path) -> None:
    clicks = [Row(f"u{k}", item, START + 100.0 + k) for k in range(4) for item in ("i1", "i2", "i3")]
    with Engine.open(folder) as engine:
        fill(engine, [])
        engine.ingest([Item(id="i1", fields={"title": "one"}, available=False).event(),
                       Event(kind="item", item="i2", removed=True),
                       Item(id="i3", fields={"title": "three"}, available=False).event(),
                       Item(id="i3", fields={"title": "three"}).event()])  # fmt: skip
        engine.ingest([Event(user=row.user, item=row.item, action="click", time=row.time) for row in clicks])
        found = {one.name: one for one in examine(of_log(folder))}
    assert found["items not available, but acted on"].count == 2


def test_there_is_no_log_to_look_at_in_an_empty_folder(folder: Path) -> None:
    with pytest.raises(NotFound, match="no log"):
        of_log(folder)


def test_real_texts_are_read_by_the_real_encoder(minilm: Path, tmp_path: Path) -> None:
    file = tmp_path / "items.csv"
    file.write_text("id,title\n" + "".join(f"i{k},a film about {k}\n" for k in range(20)) + "x,影片\ny,电影院\n")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "encoder").symlink_to(minilm, target_is_directory=True)
    made = reading.of_files(tmp_path / "data", load_settings(tmp_path / "data"), plan(file))
    found = {one.name: one for one in examine(made)}
    assert found["texts that the encoder cannot read"].count == 2


def test_an_event_of_a_file_is_named_by_its_row_and_its_file(folder: Path) -> None:
    """Two files that overlap: the second one's events are late, and its rows are counted by themselves."""
    folder.parent.joinpath("a.csv").write_text(
        "user,item,time\n" + "".join(f"u{k},i,{START + 10 * k}\n" for k in range(50)) + f"ann,i,{START + 90_000}\n"
    )
    folder.parent.joinpath("b.csv").write_text(
        f"user,item,time\nbob,i,{START + 600}\nann,i,{START + 700}\nann,j,soon\n"
    )
    parts = [
        part for name in ("a.csv", "b.csv") for part in plan(folder.parent / name, mapping={"time": "time (seconds)"})
    ]
    found = {one.name: one for one in examine(reading.of_files(folder, load_settings(folder), parts))}
    assert "ann: click on i" in found["events out of order"].example
    assert "(row 2 of b.csv)" in found["events out of order"].example
    assert found["rows that cannot be read"].example.startswith("row 3 of b.csv, soon")


def test_what_an_import_would_send_under_nobody_s_name_cannot_be_read(folder: Path) -> None:
    file = folder.parent / "log.jsonl"
    file.write_text(
        '{"user":"ann","action":"click","item":"i","time":1700000000}\n' * 3 + '{"action":"click","item":"i"}\n'
    )
    made = reading.of_files(folder, load_settings(folder), plan(file))
    assert (len(made.events), dict(made.source.refused)) == (3, {"event: needs a user and an action": 1})


@pytest.fixture
def files(folder: Path) -> Path:
    """Items and clicks as CSV: the clean world, and two rows that cannot be read."""
    folder.parent.joinpath("items.csv").write_text(
        "id,title\n" + "".join(f"{thing.name},{thing.text}\n" for thing in clean_things())
    )
    rows = [f"{row.user},{row.item},{row.action},{'' if row.value is None else row.value},{row.time:.0f}"
            for row in clean_rows()]  # fmt: skip
    text = "user,item,action,value,time\n" + "\n".join([*rows, ",i1,click,,1700000000", "u1,i1,click,,soon"]) + "\n"
    folder.parent.joinpath("clicks.csv").write_text(text)
    return folder.parent


def test_files_are_examined_before_they_are_imported_and_no_folder_is_made(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["doctor", str(files / "items.csv"), str(files / "clicks.csv"), "--data", str(files / "data")]
    assert run(words) == 0
    said = capsys.readouterr().out
    assert "3,600 events of 30 people, 40 items" in said
    assert "rows that cannot be read: 2 of 3,602 rows" in said
    assert "what to do" in said
    assert not (files / "data").exists()


def test_the_exit_code_says_whether_something_serious_was_found_and_json_says_what(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clicks = files / "clicks.csv"
    clicks.write_text(clicks.read_text().replace(",click,", ",tap,"))
    assert run(["doctor", str(clicks), "--data", str(files / "data"), "--json"]) == 1
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert told["serious"] == 1
    assert [one["name"] for one in told["findings"]] == ["unknown actions", "rows that cannot be read"]
    assert set(told["findings"][0]) == {"severity", "name", "count", "of", "unit", "example", "rule", "advice"}


def test_a_folder_without_a_log_is_a_mistake_and_no_finding(folder: Path) -> None:
    assert run(["doctor", "--data", str(folder)]) == 2
    assert not folder.exists()


def test_a_log_is_examined_by_the_command(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Engine.open(folder) as engine:
        fill(engine, clean_rows())
    assert run(["doctor", "--data", str(folder)]) == 0
    assert "Nothing odd was found." in capsys.readouterr().out


# -- real data ---------------------------------------------------------------------------------------------------------


@real
@pytest.mark.parametrize("name", ["ml-100k"])
def test_real_people_are_not_called_bots(name: str, folder: Path) -> None:
    found = examine(reading.of_files(folder, load_settings(folder), plan(DATA / name)))
    assert [one.name for one in found] == []


@real
def test_a_shop_whose_petrol_is_sold_by_the_thousandth_is_told_so(folder: Path) -> None:
    parts = [part for part in plan(DATA / "complete-journey") if part.what == "events"]
    found = examine(reading.of_files(folder, load_settings(folder), parts))
    assert [one.name for one in found] == ["implausible values of buy"]
