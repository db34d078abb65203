"""Events as arrays say what the events said, in the order of time."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from penchant import Event, InvalidInput
from penchant.evaluation.interactions import Gatherer, interactions
from tests.evaluation.worlds import PEOPLE, walk


def said(event: Event) -> tuple[object, ...]:
    return event.user, event.item, event.action, event.time, event.value, event.words


def test_events_come_back_as_they_were() -> None:
    events = walk()
    assert [said(event) for event in interactions(events)] == [said(event) for event in events]


def test_values_and_words_that_begin_late_stand_at_their_rows() -> None:
    events = [
        Event(user="ann", action="click", item="a", time=1.0),
        Event(user="bob", action="rate", item="b", time=2.0, value=4.5),
        Event(user="ann", action="search", words="space", time=3.0),
        Event(user="ann", action="click", item="b", time=4.0),
    ]
    assert [said(event) for event in interactions(events)] == [said(event) for event in events]


def test_they_are_put_in_the_order_of_time_and_those_of_one_moment_keep_theirs() -> None:
    moments = [3.0, 1.0, 2.0, 1.0]
    log = interactions(Event(user="u", action="click", item=f"i{k}", time=time) for k, time in enumerate(moments))
    assert [event.item for event in log] == ["i1", "i3", "i2", "i0"]


def test_a_slice_is_a_view_whose_ids_are_those_of_the_whole() -> None:
    log = interactions(walk())
    part = log[7:9]
    assert np.shares_memory(part.time, log.time)
    assert [event.id for event in part] == [event.id for event in log][7:9]
    assert part[1].id == log[8].id == "row-8"
    assert len({event.id for event in log}) == len(log)


def test_of_some_people_only_their_rows_and_names_are_left() -> None:
    log, chosen = interactions(walk()), np.zeros(PEOPLE, np.bool_)
    chosen[[2, 5]] = True
    some = log.of_people(chosen)
    assert some.pools.people == ["p2", "p5"]
    assert [said(event) for event in some] == [said(event) for event in log if event.user in ("p2", "p5")]


def test_a_row_of_plain_clicks_costs_18_bytes() -> None:
    log = interactions(walk())
    assert log.bytes() == 18 * len(log)


def test_they_travel_to_another_process_and_a_slice_without_the_rest() -> None:
    log = interactions(walk() * 100)
    packed = pickle.dumps(log[:10])
    assert len(packed) < log.bytes() / 10
    assert [said(event) for event in pickle.loads(packed)] == [said(event) for event in log[:10]]


def test_an_event_without_a_time_is_refused() -> None:
    with pytest.raises(InvalidInput, match="a time"):
        Gatherer().add(Event(user="ann", action="click", item="a"))


def test_steps_are_refused_since_ids_are_numbered_along() -> None:
    with pytest.raises(ValueError, match="where"):
        interactions(walk())[::2]
