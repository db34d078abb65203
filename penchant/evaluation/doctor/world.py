"""What is examined, a journal and what is known of its items, and what an examination finds.

Notable: an event is 34 bytes here at most, whatever it is made of, so ten million of them are 340 MB. What several
examinations need (people's events in time order, how finely times are told) is worked out once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from penchant.evaluation.journal import Journal
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


class Items(NamedTuple):
    """Items by number [m]. ``key`` int64: a hash of the whole text, 0 where there is none; ``text``: its beginning.

    ``sent``: described at all, not only acted on; ``brought``: with vectors of its own; ``gone`` int64: how many
    events there were when it was removed or became unavailable, -1: it is there; ``created``: Unix seconds, NaN: not
    told.
    """

    sent: Bools
    text: Sequence[str]
    key: Longs
    brought: Bools
    gone: Longs
    created: NDArray[np.float64]


class Known(NamedTuple):
    """What the settings say. ``own``: the actions were named by somebody; ``unreadable``: see the text encoder, None
    where no texts are read; ``imported``: of files, before the import, where the door has not looked at anything."""

    actions: frozenset[str]
    ratings: frozenset[str]
    own: bool = False
    unreadable: Callable[[Sequence[str]], float] | None = None
    reads_texts: bool = True
    imported: bool = False


def event_number(place: int) -> str:
    """An event of a log."""
    return f"event {place}"


class Source(NamedTuple):
    """Where the events come from: a ``place`` in words; of files, how often rows were ``refused`` for a reason, and an
    example of each."""

    place: Callable[[int], str] = event_number
    refused: Mapping[str, int] = MappingProxyType({})
    examples: Mapping[str, str] = MappingProxyType({})


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
    """All that is examined: ``events`` in the order in which they were sent, by which items are numbered too; ``now``:
    Unix seconds."""

    def __init__(
        self, events: Journal, items: Items | None, known: Known, now: float, source: Source | None = None
    ) -> None:
        self.events, self.items, self.known, self.now = events, items, known, now
        self.source = source or Source()

    @cached_property
    def timed(self) -> Journal:
        """The events that have a time."""
        known = np.isfinite(self.events.time)
        return self.events if known.all() else self.events.where(known)

    @cached_property
    def dated(self) -> Journal:
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

    def person(self, number: int) -> str:
        """The name of a number, as those of items and actions below."""
        return self.events.pools.people[number]

    def item(self, number: int) -> str:
        return self.events.pools.items[number]

    def action(self, number: int) -> str:
        return self.events.pools.actions[number]

    def event(self, row: int, events: Journal | None = None) -> str:
        """An event in words."""
        one = self.events if events is None else events
        item = int(one.item[row])
        what = f"on {self.item(item)}" if item >= 0 else "with words"
        who, action = self.person(int(one.person[row])), self.action(int(one.action[row]))
        when, place = moment(float(one.time[row])), self.source.place(int(one.place[row]))
        return f"{who}: {action} {what}, {when} ({place})"


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
