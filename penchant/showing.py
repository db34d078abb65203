"""Lists that were shown: kept, joined with what was done about them, and told again as they were, to the bit.

`Showing` is wired into the parts; an engine shows (`show`), and `intake` says what was done. What waits for its window
to pass is in memory and is found again after a crash: the lists from their table, and what was done from the log.

Notable: what a disk refuses to keep costs no list and no event; it is a warning, and is tried again.
"""

from __future__ import annotations

import hashlib
import logging
import random
import re
import sqlite3
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from penchant import kernels
from penchant.config import Settings
from penchant.errors import NotFound
from penchant.pipeline.feedback import HOUR, Judge, Shown, Totals, Waiting
from penchant.storage.event_log import EventLog
from penchant.storage.log_reading import History
from penchant.storage.slates import FILE, Kept, Settled, SlateTable
from penchant.types import Candidate, Done, Feedback, Query, Slate, Sponsorship

_DAY = 86_400.0
_SPACING = 20  # bits of an id below its millisecond: ids grow by at least one, whatever the clock does
_DROP_EVERY = 1000  # lists
_NOBODY = -1  # asks without a name
_AGAIN = 10.0  # seconds until a table that was refused is tried again
_log = logging.getLogger("penchant")
_ID = re.compile("[0-7][0-9a-f]{15}")

Longs = NDArray[np.int64]
Floats = NDArray[np.float32]
Deeds = list[tuple[int, int, float]]  # (place, action, time)


Judged = list[tuple[dict[str, float], float | None]]  # (probability of each action, rating)
How = Literal["pinned", "promoted", "sponsored"]


class Rows(NamedTuple):
    """Items of a slate as arrays [n]: numbers, bits of sources, scores; features and terms [n, names].

    ``judged`` [n], or empty where nobody asks for it; ``placed``: what put an item there, by place, if not its score.
    """

    items: Longs
    sources: NDArray[np.int32]
    scores: Floats
    features: Floats
    terms: Floats
    names: tuple[str, ...]
    judged: Judged = []  # noqa: RUF012 - a tuple's default, which nobody changes
    placed: Mapping[int, tuple[How, Sponsorship | None]] = MappingProxyType({})


def candidates(rows: Rows, name: Callable[[int], str]) -> list[Candidate]:
    """The items of a slate; ``name(number)`` of an item."""
    columns = (rows.items, rows.scores, rows.sources, rows.features, rows.terms)
    kept = [
        Candidate(
            item=name(item),
            score=score,
            sources=list(_sources(bits)),
            features=dict(zip(rows.names, features, strict=True)),
            terms=dict(zip(rows.names, terms, strict=True)),
        )
        for item, score, bits, features, terms in zip(*(column.tolist() for column in columns), strict=True)
    ]
    for one, judged in zip(kept, rows.judged, strict=False):
        one.probabilities, one.rating = judged
    for k, how in rows.placed.items():
        kept[k].placed, kept[k].sponsorship = how
    return kept


@cache
def _sources(bits: int) -> tuple[str, ...]:
    """Names of the sources that found a candidate; of all sets of them, few ever come."""
    return tuple(source for bit, source in kernels.SOURCES.items() if bits & bit)


class Packed(Struct, array_like=True):
    """A slate and its question in few bytes; what is of each item stands in arrays of float32 and int32."""

    query: Query
    slate: Slate  # without its items
    items: bytes
    sources: bytes
    names: tuple[str, ...]
    scores: bytes
    features: bytes
    terms: bytes
    judged: Judged
    placed: dict[int, tuple[How, Sponsorship | None]]


class Showing:
    """What is shown from now on, and what is still waited for.

    All of it is called under ``lock``, which is that of the parts, but for `find`, `totals` and `failure`: these read
    the table, and take it only for what waits, so that lists do not wait for who looks back.
    """

    def __init__(
        self, folder: Path, settings: Settings, log: EventLog, weights: Sequence[float], lock: threading.RLock
    ) -> None:
        self._folder, self._log, self._settings, self._lock = folder, log, settings.slates, lock
        self._window = 60.0 * settings.slates.window_minutes
        numbers = [log.actions.get(name) for name in settings.slates.conversions]
        told = settings.slates.shown == "told"
        self.judge = Judge(weights, [number for number in numbers if number >= 0], kernels.SOURCES, told)
        self.waiting = Waiting(self._window, self._settle)
        self._strangers: dict[str, int] = {}  # who asked for a list that waits, and has done nothing so far
        self._table: SlateTable | None = None
        self._refused: str | None = None
        self._last = self._shown = 0
        self._again = 0.0  # when a table that was refused is tried again
        if (folder / FILE).exists():
            self._open(0.0)

    def _open(self, now: float) -> SlateTable | None:
        """The table; None where the disk refuses it, which is tried again a while later."""
        if self._table is None and now >= self._again:
            self._again = now + _AGAIN
            try:
                self._table = SlateTable(self._folder, Totals.__struct_fields__, self._settings.most_bytes)
            except sqlite3.Error as error:
                self._refused = f"lists that were shown are not kept: {error}"
                return None
            self._last, self._refused = self._table.last_id(), None
        return self._table

    # -- as it happens -------------------------------------------------------------------------------------------------

    def show(self, query: Query, person: int, slate: Slate, rows: Rows) -> None:
        """Give a list its id, keep it, wait for what is done about it; of a share of the lists, as the settings say."""
        if self._settings.share < 1.0 and random.random() >= self._settings.share:
            return
        now = query.time or 0.0
        if (table := self._open(now)) is None:
            return
        if person < 0 and query.user is not None:
            person = self._strangers[query.user] = _stranger(query.user)
        self._last = max(self._last + 1, int(now * 1000) << _SPACING)
        slate.id = f"{self._last:016x}"
        table.keep(Kept(self._last, person, now, packed(query, slate, rows)))
        if person != _NOBODY and len(rows.items):
            shown = Shown(self._last, person, now, slate.version, _ints(rows.items), _ints(rows.sources))
            self.waiting.show(shown)
        self.waiting.pass_to(now)
        self._shown += 1
        if self._shown % _DROP_EVERY == 1:
            self._drop(table, now - self._settings.days * _DAY)

    def _drop(self, table: SlateTable, before: float) -> None:
        """What is older, and who does not wait any more."""
        table.drop_before(int(max(0.0, before) * 1000) << _SPACING, int(before // HOUR))
        waiting = self.waiting.people()
        self._strangers = {name: person for name, person in self._strangers.items() if person in waiting}

    def acted(self, people: Longs, history: History) -> None:
        """Events [n] of these people."""
        if len(self.waiting):
            self._greet(people.tolist())
            columns = (people, history.item, history.action, history.time)
            for deed in zip(*(column.tolist() for column in columns), strict=True):
                self.waiting.act(*deed)

    def _greet(self, people: Iterable[int]) -> None:
        """Lists of those who have just done something for the first time are theirs from now on."""
        for person in people if self._strangers else ():
            if (stranger := self._strangers.pop(self._log.people.name(person), None)) is not None:
                self._move(stranger, person)

    def told(self, person: int, items: Iterable[str], time: float) -> None:
        """An impression."""
        self._greet([person])
        self.waiting.tell(person, [self._log.items.get(name) for name in items], time)

    def joined(self, session: int, person: int) -> None:
        """A session turned out to be a person."""
        self._greet([session])
        self._move(session, person)

    def _move(self, session: int, person: int) -> None:
        self.waiting.move(session, person)
        if self._table is not None:
            self._table.move(session, person)

    def amended(self, person: int, history: History) -> None:
        """A person's events are others than they were: what was done is told again."""
        if self.waiting.clear(person):
            self.acted(np.full(len(history.time), person), history)

    def erased(self, person: int, name: str | None) -> None:
        """A person was erased who had this number (-1: none), and this name as far as it is still known."""
        people = [person] if person >= 0 else []
        if name is not None:
            people.append(_stranger(name))
            self._strangers.pop(name, None)
        for one in people:
            self.waiting.forget(one)
        self._forget(people)

    def _forget(self, people: Sequence[int]) -> None:
        """Where the disk refuses it, it is done when the disk has room, or at the next start."""
        if self._table is not None:
            try:
                self._table.forget(people)
            except sqlite3.Error as error:
                _log.warning("lists of somebody who was erased are not yet deleted: %s", error)

    def restore(self) -> set[int]:
        """After a start: wait again for what had not been settled; whose lists these are."""
        if self._table is None or len(self.waiting):
            return set()
        if forgotten := self._log.people.forgotten():
            self._forget(forgotten)
        for kept in self._table.waiting():
            its = msgspec.msgpack.decode(kept.packed, type=Packed)
            if its.items and its.query.user is not None:
                number = self._log.people.get(its.query.user)
                person = self._log.person(number) if number >= 0 else _stranger(its.query.user)
                if number < 0:
                    self._strangers[its.query.user] = person
                self.waiting.show(Shown(kept.id, person, kept.time, its.slate.version, its.items, its.sources))
        return {person for person in self.waiting.people() if person >= 0}

    def _settle(self, shown: Shown) -> None:
        if self._table is not None:
            sums = {key: msgspec.structs.astuple(its) for key, its in self.judge.totals(shown).items()}
            self._table.settle(Settled(shown.id, msgspec.msgpack.encode(_deeds(shown)), sums, shown.numbers()))

    # -- asked later ---------------------------------------------------------------------------------------------------

    def find(self, id: str) -> Feedback:
        """A list as it was shown, with what was done about it so far. Raises NotFound."""
        kept = self._kept(_number(id))
        if kept is None:
            raise NotFound(
                "no such list is kept.",
                field="slate",
                value=id,
                way_out=f"Lists are kept for {self._settings.days:g} days, while there is room; see [slates].",
            )
        its = msgspec.msgpack.decode(kept.packed, type=Packed)
        slate = unpacked(its, self._log)
        done = self._done(slate, msgspec.msgpack.decode(kept.done, type=Deeds) if kept.done else self._so_far(kept))
        return Feedback(
            slate=slate,
            query=its.query,
            done=done,
            reward=sum(one.reward for one in done),
            until=kept.time + self._window,
            settled=kept.done is not None,
        )

    def _kept(self, id: int) -> Kept | None:
        if self._table is None:
            return None
        kept = self._table.get(id)
        if kept is not None and kept.done is None and not self._waits(kept):
            self._table.flush()  # settled a moment ago
            kept = self._table.get(id)
        return kept

    def _waits(self, kept: Kept) -> bool:
        with self._lock:
            return self.waiting.find(kept.id, kept.person) is not None

    def _so_far(self, kept: Kept) -> Deeds:
        with self._lock:
            return _deeds(self.waiting.find(kept.id, kept.person))

    def totals(self, hours: float, now: float) -> tuple[dict[tuple[str, str], Totals], dict[str, int]]:
        """(sums by version and source, different items by version) of settled lists, back to ``hours`` ago."""
        with self._lock:
            self.waiting.pass_to(now)
        if self._table is None:
            return {}, {}
        since = int((now - hours * HOUR) // HOUR)
        sums: dict[tuple[str, str], Totals] = {}
        for (_, version, source), row in self._table.totals(since):
            sums.setdefault((version, source), Totals()).add(Totals(*row))
        return sums, self._table.shown(since)

    @property
    def failure(self) -> str | None:
        return self._table.failure if self._table is not None else self._refused

    def close(self) -> None:
        if self._table is not None:
            self._table.close()

    def _done(self, slate: Slate, deeds: Deeds) -> list[Done]:
        out = []
        for place in sorted({place for place, _, _ in deeds}):
            actions = {action: time for at, action, time in deeds if at == place}
            names = {self._log.actions.name(action): time for action, time in actions.items()}
            reward = self.judge.reward(actions)
            out.append(Done(item=slate.items[place].item, place=place + 1, actions=names, reward=reward))
        return out


def _deeds(shown: Shown | None) -> Deeds:
    return [(place, action, time) for (place, action), time in sorted(shown.done.items())] if shown is not None else []


def _stranger(name: str) -> int:
    """What stands for somebody whom the log does not know: below -1, and the same for the same name."""
    return -2 - (int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big") >> 2)


def _number(id: str) -> int:
    """What an id was made of; -1 for what never was one."""
    return int(id, 16) if _ID.fullmatch(id) else -1


def packed(query: Query, slate: Slate, rows: Rows) -> bytes:
    """What was removed is not kept."""
    said = any(told or rating is not None for told, rating in rows.judged)
    return msgspec.msgpack.encode(
        Packed(
            query=query,
            slate=msgspec.structs.replace(slate, items=[], removed=None),
            items=_ints(rows.items),
            sources=_ints(rows.sources),
            names=rows.names,
            scores=_floats(rows.scores),
            features=_floats(rows.features),
            terms=_floats(rows.terms),
            judged=rows.judged if said else [],
            placed=dict(rows.placed),
        )
    )


def _ints(values: NDArray[Any]) -> bytes:
    return values.astype(np.int32).tobytes()


def _floats(values: NDArray[Any]) -> bytes:
    return values.astype(np.float32, copy=False).tobytes()


def unpacked(its: Packed, log: EventLog) -> Slate:
    """The slate that was packed."""
    items, sources = np.frombuffer(its.items, np.int32), np.frombuffer(its.sources, np.int32)
    scores, wide = np.frombuffer(its.scores, np.float32), (len(items), len(its.names))
    features = np.frombuffer(its.features, np.float32).reshape(wide)
    terms = np.frombuffer(its.terms, np.float32).reshape(wide)
    rows = Rows(items.astype(np.int64), sources, scores, features, terms, its.names, its.judged, its.placed)
    its.slate.items = candidates(rows, log.items.name)
    return its.slate
