"""What a list may know, by how late an engine is told."""

from __future__ import annotations

import numpy as np

from penchant.evaluation.playing import Run

HOUR = 3600.0
TIME = np.array([0.0, 10.0, 11.0, 11.0, HOUR, HOUR, HOUR + 5, HOUR + 5])


def test_at_once_everything_before_is_known_events_of_the_same_moment_too() -> None:
    assert [Run("now").known(TIME, row) for row in range(len(TIME))] == list(range(len(TIME)))


def test_late_by_a_second_what_happened_less_than_a_second_ago_is_not_known() -> None:
    run = Run("late", lag=1.0)
    assert [run.known(TIME, row) for row in range(4)] == [0, 1, 2, 2]


def test_lists_made_once_an_hour_know_what_was_before_the_full_hour() -> None:
    run = Run("hourly", every=HOUR)
    assert [run.known(TIME, row) for row in range(len(TIME))] == [0, 0, 0, 0, 4, 4, 4, 4]
    assert run.made(HOUR + 5) == HOUR


def test_no_list_knows_the_event_that_is_asked_for_where_times_are_whole_days() -> None:
    days = np.array([0.0, 0.0, 86_400.0, 86_400.0])
    for run in (Run("now"), Run("late", lag=HOUR), Run("hourly", every=HOUR)):
        assert all(run.known(days, row) <= row for row in range(4)), run.name
