"""Ceilings: what would grow is refused by name, what does not is taken, and lists go on."""

from __future__ import annotations

import time
from pathlib import Path

import httpx
import pytest

from penchant import Event
from penchant.ceilings import resident_bytes
from penchant.engine import Engine
from penchant.errors import Full, InvalidInput
from tests.conftest import NOW, OpenEngine, ask, circle, click, item, names
from tests.serving.conftest import asked


@pytest.fixture
def engine(open_engine: OpenEngine) -> Engine:
    """An engine with six items and a click of Ann's; its ceilings are the test's."""
    engine = open_engine()
    engine.ingest([*circle(6), click("ann", "i0", id="first")])
    return engine


def test_beyond_the_logs_ceiling_events_are_refused_and_lists_go_on(engine: Engine) -> None:
    engine.parts.settings.max_log_bytes = 1
    with pytest.raises(Full, match="max_log_bytes=1") as told:
        engine.ingest([click("ann", "i1")])
    assert "Raise max_log_bytes" in told.value.way_out
    assert engine.parts.log.end == 7
    assert set(names(ask(engine, "ann"))) == {f"i{k}" for k in range(1, 6)}


def test_erasures_and_retractions_are_taken_whatever_is_full(engine: Engine) -> None:
    engine.parts.settings.max_log_bytes = engine.parts.settings.max_memory_bytes = 1
    assert engine.ingest([Event(kind="retraction", target="first")]).accepted == 1
    receipt = engine.ingest([click("ann", "i1"), Event(kind="erasure", user="ann")])
    assert (receipt.accepted, [one.index for one in receipt.refused]) == (1, [0])
    assert receipt.refused[0].field == "max_log_bytes"
    assert [one.events for one in receipt.erased] == [2]


def test_beyond_memorys_ceiling_who_is_known_goes_on_and_nobody_new_is_taken(engine: Engine) -> None:
    engine.parts.settings.max_memory_bytes = 1
    assert engine.ingest([click("ann", "i1"), item("i1", title="anew")]).accepted == 2
    for event in (
        click("bob", "i1"),
        click("ann", "i9"),
        item("i9"),
        Event(kind="alias", session="s", user="ann"),
        Event(kind="user", user="bob", fields={"age": 3}),
    ):
        with pytest.raises(Full, match="max_memory_bytes=1"):
            engine.ingest([event])
    mixed = [click("bob", "i1"), click("ann", "i2"), item("i9"), click("ann", "nothing", action="none")]
    receipt = engine.ingest(mixed)
    assert receipt.accepted == 1
    assert [(one.index, one.field) for one in receipt.refused] == [
        (0, "max_memory_bytes"),
        (2, "max_memory_bytes"),
        (3, "action"),
    ]
    assert engine.parts.log.people.get("bob") == engine.parts.log.items.get("i9") == -1


def test_below_a_ceiling_all_is_taken(engine: Engine) -> None:
    engine.parts.settings.max_log_bytes = sum(engine.parts.log.sizes()) + 10**6
    engine.parts.settings.max_memory_bytes = resident_bytes() + 10**9
    assert engine.ingest([click("bob", "i9")]).accepted == 1


def test_the_wal_is_given_back_before_the_log_is_full_for_good(engine: Engine) -> None:
    """A WAL that was large once stays so, though its room is used again: it must not count for ever."""
    log = engine.parts.log
    engine.ingest([click(f"u{k}", f"i{k % 6}") for k in range(2000)])
    file, wal = log.sizes()
    assert wal > file > 0
    engine.parts.settings.max_log_bytes = wal
    with pytest.raises(Full):
        engine.ingest([click("ann", "i1")])
    while log.sizes()[1]:
        time.sleep(0.01)
    assert sum(log.sizes()) < wal
    assert engine.ingest([click("ann", "i1")]).accepted == 1


def test_an_import_stops_as_a_whole_and_goes_on_where_it_was(engine: Engine) -> None:
    rows = [click("ann", "i1", NOW + 1), click("bob", "i1", NOW + 2)]
    engine.parts.settings.max_memory_bytes = 1
    with pytest.raises(Full):
        engine.ingest(rows, source=(b"file", 2))
    assert (engine.parts.log.rows_imported(b"file"), engine.parts.log.end) == (0, 7)
    engine.parts.settings.max_memory_bytes = 0
    assert engine.ingest(rows, source=(b"file", 2)).accepted == 2


def test_over_http_a_ceiling_is_a_507_that_names_the_setting(engine: Engine) -> None:
    engine.parts.settings.max_log_bytes = 1

    async def scenario(http: httpx.AsyncClient) -> tuple[httpx.Response, httpx.Response, httpx.Response]:
        sent = await http.post("/v1/events", json={"user": "ann", "action": "click", "item": "i1"})
        return sent, await http.get("/v1/recommend?user=ann"), await http.delete("/v1/users/ann")

    sent, listed, erased = asked(engine, scenario)
    assert sent.status_code == 507
    assert sent.json()["type"] == "urn:penchant:full"
    assert (sent.json()["field"], sent.json()["value"]) == ("max_log_bytes", "1")
    assert "retry-after" not in sent.headers
    assert len(listed.json()["items"]) == 5
    assert erased.json()["accepted"] == 1


def test_a_ceiling_is_a_setting_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "penchant.toml").write_text('encoder = "none"\nmax_log_bytes = 1\n', encoding="utf-8")
    with Engine.open(tmp_path) as engine, pytest.raises(Full):
        engine.ingest([click("ann", "i0")])
    (tmp_path / "penchant.toml").write_text("max_memory_bytes = -1\n", encoding="utf-8")
    with pytest.raises(InvalidInput, match="max_memory_bytes=-1"):
        Engine.open(tmp_path)
