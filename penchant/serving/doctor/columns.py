"""What is examined, as arrays, and what an examination finds.

Notable: an event is 32 bytes here, whatever it is made of, so ten million of them are 320 MB; names stay beside.
What several examinations need (people's events in time order, how finely times are told) is worked out once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Literal, NamedTuple

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from penchant.pipeline.events import FUTURE

Severity = Literal["serious", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("serious", "warning", "note")
Longs = NDArray[np.int64]
Bools = NDArray[np.bool_]

MINUTE, HOUR, DAY = 60.0, 3_600.0, 86_400.0
TOO_EARLY = 1e8  # March 1973: seconds divided by a thousand, or a zero for "not known"
_STEPS = (DAY, HOUR, MINUTE, 1.0)
_NEARLY_ALL = 0.999
_YEAR_1, _YEAR_10000 = -62_135_596_800.0, 253_402_300_800.0


class Finding(Struct, kw_only=True):
    """Something that is odd: ``count`` of ``of`` ``unit`` (events, people, items, ...), one of them as an example.

    ``rule``: from where on it counts as odd, with the numbers that follow from the data; ``advice``: what to do.
    """

    severity: Severity
    name: str
    count: int
    of: int
    unit: str
    example: str
    rule: str
    advice: str


class Events(NamedTuple):
    """Interactions in the order in which they were sent, as arrays [n]; numbers as the names stand in `World`.

    ``offset`` int64 in the log or the files; ``person`` int32; ``item`` int32, -1: words alone; ``action`` int32;
    ``value`` float32, NaN: none; ``time`` float64 in Unix seconds, NaN: none.
    """

    offset: Longs
    person: NDArray[np.int32]
    item: NDArray[np.int32]
    action: NDArray[np.int32]
    value: NDArray[np.float32]
    time: NDArray[np.float64]

    def where(self, rows: Bools | Longs) -> Events:
        offset, person, item, action, value, time = self
        return Events(offset[rows], person[rows], item[rows], action[rows], value[rows], time[rows])


class Items(NamedTuple):
    """Items by number [m]. ``key`` int64: a hash of the whole text, 0 where there is none; ``text``: its beginning.

    ``sent``: described at all, not only acted on; ``brought``: with vectors of its own; ``gone`` int64: the offset
    since which it is removed or unavailable, -1: it is there; ``created`` float64: Unix seconds, NaN: not told.
    """

    sent: Bools
    text: Sequence[str]
    key: Longs
    brought: Bools
    gone: Longs
    created: NDArray[np.float64]


class Names(NamedTuple):
    """Name of a number."""

    person: Callable[[int], str]
    item: Callable[[int], str]
    action: Callable[[int], str]


class Known(NamedTuple):
    """What the settings say. ``own``: the actions were named by somebody; ``unreadable``: see the text encoder, None
    where no texts are read; ``imported``: of files, before the import, where the door has not looked at anything."""

    actions: frozenset[str]
    ratings: frozenset[str]
    own: bool = False
    unreadable: Callable[[Sequence[str]], float] | None = None
    reads_texts: bool = True
    imported: bool = False


class Walk(NamedTuple):
    """Events sorted by person, then time, then order: ``order`` [n]; ``same`` [n - 1]: of one person with the next;
    ``gap`` [n - 1] seconds to the next, where it is the same person's."""

    order: Longs
    same: Bools
    gap: NDArray[np.float64]


class Repeats(NamedTuple):
    """Events on items sorted so that the same thing told again stands next to it: ``order`` [k] rows; ``alike``
    [k - 1]: same person, item and action as the next; ``apart`` [k - 1] seconds to it."""

    order: Longs
    alike: Bools
    apart: NDArray[np.float64]


class World:
    """All that is examined. ``now``: Unix seconds; ``refused``: reasons why rows of files could not be read."""

    def __init__(
        self,
        events: Events,
        items: Items | None,
        names: Names,
        known: Known,
        now: float,
        refused: Counter[str] | None = None,
        examples: Mapping[str, str] | None = None,
    ) -> None:
        self.events, self.items, self.names, self.known, self.now = events, items, names, known, now
        self.refused, self.examples = refused or Counter(), examples or {}

    @cached_property
    def timed(self) -> Events:
        """The events that have a time."""
        known = np.isfinite(self.events.time)
        return self.events if known.all() else self.events.where(known)

    @cached_property
    def dated(self) -> Events:
        """The events whose times can be meant: a wrong time makes nobody late, and no item old."""
        time = self.timed.time
        good = (time >= TOO_EARLY) & (time <= self.now + FUTURE)
        return self.timed if good.all() else self.timed.where(good)

    @cached_property
    def resolution(self) -> float:
        """Seconds of which nearly all times are multiples: a day, an hour, a minute, a second; 0: finer."""
        times = self.timed.time
        fits = (step for step in _STEPS if len(times) and np.mean(times % step == 0) >= _NEARLY_ALL)
        return next(fits, 0.0)

    @cached_property
    def walk(self) -> Walk:
        events = self.timed
        order = np.lexsort((events.time, events.person))
        person, time = events.person[order], events.time[order]
        return Walk(order, person[1:] == person[:-1], np.diff(time))

    @cached_property
    def repeats(self) -> Repeats:
        events = self.timed
        rows = np.flatnonzero(events.item >= 0)
        action, item, person = events.action[rows], events.item[rows], events.person[rows]
        time = events.time[rows]
        order = np.lexsort((time, action, item, person))
        alike = np.ones(max(len(order) - 1, 0), np.bool_)
        for column in (action, item, person):
            alike &= column[order][1:] == column[order][:-1]
        return Repeats(rows[order], alike, np.diff(time[order]))

    @cached_property
    def per_person(self) -> Longs:
        """Events of each number of a person."""
        return np.bincount(self.events.person).astype(np.int64)

    @cached_property
    def people(self) -> int:
        """How many people did something."""
        return int((self.per_person > 0).sum())

    @cached_property
    def per_item(self) -> Longs:
        """Events on each item, as many as there are items."""
        met = self.events.item[self.events.item >= 0]
        return np.bincount(met, minlength=len(self.items.sent) if self.items else 0).astype(np.int64)

    def event(self, row: int, events: Events | None = None) -> str:
        """An event in words."""
        one = self.events if events is None else events
        item = int(one.item[row])
        what = f"on {self.names.item(item)}" if item >= 0 else "with words"
        who, action = self.names.person(int(one.person[row])), self.names.action(int(one.action[row]))
        return f"{who}: {action} {what}, {moment(float(one.time[row]))} (event {int(one.offset[row])})"


def graded(count: int, of: int, warning: float, serious: float) -> Severity:
    """By the share that it makes: a note below ``warning``, serious from ``serious`` on."""
    share = count / of if of else 0.0
    return "serious" if share >= serious else "warning" if share >= warning else "note"


def moment(time: float) -> str:
    if not _YEAR_1 <= time < _YEAR_10000:
        return f"time {time:.0f}"
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def span(seconds: float) -> str:
    """A length of time as a person says it."""
    for size, name in ((DAY, "days"), (HOUR, "hours"), (MINUTE, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:,.3g} {name}"
    return f"{seconds:,.3g} seconds"


def quantile(values: NDArray[Any], share: float) -> float:
    return float(np.quantile(values, share)) if len(values) else 0.0
