"""How data is cut: every event lands in exactly one part, and nothing that is asked was learned."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from penchant import Event, InvalidInput
from penchant.evaluation import protocols
from penchant.evaluation.protocols import Cut


def event(user: str, item: str, time: float | None = 0.0, value: float | None = None) -> Event:
    return Event(user=user, action="rate", item=item, time=time, value=value)


def items(events: list[Event]) -> list[str | None]:
    return [one.item for one in events]


EVENTS = st.lists(
    st.builds(event, st.sampled_from("abc"), st.sampled_from("wxyz"), st.integers(0, 6).map(float)), max_size=30
)


def in_one_part_each(cut: Cut, events: list[Event]) -> bool:
    """By identity: equal events are still two events."""
    return Counter(id(one) for part in cut for one in part) == Counter(map(id, events))


# -- time --------------------------------------------------------------------------------------------------------------


def test_the_moment_of_the_split_belongs_to_the_test() -> None:
    events = [event("a", "x", 3.0), event("a", "y", 1.0), event("b", "z", 2.0)]
    cut = protocols.time_split(events, 2.0)
    assert (items(cut.train), items(cut.validation), items(cut.test)) == (["y"], [], ["z", "x"])


def test_the_window_before_the_split_can_be_kept_for_choosing() -> None:
    cut = protocols.time_split([event("a", str(k), float(k)) for k in range(6)], 4.0, validation=2.0)
    assert (items(cut.train), items(cut.validation), items(cut.test)) == (["0", "1"], ["2", "3"], ["4", "5"])


@given(EVENTS, st.integers(0, 6), st.integers(0, 6))
def test_what_is_learned_happened_before_what_is_asked(events: list[Event], a: int, b: int) -> None:
    since, moment = sorted((float(a), float(b)))
    assume(any((one.time or 0) < since for one in events) and any((one.time or 0) >= moment for one in events))
    cut = protocols.time_split(events, moment, validation=since)
    assert in_one_part_each(cut, events)
    assert max(one.time or 0.0 for one in cut.train) < since <= moment <= min(one.time or 0.0 for one in cut.test)


def test_a_split_needs_two_sides_and_a_validation_before_it() -> None:
    with pytest.raises(InvalidInput, match="split"):
        protocols.time_split([event("a", "x", 1.0)], 5.0)
    with pytest.raises(InvalidInput, match="validation"):
        protocols.time_split([event("a", "x", 1.0), event("a", "y", 6.0)], 5.0, validation=6.0)


@given(EVENTS, st.floats(0.01, 0.99))
def test_no_more_than_the_share_lies_before_its_moment(events: list[Event], share: float) -> None:
    assume(events)
    moment = protocols.moment_of(events, share)
    assert sum((one.time or 0.0) < moment for one in events) <= share * len(events)
    assert sum((one.time or 0.0) <= moment for one in events) >= share * len(events) - 1e-9


def test_a_share_is_inside_0_and_1() -> None:
    with pytest.raises(InvalidInput, match="share"):
        protocols.moment_of([event("a", "x")], 1.0)
    with pytest.raises(InvalidInput, match="Import some first"):
        protocols.moment_of([], 0.5)


# -- leave one out -----------------------------------------------------------------------------------------------------


def test_the_last_is_test_and_the_one_before_it_validation() -> None:
    events = [event("a", "late", 9.0), event("a", "first", 1.0), event("b", "only", 2.0), event("a", "middle", 5.0)]
    cut = protocols.leave_one_out(events)
    assert (items(cut.train), items(cut.validation), items(cut.test)) == (["first", "only"], ["middle"], ["late"])


def test_events_of_one_moment_keep_the_order_of_the_file() -> None:
    cut = protocols.leave_one_out([event("a", item, 7.0) for item in ("x", "y", "z")])
    assert (items(cut.train), items(cut.validation), items(cut.test)) == (["x"], ["y"], ["z"])


@given(EVENTS)
def test_each_person_with_three_events_is_asked_once_and_last(events: list[Event]) -> None:
    lasting = {user for user, count in Counter(one.user for one in events).items() if count >= 3}
    assume(lasting)
    cut = protocols.leave_one_out(events)
    assert in_one_part_each(cut, events)
    assert Counter(one.user for one in cut.test) == Counter(one.user for one in cut.validation) == Counter(lasting)
    for last, before in zip(*(sorted(part, key=lambda one: one.user or "") for part in (cut.test, cut.validation)),
                            strict=True):  # fmt: skip
        own = [one for one in protocols.in_time(events) if one.user == last.user]
        assert own[-1] is last
        assert own[-2] is before


def test_leave_one_out_needs_somebody_with_three_events() -> None:
    with pytest.raises(InvalidInput, match="longer histories"):
        protocols.leave_one_out([event("a", "x"), event("a", "y")])


# -- folds, cold items, lengths ----------------------------------------------------------------------------------------


@given(st.lists(st.one_of(st.none(), st.floats(1, 5)), max_size=40), st.integers(2, 6), st.integers(0, 3))
def test_each_rating_is_in_exactly_one_fold_and_folds_are_alike(
    values: list[float | None], folds: int, seed: int
) -> None:
    assume(sum(value is not None for value in values) >= folds)
    found = protocols.k_fold([event("a", "x", value=value) for value in values], folds, seed)
    sizes = Counter(found[found >= 0].tolist())
    assert [value is None for value in values] == (found == -1).tolist()
    assert sorted(sizes) == list(range(folds))
    assert max(sizes.values()) - min(sizes.values()) <= 1


def test_folds_are_drawn_by_the_seed() -> None:
    events = [event("a", "x", value=1.0) for _ in range(50)]
    assert (protocols.k_fold(events, seed=1) == protocols.k_fold(events, seed=1)).all()
    assert (protocols.k_fold(events, seed=1) != protocols.k_fold(events, seed=2)).any()


def test_there_are_no_more_folds_than_ratings() -> None:
    with pytest.raises(InvalidInput, match="folds=5"):
        protocols.k_fold([event("a", "x", value=1.0), event("a", "y")])


def test_cold_items_are_a_seeded_tenth_whatever_the_order() -> None:
    names = [f"i{k}" for k in range(200)]
    chosen = protocols.cold_items(names, seed=3)
    assert len(chosen) == 20
    assert chosen == protocols.cold_items(reversed(names), seed=3)
    assert chosen != protocols.cold_items(names, seed=4)
    assert len(protocols.cold_items(["a", "b"])) == 1


def test_a_catalogue_of_one_has_no_cold_part() -> None:
    with pytest.raises(InvalidInput, match="two items"):
        protocols.cold_items(["a"])


@given(EVENTS, st.integers(0, 3))
def test_nothing_of_the_cold_items_is_left_to_learn(events: list[Event], seed: int) -> None:
    cold = protocols.cold_items("wxyz", 0.5, seed)
    kept = protocols.without(events, cold)
    assert {one.item for one in kept}.isdisjoint(cold)
    assert len(kept) == sum(one.item not in cold for one in events)


def test_lengths_and_repetitions_are_those_before_the_event() -> None:
    events = [event("a", "x"), event("b", "x"), event("a", "y"), event("a", "x"), event("b", "x")]
    assert protocols.earlier(events).tolist() == [0, 0, 1, 2, 1]
    assert protocols.repeated(events).tolist() == [False, False, False, True, True]
    assert protocols.repeated([Event(user="a", action="search", words="tea")] * 2).tolist() == [False, False]
    assert protocols.earlier([]).dtype == np.int64
