"""What a person's events do to that person's state: `state' = step(state, event)`, at constant cost and size.

A state is its checkpoint folded with its ring, under the item vectors of today. Everything here keeps that true:
an event in order is stepped; one that is up to five minutes late is put into its place and the ring folded again; an
item whose vector came or changed makes the states that hold it fold again, on their next use. So it does not matter
whether an event was lived, replayed after a crash, or rebuilt from the log.

Does not know: counts, names, or what time it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from penchant import kernels
from penchant.kernels import MOVE, STEPPED
from penchant.models.runtime import LastEvents, Version
from penchant.storage.event_log import EventLog
from penchant.storage.item_index import ItemIndex
from penchant.storage.log_reading import History
from penchant.storage.state_store import OTHER_VERSION, StateStore

Floats = NDArray[np.float32]
Longs = NDArray[np.int64]
Bytes = NDArray[np.uint8]

KEPT = 1000  # a person's last events, which a state is folded from when it must be folded from the log
_FOLDED_TOGETHER = 64


class Interactions(NamedTuple):
    """Interactions of log order, as arrays [n]; ``words``: 1 where the event holds words."""

    people: Longs
    items: Longs
    words: Bytes
    actions: Bytes
    values: Floats
    times: NDArray[np.float64]
    offsets: Longs


class UserStates:
    """States of all people under one model version.

    ``word_vectors(offsets)`` gives vectors [n, dim] of the words typed in events; ``settle(items)`` waits for the
    vectors of items that were sent but not read yet, before they move into a checkpoint for good; ``history(person,
    upto)`` reads the log.
    """

    def __init__(
        self,
        store: StateStore,
        index: ItemIndex,
        version: Version,
        word_vectors: Callable[[Sequence[int]], Floats],
        settle: Callable[[Sequence[int]], None],
        history: Callable[[int, int], History],
    ) -> None:
        self._history = history
        self.store, self._index, self.version = store, index, version
        self._word_vectors, self._settle = word_vectors, settle

    def take(self, events: Interactions) -> Bytes:
        """Take in events; returns kernels.STEPPED, INSERTED or LATE_EVENT for each."""
        status = np.zeros(len(events.people), np.uint8)
        if not len(status):
            return status
        self.store.ensure(int(events.people.max()) + 1)
        order = np.argsort(events.people, kind="stable")
        self._bring_over(events.people, int(events.offsets.min()) - 1)
        steppable = np.empty_like(status)
        kernels.steppable(events.people, order, self.store.fresh, steppable)
        self._admit(events, order, status)
        there = status != kernels.LATE_EVENT
        self._sum_up(events, there)
        np.maximum.at(self.store.newest, events.people, events.offsets)
        moved = (steppable == 1) & (status == STEPPED)
        self.store.fresh[events.people[~moved & there]] = 0
        self._step(events, np.flatnonzero(moved))
        return status

    def asked(self, people: Sequence[int], times: Sequence[float], profiles: Longs) -> Floats:
        """f(x) [n, dim] of people, -1 for nobody known; states are folded again first where they must be.

        ``times`` [n]: the moments of asking, Unix seconds; ``profiles`` [n, m]: see `Version.profiles`.
        """
        rows = [row for row, person in enumerate(people) if 0 <= person < self.store.people]
        known = np.array([people[row] for row in rows], np.int64)
        self.settle(known)
        states = self.store.now[known]
        if len(rows) < len(people):
            found, states = states, np.zeros((len(people), self.store.size), np.float32)
            states[rows] = found
        if not self.version.reads_last:
            return self.version.query(states)
        since, last = np.zeros(len(people), np.float32), self._beginnings(len(people))
        acted = self.store.ring.length[known] > 0
        at, known = np.array(rows, np.int64)[acted], known[acted]
        if len(known):
            last.x[at], last.action[at], last.value[at], last.gap[at] = self._last(known)
            since[at] = _gap(np.array(times)[at], self.store.ring.newest[known])
        return self.version.query(states, last, since, profiles)

    def ratings(self, person: int, items: Longs) -> Floats | None:
        """Stars [n] that a person would give to n items; None where this version does not know."""
        if self.version.rating is None:
            return None
        known = 0 <= person < self.store.people
        if known:
            self._bring_over(np.array([person]), 2**62)
        sums = self.store.sums[person] if known else np.zeros(self.version.sums, np.float32)
        return self.version.rating.predict(self.version.rating.read(sums[None])[0], items)

    def settle(self, people: Sequence[int] | Longs) -> None:
        """Make `now` of these people the fold of checkpoint and ring under the vectors of today."""
        asked, store = np.array(people, np.int64), self.store
        if kernels.settled(store.ring, asked, self._index.epoch, store.fresh, store.folded, self._index.clock):
            return
        self._bring_over(asked, 2**62)
        stale = asked[(self.store.fresh[asked] == 0) | (self._changed(asked, 0) == 1)]
        for start in range(0, len(stale), _FOLDED_TOGETHER):
            part = stale[start : start + _FOLDED_TOGETHER]
            self.store.now[part] = self._fold(part, self.store.ring.length[part])
            self.store.fresh[part], self.store.folded[part] = 1, self._index.clock

    def _bring_over(self, people: Longs, upto: int) -> None:
        """States of another model version are folded from the log, when they are needed."""
        other = self.store.fresh[people] == OTHER_VERSION
        for person in set(people[other].tolist()) if other.any() else ():
            self.replace(person, self._history(person, upto))

    def use(self, version: Version) -> None:
        """Go over to another version; states are folded from the log as they are needed."""
        self.store, self.version = self.store.of_other_size(version.manifest.state_size, version.sums), version

    def adopt(self, store: StateStore, version: Version) -> None:
        """Go over to another version, whose states were folded beside these."""
        self.store, self.version = store, version

    def follow(self, log: EventLog, after: int, upto: int) -> None:
        """Take in what the log holds after an offset, for everybody."""
        amended = log.amended_between(after, upto)
        for people, history in log.interactions(after, upto):
            taken, kept = _interactions(people, history), ~np.isin(people, list(amended))
            self.take(taken if kept.all() else Interactions._make(array[kept] for array in taken))
        for person in amended:
            self.replace(person, self._history(person, upto))

    def clear(self, person: int) -> None:
        self.store.ensure(person + 1)
        self.store.clear(person)

    def folded_beside(self, history: History, word_vectors: Callable[[Sequence[int]], Floats]) -> UserStates:
        """The state of a history, in a table of its own; no item of it waits to be read. Needs no lock."""
        store = StateStore(self.store.size, self.store.sums.shape[1])
        beside = UserStates(store, self._index, self.version, word_vectors, _nothing_waits, self._history)
        beside.replace(0, history)
        return beside

    def put(self, person: int, folded: UserStates) -> None:
        """A state that was `folded_beside`, while nothing it is made of has changed."""
        self.store.ensure(person + 1)
        self.store.put(person, folded.store)

    def fold_again(self) -> None:
        """Anybody's history may be another now: states are folded from the log as they are needed."""
        self.store.fresh[self.store.newest > 0] = OTHER_VERSION

    def newest(self, person: int) -> int:
        """Offset of the newest event of a person; 0: none."""
        return int(self.store.newest[person]) if 0 <= person < self.store.people else 0

    def replace(self, person: int, history: History) -> None:
        """Forget a person's state and take the history in again, in log order, as if it were lived now."""
        self.store.ensure(person + 1)
        self.store.clear(person)
        if not len(history.offset):
            return
        self.take(_interactions(np.full(len(history.offset), person, np.int64), history))

    def without(self, person: int, last: int) -> tuple[UserStates, Longs]:
        """What would be known had one event not been: people of their own, asked as everybody is; the offsets left out.

        Their numbers are the rows of `StateStore.without`. For somebody of whom nothing is known there is nobody.
        """
        if not 0 <= person < self.store.people:
            return self.alone(), np.empty(0, np.int64)
        self.settle([person])
        few, offsets = self.store.without(person, last)
        return self._with(few), offsets

    def alone(self) -> UserStates:
        """The same of nobody: people that it is told of are its own."""
        return self._with(StateStore(self.store.size, self.version.sums))

    def _with(self, store: StateStore) -> UserStates:
        def word_vectors(offsets: Sequence[int]) -> Floats:
            each, places = np.unique(offsets, return_inverse=True)
            return self._word_vectors(each.tolist())[places]

        return UserStates(store, self._index, self.version, word_vectors, self._settle, self._history)

    def recent(self, person: int, positive: Bytes) -> Longs:
        """The items a person last acted on with approval, newest first, at most kernels.ASKED."""
        if not 0 <= person < self.store.people:
            return np.empty(0, np.int64)
        out = np.empty(kernels.ASKED, np.int64)
        return out[: kernels.liked(self.store.ring, person, positive, out)]

    def own(self, person: int) -> tuple[Longs, Bytes]:
        """(items, actions) of a person's events that are still in the ring, oldest first; without those of words."""
        if not 0 <= person < self.store.people:
            return np.empty(0, np.int64), np.empty(0, np.uint8)
        ring, n = self.store.ring, self.store.ring.length[person]
        there = ring.item[person, :n] >= 0
        return ring.item[person, :n][there].astype(np.int64), ring.action[person, :n][there]

    def depth(self, person: int) -> int:
        """How many events are known of a person, up to kernels.RING: beyond, it makes no difference."""
        if not 0 <= person < self.store.people:
            return 0
        ring = self.store.ring
        return kernels.RING if ring.anchor[person] > -np.inf else int(ring.length[person])

    def _changed(self, people: Longs, skip: int) -> Bytes:
        out = np.empty(len(people), np.uint8)
        kernels.changed(self.store.ring, people, skip, self._index.epoch, self.store.folded, out)
        return out

    def _admit(self, events: Interactions, order: Longs, status: Bytes) -> None:
        sorted_events = [array[order] for array in events]
        done, found = 0, np.zeros(len(order), np.uint8)
        while done < len(order):
            done = kernels.admit(self.store.ring, *sorted_events, found, done)
            person = int(sorted_events[0][done - 1])
            if self.store.ring.length[person] == kernels.RING:
                self._move_checkpoint(person)
        status[order] = found

    def _sum_up(self, events: Interactions, there: NDArray[np.bool_]) -> None:
        """Ratings, whatever their order."""
        rating = self.version.rating
        if rating is None:
            return
        rows = np.flatnonzero(there)
        rows = rows[np.isfinite(events.values[rows]) & np.isin(events.actions[rows], rating.actions)]
        if len(rows):
            added = rating.contribution(events.items[rows], events.values[rows])
            np.add.at(self.store.sums, events.people[rows], added)

    def _move_checkpoint(self, person: int) -> None:
        items = self.store.ring.item[person, :MOVE]
        self._settle([int(item) for item in items if item >= 0])
        self.store.checkpoint[person] = self._fold(np.array([person]), np.array([MOVE]))[0]
        kernels.move_checkpoint(self.store.ring, person)

    def _step(self, events: Interactions, rows: Longs) -> None:
        if not len(rows):
            return
        people = events.people[rows]
        self.store.now[people] = self.version.step(self.store.now[people], *self._last(people))
        self.store.folded[people[self._changed(people, 1) == 0]] = self._index.clock

    def _last(self, people: Longs) -> LastEvents:
        """The newest events of people who have some."""
        ring, last = self.store.ring, self.store.ring.length[people] - 1
        before = np.where(last > 0, ring.time[people, last - 1], ring.anchor[people])
        return LastEvents(
            self._inputs(ring.item[people, last], ring.words[people, last], ring.offset[people, last]),
            ring.action[people, last].astype(np.int64),
            ring.value[people, last],
            _gap(ring.time[people, last], before),
        )

    def _beginnings(self, people: int) -> LastEvents:
        """What stands for the newest event of people who have none."""
        return LastEvents(
            np.zeros((people, self._index.dim), np.float32),
            np.full(people, self.version.beginning),
            np.full(people, np.nan, np.float32),
            np.zeros(people, np.float32),
        )

    def _fold(self, people: Longs, lengths: NDArray[np.integer]) -> Floats:
        """Checkpoints of people [n] folded with the oldest ``lengths`` [n] events of their rings."""
        ring, longest = self.store.ring, max(int(lengths.max()), 1)
        mask = (np.arange(longest) < lengths[:, None]).astype(np.float32)
        flat = mask.astype(bool).ravel()
        x = np.zeros((len(people) * longest, self.version.manifest.dim), np.float32)
        parts = (array[people, :longest].ravel()[flat] for array in (ring.item, ring.words, ring.offset))
        x[flat] = self._inputs(*parts)
        times = ring.time[people, :longest]
        before = np.concatenate((ring.anchor[people][:, None], times[:, :-1]), 1)
        return self.version.fold(
            self.store.checkpoint[people],
            x.reshape(len(people), longest, -1),
            ring.action[people, :longest].astype(np.int64),
            ring.value[people, :longest],
            _gap(times, before),
            mask,
        )

    def _inputs(self, items: NDArray[np.int32], words: Bytes, offsets: Longs) -> Floats:
        """x [n, dim] of events: the item's vector, the words' vector, or the mean of both; zero for an unknown item."""
        x = np.zeros((len(items), self._index.dim), np.float32)
        x[items >= 0] = self._index.vector[items[items >= 0]]
        rows = np.flatnonzero(words)
        if len(rows):
            x[rows] = self.version.joined(x[rows], self._word_vectors(offsets[rows].tolist()))
        return x


def _nothing_waits(items: Sequence[int]) -> None:
    """Where no text waits to be read."""


def _interactions(people: Longs, history: History) -> Interactions:
    return Interactions(
        people, history.item, history.words, history.action, history.value, history.time, history.offset
    )


def _gap(times: NDArray[np.float64], before: NDArray[np.float64]) -> Floats:
    """log1p of the seconds since the event before; 0 where there was none."""
    return np.log1p(np.maximum(np.where(np.isfinite(before), times - before, 0.0), 0.0)).astype(np.float32)
