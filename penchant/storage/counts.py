"""Counts that follow every event: transitions (ever and lately), neighbours, audiences, popularity, what was seen.

A person's share of the counts is a function of that person's own events in log order, and all shares are sums of
integers. So a retraction, an alias and an erasure are the same two verbs: take the old history out, put the new one
in; and rebuilding from the log, in any order of people, gives what was lived. Where a full row of neighbours has
evicted an entry, subtracting is no longer exact; the table then says so (`inexact`) and the engine rebuilds it from
the log.

Only the first time that a person meets an item is counted: one person moves any count by at most one event's worth.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penchant import kernels
from penchant.kernels import AUDIENCE, NEAR, TRANSITION_UNIT, WINDOW, Rows, Tables
from penchant.storage.event_log import History
from penchant.storage.state_store import grown

Longs = NDArray[np.int64]

_DAY = 86_400.0
_DECAY = 0.8  # a transition over k events in between counts 0.8^k
_REBASE = 200.0  # half-lives after which the popularity's reference moves on, far from float64's overflow
TOP = 200
_SPARE = 1 << 16
_OF_ITEMS = ("totals", "outgoing", "outgoing_recent", "popular")
_OF_PEOPLE = ("history", "length", "session", "newest")
_ROWS = ("transitions", "neighbours", "audience", "seen")
_EXTRA = {"transitions": np.float64, "neighbours": np.int32, "audience": np.float64}  # a further column of the arena


class Counts:
    """Tables over items and people, numbered as in the log."""

    def __init__(self, neighbours: int, half_life_days: float) -> None:
        self.most, self.half_life = neighbours, half_life_days * _DAY
        self.weights = np.array([round(TRANSITION_UNIT * _DECAY**k) for k in range(WINDOW)], np.int32)
        self.transitions, self.neighbours, self.audience, self.seen = (_rows(name) for name in _ROWS)
        self.totals = np.zeros(0, np.int32)
        self.outgoing = np.zeros(0, np.int64)
        self.outgoing_recent = np.zeros(0)
        self.popular = np.zeros(0)
        self.history = np.zeros((0, NEAR), np.int32)
        self.length = np.zeros(0, np.int32)
        self.session = np.zeros(0, np.int32)
        self.newest = np.zeros(0)
        self.reference = 0.0
        self.inexact = False
        self.frozen = False  # counts stay as they are, who has seen what goes on: to measure what living counts give
        self._top: Longs | None = None  # the most popular items, kept in step with the counts

    def ensure(self, people: int, items: int) -> None:
        """Room for people and items numbered below; the last row of people is scratch for `take_out`."""
        if items > len(self.totals):
            room = max(items, len(self.totals) * 3 // 2, 256)
            for name in _OF_ITEMS:
                setattr(self, name, grown(getattr(self, name), room))
            for name in ("transitions", "neighbours", "audience"):
                setattr(self, name, _taller(getattr(self, name), room))
        if people + 1 > len(self.length):
            room = max(people + 1, len(self.length) * 3 // 2, 64)
            for name in _OF_PEOPLE:
                setattr(self, name, grown(getattr(self, name), room))
            self.seen = _taller(self.seen, room)

    def add(self, people: Longs, items: Longs, times: NDArray[np.float64], counted: NDArray[np.uint8]) -> None:
        """Take in events of log order; ``items`` -1 (words alone) must have been left out."""
        if len(items):
            self.ensure(int(people.max()) + 1, int(items.max()) + 1)
            self._rebase(float(times.max()))
            self._count(people, items, times, np.zeros_like(counted) if self.frozen else counted, 1)
            if self._top is not None:  # only what was counted can have entered the top
                self._top = self._best(np.union1d(self._top, items))

    def take_out(self, person: int, history: History, counted: NDArray[np.uint8]) -> None:
        """Take a person's whole share out again; ``history`` is what was taken in."""
        self.ensure(person + 1, 0)
        rows = history.item >= 0
        items, scratch = history.item[rows], len(self.length) - 1
        self._top = None
        self.inexact |= self._lossy(items)
        people = np.full(len(items), scratch, np.int64)
        self.seen.size[scratch] = self.length[scratch] = 0
        self._count(people, items, history.time[rows], counted[rows], -1)
        self.inexact |= bool(kernels.leave(self.audience, person, items))
        for row in (scratch, person):
            self.seen.size[row] = self.length[row] = 0

    def put_in(self, person: int, history: History, counted: NDArray[np.uint8]) -> None:
        rows = history.item >= 0
        people = np.full(int(rows.sum()), person, np.int64)
        self.add(people, history.item[rows], history.time[rows], counted[rows])

    def seen_by(self, person: int) -> NDArray[np.int32]:
        """The items that a person ever touched, in no order; a view."""
        if not 0 <= person < len(self.length):
            return np.empty(0, np.int32)
        start = self.seen.start[person]
        return self.seen.ids[start : start + self.seen.size[person]]

    def decay(self, now: float) -> float:
        """What a sum in `popular` and the recent transitions is multiplied with to stand at ``now``."""
        return float(2.0 ** min(0.0, max(-1000.0, -(now - self.reference) / self.half_life)))

    def most_popular(self, limit: int) -> Longs:
        """Items by recent popularity, best first; since all decay alike, the order does not depend on the moment."""
        if self._top is None:
            self._top = self._best(np.arange(len(self.popular)))
        return self._top[:limit]

    def _best(self, items: Longs) -> Longs:
        """The `TOP` most popular among the items; ties go to the smaller number."""
        return items[np.lexsort((items, -self.popular[items]))[:TOP]]

    def _lossy(self, items: Longs) -> bool:
        return any(rows.lossy[items].any() for rows in (self.transitions, self.neighbours))

    def _count(
        self, people: Longs, items: Longs, times: NDArray[np.float64], counted: NDArray[np.uint8], sign: int
    ) -> None:
        done = 0
        while done < len(items):
            done += kernels.count(
                Tables(*(getattr(self, name) for name in Tables._fields)),
                self.weights,
                people[done:],
                items[done:],
                times[done:],
                counted[done:],
                sign,
                self.reference,
                self.half_life,
                self.most,
            )
            if done < len(items):
                self._make_room()

    def _make_room(self) -> None:
        """Some arena is nearly full: close the gaps that grown rows left, in an arena with room to spare."""
        spare = (WINDOW * self.most, NEAR * self.most, 2 * AUDIENCE, int(2 * self.seen.size.max(initial=0)) + 8)
        for name, room in zip(_ROWS, spare, strict=True):
            setattr(self, name, _repacked(name, getattr(self, name), room))

    def _rebase(self, newest: float) -> None:
        span = _REBASE * self.half_life
        reference = newest // span * span  # on a grid, so that it does not depend on how events were batched
        if reference > self.reference:
            for sums in (self.popular, self.outgoing_recent, self.transitions.extra):
                np.multiply(sums, self.decay(reference), out=sums)
            self.reference = reference

    def arrays(self) -> dict[str, NDArray[Any]]:
        out: dict[str, NDArray[Any]] = {
            "count_reference": np.array(self.reference),
            "count_inexact": np.array(self.inexact),
        }
        for name in (*_OF_ITEMS, *_OF_PEOPLE):
            out[f"count_{name}"] = getattr(self, name)
        for name in _ROWS:
            rows = _repacked(name, getattr(self, name), 0)
            out |= {f"count_{name}_{field}": getattr(rows, field) for field in Rows._fields}
        return out

    def load(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        self.reference, self.inexact = float(arrays["count_reference"]), bool(arrays["count_inexact"])
        for name in (*_OF_ITEMS, *_OF_PEOPLE):
            setattr(self, name, arrays[f"count_{name}"])
        for name in _ROWS:
            setattr(self, name, Rows(*(arrays[f"count_{name}_{field}"] for field in Rows._fields)))


def _rows(name: str) -> Rows:
    return Rows(
        np.zeros(0, np.int64),
        np.zeros(0, np.int32),
        np.zeros(0, np.int32),
        np.zeros(0, np.uint8),
        *_arena(name, _SPARE),
        np.zeros(1, np.int64),
    )


def _arena(name: str, room: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """``ids, counts, extra`` of a table; an audience has no counts."""
    counts, extra = 0 if name == "audience" else room, room if name in _EXTRA else 0
    return np.zeros(room, np.int32), np.zeros(counts, np.int32), np.zeros(extra, _EXTRA.get(name, np.float64))


def _taller(rows: Rows, height: int) -> Rows:
    return rows._replace(
        start=grown(rows.start, height),
        capacity=grown(rows.capacity, height),
        size=grown(rows.size, height),
        lossy=grown(rows.lossy, height),
    )


def _repacked(name: str, rows: Rows, spare: int) -> Rows:
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
