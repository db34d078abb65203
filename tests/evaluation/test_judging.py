"""Actions and ratings through the real engine, under a version whose heads and stars are known exactly."""

from __future__ import annotations

import math
from pathlib import Path

import msgspec
import numpy as np
import pytest

from penchant import Event, Query
from penchant.evaluation.evaluate import Report, evaluate
from penchant.evaluation.figures import action_errors
from penchant.evaluation.folders import World, opened, prepare
from penchant.evaluation.labels import done_by
from penchant.evaluation.scope import Scope
from penchant.evaluation.trials import left_out, successive
from tests.evaluation.knowing import hand_made_rating, publish
from tests.evaluation.worlds import NO_TEXT, ROUND, START, items, split_at, walk

SPLIT = START + 1000
LIKELY = {"buy": 0.25, "hide": 0.5}
OF_ITEMS = [0.5 if k % 2 else -0.5 for k in range(ROUND)]
ALONE = Scope(slices=())


def known(likely: dict[str, float] | None = None, stars: list[float] | None = None, loudness: float = 0.0) -> World:
    rating = hand_made_rating(stars) if stars is not None else None
    return World(items(), NO_TEXT, train=lambda folder: publish(folder, likely, rating, loudness))


def did(user: str, action: str, item: str, after: float, value: float | None = None) -> Event:
    return Event(user=user, action=action, item=item, time=SPLIT + after, value=value)


def rated(user: str, item: str, stars: float | None, after: float) -> Event:
    return did(user, "rate", item, after, stars)


def found(report: Report, action: str) -> dict[str, float]:
    return {name: figure.value for name, figure in report.actions[action].figures.items()}


LATER = [
    did("ann", "click", "i1", 0),  # bought within the hour
    did("ann", "buy", "i1", 3600),  # met before: no list is asked, but what was done is
    did("bob", "hide", "i2", 3700),  # an action that counts against the item
    did("bob", "click", "i3", 3800),
    did("bob", "buy", "i3", 3800 + 3601),  # beyond the hour
    Event(user="bob", action="search", words="tea", time=SPLIT + 8000),
    did("bob", "click", "never sent", 8001),
]


def test_every_interaction_with_an_item_of_the_catalogue_is_judged_by_what_was_done_within_the_hour() -> None:
    report = evaluate(known(LIKELY), successive([*walk(), *LATER], SPLIT), ALONE)
    buy, hide = report.actions["buy"], report.actions["hide"]
    assert (buy.events, buy.people, buy.done) == (5, 2, 3)
    assert (hide.events, hide.people, hide.done) == (5, 2, 1)
    assert report.slices["all"].lists == 4  # repeats are not asked for, what was never sent is
    of_buy = -(3 * math.log(0.25) + 2 * math.log(0.75)) / 5
    assert found(report, "buy") == pytest.approx(
        {"auc": 0.5, "log_loss": of_buy, "brier": (3 * 0.75**2 + 2 * 0.25**2) / 5, "calibration_error": 0.6 - 0.25}
    )
    assert found(report, "hide") == pytest.approx(
        {"auc": 0.5, "log_loss": math.log(2), "brier": 0.25, "calibration_error": 0.5 - 0.2}
    )
    low, high = buy.figures["log_loss"].low, buy.figures["log_loss"].high
    assert low is not None
    assert high is not None
    assert low <= of_buy <= high
    assert report.ratings is None
    assert any("at most 8" in text and "5 events" in text for text in report.words)
    assert not any("clipped" in text for text in report.words)


def test_what_is_asked_stands_beside_what_was_done_just_then(tmp_path: Path) -> None:
    """Probabilities that depend on person and item, beside those of a plain loop: ask, then tell."""
    draw = np.random.default_rng(1)
    later = [did(f"p{draw.integers(10)}", "buy" if draw.random() < 0.3 else "click", f"i{draw.integers(12)}", 60.0 * k)
             for k in range(60)]  # fmt: skip
    trial, world = successive([*walk(), *later], SPLIT), known(LIKELY, loudness=3.0)
    report = evaluate(world, trial, ALONE)
    prepare(tmp_path / "again", world, trial.learned)
    said = []
    with opened(tmp_path / "again", NO_TEXT) as engine:
        for event in trial.asked:
            (one,) = engine.rank([event.item or ""], Query(user=event.user, time=event.time)).items
            said.append(one.probabilities["buy"])
            engine.ingest([event])
    people = np.unique([event.user or "" for event in later], return_inverse=True)[1]
    expected = action_errors(np.array(said), done_by(later, ["buy"]).done[:, 0], people)
    assert len(set(said)) > 40
    assert report.actions["buy"].figures == expected


def test_stars_are_asked_before_they_are_given_and_learned_afterwards() -> None:
    later = [
        rated("ann", "i1", 5.0, 0),  # said: 3.5; off by -1.5
        rated("ann", "i0", 2.0, 1),  # 2.5 + 1.5 / (1 + 5) = 2.75; off by 0.75
        rated("bob", "i0", 5.0, 2),  # 2.5; off by -2.5
        rated("ann", "i1", 4.0, 3),  # again: 3.5 + (1.5 - 0.5) / 7; off by -0.357
        rated("ann", "i2", None, 4),  # a rating without a value
        did("ann", "click", "i3", 5, 99.0),  # what was paid
        rated("bob", "never sent", 1.0, 6),
    ]
    report = evaluate(known(stars=OF_ITEMS), successive([*walk(), *later], SPLIT), ALONE)
    off = np.array([-1.5, 0.75, -2.5, 3.5 + 1 / 7 - 4.0])
    assert report.ratings is not None
    assert (report.ratings.events, report.ratings.people, report.ratings.done) == (4, 2, None)
    values = {name: figure.value for name, figure in report.ratings.figures.items()}
    assert values == pytest.approx({"rmse": np.sqrt((off**2).mean()), "mae": np.abs(off).mean()}, abs=1e-6)
    assert report.ratings.figures["mae"].high == pytest.approx(2.5)  # bob alone
    assert report.actions == {}
    assert any("clipped" in text and "1 to 5" in text for text in report.words)


def test_an_action_that_nobody_took_has_no_auc() -> None:
    report = evaluate(known({"share": 0.1}), successive(walk(), split_at(walk(), 7)), ALONE)
    assert report.actions["share"].done == 0
    assert math.isnan(found(report, "share")["auc"])
    assert found(report, "share")["log_loss"] == pytest.approx(-math.log(0.9))


def test_one_of_so_many_interactions_is_judged() -> None:
    report = evaluate(known(LIKELY, OF_ITEMS), successive([*walk(), *LATER], SPLIT), Scope(slices=(), every=2))
    assert report.actions["buy"].events == 3


def test_lists_are_the_same_whether_or_not_anything_is_judged() -> None:
    trial = successive([*walk(), *LATER], SPLIT)
    assert evaluate(known(LIKELY, OF_ITEMS), trial, ALONE).slices == evaluate(known(), trial, ALONE).slices


def test_a_version_that_knows_neither_says_nothing_of_them() -> None:
    report = evaluate(World(items(), NO_TEXT), successive([*walk(), *LATER], SPLIT), ALONE)
    assert (report.actions, report.ratings) == ({}, None)
    assert not {"actions", "ratings"} & set(msgspec.json.decode(msgspec.json.encode(report)))
    assert not any("clipped" in text or "heads" in text for text in report.words)


def test_leave_one_out_judges_nothing() -> None:
    """It asks once a person, with others' later events learned: no question of a probability."""
    report = evaluate(known(LIKELY, OF_ITEMS), left_out(walk()), ALONE)
    assert (report.actions, report.ratings) == ({}, None)
