"""Metrics against values worked out by hand, and what must hold whatever the numbers."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penchant.evaluation import metrics

PLACES = np.array([0, 1, 9, 10, -1])
ONE_EACH = np.arange(5)

# Two lists: of the first, items at places 0 and 3 and one that is not listed are relevant; of the second, one at 4.
SET_PLACES, SET_LISTS = np.array([0, 3, -1, 4]), np.array([0, 0, 0, 1])


def test_a_hit_is_a_place_among_the_first_k() -> None:
    assert metrics.hits(PLACES, 10).tolist() == [1, 1, 1, 0, 0]


def test_the_gain_falls_with_the_logarithm_of_the_place_and_is_nothing_beyond_k() -> None:
    expected = [1.0, 1 / math.log2(3), 1 / math.log2(11), 0.0, 0.0]
    assert metrics.gains(PLACES, 10).tolist() == pytest.approx(expected)


# -- sets of relevant items --------------------------------------------------------------------------------------------


def test_recall_divides_by_the_relevant_and_precision_by_k() -> None:
    assert metrics.recalls(SET_PLACES, SET_LISTS, 4).tolist() == pytest.approx([2 / 3, 0.0])
    assert metrics.precisions(SET_PLACES, SET_LISTS, 4).tolist() == [0.5, 0.0]
    assert metrics.any_hits(SET_PLACES, SET_LISTS, 4).tolist() == [1.0, 0.0]
    assert metrics.any_hits(SET_PLACES, SET_LISTS, 5).tolist() == [1.0, 1.0]


def test_f1_is_the_harmonic_mean_of_precision_and_recall() -> None:
    precision, recall = 2 / 4, 2 / 3
    assert metrics.f1s(SET_PLACES, SET_LISTS, 4).tolist() == pytest.approx(
        [2 * precision * recall / (precision + recall), 0.0]
    )


def test_ndcg_divides_by_the_gain_of_the_best_order() -> None:
    best = 1 + 1 / math.log2(3) + 1 / math.log2(4)
    assert metrics.ndcgs(SET_PLACES, SET_LISTS, 5).tolist() == pytest.approx(
        [(1 + 1 / math.log2(5)) / best, 1 / math.log2(6)]
    )
    at_two = 1 + 1 / math.log2(3)  # more is relevant than fits: the best list of two has two of them
    assert metrics.ndcgs(SET_PLACES, SET_LISTS, 2).tolist() == pytest.approx([1 / at_two, 0.0])


def test_the_reciprocal_rank_is_that_of_the_first_relevant_item() -> None:
    assert metrics.reciprocal_ranks(SET_PLACES, SET_LISTS).tolist() == [1.0, 0.2]
    assert metrics.reciprocal_ranks(np.array([-1]), np.array([0])).tolist() == [0.0]


def test_an_item_without_a_place_has_the_rank_it_is_said_to_have() -> None:
    assert metrics.mean_ranks(SET_PLACES, SET_LISTS, missing=100).tolist() == pytest.approx([(1 + 4 + 100) / 3, 5])


def test_a_list_with_nothing_relevant_is_refused() -> None:
    with pytest.raises(ValueError, match="no relevant item"):
        metrics.recalls(np.array([0]), np.array([1]), 10)


def test_coverage_is_the_share_of_the_catalogue_that_anybody_was_shown() -> None:
    assert metrics.coverage(np.array([[0, 1, -1], [1, 2, -1]]), catalogue=6) == 0.5
    assert metrics.coverage(np.array([[-1]]), catalogue=6) == 0.0


@given(st.lists(st.integers(-1, 30), min_size=1), st.integers(1, 25))
def test_with_one_relevant_item_the_two_families_agree(places: list[int], k: int) -> None:
    found, lists = np.array(places), np.arange(len(places))
    assert metrics.recalls(found, lists, k).tolist() == metrics.hits(found, k).tolist()
    assert metrics.any_hits(found, lists, k).tolist() == metrics.hits(found, k).tolist()
    assert metrics.ndcgs(found, lists, k).tolist() == pytest.approx(metrics.gains(found, k).tolist())


ONE_LIST = st.tuples(st.sets(st.integers(0, 30), min_size=1, max_size=12), st.integers(0, 5))


@given(st.lists(ONE_LIST, min_size=1, max_size=8), st.integers(1, 25))
def test_every_ranking_metric_lies_between_0_and_1_and_grows_with_k(drawn: list[tuple[set[int], int]], k: int) -> None:
    places = np.array([place for found, missing in drawn for place in [*found, *[-1] * missing]])
    lists = np.repeat(np.arange(len(drawn)), [len(found) + missing for found, missing in drawn])
    for metric in (metrics.recalls, metrics.precisions, metrics.f1s, metrics.any_hits, metrics.ndcgs):
        values = metric(places, lists, k)
        assert len(values) == len(drawn)
        assert (values >= 0).all()
        assert (values <= 1 + 1e-12).all()
    assert (metrics.recalls(places, lists, k + 1) >= metrics.recalls(places, lists, k)).all()
    for number, (found, missing) in enumerate(drawn):  # against the definition, one list at a time
        ideal = sum(1 / math.log2(place + 2) for place in range(min(k, len(found) + missing)))
        gained = sum(1 / math.log2(place + 2) for place in found if place < k)
        assert metrics.ndcgs(places, lists, k)[number] == pytest.approx(gained / ideal)


# -- probabilities -----------------------------------------------------------------------------------------------------


def test_auc_is_the_share_of_pairs_in_the_right_order_and_a_tie_is_half_a_pair() -> None:
    scores, labels = np.array([0.1, 0.4, 0.35, 0.8]), np.array([0, 0, 1, 1])
    assert metrics.auc(scores, labels) == 0.75  # the example of scikit-learn's documentation
    assert metrics.auc(np.array([1.0, 1.0, 1.0]), np.array([0, 1, 1])) == 0.5
    assert math.isnan(metrics.auc(scores, np.ones(4, np.int64)))


SCORED = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 1), st.integers(0, 3)), min_size=2, max_size=30)


@given(SCORED)
def test_auc_counts_pairs_and_a_weight_is_as_many_rows(rows: list[tuple[int, int, int]]) -> None:
    scores, labels, weights = (np.array(column) for column in zip(*rows, strict=True))
    repeated = np.repeat(np.arange(len(rows)), weights)
    pairs = [
        1.0 if scores[p] > scores[n] else 0.5 if scores[p] == scores[n] else 0.0
        for p, n in itertools.product(repeated, repeated)
        if labels[p] == 1 and labels[n] == 0
    ]
    found = metrics.auc(scores.astype(float), labels, weights.astype(float))
    assert found == pytest.approx(np.mean(pairs)) if pairs else math.isnan(found)


def test_log_loss_and_brier_of_known_predictions() -> None:
    probabilities, labels = np.array([0.9, 0.1, 0.8, 0.35]), np.array([1, 0, 0, 1])
    expected = [-math.log(0.9), -math.log(0.9), -math.log(0.2), -math.log(0.35)]
    assert metrics.log_losses(probabilities, labels).tolist() == pytest.approx(expected)
    assert metrics.brier(probabilities, labels).mean() == pytest.approx((0.01 + 0.01 + 0.64 + 0.4225) / 4)


def test_a_certainty_that_was_wrong_costs_much_but_not_without_end() -> None:
    assert metrics.log_losses(np.array([0.0, 1.0]), np.array([1, 0])).tolist() == pytest.approx([34.54, 34.54], abs=0.1)


def test_calibration_error_is_the_distance_of_promise_and_event_weighted_by_rows() -> None:
    probabilities = np.array([0.15, 0.15, 0.15, 0.15, 1.0, 1.0])
    labels = np.array([1, 0, 0, 0, 1, 0])
    rows, promised, happened = metrics.reliability(probabilities, labels)
    assert rows.tolist() == [0, 4, 0, 0, 0, 0, 0, 0, 0, 2]
    assert (promised[1], happened[1], promised[9], happened[9]) == pytest.approx((0.15, 0.25, 1.0, 0.5))
    assert np.isnan(promised[0])
    assert metrics.calibration_error(probabilities, labels) == pytest.approx((4 * 0.10 + 2 * 0.5) / 6)


def test_probabilities_that_come_true_as_often_as_they_say_have_no_calibration_error() -> None:
    labels = np.array([1] * 3 + [0] * 7 + [1] * 7 + [0] * 3)
    assert metrics.calibration_error(np.repeat([0.3, 0.7], 10), labels) == pytest.approx(0.0)


def test_errors_of_ratings() -> None:
    predicted, actual = np.array([3.0, 4.5, 2.0]), np.array([4.0, 4.0, 2.0])
    assert metrics.squared(predicted, actual).tolist() == [1.0, 0.25, 0.0]
    assert metrics.absolute(predicted, actual).tolist() == [1.0, 0.5, 0.0]


# -- intervals ---------------------------------------------------------------------------------------------------------


def test_the_interval_holds_the_mean_and_shrinks_with_more_people() -> None:
    random = np.random.default_rng(1)
    few, many = random.random(50), random.random(5000)
    low, high = metrics.interval(few, np.arange(50))
    assert low < few.mean() < high
    narrow_low, narrow_high = metrics.interval(many, np.arange(5000))
    assert narrow_high - narrow_low < (high - low) / 5


def test_one_person_with_many_lists_is_still_one_person() -> None:
    values = np.array([1.0] * 900 + [0.0] * 100)
    alone = metrics.interval(values, np.array([0] * 900 + list(range(1, 101))))
    independent = metrics.interval(values, np.arange(1000))
    assert alone[1] - alone[0] > 3 * (independent[1] - independent[0])


def test_people_who_are_all_alike_leave_no_doubt() -> None:
    assert metrics.interval(np.full(40, 0.25), np.arange(40) % 8) == pytest.approx((0.25, 0.25))


def test_the_interval_of_any_statistic_agrees_with_that_of_a_mean() -> None:
    values, people = np.random.default_rng(2).random(400), np.arange(400) % 100
    weighted = metrics.spread(lambda w: float((values * w).sum() / w.sum()), people, resamples=1000)
    assert weighted == pytest.approx(metrics.interval(values, people), abs=0.005)


def test_draws_without_an_answer_are_left_out_of_an_interval() -> None:
    people, labels = np.arange(3), np.array([1, 0, 0])  # a third of the draws has no positive
    low, high = metrics.auc_interval(np.array([0.9, 0.1, 0.2]), labels, people)
    assert (low, high) == (1.0, 1.0)
    assert all(map(math.isnan, metrics.auc_interval(np.array([0.5, 0.5]), np.array([1, 1]), np.arange(2))))
