"""`penchant init --preset`: what is written can be read, says why, and takes effect; on real data where it is there."""

from __future__ import annotations

import os
import re
import tomllib
from itertools import islice
from pathlib import Path
from typing import get_args

import pytest

from penchant import Event, Item, Query
from penchant.config import FILE, Settings, load_settings
from penchant.engine import Engine
from penchant.serving.cli import run
from penchant.serving.cli.running import Preset, settings_text

DATA = Path(os.environ.get("PENCHANT_DATA", ""))
real = pytest.mark.skipif("PENCHANT_DATA" not in os.environ, reason="PENCHANT_DATA does not name the real data")
PRESETS: tuple[Preset, ...] = get_args(Preset)
NOW, HOUR, DAY = 1_700_000_000.0, 3600.0, 86_400.0


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PENCHANT_ENCODER", "none")
    return tmp_path / "data"


def opened(folder: Path, preset: Preset) -> Engine:
    assert run(["init", "--preset", preset, "--data", str(folder)]) == 0
    engine = Engine.open(folder)
    engine.ingest([Item(id=name, fields={"title": name}, time=NOW - 90 * DAY).event() for name in "abc"])
    return engine


def listed(engine: Engine, user: str, time: float = NOW) -> list[str]:
    return [one.item for one in engine.recommend(Query(user=user, time=time)).items]


def click(user: str, item: str, time: float) -> Event:
    return Event(user=user, item=item, action="click", time=time)


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_is_read_back_with_its_settings_and_leaves_the_others_as_they_are(
    folder: Path, preset: Preset
) -> None:
    assert run(["init", "--preset", preset, "--data", str(folder)]) == 0
    found, defaults = load_settings(folder), Settings()
    told = tomllib.loads(settings_text(preset))
    assert {"seen", "half_life_days", "fresh_half_life_days", "weights", "actions"} <= set(told)
    assert found.weights == defaults.weights | told["weights"]
    assert set(told["actions"]) == set(found.actions)
    same = set(Settings.__struct_fields__) - set(told) - {"encoder"}  # which the environment sets here
    assert {name: getattr(found, name) for name in same} == {name: getattr(defaults, name) for name in same}


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_says_why_and_what_else_could_be_set(preset: Preset) -> None:
    text = settings_text(preset)
    paragraphs = text.split("\n\n")
    for begins in ("seen =", "half_life_days =", "fresh_half_life_days =", "\\[weights\\]"):
        (own,) = (one for one in paragraphs if re.search(rf"^{begins}", one, re.MULTILINE))
        assert own.startswith("# "), begins
    assert "# neighbours = 256" in text
    assert re.search(r"^# neighbours.*\[weights\].*\[actions\.", text, re.MULTILINE | re.DOTALL)  # tables come last
    assert max(map(len, text.splitlines())) <= 120


def test_without_a_preset_every_setting_is_a_comment(folder: Path) -> None:
    assert tomllib.loads(settings_text()) == {}
    assert "# popularity = 0.0" in settings_text()


def test_a_file_that_is_there_is_not_written_over(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder.mkdir()
    (folder / FILE).write_text("neighbours = 64\n")
    assert run(["init", "--preset", "shop", "--data", str(folder)]) == 2
    assert "not written over" in capsys.readouterr().err
    assert (folder / FILE).read_text() == "neighbours = 64\n"


def test_a_preset_that_there_is_not_is_a_mistake(folder: Path) -> None:
    assert run(["init", "--preset", "zoo", "--data", str(folder)]) == 2
    assert not folder.exists()


def test_a_shop_shows_again_what_was_bought_and_the_others_do_not_what_was_met(tmp_path: Path, folder: Path) -> None:
    for preset, again in (("shop", True), ("news", False), ("video", False)):
        with opened(tmp_path / preset, preset) as engine:
            engine.ingest([click("ann", "a", NOW - HOUR)])
            assert ("a" in listed(engine, "ann")) is again, preset


def test_in_a_shop_what_was_bought_stands_before_what_was_looked_at_and_both_before_what_others_buy(
    folder: Path,
) -> None:
    with opened(folder, "shop") as engine:
        engine.ingest([click(f"u{k}", "b", NOW - HOUR) for k in range(3)])
        engine.ingest([Event(user="ann", item="c", action="buy", time=NOW - 9 * DAY), click("ann", "a", NOW - HOUR)])
        assert listed(engine, "ann") == ["c", "a", "b"]


@pytest.mark.parametrize("preset", PRESETS)
def test_a_newcomer_is_shown_first_what_others_lately_turn_to(folder: Path, preset: Preset) -> None:
    with opened(folder, preset) as engine:
        engine.ingest([click(f"u{k}", "b", NOW - HOUR) for k in range(5)])
        assert listed(engine, "new")[0] == "b"


def test_yesterday_s_news_is_over_and_last_week_s_film_is_not(tmp_path: Path, folder: Path) -> None:
    for preset, first in (("news", "c"), ("video", "b")):
        with opened(tmp_path / preset, preset) as engine:
            engine.ingest([click(f"u{k}", "b", NOW - 2 * DAY) for k in range(9)])
            engine.ingest([click(f"v{k}", "c", NOW - HOUR / 2) for k in range(4)])
            assert listed(engine, "new")[0] == first, preset


# -- real data ---------------------------------------------------------------------------------------------------------


def cut(source: str, into: Path, rows: int) -> Path:
    """The beginning of a real file, in a scratch folder."""
    with (DATA / source).open(encoding="utf-8") as file:
        into.write_text("".join(islice(file, rows)), encoding="utf-8")
    return into


@real
@pytest.mark.parametrize(
    ("preset", "source", "user"),
    [("shop", "complete-journey", "2261"), ("news", "mind-subset", "U81994"), ("video", "ml-100k", "196")],
)
def test_a_preset_runs_on_real_data_from_init_to_replay(
    preset: str, source: str, user: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    at, files = ["--data", str(folder)], [DATA / source]
    if preset == "shop":  # of its 92,000 articles most were never bought
        products = cut(f"{source}/products.csv", folder.parent / "products.csv", 20_000)
        files = [products, DATA / source / "transactions_sample.csv"]
    assert run(["init", "--preset", preset, *at]) == 0
    assert run(["import", *map(str, files), *at]) == 0
    assert "refused because" not in capsys.readouterr().out
    assert run(["recommend", user, "--limit", "5", "--json", *at]) == 0
    assert capsys.readouterr().out.count('"score"') == 5
    picture = ["--picture", str(folder / "replay.png")]
    assert run(["replay", "--no-staleness", "--share", "0.99", *picture, *at]) == 0
    assert "recent popularity" in capsys.readouterr().out
