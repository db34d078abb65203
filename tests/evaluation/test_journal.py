"""Events as arrays say what the events said, in the order of time."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from penchant import Event, InvalidInput
from penchant.evaluation.journal import Gatherer, journal
from tests.evaluation.worlds import PEOPLE, walk


def said(event: Event) -> tuple[object, ...]:
    return event.user, event.item, event.action, event.time, event.value, event.words


def test_events_come_back_as_they_were() -> None:
    events = walk()
    assert [said(event) for event in journal(events)] == [said(event) for event in events]


def test_values_and_words_that_begin_late_stand_at_their_rows() -> None:
    events = [
        Event(user="ann", action="click", item="a", time=1.0),
        Event(user="bob", action="rate", item="b", time=2.0, value=4.5),
        Event(user="ann", action="search", words="space", time=3.0),
        Event(user="ann", action="click", item="b", time=4.0),
    ]
    assert [said(event) for event in journal(events)] == [said(event) for event in events]


def test_they_are_put_in_the_order_of_time_and_those_of_one_moment_keep_theirs() -> None:
    moments = [3.0, 1.0, 2.0, 1.0]
    log = journal(Event(user="u", action="click", item=f"i{k}", time=time) for k, time in enumerate(moments))
    assert [event.item for event in log] == ["i1", "i3", "i2", "i0"]


def test_a_slice_is_a_view_whose_ids_are_those_of_the_whole() -> None:
    log = journal(walk())
    part = log[7:9]
    assert np.shares_memory(part.time, log.time)
    assert [event.id for event in part] == [event.id for event in log][7:9]
    assert part[1].id == log[8].id == "row-8"
    assert len({event.id for event in log}) == len(log)


def test_of_some_people_only_their_rows_and_names_are_left() -> None:
    log, chosen = journal(walk()), np.zeros(PEOPLE, np.bool_)
    chosen[[2, 5]] = True
    some = log.of_people(chosen)
    assert some.pools.people == ["p2", "p5"]
    assert [said(event) for event in some] == [said(event) for event in log if event.user in ("p2", "p5")]


def test_a_row_of_plain_clicks_costs_18_bytes() -> None:
    log = journal(walk())
    assert log.bytes() == 18 * len(log)


def test_they_travel_to_another_process_and_a_slice_without_the_rest() -> None:
    log = journal(walk() * 100)
    packed = pickle.dumps(log[:10])
    assert len(packed) < log.bytes() / 10
    assert [said(event) for event in pickle.loads(packed)] == [said(event) for event in log[:10]]


def test_an_event_without_a_time_keeps_none_and_comes_last() -> None:
    log = journal([Event(user="ann", action="click", item="a"), Event(user="ann", action="click", item="b", time=1.0)])
    assert [(event.item, event.time) for event in log] == [("b", 1.0), ("a", None)]


def test_an_event_of_nobody_is_refused() -> None:
    with pytest.raises(InvalidInput, match="a user"):
        Gatherer().add(Event(action="click", item="a", time=1.0))


def test_more_actions_than_can_be_numbered_are_refused_and_the_rest_stands() -> None:
    gatherer = Gatherer()
    for k in range(2**15):
        gatherer.add(Event(user="ann", action=f"a{k}", item="a", time=1.0))
    with pytest.raises(InvalidInput, match="actions"):
        gatherer.add(Event(user="bob", action="one more", item="b", time=1.0))
    log = gatherer.done()
    assert (len(log), log[-1].action, log.pools.people) == (2**15, f"a{2**15 - 1}", ["ann"])


def test_places_are_kept_where_they_are_told_and_numbered_along_where_they_are_not() -> None:
    gatherer = Gatherer()
    for place, moment in ((7, 3.0), (9, 1.0)):
        gatherer.add(Event(user="ann", action="click", item="a", time=moment), place)
    assert gatherer.done().in_time().place.tolist() == [9, 7]
    assert journal(walk())[3:5].place.tolist() == [4, 5]


def test_steps_are_refused_since_ids_are_numbered_along() -> None:
    with pytest.raises(ValueError, match="where"):
        journal(walk())[::2]
