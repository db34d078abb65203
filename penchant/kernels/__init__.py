"""The compiled loops: count tables, the ring of a state, the union of sources, features, masks, top-k.

Everything here is plain arrays in, arrays changed in place or out; no Python object, no lock, no clock. All
loops release the GIL, are cached on disk, and are compiled by `warm()` before an engine calls itself ready.

A loop calls only loops of its own file: the cache notices that a file has changed, and not that one it calls has.
"""

from __future__ import annotations

import numpy as np

from penchant.kernels.asking import (
    ASKED,
    CONDITION,
    DENSE,
    FILTERED,
    FRESH,
    GIVEN,
    GONE,
    HIDDEN,
    KEPT,
    NEIGHBOUR,
    NEIGHBOURS,
    PLACE,
    POPULAR,
    RECENT,
    SEEN,
    SOURCE,
    SOURCES,
    STAMP,
    TRANSITION,
    TRANSITIONS,
    WORDS,
    Asked,
    Scratch,
    add_up,
    best,
    dot,
    features,
    gather,
    new_scratch,
    reasons,
    strongest,
    union,
)
from penchant.kernels.counting import (
    NEAR,
    Rows,
    Tables,
    compact,
    count,
    row_add,
    row_has,
)
from penchant.kernels.rings import (
    INSERTED,
    LATE,
    LATE_EVENT,
    MOVE,
    RING,
    STEPPED,
    Ring,
    admit,
    changed,
    move_checkpoint,
    new_ring,
)
from penchant.kernels.shared import (
    TRANSITION_UNIT,
    WINDOW,
)

__all__ = [
    "ASKED",
    "Asked",
    "CONDITION",
    "DENSE",
    "FILTERED",
    "FRESH",
    "GIVEN",
    "GONE",
    "HIDDEN",
    "INSERTED",
    "KEPT",
    "LATE",
    "LATE_EVENT",
    "MOVE",
    "NEAR",
    "NEIGHBOUR",
    "NEIGHBOURS",
    "PLACE",
    "POPULAR",
    "RECENT",
    "RING",
    "Ring",
    "Rows",
    "SEEN",
    "SOURCE",
    "SOURCES",
    "STAMP",
    "STEPPED",
    "Scratch",
    "TRANSITION",
    "TRANSITIONS",
    "TRANSITION_UNIT",
    "Tables",
    "WINDOW",
    "WORDS",
    "add_up",
    "admit",
    "best",
    "changed",
    "compact",
    "count",
    "dot",
    "features",
    "gather",
    "move_checkpoint",
    "new_ring",
    "new_scratch",
    "reasons",
    "row_add",
    "row_has",
    "strongest",
    "union",
    "warm",
]


def warm() -> None:
    """Compile every loop, or load it from the cache, before the first person waits for it."""
    height, arena = 2, 4096
    rows = Rows(
        start=np.zeros(height, np.int64),
        capacity=np.zeros(height, np.int32),
        size=np.zeros(height, np.int32),
        lossy=np.zeros(height, np.uint8),
        ids=np.zeros(arena, np.int32),
        counts=np.zeros(arena, np.int32),
        recent=np.zeros(arena),
        used=np.zeros(1, np.int64),
    )
    ring, scratch = new_ring(1), new_scratch(2)
    longs, bytes_, floats = np.zeros(1, np.int64), np.zeros(1, np.uint8), np.zeros(1, np.float32)
    doubles, ints = np.zeros(1), np.zeros(1, np.int32)
    history, steps = np.zeros((1, NEAR), np.int32), np.ones(WINDOW, np.int32)
    tables = Tables(rows, rows, rows, ints, longs.copy(), doubles, doubles, history, ints.copy())
    count(tables, steps, longs, longs, doubles, bytes_, 1, 0.0, 1.0, 8)
    compact(rows, rows)
    admit(ring, longs, longs, bytes_, bytes_, floats, doubles, longs, bytes_.copy(), 0)
    move_checkpoint(ring, 0)
    changed(ring, longs, 0, longs, longs, bytes_.copy())
    gather(scratch, 1, rows, rows, longs, doubles, 1.0, ints, longs, 0.5, 0.5, floats, np.zeros(4, np.int64))
    union(scratch, 1, longs, 1, np.zeros(4, np.int64), 0)
    strongest(scratch, TRANSITION, longs, 1, 1)
    vectors, out = np.zeros((1, 1), np.float32), np.zeros((1, 6), np.float32)
    features(scratch, longs, vectors, floats, doubles, 1.0, doubles, 0.0, 1.0, 1.0, out)
    add_up(out, np.zeros(6, np.float32), np.ones(6, np.float32), np.zeros((6, 2), np.float32), out.copy(),
           np.zeros(1, np.float32))  # fmt: skip
    reasons(scratch, 1, longs, bytes_, ints, np.zeros(0, np.uint8), bytes_.copy())
    best(floats, np.zeros(0, np.int64), bytes_, 1)
