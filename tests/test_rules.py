"""Rules of a question through the engine: by what an item is, who asks, and what was met when, and by which action."""

from __future__ import annotations

import pytest

from penchant import Event, Query
from penchant.engine import Engine
from penchant.errors import InvalidInput
from penchant.pipeline.filters import Reading
from tests.conftest import NOW, OpenEngine, circle, click

DAY = 86_400.0


@pytest.fixture
def engine(open_engine: OpenEngine) -> Engine:
    engine = open_engine()
    sent = circle(8)
    for k, event in enumerate(sent):
        event.fields |= {"price": float(k), "tags": ["even"] if k % 2 == 0 else []}
    engine.ingest(sent)
    engine.wait_for_items()
    return engine


def shown(engine: Engine, rule: str, user: str | None = "ann", **more: object) -> set[str]:
    query = Query(user=user, time=NOW + 10 * DAY, limit=20, seen="allow", filter=rule, **more)  # type: ignore[arg-type]
    return {one.item for one in engine.recommend(query).items}


def test_only_what_the_rule_is_true_of_is_shown(engine: Engine) -> None:
    assert shown(engine, "price < 3") == {"i0", "i1", "i2"}
    assert shown(engine, '"even" in tags and 2 <= price < 6') == {"i2", "i4"}
    assert shown(engine, "weight > 0 or not weight > 0") == set()
    engine.ingest([Event(kind="item", item="i7", fields={"price": 0.5}, time=NOW)])
    engine.wait_for_items()
    assert shown(engine, "price < 3") == {"i0", "i1", "i2", "i7"}


def test_the_profile_and_the_context_are_read(engine: Engine) -> None:
    engine.ingest([Event(kind="user", user="ann", fields={"budget": 2}, time=NOW)])
    assert shown(engine, "price <= person.budget") == {"i0", "i1", "i2"}
    assert shown(engine, "price <= person.budget", user="bob") == set()
    assert shown(engine, 'price < 1 or context.device == "tv" and price > 6', context={"device": "tv"}) == {"i0", "i7"}


def test_what_was_met_is_told_by_time_and_action(engine: Engine) -> None:
    engine.ingest([click("ann", "i1", NOW), click("ann", "i2", NOW + 9.5 * DAY)])
    engine.ingest([Event(user="ann", action="buy", item="i3", time=NOW + 9.5 * DAY)])
    everything = {f"i{k}" for k in range(8)}
    assert shown(engine, "seen()") == {"i1", "i2", "i3"}
    assert shown(engine, "not seen(1d)") == everything - {"i2", "i3"}
    assert shown(engine, 'seen("buy")') == {"i3"}
    assert shown(engine, 'not seen(1d, "click") and price < 4') == {"i0", "i1", "i3"}
    assert shown(engine, "not seen(1d)", user=None) == everything


def test_a_search_and_a_question_for_the_like_follow_the_rule_too(engine: Engine) -> None:
    engine.ingest([click("ann", "i1", NOW)])
    query = Query(user="ann", words="item", time=NOW + DAY, limit=20, filter="price > 4")
    assert {one.item for one in engine.search(query).items} == {"i5", "i6", "i7"}
    query = Query(user="ann", time=NOW + DAY, limit=20, filter="price < 4 and not seen()")
    assert {one.item for one in engine.similar("i0", query).items} == {"i2", "i3"}
    query = Query(user="ann", time=NOW + DAY, filter="price > 4")
    assert [one.item for one in engine.rank(["i2", "i6", "i1"], query).items] == ["i6"]


def test_what_was_removed_says_so(engine: Engine) -> None:
    query = Query(user="ann", time=NOW, limit=20, filter="price < 3", explain_removed=True)
    removed = engine.recommend(query).removed or []
    assert {one.item for one in removed} == {"i3", "i4", "i5", "i6", "i7"}
    assert {one.removed for one in removed} == {"condition"}


def test_a_field_that_no_item_has_is_told(engine: Engine) -> None:
    def noted(rule: str) -> list[str]:
        return engine.recommend(Query(user="ann", time=NOW, filter=rule)).notes

    (note,) = noted("prize < 3 or price < 3")
    assert "`prize`" in note
    assert "price" in note.partition("there are")[2]
    assert noted("price < 3 and person.prize < 3") == []
    engine.ingest([Event(kind="item", item="i7", fields={"prize": 1}, time=NOW)])
    assert noted("prize < 3 or price < 3") == []


@pytest.mark.parametrize("rule", ["price <", 'seen(1d, "no such action")'])
def test_a_rule_that_cannot_be_followed_is_refused(engine: Engine, rule: str) -> None:
    for ask in (engine.recommend, engine.search):
        with pytest.raises(InvalidInput) as refused:
            ask(Query(user="ann", time=NOW, words="item", filter=rule))
        assert refused.value.field == "filter"
        assert refused.value.way_out


def test_fields_are_read_for_a_rule_while_the_catalogue_changes(engine: Engine) -> None:
    query = Query(user="ann", time=NOW, limit=20, filter="price < 3 and not seen()")
    assert engine.unread(query) == {"price"}
    filters = engine.parts.filters
    reading = filters.begin({"price"})
    reading.run()
    engine.ingest([Event(kind="item", item="i7", fields={"price": 0.5}, time=NOW)])
    engine.ingest([Event(kind="item", item="i0", removed=True, time=NOW)])
    engine.ingest([Event(kind="item", item="new", fields={"price": 0.5}, time=NOW)])
    filters.adopt(reading)
    engine.wait_for_items()
    assert engine.unread(query) == set()
    assert {one.item for one in engine.recommend(query).items} == {"i1", "i2", "i7", "new"}


def test_what_was_read_halfway_is_not_used(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Reading, "run", lambda self: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            engine.read_fields({"price"})
    assert engine.unread(Query(filter="price < 3")) == {"price"}
    engine.read_fields({"price"})
    assert shown(engine, "price < 3") == {"i0", "i1", "i2"}
