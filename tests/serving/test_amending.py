"""Parts of what was sent change by addresses of their own: patches, retractions, sessions that become somebody's."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import httpx
import pytest

from penchant.engine import Engine
from tests.serving.conftest import Ask, asked
from tests.serving.test_http import items, problem, shown

FILM = {"id": "x/1", "fields": {"title": "Alien", "year": 1979, "by": {"first": "Ridley"}}, "vectors": {"v": [1.0]}}


def test_a_patch_changes_what_it_names_and_null_takes_a_field_away(ask: Ask) -> None:
    async def scenario(http: httpx.AsyncClient) -> None:
        await http.put("/v1/items", json=FILM)
        change = {"fields": {"year": None, "price": 7.9, "by": {"last": "Scott"}}, "available": False}
        assert (await http.patch("/v1/items/x%2F1", json=change)).json()["accepted"] == 1
        after = (await http.get("/v1/items/x%2F1")).json()
        assert after["fields"] == {"title": "Alien", "by": {"first": "Ridley", "last": "Scott"}, "price": 7.9}
        assert (after["vectors"], after["available"]) == ({"v": [1.0]}, False)
        assert shown(await http.get("/v1/recommend")) == []
        await http.patch("/v1/items/x%2F1", json={"available": True})
        assert shown(await http.get("/v1/recommend")) == ["x/1"]
        await http.put("/v1/users", json={"id": "ann", "fields": {"age": 34, "speaks": ["en"]}})
        await http.patch("/v1/users/ann", json={"fields": {"age": 35, "speaks": None, "city": "Aachen"}})
        assert (await http.get("/v1/users/ann")).json()["fields"] == {"age": 35, "city": "Aachen"}

    ask(scenario)


def test_patches_at_once_do_not_lose_each_other(ask: Ask) -> None:
    async def scenario(http: httpx.AsyncClient) -> None:
        await http.put("/v1/items", json=FILM)
        await asyncio.gather(*[http.patch("/v1/items/x%2F1", json={"fields": {f"f{k}": k}}) for k in range(40)])
        fields = (await http.get("/v1/items/x%2F1")).json()["fields"]
        assert fields == FILM["fields"] | {f"f{k}": k for k in range(40)}  # type: ignore[operator]

    ask(scenario)


def test_what_was_never_sent_cannot_be_patched(ask: Ask) -> None:
    async def scenario(http: httpx.AsyncClient) -> None:
        found = problem(await http.patch("/v1/items/nothing", json={"fields": {"a": 1}}), 404)
        assert (found["field"], found["value"]) == ("item", "'nothing'")
        found = problem(await http.patch("/v1/users/nobody", json={"fields": {"a": 1}}), 404)
        assert (found["field"], found["value"]) == ("user", "'nobody'")
        await http.put("/v1/items", json=FILM)
        await http.delete("/v1/items/x%2F1")
        problem(await http.patch("/v1/items/x%2F1", json={"fields": {"a": 1}}), 404)
        assert (await http.get("/health/ready")).json()["as_of"] == 2

    ask(scenario)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"title": "Alien"}, "title"),
        ({"fields": None}, "fields"),
        ({"fields": {"n": 10**30}}, "fields.n"),
        ({"vectors": {"v": []}}, "vectors.v"),
        ({"vectors": {"v": None}}, "vectors[...]"),
        ({"available": "no"}, "available"),
        ({"id": "y"}, "id"),
        ([{"fields": {}}], "body"),
    ],
)
def test_a_wrong_patch_is_refused_with_its_field(ask: Ask, body: Any, field: str) -> None:
    async def scenario(http: httpx.AsyncClient) -> None:
        await http.put("/v1/items", json=FILM)
        found = problem(await http.patch("/v1/items/x%2F1", json=body), 422)
        assert found["field"] == field
        assert found["way_out"]

    ask(scenario)


def test_a_retracted_click_is_as_if_it_had_never_been(ask: Ask) -> None:
    async def scenario(http: httpx.AsyncClient) -> None:
        await http.put("/v1/items", json=items(4))
        await http.post("/v1/events", json={"id": "a/b", "user": "ann", "action": "click", "item": "i0"})
        assert "i0" not in shown(await http.get("/v1/recommend?user=ann"))
        for _ in range(2):  # sent again, it is no mistake
            assert (await http.delete("/v1/events/a%2Fb?user=ann")).json()["accepted"] == 1
        answer = await http.get("/v1/recommend?user=ann")
        assert "i0" in shown(answer)
        assert answer.json().get("user_as_of", 0) == 0

    ask(scenario)


def test_what_never_happened_cannot_be_retracted(ask: Ask) -> None:
    async def scenario(http: httpx.AsyncClient) -> None:
        for path in ("nothing", "nothing?user=ann", "%20", "x" * 600):
            found = problem(await http.delete(f"/v1/events/{path}"), 404)
            assert found["field"] == "id"
        assert problem(await http.delete("/v1/events/nothing?user=%20"), 422)["field"] == "user"

    ask(scenario)


def test_a_session_becomes_somebodys_at_login_and_what_comes_late_is_theirs_too(engine: Engine) -> None:
    async def scenario(http: httpx.AsyncClient) -> None:
        await http.put("/v1/items", json=items(4))
        names = {(await http.post("/v1/sessions")).json()["session"] for _ in range(20)}
        assert len(names) == 20
        assert all(re.fullmatch(r"s\.[0-9a-f]{32}", name) for name in names)
        session = names.pop()
        await http.post("/v1/events", json={"user": session, "action": "click", "item": "i0"})
        for merged in (1, 0):  # the second time it is known already
            assert (await http.put(f"/v1/sessions/{session}", json={"user": "ann"})).json()["accepted"] == merged
        await http.post("/v1/events", json={"user": session, "action": "click", "item": "i1"})
        assert set(shown(await http.get("/v1/recommend?user=ann"))) == {"i2", "i3"}
        found = problem(await http.put(f"/v1/sessions/{session}", json={"user": "bob"}), 422)
        assert (found["field"], found["value"]) == ("id", repr(session))
        assert "new session" in found["way_out"]

    asked(engine, scenario)


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("s.1", {}, "user"),
        ("s.1", {"user": ""}, "user"),
        ("s.1", {"user": "s.1"}, "id"),
        ("%20", {"user": "ann"}, "id"),
        ("s.1", {"usr": "ann"}, "usr"),
    ],
)
def test_a_wrong_login_is_refused_with_its_field(ask: Ask, path: str, body: Any, field: str) -> None:
    assert problem(ask(lambda http: http.put(f"/v1/sessions/{path}", json=body)), 422)["field"] == field
