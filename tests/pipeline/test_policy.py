"""The stage that makes a list: relevance, diversity, stability, caps, shares and auctions, by their definitions."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penchant.pipeline.policy import Arranged, Caps, Lists, Plan, Pool, Share, arrange, auction

ANGLES = st.lists(st.integers(0, 23), min_size=1, max_size=14)


def pool(angles: list[int], scores: list[float] | None = None, window: int = 100) -> Pool:
    """Items 0, 1, ... best first, whose vectors stand at these hours of a circle."""
    turns = np.array(angles) * np.pi / 12
    vectors = np.stack([np.cos(turns), np.sin(turns)], 1).astype(np.float32)
    falling = scores if scores is not None else [float(len(angles) - k) for k in range(len(angles))]
    return Pool(np.arange(len(angles)), np.array(falling, np.float32), window, vectors)


def caps(most: dict[str, int] | None = None, **values: list[Any]) -> Caps:
    return Caps(most or {}, lambda name, item: values[name][item])


def made(pool: Pool, plan: Plan, limit: int = 100, of: Caps | None = None) -> Arranged:
    return arrange(pool, plan, of or caps(), limit)


@given(angles=ANGLES, limit=st.integers(1, 20))
def test_without_a_wish_the_list_is_the_order_of_scores(angles: list[int], limit: int) -> None:
    assert made(pool(angles), Plan(), limit).places == list(range(min(len(angles), limit)))


@given(angles=ANGLES, diversity=st.floats(0.05, 1.0))
def test_each_place_goes_to_the_best_of_relevance_less_the_nearest(angles: list[int], diversity: float) -> None:
    of = pool(angles)
    assert of.vectors is not None
    relevance = [(score - of.scores[-1]) / max(of.scores[0] - of.scores[-1], 1e-9) for score in of.scores]
    listed: list[int] = []
    for place in made(of, Plan(diversity=diversity)).places:
        near = [
            max([float(of.vectors[k] @ of.vectors[one]) for one in listed], default=-1.0) for k in range(len(angles))
        ]
        worth = [(1 - diversity) * relevance[k] - diversity * near[k] for k in range(len(angles))]
        assert worth[place] >= max(worth[k] for k in range(len(angles)) if k not in listed) - 1e-5
        listed.append(place)
    assert sorted(listed) == list(range(len(angles)))


def test_what_is_unlike_the_first_comes_second() -> None:
    of = pool([0, 1, 2, 12])
    assert made(of, Plan()).places == [0, 1, 2, 3]
    assert made(of, Plan(diversity=0.7)).places[:2] == [0, 3]


@given(size=st.integers(1, 12), data=st.data())
def test_a_list_that_is_to_stay_stays(size: int, data: st.DataObject) -> None:
    former = data.draw(st.permutations(range(size)))[: data.draw(st.integers(1, size))]
    standing = np.zeros(size, np.float32)
    for k, place in enumerate(former):
        standing[place] = 1.0 - k / len(former)
    listed = made(pool([0] * size), Plan(stability=1.0, former=standing)).places
    assert listed[: len(former)] == former
    rest = listed[len(former) :]
    assert rest == sorted(rest)


def test_a_little_stability_keeps_what_is_nearly_as_good() -> None:
    standing = np.array([0.5, 1.0, 0.0], np.float32)
    close, far = [1.0, 0.95, 0.0], [1.0, 0.2, 0.0]
    assert made(pool([0] * 3, close), Plan(stability=0.3, former=standing)).places == [1, 0, 2]
    assert made(pool([0] * 3, far), Plan(stability=0.3, former=standing)).places == [0, 1, 2]


@given(
    brands=st.lists(st.sampled_from(["a", "b", "c", None]), min_size=1, max_size=14),
    most=st.integers(1, 3),
    limit=st.integers(1, 16),
)
def test_a_cap_holds_and_leaves_out_only_what_would_break_it(brands: list[str | None], most: int, limit: int) -> None:
    out = made(pool([0] * len(brands)), Plan(), limit, caps({"brand": most}, brand=brands))
    for brand in {brand for brand in brands if brand is not None}:
        assert sum(brands[place] == brand for place in out.places) <= most
    expected: list[int] = []
    for place, brand in enumerate(brands):
        if len(expected) < limit and (brand is None or [brands[one] for one in expected].count(brand) < most):
            expected.append(place)
    assert out.places == expected
    assert not set(out.capped) & set(out.places)
    assert all(brands[place] is not None for place in out.capped)


def test_an_item_counts_for_each_of_its_values() -> None:
    genres = [["war", "drama"], ["drama"], ["war"], ["comedy"], "war", [["nested"], None]]
    out = made(pool([0] * 6), Plan(), 10, caps({"genres": 1}, genres=genres))
    assert out.places == [0, 3, 5]
    assert out.capped == [1, 2, 4]


def test_what_is_fixed_has_its_slot_and_the_others_fill_the_rest() -> None:
    assert made(pool([0] * 6), Plan(fixed={1: 4, 3: 5}), 5).places == [0, 4, 1, 5, 2]
    assert made(pool([0] * 2), Plan(fixed={4: 1}), 5).places == [0, 1]
    assert made(pool([0] * 6), Plan(fixed={9: 4}), 2).places == [0, 1]


@given(
    among=st.lists(st.booleans(), min_size=1, max_size=14),
    at_least=st.integers(1, 6),
    limit=st.integers(1, 12),
)
def test_a_share_is_reached_where_it_can_be_and_from_behind(among: list[bool], at_least: int, limit: int) -> None:
    out = made(pool([0] * len(among)), Plan(shares=[Share(at_least, np.array(among))]), limit)
    places = out.places
    assert len(places) == min(limit, len(among))
    assert sum(among[place] for place in places) >= min(at_least, sum(among), limit)
    first = next((k for k, place in enumerate(places) if place in out.promoted), len(places))
    assert places[:first] == list(range(first))  # nobody is put before others earlier than it takes
    assert all(among[place] for place in out.promoted)


def test_shares_and_caps_hold_together() -> None:
    among, brands = np.array([False, False, True, True]), ["a", "b", "c", "c"]
    out = made(pool([0] * 4), Plan(shares=[Share(2, among)]), 3, caps({"brand": 1}, brand=brands))
    assert out.places == [0, 2, 1]
    assert out.promoted == {2}


BIDS = st.lists(st.tuples(st.floats(0.01, 10), st.floats(0.01, 1)), min_size=1, max_size=8)


@given(offers=BIDS, slots=st.sets(st.integers(0, 9), min_size=1, max_size=4), reserve=st.floats(0, 2))
def test_slots_go_to_the_largest_bid_times_probability_at_the_price_of_staying_there(
    offers: list[tuple[float, float]], slots: set[int], reserve: float
) -> None:
    bids, probabilities = [bid for bid, _ in offers], [p for _, p in offers]
    won = auction(bids, probabilities, slots, reserve, lambda bidder: True)
    worth = {k: bids[k] * probabilities[k] for k in range(len(bids)) if bids[k] >= reserve}
    assert [one.slot for one in won] == sorted(slots)[: len(worth)]
    assert [worth[one.bidder] for one in won] == sorted(worth.values(), reverse=True)[: len(won)]
    for one, after in pairwise(won):
        assert one.price * probabilities[one.bidder] == pytest.approx(
            max(worth[after.bidder], reserve * probabilities[one.bidder])
        )
    assert all(reserve <= one.price <= bids[one.bidder] * (1 + 1e-9) for one in won)


def test_a_winner_pays_less_than_it_offered_and_the_last_pays_the_reserve() -> None:
    won = auction([2.0, 1.0, 4.0], [0.5, 0.5, 0.1], [3, 0], 0.2, lambda bidder: True)
    assert [(one.slot, one.bidder) for one in won] == [(0, 0), (3, 1)]
    assert [one.price for one in won] == pytest.approx([1.0, 0.8])
    assert [one.price for one in auction([2.0], [0.5], [0], 0.2, lambda bidder: True)] == [0.2]


def test_who_may_not_have_a_slot_does_not_stop_the_next() -> None:
    won = auction([3.0, 2.0, 1.0], [1.0, 1.0, 1.0], [0, 1], 0.0, lambda bidder: bidder != 0)
    assert [one.bidder for one in won] == [1, 2]
    assert auction([1.0], [1.0], [0], 2.0, lambda bidder: True) == []


def test_lists_are_remembered_by_person_and_question_and_so_many_of_them() -> None:
    lists = Lists(most=2)
    for person in (1, 2, 1, 3):
        lists.keep(person, "front page", np.array([person, person + 1]))
    lists.keep(-1, "front page", np.array([9]))
    assert lists.of(1, "front page").tolist() == [1, 2]
    assert (
        lists.of(1, "another").tolist()
        == lists.of(2, "front page").tolist()
        == lists.of(-1, "front page").tolist()
        == []
    )
    lists.forget(3)
    assert lists.of(3, "front page").tolist() == []
