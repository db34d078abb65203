"""The numbers of a server: known things are done to a real one, and exactly those are counted."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from penchant.config import Retention
from penchant.engine import Engine
from penchant.serving.http import application
from penchant.storage.state_store import written
from tests.conftest import circle, click
from tests.serving.conftest import Ask, Server, asked

Numbers = dict[tuple[str, frozenset[tuple[str, str]]], float]
DOCUMENT = (Path(__file__).parents[2] / "docs" / "operations.md").read_text(encoding="utf-8")


def parsed(text: str) -> Numbers:
    """Every sample of a scrape."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def number(numbers: Numbers, name: str, **labels: str) -> float:
    return numbers[f"penchant_{name}", frozenset(labels.items())]


@pytest.fixture
def http(tmp_path: Path) -> Iterator[httpx.Client]:
    """A server of which nobody has asked anything but whether it is ready."""
    server = Server(tmp_path / "data").ready()
    with httpx.Client(base_url=server.url, timeout=60) as client:
        yield client
    server.stop()


def test_what_is_done_is_counted_exactly(http: httpx.Client) -> None:
    now = time.time()
    event = {"id": "e1", "user": "ann", "action": "click", "item": "i0", "time": now}
    http.put("/v1/items", json=[{"id": f"i{k}", "fields": {"title": f"film {k}"}} for k in range(3)])
    http.post("/v1/events", json=event)
    http.post("/v1/events", json=event)
    http.post("/v1/events", json=[event | {"id": "e2", "item": "i1"}, event | {"action": "clik"}, {"user": 7}])
    http.post("/v1/events", json={"user": 7})
    http.post("/v1/events", json=event | {"id": "e3", "time": now - 86_400})
    for _ in range(4):
        http.get("/v1/recommend?user=ann")
    http.get("/v1/search?words=film")
    http.get("/v1/users/ann")
    http.get("/v1/users/eve")
    http.get("/nowhere/else")
    http.delete("/v1/recommend")
    numbers = parsed(http.get("/metrics").text)

    def requests(method: str, address: str, status: int) -> float:
        return number(numbers, "requests_total", method=method, address=address, status=str(status))

    assert requests("PUT", "/v1/items", 200) == 1
    assert requests("POST", "/v1/events", 200) == 4
    assert requests("POST", "/v1/events", 422) == 1
    assert requests("GET", "/v1/recommend", 200) == 4
    assert requests("GET", "/v1/users/{id}", 200) == requests("GET", "/v1/users/{id}", 404) == 1
    assert requests("other", "other", 404) == requests("other", "other", 405) == 1
    assert number(numbers, "request_seconds_count", method="GET", address="/v1/recommend") == 4
    assert number(numbers, "requests_open") == 1  # the scrape itself
    became = {name: number(numbers, "events_total", outcome=name) for name in ("accepted", "duplicate", "refused")}
    assert became == {"accepted": 3 + 1 + 1 + 1, "duplicate": 1, "refused": 2 + 1}
    assert number(numbers, "events_late_total") == 1
    assert number(numbers, "stage_seconds_count", stage="check") == 5  # what cannot be read is not checked
    assert number(numbers, "batch_size_sum", stage="commit") == 7
    assert number(numbers, "batch_size_sum", stage="apply") == 7
    assert number(numbers, "batch_size_sum", stage="answer") == 5
    assert number(numbers, "as_of") == 6
    assert (number(numbers, "items"), number(numbers, "people")) == (3, 1)
    for name in ("lag_events", "snapshot_failures_total", "warnings"):
        assert number(numbers, name) == 0
    for name in ("waiting", "overloads_total"):
        label = "what" if name == "waiting" else "waiting"
        assert number(numbers, name, **{label: "events"}) == number(numbers, name, **{label: "queries"}) == 0
    assert number(numbers, "log_bytes") + number(numbers, "wal_bytes") > 0
    assert number(numbers, "model_info", version=http.get("/health/ready").json()["version"]) == 1
    assert numbers["process_resident_memory_bytes", frozenset()] > 10**7


def test_buckets_hold_what_they_say(engine: Engine) -> None:
    async def scenario(http: httpx.AsyncClient) -> str:
        await http.put("/v1/items", json=[{"id": f"i{k}"} for k in range(5)])
        await http.post("/v1/events", json=[{"user": "ann", "action": "click", "item": f"i{k}"} for k in range(3)])
        return (await http.get("/metrics")).text

    numbers = parsed(asked(engine, scenario))
    sizes = {bound: number(numbers, "batch_size_bucket", stage="commit", le=bound) for bound in ("2.0", "4.0", "8.0")}
    assert sizes == {"2.0": 0, "4.0": 1, "8.0": 2}
    assert number(numbers, "batch_size_bucket", stage="commit", le="+Inf") == 2


def test_while_the_folder_is_opened_there_are_numbers_too() -> None:
    async def scenario() -> str:
        transport = httpx.ASGITransport(application())  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url="http://penchant") as http:
            await http.get("/v1/recommend")
            return (await http.get("/metrics")).text

    numbers = parsed(asyncio.run(scenario()))
    assert number(numbers, "ready") == 0
    assert number(numbers, "requests_total", method="GET", address="/v1/recommend", status="503") == 1


def test_ceilings_and_snapshots_are_told_where_there_are_any(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    before = parsed(asked(engine, lambda http: http.get("/metrics")).text)
    assert not {name for name, _ in before} & {"penchant_log_ceiling_bytes", "penchant_snapshot_age_seconds"}
    engine.ingest([*circle(3), click("ann", "i0")])
    engine.snapshot()
    engine.parts.settings.max_log_bytes = 10**9
    moment = written(engine.parts.folder / "snapshots")
    assert moment is not None
    monkeypatch.setattr(time, "time", lambda: moment + 90.0)
    after = parsed(asked(engine, lambda http: http.get("/metrics")).text)
    assert number(after, "log_ceiling_bytes") == 10**9
    assert number(after, "snapshot_age_seconds") == 90.0


def test_what_retention_drops_is_counted(engine: Engine) -> None:
    engine.ingest([click("ann", f"i{k}") for k in range(6)])
    engine.parts.settings.retention = Retention(events=4)
    engine.retain()
    numbers = parsed(asked(engine, lambda http: http.get("/metrics")).text)
    assert number(numbers, "retention_dropped_total") == 2
    assert number(numbers, "log_free_bytes") >= 0


def test_a_snapshot_that_fails_is_counted(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    engine.ingest([*circle(3), click("ann", "i0")])
    engine.parts.settings.snapshot_every = 1

    def full(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(engine.parts, "save", full)
    engine.ingest([click("ann", "i1")])
    numbers = parsed(asked(engine, lambda http: http.get("/metrics")).text)
    assert number(numbers, "snapshot_failures_total") == 1
    assert number(numbers, "warnings") == 1
    monkeypatch.undo()


def test_the_document_lists_every_metric_and_no_other(ask: Ask, engine: Engine) -> None:
    engine.ingest([*circle(3), click("ann", "i0")])
    engine.snapshot()
    engine.parts.settings.max_log_bytes = engine.parts.settings.max_memory_bytes = 10**12
    text = ask(lambda http: http.get("/metrics")).text
    families = re.findall(r"^# TYPE (penchant_\w+) ", text, re.M)
    listed = re.findall(r"^\| `(penchant_\w+)`", DOCUMENT, re.M)
    assert sorted(families) == sorted(listed)
