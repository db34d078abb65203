"""Policies as they are asked for over HTTP; the command line's own are in `test_cli`."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from penchant.engine import Engine
from tests.conftest import OpenEngine, circle, click
from tests.serving.conftest import Ask, asked


@pytest.fixture
def engine(open_engine: OpenEngine) -> Engine:
    engine = open_engine()
    sent = circle(12)
    for k, event in enumerate(sent):
        event.fields |= {"brand": "ABC"[k % 3]}
    engine.ingest(sent)
    engine.wait_for_items()
    engine.ingest([click("ann", "i0")])
    return engine


def shown(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [one["item"] for one in answer.json()["items"]]


def test_a_policy_comes_with_the_question(ask: Ask) -> None:
    async def scenario(http: httpx.AsyncClient) -> None:
        policy: dict[str, Any] = {"caps": {"brand": 1}, "pins": [{"item": "i6", "slot": 2}]}
        answer = await http.post("/v1/recommend", json={"user": "ann", "policy": policy})
        assert len(shown(answer)) == 3
        assert [one.get("placed") for one in answer.json()["items"]] == [None, "pinned", None]
        policy = {"sponsored": {"slots": [1], "bids": {"i6": 2.0}}}
        first = (await http.post("/v1/recommend", json={"user": "ann", "policy": policy})).json()["items"][0]
        assert (first["item"], first["placed"]) == ("i6", "sponsored")
        assert first["sponsorship"] == {"bid": 2.0, "probability": 1.0, "price": 0.0}

    ask(scenario)


def test_two_dials_are_parameters(ask: Ask) -> None:
    async def scenario(http: httpx.AsyncClient) -> None:
        plain = shown(await http.get("/v1/recommend?user=ann&limit=4"))
        assert shown(await http.get("/v1/recommend?user=ann&limit=4&diversity=0.8")) != plain
        assert shown(await http.get("/v1/recommend?user=ann&limit=4&stability=1")) == plain
        await http.post("/v1/events", json={"user": "ann", "action": "click", "item": "i6"})
        assert shown(await http.get("/v1/recommend?user=ann&limit=4&stability=1")) == plain
        assert shown(await http.get("/v1/recommend?user=ann&limit=4")) != plain
        for wrong in ("diversity=2", "stability=-0.1", "diversity=nan", "stability=much"):
            answer = await http.get(f"/v1/recommend?user=ann&{wrong}")
            assert answer.status_code == 422
            assert answer.json()["field"] == wrong.partition("=")[0]

    ask(scenario)


@pytest.mark.parametrize(
    ("policy", "field", "value"),
    [
        ({"diversity": 3}, "policy.diversity", "3.0"),
        ({"cap": {"brand": 1}}, "policy.cap", "{'brand': 1}"),
        ({"pins": [{"item": "i1"}]}, "policy.pins[0].slot", "None"),
        ({"promotions": [{"filter": "price <"}]}, "policy.promotions[0].filter", "'price <'"),
    ],
)
def test_a_wrong_policy_is_a_problem_with_its_field(ask: Ask, policy: Any, field: str, value: str) -> None:
    answer = ask(lambda http: http.post("/v1/recommend", json={"user": "ann", "policy": policy}))
    assert answer.status_code == 422
    assert (answer.json()["field"], answer.json()["value"]) == (field, value)
    assert answer.json()["way_out"]


def test_fields_of_a_policy_are_read_beside_the_engine_thread(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[set[str]] = []
    monkeypatch.setattr(engine, "read_fields", lambda names: read.append(set(names)))
    policy = {"caps": {"brand": 1}, "promotions": [{"filter": "price < 3", "boost": 1}]}

    async def scenario(http: httpx.AsyncClient) -> None:
        for _ in range(2):
            await asyncio.wait_for(http.post("/v1/recommend", json={"user": "ann", "policy": policy}), 30)

    asked(engine, scenario)
    assert read == [{"brand", "price"}]
