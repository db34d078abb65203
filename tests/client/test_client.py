"""What a program meets that talks to a server: the words and errors of the engine in process, and patience."""

from __future__ import annotations

import math
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penchant import Condition, Event, InvalidInput, Item, NotFound, PenchantError, Query, Unavailable, Writing
from penchant.client import Client, Refused, addresses
from penchant.client.answers import Failed, seconds
from penchant.client.retrying import Patience, Tries
from penchant.engine import Engine
from penchant.pipeline.filters import meets, parse
from penchant.types import Profile
from tests.client.conftest import AWAY, DRIP, DROP, RECEIPT, SILENCE, Connect, Odd, Server, Told, told
from tests.conftest import names

StartOdd = Callable[..., Odd]
FILMS = [
    Item(id=f"film {k}/é", fields={"year": 1970 + k, "kids": k % 2 == 0}, vectors={"v": [1.0, k / 9]}) for k in range(6)
]
CLICK = Event(user="ann", action="click", item="film 0/é")
PATIENT = 60.0


# -- what is asked and answered ----------------------------------------------------------------------------------------


def test_a_client_sees_what_it_sent(server: Server, connect: Connect) -> None:
    client = connect(server.url, timeout=PATIENT)
    assert client.put_items(FILMS).accepted == 6
    assert client.put_items(FILMS[0]).accepted == 1
    receipt = client.send(CLICK)
    slate = client.recommend(Query(user="ann", limit=20))
    assert slate.as_of >= receipt.as_of == slate.user_as_of
    assert "film 0/é" not in names(slate)
    assert {"film 1/é", "film 5/é"} <= set(names(slate))
    assert client.ready()["as_of"] >= receipt.as_of


def test_every_question_of_the_engine_can_be_asked(server: Server, connect: Connect) -> None:
    client = connect(server.url, timeout=PATIENT)
    client.put_items(FILMS)
    early = Query(user="eve", filter="year < 1972", where=(Condition("kids", True),))
    assert names(client.recommend(early)) == ["film 0/é"]
    assert names(client.rank(["film 1/é", "film 0/é"], early)) == ["film 0/é"]
    (text,) = client.compose(Writing(items=["film 0/é"], user="eve", kind="title")).contents
    assert (text.item, text.writer) == ("film 0/é", "template")
    like = client.similar("film 0/é", Query(limit=2, where=(Condition("year", low=1974),)))
    assert set(names(like)) == {"film 4/é", "film 5/é"}
    found = client.search(Query(words="film", user="eve", where=(Condition("year", 1973),), filter="not kids"))
    assert set(names(found)) <= {"film 3/é"}


def test_what_was_sent_is_read_back_page_by_page_and_taken_out(
    server: Server, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(addresses, "_PAGE", "2")
    client = connect(server.url, timeout=PATIENT)
    client.put_items([*FILMS, Item(id="gone")])
    assert [one.fields for one in client.items() if one.id.startswith("film")] == [one.fields for one in FILMS]
    assert client.item(FILMS[3].id).fields == FILMS[3].fields
    assert client.remove_item("gone").accepted == 1
    assert "gone" not in {one.id for one in client.items()}
    with pytest.raises(NotFound):
        client.item("gone")


def test_a_person_is_described_and_forgotten_with_a_receipt(server: Server, connect: Connect) -> None:
    client = connect(server.url, timeout=PATIENT)
    bob = Profile(id="bob", fields={"age": 9})
    client.put_users([bob, Profile(id="cleo")])
    client.send(Event(user="bob", action="click", item="film 1/é"))
    assert client.profile("bob") == bob
    assert client.forget("bob").erased[0].events == 2
    with pytest.raises(NotFound) as caught:
        client.profile("bob")
    assert (caught.value.field, caught.value.value) == ("user", "'bob'")


def test_of_a_list_what_is_wrong_is_refused_in_its_place(server: Server, connect: Connect) -> None:
    client = connect(server.url, timeout=PATIENT)
    wrong = Event(user="ann", action="clik", item="film 0/é")
    receipt = client.send([CLICK, wrong])
    assert (receipt.accepted, [(one.index, one.field) for one in receipt.refused]) == (1, [(1, "action")])
    with pytest.raises(Refused) as caught:
        client.send([wrong, wrong])
    assert [one.index for one in caught.value.refused] == [0, 1]


@pytest.mark.parametrize(
    "ask",
    [
        lambda one: one.item("nothing"),
        lambda one: one.profile("nobody"),
        lambda one: one.recommend(Query(limit=0)),
        lambda one: one.recommend(Query(filter="year <")),
        lambda one: one.rank(["nothing"], Query(user="ann")),
        lambda one: one.compose(Writing(items=["nothing"])),
        lambda one: one.compose(Writing(items=[], longest=0)),
        lambda one: one.similar("nothing"),
        lambda one: one.search(Query(words=" ")),
    ],
)
def test_an_error_far_away_reads_as_the_one_in_process(
    server: Server, connect: Connect, engine: Engine, ask: Callable[[Any], Any]
) -> None:
    with pytest.raises(PenchantError) as here:
        ask(engine)
    with pytest.raises(PenchantError) as there:
        ask(connect(server.url, timeout=PATIENT))
    assert (type(there.value), str(there.value)) == (type(here.value), str(here.value))
    assert (there.value.field, there.value.way_out) == (here.value.field, here.value.way_out)


def test_the_programs_of_the_page_run(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    page = (Path(__file__).parents[2] / "docs" / "client.md").read_text(encoding="utf-8")
    first, second = (part.removeprefix("python\n") for part in page.split("```")[1::2])
    url = '"http://127.0.0.1:7461"'
    assert url in first
    program = f"{first}\nwith Client({url}) as client:\n" + "".join(f"    {line}\n" for line in second.splitlines())
    exec(compile(program.replace(url, repr(server.url)), "client.md", "exec"), {})
    assert "moon" in capsys.readouterr().out


# -- what JSON or an address cannot say --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (lambda: addresses.send(Event(user="a", action="rate", item="i", value=math.nan)), "value"),
        (lambda: addresses.send([CLICK, Event(user="a", action="click", item="i", time=math.inf)]), "1.time"),
        (lambda: addresses.recommend(Query(where=(Condition("year", low=math.nan),))), "where.0.low"),
        (lambda: addresses.put_items(Item(id="x", fields={"n": object()})), "body"),
        (lambda: addresses.put_users(Profile(id="\ud800")), "body"),
        (lambda: addresses.item(".."), "id"),
        (lambda: addresses.forget("/"), "id"),
        (lambda: addresses.similar("x", Query(user="ann")), "user"),
        (lambda: addresses.search(Query(words="x", context={"device": "tv"})), "context"),
        (lambda: addresses.search(Query(words="x", where=(Condition("size", "1..2"),))), "where"),
        (lambda: addresses.search(Query(words="x", where=(Condition("a=b", "c"),))), "where"),
    ],
)
def test_what_would_be_heard_as_something_else_is_not_sent(call: Callable[[], object], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        call()
    assert caught.value.field == field
    assert caught.value.way_out


_values = (
    st.booleans()
    | st.integers(-(10**6), 10**6)
    | st.floats(-1e6, 1e6).map(lambda one: one + 0.0)
    | st.text("ab1. ", max_size=3)
)


@given(equals=_values, value=_values)
def test_a_condition_in_an_address_is_met_by_what_meets_it(equals: Any, value: Any) -> None:
    condition = Condition("f", equals=equals)
    if isinstance(equals, str) and (".." in equals or not equals or equals.strip() != equals):
        with pytest.raises(InvalidInput):
            parse(addresses._condition(condition))
        return
    heard = parse(addresses._condition(condition))
    if type(equals) is type(value):  # an address has texts alone: there, year=1979 is met by "1979", too
        assert meets(heard, {"f": value}) == meets(condition, {"f": value})


@given(low=st.none() | st.floats(-1e6, 1e6), high=st.none() | st.floats(-1e6, 1e6), value=st.floats(-1e6, 1e6))
def test_a_range_in_an_address_is_the_range(low: float | None, high: float | None, value: float) -> None:
    condition = Condition("f", low=low, high=high)
    if (low, high) != (None, None) and (low is None or high is None or low <= high):
        assert meets(parse(addresses._condition(condition)), {"f": value}) == meets(condition, {"f": value})


@pytest.mark.parametrize("url", ["127.0.0.1:7461", "", "ftp://host", "http://", "http://host:port", None])
def test_an_address_that_is_none_is_refused_by_name(url: Any) -> None:
    with pytest.raises(InvalidInput, match="url="):
        Client(url)


# -- patience ----------------------------------------------------------------------------------------------------------


def test_a_server_that_was_killed_and_comes_back_is_waited_for(tmp_path: Path, connect: Connect) -> None:
    first = Server(tmp_path / "data").ready()
    client = connect(first.url, timeout=PATIENT, retries=10_000)
    client.put_items(FILMS)
    client.send(CLICK)
    first.stop(signal.SIGKILL)
    second = Server(tmp_path / "data", first.port)  # it answers once the folder is open
    receipt = client.send(CLICK)
    slate = client.recommend(Query(user="ann"))
    second.stop()
    assert receipt.as_of == slate.user_as_of == 8  # six films, and two clicks
    assert slate.version != "fallback"


def test_an_event_has_its_id_before_the_first_try(odd: StartOdd, connect: Connect) -> None:
    server = odd(DROP, told({}, 502), RECEIPT)
    connect(server.url, timeout=PATIENT).send([CLICK, Event(user="bob", action="click", item="x", id="mine")])
    first, second, third = (heard.body for heard in server.heard)
    assert first == second == third
    assert len(first[0]["id"]) == 32
    assert first[1]["id"] == "mine"
    assert CLICK.id is None


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_what_is_not_now_is_asked_again(odd: StartOdd, connect: Connect, status: int) -> None:
    server = odd(told({}, status, retry_after="0"), told({"id": "ann"}))
    assert connect(server.url, timeout=PATIENT).profile("ann") == Profile(id="ann")
    assert len(server.heard) == 2


def test_a_wait_longer_than_the_deadline_is_not_begun(odd: StartOdd, connect: Connect) -> None:
    problem = {"title": "Unavailable", "detail": "is stopping.", "field": "data", "value": "'x'", "way_out": "Wait."}
    server = odd(told(problem, 503, retry_after="3600"))
    with pytest.raises(Unavailable) as caught:
        connect(server.url, timeout=PATIENT).profile("ann")
    assert str(caught.value) == "data='x': is stopping. Wait."
    assert len(server.heard) == 1


@pytest.mark.parametrize(
    ("status", "kind"), [(400, InvalidInput), (401, PenchantError), (404, NotFound), (422, InvalidInput)]
)
def test_a_no_is_not_asked_again(odd: StartOdd, connect: Connect, status: int, kind: type[PenchantError]) -> None:
    server = odd(Told(status, {}, b"<h1>no</h1>"))
    with pytest.raises(kind) as caught:
        connect(server.url, timeout=PATIENT).profile("ann")
    assert caught.value.status == status
    assert caught.value.value == f"{server.url}/v1/users/ann"
    assert len(server.heard) == 1


def test_what_a_second_try_would_not_find_is_tried_once(odd: StartOdd, connect: Connect) -> None:
    server = odd(AWAY)
    client = connect(server.url, timeout=PATIENT)
    for call in (client.forget, client.remove_item):
        with pytest.raises(Unavailable, match="is stopping"):
            call("ann")
    assert [heard.said for heard in server.heard] == ["DELETE /v1/users/ann", "DELETE /v1/items/ann"]


def test_retries_are_counted(odd: StartOdd, connect: Connect) -> None:
    server = odd(AWAY)
    client = connect(server.url, timeout=PATIENT, retries=2)
    with pytest.raises(Unavailable):
        client.profile("ann")
    assert len(server.heard) == 3
    with pytest.raises(Unavailable):
        client.within(PATIENT, 0).profile("ann")
    assert len(server.heard) == 4


@pytest.mark.parametrize("answer", [SILENCE, DRIP])
def test_no_answer_in_time_is_told_with_the_address(odd: StartOdd, connect: Connect, answer: Told) -> None:
    server = odd(answer)
    with pytest.raises(Unavailable, match=r"url='http.*/v1/users/ann': there is no answer: none within 0\.3 s"):
        connect(server.url).within(0.3).profile("ann")


def test_nobody_there_is_told_with_the_address(odd: StartOdd, connect: Connect) -> None:
    server = odd(AWAY)
    server.close()
    with pytest.raises(Unavailable, match=r"url='http.*See that the server runs"):
        connect(server.url, retries=0).ready()


def test_what_is_no_penchant_server_is_told(odd: StartOdd, connect: Connect) -> None:
    server = odd(Told(200, {}, b"<html>"))
    with pytest.raises(PenchantError, match="does not answer as a Penchant server"):
        connect(server.url, timeout=PATIENT).profile("ann")


def test_a_closed_client_says_so(connect: Connect) -> None:
    client = connect("http://127.0.0.1:1")
    client.close()
    with pytest.raises(InvalidInput, match="closed"):
        client.profile("ann")
    with pytest.raises(InvalidInput, match="closed"):
        client.recommend(Query())


def test_the_key_goes_along_and_a_server_may_stand_behind_a_path(odd: StartOdd, connect: Connect) -> None:
    server = odd(told({"id": "ann"}))
    connect(f"{server.url}/behind/", "pk_1").profile("ann")
    (heard,) = server.heard
    assert heard.said == "GET /behind/v1/users/ann"
    assert heard.headers["authorization"] == "Bearer pk_1"


@given(
    timeout=st.floats(0.01, 100),
    afters=st.lists(st.floats(0, 20), min_size=1, max_size=20),
    retries=st.integers(0, 20),
)
def test_tries_and_waits_end_within_the_deadline(timeout: float, afters: list[float], retries: int) -> None:
    now = [0.0]
    tries = Tries(Patience(timeout, retries), True, lambda: now[0])
    made = 0
    for after in afters:
        try:
            wait = tries.wait(Failed(Unavailable("away."), passing=True, after=after))
        except Unavailable:
            break
        made += 1
        assert after <= wait <= after + min(5.0, 0.1 * 2**made)
        now[0] += wait
        assert now[0] <= timeout
    assert made <= retries


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "Thu, 01 Jan 1970 00:01:40 GMT"}, 40.0),
        ({"retry-after": "Thu, 01 Jan 1970 00:00:01 GMT"}, 0.0),
        ({"retry-after": "soon"}, 0.0),
        ({}, 0.0),
    ],
)
def test_retry_after_is_seconds_or_a_date(said: dict[str, str], meant: float) -> None:
    assert seconds(said, now=60.0) == meant
