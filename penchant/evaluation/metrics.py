"""Metrics over plain arrays, and their intervals. A leaf: it imports nothing of ours.

Ranking metrics know one thing of a list: the *place* of each relevant item, counted from 0, -1 where the list did not
hold it. With one relevant item a list (what came next) `hits` and `gains` are all there is: recall at k is the hit rate
at k, NDCG at k is 1 / log2(place + 2). With a set of relevant items, ``places`` [m] and ``lists`` [m] say of each which
list it belongs to (0..n-1, each list at least once), and every function returns one value a list, [n]. Relevance is
binary throughout.

Definitions: recall, precision, F1 and MRR as in Manning, Raghavan & Schütze 2008 (chapter 8; precision always divides
by k, also where the list is shorter); NDCG as in Järvelin & Kekäläinen 2002 with logarithm to base 2; AUC by ranks as
in Hanley & McNeil 1982; calibration error as in Naeini, Cooper & Hauskrecht 2015; Brier 1950. On binary relevance they
agree with scikit-learn's `ndcg_score`, `roc_auc_score`, `log_loss` and `brier_score_loss`.

Does not know: what a missing place means to the caller, who must name the rank it counts as (`mean_ranks`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Places = NDArray[np.int64]
Longs = NDArray[np.int64]
Doubles = NDArray[np.float64]

_SURE = 1e-15  # the nearest a probability may be to 0 or 1 in a logarithm


# -- one relevant item a list ------------------------------------------------------------------------------------------


def hits(places: Places, k: int) -> Doubles:
    """1 where the item stood among the first ``k``, else 0; [n]."""
    return ((places >= 0) & (places < k)).astype(np.float64)


def gains(places: Places, k: int) -> Doubles:
    """NDCG at ``k`` of each list, [n]."""
    inside = (places >= 0) & (places < k)
    return np.where(inside, 1.0 / np.log2(np.where(inside, places, 0) + 2.0), 0.0)


# -- a set of relevant items a list ------------------------------------------------------------------------------------


def found(places: Places, lists: Longs, k: int) -> Doubles:
    """How many relevant items stood among the first ``k``, [n]."""
    return np.bincount(lists, hits(places, k), minlength=len(relevant(lists))).astype(np.float64)


def relevant(lists: Longs) -> Longs:
    """How many relevant items each list has, [n]. Raises ValueError for a list without any: it has no recall."""
    counts = np.bincount(lists)
    if not len(counts) or not counts.all():
        raise ValueError(f"lists={lists}: some list has no relevant item. Leave it out and number the rest 0..n-1.")
    return counts


def recalls(places: Places, lists: Longs, k: int) -> Doubles:
    """The share of the relevant items that stood among the first ``k``, [n]."""
    return found(places, lists, k) / relevant(lists)


def precisions(places: Places, lists: Longs, k: int) -> Doubles:
    """The share of the first ``k`` places that held a relevant item, [n]."""
    return found(places, lists, k) / k


def f1s(places: Places, lists: Longs, k: int) -> Doubles:
    """The harmonic mean of precision and recall at ``k``, [n]: 2 found / (k + relevant)."""
    return 2.0 * found(places, lists, k) / (k + relevant(lists))


def any_hits(places: Places, lists: Longs, k: int) -> Doubles:
    """1 where at least one relevant item stood among the first ``k``, [n]; its mean is the hit rate."""
    return (found(places, lists, k) > 0).astype(np.float64)


def ndcgs(places: Places, lists: Longs, k: int) -> Doubles:
    """NDCG at ``k``, [n]: the gain over the gain of the best order, which has min(k, relevant) items in front."""
    counts = relevant(lists)
    best = np.concatenate(([0.0], np.cumsum(1.0 / np.log2(np.arange(k) + 2.0))))
    return np.bincount(lists, gains(places, k), minlength=len(counts)) / best[np.minimum(counts, k)]


def reciprocal_ranks(places: Places, lists: Longs) -> Doubles:
    """1 / rank of the first relevant item, ranks from 1; 0 where the list held none; [n]. Its mean is the MRR."""
    out = np.zeros(len(relevant(lists)))
    np.maximum.at(out, lists, np.where(places >= 0, 1.0 / (np.maximum(places, 0) + 1.0), 0.0))
    return out


def mean_ranks(places: Places, lists: Longs, missing: int) -> Doubles:
    """The mean rank of a list's relevant items, ranks from 1, [n]; an item without a place has rank ``missing``.

    The size of the catalogue is the honest choice: the item might as well stand last.
    """
    counts = relevant(lists)
    return np.bincount(lists, np.where(places >= 0, places + 1.0, float(missing)), minlength=len(counts)) / counts


def coverage(listed: Longs, catalogue: int) -> float:
    """The share of ``catalogue`` items that stood in at least one list; ``listed`` has item numbers, -1 for none.

    Catalogue coverage (Ge, Delgado-Battenfeld & Jannach 2010). It grows with the number of lists: compare like with
    like.
    """
    return len(np.unique(listed[listed >= 0])) / catalogue if catalogue else 0.0


# -- probabilities of actions ------------------------------------------------------------------------------------------


def auc(scores: Doubles, labels: Longs, weights: Doubles | None = None) -> float:
    """The chance that a positive is scored above a negative, ties counting half. NaN where one of them is missing.

    ``scores`` [n], ``labels`` [n] of 0 and 1, ``weights`` [n]: how often each row counts (left out: once).
    """
    return _auc(np.unique(scores, return_inverse=True)[1], labels, weights)


def _auc(level: Longs, labels: Longs, weights: Doubles | None) -> float:
    """``level`` [n]: the number of each row's score among all different scores, the smallest first."""
    once = np.ones(len(labels)) if weights is None else weights
    positive, negative = np.bincount(level, once * labels), np.bincount(level, once * (1 - labels))
    pairs = positive.sum() * negative.sum()
    below = np.cumsum(negative) - negative
    return float((positive * (below + negative / 2)).sum() / pairs) if pairs > 0 else float("nan")


def auc_interval(scores: Doubles, labels: Longs, people: Longs, seed: int = 0) -> tuple[float, float]:
    """95% interval of `auc` by bootstrap over people; see `spread`."""
    level = np.unique(scores, return_inverse=True)[1]
    return spread(lambda weights: _auc(level, labels, weights), people, seed)


def log_losses(probabilities: Doubles, labels: Longs) -> Doubles:
    """-log of the probability given to what happened, in nats, [n]; probabilities are kept 1e-15 away from 0 and 1."""
    of_one = np.clip(probabilities, _SURE, 1 - _SURE)
    return -np.log(np.where(labels == 1, of_one, 1 - of_one))


def brier(probabilities: Doubles, labels: Longs) -> Doubles:
    """(probability - what happened) squared, [n]."""
    return (probabilities - labels) ** 2


class Reliability(NamedTuple):
    """Per bin, [bins]: rows (or their weight), their mean probability, and how often it happened; NaN if empty."""

    rows: Doubles
    predicted: Doubles
    happened: Doubles


def reliability(probabilities: Doubles, labels: Longs, bins: int = 10, weights: Doubles | None = None) -> Reliability:
    """What was promised beside what happened, in ``bins`` of equal width over 0..1; 1 belongs to the last."""
    once = np.ones(len(labels)) if weights is None else weights
    place = np.clip((probabilities * bins).astype(np.int64), 0, bins - 1)
    rows = np.bincount(place, once, minlength=bins).astype(np.float64)
    some = np.where(rows > 0, rows, np.nan)
    promised = np.bincount(place, once * probabilities, minlength=bins) / some
    return Reliability(rows, promised, np.bincount(place, once * labels, minlength=bins) / some)


def calibration_error(probabilities: Doubles, labels: Longs, bins: int = 10, weights: Doubles | None = None) -> float:
    """Expected calibration error: |promised - happened| a bin, weighted by its rows. It depends on ``bins``."""
    rows, promised, happened = reliability(probabilities, labels, bins, weights)
    some = rows > 0
    return float((rows[some] * np.abs(promised - happened)[some]).sum() / rows.sum()) if some.any() else float("nan")


# -- ratings -----------------------------------------------------------------------------------------------------------


def squared(predicted: Doubles, actual: Doubles) -> Doubles:
    """Squared errors [n], in the unit of the rating squared; the root of their mean is the RMSE."""
    return (predicted - actual) ** 2


def absolute(predicted: Doubles, actual: Doubles) -> Doubles:
    """Absolute errors [n], in the unit of the rating; their mean is the MAE."""
    return np.abs(predicted - actual)


# -- intervals ---------------------------------------------------------------------------------------------------------


def interval(values: Doubles, people: Longs, seed: int = 0, resamples: int = 1000) -> tuple[float, float]:
    """95% interval of the mean of ``values`` [n] by bootstrap over people: one person's lists are not independent.

    Percentile bootstrap (Efron & Tibshirani 1993): whole people are drawn with replacement.
    """
    _, rows = np.unique(people, return_inverse=True)
    sums, counts = np.bincount(rows, values), np.bincount(rows)
    means, random = np.empty(resamples), np.random.default_rng(seed)
    for k in range(resamples):  # one draw at a time: a thousand of them for a million people would not fit
        drawn = random.integers(0, len(counts), len(counts))
        means[k] = sums[drawn].sum() / counts[drawn].sum()
    return _middle(means)


def spread(
    statistic: Callable[[Doubles], float], people: Longs, seed: int = 0, resamples: int = 200
) -> tuple[float, float]:
    """95% interval, by bootstrap over people, of what is not a mean: ``statistic(weights)``.

    ``weights`` [n] says how often each row was drawn. Draws on which the statistic is NaN are left out.
    """
    _, rows = np.unique(people, return_inverse=True)
    size, random = int(rows.max()) + 1, np.random.default_rng(seed)
    drawn = [
        statistic(np.bincount(random.integers(0, size, size), minlength=size)[rows].astype(np.float64))
        for _ in range(resamples)
    ]
    return _middle(np.array(drawn))


def _middle(drawn: Doubles) -> tuple[float, float]:
    """What the middle 95% lie between."""
    real = drawn[~np.isnan(drawn)]
    low, high = np.quantile(real, [0.025, 0.975]) if len(real) else (float("nan"), float("nan"))
    return float(low), float(high)
