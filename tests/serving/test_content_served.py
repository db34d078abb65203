"""Texts as they are asked for over HTTP: what is written in process, and errors by name."""

from __future__ import annotations

from typing import Any

import httpx
import msgspec
import pytest

from penchant import Writing
from penchant.engine import Engine
from tests.conftest import OpenEngine, click
from tests.serving.conftest import Ask
from tests.test_explaining import with_films


@pytest.fixture
def engine(open_engine: OpenEngine) -> Engine:
    return with_films(open_engine())


def test_what_is_written_is_what_is_written_in_process_and_counts_as_no_list(ask: Ask, engine: Engine) -> None:
    engine.ingest([click("ann", "i0", id="the click")])
    wanted = {"user": "ann", "items": ["i11", "i1"], "language": "zh", "tone": "warm"}
    here = msgspec.to_builtins(engine.compose(msgspec.convert(wanted, Writing)))

    async def scenario(http: httpx.AsyncClient) -> None:
        answer = await http.post("/v1/content", json=wanted)
        assert answer.json() == here
        assert [one["writer"] for one in answer.json()["contents"]] == ["template"] * 2
        assert (await http.get("/v1/feedback")).json()["waiting"] == 0

    ask(scenario)


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({"items": ["i1"], "kind": "poem"}, 422, "kind"),
        ({"items": ["i1"], "longest": 0}, 422, "longest"),
        ({"items": ["i1"] * 101}, 422, "items"),
        ({"user": "ann"}, 422, "items"),
        ({"items": ["i1"], "slat": "x"}, 422, "slat"),
        ({"items": ["nothing"]}, 404, "item"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(ask: Ask, body: dict[str, Any], status: int, field: str) -> None:
    async def scenario(http: httpx.AsyncClient) -> None:
        answer = await http.post("/v1/content", json=body)
        assert (answer.status_code, answer.json()["field"]) == (status, field)
        assert answer.json()["way_out"]

    ask(scenario)
