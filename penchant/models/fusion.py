"""How what is known of a candidate becomes one score: a sum with one term for each feature.

    score = sum over features of f(x)        f piecewise linear between evenly spaced knots, straight on beyond them

Which f depends on how much is known of the person: there is one for each of a few *depths* (numbers of events), and
between two depths the two are mixed by log(1 + events). A generalised additive model (Hastie & Tibshirani 1986) whose
weights vary with one modifier (Hastie & Tibshirani 1993). So every score can be told as the sum that it is, a curve
that only rises stays so at every depth, and a candidate's score ignores the other candidates.

Where nothing was fitted, every f is the straight line weight * x.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

Floats = NDArray[np.float32]

COUNTED = (
    "transitions", "neighbours", "popularity", "freshness", "recent_transitions", "together", "similar_people",
    "context_popularity", "again",
)  # fmt: skip
VECTORS = ("text", "learned")  # before those, as `kernels.features` has them: what the product of vectors is called
DEPTHS = 65  # numbers of events that are told apart: as many as a ring holds, and more


class Curve(Struct):
    """f of one feature: ``heights`` [depths][knots], at knots evenly spaced from ``low`` to ``high``."""

    low: float
    high: float
    heights: list[list[float]]


class Fusion(Struct):
    """``weights`` of the straight lines, and the scales that are part of the features' definition.

    ``curves``, where they were fitted, take the place of the lines; ``depths`` are events known, ascending from 0.
    ``likeness``: weights when an item is asked with, whose vector is no f(x); empty: the same.
    """

    weights: dict[str, float]
    transition_decay: float
    transition_floor: float
    neighbour_decay: float
    neighbour_floor: float
    neighbour_power: float
    fresh_half_life_days: float = 7.0
    likeness: dict[str, float] = {}
    depths: list[int] = []
    curves: dict[str, Curve] = {}


def fault(fusion: Fusion) -> str | None:
    """Why this is no fusion of the features that are computed here; None where it is."""
    names, curves = tuple(fusion.weights), fusion.curves
    if not set(names[:1]) < set(VECTORS) or names[1:] != COUNTED:
        return f"it scores by {', '.join(names) or 'nothing'}; known are {' or '.join(VECTORS)}, {', '.join(COUNTED)}."
    if fusion.likeness and tuple(fusion.likeness) != names:
        return "its weights for similar items are not of the features that it scores by."
    if not curves:
        return None
    shapes = {(len(curve.heights), len(row)) for curve in curves.values() for row in curve.heights}
    apart = all(curve.low < curve.high for curve in curves.values())
    if set(curves) != set(names) or len(shapes) != 1 or not apart or fusion.depths[:1] != [0]:
        return "its curves are not one for each feature, with as many knots at every depth."
    ((depths, knots),) = shapes
    return None if depths == len(fusion.depths) and knots > 1 else "its curves are not of its depths."


class Curves(NamedTuple):
    """As the kernel reads them: ``low``, ``per`` (knots per unit) [features]; ``heights`` [DEPTHS, features, knots]."""

    low: Floats
    per: Floats
    heights: Floats


def curves_of(fusion: Fusion) -> Curves:
    """Curves at every depth that is told apart; a straight line where none was fitted."""
    if not fusion.curves:
        return lines(fusion.weights)
    shares = mixed(fusion.depths)
    ordered = [fusion.curves[name] for name in fusion.weights]
    heights = np.array([curve.heights for curve in ordered])  # [features, depths, knots]
    low, high = (np.array([getattr(curve, end) for curve in ordered]) for end in ("low", "high"))
    per = (heights.shape[2] - 1) / (high - low)
    blended = np.einsum("nd,fdk->nfk", shares, heights)
    return Curves(low.astype(np.float32), per.astype(np.float32), np.ascontiguousarray(blended, np.float32))


def lines(weights: dict[str, float]) -> Curves:
    """weight * x for each feature, at every depth."""
    slopes = np.array(list(weights.values()), np.float32)
    heights = np.stack((np.zeros_like(slopes), slopes), -1)
    return Curves(
        np.zeros_like(slopes),
        np.ones_like(slopes),
        np.ascontiguousarray(np.broadcast_to(heights, (DEPTHS, *heights.shape))),
    )


def mixed(depths: list[int]) -> NDArray[np.float64]:
    """Shares [DEPTHS, depths] of the curves for 0, 1, ... events known: hats over log(1 + events)."""
    centres = np.log1p(np.array(depths, np.float64))
    at = [math.log1p(n) for n in range(DEPTHS)]
    return np.stack([np.interp(at, centres, unit) for unit in np.eye(len(depths))], -1)


def in_words(fusion: Fusion) -> list[str]:
    """The sum, one line a feature: its weight, or its curve for those of whom least and most is known."""
    if not fusion.curves:
        return [f"{name}: {weight:g} x" for name, weight in fusion.weights.items() if weight]
    return [f"{name}: {_drawn(fusion.curves[name], 0)} for newcomers; {_drawn(fusion.curves[name], -1)} for those "
            "known best" for name in fusion.weights]  # fmt: skip


def _drawn(curve: Curve, depth: int) -> str:
    knots = np.linspace(curve.low, curve.high, len(curve.heights[depth]))
    return ", ".join(f"{height:.2f} at {knot:.2f}" for knot, height in zip(knots, curve.heights[depth], strict=True))
