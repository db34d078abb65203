"""Ratings from similar people: who rated alike before, by Pearson's correlation, is listened to."""

from __future__ import annotations

import numpy as np

from penchant.kernels.counting import AUDIENCE, Rows
from penchant.kernels.shared import Doubles, Ints, Longs, jit

LISTENED = 512  # newest ratings of a person that are compared with somebody else's
_ITEM, _PERSON = 5.0, 5.0  # ratings by which an item's and a person's deviation are shrunk towards 0
_ALIKE = 50.0  # ratings in common by which a correlation is
_VOICES = 1.0  # correlation by which what the similar say is


@jit
def foretell(
    rated: Rows,
    raters: Rows,
    sums: Doubles,
    ratings: Ints,
    mean: float,
    person: int,
    items: Longs,
    own: Doubles,
    out: Doubles,
) -> None:
    """Ratings [n] that a person (-1: nobody) would give to items [n].

        b_i + b_u + sum over people v of s_uv e_vi / (sum of s_uv + shrinkage)

    b: shrunk deviations of the item and of the person from the ``mean``; e: what they leave of a rating; v: those of
    the last `AUDIENCE` who rated the item with s_uv > 0, Pearson's correlation of e over what both rated, shrunk by how
    much that is (Herlocker et al. 1999; baselines as in Koren 2010). ``own`` [items]: NaN, and left so.
    """
    deviation, first, end = 0.0, 0, 0
    if person >= 0:
        first, end = _newest(rated, person)
        for at in range(first, end):
            deviation += rated.extra[at] - mean - _of_item(sums, ratings, mean, rated.ids[at])
        deviation /= end - first + _PERSON
        for at in range(first, end):
            own[rated.ids[at]] = rated.extra[at] - mean - _of_item(sums, ratings, mean, rated.ids[at]) - deviation
    for k in range(len(items)):
        item, said, heard = items[k], 0.0, 0.0
        last = raters.start[item] + raters.size[item]
        for at in range(max(raters.start[item], last - AUDIENCE), last):
            if end - first > 1 and raters.ids[at] != person:
                alike, left = _compared(rated, sums, ratings, mean, raters.ids[at], item, own)
                if alike > 0.0:
                    said += alike * left
                    heard += alike
        out[k] = mean + _of_item(sums, ratings, mean, item) + deviation + said / (heard + _VOICES)
    for at in range(first, end):
        own[rated.ids[at]] = np.nan


@jit
def _newest(rated: Rows, person: int) -> tuple[int, int]:
    """Where the newest `LISTENED` ratings of a person begin and end."""
    end = rated.start[person] + rated.size[person]
    return max(rated.start[person], end - LISTENED), end


@jit
def _of_item(sums: Doubles, ratings: Ints, mean: float, item: int) -> float:
    return (sums[item] - ratings[item] * mean) / (ratings[item] + _ITEM)


@jit
def _compared(
    rated: Rows, sums: Doubles, ratings: Ints, mean: float, other: int, item: int, own: Doubles
) -> tuple[float, float]:
    """(shrunk correlation with another person, what the deviations leave of that one's rating of the item).

    In one pass: the other's deviation, which all of its ratings say, is taken off the sums at the end. The item itself
    is not compared by; (0, 0) where its rating is older than the newest `LISTENED`.
    """
    first, end = _newest(rated, other)
    total = mine = x_sum = both = e_sum = e_squares = left = 0.0
    common, there = 0, False
    for at in range(first, end):
        e, x = rated.extra[at] - mean - _of_item(sums, ratings, mean, rated.ids[at]), own[rated.ids[at]]
        total += e
        if rated.ids[at] == item:
            left, there = e, True
        elif x == x:  # no NaN
            both += x * e
            mine += x * x
            x_sum += x
            e_sum += e
            e_squares += e * e
            common += 1
    d = total / (end - first + _PERSON)
    theirs = e_squares - 2.0 * d * e_sum + common * d * d
    if not there or mine <= 0.0 or theirs <= 1e-12:
        return 0.0, 0.0
    return (both - d * x_sum) / np.sqrt(mine * theirs) * common / (common + _ALIKE), left - d
