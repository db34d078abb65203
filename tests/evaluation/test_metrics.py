"""Ranking metrics against values worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from penchant.evaluation import metrics

PLACES = np.array([0, 1, 9, 10, -1])


def test_a_hit_is_a_place_among_the_first_k() -> None:
    assert metrics.hits(PLACES, 10).tolist() == [1, 1, 1, 0, 0]


def test_the_gain_falls_with_the_logarithm_of_the_place_and_is_nothing_beyond_k() -> None:
    expected = [1.0, 1 / math.log2(3), 1 / math.log2(11), 0.0, 0.0]
    assert metrics.gains(PLACES, 10).tolist() == pytest.approx(expected)


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
