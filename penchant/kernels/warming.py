"""Every loop called once, with arrays of the types that it will see."""

from __future__ import annotations

from typing import Any

import numpy as np

from penchant.kernels import asking, counting, rating, rings
from penchant.kernels.asking import Asked
from penchant.kernels.counting import NEAR, Rows, Tables
from penchant.kernels.shared import WINDOW

_HEIGHT, _ARENA, _FEATURES = 2, 4096, 10


def warm() -> None:
    """Compile every loop, or load it from the cache, before the first person waits for it."""
    _warm_counting()
    _warm_rings()
    _warm_asking()


def _rows(kind: type[Any] = np.float64) -> Rows:
    return Rows(
        start=np.zeros(_HEIGHT, np.int64),
        capacity=np.zeros(_HEIGHT, np.int32),
        size=np.zeros(_HEIGHT, np.int32),
        lossy=np.zeros(_HEIGHT, np.uint8),
        ids=np.zeros(_ARENA, np.int32),
        counts=np.zeros(_ARENA, np.int32),
        extra=np.zeros(_ARENA, kind),
        used=np.zeros(1, np.int64),
    )


def _warm_counting() -> None:
    rows, wide = _rows(), _rows(np.int32)
    longs, ints, doubles, bytes_ = np.zeros(1, np.int64), np.zeros(1, np.int32), np.zeros(1), np.zeros(1, np.uint8)
    history = np.zeros((1, NEAR), np.int32)
    tables = Tables(rows, wide, rows, rows, ints, longs.copy(), doubles, doubles, np.zeros((1, 1)), history,
                    ints.copy(), ints, doubles)  # fmt: skip
    counting.count(tables, np.ones(WINDOW, np.int32), longs, longs, doubles, bytes_, longs, 1, 0.0, 1.0, 8)
    counting.leave(rows, 0, longs)
    for popular in (doubles, np.zeros((2, 2))[:, 0]):  # in all, and in one context
        counting.climbed(longs, popular, longs, 1)
    for one in (rows, wide):
        counting.compact(one, one)
    counting.rate(rows, rows, doubles, ints, np.zeros(2), longs, longs, doubles, doubles)
    counting.unrate(rows, rows, doubles, ints, np.zeros(2), 0)
    rating.foretell(rows, rows, doubles, ints, 0.0, 0, longs, doubles, doubles.copy())


def _warm_rings() -> None:
    ring, longs, bytes_ = rings.new_ring(1), np.zeros(1, np.int64), np.zeros(1, np.uint8)
    rings.admit(ring, longs, longs, bytes_, bytes_, np.zeros(1, np.float32), np.zeros(1), longs, bytes_.copy(), 0)
    rings.steppable(longs, longs, bytes_, bytes_.copy())
    rings.move_checkpoint(ring, 0)
    rings.changed(ring, longs, 0, longs, longs, bytes_.copy())
    rings.settled(ring, longs, longs, bytes_, longs, 0)
    rings.liked(ring, 0, bytes_, longs.copy())


def _warm_asking() -> None:
    scratch, rows, wide = asking.new_scratch(_HEIGHT), _rows(), _rows(np.int32)
    longs, ints, bytes_ = np.zeros(1, np.int64), np.zeros(1, np.int32), np.zeros(1, np.uint8)
    floats, doubles, room = np.zeros(1, np.float32), np.zeros(1), np.zeros(4, np.int64)
    asked = Asked(floats, longs, 0.0, 0, 0, 0)
    asking.gather(scratch, 1, rows, wide, longs, doubles, 1.0, ints, asked, 0.5, 0.5, floats, room)
    asking.gather_similar(scratch, 1, rows, np.zeros((1, NEAR), np.int32), ints, ints, asked, -1, 0.5, floats,
                          np.zeros((1, 1), np.float32), longs, 0, room)  # fmt: skip
    asking.union(scratch, 1, longs, 1, room, 0)
    asking.strongest(scratch.sums, asking.TRANSITION, longs, 1, 1)
    vectors, out = np.zeros((1, 1), np.float32), np.zeros((1, _FEATURES), np.float32)
    asking.features(scratch, longs, vectors, asked, doubles, np.zeros((1, 1)), 1.0, doubles, 1.0, 1.0, 1.0, out)
    ends = np.ones(_FEATURES, np.float32)
    asking.add_up(out, ends, ends, np.zeros((_FEATURES, 2), np.float32), out.copy(), np.zeros(1, np.float32))
    asking.reasons(scratch, 1, longs, bytes_, ints, np.zeros(0, np.uint8), bytes_.copy())
    asking.best(floats, np.zeros(0, np.int64), bytes_, 1)
