"""Figures: the right metric under each key, with an interval that holds it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from penchant import InvalidInput
from penchant.evaluation.figures import KS, Lists, action_errors, rankings, rating_errors


def lists(places: list[int], people: list[int]) -> Lists:
    listed = np.full((len(places), max(KS)), -1, np.int32)
    listed[:, 0] = np.arange(len(places))
    return Lists(np.array(places), np.arange(len(places)), np.array(people), listed)


def test_rankings_of_three_lists() -> None:
    found = rankings(lists([0, 15, -1], [1, 2, 3]), catalogue=50)
    values = {name: figure.value for name, figure in found.items()}
    assert values["hr10"] == values["recall10"] == pytest.approx(1 / 3)
    assert values["hr20"] == pytest.approx(2 / 3)
    assert values["precision10"] == pytest.approx(1 / 30)
    assert values["f1_10"] == pytest.approx(2 / 11 / 3)
    assert values["ndcg20"] == pytest.approx((1 + 1 / math.log2(17)) / 3)
    assert values["mrr"] == pytest.approx((1 + 1 / 16) / 3)
    assert values["mean_rank"] == pytest.approx((1 + 16 + 50) / 3)
    assert values["coverage10"] == pytest.approx(3 / 50)


def test_every_figure_but_coverage_lies_in_its_interval() -> None:
    places = np.random.default_rng(0).integers(-1, 40, 200)
    for name, figure in rankings(lists(places.tolist(), (np.arange(200) % 40).tolist()), 100).items():
        if name.startswith("coverage"):
            assert figure.low is None
        else:
            assert (figure.low or 0.0) <= figure.value <= (figure.high or 0.0), name


def test_a_slice_of_lists_keeps_all_relevant_items_of_each() -> None:
    whole = Lists(np.array([0, 5, 2, -1]), np.array([0, 0, 1, 2]), np.array([7, 8, 9]), np.zeros((3, 20), np.int32))
    part = whole.where(np.array([True, False, True]))
    assert part.places.tolist() == [0, 5, -1]
    assert part.lists.tolist() == [0, 0, 1]
    assert part.people.tolist() == [7, 9]


def test_rating_errors_are_rmse_and_mae_with_intervals() -> None:
    found = rating_errors(np.array([3.0, 4.0, 5.0, 1.0]), np.array([4.0, 4.0, 3.0, 1.0]), np.array([0, 0, 1, 2]))
    assert found["rmse"].value == pytest.approx(math.sqrt(5 / 4))
    assert found["mae"].value == pytest.approx(3 / 4)
    assert (found["rmse"].low, found["rmse"].high) == (0.0, 2.0)


def test_ratings_that_are_always_right_leave_no_error() -> None:
    assert rating_errors(np.ones(4), np.ones(4), np.arange(4))["rmse"].high == 0.0


def test_action_errors_of_a_perfect_and_of_a_blind_prediction() -> None:
    labels, people = np.array([1, 0] * 20), np.arange(40)
    perfect = action_errors(labels.astype(float), labels, people)
    assert perfect["auc"].value == 1.0
    assert perfect["brier"].value == perfect["calibration_error"].value == 0.0
    assert perfect["log_loss"].value == pytest.approx(0.0)
    blind = action_errors(np.full(40, 0.5), labels, people)
    assert blind["auc"].value == 0.5
    assert blind["log_loss"].value == pytest.approx(math.log(2))
    assert blind["calibration_error"].value == 0.0
    assert (blind["calibration_error"].low or 0.0) >= 0.0


@pytest.mark.parametrize("wrong", [[0.5, 1.1], [-0.1, 0.5], [math.nan, 0.5]])
def test_what_is_no_probability_is_refused(wrong: list[float]) -> None:
    with pytest.raises(InvalidInput, match="probabilities"):
        action_errors(np.array(wrong), np.array([0, 1]), np.array([0, 1]))


def test_a_label_is_0_or_1() -> None:
    with pytest.raises(InvalidInput, match="labels=2"):
        action_errors(np.array([0.5, 0.5]), np.array([0, 2]), np.array([0, 1]))


def test_arrays_of_different_or_no_length_are_refused_by_name() -> None:
    with pytest.raises(InvalidInput, match="predicted, actual, people"):
        rating_errors(np.ones(2), np.ones(3), np.arange(2))
    with pytest.raises(InvalidInput, match="not empty"):
        rating_errors(np.ones(0), np.ones(0), np.arange(0))
