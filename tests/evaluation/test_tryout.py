"""What can be expected, in worlds where it is known: people who walk round a circle, always to the next item."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from penchant import Event, InvalidInput
from penchant.config import Settings
from penchant.evaluation.expectations import expectations, too_little
from penchant.evaluation.folders import silent
from penchant.evaluation.journal import Journal, journal
from penchant.evaluation.tryout import (
    HOURLY,
    NOW,
    TRAINED,
    VERSION_0,
    Difference,
    Options,
    Report,
    of_some_people,
    try_out,
)
from tests.conftest import temporary_folder
from tests.evaluation.worlds import START, items

SIZE, STEPS, PEOPLE = 30, 20, 40
HERE = Options(workers=1, texts=False)


def circle_walk() -> Journal:
    """Everybody begins somewhere and goes on one item a minute, all at the same pace."""
    return journal(
        Event(user=f"p{person}", action="click", item=f"i{(7 * person + step) % SIZE}", time=START + 60 * step + person)
        for step in range(STEPS)
        for person in range(PEOPLE)
    )


def tried(log: Journal, options: Options = HERE, train: object = None) -> Report:
    with temporary_folder() as scratch:
        return try_out(log, items(SIZE), Settings(encoder="none"), options, scratch, silent, train)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def report() -> Report:
    return tried(circle_walk())


def test_what_always_follows_beats_popularity_and_the_interval_says_so(report: Report) -> None:
    assert report.lists["transitions"].ndcg10 == 1.0
    assert report.lists[VERSION_0].ndcg10 > 0.8
    assert report.gains["popularity"].low > 0
    assert report.gains["popularity"].sure


def test_where_what_is_touched_since_gives_the_next_step_away_lateness_costs_nothing(report: Report) -> None:
    """Whoever walks on is expected at the first item that was not seen."""
    assert list(report.staleness) == [NOW, "1 s", "60 s", "10 min", "1 h"]
    assert report.staleness[NOW] == report.lists[VERSION_0]
    assert report.gains["1 h"].value == 0.0
    assert "does not show on these events" in " ".join(expectations(report))


def test_where_strangers_take_a_new_path_lists_that_are_late_do_not_know_it() -> None:
    """They come one after the other, and take a step a minute: a minute late, the last step is known."""
    strangers = journal([*circle_walk(), *(
        Event(user=f"q{person}", action="click", item=f"i{5 * step}", time=START + 5000 + 60 * (4 * person + step))
        for person in range(22) for step in range(4)
    )])  # fmt: skip
    report = tried(strangers)
    assert report.gains["60 s"].value == 0.0
    assert report.gains["10 min"].low > 0
    assert report.gains["1 h"].value >= report.gains["10 min"].value
    assert report.gains[HOURLY].low > 0
    assert "Freshness matters here" in " ".join(expectations(report))
    assert 0.2 < report.newcomers < 0.3


def test_the_last_tenth_is_asked_and_counted(report: Report) -> None:
    assert (report.events, report.learned, report.later) == (PEOPLE * STEPS, 720, 80)
    assert (report.asked, report.askable, report.asked_people, report.repeated) == (80, 80, PEOPLE, 0)
    assert report.gap == 60.0
    assert report.newcomers == 0.0
    assert not report.whole_days


def test_examples_show_what_was_before_and_what_came_next(report: Report) -> None:
    assert len(report.examples) == 3
    for example in report.examples:
        assert int(example.next[1:]) == (int(example.before[-1][1:]) + 1) % SIZE
        assert example.next in example.listed


def test_the_words_say_by_how_much_and_that_it_is_little_data(report: Report) -> None:
    told = " ".join(expectations(report))
    assert too_little(report)
    assert told.startswith("This is too little data")
    assert "than popularity" in told or "as well as popularity" in told
    assert "texts were not read" in told


def test_a_difference_whose_interval_holds_zero_is_not_called_one(report: Report) -> None:
    unsure = dict.fromkeys(report.gains, Difference(0.01, -0.01, 0.03))
    told = " ".join(expectations(msgspec.structs.replace(report, gains=unsure)))
    assert "cannot be told from popularity" in told
    assert "does not show on these events" in told
    assert "better" not in told


def test_times_that_are_whole_days_say_nothing_of_freshness(report: Report) -> None:
    told = " ".join(expectations(msgspec.structs.replace(report, whole_days=True)))
    assert "whole days" in told
    assert "Freshness matters" not in told


def test_what_training_brings_is_said_either_way(report: Report) -> None:
    lists = report.lists | {TRAINED: report.lists[VERSION_0]}

    def told(gain: Difference) -> str:
        changed = msgspec.structs.replace(report, lists=lists, gains=report.gains | {TRAINED: gain})
        return " ".join(expectations(changed))

    assert "Training pays" in told(Difference(-0.1, -0.2, -0.05))
    assert "Training does not pay yet" in told(Difference(0.1, 0.05, 0.2))
    assert "Training cannot be told" in told(Difference(0.0, -0.1, 0.1))


def test_where_many_come_back_to_what_they_met_it_is_said_that_those_were_not_asked(report: Report) -> None:
    def told(repeated: int) -> str:
        return " ".join(expectations(msgspec.structs.replace(report, repeated=repeated)))

    assert f"{40 / report.later:.0%} of the later events are on what the person had met" in told(40)
    assert "--seen allow" in told(40)
    assert "--seen allow" not in told(0)


def test_lists_that_know_less_and_order_better_are_not_passed_over(report: Report) -> None:
    worse = Difference(-0.1, -0.2, -0.05)
    spoilt = msgspec.structs.replace(report, gains=report.gains | {"60 s": worse, HOURLY: worse})
    told = " ".join(expectations(spoilt))
    assert "lists that know less order better here: 60 s late" in told
    assert "made once an hour" in told
    assert "order better here, by 0.100 (0.050 to 0.200)" in told
    assert "does not show" not in told


def test_fewer_people_are_asked_the_same_ones_for_a_seed_and_all_of_their_events() -> None:
    log = circle_walk()
    some = tried(log, HERE._replace(asked=30))
    assert (some.asked, some.asked_people, some.askable) == (30, 15, 80)
    assert some == tried(log, HERE._replace(asked=30))


def test_in_processes_of_their_own_the_runs_find_the_same(report: Report) -> None:
    assert tried(circle_walk(), HERE._replace(workers=2)) == report


def test_items_met_before_are_not_asked_where_lists_hide_them_and_asked_where_they_do_not() -> None:
    """All go round a circle that is shorter than their way."""
    log = journal(
        Event(user=f"p{person}", action="click", item=f"i{(person + step) % 6}", time=START + 60 * step + person)
        for step in range(STEPS)
        for person in range(PEOPLE)
    )
    with pytest.raises(InvalidInput, match="seen allow"):
        tried(log)
    report = tried(log, HERE._replace(seen="allow"))
    assert (report.asked, report.repeated) == (80, 0)
    assert report.lists[VERSION_0].hr10 > 0


def test_actions_that_push_away_are_learned_and_not_asked() -> None:
    log = circle_walk()
    hidden = journal(msgspec.structs.replace(event, action="hide" if event.user == "p0" else "click") for event in log)
    assert tried(hidden).asked == 78


def test_a_version_that_is_trained_in_the_folder_is_asked_the_same_questions() -> None:
    seen: list[list[str]] = []

    def train(folder: Path) -> bool:
        seen.append(sorted(path.name for path in folder.iterdir()))
        return True

    report = tried(circle_walk(), train=train)
    assert report.lists[TRAINED] == report.lists[VERSION_0]  # nothing was published, so version 0 answered again
    assert "events.db" in seen[0]
    assert TRAINED not in tried(circle_walk(), train=lambda _: False).lists


# -- what nothing can be said about ------------------------------------------------------------------------------------


def test_too_few_events_are_refused() -> None:
    with pytest.raises(InvalidInput, match="events=99: at least 100 events"):
        tried(circle_walk()[:99])


def test_a_log_of_one_person_is_refused() -> None:
    events = [Event(user="ann", action="click", item=f"i{k}", time=START + k) for k in range(120)]
    with pytest.raises(InvalidInput, match="'ann': all events are of one person"):
        tried(journal(events))


def test_a_log_of_one_moment_is_refused() -> None:
    events = [Event(user=f"p{k % 9}", action="click", item=f"i{k}", time=START) for k in range(120)]
    with pytest.raises(InvalidInput, match="the same time"):
        tried(journal(events))


def test_nearly_all_at_the_first_moment_leaves_the_rest_to_be_asked() -> None:
    first = [Event(user=f"p{k % 9}", action="click", item=f"i{k % SIZE}", time=START) for k in range(198)]
    later = [Event(user=f"q{k}", action="click", item="i0", time=START + 60 + k) for k in range(2)]
    report = tried(journal(first + later))
    assert (report.learned, report.later, report.newcomers) == (198, 2, 1.0)


def test_so_many_people_are_drawn_at_most_with_all_their_events() -> None:
    log = circle_walk()
    some = of_some_people(log, 10, seed=1)
    assert len(some.pools.people) == len(np.unique(some.person)) == 10
    assert len(some) == 10 * STEPS
    assert of_some_people(log, PEOPLE) is log
