"""Where the item that came next would stand under one simple signal alone, at that very moment.

The signals are the engine's own tables, asked right after the engine was: all-time popularity, recent popularity,
transitions, item neighbours. Each orders the whole catalogue by its signal, items already seen removed, ties to the
item that was first mentioned; an item that the signal says nothing of has no place.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from penchant import kernels
from penchant.engine import Engine

BASELINES = ("popularity", "recent popularity", "transitions", "item neighbours")


def places(engine: Engine, item: int, seen: NDArray[np.int32]) -> dict[str, int]:
    """Places (from 0; -1: none) of ``item`` under each baseline, for the query that the engine answered last."""
    retrieval, counts = engine.parts.retrieval, engine.parts.counts
    spoken = retrieval.scratch.marks[: engine.parts.index.items, kernels.STAMP] == retrieval.mark
    size = len(spoken)
    signals: dict[str, NDArray[np.float64]] = {
        "popularity": counts.totals[:size].astype(np.float64),
        "recent popularity": counts.popular[:size],
        "transitions": np.where(spoken, retrieval.scratch.sums[:size, kernels.TRANSITION], 0.0).astype(np.float64),
        "item neighbours": np.where(spoken, retrieval.scratch.sums[:size, kernels.NEIGHBOUR], 0.0).astype(np.float64),
    }
    hidden = engine.parts.index.ready[:size] == 0
    hidden[seen[seen < size]] = True
    return {name: _place(signal, hidden, item) for name, signal in signals.items()}


def _place(signal: NDArray[np.float64], hidden: NDArray[np.bool_], item: int) -> int:
    own = signal[item] if 0 <= item < len(signal) else 0.0
    if own <= 0 or hidden[item]:
        return -1
    before = (signal > own) & ~hidden
    ties = (signal[:item] == own) & ~hidden[:item]
    return int(before.sum() + ties.sum())
