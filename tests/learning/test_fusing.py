"""The fusion: what is fitted, what is shipped, and that no answer is seen before it is told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from msgspec import structs

from penchant import Event, Item, Query
from penchant.engine import Engine
from penchant.evaluation import metrics
from penchant.learning import fusing
from penchant.learning.fusing import Collector, Examples, Weighed, alone, fit, fused, gains, lines
from penchant.models.cold_start import FEATURES
from penchant.models.fusion import curves_of
from tests.conftest import NOW

LEARNED, TRANSITIONS = 0, FEATURES.index("transitions")


def questions(worth: np.ndarray, seed: int = 0, candidates: int = 20) -> Examples:
    """Candidates with random features, of which the answer is drawn by exp(worth[features]); 60 people."""
    draw = np.random.default_rng(seed)
    count, asked = len(FEATURES), 1500
    features = draw.uniform(0.0, 3.0, (asked, candidates, count)).astype(np.float32)
    logits = np.zeros((asked, candidates))
    for j in range(count):
        logits += np.interp(features[:, :, j], np.linspace(0.0, 3.0, worth.shape[1]), worth[j])
    answer = (logits + draw.gumbel(size=logits.shape)).argmax(1)
    return Examples(
        features.reshape(-1, count),
        np.arange(asked + 1) * candidates,
        answer.astype(np.int64),
        draw.integers(0, 65, asked),
        draw.integers(0, 60, asked),
    )


def worth(**rows: list[float]) -> np.ndarray:
    names = ("learned", *FEATURES[1:])
    return np.array([rows.get(name, [0.0] * 4) for name in names])


def test_a_bend_that_a_line_cannot_follow_is_found_and_shipped() -> None:
    examples = questions(worth(learned=[0.0, 0.0, 0.0, 5.0], transitions=[0.0, 3.0, 3.0, 3.0]))
    fusion, weighed = fused(examples)
    assert weighed.curves is not None
    assert weighed.better
    assert fusion.curves
    assert weighed.best == weighed.curves > weighed.lines * 1.03
    heights = curves_of(fusion).heights[10]
    steep = np.diff(heights, axis=1)
    assert steep[LEARNED, -1] > 3 * abs(steep[LEARNED, 0])
    assert steep[TRANSITIONS, 0] > 3 * abs(steep[TRANSITIONS, -1])


def test_where_lines_say_it_all_lines_are_shipped() -> None:
    examples = questions(worth(learned=[0.0, 1.0, 2.0, 3.0]))
    fusion, weighed = fused(examples)
    assert weighed.curves is not None
    assert weighed.curves == pytest.approx(weighed.lines, rel=0.03)
    assert (fusion.curves == {}) is not weighed.better


def test_more_of_a_signal_never_speaks_against_an_item_but_age_and_popularity_may() -> None:
    against = [0.0, -1.0, -2.0, -3.0]
    fusion = fit(questions(worth(neighbours=against, popularity=against)), lines())
    heights = curves_of(fusion).heights
    rising = [place for place, name in enumerate(fusion.weights) if name not in fusing.FREE]
    assert (np.diff(heights[:, rising], axis=2) >= -1e-6).all()
    popularity = list(fusion.weights).index("popularity")
    assert (np.diff(heights[:, popularity], axis=1) < 0).all()


def test_a_feature_of_nothing_says_nothing() -> None:
    fusion = fit(questions(worth(learned=[0.0, 1.0, 2.0, 3.0])), lines())
    for curve in fusion.curves.values():
        knots = np.linspace(curve.low, curve.high, len(curve.heights[0]))
        assert [np.interp(0.0, knots, row) for row in curve.heights] == pytest.approx([0.0] * len(fusion.depths))


def test_what_never_varied_weighs_nothing_should_it_ever_do() -> None:
    """Lists that hide what was met know no `again`, and ranking given items does."""
    examples, again = questions(worth(learned=[0.0, 1.0, 2.0, 3.0])), FEATURES.index("again")
    examples.features[:, again] = 0.0
    heights = curves_of(fit(examples, lines())).heights
    assert (heights[:, again] == 0.0).all()
    assert (heights[:, LEARNED, -1] > 0.0).all()


def test_fitting_twice_gives_the_same() -> None:
    examples = questions(worth(learned=[0.0, 0.0, 0.0, 5.0]))
    assert fit(examples, lines()) == fit(examples, lines())


def test_too_few_answers_fit_no_curve_and_counts_that_mislead_are_left_out() -> None:
    few = questions(worth(learned=[0.0, 2.0, 4.0, 6.0])).of(np.arange(1500) < fusing.LEAST - 1)
    fusion, weighed = fused(few)
    assert weighed.curves is None
    assert not weighed.better
    assert fusion == alone()


def test_curves_must_gain_more_than_half_a_percent() -> None:
    assert not Weighed(0.2, 0.2 * 1.004).better
    assert Weighed(0.2, 0.2 * 1.006).better


def test_places_are_those_of_the_scores_and_ties_count_against_us() -> None:
    features = np.zeros((3, len(FEATURES)), np.float32)
    features[:, LEARNED] = [2.0, 1.0, 1.0]
    one = Examples(features, np.array([0, 3]), np.array([1]), np.array([0]), np.array([0]))
    assert gains(one, alone()).tolist() == metrics.gains(np.array([2]), 10).tolist()
    assert gains(one._replace(answer=np.array([-1])), alone()).tolist() == [0.0]


# -- the canary: nobody can predict these events, so whoever does has seen the answer ----------------------------------


def collected(folder: Path, leak: bool) -> float:
    """NDCG@10 on events that are drawn by lot; ``leak``: somebody else did the same before, so counts hold the answers.

    Curves are fitted to the same questions, which is as much as they could ever find.
    """
    draw = np.random.default_rng(0)
    items = [f"item {k}" for k in range(200)]
    people, chosen = draw.integers(30, size=900).tolist(), draw.integers(len(items), size=900).tolist()
    done = [
        Event(user=f"user {person}", action="click", item=items[item], time=NOW + k)
        for k, (person, item) in enumerate(zip(people, chosen, strict=True))
    ]
    with Engine.open(folder, encoder="none") as engine:
        engine.ingest([Item(id=item, time=NOW).event() for item in items])
        if leak:
            engine.ingest([structs.replace(event, user=f"shadow of {event.user}") for event in done])
        collector = Collector(engine)
        for event, person in zip(done, people, strict=True):
            collector.ask(Query(user=event.user, time=event.time, seen="allow"), event.item or "", person)
            engine.ingest([event])
        examples = collector.examples()
    assert len(examples.answer) == len(examples.person) == 900
    return float(gains(examples, fit(examples, lines())).mean())


def test_an_answer_that_leaks_is_seen_by_the_canary(tmp_path: Path) -> None:
    chance = float(np.mean(metrics.gains(np.arange(200), 10)))
    assert collected(tmp_path / "sound", leak=False) < 2 * chance
    assert collected(tmp_path / "leaking", leak=True) > 4 * chance
