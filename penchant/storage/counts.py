"""Counts that follow every event: transitions, neighbours, audiences, popularity, what was seen, what was rated.

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
from penchant.kernels import AUDIENCE, NEAR, TRANSITION_UNIT, WINDOW, Tables
from penchant.storage.ratings import Ratings
from penchant.storage.rows import new_rows, repacked, rows_from_arrays, rows_to_arrays, taller
from penchant.storage.state_store import grown

Longs = NDArray[np.int64]

_DAY = 86_400.0
_DECAY = 0.8  # a transition over k events in between counts 0.8^k
_REBASE = 200.0  # half-lives after which the popularity's reference moves on, far from float64's overflow
TOP = 200
_OF_ITEMS = ("totals", "outgoing", "outgoing_recent", "popular", "popular_in")
_OF_PEOPLE = ("history", "length", "session", "newest")
_ROWS = ("transitions", "neighbours", "audience", "seen")


class Met(NamedTuple):
    """Events [n] in log order, each with an item: who met it, when, whether that ``counted`` (was approved of), which
    rating it was (NaN: none), and in which ``contexts`` (bits of `storage.contexts`)."""

    people: Longs
    items: Longs
    times: NDArray[np.float64]
    counted: NDArray[np.uint8]
    rating: NDArray[np.float64]
    contexts: Longs


class Counts:
    """Tables over items and people, numbered as in the log; ``contexts``: names of what has a popularity of its own."""

    def __init__(self, neighbours: int, half_life_days: float, contexts: Sequence[str] = ()) -> None:
        self.most, self.half_life, self._contexts = neighbours, half_life_days * _DAY, list(contexts)
        self.weights = np.array([round(TRANSITION_UNIT * _DECAY**k) for k in range(WINDOW)], np.int32)
        self.transitions, self.neighbours, self.audience, self.seen = (new_rows(name) for name in _ROWS)
        self.totals = np.zeros(0, np.int32)
        self.outgoing = np.zeros(0, np.int64)
        self.outgoing_recent = np.zeros(0)
        self.popular = np.zeros(0)
        self.popular_in = np.zeros((0, len(contexts)))
        self.history = np.zeros((0, NEAR), np.int32)
        self.length = np.zeros(0, np.int32)
        self.session = np.zeros(0, np.int32)
        self.newest = np.zeros(0)
        self.ratings = Ratings()
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
                setattr(self, name, taller(getattr(self, name), room))
        if people + 1 > len(self.length):
            room = max(people + 1, len(self.length) * 3 // 2, 64)
            for name in _OF_PEOPLE:
                setattr(self, name, grown(getattr(self, name), room))
            self.seen = taller(self.seen, room)

    def add(self, met: Met) -> None:
        """Take in events."""
        if len(met.items):
            self.ensure(int(met.people.max()) + 1, int(met.items.max()) + 1)
            self._rebase(float(met.times.max()))
            self._count(met._replace(counted=np.zeros_like(met.counted)) if self.frozen else met, 1)
            if not self.frozen:
                self._rate(met)
            for context, top in self._tops.items():  # only what was counted can have entered the top
                self._tops[context] = kernels.climbed(top, self._popular(context), met.items, TOP)

    def take_out(self, person: int, met: Met) -> None:
        """Take a person's whole share out again; ``met`` is what was taken in."""
        self.ensure(person + 1, 0)
        scratch = len(self.length) - 1
        self._tops.clear()
        self.inexact |= self._lossy(met.items)
        self.seen.size[scratch] = self.length[scratch] = 0
        self._count(met._replace(people=np.full(len(met.items), scratch, np.int64)), -1)
        self.inexact |= bool(kernels.leave(self.audience, person, met.items)) | self.ratings.take_out(person)
        for row in (scratch, person):
            self.seen.size[row] = self.length[row] = 0

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
        return items[np.lexsort((items, -self._popular(context)[items]))[:TOP]]

    def _popular(self, context: int) -> NDArray[np.float64]:
        return self.popular if context < 0 else self.popular_in[:, context]

    def _lossy(self, items: Longs) -> bool:
        return any(rows.lossy[items].any() for rows in (self.transitions, self.neighbours))

    def _count(self, met: Met, sign: int) -> None:
        done = 0
        while done < len(met.items):
            done += kernels.count(
                Tables(*(getattr(self, name) for name in Tables._fields)),
                self.weights,
                met.people[done:],
                met.items[done:],
                met.times[done:],
                met.counted[done:],
                met.contexts[done:],
                sign,
                self.reference,
                self.half_life,
                self.most,
            )
            if done < len(met.items):
                self._make_room()

    def _rate(self, met: Met) -> None:
        rows = np.flatnonzero(np.isfinite(met.rating))
        if len(rows):
            self.ratings.ensure(len(self.length), len(self.totals))
            self.ratings.add(met.people[rows], met.items[rows], met.rating[rows], met.times[rows])

    def _make_room(self) -> None:
        """Some arena is nearly full: close the gaps that grown rows left, in an arena with room to spare."""
        spare = (WINDOW * self.most, NEAR * self.most, 2 * AUDIENCE, int(2 * self.seen.size.max(initial=0)) + 8)
        for name, room in zip(_ROWS, spare, strict=True):
            setattr(self, name, repacked(name, getattr(self, name), room))

    def _rebase(self, newest: float) -> None:
        span = _REBASE * self.half_life
        reference = newest // span * span  # on a grid, so that it does not depend on how events were batched
        if reference > self.reference:
            for sums in (self.popular, self.popular_in, self.outgoing_recent, self.transitions.extra):
                np.multiply(sums, self.decay(reference), out=sums)
            self.reference = reference
            self._tops.clear()  # what is nearly 0 may have become so, and no longer differ

    def arrays(self) -> dict[str, NDArray[Any]]:
        out: dict[str, NDArray[Any]] = {
            "count_reference": np.array(self.reference),
            "count_inexact": np.array(self.inexact),
            "count_contexts": np.array(self._contexts, np.str_),
        }
        for name in (*_OF_ITEMS, *_OF_PEOPLE):
            out[f"count_{name}"] = getattr(self, name)
        for name in _ROWS:
            out |= rows_to_arrays(name, getattr(self, name))
        return out | self.ratings.arrays()

    def load(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        self.ratings.load(arrays)
        self.reference, self.inexact = float(arrays["count_reference"]), bool(arrays["count_inexact"])
        for name in (*_OF_ITEMS, *_OF_PEOPLE):
            setattr(self, name, arrays[f"count_{name}"])
        if arrays["count_contexts"].tolist() != self._contexts:  # the settings declare others now: to be counted anew
            self.popular_in, self.inexact = np.zeros((len(self.popular), len(self._contexts))), True
        for name in _ROWS:
            setattr(self, name, rows_from_arrays(name, arrays))
