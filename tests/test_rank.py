"""Ranking given items for a person: all of them, each once, in the order of a list, whatever was seen."""

from __future__ import annotations

import pytest

from penchant import Condition, Event, Query, Slate
from penchant.engine import Engine
from penchant.errors import InvalidInput, NotFound
from tests.conftest import NOW, ask, circle, click, item, names


@pytest.fixture
def engine(engine: Engine) -> Engine:
    engine.ingest(circle(12))
    engine.wait_for_items()
    engine.ingest([click(f"p{k}", f"i{(k + turn) % 12}", NOW - 99 + turn) for k in range(4) for turn in range(3)])
    engine.ingest([click("ann", "i3", NOW)])
    return engine


def rank(engine: Engine, items: list[str], user: str | None = "ann", **more: object) -> Slate:
    return engine.rank(items, Query(user=user, time=NOW + 60, **more))  # type: ignore[arg-type]


def test_the_order_and_the_scores_are_those_of_a_list(engine: Engine) -> None:
    listed = ask(engine, "ann", seen="allow")
    ranked = rank(engine, [f"i{k}" for k in range(12)])
    assert [(one.item, one.score) for one in ranked.items] == [(one.item, one.score) for one in listed.items]
    assert [one.features for one in ranked.items] == [one.features for one in listed.items]
    some = rank(engine, ["i9", "i2", "i4"])
    assert names(some) == [name for name in names(listed) if name in ("i9", "i2", "i4")]
    assert {tuple(one.sources) for one in some.items} == {("given",)}


def test_a_score_is_the_sum_of_its_terms_and_every_feature_has_one(engine: Engine) -> None:
    slates = (ask(engine, "ann"), rank(engine, ["i1", "i5"]), engine.similar("i3", Query(time=NOW)),
              engine.search(Query(user="ann", words="item 4", time=NOW)))  # fmt: skip
    for slate in slates:
        assert slate.items
        for one in slate.items:
            assert set(one.terms) == set(one.features)
            assert one.score == pytest.approx(sum(one.terms.values()), abs=1e-5)


def test_every_item_comes_once_and_the_limit_does_not_count(engine: Engine) -> None:
    slate = rank(engine, ["i1", "i5", "i1", "i7", "i5"], limit=1)
    assert sorted(names(slate)) == ["i1", "i5", "i7"]
    assert slate.retrieved == 3
    assert rank(engine, []).items == []


def test_what_was_seen_stays(engine: Engine) -> None:
    assert "i3" not in names(ask(engine, "ann"))
    assert set(names(rank(engine, ["i3", "i4"]))) == {"i3", "i4"}
    assert set(names(rank(engine, ["i3", "i4"], seen="ever"))) == {"i3", "i4"}


def test_what_is_not_available_is_removed_and_said(engine: Engine) -> None:
    engine.ingest([item("sold out", 1.0, 0.0), click("bob", "sold out", NOW)])
    engine.ingest([Event(kind="item", item="sold out", available=False, time=NOW)])
    slate = rank(engine, ["i4", "sold out"], explain_removed=True)
    assert names(slate) == ["i4"]
    assert [(one.item, one.removed) for one in slate.removed or []] == [("sold out", "unavailable")]
    assert slate.retrieved == 2
    assert rank(engine, ["i4", "sold out"]).removed is None


def test_conditions_hold(engine: Engine) -> None:
    where = (Condition("title", equals="item 4"),)
    slate = rank(engine, ["i3", "i4", "i5"], where=where, explain_removed=True)
    assert names(slate) == ["i4"]
    assert {one.item: one.removed for one in slate.removed or []} == {"i3": "condition", "i5": "condition"}
    with pytest.raises(InvalidInput, match="either a value or a range"):
        rank(engine, ["i3"], where=(Condition("title"),))


@pytest.mark.parametrize("name", ["nothing", "mentioned", "removed"])
def test_an_unknown_item_is_refused_by_name(engine: Engine, name: str) -> None:
    engine.ingest(
        [item("removed"), click("ann", "mentioned"), Event(kind="item", item="removed", removed=True, time=NOW)]
    )
    with pytest.raises(NotFound) as refused:
        rank(engine, ["i3", name])
    assert (refused.value.field, refused.value.value) == ("item", repr(name))


def test_more_items_than_a_list_may_hold_are_refused(engine: Engine) -> None:
    with pytest.raises(InvalidInput):
        rank(engine, ["i3"] * 1001)
    assert names(rank(engine, ["i3"] * 1000)) == ["i3"]


def test_a_stranger_and_nobody_get_the_same_order(engine: Engine) -> None:
    everything = [f"i{k}" for k in range(12)]
    assert names(rank(engine, everything, "stranger")) == names(rank(engine, everything, None))
    assert rank(engine, everything, "stranger").user_as_of == 0


def test_version_0_says_neither_probabilities_nor_ratings(engine: Engine) -> None:
    (one,) = rank(engine, ["i4"]).items
    assert (one.probabilities, one.rating) == ({}, None)


def test_ranking_changes_nothing_and_can_be_asked_again(engine: Engine) -> None:
    first = rank(engine, ["i1", "i2", "i3"])
    assert rank(engine, ["i3", "i2", "i1"]).items == first.items
    assert first.as_of == engine.parts.as_of
