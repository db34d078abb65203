"""Metrics as figures: a value with its 95% interval, under a plain key.

    rankings        hr recall precision f1_ ndcg coverage at 10 and 20, mrr, mean_rank
    rating_errors   rmse mae
    action_errors   auc log_loss brier calibration_error

Intervals are by bootstrap over people. Coverage has none: it belongs to the set of lists, not to any of them. A figure
that does not exist (the AUC of one label) is NaN, which JSON writes as null.
"""

from __future__ import annotations

import math
from collections.abc import Sized
from typing import NamedTuple

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from penchant.errors import InvalidInput
from penchant.evaluation import metrics
from penchant.evaluation.metrics import Doubles, Longs

KS = (10, 20)
Items = NDArray[np.int32]


class Figure(Struct, frozen=True):
    """A value and its 95% interval, where it has one."""

    value: float
    low: float | None = None
    high: float | None = None


Figures = dict[str, Figure]


class Lists(NamedTuple):
    """What was asked and what came: ``places`` [m] and ``lists`` [m] of relevant items as in `metrics`; ``people`` [n]
    who asked; ``listed`` [n, longest of KS] item numbers, -1 beyond a list's end."""

    places: Longs
    lists: Longs
    people: Longs
    listed: Items

    def where(self, mask: NDArray[np.bool_]) -> Lists:
        """The lists of a mask [n]."""
        number = np.cumsum(mask) - 1
        rows = mask[self.lists]
        return Lists(self.places[rows], number[self.lists[rows]], self.people[mask], self.listed[mask])


def rankings(found: Lists, catalogue: int) -> Figures:
    """Figures of at least one list. An item without a place has the last rank of the ``catalogue`` items, and gains 0.

    `f1_10`: F1 at 10; `hr10`: hit rate; the others likewise. With one relevant item a list, recall is the hit rate.
    """
    places, lists, people, listed = found
    out: Figures = {}
    for k in KS:
        out[f"hr{k}"] = mean(metrics.any_hits(places, lists, k), people)
        out[f"ndcg{k}"] = mean(metrics.ndcgs(places, lists, k), people)
        out[f"recall{k}"] = mean(metrics.recalls(places, lists, k), people)
        out[f"precision{k}"] = mean(metrics.precisions(places, lists, k), people)
        out[f"f1_{k}"] = mean(metrics.f1s(places, lists, k), people)
        out[f"coverage{k}"] = Figure(metrics.coverage(listed[:, :k].astype(np.int64), catalogue))
    out["mrr"] = mean(metrics.reciprocal_ranks(places, lists), people)
    out["mean_rank"] = mean(metrics.mean_ranks(places, lists, max(catalogue, 1)), people)
    return out


def rating_errors(predicted: Doubles, actual: Doubles, people: Longs) -> Figures:
    """RMSE and MAE of ratings, arrays [n] in the unit of the ratings. Raises InvalidInput for what is not alike."""
    _check(predicted=predicted, actual=actual, people=people)
    of_squares = mean(metrics.squared(predicted, actual), people)
    roots = [math.sqrt(value) for value in (of_squares.value, of_squares.low or 0.0, of_squares.high or 0.0)]
    return {"rmse": Figure(*roots), "mae": mean(metrics.absolute(predicted, actual), people)}


def action_errors(probabilities: Doubles, labels: Longs, people: Longs) -> Figures:
    """How good probabilities [n] of one action are, ``labels`` [n] saying 1 where it was taken, else 0.

    AUC and calibration error with their bootstrap, log loss in nats, Brier score. Raises InvalidInput.
    """
    _check(probabilities=probabilities, labels=labels, people=people)
    if wrong := probabilities[~((probabilities >= 0) & (probabilities <= 1))].tolist():
        raise InvalidInput(
            "is no probability.", field="probabilities", value=wrong[0], way_out="Hand over numbers from 0 to 1."
        )
    if wrong := labels[(labels != 0) & (labels != 1)].tolist():
        raise InvalidInput("is no label.", field="labels", value=wrong[0], way_out="Use 1 (taken) and 0 (not taken).")
    apart = metrics.spread(lambda w: metrics.calibration_error(probabilities, labels, weights=w), people)
    return {
        "auc": Figure(metrics.auc(probabilities, labels), *metrics.auc_interval(probabilities, labels, people)),
        "log_loss": mean(metrics.log_losses(probabilities, labels), people),
        "brier": mean(metrics.brier(probabilities, labels), people),
        "calibration_error": Figure(metrics.calibration_error(probabilities, labels), *apart),
    }


def mean(values: Doubles, people: Longs) -> Figure:
    """The mean of values [n] and its interval."""
    return Figure(float(values.mean()), *metrics.interval(values, people))


def _check(**arrays: Sized) -> None:
    sizes = {name: len(array) for name, array in arrays.items()}
    if len(set(sizes.values())) != 1 or 0 in sizes.values():
        raise InvalidInput(
            "must be of one length, and not empty.",
            field=", ".join(sizes),
            value=list(sizes.values()),
            way_out="Hand over one entry for each prediction.",
        )
