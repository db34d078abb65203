"""Retention: what is older than the settings keep is dropped, everywhere, as if it had never been sent.

A round looks through the log beside lists and events, and drops what is beyond in slices. A slice is an event of the
log's own: its transaction deletes the rows and says whose they were; taking it in folds those people's states from
what is left, and where nothing came in between, they were folded beside. It goes the way of every event, so that a
replay after a kill, a rebuild and a follower do the same at the same place. The counts are counted from what is left
once, at the end of a round: one person's share could not be subtracted exactly where a full row has evicted some of
it, and would hold up lists for longer.

Notable: a person is cut down only when a quarter more is there than is to be kept, and a round is due only when the
log has grown by an eighth (or a day has passed). So what a round costs is shared by as many events.

Does not know: items and profiles; they stay.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from penchant import seeding
from penchant.config import Retention
from penchant.parts import Parts
from penchant.pipeline.state import KEPT
from penchant.storage.log_reading import IMPRESSION, INTERACTION, Deed
from penchant.threads import lower_priority
from penchant.types import Event

_DAY = 86_400.0
_GROWN = 8  # a round is due when a part of this size is new
_FEW = 1_000  # events, or at least so many
_AGAIN = 60.0  # seconds until a round that failed is tried again
_LOOKED_AT = 100_000  # rows of the log in one query
_ROWS = 500  # deleted in one transaction, for which events wait
_FOLDED = 256  # events of which states are folded again in one slice, if that is more than one person's
_LONGEST_PAUSE = 0.25  # seconds


class Rounds:
    """``send(event)`` has an event of the log's own written and taken in, in the order of the log.

    ``dropped``: events so far; ``now()``: the engine's clock.
    """

    def __init__(self, parts: Parts, send: Callable[[Event], None], now: Callable[[], float]) -> None:
        self._parts, self.send, self._now = parts, send, now
        self.dropped = 0
        self._settings: Retention | None = None  # of the last round
        self._begun, self._at, self._rows, self._asked = 0.0, 0, 0, 0
        self._failed = False
        self._closing = threading.Event()

    def look(self) -> int:
        """A number that changes when a round is due."""
        self._asked += self._is_due()
        return self._asked

    def _is_due(self) -> bool:
        settings, passed = self._parts.settings.retention, time.monotonic() - self._begun
        if not _keeps_less(settings) or self._parts.follows:
            return False
        grown = self._parts.as_of - self._at >= max(_FEW, self._rows // _GROWN)
        return settings != self._settings or grown or passed > _DAY or (self._failed and passed > _AGAIN)

    def run(self) -> int:
        """One round, now; how many events were dropped. Raises Unavailable when the disk refuses."""
        settings = self._parts.settings.retention
        if not _keeps_less(settings) or self._parts.follows:
            return 0
        self._settings, self._begun, self._at, self._failed = settings, time.monotonic(), self._parts.as_of, True
        before, self._parts.retaining = self.dropped, True
        try:
            self._drop(settings)
            if not self._parts.log.round_is_over() and not self._closing.is_set():
                self._end()
        finally:
            self._parts.retaining = False
            with self._parts.lock:
                self._parts.counts_changed()  # where it ended too early, too
        self._failed = False
        return self.dropped - before

    def run_beside(self) -> None:
        """The same, with the time that answers leave over."""
        lower_priority()
        self.run()

    def stop(self) -> None:
        """A round that has begun ends with its slice; the rest has time until the next start."""
        self._closing.set()

    def _drop(self, settings: Retention) -> None:
        before = self._now() - settings.days * _DAY if settings.days else -np.inf
        for people, offsets in self._slices(settings.events, before):
            if self._closing.is_set():
                return
            start = time.monotonic()
            self._parts.prepare(people, offsets)
            self.send(self._event(offsets=offsets))
            self.dropped += len(offsets)
            self._closing.wait(min(time.monotonic() - start, _LONGEST_PAUSE))  # others were kept from as much

    def _end(self) -> None:
        """Say so in the log, where followers read it; and let no copy of what was dropped stay in the WAL."""
        snapshot = seeding.newest(self._parts.folder)
        self.send(self._event(last=True, covered=int(snapshot.stem) if snapshot is not None else 0))
        self._parts.log.give_back()

    def _event(self, **fields: object) -> Event:
        return Event(kind="retention", id=f"retention-{time.time_ns()}", time=self._now(), fields=fields)

    def _slices(self, keep: int, before: float) -> Iterator[tuple[list[int], list[int]]]:
        """(people, offsets of what they lose); one person's stand together, as far as a slice has room."""
        people: list[int] = []
        offsets: list[int] = []
        folded = 0
        for person in self._people(keep, before):
            deeds = self._parts.log.deeds(person)
            gone = beyond(deeds, keep, before)
            left = min(len(deeds) - len(gone), KEPT)
            if offsets and (len(offsets) + len(gone) > _ROWS or folded + left > _FOLDED):
                yield people, offsets
                people, offsets, folded = [], [], 0
            for _ in range(0, len(gone) - _ROWS, _ROWS):
                yield [person], gone[:_ROWS]
                gone = gone[_ROWS:]
            people, offsets, folded = [*people, person], offsets + gone, folded + left
        if offsets:
            yield people, offsets

    def _people(self, keep: int, before: float) -> Sequence[int]:
        """Those who may have something to lose."""
        log, people = self._parts.log, len(self._parts.log.people)
        counted, oldest = np.zeros((2, people), np.int64), np.full(people, np.inf)
        upto = self._parts.as_of
        for after in range(0, upto, _LOOKED_AT):
            census = log.census(after, min(after + _LOOKED_AT, upto))
            owner = np.array([log.person(number) for number in census.person.tolist()], np.int64)
            np.add.at(counted[0], owner, census.interactions)
            np.add.at(counted[1], owner, census.impressions)
            np.minimum.at(oldest, owner, census.oldest)
        self._rows = int(counted.sum())
        too_many = counted.max(0) > _most(keep) if keep else np.zeros(people, np.bool_)
        found: list[int] = np.flatnonzero(too_many | (oldest < before)).tolist()
        return found


def beyond(deeds: Sequence[Deed], keep: int, before: float) -> list[int]:
    """Offsets of what a person loses: all before a moment, and, of who has well over ``keep`` (0: all), the oldest.

    Interactions and impressions are counted each by itself; what was retracted counts for nothing, and goes with what
    stood around it.
    """
    first = {INTERACTION: 0, IMPRESSION: 0}
    for kind in first if keep else ():
        there = [one.offset for one in deeds if one.kind == kind and not one.retracted]
        if len(there) > _most(keep):
            first[kind] = there[-keep]
    return [one.offset for one in deeds if one.offset < first[one.kind] or one.time < before]


def _most(keep: int) -> int:
    return keep + keep // 4


def _keeps_less(settings: Retention) -> bool:
    return settings.events > 0 or settings.days > 0
