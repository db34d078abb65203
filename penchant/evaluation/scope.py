"""Which of a trial's events are asked for, and on which slices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from penchant.errors import InvalidInput
from penchant.evaluation.asking import DEPTH, Seen
from penchant.evaluation.figures import KS
from penchant.evaluation.folders import World
from penchant.evaluation.protocols import FEW, cold_items, earlier, repeated
from penchant.evaluation.trials import Trial

Longs = NDArray[np.int64]

SLICES = ("few", "long", "cold", "frozen", "future")
_LONGEST = 1000  # list that an engine gives


class Scope(NamedTuple):
    """What is asked: which ``slices`` beside all, every how many-th event, whether lists hide what was seen."""

    slices: Sequence[str] = SLICES
    every: int = 1
    seen: Seen = "ever"
    seed: int = 0  # of the cold items
    depth: int = DEPTH


class Asked(NamedTuple):
    """Which events of ``trial.asked`` are asked: their ``rows`` [n] in it, and of each who asked [n], how many events
    that person had before [n], and whether its item is ``withheld`` from the engine of the cold slice [n]."""

    rows: Longs
    people: Longs
    earlier: Longs
    cold: NDArray[np.bool_]
    withheld: frozenset[str]
    repeated: int


def check(scope: Scope) -> None:
    for name in scope.slices:
        if name not in SLICES:
            raise InvalidInput("no such slice.", field="slices", value=name, way_out=f"Use {', '.join(SLICES)}.")
    if scope.every < 1:
        raise InvalidInput("must be 1 or more.", field="every", value=scope.every, way_out="1 asks every event.")
    if not max(KS) <= scope.depth <= _LONGEST - max(FEW):
        raise InvalidInput(
            f"must lie in {max(KS)}..{_LONGEST - max(FEW)}.", field="depth", value=scope.depth, way_out="Use 100."
        )


def choose(trial: Trial, scope: Scope, listable: frozenset[str]) -> Asked:
    events, first = trial.events, len(trial.learned) + len(trial.known)
    again = repeated(events)[first:] if scope.seen == "ever" else np.zeros(len(trial.asked), np.bool_)
    of_item = np.array([event.item is not None for event in trial.asked], np.bool_)
    rows = np.flatnonzero(of_item & ~again)[:: scope.every]
    if not len(rows):
        raise InvalidInput(
            "none of them can be asked: all are on items met before, or on words alone.",
            field="events",
            value=len(trial.asked),
            way_out="Let lists show what was seen (seen=allow), or choose another split.",
        )
    withheld = cold_items(listable, seed=scope.seed) if "cold" in scope.slices else frozenset()
    return Asked(
        rows=rows,
        people=np.unique([trial.asked[row].user or "" for row in rows], return_inverse=True)[1].astype(np.int64),
        earlier=earlier(events)[first:][rows],
        cold=np.array([trial.asked[row].item in withheld for row in rows], np.bool_),
        withheld=withheld,
        repeated=int(again.sum()),
    )


def sent(world: World) -> frozenset[str]:
    """Items that may be listed: sent last as available, and not removed."""
    last = {event.item: not event.removed and event.available is not False for event in world.items if event.item}
    there = frozenset(item for item, listed in last.items() if listed)
    if not there:
        raise InvalidInput(
            "no item was sent, so that nothing can be listed.",
            field="items",
            value=0,
            way_out="Import items too: only what was sent as an item is listed.",
        )
    return there
