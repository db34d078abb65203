"""What was shown and what was done about it, as it is asked for over HTTP."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import httpx
import pytest

from penchant.engine import Engine
from tests.conftest import OpenEngine, circle
from tests.serving.conftest import Ask, Server


@pytest.fixture
def engine(open_engine: OpenEngine) -> Engine:
    engine = open_engine()
    engine.ingest(circle(8))
    engine.wait_for_items()
    return engine


def test_a_list_is_told_again_with_what_was_done_about_it(ask: Ask) -> None:
    async def scenario(http: httpx.AsyncClient) -> None:
        shown = (await http.get("/v1/recommend?user=ann&limit=3")).json()
        second = shown["items"][1]["item"]
        await http.post("/v1/events", json={"user": "ann", "action": "click", "item": second})
        found = (await http.get(f"/v1/slates/{shown['id']}")).json()
        assert found["slate"] == shown
        assert found["query"]["limit"] == 3
        assert [(one["item"], one["place"], list(one["actions"])) for one in found["done"]] == [(second, 2, ["click"])]
        assert (found["reward"], found["settled"]) == (1.0, False)
        report = (await http.get("/v1/feedback")).json()
        assert (report["waiting"], report["live"]) == (1, [])

    ask(scenario)


def test_a_list_that_comes_with_an_acknowledgement_counts_as_shown(ask: Ask) -> None:
    async def scenario(http: httpx.AsyncClient) -> None:
        event = {"user": "ann", "action": "click", "item": "i1"}
        slate = (await http.post("/v1/events?recommend=4", json=event)).json()["slate"]
        assert (await http.get(f"/v1/slates/{slate['id']}")).json()["slate"] == slate

    ask(scenario)


def test_a_list_that_nobody_looks_at_does_not_count(ask: Ask) -> None:
    async def scenario(http: httpx.AsyncClient) -> None:
        for question in ({"track": False}, {"time": time.time() - 60}):
            assert "id" not in (await http.post("/v1/recommend", json={"user": "ann", **question})).json()
        assert "id" not in (await http.get("/v1/recommend?user=ann&time=1700000000")).json()
        assert (await http.get("/v1/feedback")).json()["waiting"] == 0

    ask(scenario)


@pytest.mark.parametrize(
    ("path", "status", "field"),
    [
        ("/v1/slates/nothing", 404, "slate"),
        ("/v1/slates/0000000000000000", 404, "slate"),
        ("/v1/feedback?hours=0", 422, "hours"),
        ("/v1/feedback?hours=nan", 422, "hours"),
        ("/v1/feedback?days=1", 422, "days"),
    ],
)
def test_what_makes_no_sense_is_a_problem(ask: Ask, path: str, status: int, field: str) -> None:
    answer = ask(lambda http: http.get(path))
    assert (answer.status_code, answer.json()["field"]) == (status, field)
    assert answer.json()["way_out"]


def test_a_killed_server_still_knows_what_it_showed_a_moment_ago(server: Server) -> None:
    async def fill() -> Any:
        async with httpx.AsyncClient(base_url=server.url) as http:
            await http.put("/v1/items", json=[{"id": f"i{k}", "vectors": {"v": [1.0, k / 9]}} for k in range(6)])
            shown = (await http.get("/v1/recommend?user=ann&limit=3")).json()
            await http.post("/v1/events", json={"user": "ann", "action": "click", "item": shown["items"][0]["item"]})
            await asyncio.sleep(1.0)  # lists are written a few times a second, and no event waits for them
            return shown

    shown = asyncio.run(fill())
    server.stop(9)
    again = Server(server.folder).ready()
    found = httpx.get(f"{again.url}/v1/slates/{shown['id']}").json()
    assert found["slate"] == shown
    assert found["reward"] == 1.0
    again.stop()
