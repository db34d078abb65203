"""Ratings: what people who rated alike foretell, and that anybody's share can be taken out again."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penchant.kernels import AUDIENCE
from penchant.storage.ratings import Ratings
from tests.conftest import NOW

Rating = tuple[int, int, float]  # person, item, value


def rated(*events: Rating, people: int = 8, items: int = 8) -> Ratings:
    ratings = Ratings()
    ratings.ensure(people, items)
    add(ratings, *events)
    return ratings


def add(ratings: Ratings, *events: Rating) -> None:
    people, items, values = (np.array([event[k] for event in events]) for k in range(3))
    if events:
        ratings.add(people, items, values.astype(np.float64), NOW + np.arange(len(events), dtype=np.float64))


def said(ratings: Ratings, person: int, *items: int) -> list[float]:
    found = ratings.foretell(person, np.array(items))
    assert found is not None
    return found.tolist()


def test_without_any_rating_nothing_is_said() -> None:
    assert Ratings().foretell(0, np.array([0])) is None
    assert rated().foretell(0, np.array([0])) is None


def test_of_somebody_who_rated_nothing_it_is_the_items_mean_drawn_towards_the_mean_of_all() -> None:
    ratings = rated((0, 0, 5.0), (1, 0, 5.0), (2, 1, 2.0), (3, 1, 2.0))
    mean = 3.5
    assert said(ratings, -1, 0, 1, 2) == pytest.approx([mean + 3.0 / 7, mean - 3.0 / 7, mean])
    assert said(ratings, 7, 0) == said(ratings, -1, 0)
    assert said(ratings, 99, 0) == said(ratings, -1, 0)  # a number that came later


def test_a_person_who_rates_low_is_foretold_low() -> None:
    ratings = rated(*((0, item, 1.0) for item in range(4)), *((1, item, 5.0) for item in range(4)))
    low, high = said(ratings, 0, 5)[0], said(ratings, 1, 5)[0]
    assert low < 3.0 < high
    assert high - 3.0 == pytest.approx(3.0 - low)


TASTES = {0: [5, 1, 5, 1, 5, 1], 1: [5, 1, 5, 1, 5, 1], 2: [1, 5, 1, 5, 1, 5], 3: [1, 5, 1, 5, 1, 5]}


def test_who_rated_alike_is_listened_to_and_who_rated_the_opposite_is_not() -> None:
    events = [(person, item, float(value)) for person, its in TASTES.items() for item, value in enumerate(its)]
    ratings = rated(*events, (1, 6, 5.0), (2, 6, 1.0))
    plain = rated(*events, (7, 6, 3.0))
    assert said(ratings, 0, 6)[0] > said(plain, 0, 6)[0] + 0.1
    assert said(ratings, 3, 6)[0] < said(plain, 3, 6)[0] - 0.1


def test_a_correlation_is_pearsons_over_what_both_rated() -> None:
    """Two people, one target: the formula by hand, in numpy."""
    mine, theirs = np.array([5.0, 3.0, 1.0, 4.0]), np.array([4.0, 3.0, 2.0, 5.0])
    ratings = rated(*((0, k, float(v)) for k, v in enumerate(mine)), *((1, k, float(v)) for k, v in enumerate(theirs)),
                    (1, 4, 5.0))  # fmt: skip
    mean = ratings.sums.sum() / 9
    item = (ratings.sums - ratings.ratings * mean) / (ratings.ratings + 5.0)
    e, f = mine - mean - item[:4], np.append(theirs, 5.0) - mean - item[:5]
    e, own = e - e.sum() / (4 + 5.0), e.sum() / (4 + 5.0)
    f = f - f.sum() / (5 + 5.0)
    alike = (e @ f[:4]) / np.sqrt((e @ e) * (f[:4] @ f[:4])) * 4 / (4 + 50.0)
    assert said(ratings, 0, 4)[0] == pytest.approx(mean + item[4] + own + alike * f[4] / (alike + 1.0))


def test_the_last_rating_of_an_item_is_the_one_that_counts() -> None:
    ratings = rated((0, 0, 1.0), (1, 0, 3.0), (0, 0, 5.0))
    assert (ratings.sums[0], ratings.ratings[0]) == (8.0, 2)


EVENTS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(1, 5).map(float)), max_size=40)


@given(events=EVENTS, person=st.integers(0, 5))
@settings(max_examples=100)
def test_taking_a_person_out_leaves_what_the_others_said(events: list[Rating], person: int) -> None:
    ratings = rated(*events)
    assert not ratings.take_out(person)
    others = rated(*(event for event in events if event[0] != person))
    assert ratings.sums.tolist() == others.sums.tolist()
    assert ratings.ratings.tolist() == others.ratings.tolist()
    if others.any:
        assert said(ratings, 0, *range(6)) == pytest.approx(said(others, 0, *range(6)))
    add(ratings, *(event for event in events if event[0] == person))
    if events:
        assert said(ratings, 0, *range(6)) == pytest.approx(said(rated(*events), 0, *range(6)))


@given(events=EVENTS, more=EVENTS)
@settings(max_examples=30)
def test_ratings_from_a_snapshot_go_on_as_if_nothing_had_been(events: list[Rating], more: list[Rating]) -> None:
    ratings, restored = rated(*events), Ratings()
    restored.load({name: np.array(array) for name, array in ratings.arrays().items()})
    for one in (ratings, restored):
        add(one, *more)
    assert restored.sums.tolist() == ratings.sums.tolist()
    if ratings.any:
        assert said(restored, 2, *range(6)) == pytest.approx(said(ratings, 2, *range(6)))


def test_arenas_grow_and_somebody_missed_among_the_raters_is_told() -> None:
    random = np.random.default_rng(0)
    events = [(int(p), int(i), float(random.integers(1, 6))) for p in range(400) for i in random.permutation(300)[:200]]
    ratings = rated(*events, people=400, items=300)
    assert ratings.ratings.sum() == len(events)
    assert (ratings.raters.size >= AUDIENCE).all()
    assert ratings.sums.sum() == sum(value for _, _, value in events)
    missed = [ratings.take_out(person) for person in range(399, 300, -1)]
    assert not missed[0]
    assert missed[-1]


def test_one_person_moves_a_rating_by_a_bounded_amount() -> None:
    events = [(person, item, float(value)) for person, its in TASTES.items() for item, value in enumerate(its)]
    plain, trolled = rated(*events), rated(*events, *((7, item, 5.0) for item in range(8)))
    moved = np.abs(np.array(said(trolled, 0, *range(8))) - np.array(said(plain, 0, *range(8))))
    assert moved.max() <= 2.0  # one of few people, with the largest stars there are
