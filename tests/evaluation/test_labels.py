"""What counts as done with an item."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from penchant import Event
from penchant.evaluation.labels import LOOKED_AHEAD, done_by, done_within
from tests.conftest import NOW, click


@given(
    events=st.lists(
        st.tuples(st.integers(0, 2), st.integers(-1, 2), st.integers(0, 3), st.sampled_from((0.0, 60.0, 3600.0, 3601))),
        min_size=1, max_size=8,
    )
)  # fmt: skip
def test_what_was_done_within_the_hour_is_what_a_loop_finds(events: list[tuple[int, int, int, float]]) -> None:
    people, item, action, pause = (np.array(column) for column in zip(*events, strict=True))
    time = np.cumsum(pause)
    expected = np.zeros((len(events), 4))
    for k in range(len(events)):
        for later in range(k, len(events)):
            same = people[k] == people[later] and item[k] == item[later] and time[later] - time[k] <= 3600.0
            expected[k, action[later]] += same
    np.testing.assert_array_equal(done_within(people, item, action, time, 4), np.minimum(expected, 1))


def test_an_event_is_labelled_with_what_its_person_did_with_its_item_within_the_hour_from_it() -> None:
    events = [
        click("ann", "tea", NOW),
        Event(user="ann", action="search", words="tea", time=NOW + 1),
        click("bob", "tea", NOW + 2),
        click("ann", "pot", NOW + 3),
        click("ann", "tea", NOW + 3600, action="buy"),
        click("ann", "pot", NOW + 3604, action="buy"),
    ]
    found = done_by(events, ["buy", "hide", "click"])
    assert found.rows.tolist() == [0, 2, 3, 4, 5]
    assert found.done.tolist() == [[1, 0, 1], [0, 0, 1], [0, 0, 1], [1, 0, 0], [1, 0, 0]]


def test_no_more_than_so_many_events_are_looked_ahead() -> None:
    clicks = [click("ann", "tea", NOW + k) for k in range(LOOKED_AHEAD + 1)]
    found = done_by([*clicks, click("ann", "tea", NOW + 99, action="buy")], ["buy"])
    assert found.done[:, 0].tolist() == [0] + [1] * (LOOKED_AHEAD + 1)
