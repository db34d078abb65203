"""Each finding of the doctor on a world that has exactly it; the world without it is clean."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest

from penchant.evaluation.doctor import EXAMINATIONS, examine
from penchant.evaluation.doctor.world import Finding, World, span
from tests.evaluation.doctor_worlds import (
    DAY,
    HOUR,
    ITEMS,
    NOW,
    PEOPLE,
    START,
    Row,
    Thing,
    clean_rows,
    clean_things,
    world,
)


def only(made: World) -> Finding:
    found = examine(made)
    assert len(found) == 1, [one.name for one in found]
    return found[0]


def added(rows: Sequence[Row]) -> list[Row]:
    """The clean rows and more, in the order of time."""
    return sorted([*clean_rows(), *rows], key=lambda row: row.time)


def test_a_clean_world_has_no_finding() -> None:
    assert examine(world(clean_rows())) == []
    assert examine(world(clean_rows(), None)) == []


def test_where_nobody_did_anything_that_is_all_that_is_said() -> None:
    found = [finding for one in EXAMINATIONS for finding in one(world([], None))]
    assert [one.name for one in found] == ["no events"]
    assert only(world([])).severity == "warning"
    assert only(world([], refused=Counter({"user: nobody is named": 3}))).name == "rows that cannot be read"


def test_words_alone_are_no_duplicates_of_one_another_and_need_no_item() -> None:
    assert examine(world(added([Row("u1", None, START + 9.0 * HOUR + k, "search") for k in (0, 0, 1)]))) == []


# -- times and their order -------------------------------------------------------------------------------------------


def test_events_without_a_time_are_found() -> None:
    rows = clean_rows()
    rows[100:200] = [row._replace(time=np.nan) for row in rows[100:200]]
    found = only(world(rows))
    assert (found.name, found.severity, found.count, found.of) == ("events without a time", "serious", 100, 3600)
    assert "no time" in found.example


@pytest.mark.parametrize(
    ("factor", "name"), [(1e-3, "times near 1970"), (0.0, "times near 1970"), (1e3, "times beyond the year 5000")]
)
def test_a_wrong_unit_of_time_is_found(factor: float, name: str) -> None:
    rows = clean_rows()
    at = {person: k for k, person in enumerate(row.user for row in rows)}  # the last of each, so that none is late
    spoilt = list(at.values()) if factor > 1 else [next(k for k, row in enumerate(rows) if row.user == u) for u in at]
    for k in spoilt:
        rows[k] = rows[k]._replace(time=rows[k].time * factor)
    found = only(world(rows))
    assert (found.name, found.severity, found.count) == (name, "serious", len(at))


def test_times_in_the_future_are_found() -> None:
    found = only(world([*clean_rows(), Row("u1", "i1", NOW + 3 * HOUR)]))
    assert (found.name, found.severity, found.count) == ("times in the future", "serious", 1)
    assert "u1: click on i1" in found.example


@pytest.mark.parametrize("wrong", [5.0, START * 1000.0, NOW + 3 * HOUR], ids=["1970", "milliseconds", "future"])
def test_one_wrong_time_makes_nobody_late_and_no_item_old(wrong: float) -> None:
    """Of the first event of everybody, so that all their others come after it."""
    first = {row.user: k for k, row in reversed(list(enumerate(clean_rows())))}
    rows = [row._replace(time=wrong) if first[row.user] == k else row for k, row in enumerate(clean_rows())]
    things = [*clean_things(), *(Thing(f"new {k}", f"film {k} of today", created=NOW - 3 * HOUR) for k in range(5))]
    spoilt = world(rows, things)
    (found,) = [one for one in examine(spoilt) if one.count == PEOPLE]
    assert found.name.startswith("times")
    assert {one.name for one in examine(spoilt)} == {found.name}
    assert START <= spoilt.dated.time.min() < spoilt.dated.time.max() <= START + 31 * DAY


def test_events_out_of_order_are_found_where_they_are_older_than_their_person_s_newest() -> None:
    rows = clean_rows()
    late = Row("u1", "i1", rows[-1].time - 2 * DAY)
    found = only(world([*rows, late, late._replace(user="new")]))
    assert (found.name, found.severity, found.count) == ("events out of order", "note", 1)
    assert span(max(row.time for row in rows if row.user == "u1") - late.time) in found.example
    assert only(world(rows[::-1])).severity == "serious"


def test_a_log_within_five_minutes_of_order_is_fine() -> None:
    rows = clean_rows()
    assert examine(world([*rows, rows[-1]._replace(item="i39", time=rows[-1].time - 299)])) == []


def test_a_gap_far_beyond_what_is_usual_is_found() -> None:
    rows = [row if row.time < START + 15 * DAY else row._replace(time=row.time + 9 * DAY) for row in clean_rows()]
    found = only(world(rows))
    assert (found.name, found.severity, found.count) == ("long gaps in time", "warning", 1)
    assert "days)" in found.example


def test_events_that_all_have_the_time_of_their_import_are_found() -> None:
    found = only(world([row._replace(time=float(START)) for row in first_of_each(clean_rows())]))
    assert (found.name, found.severity) == ("events in the same second", "serious")
    assert found.count == found.of


def first_of_each(rows: Sequence[Row]) -> list[Row]:
    """One row for each person, item and action, so that nothing is done twice."""
    return list({(row.user, row.item, row.action): row for row in rows}.values())


def test_events_as_fast_as_an_import_have_no_times_of_their_own() -> None:
    rows = [row._replace(time=START + k / 2000) for k, row in enumerate(first_of_each(clean_rows()))]
    assert "events in the same second" in [one.name for one in examine(world(rows))]


def test_times_told_by_the_day_are_found() -> None:
    rows = [row._replace(time=row.time // DAY * DAY) for row in clean_rows()]
    found = only(world(rows))
    assert (found.name, found.severity) == ("times are rounded", "warning")
    assert "whole days" in found.rule


# -- repeats -----------------------------------------------------------------------------------------------------------


def test_duplicated_events_are_counted() -> None:
    rows = clean_rows()
    found = only(world(added(rows[50:90])))
    assert (found.name, found.severity, found.count) == ("duplicated events", "warning", 40)
    assert only(world(added(rows[::10]))).severity == "serious"


def test_double_clicks_are_counted() -> None:
    rows = clean_rows()
    found = only(world(added([row._replace(time=row.time + 1) for row in rows[50:90]])))
    assert (found.name, found.severity, found.count) == ("double clicks", "warning", 40)


def test_the_same_item_again_after_some_seconds_or_under_another_action_is_no_repetition() -> None:
    rows = clean_rows()[50:90]
    assert examine(world(added([row._replace(time=row.time + 3) for row in rows]))) == []
    assert examine(world(added([row._replace(action="buy", value=None) for row in rows]))) == []


# -- people ------------------------------------------------------------------------------------------------------------


def busy(count: int, seconds: float, *, jitter: float = 0.4, people: int = 1) -> list[Row]:
    """Somebody who does ``count`` things, one every so many seconds, more or less."""
    random = np.random.default_rng(1)
    gaps = seconds * (1 + jitter * random.uniform(-1, 1, count))
    times = START + 10 * DAY + np.cumsum(gaps)
    return [Row(f"bot{k % people}", f"i{k % ITEMS}", float(round(t, 3))) for k, t in enumerate(times.tolist())]


def crowd(rows: Sequence[Row]) -> World:
    """The rows among twenty times as many people as usual, so that none of them holds a large share."""
    others = [row._replace(user=f"{row.user}-{k}", time=row.time + k) for k in range(20) for row in clean_rows()]
    return world(sorted([*others, *rows], key=lambda row: row.time))


def test_who_does_more_in_an_hour_than_a_person_can_is_a_bot() -> None:
    found = only(crowd(busy(1500, 2.2)))
    assert (found.name, found.severity, found.count) == ("bots: too fast", "warning", 1)
    assert found.example.startswith("bot0: 1,")
    assert examine(crowd(busy(600, 5.0))) == []


def test_where_many_are_fast_fast_is_usual() -> None:
    rows = [row._replace(user=f"p{k}") for k in range(6) for row in busy(1300, 2.6)]
    rows = [row._replace(item=f"{row.user}-{k}", time=row.time + k / 1000) for k, row in enumerate(rows)]
    made = world(sorted(rows, key=lambda row: row.time), None)
    assert "bots: too fast" not in [one.name for one in examine(made)]


def test_who_meets_thousands_of_items_in_a_day_is_a_bot() -> None:
    rows = [row._replace(item=f"x{k}") for k, row in enumerate(busy(2500, 20.0))]
    things = [*clean_things(), *(Thing(f"x{k}", f"text {k}") for k in range(2500))]
    others = [row._replace(user=f"{row.user}-{k}", time=row.time + k) for k in range(20) for row in clean_rows()]
    found = only(world(sorted([*others, *rows], key=lambda row: row.time), things))
    assert (found.name, found.count) == ("bots: too many items", 1)
    assert "2,500 items" in found.example


def test_who_is_as_regular_as_a_clock_is_a_bot() -> None:
    found = only(crowd(busy(300, 30.0, jitter=0.02)))
    assert (found.name, found.count) == ("bots: regular as a clock", 1)
    assert "one every 30" in found.example
    assert examine(crowd(busy(300, 30.0))) == []


def test_who_never_sleeps_is_a_bot() -> None:
    found = only(crowd(busy(200, 600.0)))
    assert (found.name, found.count) == ("bots: never asleep", 1)
    assert "hours in a row" in found.example
    assert examine(crowd(busy(80, 600.0))) == []


def test_bots_that_make_a_tenth_of_all_events_are_serious() -> None:
    found = [one for one in examine(world(added(busy(1500, 2.2)))) if one.name == "bots: too fast"]
    assert [one.severity for one in found] == ["serious"]


def test_one_name_for_many_people_is_found() -> None:
    rows = [row._replace(user="guest") if int(row.user[1:]) % 2 and row.time % 2 else row for row in clean_rows()]
    rows = [row._replace(user=f"{row.user}-{k % 9}") if row.user != "guest" else row for k, row in enumerate(rows)]
    found = only(world(rows))
    assert (found.name, found.severity) == ("one person holds a large share", "serious")
    assert found.count == sum(row.user == "guest" for row in rows)


def test_people_who_come_once_are_found_when_they_are_the_most() -> None:
    found = only(world([row._replace(user=f"visit{k}") for k, row in enumerate(clean_rows())]))
    assert (found.name, found.severity, found.count) == ("people with a single event", "warning", 3600)


# -- items -------------------------------------------------------------------------------------------------------------


def test_items_without_text_are_found_unless_they_bring_vectors_or_nothing_is_read() -> None:
    things = [Thing("i0", ""), Thing("i1", "", brought=True), *clean_things()[2:]]
    found = only(world(clean_rows(), things))
    assert (found.name, found.severity, found.count, found.example) == ("items without text", "note", 1, "i0")
    assert examine(world(clean_rows(), things, reads_texts=False)) == []
    assert only(world(clean_rows(), [thing._replace(text="") for thing in clean_things()])).severity == "serious"


def test_items_acted_on_but_never_sent_are_found_and_serious_where_they_are_many() -> None:
    found = only(world(clean_rows(), clean_things()[1:]))
    assert (found.name, found.severity, found.count) == ("items acted on but never sent", "warning", 1)
    assert found.example.startswith("i0: ")
    assert only(world(clean_rows(), clean_things()[20:])).severity == "serious"


def test_items_never_acted_on_are_found_new_ones_aside() -> None:
    things = [*clean_things(), *(Thing(f"dead{k}", f"a thing nobody wants, number {k}") for k in range(5))]
    found = only(world(clean_rows(), things))
    assert (found.name, found.severity, found.count, found.of) == ("items never acted on", "note", 5, 45)
    new = [thing._replace(created=NOW) if thing.name.startswith("dead") else thing for thing in things]
    assert examine(world(clean_rows(), new)) == []


def test_after_an_import_the_times_of_items_do_not_make_them_new() -> None:
    things = [*clean_things(), *(Thing(f"dead{k}", f"a thing nobody wants, number {k}") for k in range(5))]
    found = only(world(clean_rows(), [thing._replace(created=NOW) for thing in things]))
    assert found.name == "items never acted on"


def test_items_that_are_gone_but_acted_on_are_found() -> None:
    things = [Thing("i0", "gone", gone=1800), *clean_things()[1:]]
    after = sum(row.item == "i0" for row in clean_rows()[1800:])
    found = only(world(clean_rows(), things))
    assert (found.name, found.count) == ("items not available, but acted on", 1)
    assert found.example.startswith(f"i0: {after} events")
    assert examine(world(clean_rows(), [Thing("i0", "gone", gone=3600), *clean_things()[1:]])) == []


def test_texts_shared_by_many_items_are_found() -> None:
    things = [thing._replace(text="a product") if k < 8 else thing for k, thing in enumerate(clean_things())]
    found = only(world(clean_rows(), things))
    assert (found.name, found.severity, found.count) == ("texts that are the same for many items", "note", 8)
    assert "8 items say “a product”" in found.example
    assert examine(world(clean_rows(), [thing._replace(text="a") for thing in things[:2]] + things[8:])) != []


def test_texts_that_the_encoder_cannot_read_are_found() -> None:
    things = [thing._replace(text=f"影片 {k}") if k < 20 else thing for k, thing in enumerate(clean_things())]
    unreadable = lambda texts: float("影" in texts[0])  # noqa: E731
    found = only(world(clean_rows(), things, unreadable=unreadable))
    assert (found.name, found.severity, found.count) == ("texts that the encoder cannot read", "serious", 20)
    assert "影片 0" in found.example
    assert examine(world(clean_rows(), unreadable=unreadable)) == []


# -- actions and values ------------------------------------------------------------------------------------------------


def test_rows_that_cannot_be_read_are_found_with_their_most_frequent_reason() -> None:
    reasons = Counter({"time: a time is expected": 30, "user: nobody is named": 2})
    found = only(world(clean_rows(), refused=reasons, examples={"time: a time is expected": "row 7 of x.csv"}))
    assert (found.name, found.severity, found.count, found.of) == ("rows that cannot be read", "warning", 32, 3632)
    assert found.example == "row 7 of x.csv: time: a time is expected (30 rows)"


def test_unknown_actions_are_serious_before_an_import_and_weigh_nothing_after() -> None:
    rows = [row._replace(action="tap") if row.action == "click" else row for row in clean_rows()]
    found = only(world(rows, imported=True))
    assert (found.name, found.severity) == ("unknown actions", "serious")
    assert found.count == sum(row.action == "tap" for row in rows)
    assert "[actions.tap]" in found.advice
    assert only(world(rows)).severity == "warning"


def test_actions_that_never_happen_are_found_where_somebody_named_them() -> None:
    found = only(world(clean_rows(), actions=frozenset(("click", "rate", "buy")), own=True))
    assert (found.name, found.severity, found.example) == ("actions that never happen", "note", "buy")


def test_ratings_without_a_value_are_found() -> None:
    rows = [row._replace(value=None) if row.user == "u1" else row for row in clean_rows()]
    found = only(world(rows))
    assert (found.name, found.severity) == ("rate without a value", "warning")


def test_values_that_are_all_the_same_are_found() -> None:
    found = only(world([row._replace(value=row.value and 1.0) for row in clean_rows()]))
    assert (found.name, found.severity) == ("values of rate are all the same", "warning")


def test_values_far_outside_of_the_others_are_found() -> None:
    rows = clean_rows()
    at = next(k for k, row in enumerate(rows) if row.value is not None)
    rows[at] = rows[at]._replace(value=9999.0)
    found = only(world(rows))
    assert (found.name, found.severity, found.count) == ("implausible values of rate", "note", 1)
    assert found.example.startswith("9999")


def test_minus_one_that_stands_for_none_is_found() -> None:
    rows = [row._replace(value=-1.0) if row.value == 3.0 else row for row in clean_rows()]
    found = only(world(rows))
    assert (found.name, found.count) == ("implausible values of rate", sum(row.value == -1 for row in rows))


def test_the_serious_findings_come_first() -> None:
    rows = [*clean_rows(), Row("u1", "i1", NOW + HOUR)]
    found = examine(world(rows, [Thing("i0", ""), *clean_things()[1:]]))
    assert [one.severity for one in found] == ["serious", "note"]
