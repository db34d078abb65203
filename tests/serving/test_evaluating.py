"""`penchant evaluate` where versions say more than lists: actions, ratings, and cross-validated ratings."""

from __future__ import annotations

import json
import sys
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


def test_whether_lists_hide_what_was_met_is_said_by_the_settings_unless_the_command_does(
    penchant: Penchant, judged: Path
) -> None:
    with Engine.open(judged) as engine:
        engine.ingest(click(f"p{k}", f"i{k}", NOW + 1000 + k) for k in range(10))  # where each began
    command = ("evaluate", "--share", "0.8", "--slices", "none", "--json")
    assert json.loads(penchant(*command)[1])["repeated"] > 0
    (judged / FILE).write_text('encoder = "none"\nseen = "allow"\n')
    assert json.loads(penchant(*command)[1])["repeated"] == 0
    assert json.loads(penchant(*command, "--seen", "ever")[1])["repeated"] > 0


# -- folds -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def few_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    monkeypatch.setattr("penchant.learning.ratings.LEAST", 10)


def test_evaluate_cross_validates_ratings(penchant: Penchant, judged: Path, few_are_enough: None) -> None:
    code, told, _ = penchant("evaluate", "--protocol", "folds", "--folds", "3", "--seed", "2")
    told = " ".join(told.split())
    assert code == 0
    for said in ("Ratings, cross-validated", "RMSE 95%", "all 40 10", "fold 1 14", "fold 3 13",
                 "3-fold cross-validation: 40 ratings (values of rate)", "(seed 2)", "the 40 other events",
                 "clipped to the least and the most", "bootstrap over people"):  # fmt: skip
        assert said in told, said


def test_cross_validation_answers_in_json(penchant: Penchant, judged: Path, few_are_enough: None) -> None:
    before = sorted(path.name for path in (judged / "versions").iterdir())
    code, told, _ = penchant("evaluate", "--protocol", "folds", "--folds", "2", "--json")
    report = json.loads(told)
    assert code == 0
    assert (report["protocol"], report["seed"], report["learned"]) == ("folds", 0, 40)
    assert [part["events"] for part in report["folds"]] == [20, 20]
    assert set(report["overall"]["figures"]) == {"rmse", "mae"}
    assert sorted(path.name for path in (judged / "versions").iterdir()) == before


def test_too_few_ratings_are_refused_with_the_way_out(penchant: Penchant, judged: Path) -> None:
    pytest.importorskip("torch")
    code, _, told = penchant("evaluate", "--protocol", "folds")
    assert code == 2
    assert "1,000" in told
    assert "setting `ratings`" in told


def test_without_torch_cross_validation_names_the_extra(
    penchant: Penchant, judged: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith("penchant.learning")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr("penchant.learning", raising=False)
    monkeypatch.setitem(sys.modules, "torch", None)
    code, _, told = penchant("evaluate", "--protocol", "folds")
    assert code == 1
    assert "Cross-validation of ratings needs PyTorch" in told
    assert "pip install 'penchant[train]'" in told
    assert penchant("evaluate", "--slices", "none")[0] == 0  # all else goes without


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--protocol", "folds", "--slices", "few"], "slices"),
        (["--protocol", "folds", "--share", "0.5"], "share"),
        (["--protocol", "folds", "--split", "5"], "no moment"),
        (["--protocol", "folds", "--file", "loo.txt"], "--protocol loo"),
        (["--folds", "3"], "says nothing under --protocol time"),
    ],
)
def test_options_that_say_nothing_under_a_protocol_are_refused(
    penchant: Penchant, judged: Path, words: list[str], said: str
) -> None:
    code, _, told = penchant("evaluate", *words)
    assert code == 2
    assert said in " ".join(told.split()).lower()
