"""Count tables: growable rows of (id, count), and what an event adds to them.

    transitions   item -> what came next; ever, and lately
    neighbours    item -> what was met within the next `NEAR` items; of that, within one session
    audience      item -> the people who met it last, so that similar people can be found
    seen          person -> all that was met
    rated         person -> all that was rated, and how; raters: item -> the people who rated it last

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
AUDIENCE = 48  # people of an item who are listened to: those who met it last
_ROOM = 64  # and who are kept, so that some may be taken out again before older ones are missed
SESSION = 1800.0  # seconds without an event that end a session


class Rows(NamedTuple):
    """``start, capacity, size, lossy``: [rows]; ``ids, counts, extra``: the arena; ``used``: [1], its first free place.

    ``extra`` holds decayed weights of transitions, meetings within a session of neighbours, times of an audience.
    ``counts`` or ``extra`` is of length 0 where a table has none.
    """

    start: Longs
    capacity: Ints
    size: Ints
    lossy: Bytes
    ids: Ints
    counts: Ints
    extra: Doubles | Ints
    used: Longs


class Tables(NamedTuple):
    """All that an event adds to; `storage.counts` holds them.

    ``transitions``, ``neighbours``, ``audience``: rows of items; ``seen``: rows of people. ``totals`` [items]: how many
    people met an item; ``outgoing``, ``outgoing_recent`` [items]: sums of transitions from it; ``popular`` [items]:
    decayed totals, ``popular_in`` [items, contexts] of those in a context; ``history`` [people, NEAR]: what was met
    last, newest first, ``length`` [people] of it, of which ``session`` [people] were met in one session, whose newest
    event was at ``newest`` [people].
    """

    transitions: Rows
    neighbours: Rows
    audience: Rows
    seen: Rows
    totals: Ints
    outgoing: Longs
    outgoing_recent: Doubles
    popular: Doubles
    popular_in: Doubles
    history: Ints
    length: Ints
    session: Ints
    newest: Doubles


@jit
def row_add(rows: Rows, row: int, other: int, amount: int, weight: float, most: int) -> None:
    """Add to an entry's count, and a ``weight`` to its extra where a table has one."""
    start, size = rows.start[row], rows.size[row]
    at = _find(rows, start, size, other)
    if at >= 0:
        rows.counts[at] += amount
        if len(rows.extra):
            rows.extra[at] += weight
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
    if len(rows.extra):
        rows.extra[at] = weight  # of what was evicted, none is the newcomer's


@jit
def _copy(rows: Rows, at: int, into: Rows, place: int) -> None:
    into.ids[place] = rows.ids[at]
    if len(rows.counts):
        into.counts[place] = rows.counts[at]
    if len(rows.extra):
        into.extra[place] = rows.extra[at]


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
def rate(
    rated: Rows,
    raters: Rows,
    sums: Doubles,
    ratings: Ints,
    whole: Doubles,
    people: Longs,
    items: Longs,
    values: Doubles,
    times: Doubles,
) -> int:
    """Take ratings (in log order) into the tables; a later one of a person and an item takes the place of the earlier.

    ``sums, ratings`` [items]: of the values, and how many; ``whole`` [2]: both of all items. Stops early when an arena
    may overflow, as `count` does; returns how many were handled.
    """
    for e in range(len(people)):
        person, item, size = people[e], items[e], rated.size[people[e]]
        if rated.used[0] + 2 * size + 8 > len(rated.ids) or raters.used[0] + _ROOM > len(raters.ids):
            return e
        at = _find(rated, rated.start[person], size, item)
        if at >= 0:
            sums[item] += values[e] - rated.extra[at]
            whole[0] += values[e] - rated.extra[at]
            rated.extra[at] = values[e]
            continue
        if size == rated.capacity[person]:
            _grow(rated, person, 1 << 30)
        at = rated.start[person] + size
        rated.ids[at], rated.extra[at], rated.size[person] = item, values[e], size + 1
        sums[item] += values[e]
        ratings[item] += 1
        whole[0], whole[1] = whole[0] + values[e], whole[1] + 1
        _enter(raters, item, person, times[e])
    return len(people)


@jit
def unrate(rated: Rows, raters: Rows, sums: Doubles, ratings: Ints, whole: Doubles, person: int) -> bool:
    """Take all ratings of a person out; whether somebody evicted before is missed among the raters now."""
    start, size = rated.start[person], rated.size[person]
    missed = False
    for at in range(start, start + size):
        sums[rated.ids[at]] -= rated.extra[at]
        ratings[rated.ids[at]] -= 1
        whole[0], whole[1] = whole[0] - rated.extra[at], whole[1] - 1
        missed |= leave(raters, person, rated.ids[at : at + 1].astype(np.int64))
    rated.size[person] = 0
    return missed


@jit
def _enter(audience: Rows, item: int, person: int, time: float) -> None:
    """Put a person among those who met the item last, in the order of (time, person); the oldest leaves a full row.

    So a row holds the newest of all who met the item, as many as its size says, whoever was evicted or left before.
    """
    first, size = audience.start[item], audience.size[item]
    if size == _ROOM:
        audience.lossy[item] = 1
    if size > 0 and audience.lossy[item] and _later(audience, first, time, person):
        return
    if size == _ROOM:
        for at in range(first, first + _ROOM - 1):
            _copy(audience, at + 1, audience, at)
        size -= 1
    elif size == audience.capacity[item]:
        _grow(audience, item, _ROOM)
        first = audience.start[item]
    at = first + size
    while at > first and _later(audience, at - 1, time, person):
        _copy(audience, at - 1, audience, at)
        at -= 1
    audience.ids[at], audience.extra[at] = person, time
    audience.size[item] = size + 1


@jit
def _later(audience: Rows, at: int, time: float, person: int) -> bool:
    there = audience.extra[at]
    return there > time or (there == time and audience.ids[at] > person)


@jit
def leave(audience: Rows, person: int, items: Longs) -> bool:
    """Take a person out of the audience of these items; whether somebody evicted before is missed there now."""
    missed = False
    for e in range(len(items)):
        first, size = audience.start[items[e]], audience.size[items[e]]
        at = _find(audience, first, size, person)
        if at < 0:
            continue
        for k in range(at, first + size - 1):
            _copy(audience, k + 1, audience, k)
        audience.size[items[e]] = size - 1
        missed |= audience.lossy[items[e]] == 1 and size <= AUDIENCE
    return missed


@jit
def count(
    tables: Tables,
    weights: Ints,
    people: Longs,
    items: Longs,
    times: Doubles,
    counted: Bytes,
    contexts: Longs,
    sign: int,
    reference: float,
    half_life: float,
    most: int,
) -> int:
    """Take events (in log order) into the tables; ``sign`` -1 takes them out, but for `leave`. Returns how many.

    Only the first time that a person meets an item is counted, so that one person moves any count by at most one
    event's worth. Stops early when an arena may overflow: the caller makes room and calls again from there. Popularity
    is a forward decay (Cormode et al. 2009): each event adds 2^((time - reference) / half_life), so the order of events
    does not matter and an event can be subtracted. So are the recent transitions, with the same half-life.
    """
    transitions, neighbours, audience, seen = tables.transitions, tables.neighbours, tables.audience, tables.seen
    totals, outgoing, outgoing_recent = tables.totals, tables.outgoing, tables.outgoing_recent
    popular_in = tables.popular_in
    history, length, session, newest = tables.history, tables.length, tables.session, tables.newest
    room_t = len(transitions.ids) - WINDOW * most
    room_n = len(neighbours.ids) - NEAR * most
    room_a = len(audience.ids) - _ROOM
    for e in range(len(people)):
        person, item = people[e], items[e]
        if transitions.used[0] > room_t or neighbours.used[0] > room_n or audience.used[0] > room_a:
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
        tables.popular[item] += weight
        for bit in range(popular_in.shape[1]):
            if contexts[e] >> bit & 1:
                popular_in[item, bit] += weight
        if totals[item] == 0:
            tables.popular[item] = 0.0  # and not what rounding left of it
            popular_in[item] = 0.0
        n = length[person]
        for k in range(min(n, WINDOW)):
            before = history[person, k]
            row_add(transitions, before, item, sign * weights[k], weight * weights[k], most)
            outgoing[before] += sign * weights[k]
            outgoing_recent[before] += weight * weights[k]
            if outgoing[before] == 0:
                outgoing_recent[before] = 0.0
        together = session[person] if n > 0 and abs(times[e] - newest[person]) <= SESSION else 0
        for k in range(min(n, NEAR)):
            row_add(neighbours, history[person, k], item, sign, sign if k < together else 0, most)
        session[person], newest[person] = min(together + 1, NEAR), times[e]
        if sign > 0:
            _enter(audience, item, person, times[e])
        for k in range(min(n, NEAR - 1), 0, -1):
            history[person, k] = history[person, k - 1]
        history[person, 0] = item
        length[person] = min(n + 1, NEAR)
    return len(people)


@jit
def climbed(top: Longs, popular: Doubles, items: Longs, most: int) -> Longs:
    """The ``most`` best items, best first, after the sums of ``items`` grew; ties go to the smaller number."""
    out = np.empty(most, np.int64)
    for n in range(len(top)):  # in order but for those that grew
        _put(out, n, popular, top[n])
    n = len(top)
    for item in items:
        if (out[:n] == item).any():
            continue
        if n < most:
            n += 1
        elif not _ahead(popular, item, out[n - 1]):
            continue
        _put(out, n - 1, popular, item)
    return out[:n].copy()


@jit
def _put(out: Longs, n: int, popular: Doubles, item: int) -> None:
    """Into its place among the first n."""
    at = n
    while at > 0 and _ahead(popular, item, out[at - 1]):
        out[at] = out[at - 1]
        at -= 1
    out[at] = item


@jit
def _ahead(popular: Doubles, item: int, other: int) -> bool:
    return popular[item] > popular[other] or (popular[item] == popular[other] and item < other)
