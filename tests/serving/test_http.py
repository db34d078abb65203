"""What an application meets over HTTP: lists that know its events, errors that say what to do, a clean end."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import socket
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import penchant
from penchant import Event, Query, Unavailable
from penchant.engine import Engine
from penchant.serving.http import MAX_BODY, application
from penchant.serving.server import serve
from penchant.storage.state_store import read_snapshot
from tests.conftest import NOW, OpenEngine, circle
from tests.serving.conftest import Ask, Server, asked, free_port

CLICK = {"user": "ann", "action": "click", "item": "i0"}


def items(count: int) -> list[dict[str, Any]]:
    """A circle of items, as an application sends them."""
    return [
        {"id": event.item, "fields": event.fields | {"half": k * 2 // count}, "vectors": event.vectors, "time": NOW}
        for k, event in enumerate(circle(count))
    ]


def shown(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [candidate["item"] for candidate in answer.json()["items"]]


def problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    """The problem that an answer is; every one has the members of RFC 9457."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    found: dict[str, Any] = answer.json()
    assert found["status"] == status
    assert all(found[name] for name in ("type", "title", "detail"))
    return found


# -- what is asked and answered ----------------------------------------------------------------------------------------


def test_an_event_acknowledged_is_known_to_the_next_list(ask: Ask) -> None:
    async def scenario(http: httpx.AsyncClient) -> None:
        await http.put("/v1/items", json=items(6))
        for k in range(5):
            receipt = (await http.post("/v1/events", json=CLICK | {"item": f"i{k}"})).json()
            answer = await http.get("/v1/recommend", params={"user": "ann"})
            assert answer.json()["as_of"] >= receipt["as_of"]
            assert answer.json()["user_as_of"] == receipt["as_of"]
            assert f"i{k}" not in shown(answer)

    ask(scenario)


def test_a_list_of_events_and_an_envelope_are_taken_alike(ask: Ask) -> None:
    async def scenario(http: httpx.AsyncClient) -> list[Any]:
        one = await http.post("/v1/events", json=CLICK)
        many = await http.post("/v1/events", json=[CLICK, CLICK])
        wrapped = await http.post("/v1/events", content=b' {"events": [' + json.dumps(CLICK).encode() + b"]}")
        empty = await http.post("/v1/events", json=[])
        return [answer.json()["accepted"] for answer in (one, many, wrapped, empty)]

    assert ask(scenario) == [1, 2, 1, 0]


def test_the_acknowledgement_brings_the_fresh_list_of_the_last_person(ask: Ask) -> None:
    async def scenario(http: httpx.AsyncClient) -> None:
        await http.put("/v1/items", json=items(6))
        both = [CLICK, CLICK | {"user": "bob", "item": "i1"}, {"kind": "user", "user": "cleo"}]
        answer = (await http.post("/v1/events?recommend=6", json=both)).json()
        assert answer["accepted"] == 3
        assert answer["slate"]["user"] == "bob"
        assert answer["slate"]["as_of"] >= answer["as_of"]
        assert sorted(one["item"] for one in answer["slate"]["items"]) == ["i0", "i2", "i3", "i4", "i5"]
        answer = (await http.post("/v1/events?recommend=1&user=ann", json=both)).json()
        assert answer["slate"]["user"] == "ann"
        assert len(answer["slate"]["items"]) == 1

    ask(scenario)


def test_the_list_in_an_acknowledgement_is_left_out_when_too_many_queries_wait(
    ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("penchant.serving.threads.MOST_QUERIES", 0)
    answer = ask(lambda http: http.post("/v1/events?recommend=3", json=CLICK)).json()
    assert answer["accepted"] == 1
    assert "slate" not in answer


def test_lists_obey_conditions_and_say_what_they_removed(ask: Ask) -> None:
    async def scenario(http: httpx.AsyncClient) -> None:
        await http.put("/v1/items", json=items(8))
        await http.post("/v1/events", json=CLICK)
        asked_for = {"user": "ann", "limit": "20", "where": ["half=0..0", "title=item 1"], "removed": "true"}
        answer = await http.get("/v1/recommend", params=asked_for)
        assert shown(answer) == ["i1"]
        removed = {one["item"]: one["removed"] for one in answer.json()["removed"]}
        assert removed["i0"] == "seen"
        assert removed["i5"] == "condition"
        ruled = {"user": "ann", "limit": "20", "filter": 'half == 0 and not seen(1d) and "1" in title'}
        assert shown(await http.get("/v1/recommend", params=ruled)) == ["i1"]
        assert shown(await http.get("/v1/similar", params={"item": "i0", "filter": "half > 0"}))[:1] != []
        assert shown(await http.get("/v1/search", params={"words": "item", "filter": 'title == "item 5"'})) == ["i5"]
        assert "i0" in shown(await http.get("/v1/recommend?user=ann&limit=20&seen=allow"))
        assert "i0" not in shown(await http.get("/v1/recommend?user=ann&limit=20&seen=60"))
        later = {"user": "ann", "limit": "20", "seen": "60", "time": str(NOW + 10**9)}
        assert "i0" in shown(await http.get("/v1/recommend", params=later))
        assert (await http.get("/v1/recommend", params=later)).json()["time"] == NOW + 10**9

    ask(scenario)


def test_what_is_similar_and_what_words_name(engine: Engine) -> None:
    async def scenario(http: httpx.AsyncClient) -> None:
        await http.put("/v1/items", json=items(8))
        await asyncio.to_thread(engine.wait_for_items)
        assert set(shown(await http.get("/v1/similar?item=i0&limit=2"))) == {"i1", "i7"}
        assert set(shown(await http.get("/v1/similar?item=i0&where=half=1"))) == {"i4", "i5", "i6", "i7"}
        assert shown(await http.get("/v1/search?words=item+5&limit=1")) == ["i5"]
        assert shown(await http.get("/v1/search?words=item+5&where=half=0&user=ann&limit=8"))[0] in {
            "i0",
            "i1",
            "i2",
            "i3",
        }

    asked(engine, scenario)


def test_an_item_sent_again_is_replaced_and_a_removed_one_is_gone(ask: Ask) -> None:
    async def scenario(http: httpx.AsyncClient) -> None:
        await http.put("/v1/items", json=items(3))
        await http.put("/v1/items", json=items(3)[1] | {"available": False})
        assert set(shown(await http.get("/v1/recommend"))) == {"i0", "i2"}
        await http.post("/v1/events", json={"kind": "item", "item": "i2", "removed": True})
        assert shown(await http.get("/v1/recommend")) == ["i0"]

    ask(scenario)


def test_an_erasure_is_answered_with_its_proof(ask: Ask) -> None:
    async def scenario(http: httpx.AsyncClient) -> Any:
        await http.post("/v1/events", json=[CLICK, CLICK])
        return (await http.post("/v1/events", json={"kind": "erasure", "user": "ann"})).json()["erased"]

    (proof,) = ask(scenario)
    assert (proof["events"], proof["offset"]) == (2, 3)


def test_ready_says_as_of_when(ask: Ask) -> None:
    async def scenario(http: httpx.AsyncClient) -> Any:
        await http.put("/v1/items", json=items(5))
        await http.post("/v1/events", json=CLICK)
        return (await http.get("/health/ready")).json()

    state = ask(scenario)
    state.pop("texts_waiting")
    version = state.pop("version")
    assert version.startswith("v0")
    assert state == {"penchant": penchant.__version__, "as_of": 6, "items": 5, "people": 1, "warnings": []}


def test_words_move_a_list_and_find_what_they_mean(open_reading_engine: OpenEngine) -> None:
    films = {
        "alien": "A crew in deep space is hunted by a monster",
        "gravity": "Astronauts are stranded in orbit around the earth",
        "ratatouille": "A rat becomes a chef in a restaurant in Paris",
        "julie": "A woman cooks every recipe of a French cookbook",
    }
    engine = open_reading_engine()

    async def scenario(http: httpx.AsyncClient) -> None:
        sent = [{"id": name, "fields": {"plot": plot}} for name, plot in films.items()]
        await http.put("/v1/items", json=sent)
        await asyncio.to_thread(engine.wait_for_items)
        found = shown(await http.get("/v1/search", params={"words": "rockets and the universe", "limit": 2}))
        assert set(found) == {"alien", "gravity"}
        said = {"user": "ann", "action": "search", "words": "dishes and kitchens"}
        answer = (await http.post("/v1/events?recommend=2", json=said)).json()
        assert {one["item"] for one in answer["slate"]["items"]} == {"ratatouille", "julie"}

    asked(engine, scenario)


# -- errors ------------------------------------------------------------------------------------------------------------


def test_an_invalid_event_is_a_problem_that_names_field_value_and_way_out(ask: Ask) -> None:
    found = problem(ask(lambda http: http.post("/v1/events", json=CLICK | {"action": "clik"})), 422)
    assert found["field"] == "action"
    assert found["value"] == "'clik'"
    assert "click" in found["way_out"]
    assert "refused" not in found


@pytest.mark.parametrize(
    ("event", "field", "value"),
    [
        ({"user": 7, "action": "click", "item": "i0"}, "user", "7"),
        ({"usr": "ann", "action": "click", "item": "i0"}, "usr", "'ann'"),
        ({"kind": "clik"}, "kind", "'clik'"),
        (CLICK | {"context": {"a": [1]}}, "context[...]", "{'a': [1]}"),
        ({"kind": "item", "item": "x", "vectors": {"v": [1, "x"]}}, "vectors[...][1]", "{'v': [1, 'x']}"),
        (CLICK | {"value": 1e300}, "value", "1e+300"),
        (CLICK | {"time": 1e14}, "time", "100000000000000.0"),
        ({"kind": "item", "item": "x", "fields": {"n": 10**30}}, "fields.n", "1" + "0" * 30),
        ({}, "user", "None"),
        ({"kind": "retraction", "target": "nothing"}, "target", "'nothing'"),
    ],
)
def test_a_malformed_event_names_its_field(ask: Ask, event: dict[str, Any], field: str, value: str) -> None:
    found = problem(ask(lambda http: http.post("/v1/events", json=event)), 422)
    assert (found["field"], found["value"]) == (field, value)
    assert found["way_out"]


def test_in_a_list_what_is_wrong_is_refused_in_its_place_and_the_rest_taken(ask: Ask) -> None:
    events = [CLICK | {"user": 1}, CLICK, CLICK | {"action": "clik"}, 3, CLICK, CLICK | {"usr": "ann"}]
    answer = ask(lambda http: http.post("/v1/events", json=events))
    assert answer.status_code == 200
    assert answer.json()["accepted"] == 2
    refused = [(one["index"], one["field"]) for one in answer.json()["refused"]]
    assert refused == [(0, "user"), (2, "action"), (3, "body"), (5, "usr")]


def test_a_list_of_which_nothing_is_taken_is_a_problem_with_every_refusal(ask: Ask) -> None:
    found = problem(ask(lambda http: http.post("/v1/events", json=[CLICK | {"action": "clik"}, {"usr": 1}])), 422)
    assert [one["index"] for one in found["refused"]] == [0, 1]
    assert found["field"] == "action"


def test_events_sent_again_are_no_problem(ask: Ask) -> None:
    async def scenario(http: httpx.AsyncClient) -> Any:
        event = CLICK | {"id": "e1"}
        await http.post("/v1/events", json=event)
        return (await http.post("/v1/events", json=[event, event | {"id": "e2", "action": "clik"}])).json()

    answer = ask(scenario)
    assert answer["accepted"] == 0
    assert answer["duplicates"] == ["e1"]


def test_an_item_is_refused_under_the_names_of_an_item(ask: Ask) -> None:
    async def scenario(http: httpx.AsyncClient) -> None:
        assert problem(await http.put("/v1/items", json={"id": ""}), 422)["field"] == "id"
        found = problem(await http.put("/v1/items", json={"titel": "Alien", "id": "x"}), 422)
        assert found["field"] == "titel"
        assert "fields" in found["way_out"]
        assert problem(await http.put("/v1/items", json={"fields": {}}), 422)["way_out"] == "Send `id`."

    ask(scenario)


@pytest.mark.parametrize(
    ("query", "field", "value"),
    [
        ("recommend?limit=0", "limit", "'0'"),
        ("recommend?limit=many", "limit", "'many'"),
        ("recommend?limt=3", "limt", "'3'"),
        ("recommend?seen=never", "seen", "'never'"),
        ("recommend?seen=-1", "seen", "'-1'"),
        ("recommend?seen=nan", "seen", "'nan'"),
        ("recommend?time=nan", "time", "'nan'"),
        ("recommend?time=1700000000000", "time", "'1700000000000'"),
        ("recommend?removed=perhaps", "removed", "'perhaps'"),
        ("recommend?where=genre", "where", "'genre'"),
        ("recommend?where=year=a..b", "where", "'year=a..b'"),
        ("recommend?filter=half+<", "filter", "'half <'"),
        ("search?words=a&filter=half+<+'a'+and+3", "filter", "\"half < 'a' and 3\""),
        ("search", "words", "None"),
        ("search?words=", "words", "''"),
        ("similar", "item", "None"),
    ],
)
def test_a_wrong_parameter_is_named(ask: Ask, query: str, field: str, value: str) -> None:
    found = problem(ask(lambda http: http.get(f"/v1/{query}")), 422)
    assert (found["field"], found["value"]) == (field, value)
    assert found["way_out"]


def test_what_is_not_there_is_a_404(ask: Ask) -> None:
    async def scenario(http: httpx.AsyncClient) -> None:
        found = problem(await http.get("/v1/similar?item=nothing"), 404)
        assert (found["field"], found["value"]) == ("item", "'nothing'")
        found = problem(await http.get("/v1/recomend"), 404)
        assert found["value"] == "'GET /v1/recomend'"

    ask(scenario)


def test_another_method_is_a_405_that_names_the_right_one(ask: Ask) -> None:
    answer = ask(lambda http: http.get("/v1/events"))
    problem(answer, 405)
    assert "POST" in answer.headers["allow"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"nope",
        b"\xff\xfe",
        b'{"value": NaN}',
        b'{"user": "\\ud800"}',
        b"[" * 99_999,
        b"0 0",
        b'{"user": 1} x',
    ],
)
def test_what_is_not_json_is_a_400(ask: Ask, body: bytes) -> None:
    found = problem(ask(lambda http: http.post("/v1/events", content=body)), 400)
    assert "JSON" in found["way_out"]


def test_a_body_that_is_too_large_is_a_413(ask: Ask) -> None:
    problem(ask(lambda http: http.put("/v1/items", content=b" " * (MAX_BODY + 1))), 413)


def test_a_defect_is_told_without_its_insides(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def secret(queries: Any) -> Any:
        raise RuntimeError("secret")

    monkeypatch.setattr(engine, "decide_many", secret)
    monkeypatch.setattr(engine, "recommend", secret)
    answer = asked(engine, lambda http: http.get("/v1/recommend"))
    problem(answer, 500)
    assert "secret" not in answer.text
    assert "secret" in caplog.text


def test_a_log_that_cannot_be_written_is_a_503_and_the_server_goes_on(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = engine.parts.log.append
    full = [True]

    def failing(events: Sequence[Event], **more: Any) -> Any:
        if full:
            raise Unavailable("the log could not be written.", field="data", value="x", way_out="Free disk space.")
        return append(events, **more)

    monkeypatch.setattr(engine.parts.log, "append", failing)

    async def scenario(http: httpx.AsyncClient) -> None:
        answer = await http.post("/v1/events", json=CLICK)
        assert problem(answer, 503)["way_out"] == "Free disk space."
        assert int(answer.headers["retry-after"]) > 0
        assert (await http.get("/v1/recommend?user=ann")).status_code == 200
        full.clear()
        assert (await http.post("/v1/events", json=CLICK)).json()["as_of"] == 1

    asked(engine, scenario)


def test_while_the_folder_is_being_opened_everything_is_a_503() -> None:
    async def main() -> None:
        asgi: Any = application()
        async with httpx.AsyncClient(transport=httpx.ASGITransport(asgi), base_url="http://penchant") as http:
            for path in ("/health/ready", "/v1/recommend"):
                answer = await http.get(path)
                assert "opened" in problem(answer, 503)["detail"]
                assert answer.headers["retry-after"]

    asyncio.run(main())


BODIES = ["PUT /v1/users", "POST /v1/events", "PUT /v1/items", "POST /v1/recommend", "POST /v1/rank"]
_scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
_json = st.recursive(_scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner))
_names = st.sampled_from([*Event.__struct_fields__, *Query.__struct_fields__, "items", "events", "usr"])
_likely = st.sampled_from(
    ["interaction", "item", "alias", "erasure", "retraction", "click", "ann", "i0", 1e300, -1, True]
)
_events = st.dictionaries(_names, _likely | _json, max_size=8)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=_events | st.lists(_events, max_size=4) | _json, path=st.sampled_from(BODIES))
def test_no_body_makes_the_server_fail(ask: Ask, body: Any, path: str) -> None:
    method, _, address = path.partition(" ")
    answer = ask(lambda http: http.request(method, address, content=json.dumps(body)))
    assert answer.status_code < 500, (body, answer.text)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    path=st.sampled_from(["recommend", "search", "similar"]),
    query=st.dictionaries(
        st.sampled_from(["user", "limit", "where", "filter", "seen", "time", "removed", "words", "item"]),
        st.sampled_from(["i0", "ann", "3", "half=1", "half=0..", "1e9", "true", "half < 1", "not seen(1d)"])
        | st.text(max_size=9),
    ),
)
def test_no_query_makes_the_server_fail(ask: Ask, path: str, query: dict[str, str]) -> None:
    answer = ask(lambda http: http.get(f"/v1/{path}", params=query))
    assert answer.status_code < 500, (query, answer.text)


def test_a_list_is_asked_for_with_a_body_too_and_items_are_put_into_order(engine: Engine) -> None:
    async def scenario(http: httpx.AsyncClient) -> None:
        await http.put("/v1/items", json=items(8))
        await asyncio.to_thread(engine.wait_for_items)
        await http.post("/v1/events", json=CLICK)
        question = {"user": "ann", "limit": 20, "context": {"half": 1}, "filter": "half == context.half"}
        assert set(shown(await http.post("/v1/recommend", json=question))) == {"i4", "i5", "i6", "i7"}
        assert shown(await http.post("/v1/recommend", json={"user": "ann", "limit": 3})) == shown(
            await http.get("/v1/recommend?user=ann&limit=3")
        )
        given_ = {"user": "ann", "items": ["i5", "i0", "i1", "i5"], "context": {"half": 0}}
        assert sorted(shown(await http.post("/v1/rank", json=given_))) == ["i0", "i1", "i5"]
        assert sorted(shown(await http.post("/v1/rank", json=given_ | {"filter": "half == context.half"}))) == [
            "i0",
            "i1",
        ]
        assert problem(await http.post("/v1/rank", json={"items": ["i5", "i99"]}), 404)["value"] == "'i99'"

    asked(engine, scenario)


def test_what_was_sent_is_read_page_by_page_and_taken_out_again(engine: Engine) -> None:
    async def scenario(http: httpx.AsyncClient) -> None:
        sent = [{"id": f"shelf/{k}", "fields": {"title": f"book {k}"}, "vectors": {"v": [1.0, 0.5]}} for k in range(5)]
        await http.put("/v1/items", json=sent)
        read = (await http.get("/v1/items/shelf/3")).json()
        assert {name: read[name] for name in sent[3]} == sent[3]
        pages, after = [], {}
        while after is not None:
            page = (await http.get("/v1/items", params={"limit": 2} | after)).json()
            pages.append([one["id"] for one in page["items"]])
            after = {"after": page["next"]} if "next" in page else None
        assert pages == [["shelf/0", "shelf/1"], ["shelf/2", "shelf/3"], ["shelf/4"]]
        assert (await http.delete("/v1/items/shelf/1")).json()["accepted"] == 1
        assert problem(await http.get("/v1/items/shelf/1"), 404)["field"] == "item"
        assert problem(await http.delete("/v1/items/shelf/1"), 404)["value"] == "'shelf/1'"
        left = (await http.get("/v1/items", params={"after": "shelf/1"})).json()
        assert [one["id"] for one in left["items"]] == ["shelf/2", "shelf/3", "shelf/4"]
        assert problem(await http.get("/v1/items?after=nowhere"), 404)["field"] == "after"

    asked(engine, scenario)


def namable(name: str) -> bool:
    """An address cannot end in nothing but slashes, or in what every client takes for a step up."""
    return bool(name.strip("/")) and name not in (".", "..")


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    names=st.lists(st.text("aé/.% ?#+", min_size=1, max_size=5).filter(namable), min_size=2, max_size=4, unique=True)
)
def test_an_id_is_told_from_every_other_whatever_its_letters(ask: Ask, names: list[str]) -> None:
    async def scenario(http: httpx.AsyncClient) -> None:
        sent = (await http.put("/v1/items", json=[{"id": name} for name in names])).json()
        taken = [
            name for place, name in enumerate(names) if place not in {one["index"] for one in sent.get("refused", ())}
        ]
        for name in taken:
            assert (await http.get(f"/v1/items/{quote(name, safe='')}")).json()["id"] == name
        for name in taken[1:]:
            assert (await http.delete(f"/v1/items/{quote(name, safe='')}")).json()["accepted"] == 1
        for name in taken[:1]:
            assert (await http.get(f"/v1/items/{quote(name, safe='')}")).json()["id"] == name
            await http.delete(f"/v1/items/{quote(name, safe='')}")

    ask(scenario)


@pytest.mark.parametrize("written", ["b%2F", "%2Fb", "b%2F%2Fc", "b//c", "b%FF"])
def test_a_server_does_not_take_one_id_for_another(server: Server, written: str) -> None:
    with httpx.Client(base_url=server.url) as http:
        http.put("/v1/items", json=[{"id": "b"}, {"id": "b/c"}])
        problem(http.delete(f"/v1/items/{written}"), 422 if "FF" in written else 404)
        assert http.get("/v1/items/b").json()["id"] == "b"
        assert http.get("/v1/items/b%2Fc").json()["id"] == "b/c"


def test_a_profile_is_sent_read_and_forgotten_with_the_person(engine: Engine) -> None:
    async def scenario(http: httpx.AsyncClient) -> None:
        ann = {"id": "ann", "fields": {"age": 34, "speaks": ["en"]}}
        assert problem(await http.get("/v1/users/ann"), 404)["field"] == "user"
        assert (await http.put("/v1/users", json=[ann, {"id": "bob", "fields": {"age": 9}}])).json()["accepted"] == 2
        assert (await http.get("/v1/users/ann")).json() == ann
        await http.put("/v1/items", json=items(4))
        await http.post("/v1/events", json=[CLICK, CLICK | {"user": "eve"}])
        assert (await http.get("/v1/users/eve")).json() == {"id": "eve"}
        (erased,) = (await http.delete("/v1/users/ann")).json()["erased"]
        assert erased["events"] == 2  # the profile and the click
        assert problem(await http.get("/v1/users/ann"), 404)["field"] == "user"
        assert problem(await http.delete("/v1/users/nobody"), 404)["value"] == "'nobody'"
        assert problem(await http.put("/v1/users", json={"fields": {}}), 422)["field"] == "id"

    asked(engine, scenario)


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("rank", {"user": "ann"}, "items"),
        ("rank", {"items": "i0"}, "items"),
        ("rank", {"items": ["i0"] * 1001}, "items"),
        ("rank", [{"items": ["i0"]}], "body"),
        ("recommend", {"usr": "ann"}, "usr"),
        ("recommend", {"limit": 2.5}, "limit"),
        ("recommend", {"limit": 0}, "limit"),
        ("recommend", {"seen": "never"}, "seen"),
        ("recommend", {"seen": -1}, "seen"),
        ("recommend", {"context": {"device": ["tv"]}}, "context[...]"),
        ("recommend", {"filter": "price <"}, "filter"),
        ("recommend", {"where": [{"field": "half"}]}, "where"),
    ],
)
def test_a_wrong_question_is_refused_with_its_field(ask: Ask, path: str, body: Any, field: str) -> None:
    found = problem(ask(lambda http: http.post(f"/v1/{path}", json=body)), 422)
    assert found["field"] == field
    assert found["way_out"]


# -- the description ---------------------------------------------------------------------------------------------------


def test_the_document_lists_every_route_with_examples(ask: Ask) -> None:
    document = ask(lambda http: http.get("/docs/openapi.json")).json()
    routes = {
        (re.sub(r":\w+}", "}", route.path), method.lower())
        for route in application().routes
        for method in getattr(route, "methods", ())
        if method != "OPTIONS" and not route.path.startswith("/docs") and route.path != "/metrics"  # is no JSON
    }
    described = {(path, method) for path, item in document["paths"].items() for method in item}
    assert described == routes
    for path, method in described:
        operation = document["paths"][path][method]
        assert operation["description"]
        for answer in operation["responses"].values():
            (content,) = answer["content"].values()
            assert content["examples"]
        if method in ("post", "put", "patch") and path != "/v1/sessions":  # which takes nothing
            assert operation["requestBody"]["content"]["application/json"]["examples"]
    references = json.dumps(document).split('"$ref": "')[1:]
    names = {reference.partition('"')[0].removeprefix("#/components/schemas/") for reference in references}
    assert names <= set(document["components"]["schemas"])


def test_examples_of_bodies_are_taken_by_the_server(ask: Ask) -> None:
    async def scenario(http: httpx.AsyncClient) -> None:
        document = (await http.get("/docs/openapi.json")).json()
        await http.put("/v1/items", json=[{"id": name} for name in ("alien", "aliens")])
        await http.put("/v1/users", json={"id": "ann"})
        operations = [(path, *one) for path, methods in document["paths"].items() for one in methods.items()]
        taking = [one for one in operations if "requestBody" in one[2]]
        assert len(taking) == 9
        for path, method, operation in taking:
            for example in operation["requestBody"]["content"]["application/json"]["examples"].values():
                name = "ann" if "users" in path else "alien"
                answer = await http.request(method, path.format(id=name), json=example["value"])
                assert answer.status_code == 200, (method, path, answer.text)

    ask(scenario)


def test_the_page_shows_every_route_and_loads_nothing(ask: Ask) -> None:
    page = ask(lambda http: http.get("/docs"))
    assert page.headers["content-type"].startswith("text/html")
    for path in application().openapi_schema.paths or {}:
        assert f" {path}</code>" in page.text
    assert "<script" not in page.text
    assert "http://127.0.0.1" in page.text
    assert "https://" not in page.text


# -- a process of its own ----------------------------------------------------------------------------------------------


def test_own_writes_are_seen_on_another_connection(server: Server) -> None:
    with httpx.Client(base_url=server.url) as writes, httpx.Client(base_url=server.url) as reads:
        writes.put("/v1/items", json=items(30))
        for k in range(20):
            acknowledged = writes.post("/v1/events", json={"user": "own", "action": "click", "item": f"i{k}"}).json()
            answer = reads.get("/v1/recommend?user=own&limit=100")
            assert answer.json()["as_of"] >= acknowledged["as_of"]
            assert answer.json()["user_as_of"] == acknowledged["as_of"]
            assert f"i{k}" not in shown(answer)


def test_two_hundred_at_once_and_none_is_lost(server: Server) -> None:
    async def main() -> tuple[list[Any], list[httpx.Response]]:
        limits = httpx.Limits(max_connections=40)
        async with httpx.AsyncClient(base_url=server.url, limits=limits, timeout=60) as http:
            events = [
                {"id": f"many-{k}", "user": f"many{k % 20}", "action": "click", "item": f"i{k}"} for k in range(200)
            ]
            posts = [http.post("/v1/events", json=event) for event in events]
            lists = [http.get(f"/v1/recommend?user=many{k % 20}") for k in range(200)]
            answers = await asyncio.gather(*[one for pair in zip(posts, lists, strict=True) for one in pair])
            after = await asyncio.gather(*[http.get(f"/v1/recommend?user=many{k}&limit=1000") for k in range(20)])
        return [answer.json() for answer in answers[::2]], [*answers[1::2], *after]

    acknowledged, lists = asyncio.run(main())
    assert sorted(one for receipt in acknowledged for one in receipt["ids"]) == sorted(f"many-{k}" for k in range(200))
    assert all(answer.status_code == 200 for answer in lists)
    newest = max(receipt["as_of"] for receipt in acknowledged)
    for person, answer in enumerate(lists[200:]):
        assert answer.json()["as_of"] >= newest
        assert not set(shown(answer)) & {f"i{k}" for k in range(person, 200, 20)}


def test_more_connections_than_a_hundred_are_kept_alive(server: Server) -> None:
    idle = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(200)]
    try:
        assert httpx.get(f"{server.url}/health/ready", timeout=30).status_code == 200
    finally:
        for connection in idle:
            connection.close()


def test_a_second_process_on_the_same_folder_is_refused_by_name(server: Server) -> None:
    second = Server(server.folder)
    said = second.said()
    assert second.process.returncode != 0
    assert f"process {server.process.pid} has this data folder open" in said


def test_a_second_process_on_the_same_port_is_refused_by_name(server: Server, tmp_path: Path) -> None:
    second = Server(tmp_path / "other", server.port)
    said = second.said()
    assert second.process.returncode != 0
    assert f"cannot listen on 127.0.0.1:{server.port}" in said
    assert not (tmp_path / "other").exists()


def test_a_server_needs_a_port(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="port=0"):
        serve(tmp_path, port=0)
    with pytest.raises(Unavailable, match=r"no\.such\.host"):
        serve(tmp_path, port=free_port(), host="no.such.host.invalid")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_server_leaves_all_it_acknowledged(tmp_path: Path, number: int) -> None:
    server = Server(tmp_path / "data").ready()
    acknowledged: list[str] = []

    def send(who: int) -> None:
        with httpx.Client(base_url=server.url, timeout=60) as http:
            for k in range(200):
                event = {"id": f"{who}-{k}", "user": f"u{who}", "action": "click", "item": f"i{k}"}
                try:
                    answer = http.post("/v1/events", json=event)
                except httpx.TransportError:
                    return
                if answer.status_code == 200:
                    acknowledged.append(f"{who}-{k}")
                    enough.set()

    enough = threading.Event()
    senders = [threading.Thread(target=send, args=(who,)) for who in range(4)]
    for sender in senders:
        sender.start()
    assert enough.wait(60)
    said = server.stop(number)
    for sender in senders:
        sender.join()
    assert server.process.returncode == 0, said
    snapshot = read_snapshot(tmp_path / "data" / "snapshots")
    with Engine.open(tmp_path / "data", encoder="none") as engine:
        kept = [logged.event.id for batch in engine.parts.log.replay() for logged in batch]
        assert set(acknowledged) <= set(kept)
        assert snapshot is not None
        assert snapshot[0] == engine.parts.as_of == len(kept)
