"""Replay in worlds whose answers are known: people walk round a circle of items, always to the next one."""

from __future__ import annotations

from pathlib import Path

import pytest

from penchant import Engine, Event, InvalidInput
from penchant.evaluation.playing import PENCHANT
from penchant.evaluation.plots import draw
from penchant.evaluation.replay import Plan, plan_of, replay
from tests.evaluation.worlds import NO_TEXT, PEOPLE, ROUND, START, items, split_at, walk


def test_what_always_follows_is_predicted_at_the_first_place() -> None:
    events = walk()
    report = replay(Plan(items(), events, split_at(events, 7), NO_TEXT), lags=["0 s"])
    assert report.events == 3 * PEOPLE
    assert report.people == PEOPLE
    assert report.figures["transitions"].ndcg10 == 1.0
    assert report.figures[PENCHANT].hr10 == 1.0
    assert report.figures[PENCHANT].ndcg10 > report.figures["popularity"].ndcg10


def test_the_event_that_is_asked_for_is_learned_only_afterwards() -> None:
    """The last step goes where nobody ever went: an engine that had learned it first would find it."""
    events = walk()[: 7 * PEOPLE]
    strange = Event(id="strange", user="p0", action="click", item="never-sent", time=START + 1000)
    report = replay(Plan(items(), [*events, strange], START + 999, NO_TEXT), lags=["0 s"])
    assert report.figures[PENCHANT].hr20 == 0.0
    assert report.figures["popularity"].hr20 == 0.0


def test_late_states_and_counts_cost_quality() -> None:
    """New paths appear after the split; an engine that learns a day late never sees them."""
    before = walk()[: 2 * PEOPLE]
    after = [
        Event(
            id=f"a{person}-{k}",
            user=f"q{person}",
            action="click",
            item=f"i{(k * 5) % ROUND}",
            time=START + 1000 + 50 * person + k,
        )
        for person in range(20)
        for k in range(6)
    ]
    report = replay(Plan(items(), before + after, START + 1000, NO_TEXT), lags=["0 s", "1 day"])
    assert report.staleness["0 s"].ndcg10 > report.staleness["1 day"].ndcg10 + 0.1
    assert report.staleness["0 s"] == report.figures[PENCHANT]


def test_only_every_so_many_events_is_asked_and_the_places_are_the_same() -> None:
    events = walk()
    whole = replay(Plan(items(), events, split_at(events, 6), NO_TEXT), lags=["0 s"])
    third = replay(Plan(items(), events, split_at(events, 6), NO_TEXT, every=3), lags=["0 s"])
    assert third.events == -(-whole.events // 3)
    assert third.figures["transitions"].ndcg10 == 1.0


def test_what_is_met_again_is_found_where_the_settings_let_lists_show_it() -> None:
    """Everybody returns to an item of their own, for ever."""
    events = [
        Event(id=f"{person}-{k}", user=f"p{person}", action="buy", item=f"i{person}", time=START + 20 * k + person)
        for k in range(4)
        for person in range(ROUND)
    ]
    for seen, found in (("allow", 1.0), ("ever", 0.0)):
        settings = {**NO_TEXT, "seen": seen, "weights": {"again": 1.0}}
        report = replay(Plan(items(), events, split_at(events, 3), settings), lags=["0 s"])
        assert report.figures[PENCHANT].ndcg10 == found, seen


def test_a_split_outside_the_log_is_refused() -> None:
    with pytest.raises(InvalidInput, match="split"):
        replay(Plan(items(), walk(), START + 1e8, NO_TEXT), lags=["0 s"])


def test_the_log_of_a_folder_becomes_a_plan_without_what_was_retracted(tmp_path: Path) -> None:
    with Engine.open(tmp_path, encoder="none") as engine:
        engine.ingest(items())
        engine.ingest(reversed(walk()))
        engine.ingest([Event(kind="retraction", target="e9-9")])
    plan = plan_of(tmp_path, quantile=0.5)
    times = [event.time or 0.0 for event in plan.events]
    assert len(plan.items) == ROUND
    assert len(plan.events) == len(walk()) - 1
    assert times == sorted(times)
    assert sum(time < plan.split for time in times) == pytest.approx(len(times) / 2, abs=PEOPLE)


def test_items_met_too_rarely_can_be_left_out(tmp_path: Path) -> None:
    with Engine.open(tmp_path, encoder="none") as engine:
        engine.ingest([*walk(), Event(user="p0", action="click", item="rare", time=START)])
    assert all(event.item != "rare" for event in plan_of(tmp_path, least=2).events)


def test_an_empty_folder_is_refused_with_a_way_out(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="Import some first"):
        plan_of(tmp_path)


def test_a_report_is_drawn_as_a_picture(tmp_path: Path) -> None:
    events = walk()
    report = replay(Plan(items(), events, split_at(events, 7), NO_TEXT), lags=["0 s", "1 s"])
    picture = draw(report, tmp_path / "plots" / "replay.png")
    assert picture.read_bytes().startswith(b"\x89PNG")
