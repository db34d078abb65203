"""Count tables: growable rows of (id, count), and what an event adds to them.

One growable row per item inside one arena, so that a catalogue of a hundred thousand items pays for the neighbours it
has and not for the most it could have. Counts are integers: adding and subtracting one person's share is exact in any
order. A full row evicts its smallest entry and lets the newcomer inherit its count (Space-Saving, Metwally, Agrawal &
El Abbadi 2005) and is marked lossy, since what was evicted cannot be subtracted any more.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from penchant.kernels.shared import WINDOW, Bytes, Doubles, Ints, Longs, jit

NEAR = 32  # events before one that an item neighbour is counted from


class Rows(NamedTuple):
    """``start, capacity, size, lossy``: [rows]; ``ids, counts``: the arena; ``used``: [1], its first free place.

    ``recent``: decayed weights, another column of the arena; of length 0 where they are not kept.
    """

    start: Longs
    capacity: Ints
    size: Ints
    lossy: Bytes
    ids: Ints
    counts: Ints
    recent: Doubles
    used: Longs


class Tables(NamedTuple):
    """All that an event adds to; `storage.counts` holds them.

    ``transitions``, ``neighbours``: rows of items; ``seen``: rows of people. ``totals`` [items]: how many people met an
    item; ``outgoing``, ``outgoing_recent`` [items]: sums of transitions from it; ``popular`` [items]: decayed totals;
    ``history`` [people, NEAR]: what was met last, newest first, ``length`` [people] of it.
    """

    transitions: Rows
    neighbours: Rows
    seen: Rows
    totals: Ints
    outgoing: Longs
    outgoing_recent: Doubles
    popular: Doubles
    history: Ints
    length: Ints


@jit
def row_add(rows: Rows, row: int, other: int, amount: int, weight: float, most: int) -> None:
    """Add to an entry's count, and a decayed ``weight`` where those are kept."""
    start, size = rows.start[row], rows.size[row]
    at = _find(rows, start, size, other)
    if at >= 0:
        rows.counts[at] += amount
        if len(rows.recent):
            rows.recent[at] += weight
        if rows.counts[at] <= 0:  # nothing left: the last entry takes its place
            _copy(rows, start + size - 1, rows, at)
            rows.size[row] = size - 1
        return
    if amount <= 0:
        return  # evicted before; the row is marked lossy
    if size == rows.capacity[row] and size < most:
        _grow(rows, row, most)
        start = rows.start[row]
    if size < rows.capacity[row]:
        at = start + size
        rows.counts[at] = amount
        rows.size[row] = size + 1
    else:
        at = start + np.argmin(rows.counts[start : start + size])
        rows.counts[at] += amount
        rows.lossy[row] = 1
    rows.ids[at] = other
    if len(rows.recent):
        rows.recent[at] = weight  # what was evicted says nothing of the newcomer's recency


@jit
def _copy(rows: Rows, at: int, into: Rows, place: int) -> None:
    into.ids[place], into.counts[place] = rows.ids[at], rows.counts[at]
    if len(rows.recent):
        into.recent[place] = rows.recent[at]


@jit
def _find(rows: Rows, start: int, size: int, other: int) -> int:
    """Where an entry stands in the arena, or -1. Blocks of 16, so that the comparison is one vector instruction."""
    ids = rows.ids
    at, end = start, start + size
    while at + 16 <= end:
        met = False
        for k in range(16):
            met |= ids[at + k] == other
        if met:
            break
        at += 16
    for k in range(at, min(at + 16, end)):
        if ids[k] == other:
            return k
    return -1


@jit
def _grow(rows: Rows, row: int, most: int) -> None:
    old, size = rows.start[row], rows.size[row]
    capacity = min(most, max(4, 2 * rows.capacity[row]))
    new = rows.used[0]
    rows.used[0] = new + capacity
    for k in range(size):
        _copy(rows, old + k, rows, new + k)
    rows.start[row], rows.capacity[row] = new, capacity


@jit
def compact(rows: Rows, into: Rows) -> None:
    """Copy every row next to the one before it; ``into`` has room for the sum of capacities."""
    used = 0
    for row in range(len(rows.start)):
        into.start[row], into.capacity[row], into.size[row] = used, rows.capacity[row], rows.size[row]
        into.lossy[row] = rows.lossy[row]
        for k in range(rows.size[row]):
            _copy(rows, rows.start[row] + k, into, used + k)
        used += rows.capacity[row]
    into.used[0] = used


@jit
def row_has(rows: Rows, row: int, other: int) -> bool:
    return _find(rows, rows.start[row], rows.size[row], other) >= 0


@jit
def count(
    tables: Tables,
    weights: Ints,
    people: Longs,
    items: Longs,
    times: Doubles,
    counted: Bytes,
    sign: int,
    reference: float,
    half_life: float,
    most: int,
) -> int:
    """Take events (in log order) into the tables; ``sign`` -1 takes them out. Returns how many were handled.

    Only the first time that a person meets an item is counted, so that one person moves any count by at most one
    event's worth. Stops early when an arena may overflow: the caller makes room and calls again from there. Popularity
    is a forward decay (Cormode et al. 2009): each event adds 2^((time - reference) / half_life), so the order of events
    does not matter and an event can be subtracted. So are the recent transitions, with the same half-life.
    """
    transitions, neighbours, seen, totals, outgoing, outgoing_recent, popular, history, length = tables
    room_t = len(transitions.ids) - WINDOW * most
    room_n = len(neighbours.ids) - NEAR * most
    for e in range(len(people)):
        person, item = people[e], items[e]
        if transitions.used[0] > room_t or neighbours.used[0] > room_n:
            return e
        if seen.used[0] + 2 * seen.size[person] + 8 > len(seen.ids):
            return e
        if row_has(seen, person, item):
            continue
        row_add(seen, person, item, 1, 0.0, 1 << 30)
        if not counted[e]:
            continue
        totals[item] += sign
        weight = sign * 2.0 ** ((times[e] - reference) / half_life)
        popular[item] += weight
        if totals[item] == 0:
            popular[item] = 0.0  # and not what rounding left of it
        n = length[person]
        for k in range(min(n, WINDOW)):
            before = history[person, k]
            row_add(transitions, before, item, sign * weights[k], weight * weights[k], most)
            outgoing[before] += sign * weights[k]
            outgoing_recent[before] += weight * weights[k]
            if outgoing[before] == 0:
                outgoing_recent[before] = 0.0
        for k in range(min(n, NEAR)):
            row_add(neighbours, history[person, k], item, sign, 0.0, most)
        for k in range(min(n, NEAR - 1), 0, -1):
            history[person, k] = history[person, k - 1]
        history[person, 0] = item
        length[person] = min(n + 1, NEAR)
    return len(people)
