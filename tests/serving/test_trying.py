"""`penchant try` as a person meets it: files in, words and a page out, and nothing left behind."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from penchant.serving import trying
from penchant.serving.importers.parquet import is_parquet
from tests.evaluation.worlds import START
from tests.serving.test_cli import Penchant, penchant

__all__ = ["penchant"]  # a fixture

SIZE, STEPS, PEOPLE = 30, 20, 40
EVIL = "<script>alert(1)</script>"


def rows(evil: bool = False) -> list[tuple[str, str, int]]:
    """(person, item, time): everybody begins somewhere and goes on one item a minute round a circle."""
    names = [f"i{k}" for k in range(SIZE)]
    if evil:
        names[: SIZE // 2] = [f"{EVIL}{k}" for k in range(SIZE // 2)]
    return [
        (f"p{person}", names[(7 * person + step) % SIZE], int(START) + 60 * step + person)
        for step in range(STEPS)
        for person in range(PEOPLE)
    ]


def csv(header: str, lines: list[tuple[Any, ...]]) -> str:
    return "\n".join([header, *(",".join(map(str, line)) for line in lines)]) + "\n"


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A CSV of a walk, one processor, and a scratch folder of the test's own."""
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    path = tmp_path / "log.csv"
    path.write_text(csv("user_id,item_id,timestamp", rows()))
    return path


def test_try_shows_the_columns_the_figures_and_what_to_expect_and_leaves_only_the_page(
    penchant: Penchant, log: Path, tmp_path: Path
) -> None:
    code, told, _ = penchant("try", str(log), "--no-train")
    told = " ".join(told.split())
    assert code == 0
    for said in ("user: user_id, item: item_id, action: \"click\", time: timestamp (seconds)", "hourly lists",
                 "penchant, version 0", "popularity", "item neighbours", "10 min late", "This is too little data",
                 "Nothing was trained, as asked for.", "penchant-try.html"):  # fmt: skip
        assert said in told, said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log.csv", "penchant-try.html", "scratch"]
    assert list((tmp_path / "scratch").iterdir()) == []


def test_the_page_escapes_what_data_says_runs_no_script_and_loads_nothing(
    penchant: Penchant, log: Path, tmp_path: Path
) -> None:
    evil = tmp_path / "<b>&log.csv"
    evil.write_text(csv("user_id,item_id,timestamp", rows(evil=True)))
    assert penchant("try", str(evil), "--no-train", "--report", "out/page.html")[0] == 0
    page = (tmp_path / "out" / "page.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "What Penchant would do with &lt;b&gt;&amp;log.csv" in page
    assert not re.search(r"(src|href)=|url\(|@import|https?://", page)
    assert "default-src 'none'" in page
    assert page.count("<svg") == page.count("</svg>") == 2
    assert "prefers-color-scheme: dark" in page


def test_try_answers_in_json(penchant: Penchant, log: Path) -> None:
    code, told, _ = penchant("try", str(log), "--no-train", "--json")
    answer = json.loads(told)
    assert code == 0
    assert answer["report"]["events"] == PEOPLE * STEPS
    assert answer["report"]["lists"]["transitions"]["ndcg10"] == 1.0
    assert answer["expectations"][0].startswith("This is too little data")


def test_titles_of_an_item_file_are_shown_beside_their_ids(penchant: Penchant, log: Path, tmp_path: Path) -> None:
    (tmp_path / "items.csv").write_text(csv("item_id,title", [(f"i{k}", f"Film number {k}") for k in range(SIZE)]))
    code, told, _ = penchant("try", str(log), "items.csv", "--no-train", "--no-texts")
    assert code == 0
    assert "fields: title" in told
    assert re.search(r"Film number \d+ \(i\d+\)", (tmp_path / "penchant-try.html").read_text())


def test_items_under_other_ids_than_the_events_are_told(penchant: Penchant, log: Path, tmp_path: Path) -> None:
    (tmp_path / "items.csv").write_text(csv("item_id,title", [(f"I{k}", f"Film {k}") for k in range(SIZE)]))
    code, told, _ = penchant("try", str(log), "items.csv", "--no-train", "--no-texts", "--json")
    assert code == 0
    assert any(note.startswith("100% of the events are on items") for note in json.loads(told)["notes"])


def test_columns_can_be_named_and_a_dry_run_stops_there(penchant: Penchant, log: Path, tmp_path: Path) -> None:
    (tmp_path / "odd.csv").write_text(csv("who,what,when_ms", [(u, i, t * 1000) for u, i, t in rows()]))
    words = ["--map", "user=who", "--map", "item=what", "--map", "time=when_ms"]
    code, told, _ = penchant("try", "odd.csv", *words, "--dry-run")
    assert code == 0
    assert "time: when_ms (milliseconds)" in " ".join(told.split())
    assert not (tmp_path / "penchant-try.html").exists()


def test_json_lines_that_are_events_already_are_tried_and_what_is_not_looked_at_is_said(
    penchant: Penchant, log: Path, tmp_path: Path
) -> None:
    events: list[dict[str, Any]] = [{"user": u, "action": "purchase", "item": i, "time": t} for u, i, t in rows()]
    others = [{"kind": "erasure", "user": "p0"}, {"user": "p0", "action": "purchase", "item": "i0"}]
    (tmp_path / "log.jsonl").write_text("\n".join(map(json.dumps, [*events, *others])))
    code, told, _ = penchant("try", "log.jsonl", "--no-train", "--json")
    answer = json.loads(told)
    assert code == 0
    said = " ".join(answer["notes"])
    assert "1 rows of kind erasure" in said
    assert "time: a time is needed (1)" in said
    assert "count like a click: purchase" in said


# -- mistakes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the file is empty"),
        ("user_id,item_id,timestamp\n", "there is no row in it"),
        (csv("user_id,item_id", [row[:2] for row in rows()]), "says when things happened"),
        (csv("user_id,item_id,timestamp", rows()[:50]), "at least 100 events are needed"),
        (csv("user_id,item_id,timestamp", [("ann", f"i{k}", k) for k in range(200)]), "all events are of one person"),
        (csv("user_id,item_id,timestamp", [(u, i, 1_600_000_000) for u, i, _ in rows()]), "happened at the same time"),
        (csv("item_id,title", [(f"i{k}", f"Film {k}") for k in range(200)]), "none of the files holds events"),
        (csv("user_id,item_id,timestamp", [(u, i, 9_000_000_000) for u, i, _ in rows()]), "in the future (800)"),
        ("one line of words\nand another\n", "not cut into columns"),
        ("\0\0\0\0", "not text in utf-8"),
    ],
)
def test_what_cannot_be_tried_is_refused_with_the_way_out(
    penchant: Penchant, log: Path, tmp_path: Path, text: str, said: str
) -> None:
    (tmp_path / "bad.csv").write_text(text)
    code, _, told = penchant("try", "bad.csv", "--no-train")
    assert code == 2
    assert said in " ".join(re.sub("[│╭╮╰╯─]", " ", told).split()).lower()
    assert not (tmp_path / "penchant-try.html").exists()
    assert list((tmp_path / "scratch").iterdir()) == []


def test_a_trial_that_is_ended_from_outside_leaves_nothing_behind(
    penchant: Penchant, log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ended(*_: object) -> None:
        assert list((tmp_path / "scratch").iterdir())
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(trying, "try_out", ended)
    assert penchant("try", str(log), "--no-train")[0] == 128 + signal.SIGTERM
    assert list((tmp_path / "scratch").iterdir()) == []


def test_a_file_that_is_not_there_is_said(penchant: Penchant) -> None:
    code, _, told = penchant("try", "nowhere.csv")
    assert code == 2
    assert "no such file" in told


# -- without what is optional ------------------------------------------------------------------------------------------


def without(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    """As if the package were not installed."""
    for name in [name for name in sys.modules if name.startswith(("penchant.learning", f"{package}."))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr("penchant.learning", raising=False)
    monkeypatch.setitem(sys.modules, package, None)


def test_without_torch_nothing_is_trained_and_all_else_is_tried(
    penchant: Penchant, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without(monkeypatch, "torch")
    code, told, _ = penchant("try", str(log))
    assert code == 0
    assert "PyTorch is not installed" in told
    assert "penchant, trained" not in told


def test_training_that_was_asked_for_without_torch_is_refused_before_the_work(
    penchant: Penchant, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without(monkeypatch, "torch")
    monkeypatch.setattr(trying, "gather", lambda *_: pytest.fail("work was begun"))
    code, _, told = penchant("try", str(log), "--train")
    assert code == 1
    assert "pip install 'penchant[train]'" in told


def test_with_torch_a_model_is_trained_and_asked(penchant: Penchant, log: Path) -> None:
    pytest.importorskip("torch")
    code, told, _ = penchant("try", str(log), "--train", "--epochs", "1", "--json")
    answer = json.loads(told)
    assert code == 0
    assert "penchant, trained" in answer["report"]["lists"], answer["notes"]


def test_parquet_without_pyarrow_names_the_extra(
    penchant: Penchant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without(monkeypatch, "pyarrow")
    (tmp_path / "log.parquet").write_bytes(b"PAR1 and so on PAR1")
    code, _, told = penchant("try", "log.parquet")
    assert code == 1
    assert "pip install 'penchant[parquet]'" in told


def test_parquet_is_tried_as_the_same_rows_in_csv_are(penchant: Penchant, log: Path, tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow", reason="the extra `parquet` is not installed")
    parquet = pytest.importorskip("pyarrow.parquet")
    people, items, times = zip(*rows(), strict=True)
    moments = pyarrow.array([time * 10**9 for time in times], pyarrow.timestamp("ns", "UTC"))
    nested = pyarrow.array([{"page": 1}] * len(people))
    table = pyarrow.table({
        "user_id": list(people), "item_id": pyarrow.array(items).dictionary_encode(), "ts": moments, "extra": nested,
    })  # fmt: skip
    parquet.write_table(table, tmp_path / "log.parquet", row_group_size=100)
    assert is_parquet(tmp_path / "log.parquet")
    code, told, beside = penchant("try", "log.parquet", "--no-train", "--json")
    assert code == 0
    assert "time: ts (ISO 8601)" in " ".join(beside.split())
    found = json.loads(told)["report"]
    assert found == json.loads(penchant("try", str(log), "--no-train", "--json")[1])["report"]


def test_a_damaged_parquet_file_is_refused(penchant: Penchant, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="the extra `parquet` is not installed")
    (tmp_path / "log.parquet").write_bytes(b"PAR1 and so on PAR1")
    code, _, told = penchant("try", "log.parquet")
    assert code == 1
    assert "cannot be read" in " ".join(told.split())
