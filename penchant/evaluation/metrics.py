"""Ranking metrics from the place of the one item that came next, with intervals. A leaf: it imports nothing of ours.

With one relevant item, recall at k is the hit rate at k, and NDCG at k is 1 / log2(place + 2) (Järvelin & Kekäläinen
2002), place counted from 0; a place beyond k, or no place at all (-1), counts 0.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Places = NDArray[np.int64]
Doubles = NDArray[np.float64]


def hits(places: Places, k: int) -> Doubles:
    """1 where the item stood among the first ``k``, else 0; [n]."""
    return ((places >= 0) & (places < k)).astype(np.float64)


def gains(places: Places, k: int) -> Doubles:
    """NDCG at ``k`` of each list, [n]."""
    inside = (places >= 0) & (places < k)
    return np.where(inside, 1.0 / np.log2(np.where(inside, places, 0) + 2.0), 0.0)


def interval(values: Doubles, people: NDArray[np.int64], seed: int = 0, resamples: int = 1000) -> tuple[float, float]:
    """95% interval of the mean of ``values`` [n] by bootstrap over people: one person's lists are not independent.

    Percentile bootstrap (Efron & Tibshirani 1993): whole people are drawn with replacement.
    """
    _, rows = np.unique(people, return_inverse=True)
    sums, counts = np.bincount(rows, values), np.bincount(rows)
    drawn = np.random.default_rng(seed).integers(0, len(counts), (resamples, len(counts)))
    means = sums[drawn].sum(1) / counts[drawn].sum(1)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)
