"""The log as it is read: histories, replays, names. Whoever writes it reads it the same way (`storage.event_log`).

Notable: each thread that reads has a connection of its own, so readers wait for nobody; people, items and actions are
integers, and a person is all the numbers that were joined to it, as they stood at an offset.

Does not know: how an event gets into the log.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from penchant.storage.checkpoints import TIMEOUT
from penchant.storage.contexts import Contexts
from penchant.storage.names import Names
from penchant.types import KINDS, Event, Kind

KIND = {kind: number for number, kind in enumerate(KINDS)}
INTERACTION = KIND["interaction"]
IMPRESSION = KIND["impression"]
ABOUT_THE_LOG: tuple[Kind, ...] = ("retraction", "alias", "erasure", "retention")
ROWS_GO: tuple[Kind, ...] = ("erasure", "retention")  # of those, what takes rows out of the log
_EVENTS = "SELECT offset, person, item, action, kind, value, time, id, rest FROM events"


class History(NamedTuple):
    """Interactions of one person in log order, as arrays [n]; retracted ones left out; ``item`` -1: words alone.

    ``words``: 1 where the event may hold words (the log has more of it than the columns). ``contexts``: bits of what
    the settings declare of the context (`storage.contexts`).
    """

    offset: NDArray[np.int64]
    item: NDArray[np.int64]
    words: NDArray[np.uint8]
    action: NDArray[np.uint8]
    value: NDArray[np.float32]
    time: NDArray[np.float64]
    contexts: NDArray[np.int64]


class Logged(NamedTuple):
    """An event with its place in the log and its numbers; -1 stands for none.

    ``target``: the offset that a retraction retracts, the session's number of an alias.
    ``erased``: what an erasure took out, so that the counts can give it back, and ``name``: whose; after a restart both
    are gone.
    """

    offset: int
    person: int
    item: int
    action: int
    event: Event
    target: int = 0
    erased: History | None = None
    events: int = 0
    name: str | None = None

    @property
    def kept_less(self) -> list[int] | None:
        """Of a retention: the people who lost events by it; None: anybody may have."""
        return people_of(self.event)

    @property
    def ends_round(self) -> bool:
        """Of a retention: nothing more is dropped for a while."""
        return bool(self.event.fields.get("last"))


class Census(NamedTuple):
    """What people (by number) have in a part of the log: interactions, impressions, and the time of the oldest."""

    person: NDArray[np.int64]
    interactions: NDArray[np.int64]
    impressions: NDArray[np.int64]
    oldest: NDArray[np.float64]


class Deed(NamedTuple):
    """An interaction or an impression, as far as retention looks at it."""

    offset: int
    kind: int
    time: float
    retracted: bool


class LogReading:
    """Reading of a log whose names and aliases are in memory; `EventLog` puts them there."""

    people: Names
    items: Names
    actions: Names

    def __init__(self, path: Path, contexts: Contexts) -> None:
        self.path, self.contexts = path, contexts
        self._alias: dict[int, tuple[int, int]] = {}
        self._sessions: dict[int, list[int]] = {}
        self._reader = threading.local()
        self._readers: list[sqlite3.Connection] = []

    def person(self, number: int, upto: int = 2**62) -> int:
        """Whom a number stands for: itself, or the person whose session it was known to be at that offset."""
        while (owner := self._alias.get(number)) is not None and owner[1] <= upto:
            number = owner[0]
        return number

    def joined(self, person: int, upto: int = 2**62) -> list[int]:
        """The numbers that are one person at that offset: itself, its sessions, and theirs."""
        numbers = [person]
        for number in numbers:
            numbers += [s for s in self._sessions.get(number, ()) if self._alias[s][1] <= upto]
        return numbers

    def history(self, people: Sequence[int], upto: int, last: int = -1) -> History:
        """The ``last`` interactions of the people (one person's numbers) up to an offset, in log order."""
        return self._history(self._read(), people, upto, last)

    def _history(self, connection: sqlite3.Connection, people: Sequence[int], upto: int, last: int = -1) -> History:
        rows = connection.execute(
            "SELECT offset, item, rest, action, value, time FROM events"
            f" WHERE person IN ({','.join('?' * len(people))}) AND offset <= ? AND kind = {INTERACTION}"
            " AND NOT EXISTS (SELECT 1 FROM retracted r WHERE r.offset = events.offset AND r.by <= ?)"
            " ORDER BY offset DESC LIMIT ?",
            (*people, upto, upto, last),
        ).fetchall()
        return self._as_history(rows[::-1])

    def _as_history(self, rows: Sequence[Sequence[Any]]) -> History:
        """Rows (offset, item, rest, action, value, time, ...)."""
        return as_history([(*row[:2], row[2] is not None, *row[3:6], self._context_of(row[2])) for row in rows])

    def _context_of(self, rest: bytes | None) -> int:
        return self.contexts.bits(decode(rest).context) if rest is not None and self.contexts.names else 0

    def replay(
        self, after: int = 0, upto: int | None = None, batch: int = 4096, kind: Kind | None = None
    ) -> Iterator[list[Logged]]:
        """Everything that was logged, or all of a kind, in offset order, in batches; later appends are met too."""
        only = f" AND kind = {KIND[kind]}" if kind else ""
        while upto is None or after < upto:
            rows = (
                self._read()
                .execute(
                    f"{_EVENTS} WHERE offset > ? AND offset <= ?{only} ORDER BY offset LIMIT ?",
                    (after, upto if upto is not None else 2**62, batch),
                )
                .fetchall()
            )
            if not rows:
                return
            yield [self._event(row) for row in rows]
            after = rows[-1][0]

    def interactions(self, after: int, upto: int, batch: int = 8192) -> Iterator[tuple[NDArray[np.int64], History]]:
        """Interactions of everybody as they stood at ``upto``, in log order: (people, events); to rebuild counts.

        A batch is small since making arrays of it holds the interpreter, and with it every answer.
        """
        while after < upto:
            rows = (
                self._read()
                .execute(
                    "SELECT offset, item, rest, action, value, time, person FROM events"
                    f" WHERE offset > ? AND offset <= ? AND kind = {INTERACTION}"
                    " AND offset NOT IN (SELECT offset FROM retracted WHERE by <= ?)"
                    " ORDER BY offset LIMIT ?",
                    (after, upto, upto, batch),
                )
                .fetchall()
            )
            if not rows:
                return
            people = np.array([self.person(row[6], upto) for row in rows], np.int64)
            yield people, self._as_history(rows)
            after = rows[-1][0]

    def retracted(self) -> frozenset[int]:
        """Offsets of interactions that did not happen after all."""
        return frozenset(row[0] for row in self._read().execute("SELECT offset FROM retracted"))

    def amended_between(self, after: int, upto: int) -> set[int]:
        """People whose histories were changed by a retraction, an alias, an erasure or retention after an offset."""
        events = self._read().execute(
            "SELECT person, kind, rest FROM events"
            f" WHERE offset > ? AND offset <= ? AND kind IN ({kinds(ABOUT_THE_LOG)})",
            (after, upto),
        )
        people: set[int] = set()
        for person, kind, rest in events.fetchall():
            if kind != KIND["retention"]:
                people.add(person)
            elif (kept_less := people_of(decode(rest))) is not None:
                people.update(kept_less)
            else:
                people.update(range(len(self.people)))
        found = self._read().execute("SELECT session FROM aliases WHERE by > ? AND by <= ?", (after, upto))
        return {person for person in (*people, *(row[0] for row in found)) if person >= 0}

    def census(self, after: int, upto: int) -> Census:
        """Who has how much in a part of the log; one pass over its rows, in the order in which they lie."""
        rows = (
            self._read()
            .execute(
                f"SELECT person, sum(kind = {INTERACTION}), sum(kind = {IMPRESSION}), min(time) FROM events"
                f" WHERE offset > ? AND offset <= ? AND kind IN ({INTERACTION}, {IMPRESSION}) GROUP BY person",
                (after, upto),
            )
            .fetchall()
        )
        person, interactions, impressions, oldest = zip(*rows, strict=True) if rows else ((),) * 4
        return Census(
            np.array(person, np.int64),
            np.array(interactions, np.int64),
            np.array(impressions, np.int64),
            np.array(oldest, np.float64),
        )

    def deeds(self, person: int) -> list[Deed]:
        """All interactions and impressions of a person, joined sessions included, in log order."""
        numbers = self.joined(person)
        rows = self._read().execute(
            "SELECT offset, kind, time, EXISTS (SELECT 1 FROM retracted r WHERE r.offset = events.offset) FROM events"
            f" WHERE person IN ({','.join('?' * len(numbers))}) AND kind IN ({INTERACTION}, {IMPRESSION})"
            " ORDER BY offset",
            numbers,
        )
        return [Deed(*row) for row in rows.fetchall()]

    def erased_after(self, offset: int) -> bool:
        """Whether somebody was erased after an offset."""
        row = self._read().execute(
            "SELECT EXISTS (SELECT 1 FROM events WHERE offset > ? AND kind = ?)", (offset, KIND["erasure"])
        )
        return bool(row.fetchone()[0])

    def round_is_over(self) -> bool:
        """Whether the last round of retention went to its end; so if there was none."""
        which = f"kind = {KIND['retention']}"
        row = self._read().execute(f"SELECT rest FROM events WHERE {which} ORDER BY offset DESC LIMIT 1").fetchone()
        return row is None or bool(decode(row[0]).fields.get("last"))

    def newest(self) -> float:
        """The time of the event that was logged last; 0 where there is none."""
        row = self._read().execute("SELECT time FROM events ORDER BY offset DESC LIMIT 1").fetchone()
        return float(row[0]) if row else 0.0

    def words(self, offset: int) -> str | None:
        """The words of an interaction."""
        row = self._read().execute("SELECT rest FROM events WHERE offset = ?", (offset,)).fetchone()
        return decode(row[0]).words if row and row[0] else None

    def _event(self, row: tuple[int, int, int, int, int, float | None, float, str, bytes | None]) -> Logged:
        offset, person, item, action, kind, value, when, event_id, rest = row
        event = decode(rest) if rest else Event()
        event.kind, event.id, event.time, event.value = KINDS[kind], event_id, when, value
        event.user = self.people.name(person) if person >= 0 else None
        event.item = self.items.name(item) if item >= 0 else None
        event.action = self.actions.name(action) if action >= 0 else None
        target = 0
        if event.kind == "retraction":
            found = self._read().execute("SELECT offset FROM retracted WHERE by = ?", (offset,)).fetchone()
            target = found[0] if found else 0
        elif event.kind == "alias":
            target = self.people.get(event.session or "")
        return Logged(offset, person, item, action, event, target)

    def _read(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._reader, "connection", None)
        if connection is None:
            connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=TIMEOUT)
            connection.execute("PRAGMA query_only=ON")
            connection.execute("PRAGMA cache_size=-32768")
            self._reader.connection = connection
            self._readers.append(connection)
        return connection


def as_history(rows: Sequence[Sequence[Any]]) -> History:
    """Rows (offset, item, words, action, value, time, contexts) as arrays; a missing value is NaN."""
    offset, item, words, action, value, when, contexts = zip(*rows, strict=True) if rows else ((),) * 7
    return History(
        np.array(offset, np.int64),
        np.array(item, np.int64),
        np.array(words, np.uint8),
        np.array(action, np.uint8),
        np.array([np.nan if v is None else v for v in value], np.float32),
        np.array(when, np.float64),
        np.array(contexts, np.int64),
    )


_decoder = msgspec.msgpack.Decoder(Event)


def decode(rest: bytes) -> Event:
    """The part of an event that the columns do not hold."""
    return _decoder.decode(rest)


def people_of(retention: Event) -> list[int] | None:
    """The people who lost events by a retention; None: anybody may have."""
    return retention.fields.get("people")


def kinds(names: Sequence[Kind]) -> str:
    """Kinds of events as SQL lists them."""
    return ", ".join(str(KIND[name]) for name in names)
