"""Reasons as they are asked for over HTTP, and by the client."""

from __future__ import annotations

import httpx
import pytest

from penchant import Query
from penchant.client import Client
from penchant.engine import Engine
from tests.conftest import OpenEngine, circle
from tests.serving.conftest import Ask, Server
from tests.serving.test_http import items

CLICKED = {"id": "the click", "user": "ann", "action": "click", "item": "i1"}


@pytest.fixture
def engine(open_engine: OpenEngine) -> Engine:
    engine = open_engine()
    engine.ingest(circle(8))
    engine.wait_for_items()
    return engine


@pytest.mark.parametrize(
    "address", ["/v1/recommend?user=ann", "/v1/search?user=ann&words=item", "/v1/similar?item=i3", "post"]
)
def test_every_list_is_explained_where_it_is_asked_for(ask: Ask, address: str) -> None:
    async def scenario(http: httpx.AsyncClient) -> None:
        await http.post("/v1/events", json=CLICKED)
        if address == "post":
            body = {"user": "ann", "explain": True, "language": "zh", "limit": 2}
            told = await http.post("/v1/recommend", json=body)
        else:
            told = await http.get(f"{address}&explain=true&language=zh&limit=2")
            assert "reason" not in (await http.get(f"{address}&limit=2")).json()["items"][0]
        for one in told.json()["items"]:
            moved = [(event["event"], event["item"]) for event in one["reason"].get("moved", [])]
            assert moved == ([] if "similar" in address else [("the click", "i1")])
            assert not one["reason"]["text"].isascii()

    ask(scenario)


def test_a_list_is_explained_afterwards(ask: Ask) -> None:
    async def scenario(http: httpx.AsyncClient) -> None:
        await http.post("/v1/events", json=CLICKED)
        shown = (await http.get("/v1/recommend?user=ann&limit=2&explain=true")).json()
        found = (await http.get(f"/v1/slates/{shown['id']}?explain=true")).json()["slate"]
        texts = [[one["reason"]["text"] for one in slate["items"]] for slate in (shown, found)]
        assert texts[0] == texts[1]
        assert found["items"][0]["reason"]["as_of"] == shown["as_of"]
        assert "reason" not in (await http.get(f"/v1/slates/{shown['id']}")).json()["slate"]["items"][0]

    ask(scenario)


def test_a_language_that_is_not_spoken_is_refused_by_name(ask: Ask) -> None:
    async def scenario(http: httpx.AsyncClient) -> None:
        answer = await http.get("/v1/recommend?user=ann&explain=true&language=fr")
        assert (answer.status_code, answer.json()["field"]) == (422, "language")

    ask(scenario)


def test_the_client_reads_reasons(server: Server) -> None:
    httpx.put(f"{server.url}/v1/items", json=items(6))
    with Client(server.url) as client:
        httpx.post(f"{server.url}/v1/events", json=CLICKED)
        slate = client.recommend(Query(user="ann", limit=2, explain=True))
        again = client.slate(slate.id or "", explain=True, language="zh").slate
        searched = client.search(Query(user="ann", words="item", limit=2, explain=True))
        for list_ in (slate, again, searched):
            assert [one.reason.moved[0].event for one in list_.items if one.reason is not None] == ["the click"] * 2
        assert client.slate(slate.id or "").slate.items[0].reason is None
