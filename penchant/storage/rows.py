"""Rows of the count tables as they are kept: made, made taller, packed, put into a snapshot and taken from one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penchant import kernels
from penchant.kernels import Rows
from penchant.storage.state_store import grown

_SPARE = 1 << 16
_WITHOUT_COUNTS = ("audience", "rated", "raters")
_EXTRA = {  # a further column of the arena
    "transitions": np.float64,
    "neighbours": np.int32,
    "audience": np.float64,
    "rated": np.float64,
    "raters": np.float64,
}


def new_rows(name: str) -> Rows:
    return Rows(
        np.zeros(0, np.int64),
        np.zeros(0, np.int32),
        np.zeros(0, np.int32),
        np.zeros(0, np.uint8),
        *_arena(name, _SPARE),
        np.zeros(1, np.int64),
    )


def _arena(name: str, room: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """``ids, counts, extra`` of a table."""
    counts, extra = 0 if name in _WITHOUT_COUNTS else room, room if name in _EXTRA else 0
    return np.zeros(room, np.int32), np.zeros(counts, np.int32), np.zeros(extra, _EXTRA.get(name, np.float64))


def taller(rows: Rows, height: int) -> Rows:
    return rows._replace(
        start=grown(rows.start, height),
        capacity=grown(rows.capacity, height),
        size=grown(rows.size, height),
        lossy=grown(rows.lossy, height),
    )


def repacked(name: str, rows: Rows, spare: int) -> Rows:
    """Row next to row, in an arena of its own with room to ``spare``; without, no larger than it must be."""
    used = int(rows.capacity.sum())
    ids, counts, extra = _arena(name, used * 3 // 2 + spare + _SPARE if spare else used)
    into = rows._replace(
        start=np.zeros_like(rows.start),
        capacity=np.zeros_like(rows.capacity),
        size=np.zeros_like(rows.size),
        lossy=np.zeros_like(rows.lossy),
        ids=ids,
        counts=counts,
        extra=extra,
        used=np.zeros(1, np.int64),
    )
    kernels.compact(rows, into)
    return into


def rows_to_arrays(name: str, rows: Rows) -> dict[str, NDArray[Any]]:
    """For a snapshot, packed."""
    packed = repacked(name, rows, 0)
    return {f"count_{name}_{field}": getattr(packed, field) for field in Rows._fields}


def rows_from_arrays(name: str, arrays: Mapping[str, NDArray[Any]]) -> Rows:
    return Rows(*(arrays[f"count_{name}_{field}"] for field in Rows._fields))
