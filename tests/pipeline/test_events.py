"""What may enter the log: a refusal names the field and the way out, and the rest of a batch is taken."""

from __future__ import annotations

from typing import Any

import pytest

from penchant import Event
from penchant.config import Action, Settings
from penchant.pipeline.events import MAX_NAME_BYTES, MAX_SLATE, check
from tests.conftest import NOW, click, item

SETTINGS = Settings(max_field_bytes=100, actions={"click": Action(), "buy": Action(2.0)})
NAN, INF = float("nan"), float("inf")


def refusals(*events: Event) -> list[tuple[int, str, str]]:
    return [(one.index, one.field, one.detail) for one in check(events, NOW, SETTINGS)[2]]


def event(kind: Any, **fields: Any) -> Event:
    return Event(kind=kind, **fields)


@pytest.mark.parametrize(
    ("refused", "field", "way_out"),
    [
        (click("ann", "x", action="clap"), "action", "Use one of click, buy"),
        (click("ann", "x", value=NAN), "value", "Send a number"),
        (click("ann", "x", value=INF), "value", "Send a number"),
        (click("ann", "x", value=1e300), "value", "Send a number"),
        (click("ann", "x", context={"age": NAN}), "context.age", "Leave it out"),
        (click("ann", "x", NOW + 61), "time", "more than 60 seconds in the future"),
        (click("ann", "x", NOW * 1000), "time", "divide by 1000"),
        (click("ann", "x", -1.0), "time", "Send Unix seconds"),
        (click("ann", "x", NAN), "time", "Send Unix seconds"),
        (click("ann", "x", INF), "time", "Send Unix seconds"),
        (Event(action="click", item="x"), "user", "Send `user`"),
        (Event(user="ann", item="x"), "action", "Send `action`"),
        (Event(user="ann", action="click"), "item", "Send `item`, `words`, or both"),
        (Event(user="ann", action="click", words="  "), "item", "Send `item`, `words`, or both"),
        (click("", "x"), "user", "Send the plain id"),
        (click("ann ", "x"), "user", "Send the plain id"),
        (click("ann", "\n"), "item", "Send the plain id"),
        (click("a" * (MAX_NAME_BYTES + 1), "x"), "user", "Shorten it"),
        (click("ü" * (MAX_NAME_BYTES // 2 + 1), "x"), "user", "Shorten it"),
        (click("ann", "x", id="i" * 600), "id", "Shorten it"),
        (click(7, "x"), "user", "Send the id as text"),  # type: ignore[arg-type]
        (click("a\ud800", "x"), "user", "Send valid Unicode"),
        (click("ann", "x", words="a\ud800"), "words", "Send valid Unicode"),
        (click("ann", "x", words="w" * 101), "words", "Shorten it"),
        (click("ann", "x", context={"page": "p" * 101}), "context.page", "Shorten it"),
        (event("item"), "item", "Send `item`"),
        (item("x", title="t" * 101), "fields.title", "max_field_bytes in penchant.toml"),
        (item("x", tags=["t" * 50, "t" * 51]), "fields.tags", "max_field_bytes in penchant.toml"),
        (item("x", odd=object()), "fields.odd", "Send text, numbers, or lists of them"),
        (item("x", odd=2**80), "fields.odd", "Send text, numbers, or lists of them"),
        (item("x", odd="\ud800"), "fields.odd", "Send text, numbers, or lists of them"),
        (item("x", 1.0, NAN), "vectors.v", "Send finite numbers"),
        (item("x", 1.0, 1e300), "vectors.v", "Send finite numbers"),
        (event("item", item="x", vectors={"v": []}), "vectors.v", "Send finite numbers"),
        (event("user", fields={"age": 3}), "user", "Send `user`"),
        (event("impression", user="ann"), "slate", "Send the ids that were shown"),
        (event("impression", user="ann", slate=["x"] * (MAX_SLATE + 1)), "slate", "Send the ids that were shown"),
        (event("retraction", user="ann"), "target", "Send `target`"),
        (event("alias", user="ann"), "session", "Send `session`"),
        (event("alias", session="s"), "user", "Send `user`"),
        (event("alias", session="ann", user="ann"), "session", "Send the anonymous id as `session`"),
        (event("erasure"), "user", "Send `user`"),
        (event("purchase", user="ann", item="x"), "kind", "Use one of interaction, item"),
    ],
)
def test_a_refusal_names_the_field_and_the_way_out(refused: Event, field: str, way_out: str) -> None:
    ((index, named, detail),) = refusals(click("ann", "good"), refused)
    assert (index, named) == (1, field)
    assert way_out in detail


def test_a_good_event_in_a_batch_with_bad_ones_is_taken_in_its_place() -> None:
    good = [click("ann", f"i{k}", id=f"good{k}") for k in range(3)]
    bad = click("ann", "x", action="clap")
    taken, places, refused = check([bad, good[0], good[1], bad, good[2]], NOW, SETTINGS)
    assert [one.id for one in taken] == ["good0", "good1", "good2"]
    assert places == [1, 2, 4]
    assert [one.index for one in refused] == [0, 3]


def test_a_refusal_shows_the_value_cut_to_a_line() -> None:
    (refused,) = check([click("ann", "x", words="w" * 9999)], NOW, SETTINGS)[2]
    assert refused.value.startswith("'www")
    assert len(refused.value) <= 80


@pytest.mark.parametrize(
    "fine",
    [
        click("ann", "x", NOW + 59),
        click("ann", "x", 0.0),
        Event(user="ann", action="click", words="only words"),
        click("ann", "x", value=-3.5, context={"device": "phone", "hour": 3, "new": True}),
        item("x", title="Alien", year=1979, tags=["a", "b"]),
        item("x", *[0.5] * 2000),
        event("item", item="x", removed=True),
        event("user", user="ann", fields={"city": "Aachen"}),
        event("impression", user="ann", slate=["x"] * MAX_SLATE),
        event("retraction", target="e1"),
        event("alias", session="s", user="ann"),
        event("erasure", user="ann"),
        click("a" * MAX_NAME_BYTES, "x"),
        click("安", "电影"),
    ],
)
def test_what_makes_sense_is_taken(fine: Event) -> None:
    assert refusals(fine) == []


def test_what_is_taken_has_an_id_and_a_time() -> None:
    sent = [Event(user="ann", action="click", item="x"), Event(user="ann", action="click", item="x")]
    taken, _, _ = check(sent, NOW, SETTINGS)
    assert [one.time for one in taken] == [NOW, NOW]
    assert len({one.id for one in taken} - {None}) == 2
    assert [one.id for one in sent] == [None, None]  # the caller's own events are left alone


def test_fields_are_taken_as_the_log_will_give_them_back() -> None:
    ((taken,), _, _) = check([item("x", tags=("a", "b"))], NOW, SETTINGS)
    assert taken.fields == {"tags": ["a", "b"]}
