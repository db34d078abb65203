"""Counts that follow every event: transitions (ever and lately), neighbours, audiences, popularity, what was seen.

A person's share of the counts is a function of that person's own events in log order, and all shares are sums of
integers. So a retraction, an alias and an erasure are the same two verbs: take the old history out, put the new one
in; and rebuilding from the log, in any order of people, gives what was lived. Where a full row of neighbours has
evicted an entry, subtracting is no longer exact; the table then says so (`inexact`) and the engine rebuilds it from
the log.

Only the first time that a person meets an item is counted: one person moves any count by at most one event's worth.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

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
_OF_ITEMS = ("totals", "outgoing", "outgoing_recent", "popular", "popular_in")
_OF_PEOPLE = ("history", "length", "session", "newest")
_ROWS = ("transitions", "neighbours", "audience", "seen")
_EXTRA = {"transitions": np.float64, "neighbours": np.int32, "audience": np.float64}  # a further column of the arena


class Met(NamedTuple):
    """Events [n] in log order, each with an item: who met it, when, whether that ``counted`` (was approved of), and in
    which ``contexts`` (bits of `storage.contexts`)."""

    people: Longs
    items: Longs
    times: NDArray[np.float64]
    counted: NDArray[np.uint8]
    contexts: Longs


class Counts:
    """Tables over items and people, numbered as in the log; ``contexts``: names of what has a popularity of its own."""

    def __init__(self, neighbours: int, half_life_days: float, contexts: Sequence[str] = ()) -> None:
        self.most, self.half_life, self._contexts = neighbours, half_life_days * _DAY, list(contexts)
        self.weights = np.array([round(TRANSITION_UNIT * _DECAY**k) for k in range(WINDOW)], np.int32)
        self.transitions, self.neighbours, self.audience, self.seen = (_rows(name) for name in _ROWS)
        self.totals = np.zeros(0, np.int32)
        self.outgoing = np.zeros(0, np.int64)
        self.outgoing_recent = np.zeros(0)
        self.popular = np.zeros(0)
        self.popular_in = np.zeros((0, len(contexts)))
        self.history = np.zeros((0, NEAR), np.int32)
        self.length = np.zeros(0, np.int32)
        self.session = np.zeros(0, np.int32)
        self.newest = np.zeros(0)
        self.reference = 0.0
        self.inexact = False
        self.frozen = False  # counts stay as they are, who has seen what goes on: to measure what living counts give
        self._tops: dict[int, Longs] = {}  # the most popular items, by context (-1: in all), in step with the counts

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

    def add(self, met: Met) -> None:
        """Take in events."""
        if len(met.items):
            self.ensure(int(met.people.max()) + 1, int(met.items.max()) + 1)
            self._rebase(float(met.times.max()))
            self._count(met._replace(counted=np.zeros_like(met.counted)) if self.frozen else met, 1)
            for context, top in self._tops.items():  # only what was counted can have entered the top
                self._tops[context] = self._best(np.union1d(top, met.items), context)

    def take_out(self, person: int, history: History, counted: NDArray[np.uint8]) -> None:
        """Take a person's whole share out again; ``history`` is what was taken in."""
        self.ensure(person + 1, 0)
        rows = history.item >= 0
        items, scratch = history.item[rows], len(self.length) - 1
        self._tops.clear()
        self.inexact |= self._lossy(items)
        self.seen.size[scratch] = self.length[scratch] = 0
        self._count(_met(scratch, history, counted), -1)
        self.inexact |= bool(kernels.leave(self.audience, person, items))
        for row in (scratch, person):
            self.seen.size[row] = self.length[row] = 0

    def put_in(self, person: int, history: History, counted: NDArray[np.uint8]) -> None:
        self.add(_met(person, history, counted))

    def seen_by(self, person: int) -> NDArray[np.int32]:
        """The items that a person ever touched, in no order; a view."""
        if not 0 <= person < len(self.length):
            return np.empty(0, np.int32)
        start = self.seen.start[person]
        return self.seen.ids[start : start + self.seen.size[person]]

    def decay(self, now: float) -> float:
        """What a sum in `popular` and the recent transitions is multiplied with to stand at ``now``."""
        return float(2.0 ** min(0.0, max(-1000.0, -(now - self.reference) / self.half_life)))

    def most_popular(self, limit: int, context: int = -1) -> Longs:
        """Items by recent popularity, in all or in the context of a bit, best first.

        Since all decay alike, the order does not depend on the moment.
        """
        if context not in self._tops:
            self._tops[context] = self._best(np.arange(len(self.popular)), context)
        return self._tops[context][:limit]

    def _best(self, items: Longs, context: int) -> Longs:
        """The `TOP` most popular among the items; ties go to the smaller number."""
        popular = self.popular if context < 0 else self.popular_in[:, context]
        return items[np.lexsort((items, -popular[items]))[:TOP]]

    def _lossy(self, items: Longs) -> bool:
        return any(rows.lossy[items].any() for rows in (self.transitions, self.neighbours))

    def _count(self, met: Met, sign: int) -> None:
        done = 0
        while done < len(met.items):
            done += kernels.count(
                Tables(*(getattr(self, name) for name in Tables._fields)),
                self.weights,
                *(column[done:] for column in met),
                sign,
                self.reference,
                self.half_life,
                self.most,
            )
            if done < len(met.items):
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
            for sums in (self.popular, self.popular_in, self.outgoing_recent, self.transitions.extra):
                np.multiply(sums, self.decay(reference), out=sums)
            self.reference = reference

    def arrays(self) -> dict[str, NDArray[Any]]:
        out: dict[str, NDArray[Any]] = {
            "count_reference": np.array(self.reference),
            "count_inexact": np.array(self.inexact),
            "count_contexts": np.array(self._contexts, np.str_),
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
        if arrays["count_contexts"].tolist() != self._contexts:  # the settings declare others now: to be counted anew
            self.popular_in, self.inexact = np.zeros((len(self.popular), len(self._contexts))), True
        for name in _ROWS:
            setattr(self, name, Rows(*(arrays[f"count_{name}_{field}"] for field in Rows._fields)))


def _met(person: int, history: History, counted: NDArray[np.uint8]) -> Met:
    """What of a person's history is with an item."""
    rows = history.item >= 0
    people = np.full(int(rows.sum()), person, np.int64)
    return Met(people, history.item[rows], history.time[rows], counted[rows], history.contexts[rows])


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
