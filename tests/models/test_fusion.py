"""A score is a sum of curves; lines where none was fitted."""

from __future__ import annotations

import numpy as np
import pytest
from msgspec import json, structs

from penchant import kernels
from penchant.models.cold_start import FEATURES, default_fusion
from penchant.models.fusion import DEPTHS, Curve, Curves, Fusion, curves_of, in_words, mixed


def scored(curves: Curves, features: list[list[float]], depth: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """(terms, scores) as the kernel adds them up."""
    given = np.array(features, np.float32)
    terms, scores = np.empty_like(given), np.empty(len(given), np.float32)
    kernels.add_up(given, curves.low, curves.per, curves.heights[depth], terms, scores)
    return terms, scores


def two(depths: list[int], **curves: Curve) -> Fusion:
    weights = dict.fromkeys(curves, 1.0)
    return structs.replace(default_fusion(), weights=weights, depths=depths, curves=curves)


def test_without_curves_every_term_is_weight_times_feature_wherever_the_feature_lies() -> None:
    fusion = default_fusion()
    features = [[0.0] * len(FEATURES), [3.0, -2.0, 100.0, 0.5, 1.0, 7.0, -0.5, 12.0, 0.1, -1.0]]
    for depth in (0, DEPTHS - 1):
        terms, scores = scored(curves_of(fusion), features, depth)
        assert terms == pytest.approx(np.array(features) * list(fusion.weights.values()), abs=1e-4)
        assert scores == pytest.approx(terms.sum(1), abs=1e-4)


def test_a_curve_is_met_at_its_knots_in_between_and_straight_on_beyond_its_ends() -> None:
    fusion = two([0], a=Curve(0.0, 2.0, [[0.0, 1.0, 5.0]]), b=Curve(-1.0, 1.0, [[0.0, 0.0, 0.0]]))
    terms, scores = scored(curves_of(fusion), [[0.0, 0.0], [1.0, 9.0], [1.5, 0.0], [3.0, 0.0], [-1.0, -9.0]])
    assert terms[:, 0].tolist() == pytest.approx([0.0, 1.0, 3.0, 9.0, -1.0])
    assert scores.tolist() == pytest.approx(terms[:, 0].tolist())


def test_between_two_depths_the_curves_are_mixed_and_beyond_the_last_it_stays() -> None:
    fusion = two([0, 3], a=Curve(0.0, 1.0, [[0.0, 0.0], [0.0, 1.0]]))
    found = [float(scored(curves_of(fusion), [[1.0]], depth)[1][0]) for depth in (0, 1, 3, DEPTHS - 1)]
    assert found == pytest.approx([0.0, 0.5, 1.0, 1.0])  # log(1 + 1) is half of log(1 + 3)


def test_shares_of_depths_add_up_to_one() -> None:
    assert mixed([0, 1, 4, 16, 64]).sum(1) == pytest.approx(np.ones(DEPTHS))


def test_a_fusion_is_printed_and_read_again() -> None:
    fusion = two([0], a=Curve(0.0, 2.0, [[0.0, 1.0, 5.0]]))
    assert json.decode(json.encode(fusion), type=Fusion) == fusion


def test_a_fusion_is_told_in_words() -> None:
    assert in_words(structs.replace(default_fusion(), weights={"learned": 1.0, "popularity": 0.0})) == ["learned: 1 x"]
    drawn = in_words(two([0, 3], a=Curve(0.0, 2.0, [[0.0, 1.0], [0.0, 3.0]])))
    assert drawn == ["a: 0.00 at 0.00, 1.00 at 2.00 for newcomers; 0.00 at 0.00, 3.00 at 2.00 for those known best"]
