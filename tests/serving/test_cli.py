"""The command line as a person meets it: what it prints, what it keeps, and how it exits."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from penchant.config import FILE, Settings, load_settings
from penchant.engine import Engine
from penchant.serving import screens
from penchant.serving.cli import loading, run
from penchant.serving.cli.running import settings_text
from penchant.types import Query

ITEMS = "id,title,genres,year\nm1,Alien Moon,Horror|Space,1979\nm2,Galaxy Quest,Comedy|Space,1999\nm3,Tea,Drama,2003\n"
CLICKS = (
    "user_id,item_id,timestamp\n"
    "ann,m1,1700000000\n"
    ",m3,1700000300\n"
    "ann,m2,1700000100\n"
    "bob,m3,9900000000\n"
    "bob,m1,1700000200\n"
)
Penchant = Callable[..., tuple[int, str, str]]


@pytest.fixture
def penchant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Penchant:
    """Run a command line in an empty folder, without a language model: (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PENCHANT_ENCODER", "none")
    monkeypatch.setattr(screens.out, "width", 140)
    monkeypatch.setattr(screens.errors, "width", 140)

    def penchant(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = run(words)
        said = capsys.readouterr()
        return code, said.out, said.err

    return penchant


@pytest.fixture
def films(tmp_path: Path) -> Path:
    """Files of items and of clicks: six rows of them, one without a user, one from the far future."""
    (tmp_path / "items.csv").write_text(ITEMS)
    (tmp_path / "clicks.csv").write_text(CLICKS)
    return tmp_path


@pytest.fixture
def imported(penchant: Penchant, films: Path) -> Penchant:
    assert penchant("import", "items.csv", "clicks.csv")[0] == 0
    return penchant


def refused(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def events_in(folder: Path) -> int:
    with Engine.open(folder) as engine:
        return engine.parts.log.end


# -- help and mistakes -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("init", ["--data", "--preset"]),
        ("doctor", ["--what", "--map", "--action", "--data", "--json"]),
        ("import", ["--what", "--map", "--action", "--dry-run", "--data"]),
        (
            "recommend",
            ["--limit", "--where", "--filter", "--policy", "--seen", "--removed", "--time", "--json", "--data"],
        ),
        ("similar", ["--limit", "--where", "--removed", "--json", "--data"]),
        ("search", ["--user", "--limit", "--where", "--seen", "--removed", "--json", "--data"]),
        ("replay", ["--data", "--share", "--split", "--least", "--no-staleness", "--picture"]),
        ("evaluate", ["--protocol", "--share", "--split", "--least", "--slices", "--every", "--seen", "--depth"]),
        ("evaluate", ["--file", "--names", "--folds", "--seed", "--json", "--data"]),
        (
            "train",
            ["--data", "--size", "--seed", "--epochs", "--no-refit", "--no-gate", "--no-use", "--fresh", "--json"],
        ),
        ("model", ["list", "show", "use", "rollback", "diff"]),
        (
            "try",
            [
                "--map",
                "--map-items",
                "--action",
                "--asked",
                "--people",
                "--no-train",
                "--size",
                "--epochs",
                "--no-texts",
            ],
        ),
        ("try", ["--seen", "--seed", "--dry-run", "--report", "--json"]),
        ("serve", ["--data", "--host", "--port", "--durability", "--open"]),
        ("key", ["create", "list", "revoke"]),
        ("tenant", ["create", "list", "remove"]),
        ("demo", ["--data", "--fast"]),
    ],
)
def test_help_names_every_option(penchant: Penchant, command: str, options: list[str]) -> None:
    code, told, _ = penchant(command, "--help")
    assert code == 0
    assert [option for option in options if option not in told] == []


def test_help_lists_the_commands_and_imports_nothing_heavy() -> None:
    program = (
        "import sys; from penchant.serving.cli import run; run(['--help']);"
        "sys.exit(any(name in sys.modules for name in ('numpy', 'faiss', 'numba', 'onnxruntime', 'litestar')))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert all(name in done.stdout for name in ("demo", "init", "import", "recommend", "similar", "search", "serve"))


def test_a_mistake_is_a_short_panel_with_the_way_out_and_exit_code_2(imported: Penchant) -> None:
    code, out, said = imported("recommend", "ann", "--where", "genres")
    assert (code, out) == (2, "")
    assert "where = 'genres'" in said
    assert "Write FIELD=VALUE" in said
    assert "Traceback" not in said
    assert imported("similar", "nothing")[0] == 2
    assert imported("recommend", "ann", "--limit", "0")[0] == 2
    assert imported("recommend", "ann", "--seen", "often")[0] == 2
    assert imported("recommend", "ann", "--time", "yesterday")[0] == 2
    assert imported("import", "clicks.csv", "--map", "user")[0] == 2
    assert imported("import", "nowhere.csv")[0] == 2


def test_debug_shows_where_an_error_came_from(imported: Penchant) -> None:
    assert "Traceback" in imported("similar", "nothing", "--debug")[2]
    assert "Traceback" in imported("--debug", "similar", "nothing")[2]


def test_a_folder_in_use_is_exit_code_1_with_who_uses_it(imported: Penchant, films: Path) -> None:
    with Engine.open(films / "data"):
        code, _, said = imported("recommend", "ann")
    assert code == 1
    assert f"Process {os.getpid()} has this data folder open" in said


def test_what_nobody_foresaw_is_exit_code_1_without_a_traceback(
    imported: Penchant, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("the roof fell in")

    monkeypatch.setattr(Engine, "recommend", fail)
    code, _, said = imported("recommend", "ann")
    assert code == 1
    assert "RuntimeError: the roof fell in" in said
    assert "--debug" in said
    assert "Traceback" not in said


def test_a_question_does_not_make_a_folder(penchant: Penchant, tmp_path: Path) -> None:
    code, _, said = penchant("recommend", "ann", "--data", "typo")
    assert code == 2
    assert "penchant import" in said
    assert not (tmp_path / "typo").exists()


def test_ctrl_c_is_one_word_and_exit_code_130(imported: Penchant, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Engine, "recommend", interrupt)
    code, _, said = imported("recommend", "ann")
    assert code == 130
    assert "Traceback" not in said


# -- init --------------------------------------------------------------------------------------------------------------


def test_init_writes_defaults_that_change_nothing_and_shows_what_follows(penchant: Penchant, tmp_path: Path) -> None:
    code, told, _ = penchant("init", "--data", "shop")
    assert code == 0
    assert load_settings(tmp_path / "shop") == load_settings(tmp_path / "elsewhere")
    for word in ("written", "128 numbers", "256", "kill -9", "buy, cart"):
        assert word in told


def test_every_setting_of_the_file_can_be_switched_on_as_it_stands(tmp_path: Path) -> None:
    lines = [line.removeprefix("# ") for line in settings_text().splitlines()]
    set_here = [line for line in lines if re.match(r'\w+ = [-\d"]|\[(weights|actions)', line)]
    (tmp_path / FILE).write_text("\n".join(set_here))
    assert load_settings(tmp_path) == Settings()


def test_init_leaves_a_file_that_is_there(penchant: Penchant, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / FILE).write_text("neighbours = 64\n")
    assert "left as it is" in penchant("init")[1]
    assert (tmp_path / "data" / FILE).read_text() == "neighbours = 64\n"


def test_the_folder_may_come_from_the_environment(
    penchant: Penchant, films: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PENCHANT_DATA_DIR", str(films / "other"))
    assert penchant("import", "items.csv")[0] == 0
    assert (films / "other" / "events.db").exists()


# -- import ------------------------------------------------------------------------------------------------------------


def test_import_shows_the_mapping_and_takes_items_before_events(penchant: Penchant, films: Path) -> None:
    code, told, said = penchant("import", "clicks.csv", "items.csv")
    assert code == 0
    assert "user: user_id, item: item_id" in told
    assert told.index("items.csv") < told.index("clicks.csv", told.index("known before"))
    assert "5 of 5" in said
    assert events_in(films / "data") == 6


def test_refused_rows_are_kept_with_their_reasons(penchant: Penchant, films: Path) -> None:
    _, told, _ = penchant("import", "items.csv", "clicks.csv")
    kept = refused(films / "data" / "refused-clicks.csv")
    assert [(row["row"], row["field"]) for row in kept] == [("2", "user"), ("4", "time")]
    assert kept[0]["line"] == ",m3,1700000300"
    assert json.loads(kept[1]["line"])["item"] == "m3"
    assert "nobody is named" in told
    assert "row 4: 9900000000" in told


def test_importing_again_changes_nothing_and_says_so(imported: Penchant, films: Path) -> None:
    code, told, _ = imported("import", "items.csv", "clicks.csv")
    assert code == 0
    assert "Nothing changed" in told
    assert events_in(films / "data") == 6
    assert len(refused(films / "data" / "refused-clicks.csv")) == 2


def test_a_dry_run_changes_nothing(penchant: Penchant, films: Path) -> None:
    code, told, _ = penchant("import", "items.csv", "--dry-run")
    assert code == 0
    assert "item: id" in told
    assert not (films / "data").exists()


def test_the_mapping_can_be_told(penchant: Penchant, tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("who,thing\nann,m1\n")
    assert penchant("import", "log.csv")[0] == 2
    assert penchant("import", "log.csv", "--map", "user=who", "--map", "item=thing", "--action", "buy")[0] == 0
    with Engine.open(tmp_path / "data") as engine:
        assert engine.recommend(Query(user="ann", seen="allow")).user_as_of == 1


def test_a_file_of_which_no_row_can_be_used_is_a_mistake(penchant: Penchant, tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("user_id,item_id\nann,m1\nann,m2\n")
    code, told, said = penchant("import", "log.csv", "--action", "stare")
    assert code == 2
    assert "not a known action" in told
    assert "ot one row could be used" in said


def test_an_import_stopped_with_ctrl_c_goes_on_where_it_stopped(
    penchant: Penchant, films: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "BATCH", 2)
    penchant("import", "items.csv")
    plain = Engine.apply

    def interrupted(engine: Engine, batches: Any) -> Any:
        os.kill(os.getpid(), signal.SIGINT)
        return plain(engine, batches)

    monkeypatch.setattr(Engine, "apply", interrupted)
    code, told, _ = penchant("import", "clicks.csv")
    assert code == 130
    assert "goes on from there" in told
    assert events_in(films / "data") < 6
    monkeypatch.setattr(Engine, "apply", plain)
    assert penchant("import", "clicks.csv")[0] == 0
    assert events_in(films / "data") == 6
    assert [row["row"] for row in refused(films / "data" / "refused-clicks.csv")] == ["2", "4"]


def test_an_import_killed_in_the_middle_loses_and_doubles_nothing(tmp_path: Path) -> None:
    count = 30_000
    rows = (
        f"u{k % 500},i{k % 97},{1_600_000_000 + k}" if k % 1000 else f",i1,{1_600_000_000 + k}" for k in range(count)
    )
    (tmp_path / "log.csv").write_text("user_id,item_id,timestamp\n" + "\n".join(rows) + "\n")
    command = [sys.executable, "-m", "penchant.serving.cli", "import", "log.csv"]
    about: dict[str, Any] = {"cwd": tmp_path, "env": os.environ | {"PENCHANT_ENCODER": "none"}}
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **about) as program:
        while rows_done(tmp_path / "data" / "events.db") < 4000:
            assert program.poll() is None, "it ended before it could be killed"
            time.sleep(0.005)
        program.kill()
    assert rows_done(tmp_path / "data" / "events.db") < count
    again = subprocess.run(command, capture_output=True, text=True, check=False, **about)
    assert again.returncode == 0, again.stderr
    assert rows_done(tmp_path / "data" / "events.db") == count
    assert events_in(tmp_path / "data") == count - 30
    assert [int(row["row"]) for row in refused(tmp_path / "data" / "refused-log.csv")] == list(range(1, count, 1000))


def rows_done(path: Path) -> int:
    if not path.exists():
        return 0
    try:
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
            found = db.execute("SELECT max(rows) FROM imports").fetchone()
    except sqlite3.OperationalError:  # the program has not made its tables yet
        return 0
    finally:
        if "db" in locals():
            db.close()
    return int(found[0] or 0)


# -- questions ---------------------------------------------------------------------------------------------------------


def test_recommend_shows_title_score_sources_features_and_versions(imported: Penchant) -> None:
    code, told, _ = imported("recommend", "bob")
    assert code == 0
    first = next(line for line in told.splitlines() if line.startswith("1 "))
    assert "m2" in first
    assert "Galaxy Quest" in first
    assert "transitions" in first
    assert "as of event 6" in told
    assert "version v0" in told


def test_recommend_takes_a_policy_as_json(imported: Penchant) -> None:
    code, told, _ = imported("recommend", "zoe", "--policy", '{"pins": [{"item": "m3", "slot": 1}]}', "--json")
    assert code == 0
    assert json.loads(told)["items"][0]["item"] == "m3"
    code, _, said = imported("recommend", "zoe", "--policy", "{caps: 2}")
    assert code == 2
    assert "policy" in said
    assert '{"caps": {"brand": 2}}' in said


def test_recommend_says_when_nothing_is_known_of_a_person(imported: Penchant) -> None:
    assert "nothing is known" in imported("recommend", "zoe")[1]
    assert "nothing is known" not in imported("recommend", "ann")[1]


def test_json_is_the_slate_and_nothing_else(imported: Penchant) -> None:
    _, told, _ = imported("recommend", "ann", "--json", "--seen", "allow", "--limit", "2", "--time", "2023-12-01")
    slate = json.loads(told)
    assert len(slate["items"]) == 2
    assert slate["time"] == 1_701_388_800
    assert slate["as_of"] == 6


def test_conditions_and_what_was_removed(imported: Penchant) -> None:
    told = imported("recommend", "zoe", "--where", "genres=Space", "--where", "year=1990..", "--removed", "--json")[1]
    slate = json.loads(told)
    assert [one["item"] for one in slate["items"]] == ["m2"]
    assert {one["item"]: one["removed"] for one in slate["removed"]} == {"m1": "condition", "m3": "condition"}
    shown = imported("recommend", "ann", "--removed")[1]
    assert "Removed: 2" in shown
    assert "seen" in shown


def test_similar_and_search(imported: Penchant) -> None:
    assert "m2" in imported("similar", "m1", "--limit", "1")[1]
    code, told, _ = imported("search", "galaxy", "quest", "--user", "ann")
    assert code == 0
    assert "“galaxy quest” for ann" in told
    assert "Galaxy Quest" in told


def test_serve_hands_its_flags_to_the_server(imported: Penchant, monkeypatch: pytest.MonkeyPatch) -> None:
    from penchant.serving import server

    seen: dict[str, Any] = {}
    monkeypatch.setattr(server, "serve", lambda folder, **told: seen.update(told, folder=folder))
    assert imported("serve", "--port", "7999", "--durability", "power")[0] == 0
    assert (seen["folder"], seen["port"], seen["durability"]) == (Path("data"), 7999, "power")
    assert imported("serve", "--port", "99999")[0] == 2


# -- evaluate ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def walked(penchant: Penchant, tmp_path: Path) -> Penchant:
    """Ten people walk round a circle of twelve items."""
    (tmp_path / "items.csv").write_text("id,title\n" + "".join(f"i{k},stop {k}\n" for k in range(12)))
    rows = (f"p{who},i{(who + turn) % 12},{1_600_000_000 + 10 * turn + who}" for turn in range(8) for who in range(10))
    (tmp_path / "walk.csv").write_text("user_id,item_id,timestamp\n" + "\n".join(rows) + "\n")
    assert penchant("import", "items.csv", "walk.csv")[0] == 0
    return penchant


def test_evaluate_shows_slices_with_intervals_and_the_protocol_in_words(walked: Penchant) -> None:
    code, told, _ = walked("evaluate", "--share", "0.7", "--slices", "few,cold,frozen,future", "--every", "2")
    assert code == 0
    for said in ("NDCG@10 95%", "last 3", "cold when met", "counts frozen", "whole future", "mean rank",
                 "Global time split at 2020-09-13", "keep the order of the log", "not listed",
                 "mentioned first goes first", "One of 2 events", "bootstrap over people"):  # fmt: skip
        assert said in " ".join(told.split()), said


def test_evaluate_answers_in_json_and_leaves_the_folder_as_it_was(walked: Penchant, films: Path) -> None:
    before = events_in(films / "data")
    code, told, _ = walked("evaluate", "--slices", "none", "--split", "1600000070", "--json")
    report = json.loads(told)
    assert code == 0
    assert list(report["slices"]) == ["all", "nothing known"]
    assert report["slices"]["all"]["lists"] == 10
    assert report["slices"]["all"]["figures"]["hr10"]["value"] == 1.0
    assert events_in(films / "data") == before


def test_evaluate_leaves_one_out_of_the_log_or_of_a_file(walked: Penchant, tmp_path: Path) -> None:
    told = json.loads(walked("evaluate", "--protocol", "loo", "--slices", "few", "--json")[1])
    assert (told["protocol"], told["slices"]["last 1"]["lists"], told["learned"]) == ("leave-one-out", 10, 60)
    (tmp_path / "loo.txt").write_text("".join(f"{who} {who + k}\n" for who in range(4) for k in range(5)))
    (tmp_path / "names.csv").write_text("number,id\n" + "".join(f"{k},i{k}\n" for k in range(12)))
    of_file = ("evaluate", "--protocol", "loo", "--file", "loo.txt", "--slices", "none", "--json")
    told = json.loads(walked(*of_file, "--names", "names.csv")[1])
    assert (told["slices"]["all"]["lists"], told["learned"], told["catalogue"]) == (4, 12, 12)
    code, _, said = walked(*of_file)
    assert code == 2
    assert "--names" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--slices", "short"], "few, long, cold"),
        (["--file", "loo.txt"], "--protocol loo"),
        (["--protocol", "loo", "--split", "5"], "no moment"),
        (["--protocol", "loo", "--file", "gone.txt"], "no such file"),
        (["--names", "names.csv"], "--file"),
        (["--data", "typo"], "no data folder"),
    ],
)
def test_evaluate_refuses_what_does_not_fit(walked: Penchant, tmp_path: Path, words: list[str], said: str) -> None:
    code, _, told = walked("evaluate", *words)
    assert code == 2
    assert said in told
    assert not (tmp_path / "typo").exists()
