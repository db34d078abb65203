"""Cross-validated ratings of worlds whose answers are known, and what a fold must not know."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

pytest.importorskip("torch")

from penchant import Engine, Event, InvalidInput
from penchant.evaluation.folders import World, read_log
from penchant.evaluation.protocols import in_time, k_fold
from penchant.learning import folds as folds_of
from penchant.learning import ratings as ratings_of
from penchant.learning.folds import Report, cross_validate, fitted, predicted
from penchant.models import versions
from tests.conftest import NOW, circle, click
from tests.evaluation.knowing import DAMPED, MEAN, hand_made_rating, publish

PEOPLE, ITEMS = 8, 6
OF_ITEMS = [0.75, -0.5, 0.25, 1.5, -1.0, 0.0]
WORLD = World(circle(ITEMS), {"encoder": "none"})


def rate(user: str, item: str, stars: float | None, time: float = NOW, action: str = "rate") -> Event:
    return Event(user=user, action=action, item=item, value=stars, time=time)


def given(seed: int = 0) -> list[Event]:
    """Everybody rates four of six items and clicks on one."""
    draw = np.random.default_rng(seed)
    events = []
    for k in range(PEOPLE):
        for place, item in enumerate(draw.permutation(ITEMS)[:4].tolist()):
            events.append(rate(f"p{k}", f"i{item}", float(draw.integers(1, 6)), NOW + 10 * place + k))
        events.append(click(f"p{k}", "i0", NOW + 100 + k, value=50.0))  # what was paid
    return in_time(events)


@pytest.fixture(autouse=True)
def few_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ratings_of, "LEAST", 10)


@pytest.fixture
def by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Instead of a fit: 3 stars, the item's own, and the person's damped mean residual."""

    def fit(known: Any, items: int, actions: np.ndarray, told: Any = None) -> Any:
        return hand_made_rating(OF_ITEMS)._replace(actions=actions)

    monkeypatch.setattr(ratings_of, "fit", fit)


def by_definition(rated: list[Event], fold: np.ndarray) -> np.ndarray:
    """What is said of each rating from its person's ratings in the other folds."""
    own = [OF_ITEMS[int((event.item or "")[1:])] for event in rated]
    said = []
    for k, event in enumerate(rated):
        others = [(one.value or 0.0) - MEAN - own[n] for n, one in enumerate(rated)
                  if one.user == event.user and fold[n] != fold[k]]  # fmt: skip
        said.append(MEAN + own[k] + sum(others) / (len(others) + DAMPED))
    return np.clip(said, 1.0, 5.0)


# -- what is found -----------------------------------------------------------------------------------------------------


def test_every_rating_is_predicted_once_from_the_other_folds(by_hand: None) -> None:
    events = given()
    report = cross_validate(WORLD, events, folds=3, seed=4)
    rated = [event for event in events if event.action == "rate"]
    fold = k_fold(rated, 3, 4)
    off = by_definition(rated, fold) - np.array([event.value for event in rated])
    assert (report.overall.events, report.overall.people, report.learned) == (32, PEOPLE, PEOPLE)
    assert [part.events for part in report.folds] == [11, 11, 10]
    for part, errors in ((report.overall, off), *zip(report.folds, (off[fold == f] for f in range(3)), strict=True)):
        values = {name: figure.value for name, figure in part.figures.items()}
        assert values == pytest.approx({"rmse": np.sqrt((errors**2).mean()), "mae": np.abs(errors).mean()}, abs=1e-6)
        low, high = part.figures["mae"].low, part.figures["mae"].high
        assert low is not None
        assert high is not None
        assert low <= part.figures["mae"].value <= high


def test_a_fold_knows_all_that_is_not_in_it_and_nothing_that_is(by_hand: None, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[list[Event], list[Event]]] = []

    def note(engine: Engine, asked: Any, moment: float) -> Any:
        logged = [one.event for batch in engine.parts.log.replay() for one in batch]
        told.append((list(asked), [event for event in logged if event.kind == "interaction"]))
        return predicted(engine, asked, moment)

    monkeypatch.setattr(folds_of, "predicted", note)
    events = given()
    cross_validate(WORLD, events, folds=3)

    def which(some: list[Event]) -> set[tuple[Any, ...]]:
        return {(event.user, event.action, event.item, event.value, event.time) for event in some}

    for asked, learned in told:
        assert which(asked) | which(learned) == which(events)
        assert not which(asked) & which(learned)
        assert len(asked) + len(learned) == len(events)
    assert which([event for asked, _ in told for event in asked]) == which([e for e in events if e.action == "rate"])


def test_a_fit_finds_what_items_deserve() -> None:
    """Everybody gives an item the same stars, so that those of others say all."""
    events = in_time(
        rate(f"p{k}", f"i{n}", 1.0 + n % 5, NOW + k + n) for k in range(20) for n in range(12) if (k + n) % 3
    )
    report = cross_validate(World(circle(12), {"encoder": "none"}), events, folds=2)
    assert report.overall.figures["rmse"].value < 0.4  # the stars' deviation is 1.4


def test_the_same_seed_deals_the_same_folds_and_another_one_others(by_hand: None) -> None:
    first, again, other = (cross_validate(WORLD, given(), folds=2, seed=seed) for seed in (0, 0, 1))
    assert first == again
    assert first.folds != other.folds


# -- what is a rating --------------------------------------------------------------------------------------------------


def test_a_second_rating_of_an_item_is_predicted_too_and_said(by_hand: None) -> None:
    events = [*given(), rate("p0", "i0", 1.0, NOW + 500), rate("p0", "i0", 5.0, NOW + 501)]
    report = cross_validate(WORLD, events, folds=2)
    assert report.overall.events == 34
    assert any("not the first" in text for text in report.words)


def test_ratings_without_a_value_or_on_what_cannot_be_ranked_are_learned_only(by_hand: None) -> None:
    gone = Event(kind="item", item="i5", available=False, time=NOW)
    more = [rate("p0", "i0", None, NOW + 500), rate("p0", "never sent", 4.0, NOW + 501)]
    events = [*given(), *more]
    report = cross_validate(World([*circle(ITEMS), gone], {"encoder": "none"}), events, folds=2)
    of_gone = sum(event.item == "i5" for event in events)
    assert of_gone > 0
    assert report.overall.events == 32 - of_gone
    assert report.learned == len(events) - report.overall.events
    assert any(f"{of_gone + 1:,} ratings on items that are not" in text for text in report.words)


def test_settings_are_those_of_the_folder_and_its_versions_are_not_asked(by_hand: None, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "penchant.toml").write_text('encoder = "none"\nratings = ["score"]\n[actions.score]\nweight = 1.0\n')
    with Engine.open(source) as engine:
        engine.ingest(circle(ITEMS))
        engine.ingest(msgspec.structs.replace(e, action="score") for e in given() if e.action == "rate")
    publish(source, None, hand_made_rating([0.0] * ITEMS, limits=(1.0, 1.0)))
    before = {path: path.stat().st_mtime_ns for path in (source / "versions").rglob("*")}
    world, events = read_log(source)
    report = cross_validate(world, events, folds=3, seed=4)
    off = by_definition(events, k_fold(events, 3, 4)) - np.array([event.value for event in events])
    assert report.overall.figures["mae"].value == pytest.approx(np.abs(off).mean(), abs=1e-6)
    assert any("values of score" in text for text in report.words)
    assert {path: path.stat().st_mtime_ns for path in (source / "versions").rglob("*")} == before


# -- what both use -----------------------------------------------------------------------------------------------------


def test_a_fitted_engine_says_the_stars_of_many_items_as_of_one() -> None:
    events = [event for event in given() if event.action == "rate"]
    asked = [rate(f"p{k}", f"i{n}", 1.0) for n in range(ITEMS) for k in range(PEOPLE)]
    with fitted(WORLD, events) as engine:
        assert versions.read_manifest(engine.parts.version.path).kind == "trained"
        said = predicted(engine, asked, NOW + 999)
        one_by_one = [predicted(engine, [event], NOW + 999)[0] for event in asked]
    assert said == pytest.approx(np.array(one_by_one), abs=1e-5)
    by_person = defaultdict(list)
    for event, stars in zip(asked, said.tolist(), strict=True):
        by_person[event.user].append(stars)
    assert len({tuple(stars) for stars in by_person.values()}) == PEOPLE


def test_an_item_that_is_not_available_is_refused(by_hand: None) -> None:
    gone = Event(kind="item", item="i5", available=False, time=NOW)
    with (
        fitted(World([*circle(ITEMS), gone], {"encoder": "none"}), given()) as engine,
        pytest.raises(InvalidInput, match="item='i5'"),
    ):
        predicted(engine, [rate("p0", "i1", 3.0), rate("p0", "i5", 3.0)], NOW)


@pytest.mark.parametrize(
    ("events", "folds", "said"),
    [
        (given()[:8], 2, "ratings=8"),
        (given(), 1, "folds=1"),
        (given(), 33, "folds=33"),
        ([msgspec.structs.replace(event, value=4.0) for event in given()], 2, "not all alike"),
        ([click("p0", "i0")], 2, "ratings=0"),
    ],
)
def test_what_cannot_be_cross_validated_is_refused_at_once(events: list[Event], folds: int, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        cross_validate(WORLD, events, folds)


def test_a_report_is_json_with_plain_keys(by_hand: None) -> None:
    report = cross_validate(WORLD, given(), folds=2)
    assert msgspec.json.decode(msgspec.json.encode(report), type=Report) == report
    assert set(report.overall.figures) == {"rmse", "mae"}
