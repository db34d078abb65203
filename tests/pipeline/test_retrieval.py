"""What similar people say: who is alike, how loud they are, and who is not listened to."""

from __future__ import annotations

import math

import pytest

from penchant import Event
from penchant.engine import Engine
from penchant.evaluation.asking import Asker
from penchant.kernels import ALIKE, SIMILAR
from penchant.models.cold_start import default_fusion
from tests.conftest import NOW, ask, circle, click

FUSION = default_fusion()


@pytest.fixture
def engine(engine: Engine) -> Engine:
    engine.ingest(circle(12))
    engine.wait_for_items()
    return engine


def lives(engine: Engine, **people: list[int]) -> None:
    """Who met which items, half a day between any two events."""
    events = [click(name, f"i{number}", NOW - 90 * 86_400 + 43_200 * k)
              for name, numbers in people.items() for k, number in enumerate(numbers)]  # fmt: skip
    engine.ingest(events)


def said(engine: Engine, user: str, limit: int = 12) -> dict[str, float]:
    """How alike the people are, in sum, who met each item."""
    slate = ask(engine, user, limit=limit, seen="allow")
    return {one.item: math.expm1(one.features["similar_people"]) * FUSION.neighbour_floor for one in slate.items}


def share(meetings: int, back: int = 0) -> float:
    """What a shared item says that was met by so many, so many events back."""
    return float(FUSION.neighbour_decay**back * (meetings + 10.0) ** -FUSION.neighbour_power)


def test_who_shares_an_item_speaks_for_all_that_was_met_and_nobody_else_does(engine: Engine) -> None:
    lives(engine, bob=[7, 3, 9], cid=[5, 6], ann=[3])
    found = said(engine, "ann")
    assert {item: round(value, 4) for item, value in found.items() if value} == {
        name: round(share(2), 4) for name in ("i7", "i3", "i9")
    }


def test_the_more_and_the_later_two_people_shared_the_louder_one_speaks(engine: Engine) -> None:
    lives(engine, bob=[1, 2, 7], cid=[1, 8], dan=[2, 9], ann=[1, 2])
    found = said(engine, "ann")
    assert found["i7"] == pytest.approx(share(3) + share(3, back=1), rel=1e-4)
    assert found["i9"] == pytest.approx(share(3), rel=1e-4)
    assert found["i8"] == pytest.approx(share(3, back=1), rel=1e-4)


def test_an_item_that_only_similar_people_lead_to_is_a_candidate(engine: Engine) -> None:
    lives(engine, bob=[7, *range(2, 7)], ann=[6])  # 7 came long before what ann and bob share
    sources = {one.item: one.sources for one in ask(engine, "ann", limit=12).items}
    assert "people" in sources["i7"]
    assert "transitions" not in sources["i7"]


def test_of_many_who_share_something_the_most_alike_are_listened_to(engine: Engine) -> None:
    each = ALIKE // 2
    lives(engine, **{f"q{k}": [0, 3] for k in range(each)}, **{f"r{k}": [1, 4] for k in range(each)},
          **{f"p{k}": [0, 1, 2] for k in range(3)}, ann=[0, 1])  # fmt: skip
    one, other = share(each + 4), share(each + 4, back=1)
    found = said(engine, "ann")
    assert found["i2"] == pytest.approx(3 * (one + other), rel=1e-4)
    assert found["i4"] == pytest.approx(each * one, rel=1e-4)
    assert found["i3"] == pytest.approx((ALIKE - each - 3) * other, rel=1e-4)


@pytest.mark.parametrize("shared", [1, 4])
def test_one_person_moves_it_by_a_bounded_amount(engine: Engine, shared: int) -> None:
    lives(engine, ann=list(range(shared)))
    before = said(engine, "ann")
    lives(engine, troll=[*range(12), *range(12)] * 5)
    moved = {item: value - before.get(item, 0.0) for item, value in said(engine, "ann").items()}
    bound = sum(share(1, back) for back in range(10))
    assert 0.0 < max(moved.values()) < bound


def test_a_guest_does_not_hear_what_the_same_person_met_before(engine: Engine) -> None:
    lives(engine, ann=[7, 3], bob=[9, 3])
    asker = Asker(engine, "allow", depth=12)
    asker.guest(Event(user="ann", item="i1", time=NOW), last=1)
    parts = engine.parts
    heard = {f"i{k}": parts.retrieval.scratch.sums[k, SIMILAR] > 0.0 for k in (7, 9)}
    assert heard == {"i7": False, "i9": True}
    assert parts.retrieval.unheard == -1
