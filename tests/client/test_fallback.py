"""What stands in for a list that cannot be had: never nothing without a reason, never what a rule forbids."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from penchant import Candidate, Condition, Event, InvalidInput, Item, Query, Slate, Unavailable
from penchant.client import fallback
from penchant.client.fallback import Fallback
from tests.client.conftest import AWAY, RECEIPT, Connect, Odd, Server, told
from tests.conftest import NOW, names

StartOdd = Callable[..., Odd]
WHY = Unavailable("is stopping.", way_out="Ask again.")
KIDS = (Condition("kids", True),)


def slate(*items: str, **more: Any) -> Slate:
    return Slate(items=[Candidate(item=one, score=1.0) for one in items], as_of=7, version="v0", time=NOW, **more)


def remembering(*asked: tuple[Query, str]) -> Fallback:
    """One that saw these lists, of one item each."""
    lists = Fallback()
    for query, item in asked:
        lists.remember(query, slate(item))
    return lists


def test_the_last_list_stands_in_when_the_server_is_gone(odd: StartOdd, connect: Connect) -> None:
    good = {"items": [{"item": "alien", "score": 1.0}, {"item": "moon", "score": 0.5}], "as_of": 7}
    server = odd(told(good | {"version": "v0", "time": NOW}), AWAY)
    client = connect(server.url, timeout=60, retries=0)
    asked = Query(user="ann", limit=2)
    assert client.recommend(asked).version == "v0"
    stood_in = client.recommend(structs.replace(asked, limit=1))
    assert (names(stood_in), stood_in.version, stood_in.as_of, stood_in.user) == (["alien"], "fallback", 7, "ann")
    assert "is stopping." in stood_in.notes[0]
    assert names(client.recommend(Query(user="bob"))) == []
    server.close()
    assert names(client.recommend(asked)) == ["alien", "moon"]


def test_a_server_that_never_was_gives_what_was_chosen_or_an_empty_list_with_a_note(connect: Connect) -> None:
    client = connect("http://127.0.0.1:1", retries=0, fallback=["alien", "moon", "solaris"])
    assert names(client.recommend(Query(user="ann", limit=2))) == ["alien", "moon"]
    ruled = client.recommend(Query(user="ann", where=KIDS))
    assert (names(ruled), ruled.version) == ([], "fallback")
    assert "known to be allowed" in ruled.notes[0]


def test_without_a_fallback_it_raises(connect: Connect) -> None:
    with pytest.raises(Unavailable):
        connect("http://127.0.0.1:1", retries=0, fallback=False).recommend(Query(user="ann"))


def test_a_mistake_of_the_caller_is_not_hidden_by_a_list(server: Server, connect: Connect) -> None:
    client = connect(server.url, timeout=60)
    client.put_items(Item(id="alien", vectors={"v": [1.0, 0.0]}))
    client.send(Event(user="ann", action="click", item="alien"))
    client.recommend(Query(user="ann"))
    with pytest.raises(InvalidInput):
        client.recommend(Query(user="ann", filter="year <"))


def test_whoever_is_erased_is_forgotten_by_the_client(odd: StartOdd, connect: Connect) -> None:
    good = told({"items": [{"item": "alien", "score": 1.0}], "as_of": 7, "version": "v0", "time": NOW})
    client = connect(odd(good, good, RECEIPT, AWAY).url, timeout=60, retries=0)
    for user in ("ann", "bob"):
        client.recommend(Query(user=user))
    client.forget("ann")
    assert [names(client.recommend(Query(user=user))) for user in ("ann", "bob")] == [[], ["alien"]]


def test_a_person_without_a_list_is_shown_nobodys() -> None:
    lists = remembering((Query(user="ann"), "anns"), (Query(), "nobodys"), (Query(where=KIDS), "for kids"))
    assert names(lists.slate(Query(user="ann"), WHY)) == ["anns"]
    assert names(lists.slate(Query(user="bob"), WHY)) == ["nobodys"]
    assert names(lists.slate(Query(user="bob", where=KIDS), WHY)) == ["for kids"]


def test_a_rule_that_may_read_the_person_is_answered_by_that_persons_list_alone() -> None:
    rule = "age_limit <= person.age"
    lists = remembering((Query(filter=rule), "nobodys"), (Query(user="ann", filter=rule), "anns"))
    assert names(lists.slate(Query(user="ann", filter=rule), WHY)) == ["anns"]
    assert names(lists.slate(Query(user="kid", filter=rule), WHY)) == []
    assert names(lists.slate(Query(filter=rule), WHY)) == ["nobodys"]


def test_lists_of_many_people_make_room_and_do_not_crowd_out_nobodys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fallback, "_MOST", 2)
    people = [(Query(user=name), name) for name in ("ann", "bob", "ann", "cleo")]
    lists = remembering((Query(), "nobodys"), *people)
    assert [names(lists.slate(Query(user=name), WHY))[0] for name in ("ann", "bob", "cleo")] == [
        "ann",
        "nobodys",
        "cleo",
    ]


_queries = st.builds(
    Query,
    user=st.sampled_from([None, "ann", "bob"]),
    where=st.sampled_from([(), KIDS, (Condition("kids", 1),), (Condition("year", low=1.0),)]),
    filter=st.sampled_from([None, "kids", "device == context.device"]),
    context=st.sampled_from([{}, {"device": 1}, {"device": True}]),
)


@given(seen=st.lists(_queries, max_size=12), asked=_queries, chosen=st.booleans())
def test_a_list_that_stands_in_was_asked_for_under_the_very_same_rules(
    seen: list[Query], asked: Query, chosen: bool
) -> None:
    lists = Fallback(["chosen"] if chosen else [])
    for place, query in enumerate(seen):
        lists.remember(query, slate(str(place)))
    stood_in = lists.slate(asked, WHY)
    assert stood_in.notes
    for item in names(stood_in):
        if item == "chosen":
            assert not asked.where
            assert asked.filter is None
            continue
        query = seen[int(item)]
        assert repr((query.where, query.filter)) == repr((asked.where, asked.filter))
        assert query.user in (asked.user, None)
        if asked.filter is not None:
            assert query.user == asked.user
            assert repr(query.context) == repr(asked.context)
