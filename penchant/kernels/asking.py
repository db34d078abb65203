"""What one query runs: gather what counts say, unite the sources, features, masks, the best."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from penchant.kernels.counting import AUDIENCE, Rows
from penchant.kernels.shared import (
    AHEAD,
    LINE,
    TRANSITION_UNIT,
    WINDOW,
    Bytes,
    Doubles,
    Floats,
    Ints,
    Longs,
    fast,
    jit,
    prefetch,
)

STALE = 20.0  # half-lives after which an item is not fresh at all
ASKED = 10  # events back whose neighbours speak for a candidate
KEPT, SEEN, GONE, FILTERED, CAPPED = range(5)
DENSE, TRANSITIONS, NEIGHBOURS, POPULAR, FRESH, WORDS = 1, 2, 4, 8, 16, 32
CONDITION, GIVEN, PEOPLE, CONTEXT, AGAIN, POLICY = 64, 128, 256, 512, 1024, 2048
STAMP, SOURCE, TRANSITION, NEIGHBOUR, RECENT, TOGETHER, SIMILAR, OWN = range(8)  # columns of Scratch
_COLUMNS = 8
_HIDDEN = 1 << 30  # among the SOURCE bits of a candidate: it is not to be seen again
ALIKE = 32  # similar people who are listened to
SOURCES = {
    DENSE: "dense",
    TRANSITIONS: "transitions",
    NEIGHBOURS: "neighbours",
    POPULAR: "popular",
    FRESH: "fresh",
    WORDS: "words",
    CONDITION: "condition",
    GIVEN: "given",
    PEOPLE: "people",
    CONTEXT: "context",
    AGAIN: "again",
    POLICY: "policy",
}
ALL_SOURCES = sum(SOURCES)  # their bits


class Asked(NamedTuple):
    """What a list is asked by: f(x) [dim], the recent items newest first, the moment, how many events are known, the
    number of the person who asks (-1: none), and the bits of the context (`storage.contexts`); where lists may show
    again what was met, the events of that person that are in the ring: ``own`` [n], their items, and ``weights`` [n],
    what their actions weigh."""

    vector: Floats
    recent: Longs
    time: float
    depth: int
    person: int
    context: int
    own: Longs = np.empty(0, np.int64)
    weights: Floats = np.empty(0, np.float32)


class Scratch(NamedTuple):
    """Room for one query at a time, as long as the catalogue; two views of the same memory, one row an item.

    A row is half a cache line, so that an item met at random costs one miss and not seven.
    """

    marks: Ints  # [items, 8]: STAMP (belongs to this query), SOURCE bits (0: no candidate)
    sums: Floats  # [items, 8]: TRANSITION, NEIGHBOUR, RECENT, TOGETHER, SIMILAR and OWN


@jit
def gather(
    scratch: Scratch,
    mark: int,
    transitions: Rows,
    neighbours: Rows,
    outgoing: Longs,
    outgoing_recent: Doubles,
    one: float,
    totals: Ints,
    asked: Asked,
    decay_t: float,
    decay_n: float,
    shrunk: Floats,
    chosen: Longs,
) -> int:
    """Sum what the recent items (newest first) say of each other item; returns how many items were spoken for.

    Transition: sum over k < WINDOW of decay_t^k count(i_k -> j) / (count(i_k -> any) + shrinkage); recent, the same of
    decayed counts, in which ``one`` is what a transition of this moment weighs.
    Neighbour: sum over k < ASKED of decay_n^k co(i_k, j) / ((n_i + 10) (n_j + 10))^power, a shrunk cosine at power
    1/2; ``shrunk`` is the table of (n + 10)^-power, since a power costs as much as all else here together. Together:
    the same of meetings within one session. Own: the sum of the weights of what the person did with j.
    """
    recent, own, n = asked.recent, asked.own, 0
    for k in range(min(len(recent), ASKED)):
        item = recent[k]
        if k < WINDOW:
            share = decay_t**k / (outgoing[item] + 5.0 * TRANSITION_UNIT)
            lately = decay_t**k / (outgoing_recent[item] + 5.0 * TRANSITION_UNIT * one)
            end = transitions.start[item] + transitions.size[item]
            for at in range(transitions.start[item], end):
                prefetch(scratch.marks, transitions.ids[min(at + AHEAD, end - 1)], 0)
                n = _spoken_for(scratch, mark, transitions.ids[at], n, chosen)
                scratch.sums[transitions.ids[at], TRANSITION] += share * transitions.counts[at]
                scratch.sums[transitions.ids[at], RECENT] += lately * transitions.extra[at]
        share = decay_n**k * shrunk[min(totals[item], len(shrunk) - 1)]
        end = neighbours.start[item] + neighbours.size[item]
        for at in range(neighbours.start[item], end):
            prefetch(scratch.marks, neighbours.ids[min(at + AHEAD, end - 1)], 0)
            n = _spoken_for(scratch, mark, neighbours.ids[at], n, chosen)
            scratch.sums[neighbours.ids[at], NEIGHBOUR] += share * neighbours.counts[at]
            scratch.sums[neighbours.ids[at], TOGETHER] += share * neighbours.extra[at]
    for k in range(n):
        share = shrunk[min(totals[chosen[k]], len(shrunk) - 1)]
        scratch.sums[chosen[k], NEIGHBOUR] *= share
        scratch.sums[chosen[k], TOGETHER] *= share
    for k in range(len(own)):
        n = _spoken_for(scratch, mark, own[k], n, chosen)
        scratch.sums[own[k], OWN] += asked.weights[k]
    return n


@jit
def gather_similar(
    scratch: Scratch,
    mark: int,
    audience: Rows,
    history: Ints,
    length: Ints,
    totals: Ints,
    asked: Asked,
    unheard: int,
    decay: float,
    shrunk: Floats,
    likeness: Floats,
    met: Longs,
    n: int,
    chosen: Longs,
) -> int:
    """Sum what similar people met last, into the items spoken for ``chosen[:n]``; returns how many there are then.

    How alike person v is: sum over the recent items k < ASKED whose audience v is in, of decay^k (n_k + 10)^-power; a
    cosine of recency-weighted sessions but for their lengths (vector session-kNN, Ludewig & Jannach 2018). Neither who
    asks nor the person ``unheard`` (or -1) is listened to. Similar: how alike those of the `ALIKE` most alike people
    are, summed, who met j among their last `NEAR` items. ``likeness`` [people, 1]: zeros, and left so; ``met``: room
    for ASKED * AUDIENCE people.
    """
    recent, found = asked.recent, 0
    for k in range(min(len(recent), ASKED)):
        item = recent[k]
        share = decay**k * shrunk[min(totals[item], len(shrunk) - 1)]
        end = audience.start[item] + audience.size[item]
        for at in range(max(audience.start[item], end - AUDIENCE), end):
            other = audience.ids[at]
            if other in (asked.person, unheard):
                continue
            if likeness[other, 0] == 0.0:
                met[found] = other
                found += 1
            likeness[other, 0] += share
    for other in strongest(likeness, 0, met, found, ALIKE):
        for k in range(length[other]):
            n = _spoken_for(scratch, mark, history[other, k], n, chosen)
            scratch.sums[history[other, k], SIMILAR] += likeness[other, 0]
    for k in range(found):
        likeness[met[k], 0] = 0.0
    return n


@jit
def _spoken_for(scratch: Scratch, mark: int, item: int, n: int, chosen: Longs) -> int:
    if scratch.marks[item, STAMP] == mark:
        return n
    _clear(scratch, mark, item)
    chosen[n] = item
    return n + 1


@jit
def _clear(scratch: Scratch, mark: int, item: int) -> None:
    scratch.marks[item, STAMP], scratch.marks[item, SOURCE] = mark, 0
    for column in range(TRANSITION, OWN + 1):
        scratch.sums[item, column] = 0.0


@jit
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
            _clear(scratch, mark, item)
        if scratch.marks[item, SOURCE] == 0:
            into[n] = item
            n += 1
        scratch.marks[item, SOURCE] |= source
    return n


@jit
def strongest(sums: Floats, column: int, items: Longs, n: int, limit: int) -> Longs:
    """The ``limit`` rows of ``items[:n]`` with the largest positive ``column`` of the sums, in no particular order.

    Ties go to the smaller number.
    """
    chosen, values, size = np.empty(n, np.int64), np.empty(n, np.float32), 0
    for k in range(n):
        value = sums[items[k], column]
        if value > 0.0:
            chosen[size], values[size] = items[k], value
            size += 1
    _largest_first(chosen, values, size, limit)
    return chosen[: min(size, limit)]


@jit
def _largest_first(items: Longs, values: Floats, size: int, limit: int) -> None:
    """Order ``items[:size]`` so far that the ``limit`` of the largest values come first (quickselect, Hoare 1961)."""
    low, high = 0, size - 1
    while low < high and limit < size:
        value, item = values[(low + high) // 2], items[(low + high) // 2]
        left, right = low, high
        while left <= right:
            while values[left] > value or (values[left] == value and items[left] < item):
                left += 1
            while values[right] < value or (values[right] == value and items[right] > item):
                right -= 1
            if left <= right:
                values[left], values[right] = values[right], values[left]
                items[left], items[right] = items[right], items[left]
                left, right = left + 1, right - 1
        if limit <= right:
            high = right
        elif limit > left:
            low = left
        else:
            return


@fast
def dot(vectors: Floats, row: int, asked: Floats) -> np.float32:
    total = np.float32(0.0)
    for d in range(len(asked)):
        total += vectors[row, d] * asked[d]
    return total


@jit
def features(
    scratch: Scratch,
    candidates: Longs,
    vectors: Floats,
    asked: Asked,
    popular: Doubles,
    popular_in: Doubles,
    decay: float,
    created: Doubles,
    half_life: float,
    floor_t: float,
    floor_n: float,
    out: Floats,
) -> None:
    """Absolute features [candidates, 10], the product of vectors and `models.fusion.COUNTED`."""
    last = len(candidates) - 1
    for k in range(len(candidates)):
        item, ahead = candidates[k], candidates[min(k + AHEAD, last)]
        prefetch(popular, ahead, 0)
        prefetch(created, ahead, 0)
        prefetch(scratch.sums, ahead, 0)
        for byte in range(0, 4 * vectors.shape[1], LINE):
            prefetch(vectors, ahead, byte)
        out[k, 0] = dot(vectors, item, asked.vector)
        out[k, 1] = _log1p(scratch.sums[item, TRANSITION] / floor_t)
        out[k, 2] = _log1p(scratch.sums[item, NEIGHBOUR] / floor_n)
        out[k, 3] = _log1p(popular[item] * decay)
        age = max(0.0, asked.time - created[item]) / half_life
        out[k, 4] = 2.0**-age if age < STALE else 0.0
        out[k, 5] = _log1p(scratch.sums[item, RECENT] / floor_t)
        out[k, 6] = _log1p(scratch.sums[item, TOGETHER] / floor_n)
        out[k, 7] = _log1p(scratch.sums[item, SIMILAR] / floor_n)
        out[k, 8] = _log1p(_popular_here(popular_in, item, asked.context) * decay) if asked.context else 0.0
        own = scratch.sums[item, OWN]
        out[k, 9] = _log1p(own) - _log1p(-own)


@jit
def _popular_here(popular_in: Doubles, item: int, context: int) -> float:
    """Decayed total of an item in a context, mean over what is said of it."""
    total, said = 0.0, 0
    for bit in range(popular_in.shape[1]):
        if context >> bit & 1:
            total += popular_in[item, bit]
            said += 1
    return total / said


@jit
def add_up(features: Floats, low: Floats, per: Floats, heights: Floats, terms: Floats, scores: Floats) -> None:
    """Terms [n, features] and their sums [n]; ``heights`` [features, knots], see `models.fusion`."""
    last = heights.shape[1] - 2
    for k in range(len(features)):
        total = 0.0
        for j in range(features.shape[1]):
            place = (features[k, j] - low[j]) * per[j]
            knot = min(max(int(place), 0), last)
            term = heights[j, knot] + (place - knot) * (heights[j, knot + 1] - heights[j, knot])
            terms[k, j] = term
            total += term
        scores[k] = total


@jit
def _log1p(x: float) -> float:
    return np.log(1.0 + x) if x > 0.0 else 0.0  # most are zero, and a logarithm costs; log1p costs three times as much


@jit
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
        if scratch.marks[hidden[k], STAMP] == mark:
            scratch.marks[hidden[k], SOURCE] |= _HIDDEN
    for k in range(len(candidates)):
        item = candidates[k]
        if not ready[item]:
            out[k] = GONE
        elif scratch.marks[item, SOURCE] & _HIDDEN:
            out[k] = SEEN
        elif len(allowed) > 0 and not allowed[item]:
            out[k] = FILTERED
        else:
            out[k] = KEPT


@jit
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


@jit
def _better(scores: Floats, candidates: Longs, a: int, b: int) -> bool:
    return scores[a] > scores[b] or (scores[a] == scores[b] and candidates[a] < candidates[b])


def new_scratch(items: int) -> Scratch:
    """Room for queries over a catalogue of so many items."""
    marks = np.zeros((items, _COLUMNS), np.int32)
    return Scratch(marks, marks.view(np.float32))
