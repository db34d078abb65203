"""Lists joined with what was done about them: each deed once, whatever the order it comes in."""

from __future__ import annotations

import gc
import random
from array import array
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penchant.pipeline.feedback import ALL, GRACE, MOST_OF_ONE, Judge, Shown, Totals, Waiting

WINDOW = 600.0
CLICK, BUY, HIDE, VIEW = range(4)
JUDGE = Judge([1.0, 1.5, -0.5, 0.5], [BUY], {1: "dense", 2: "popular"})


class Deed(NamedTuple):
    person: int
    item: int
    action: int
    time: float


def shown(id: int, time: float, items: list[int], person: int = 1, sources: list[int] | None = None) -> Shown:
    found_by = array("i", sources or [1] * len(items)).tobytes()
    return Shown(id, person, time, "0001", array("i", items).tobytes(), found_by)


def joined(lists: list[Shown], deeds: list[Deed]) -> tuple[Waiting, list[Shown]]:
    settled: list[Shown] = []
    waiting = Waiting(WINDOW, settled.append)
    for one in lists:
        waiting.show(one)
    for deed in deeds:
        waiting.act(*deed)
    return waiting, settled


def done(lists: list[Shown], deeds: list[Deed]) -> list[dict[tuple[int, int], float]]:
    joined(lists, deeds)
    return [one.done for one in lists]


def test_a_deed_belongs_to_the_newest_list_that_showed_its_item() -> None:
    lists = [shown(1, 0.0, [10, 11]), shown(2, 100.0, [11, 12]), shown(3, 50.0, [11], person=2)]
    deeds = [Deed(1, 11, CLICK, 150.0), Deed(1, 10, CLICK, 160.0), Deed(1, 11, BUY, 60.0), Deed(1, 99, CLICK, 150.0)]
    assert done(lists, deeds) == [{(1, BUY): 60.0, (0, CLICK): 160.0}, {(0, CLICK): 150.0}, {}]


def test_what_is_done_before_a_list_or_after_its_window_is_not_its_own() -> None:
    lists = [shown(1, 100.0, [10])]
    assert done(lists, [Deed(1, 10, CLICK, 99.0), Deed(1, 10, CLICK, 101.0 + WINDOW)]) == [{}]
    assert done(lists, [Deed(1, 10, CLICK, 100.0 + WINDOW)]) == [{(0, CLICK): 100.0 + WINDOW}]


TIMES = st.integers(0, 1500).map(float)
LISTS = st.lists(st.tuples(TIMES, st.lists(st.integers(0, 5), min_size=1, max_size=3, unique=True)), max_size=6)
DEEDS = st.lists(st.builds(Deed, st.integers(1, 2), st.integers(0, 5), st.integers(0, 3), TIMES), max_size=12)


@given(lists=LISTS, deeds=DEEDS, seed=st.integers(0, 99))
def test_late_doubled_and_reordered_deeds_count_once(
    lists: list[tuple[float, list[int]]], deeds: list[Deed], seed: int
) -> None:
    def made() -> list[Shown]:
        return [shown(k, time, items) for k, (time, items) in enumerate(sorted(lists))]

    again = [*deeds, *deeds]
    random.Random(seed).shuffle(again)
    assert done(made(), deeds) == done(made(), again)


@given(lists=LISTS, deeds=DEEDS)
def test_a_list_is_settled_once_and_only_when_its_window_and_the_grace_have_passed(
    lists: list[tuple[float, list[int]]], deeds: list[Deed]
) -> None:
    made = [shown(k, time, items) for k, (time, items) in enumerate(sorted(lists))]
    waiting, settled = joined(made, deeds)
    for now in range(0, 4000, 100):
        waiting.pass_to(float(now))
        assert [one.id for one in settled] == [one.id for one in made if one.time + WINDOW + GRACE < now]
        assert len(waiting) == len(made) - len(settled)
    assert not waiting.people()


def test_a_session_takes_its_lists_along_and_an_erased_person_none() -> None:
    session, erased = shown(1, 0.0, [10], person=7), shown(2, 0.0, [10], person=8)
    waiting, settled = joined([session, erased], [Deed(8, 10, CLICK, 5.0)])
    waiting.move(7, 1)
    waiting.forget(8)
    waiting.act(1, 10, CLICK, 5.0)
    assert (session.person, session.done) == (1, {(0, CLICK): 5.0})
    assert len(waiting) == 1
    waiting.pass_to(10_000.0)
    assert settled == [session]
    assert len(waiting) == 0


def test_only_so_many_lists_of_a_person_wait_and_so_many_of_all() -> None:
    settled: list[Shown] = []
    waiting = Waiting(WINDOW, settled.append, most=MOST_OF_ONE + 2)
    for k in range(MOST_OF_ONE + 5):
        waiting.show(shown(k, float(k), [10]))
    assert [one.id for one in settled] == [0, 1]
    assert waiting.unjoined == 3
    waiting.pass_to(10_000.0)
    assert len(settled) == MOST_OF_ONE + 2
    assert len(waiting) == 0


def test_totals_count_items_clicks_conversions_and_who_found_them() -> None:
    one = shown(1, 7200.0, [10, 11, 12], sources=[1, 3, 2])
    one.done = {(0, HIDE): 1.0, (1, VIEW): 1.0, (1, BUY): 2.0, (2, VIEW): 3.0}
    totals = JUDGE.totals(one)
    ndcg, reward = totals[2, "0001", ALL].ndcg, -0.5 + 1.5 + 0.5
    assert totals[2, "0001", ALL] == Totals(
        slates=1, clicked_slates=1, items=3, clicks=2, conversions=1, reward=reward, ndcg=ndcg
    )
    assert totals[2, "0001", "dense"] == Totals(items=2, clicks=1, conversions=1, reward=1.0)
    assert totals[2, "0001", "popular"] == Totals(items=2, clicks=2, conversions=1, reward=2.0)
    # the second and the third of three: (1/log2 3 + 1/log2 4) / (1 + 1/log2 3)
    assert ndcg == pytest.approx((0.63093 + 0.5) / 1.63093, abs=1e-4)


def test_a_list_without_a_click_has_no_ndcg() -> None:
    whole = JUDGE.totals(shown(1, 0.0, [10]))[0, "0001", ALL]
    assert (whole.slates, whole.clicked_slates, whole.ndcg, whole.items) == (1, 0, 0, 1)


def test_where_impressions_tell_only_what_they_name_was_shown() -> None:
    judge = Judge([1.0], [], {1: "dense"}, told=True)
    one, unseen = shown(1, 0.0, [10, 11, 12]), shown(2, 10.0, [20])
    waiting, _ = joined([one, unseen], [Deed(1, 12, 0, 5.0)])
    waiting.tell(1, [10], 3.0)
    waiting.tell(1, [11, 99], 4.0)
    waiting.tell(1, [12], 5000.0)
    assert one.seen == {0, 1}
    assert judge.totals(one)[0, "0001", ALL].items == 2
    assert judge.totals(one)[0, "0001", ALL].clicks == 0
    assert judge.totals(unseen) == {}


NUMBERS = st.integers(0, 2**31 - 1) | st.sampled_from([1, 256, 65536])


@given(items=st.lists(NUMBERS, max_size=6), item=NUMBERS)
def test_an_item_is_found_at_its_own_place_alone(items: list[int], item: int) -> None:
    for wanted in (item, *items, 1, 256, 65536):
        assert shown(1, 0.0, items).place(wanted) == (items.index(wanted) if wanted in items else -1)


def test_lists_that_wait_are_nothing_to_the_garbage_collector() -> None:
    assert not gc.is_tracked(shown(1, 0.0, [4, 5]))
