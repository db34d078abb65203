"""Counts: what one event adds, what taking it out leaves, and what a full row says of itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penchant import kernels
from penchant.kernels import AUDIENCE, NEAR, SESSION
from penchant.storage.counts import TOP, Counts, Met
from tests.conftest import DAY, NOW

Event = tuple[int, int, float, bool]  # person, item, time, counted


def counted(*events: Event, neighbours: int = 256) -> Counts:
    counts = Counts(neighbours, half_life_days=7.0)
    counts.ensure(1, 1)
    add(counts, *events)
    return counts


def add(counts: Counts, *events: Event) -> None:
    if events:
        people, items, times, positive = (np.array(column) for column in zip(*events, strict=True))
        counts.add(met(people, items, times, positive))


def met(people: np.ndarray, items: np.ndarray, times: np.ndarray, positive: np.ndarray) -> Met:
    """Events without ratings and context."""
    nothing = np.full(len(items), np.nan), np.zeros(len(items), np.int64)
    return Met(people, items, times, positive.astype(np.uint8), *nothing)


def clicks(person: int, *items: int, start: float = NOW) -> list[Event]:
    return [(person, name, start + k, True) for k, name in enumerate(items)]


def row(rows: Any, number: int, column: str = "counts") -> dict[int, float]:
    cells = slice(rows.start[number], rows.start[number] + rows.size[number])
    return dict(zip(rows.ids[cells].tolist(), getattr(rows, column)[cells].tolist(), strict=True))


def share(events: list[Event], person: int) -> Met:
    mine = [event for event in events if event[0] == person]
    columns = zip(*mine, strict=True) if mine else ((), (), (), ())
    people, items, times, positive = (np.array(column, kind) for column, kind in zip(columns, _KINDS, strict=True))
    return met(people, items, times, positive)


_KINDS = (np.int64, np.int64, np.float64, np.bool_)


def tables(counts: Counts, items: int = 6, people: int = 4) -> list[Any]:
    counts.ensure(people, items)
    return [
        [row(counts.transitions, k) for k in range(items)],
        [row(counts.neighbours, k) for k in range(items)],
        [row(counts.neighbours, k, "extra") for k in range(items)],
        [row(counts.audience, k, "extra") for k in range(items)],
        counts.totals[:items].tolist(),
        counts.outgoing[:items].tolist(),
        [set(counts.seen_by(person).tolist()) for person in range(people)],
    ]


def assert_same(one: Counts, other: Counts) -> None:
    assert tables(one) == tables(other)
    for mine, others in zip(decayed(one), decayed(other), strict=True):
        assert mine == pytest.approx(others, rel=1e-9, abs=1e-12)


def decayed(counts: Counts) -> list[Any]:
    """What fades, as it stands at one moment."""
    shrunk = counts.decay(NOW + 1e6)
    return [counts.popular[:6] * shrunk, counts.outgoing_recent[:6] * shrunk,
            *({item: weight * shrunk for item, weight in lately(counts, k).items()} for k in range(6))]  # fmt: skip


def lately(counts: Counts, number: int) -> dict[int, float]:
    """Decayed transitions from an item."""
    return row(counts.transitions, number, "extra")


# -- what an event adds ------------------------------------------------------------------------------------------------


def test_a_transition_counts_less_the_more_events_lie_between() -> None:
    counts = counted(*clicks(0, 0, 1, 2, 3, 4, 5, 6))
    assert row(counts.transitions, 0) == {1: 1000, 2: 800, 3: 640, 4: 512, 5: 410}  # 6 is beyond the window
    assert row(counts.transitions, 5) == {6: 1000}
    assert counts.outgoing[:7].tolist() == [3362, 3362, 2952, 2440, 1800, 1000, 0]


def test_a_recent_transition_counts_half_after_a_half_life_and_the_others_as_before() -> None:
    counts = counted(*clicks(0, 0, 1), *clicks(1, 0, 2, start=NOW + 7 * DAY))
    at = {item: weight * counts.decay(NOW + 7 * DAY) for item, weight in lately(counts, 0).items()}
    assert at == pytest.approx({1: 500.0, 2: 1000.0}, rel=1e-4)
    assert counts.outgoing_recent[0] * counts.decay(NOW + 7 * DAY) == pytest.approx(1500.0, rel=1e-4)
    assert row(counts.transitions, 0) == {1: 1000, 2: 1000}


def test_recent_transitions_are_kept_after_a_snapshot_of_nothing() -> None:
    counts, again = counted(), Counts(256, 7.0)
    counts.ensure(4, 6)
    again.load({name: array.copy() for name, array in counts.arrays().items()})
    assert len(again.transitions.ids) == len(again.transitions.extra) == 0
    for one in (counts, again):
        add(one, *clicks(0, 0, 1, 2))
    assert len(again.transitions.extra) == len(again.transitions.ids)
    assert_same(counts, again)


def test_neighbours_are_those_met_within_the_last_events() -> None:
    counts = counted(*clicks(0, *range(NEAR + 2)))
    assert row(counts.neighbours, 0) == dict.fromkeys(range(1, NEAR + 1), 1)
    assert counts.totals[: NEAR + 2].tolist() == [1] * (NEAR + 2)


def test_half_an_hour_without_an_event_ends_a_session() -> None:
    later = NOW + 2 + SESSION
    counts = counted(*clicks(0, 0, 1), (0, 2, later - 1, True), (0, 3, later + SESSION, True))
    assert row(counts.neighbours, 0, "extra") == {1: 1, 2: 1, 3: 0}
    assert row(counts.neighbours, 2, "extra") == {3: 0}
    assert row(counts.neighbours, 0) == {1: 1, 2: 1, 3: 1}


def test_an_audience_is_who_met_the_item_in_the_order_of_time() -> None:
    counts = counted((0, 1, NOW + 5, True), (1, 1, NOW, True), (2, 1, NOW + 9, True), (3, 1, NOW + 2, False))
    assert list(row(counts.audience, 1, "extra").items()) == [(1, NOW), (0, NOW + 5), (2, NOW + 9)]


def test_a_full_audience_keeps_who_met_the_item_last_whatever_the_order_they_are_told_in() -> None:
    people = np.random.default_rng(0).permutation(200).tolist()
    counts = counted(*((person, 0, NOW + person // 2, True) for person in people))  # two at a time
    assert list(row(counts.audience, 0, "extra"))[-AUDIENCE:] == list(range(200 - AUDIENCE, 200))


def test_some_may_leave_a_full_audience_before_an_older_one_is_missed() -> None:
    counts = counted(*((person, 0, NOW + person, True) for person in range(200)))
    spare = int(counts.audience.size[0]) - AUDIENCE
    assert spare > 0
    for k in range(spare + 1):
        assert not counts.inexact
        counts.take_out(199 - k, share([(199 - k, 0, NOW + 199 - k, True)], 199 - k))
        expected = range(max(199 - k - AUDIENCE, 200 - AUDIENCE - spare), 199 - k)
        assert list(row(counts.audience, 0, "extra"))[-AUDIENCE:] == list(expected)
    assert counts.inexact


def test_who_comes_late_to_an_audience_that_older_ones_have_left_is_not_taken_for_one_of_the_last() -> None:
    counts = counted(*((person, 0, NOW + person, True) for person in range(200)))
    counts.take_out(199, share([(199, 0, NOW + 199, True)], 199))
    add(counts, (500, 0, NOW, True))
    assert 500 not in row(counts.audience, 0, "extra")
    assert counts.totals[0] == 200


def test_only_the_first_meeting_of_a_person_and_an_item_is_counted() -> None:
    counts = counted(*clicks(0, 0, 1, 0, 1, 0, 1))
    assert counts.totals[:2].tolist() == [1, 1]
    assert row(counts.transitions, 0) == {1: 1000}
    assert row(counts.transitions, 1) == {}


def test_what_is_not_approved_is_seen_but_not_counted() -> None:
    counts = counted((0, 0, NOW, True), (0, 1, NOW, False), (0, 2, NOW, True))
    assert set(counts.seen_by(0).tolist()) == {0, 1, 2}
    assert counts.totals[:3].tolist() == [1, 0, 1]
    assert row(counts.transitions, 0) == {2: 1000}


def test_of_somebody_unknown_nothing_was_seen() -> None:
    counts = counted()
    assert [len(counts.seen_by(person)) for person in (-1, 0, 10**6)] == [0, 0, 0]


def test_popularity_halves_in_a_half_life() -> None:
    counts = counted((0, 0, NOW, True), (1, 0, NOW + 7 * DAY, True))
    at = [counts.popular[0] * counts.decay(NOW + days * DAY) for days in (7, 14, 700)]
    assert at == pytest.approx([1.5, 0.75, 1.5 * 2.0**-99])


def test_popularity_does_not_overflow_in_fifty_years_whatever_the_batches() -> None:
    years = [(k, k % 2, 365.0 * DAY * k, True) for k in range(54)]
    together, apart = counted(*years), counted()
    for event in years:
        add(apart, event)
    last = 53 * 365.0 * DAY
    assert np.isfinite(together.popular).all()
    for counts in (together, apart):
        assert counts.popular[:2] * counts.decay(last) == pytest.approx([2.0 ** (-365 / 7), 1.0], rel=1e-9)


# -- taking out and putting in -----------------------------------------------------------------------------------------

EVENTS = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 5), st.floats(NOW, NOW + 1e6), st.booleans()), max_size=40
)


@given(events=EVENTS, person=st.integers(0, 3))
@settings(max_examples=100)
def test_taking_a_person_out_leaves_what_the_others_did(events: list[Event], person: int) -> None:
    counts = counted(*events)
    counts.take_out(person, share(events, person))
    assert not counts.inexact
    assert_same(counts, counted(*(event for event in events if event[0] != person)))
    assert (counts.popular[counts.totals == 0] == 0.0).all()


@given(events=EVENTS, person=st.integers(0, 3))
@settings(max_examples=50)
def test_taking_out_and_putting_in_again_changes_nothing(events: list[Event], person: int) -> None:
    counts = counted(*events)
    counts.take_out(person, share(events, person))
    counts.add(share(events, person))
    assert_same(counts, counted(*events))


@given(events=EVENTS)
@settings(max_examples=50)
def test_the_order_of_people_does_not_matter(events: list[Event]) -> None:
    assert_same(counted(*sorted(events, key=lambda event: event[0])), counted(*events))


# -- full rows ---------------------------------------------------------------------------------------------------------


def crowd(neighbours: int = 8) -> Counts:
    """After item 0, person k goes to item k: one neighbour more than a row of 8 holds, with 1 and 2 met twice."""
    events = [event for k in range(1, 10) for event in clicks(k, 0, k)]
    return counted(*clicks(10, 0, 1), *clicks(11, 0, 2), *events, neighbours=neighbours)


def test_a_full_row_lets_the_newcomer_inherit_the_smallest_count() -> None:
    found = row(crowd().neighbours, 0)
    assert len(found) == 8
    assert (found[1], found[2], found[9]) == (2, 2, 2)  # 9 inherited the 1 of the one that went
    assert row(crowd(256).neighbours, 0) == {1: 2, 2: 2, **dict.fromkeys(range(3, 10), 1)}


def test_subtracting_from_a_row_that_lost_an_entry_says_that_it_is_inexact() -> None:
    counts = crowd()
    counts.take_out(9, share(clicks(9, 0, 9), 9))
    assert counts.inexact
    whole = crowd(256)
    whole.take_out(9, share(clicks(9, 0, 9), 9))
    assert not whole.inexact


# -- the most popular --------------------------------------------------------------------------------------------------


@given(events=EVENTS, more=EVENTS, limit=st.integers(1, 6))
@settings(max_examples=50)
def test_the_most_popular_follow_every_event(events: list[Event], more: list[Event], limit: int) -> None:
    counts = counted(*events)
    counts.most_popular(limit)  # from here on it is kept in step
    add(counts, *more)
    popular = counts.popular.tolist()
    expected = sorted(range(len(popular)), key=lambda k: (-popular[k], k))[:limit]
    assert counts.most_popular(limit).tolist() == expected


@given(
    sums=st.lists(st.integers(0, 4), min_size=1, max_size=12),
    grown=st.lists(st.tuples(st.integers(0, 11), st.integers(0, 3)), max_size=9),
    most=st.integers(1, 6),
)
def test_who_grew_climbs_to_its_place_among_a_fixed_number(
    sums: list[int], grown: list[tuple[int, int]], most: int
) -> None:
    popular = np.array(sums, np.float64)
    top = np.lexsort((np.arange(len(sums)), -popular))[:most]
    items = np.array([item % len(sums) for item, _ in grown], np.int64)
    np.add.at(popular, items, [more for _, more in grown])
    expected = np.lexsort((np.arange(len(sums)), -popular))[:most]
    assert kernels.climbed(top, popular, items, most).tolist() == expected.tolist()


def test_the_most_popular_of_many_items_are_a_fixed_number() -> None:
    counts = counted(*((k, k % (2 * TOP), NOW, True) for k in range(3 * TOP)))
    assert counts.most_popular(TOP).tolist() == list(range(TOP))  # each met twice, ties to the smaller number


# -- growing, packing, saving ------------------------------------------------------------------------------------------


def test_arenas_grow_as_long_as_events_come() -> None:
    random = np.random.default_rng(0)
    counts = counted(neighbours=64)
    sent = np.stack([random.integers(0, 300, 40_000), random.integers(0, 500, 40_000)], 1)
    for part in np.array_split(sent, 7):
        add(counts, *((int(person), int(item), NOW, True) for person, item in part))
    assert counts.totals.sum() == len(np.unique(sent, axis=0))
    assert counts.neighbours.size.max() == 64
    assert all(len(set(counts.seen_by(p).tolist())) == len(counts.seen_by(p)) for p in range(300))


@given(events=EVENTS, more=EVENTS)
@settings(max_examples=30)
def test_counts_from_a_snapshot_go_on_as_if_nothing_had_been(events: list[Event], more: list[Event]) -> None:
    counts, restored = counted(*events), Counts(256, 7.0)
    restored.load({name: np.array(array) for name, array in counts.arrays().items()})
    for each in (counts, restored):
        add(each, *more)
    assert_same(restored, counts)
    assert restored.inexact == counts.inexact


def test_frozen_counts_stay_and_who_has_seen_what_goes_on() -> None:
    counts, before = counted(*clicks(0, 1, 2, 3)), counted(*clicks(0, 1, 2, 3))
    counts.frozen = True
    add(counts, *clicks(1, 1, 2, 4, start=NOW + DAY))
    assert tables(counts)[:6] == tables(before)[:6]
    assert set(counts.seen_by(1).tolist()) == {1, 2, 4}
    assert counts.most_popular(9).tolist()[:3] == before.most_popular(9).tolist()[:3]
