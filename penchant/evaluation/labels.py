"""What counts as done with an item: the labels that heads learn from and that their probabilities are held against.

An interaction says more than its own action: who turns to an item may click it, and buy it ten minutes later. So the
label of an action is 1 where the interaction itself, or one of the same person's next events on the same item within
the hour, was of that action. One definition for learning and for evaluation, or the figures would be of another
question than the one that was learned.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from penchant.types import Event

Floats = NDArray[np.float32]
Longs = NDArray[np.int64]

HOUR, LOOKED_AHEAD = 3600.0, 8  # seconds; events on the same item, so that a page left open does not cost the square


def done_within(people: Longs, item: Longs, action: Longs, time: NDArray[np.float64], actions: int) -> Floats:
    """What each of n interactions' people did with its item within the hour from it, [n, actions] of 1 and 0."""
    out = np.zeros((len(item), actions), np.float32)
    order = np.lexsort((time, item, people))
    out[order, action[order]] = 1.0
    for ahead in range(1, min(LOOKED_AHEAD, len(order) - 1) + 1):
        now, later = order[:-ahead], order[ahead:]
        same = (people[now] == people[later]) & (item[now] == item[later]) & (time[later] - time[now] <= HOUR)
        out[now[same], action[later[same]]] = 1.0
    return out


class Done(NamedTuple):
    """Events on items among others: their ``rows`` [n], and of each what was ``done`` [n, actions], 1 or 0."""

    rows: Longs
    done: Longs


def done_by(events: Sequence[Event], actions: Sequence[str]) -> Done:
    """Labels of the named actions for the events on items, which stand in the order of time."""
    rows = [row for row, event in enumerate(events) if event.item is not None]
    names = list(dict.fromkeys([*actions, *(events[row].action or "" for row in rows)]))
    number = {name: place for place, name in enumerate(names)}
    done = done_within(
        _numbered([events[row].user or "" for row in rows]),
        _numbered([events[row].item or "" for row in rows]),
        np.array([number[events[row].action or ""] for row in rows], np.int64),
        np.array([events[row].time or 0.0 for row in rows], np.float64),
        len(names),
    )
    return Done(np.array(rows, np.int64), done[:, : len(actions)].astype(np.int64))


def _numbered(names: Sequence[str]) -> Longs:
    found: dict[str, int] = {}
    return np.array([found.setdefault(name, len(found)) for name in names], np.int64)
