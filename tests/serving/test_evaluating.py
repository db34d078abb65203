"""`penchant evaluate` where versions say more than lists: actions, ratings, and cross-validated ratings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from penchant.config import FILE
from penchant.engine import Engine
from tests.conftest import NOW, circle, click
from tests.evaluation.knowing import hand_made_rating, publish
from tests.serving.test_cli import Penchant, penchant

__all__ = ["penchant"]  # a fixture


@pytest.fixture
def judged(tmp_path: Path) -> Path:
    """Ten people click, rate and buy on a circle of twelve, in turns; the version in use knows what they will do."""
    with Engine.open(tmp_path / "data", encoder="none") as engine:
        engine.ingest(circle(12))
        for turn, action in enumerate(("click", "rate", "buy", "rate", "click", "rate", "buy", "rate")):
            stars = {"value": 3.0 + turn % 3} if action == "rate" else {}
            engine.ingest(
                click(f"p{k}", f"i{(k + turn) % 12}", NOW + 10 * turn + k, action=action, **stars) for k in range(10)
            )
    (tmp_path / "data" / FILE).write_text('encoder = "none"\n')
    publish(tmp_path / "data", {"buy": 0.25, "share": 0.1}, hand_made_rating([0.0] * 12))
    return tmp_path / "data"


def test_evaluate_shows_actions_and_ratings_of_a_version_that_says_them(penchant: Penchant, judged: Path) -> None:
    code, told, _ = penchant("evaluate", "--share", "0.5", "--slices", "none")
    told = " ".join(told.split())
    assert code == 0
    for said in ("Actions by known-0002", "calibration error 95%", "buy 40 10 0.5000", "share 40 0 - -",
                 "Ratings by known-0002", "RMSE 95%", "all 20 10", "within the hour (at most 8)",
                 "clipped to what was given in training, 1 to 5"):  # fmt: skip
        assert said in told, said


def test_evaluate_answers_actions_and_ratings_in_json(penchant: Penchant, judged: Path) -> None:
    code, told, _ = penchant("evaluate", "--share", "0.5", "--slices", "none", "--json")
    report = json.loads(told)
    assert code == 0
    assert (report["actions"]["buy"]["events"], report["actions"]["buy"]["done"]) == (40, 10)
    assert report["actions"]["buy"]["figures"]["calibration_error"]["value"] == pytest.approx(0.0, abs=1e-6)
    assert report["actions"]["share"]["figures"]["auc"] == {"value": None, "low": None, "high": None}
    assert report["ratings"]["events"] == 20
    assert 0 < report["ratings"]["figures"]["mae"]["value"] < 2
