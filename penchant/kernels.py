"""The compiled loops: count tables, the ring of a state, the union of sources, features, masks, top-k.

Everything here is plain arrays in, arrays changed in place or out; no Python object, no lock, no clock. All
loops release the GIL, are cached on disk, and are compiled by `warm()` before an engine calls itself ready.

Neighbour tables are `Rows`: one growable row of (id, count) per item inside one arena, so that a catalogue of a
hundred thousand items pays for the neighbours it has and not for the most it could have. Counts are integers:
adding and subtracting one person's share is exact in any order. A full row evicts its smallest entry and lets the
newcomer inherit its count (Space-Saving, Metwally, Agrawal & El Abbadi 2005) and is marked lossy, since what was
evicted cannot be subtracted any more.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int32]
Longs = NDArray[np.int64]
Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Bytes = NDArray[np.uint8]

RING = 64  # events a state can hold between its checkpoint and now
MOVE = 32  # how many of them move into the checkpoint when the ring is full
WEEK, STALE_WEEKS = 604_800.0, 20.0  # freshness halves every week; after so many it is nothing
LATE = 300.0  # seconds an event may be older than its person's newest and still be put in its place
WINDOW = 5  # events before one that a transition is counted from
NEAR = 32  # events before one that an item neighbour is counted from
ASKED = 10  # events back whose neighbours speak for a candidate
STEPPED, INSERTED, LATE_EVENT = 0, 1, 2
KEPT, SEEN, GONE, FILTERED = 0, 1, 2, 3
DENSE, TRANSITIONS, NEIGHBOURS, POPULAR, FRESH, WORDS = 1, 2, 4, 8, 16, 32
CONDITION, GIVEN = 64, 128
STAMP, PLACE, SOURCE, HIDDEN, TRANSITION, NEIGHBOUR = range(6)  # columns of Scratch
SOURCES = {
    DENSE: "dense",
    TRANSITIONS: "transitions",
    NEIGHBOURS: "neighbours",
    POPULAR: "popular",
    FRESH: "fresh",
    WORDS: "words",
    CONDITION: "condition",
    GIVEN: "given",
}
TRANSITION_UNIT = 1000  # a transition from the event just before counts so much; weights below are integers of it

_jit: Any = numba.njit(cache=True, nogil=True, fastmath=False, boundscheck=False)
_fast: Any = numba.njit(cache=True, nogil=True, fastmath=True)  # sums may be reordered: a product has no order


class Rows(NamedTuple):
    """``start, capacity, size, lossy``: [rows]; ``ids, counts``: the arena; ``used``: [1], its first free place."""

    start: Longs
    capacity: Ints
    size: Ints
    lossy: Bytes
    ids: Ints
    counts: Ints
    used: Longs


class Ring(NamedTuple):
    """The events of each person since the checkpoint, in (time, offset) order; all arrays [people, ...]."""

    item: Ints  # [people, RING]; -1: words alone
    words: Bytes  # 1: the event holds words
    action: Bytes
    value: Floats  # NaN: none
    time: Doubles
    offset: Longs
    length: Ints  # [people]
    newest: Doubles  # [people] time of the newest event taken in; -inf: none
    anchor: Doubles  # [people] time of the newest event inside the checkpoint; -inf: none


class Asked(NamedTuple):
    """What a list is asked by: f(x) [dim], the recent items newest first, and the moment."""

    vector: Floats
    recent: Longs
    time: float


class Scratch(NamedTuple):
    """Room for one query at a time, as long as the catalogue; two views of the same memory, one row an item.

    A row is half a cache line, so that an item met at random costs one miss and not five.
    """

    marks: Ints  # [items, 8]: STAMP (belongs to this query), PLACE among the candidates, SOURCE bits, HIDDEN
    sums: Floats  # [items, 8]: TRANSITION and NEIGHBOUR


@_jit
def row_add(rows: Rows, row: int, other: int, amount: int, most: int) -> None:
    start, size = rows.start[row], rows.size[row]
    at = _find(rows, start, size, other)
    if at >= 0:
        rows.counts[at] += amount
        if rows.counts[at] <= 0:  # nothing left: the last entry takes its place
            last = start + size - 1
            rows.ids[at], rows.counts[at] = rows.ids[last], rows.counts[last]
            rows.size[row] = size - 1
        return
    if amount <= 0:
        return  # evicted before; the row is marked lossy
    if size == rows.capacity[row] and size < most:
        _grow(rows, row, most)
        start = rows.start[row]
    if size < rows.capacity[row]:
        rows.ids[start + size], rows.counts[start + size] = other, amount
        rows.size[row] = size + 1
    else:
        least = start + np.argmin(rows.counts[start : start + size])
        rows.ids[least] = other
        rows.counts[least] += amount
        rows.lossy[row] = 1


@_jit
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


@_jit
def _grow(rows: Rows, row: int, most: int) -> None:
    old, size = rows.start[row], rows.size[row]
    capacity = min(most, max(4, 2 * rows.capacity[row]))
    new = rows.used[0]
    rows.used[0] = new + capacity
    for k in range(size):
        rows.ids[new + k], rows.counts[new + k] = rows.ids[old + k], rows.counts[old + k]
    rows.start[row], rows.capacity[row] = new, capacity


@_jit
def compact(rows: Rows, into: Rows) -> None:
    """Copy every row next to the one before it; ``into`` has room for the sum of capacities."""
    used = 0
    for row in range(len(rows.start)):
        into.start[row], into.capacity[row], into.size[row] = used, rows.capacity[row], rows.size[row]
        into.lossy[row] = rows.lossy[row]
        for k in range(rows.size[row]):
            into.ids[used + k] = rows.ids[rows.start[row] + k]
            into.counts[used + k] = rows.counts[rows.start[row] + k]
        used += rows.capacity[row]
    into.used[0] = used


@_jit
def row_has(rows: Rows, row: int, other: int) -> bool:
    return _find(rows, rows.start[row], rows.size[row], other) >= 0


@_jit
def count(
    transitions: Rows,
    neighbours: Rows,
    seen: Rows,
    totals: Ints,
    outgoing: Longs,
    popular: Doubles,
    history: Ints,
    length: Ints,
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
    event's worth. ``history`` is [people, NEAR], newest first. Stops early when an arena may overflow: the caller
    makes room and calls again from there. Popularity is a forward decay (Cormode et al. 2009): each event adds
    2^((time - reference) / half_life), so the order of events does not matter and an event can be subtracted.
    """
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
        row_add(seen, person, item, 1, 1 << 30)
        if not counted[e]:
            continue
        totals[item] += sign
        popular[item] += sign * 2.0 ** ((times[e] - reference) / half_life)
        if totals[item] == 0:
            popular[item] = 0.0  # and not what rounding left of it
        n = length[person]
        for k in range(min(n, WINDOW)):
            row_add(transitions, history[person, k], item, sign * weights[k], most)
            outgoing[history[person, k]] += sign * weights[k]
        for k in range(min(n, NEAR)):
            row_add(neighbours, history[person, k], item, sign, most)
        for k in range(min(n, NEAR - 1), 0, -1):
            history[person, k] = history[person, k - 1]
        history[person, 0] = item
        length[person] = min(n + 1, NEAR)
    return len(people)


@_jit
def admit(
    ring: Ring,
    people: Longs,
    items: Longs,
    words: Bytes,
    actions: Bytes,
    values: Floats,
    times: Doubles,
    offsets: Longs,
    status: Bytes,
    first: int,
) -> int:
    """Put events into their people's rings, from ``first`` on; writes ``status``; returns where it stopped.

    Stops after an event that fills a ring: the caller folds the oldest MOVE into the checkpoint and calls again.
    """
    for e in range(first, len(people)):
        person, time = people[e], times[e]
        n = ring.length[person]
        if time < ring.anchor[person] or time < ring.newest[person] - LATE:
            status[e] = LATE_EVENT
            continue
        at = n
        while at > 0 and ring.time[person, at - 1] > time:
            at -= 1
        status[e] = STEPPED if at == n else INSERTED
        for k in range(n, at, -1):
            ring.item[person, k], ring.action[person, k] = ring.item[person, k - 1], ring.action[person, k - 1]
            ring.value[person, k], ring.time[person, k] = ring.value[person, k - 1], ring.time[person, k - 1]
            ring.offset[person, k], ring.words[person, k] = ring.offset[person, k - 1], ring.words[person, k - 1]
        ring.item[person, at], ring.action[person, at], ring.value[person, at] = items[e], actions[e], values[e]
        ring.time[person, at], ring.offset[person, at], ring.words[person, at] = time, offsets[e], words[e]
        ring.length[person] = n + 1
        ring.newest[person] = max(ring.newest[person], time)
        if n + 1 == RING:
            return e + 1
    return len(people)


@_jit
def move_checkpoint(ring: Ring, person: int) -> None:
    """Forget the oldest MOVE events of a ring, once they have been folded into the checkpoint."""
    ring.anchor[person] = ring.time[person, MOVE - 1]
    n = ring.length[person] - MOVE
    for k in range(n):
        ring.item[person, k], ring.action[person, k] = ring.item[person, k + MOVE], ring.action[person, k + MOVE]
        ring.value[person, k], ring.time[person, k] = ring.value[person, k + MOVE], ring.time[person, k + MOVE]
        ring.offset[person, k], ring.words[person, k] = ring.offset[person, k + MOVE], ring.words[person, k + MOVE]
    ring.length[person] = n


@_jit
def changed(ring: Ring, people: Longs, skip: int, epoch: Longs, folded: Longs, out: Bytes) -> None:
    """1 for each person whose ring (but its newest ``skip`` events) holds an item whose vector changed since."""
    for p in range(len(people)):
        person, out[p] = people[p], 0
        for k in range(ring.length[person] - skip):
            item = ring.item[person, k]
            if item >= 0 and epoch[item] > folded[person]:
                out[p] = 1
                break


@_jit
def gather(
    scratch: Scratch,
    mark: int,
    transitions: Rows,
    neighbours: Rows,
    outgoing: Longs,
    totals: Ints,
    recent: Longs,
    decay_t: float,
    decay_n: float,
    shrunk: Floats,
    chosen: Longs,
) -> int:
    """Sum what the recent items (newest first) say of each other item; returns how many items were spoken for.

    Transition: sum over k < WINDOW of decay_t^k count(i_k -> j) / (count(i_k -> any) + shrinkage).
    Neighbour: sum over k < ASKED of decay_n^k co(i_k, j) / ((n_i + 10) (n_j + 10))^power, a shrunk cosine at power
    1/2; ``shrunk`` is the table of (n + 10)^-power, since a power costs as much as all else here together.
    """
    n = 0
    for k in range(min(len(recent), ASKED)):
        item = recent[k]
        if k < WINDOW:
            share = decay_t**k / (outgoing[item] + 5.0 * TRANSITION_UNIT)
            for at in range(transitions.start[item], transitions.start[item] + transitions.size[item]):
                n = _spoken_for(scratch, mark, transitions.ids[at], n, chosen)
                scratch.sums[transitions.ids[at], TRANSITION] += share * transitions.counts[at]
        share = decay_n**k * shrunk[min(totals[item], len(shrunk) - 1)]
        for at in range(neighbours.start[item], neighbours.start[item] + neighbours.size[item]):
            n = _spoken_for(scratch, mark, neighbours.ids[at], n, chosen)
            scratch.sums[neighbours.ids[at], NEIGHBOUR] += share * neighbours.counts[at]
    for k in range(n):
        scratch.sums[chosen[k], NEIGHBOUR] *= shrunk[min(totals[chosen[k]], len(shrunk) - 1)]
    return n


@_jit
def _spoken_for(scratch: Scratch, mark: int, item: int, n: int, chosen: Longs) -> int:
    if scratch.marks[item, STAMP] == mark:
        return n
    scratch.marks[item, STAMP], scratch.marks[item, PLACE] = mark, -1
    scratch.sums[item, TRANSITION], scratch.sums[item, NEIGHBOUR], scratch.marks[item, SOURCE] = 0.0, 0.0, 0
    chosen[n] = item
    return n + 1


@_jit
def union(
    scratch: Scratch,
    mark: int,
    found: Longs,
    source: int,
    into: Longs,
    n: int,
) -> int:
    """Add the items that a source found to the candidates ``into[:n]``; returns the new n."""
    for k in range(len(found)):
        item = found[k]
        if scratch.marks[item, STAMP] != mark:
            scratch.marks[item, STAMP], scratch.marks[item, PLACE] = mark, -1
            scratch.sums[item, TRANSITION], scratch.sums[item, NEIGHBOUR], scratch.marks[item, SOURCE] = 0.0, 0.0, 0
        if scratch.marks[item, PLACE] < 0:
            scratch.marks[item, PLACE] = n
            into[n] = item
            n += 1
        scratch.marks[item, SOURCE] |= source
    return n


@_jit
def strongest(scratch: Scratch, column: int, items: Longs, n: int, limit: int) -> Longs:
    """The ``limit`` items of ``items[:n]`` with the largest positive ``column`` of the scratch, in no particular order.

    Ties go to the smaller number.
    """
    heap = np.empty(min(limit, n), np.int64)
    size = 0
    for k in range(n):
        item = items[k]
        if scratch.sums[item, column] <= 0.0:
            continue
        if size < len(heap):
            heap[size] = item
            at = size
            size += 1
            while at > 0 and _weaker(scratch.sums, column, heap[at], heap[(at - 1) // 2]):
                heap[at], heap[(at - 1) // 2] = heap[(at - 1) // 2], heap[at]
                at = (at - 1) // 2
        elif size > 0 and _weaker(scratch.sums, column, heap[0], item):
            heap[0] = item
            _sift(scratch.sums, column, heap, size)
    return heap[:size]


@_jit
def _weaker(sums: Floats, column: int, a: int, b: int) -> bool:
    return sums[a, column] < sums[b, column] or (sums[a, column] == sums[b, column] and a > b)


@_jit
def _sift(sums: Floats, column: int, heap: Longs, size: int) -> None:
    at = 0
    while True:
        low, left = at, 2 * at + 1
        if left < size and _weaker(sums, column, heap[left], heap[low]):
            low = left
        if left + 1 < size and _weaker(sums, column, heap[left + 1], heap[low]):
            low = left + 1
        if low == at:
            return
        heap[at], heap[low] = heap[low], heap[at]
        at = low


@_fast
def dot(vectors: Floats, row: int, asked: Floats) -> np.float32:
    total = np.float32(0.0)
    for d in range(len(asked)):
        total += vectors[row, d] * asked[d]
    return total


@_jit
def features(
    scratch: Scratch,
    candidates: Longs,
    vectors: Floats,
    asked: Floats,
    popular: Doubles,
    decay: float,
    created: Doubles,
    now: float,
    floor_t: float,
    floor_n: float,
    out: Floats,
) -> None:
    """Absolute features [candidates, 5], in the order of `cold_start.FEATURES`."""
    for k in range(len(candidates)):
        item = candidates[k]
        out[k, 0] = dot(vectors, item, asked)
        out[k, 1] = _log1p(scratch.sums[item, TRANSITION] / floor_t)
        out[k, 2] = _log1p(scratch.sums[item, NEIGHBOUR] / floor_n)
        out[k, 3] = _log1p(popular[item] * decay)
        age = max(0.0, now - created[item]) / WEEK
        out[k, 4] = 2.0**-age if age < STALE_WEEKS else 0.0


@_jit
def _log1p(x: float) -> float:
    return np.log1p(x) if x > 0.0 else 0.0  # most are zero, and a logarithm costs 20 ns


@_jit
def reasons(
    scratch: Scratch,
    mark: int,
    candidates: Longs,
    ready: Bytes,
    hidden: Ints,
    allowed: Bytes,
    out: Bytes,
) -> None:
    """Why each candidate may not be shown: KEPT, SEEN, GONE or FILTERED. ``allowed`` of length 0: no conditions."""
    for k in range(len(hidden)):
        scratch.marks[hidden[k], HIDDEN] = mark
    for k in range(len(candidates)):
        item = candidates[k]
        if not ready[item]:
            out[k] = GONE
        elif scratch.marks[item, HIDDEN] == mark:
            out[k] = SEEN
        elif len(allowed) > 0 and not allowed[item]:
            out[k] = FILTERED
        else:
            out[k] = KEPT


@_jit
def best(scores: Floats, candidates: Longs, reason: Bytes, limit: int) -> Longs:
    """Places of the ``limit`` kept candidates with the largest scores, best first; ties go to the smaller item."""
    out = np.empty(limit, np.int64)
    n = 0
    for k in range(len(candidates)):
        if reason[k] != KEPT:
            continue
        if n == limit and not _better(scores, candidates, k, out[n - 1]):
            continue
        at = n if n < limit else limit - 1
        while at > 0 and _better(scores, candidates, k, out[at - 1]):
            out[at] = out[at - 1]
            at -= 1
        out[at] = k
        n = min(n + 1, limit)
    return out[:n]


@_jit
def _better(scores: Floats, candidates: Longs, a: int, b: int) -> bool:
    return scores[a] > scores[b] or (scores[a] == scores[b] and candidates[a] < candidates[b])


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
        used=np.zeros(1, np.int64),
    )
    ring, scratch = new_ring(1), new_scratch(2)
    longs, bytes_, floats, doubles, ints = (
        np.zeros(1, kind) for kind in (np.int64, np.uint8, np.float32, np.float64, np.int32)
    )
    history, steps = np.zeros((1, NEAR), np.int32), np.ones(WINDOW, np.int32)
    count(rows, rows, rows, ints, longs.copy(), doubles, history, ints.copy(), steps, longs, longs, doubles, bytes_, 1,
          0.0, 1.0, 8)  # fmt: skip
    compact(rows, rows)
    admit(ring, longs, longs, bytes_, bytes_, floats, doubles, longs, bytes_.copy(), 0)
    move_checkpoint(ring, 0)
    changed(ring, longs, 0, longs, longs, bytes_.copy())
    gather(scratch, 1, rows, rows, longs, ints, longs, 0.5, 0.5, floats, np.zeros(4, np.int64))
    union(scratch, 1, longs, 1, np.zeros(4, np.int64), 0)
    strongest(scratch, TRANSITION, longs, 1, 1)
    vectors, out = np.zeros((1, 1), np.float32), np.zeros((1, 5), np.float32)
    features(scratch, longs, vectors, floats, doubles, 1.0, doubles, 0.0, 1.0, 1.0, out)
    reasons(scratch, 1, longs, bytes_, ints, np.zeros(0, np.uint8), bytes_.copy())
    best(floats, np.zeros(0, np.int64), bytes_, 1)


def new_ring(people: int) -> Ring:
    """Empty rings."""
    return Ring(
        item=np.zeros((people, RING), np.int32),
        words=np.zeros((people, RING), np.uint8),
        action=np.zeros((people, RING), np.uint8),
        value=np.zeros((people, RING), np.float32),
        time=np.zeros((people, RING)),
        offset=np.zeros((people, RING), np.int64),
        length=np.zeros(people, np.int32),
        newest=np.full(people, -np.inf),
        anchor=np.full(people, -np.inf),
    )


def new_scratch(items: int) -> Scratch:
    """Room for queries over a catalogue of so many items."""
    marks = np.zeros((items, 8), np.int32)
    return Scratch(marks, marks.view(np.float32))
