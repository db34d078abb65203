"""Histories and batches of them against loops that are too plain to be wrong."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch.nn")

from hypothesis import given, settings
from hypothesis import strategies as st

from penchant import Event
from penchant.kernels import LATE, MOVE, RING
from penchant.learning import dataset
from penchant.learning.dataset import Histories, Windows
from penchant.storage.event_log import EventLog
from tests.conftest import NOW, click, temporary_folder
from tests.learning.worlds import One, histories
from tests.test_laws import ITEMS, batches, opened
from tests.test_laws import histories as lived_histories

BEGINNING = 9  # the number of the action that stands for no event


@st.composite
def people(draw: st.DrawFn, *, most: int = 12) -> list[list[One]]:
    """Some people with some events in time order; some have none, some words alone."""
    out = []
    for _ in range(draw(st.integers(1, 5))):
        time, one = 1000.0, []
        for _ in range(draw(st.integers(0, most))):
            time += draw(st.sampled_from((0.0, 1.0, 500.0)))
            item, words = draw(st.integers(-1, 4)), draw(st.integers(-1, 2))
            one.append(One(item, words, draw(st.integers(0, 3)), draw(st.sampled_from((math.nan, 1.0, 4.5))), time,
                           draw(st.booleans())))  # fmt: skip
        out.append(one)
    return out


def rows(of: Histories, person: int) -> list[tuple[int, float]]:
    part = slice(of.start[person], of.start[person + 1])
    return list(zip(of.item[part].tolist(), of.time[part].tolist(), strict=True))


# -- flat arrays -------------------------------------------------------------------------------------------------------


@given(people=people())
def test_gaps_are_the_seconds_since_the_persons_event_before(people: list[list[One]]) -> None:
    expected = [
        math.log1p(one.time - before.time) if before is not None else 0.0
        for person in people
        for before, one in zip((None, *person), person, strict=False)
    ]
    np.testing.assert_allclose(histories(people).gaps(), expected, rtol=1e-5)


@given(people=people(), moment=st.sampled_from((1000.0, 1001.0, 1600.0, 9e9)))
def test_before_a_moment_everybody_keeps_their_number_and_what_was_there(
    people: list[list[One]], moment: float
) -> None:
    before = histories(people).before(moment)
    assert before.people == len(people)
    for person, events in enumerate(people):
        assert rows(before, person) == [(one.item, one.time) for one in events if one.time < moment]


@given(people=people())
def test_first_meetings_and_the_share_of_repeats(people: list[list[One]]) -> None:
    of = histories(people)
    expected = [
        one.item >= 0 and one.item not in [earlier.item for earlier in person[:place]]
        for person in people
        for place, one in enumerate(person)
    ]
    assert dataset.first_meetings(of).tolist() == expected
    targets = [first for first, target in zip(expected, of.target.tolist(), strict=True) if target]
    assert dataset.repeats(of) == pytest.approx(targets.count(False) / len(targets) if targets else 0.0)


# -- windows -----------------------------------------------------------------------------------------------------------


@given(people=people(most=40), length=st.integers(1, 9), seed=st.integers(0, 9))
def test_windows_predict_every_event_once_from_what_stands_right_before_it(
    people: list[list[One]], length: int, seed: int
) -> None:
    of = histories(people)
    windows = dataset.cut(of, length, np.random.default_rng(seed))
    predicted = [
        event
        for first, last, whole in zip(windows.first, windows.last, windows.whole, strict=True)
        for event in range(first + (not whole), last)
    ]
    assert sorted(predicted) == list(range(len(of.item)))
    assert ((windows.last - windows.first) <= length + 1).all()
    assert (windows.whole == np.isin(windows.first, of.start[:-1])).all()


def test_windows_are_cut_at_other_places_each_time() -> None:
    of = histories([[One(k) for k in range(50)]])
    cuts = {tuple(dataset.cut(of, 10, np.random.default_rng((0, epoch))).first) for epoch in range(10)}
    assert len(cuts) > 5


@given(people=people(most=40), length=st.integers(1, 40), tokens=st.integers(1, 60), seed=st.integers(0, 9),
       shuffled=st.booleans())  # fmt: skip
def test_batches_hold_each_window_once_and_as_many_places_as_allowed(
    people: list[list[One]], length: int, tokens: int, seed: int, shuffled: bool
) -> None:
    windows = dataset.cut(histories(people), length, np.random.default_rng(seed))
    found = dataset.batches(windows, tokens, np.random.default_rng(seed) if shuffled else None)
    assert sorted(row for batch in found for row in batch.tolist()) == list(range(windows.size))
    lengths = windows.last - windows.first + windows.whole
    for batch in found:
        assert len(batch) == 1 or lengths[batch].max() * len(batch) <= tokens


@given(people=people(), moment=st.sampled_from((1000.0, 1001.0, 1600.0)))
def test_from_a_moment_on_whole_histories_are_read_and_only_later_targets_counted(
    people: list[list[One]], moment: float
) -> None:
    of = histories(people)
    windows = dataset.from_moment(of, moment)
    expected = [
        (
            int(of.start[person]),
            int(of.start[person + 1]),
            next(k for k, one in enumerate(events) if one.time >= moment),
        )
        for person, events in enumerate(people)
        if any(one.target and one.item >= 0 and one.time >= moment for one in events)
    ]
    found = zip(windows.first.tolist(), windows.last.tolist(), (windows.counted - windows.first).tolist(), strict=True)
    assert list(found) == expected
    assert windows.whole.all()


# -- batches -----------------------------------------------------------------------------------------------------------


def collated(of: Histories, windows: Windows, row: int) -> list[tuple[float, ...]]:
    """One window of a batch as a loop over it sees it: (item, words, action, value, gap, since, target, event)."""
    first, last, counted = (int(part[row]) for part in (windows.first, windows.last, windows.counted))
    gaps, out = of.gaps(), []
    inputs: list[int | None] = [*([None] if windows.whole[row] else []), *range(first, last)]
    for place, event in enumerate(inputs):
        after = first + place + (0 if windows.whole[row] else 1)
        predicted = after < last and after >= counted and bool(of.target[after])
        out.append((
            *((-1, -1, BEGINNING, math.nan, 0.0) if event is None else
              (of.item[event], of.words[event], of.action[event], of.value[event], gaps[event])),
            gaps[after] if predicted else 0.0, of.item[after] if predicted else -1, after if predicted else -1,
        ))  # fmt: skip
    return out


@given(people=people(most=20), length=st.integers(1, 12), seed=st.integers(0, 9), counted=st.booleans())
@settings(max_examples=150)
def test_a_batch_holds_what_a_loop_over_its_windows_sees(
    people: list[list[One]], length: int, seed: int, counted: bool
) -> None:
    of = histories(people, texts=3)
    windows = dataset.from_moment(of, 1001.0) if counted else dataset.cut(of, length, np.random.default_rng(seed))
    if not windows.size:
        return
    batch = dataset.collate(of, of.gaps(), windows, BEGINNING)
    columns = (batch.item, batch.words, batch.action, batch.value, batch.gap, batch.since, batch.target, batch.event)
    for row in range(windows.size):
        expected = collated(of, windows, row)
        padding = [(-1, -1, BEGINNING, math.nan, 0.0, 0.0, -1, -1)] * (len(batch.item) - len(expected))
        found = np.array([column[:, row].astype(np.float64) for column in columns]).T
        np.testing.assert_allclose(found, np.array([*expected, *padding], np.float64), rtol=1e-5)
        assert of.start[batch.person[row]] <= windows.first[row] < of.start[batch.person[row] + 1]


@given(people=people(most=20), length=st.integers(1, 12), seed=st.integers(0, 9))
def test_pairs_of_what_was_seen_are_what_stands_in_the_window_up_to_each_place(
    people: list[list[One]], length: int, seed: int
) -> None:
    of = histories(people)
    windows = dataset.cut(of, length, np.random.default_rng(seed))
    if not windows.size:
        return
    batch = dataset.collate(of, of.gaps(), windows, BEGINNING)
    row, item = dataset.seen_pairs(batch)
    expected, position = [], 0
    for window in range(windows.size):
        for place in range(len(batch.item)):
            if batch.target[place, window] >= 0:
                met = batch.item[: place + 1, window]
                expected += [(position, int(one)) for one in met if one >= 0]
                position += 1
    assert list(zip(row.tolist(), item.tolist(), strict=True)) == expected


# -- from a log --------------------------------------------------------------------------------------------------------


def read(folder: Path, catalogue: Sequence[str] = ITEMS) -> tuple[EventLog, Histories]:
    log = EventLog(folder, read_only=True)
    there = np.array([log.items.name(number) in catalogue for number in range(len(log.items))], np.bool_)
    positive = np.array([log.actions.name(k) != "dislike" for k in range(len(log.actions))], np.bool_)
    return log, dataset.read_histories(log, positive, there, log.end)


def stepped(times: Sequence[float]) -> list[int]:
    """Places, in their order, of those events of log order that the engine puts into a state."""
    ring: list[tuple[float, int]] = []
    done: list[tuple[float, int]] = []
    anchor = newest = -math.inf
    for place, time in enumerate(times):
        if time < anchor or time < newest - LATE:
            continue
        ring = sorted([*ring, (time, place)])
        newest = max(newest, time)
        if len(ring) == RING:
            done, ring, anchor = done + ring[:MOVE], ring[MOVE:], ring[MOVE - 1][0]
    return [place for _, place in done + ring]


@given(events=lived_histories(most=20), sizes=st.lists(st.integers(1, 40), min_size=1, max_size=3))
@settings(max_examples=12)
def test_what_is_read_is_what_states_are_stepped_by(events: list[Event], sizes: list[int]) -> None:
    """Late, retracted, joined and erased events included; the rings of a real engine end the same way."""
    with temporary_folder() as folder:
        with opened(folder) as engine:
            for batch in batches(events, sizes):
                engine.ingest(batch)
            ring = engine.parts.states.store.ring
            tails = {
                person: (ring.time[person, : ring.length[person]].tolist(), ring.words[person, : ring.length[person]])
                for person in range(engine.parts.states.store.people)
            }
        log, of = read(folder)
        logged = [one for batch in log.replay() for one in batch if one.event.kind == "interaction"]
        logged = [one for one in logged if one.offset not in log.retracted()]
        for person in range(of.people):
            own = [one for one in logged if log.person(one.person) == person]
            expected = [own[place] for place in stepped([one.event.time or 0.0 for one in own])]
            known = [one.event.item in ITEMS for one in expected]
            part = slice(of.start[person], of.start[person + 1])
            assert of.time[part].tolist() == [one.event.time for one in expected]
            assert of.action[part].tolist() == [one.action for one in expected]
            assert of.item[part].tolist() == [one.item if k else -1 for one, k in zip(expected, known, strict=True)]
            said = [of.texts[number] if number >= 0 else None for number in of.words[part].tolist()]
            assert said == [one.event.words for one in expected]
            positive = [one.event.action != "dislike" for one in expected]
            assert of.target[part].tolist() == [k and p for k, p in zip(known, positive, strict=True)]
            if person in tails and tails[person][0]:
                times, _ = tails[person]
                assert of.time[part][-len(times) :].tolist() == times
        log.close()


def test_what_comes_too_late_behind_a_burst_is_dropped_as_the_engine_drops_it(tmp_path: Path) -> None:
    """Less than five minutes late, but older than what has moved into the checkpoint."""
    burst = [click("ann", f"i{k % 12}", NOW + k) for k in range(RING)]
    with opened(tmp_path) as engine:
        engine.ingest([Event(kind="item", item=name, time=NOW) for name in ITEMS])
        assert engine.ingest(burst).late == []
        assert len(engine.ingest([click("ann", "i5", NOW + 3.5), click("ann", "i6", NOW + 40.5)]).late) == 1
    log, of = read(tmp_path)
    assert of.time.tolist() == sorted([*(event.time or 0.0 for event in burst), NOW + 40.5])
    log.close()


def test_an_item_that_is_not_in_the_catalogue_is_stepped_by_as_nothing_and_never_predicted(tmp_path: Path) -> None:
    with opened(tmp_path) as engine:
        engine.ingest([Event(kind="item", item="i1", time=NOW), click("ann", "i0"), click("ann", "i1", NOW + 1)])
    log, of = read(tmp_path, catalogue=["i1"])
    assert of.item.tolist() == [-1, log.items.get("i1")]
    assert of.target.tolist() == [False, True]
    log.close()


def test_of_an_empty_log_there_is_nothing(tmp_path: Path) -> None:
    opened(tmp_path).close()
    log, of = read(tmp_path)
    assert (of.people, len(of.item), of.texts) == (0, 0, [])
    assert dataset.cut(of, 5, np.random.default_rng(0)).size == 0
    assert dataset.batches(dataset.cut(of, 5, np.random.default_rng(0)), 10, None) == []
    assert dataset.repeats(of) == 0.0
    log.close()
