"""The ring of a state: a person's events since the checkpoint, in (time, offset) order."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from penchant.kernels.shared import Bytes, Doubles, Floats, Ints, Longs, jit

RING = 64  # events a state can hold between its checkpoint and now
MOVE = 32  # how many of them move into the checkpoint when the ring is full
LATE = 300.0  # seconds an event may be older than its person's newest and still be put in its place
STEPPED, INSERTED, LATE_EVENT = 0, 1, 2


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


@jit
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


@jit
def steppable(people: Longs, order: Longs, fresh: Bytes, out: Bytes) -> None:
    """1 for each event whose person has no other one here, and a state at hand; ``order`` sorts them by person."""
    for k in range(len(order)):
        person = people[order[k]]
        before, after = k > 0 and people[order[k - 1]] == person, k + 1 < len(order) and people[order[k + 1]] == person
        out[order[k]] = fresh[person] == 1 and not before and not after


@jit
def move_checkpoint(ring: Ring, person: int) -> None:
    """Forget the oldest MOVE events of a ring, once they have been folded into the checkpoint."""
    ring.anchor[person] = ring.time[person, MOVE - 1]
    n = ring.length[person] - MOVE
    for k in range(n):
        ring.item[person, k], ring.action[person, k] = ring.item[person, k + MOVE], ring.action[person, k + MOVE]
        ring.value[person, k], ring.time[person, k] = ring.value[person, k + MOVE], ring.time[person, k + MOVE]
        ring.offset[person, k], ring.words[person, k] = ring.offset[person, k + MOVE], ring.words[person, k + MOVE]
    ring.length[person] = n


@jit
def changed(ring: Ring, people: Longs, skip: int, epoch: Longs, folded: Longs, out: Bytes) -> None:
    """1 for each person whose ring (but its newest ``skip`` events) holds an item whose vector changed since."""
    for p in range(len(people)):
        person, out[p] = people[p], 0
        for k in range(ring.length[person] - skip):
            item = ring.item[person, k]
            if item >= 0 and epoch[item] > folded[person]:
                out[p] = 1
                break


@jit
def settled(ring: Ring, people: Longs, epoch: Longs, fresh: Bytes, folded: Longs, clock: int) -> bool:
    """Whether all states are at hand: ``fresh`` is 1, and no item of the ring has changed its vector since."""
    for p in range(len(people)):
        person = people[p]
        if fresh[person] != 1:
            return False
        if folded[person] < clock:
            for k in range(ring.length[person]):
                item = ring.item[person, k]
                if item >= 0 and epoch[item] > folded[person]:
                    return False
    return True


@jit
def liked(ring: Ring, person: int, positive: Bytes, out: Longs) -> int:
    """The items of the newest events that approve (``positive`` [actions]), newest first, into ``out``; how many."""
    n = 0
    for k in range(ring.length[person] - 1, -1, -1):
        if n == len(out):
            break
        if ring.item[person, k] >= 0 and positive[ring.action[person, k]]:
            out[n] = ring.item[person, k]
            n += 1
    return n


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
