"""Millions of interactions as arrays of numbers and pools of names; an `Event` exists while somebody looks at it.

A row costs 18 bytes (person, item and action as numbers, the time), and 12 more where events have words and values, 8
where it is kept in which place each stood. Ten million Python objects would cost ten times as much. A slice is a view:
it shares the arrays and the pools.

What it does not know: the context of events, which no model reads yet; and ids, which are given anew by row.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

from penchant.errors import InvalidInput
from penchant.types import Event

Ints = NDArray[np.int32]
Longs = NDArray[np.int64]
Floats = NDArray[np.float64]
_CHUNK = 8192
_MOST_ACTIONS = 2**15  # as many as their numbers have bits for


class Pools(NamedTuple):
    """Names by number."""

    people: list[str]
    items: list[str]
    actions: list[str]
    words: list[str]


class Journal(Sequence[Event]):
    """``person``, ``item`` (-1: words alone), ``action``: numbers [n] in the pools; ``value`` [n], NaN for none;
    ``time`` [n], Unix seconds, NaN for none; ``place`` [n]: where each stood, in a log or a file.

    ``first`` is the number of the first row, of which ids are made.
    """

    def __init__(self, pools: Pools, columns: Columns, first: int = 0) -> None:
        self.pools, self.columns, self.first = pools, columns, first

    @property
    def person(self) -> Ints:
        return self.columns.person

    @property
    def item(self) -> Ints:
        return self.columns.item

    @property
    def action(self) -> NDArray[np.int16]:
        return self.columns.action

    @property
    def time(self) -> Floats:
        return self.columns.time

    @property
    def value(self) -> Floats:
        return self.columns.value if self.columns.value is not None else np.broadcast_to(np.nan, len(self))

    @property
    def place(self) -> Longs:
        first = self.first + 1
        return self.columns.place if self.columns.place is not None else np.arange(first, first + len(self))

    def in_time(self) -> Journal:
        """By time; those of one moment keep their order, and those without a time come last."""
        if bool(np.all(self.time[1:] >= self.time[:-1])):
            return self
        return self.where(np.argsort(self.time, kind="stable"))

    def where(self, rows: Longs | NDArray[np.bool_]) -> Journal:
        """A copy of some rows, numbered anew."""
        return Journal(self.pools, self.columns.at(rows))

    def of_people(self, chosen: NDArray[np.bool_]) -> Journal:
        """The rows of the ``chosen`` [people]; the names of all others are forgotten."""
        kept = np.flatnonzero(chosen)
        number = np.cumsum(chosen, dtype=np.int32) - np.int32(1)
        columns = self.columns.at(chosen[self.person])
        pools = self.pools._replace(people=[self.pools.people[k] for k in kept.tolist()])
        return Journal(pools, columns._replace(person=number[columns.person]))

    def bytes(self) -> int:
        """Of the arrays, without the pools."""
        return sum(column.nbytes for column in self.columns if column is not None)

    def __len__(self) -> int:
        return len(self.columns.person)

    @overload
    def __getitem__(self, rows: int) -> Event: ...
    @overload
    def __getitem__(self, rows: slice) -> Journal: ...
    def __getitem__(self, rows: int | slice) -> Event | Journal:
        if isinstance(rows, slice):
            start, _, step = rows.indices(len(self))
            if step != 1:
                raise ValueError(f"step={step}: ids are numbered along. Use where().")
            return Journal(self.pools, self.columns.at(rows), self.first + start)
        row = range(len(self))[rows]
        return next(iter(self[row : row + 1]))

    def __iter__(self) -> Iterator[Event]:
        pools = self.pools
        for start in range(0, len(self), _CHUNK):  # a list of numbers is big: one chunk at a time
            part = self.columns.at(slice(start, start + _CHUNK)).lists()
            for row, (person, item, action, moment, value, words) in enumerate(zip(*part, strict=True), start):
                yield Event(
                    id=f"row-{self.first + row}",
                    time=moment if moment == moment else None,  # NaN is not itself
                    user=pools.people[person],
                    action=pools.actions[action],
                    item=pools.items[item] if item >= 0 else None,
                    words=pools.words[words] if words >= 0 else None,
                    value=value if value == value else None,
                )


class Columns(NamedTuple):
    """See `Journal`; ``words`` [n]: numbers in the pool, -1 for none. The last three are None where no row has any."""

    person: Ints
    item: Ints
    action: NDArray[np.int16]
    time: Floats
    value: Floats | None = None
    words: Ints | None = None
    place: Longs | None = None

    def at(self, rows: slice | Longs | NDArray[np.bool_]) -> Columns:
        return Columns(*(column[rows] if column is not None else None for column in self))  # type: ignore[arg-type]

    def lists(self) -> tuple[list[int], list[int], list[int], list[float], list[float], list[int]]:
        size = len(self.person)
        value = self.value.tolist() if self.value is not None else [float("nan")] * size
        words = self.words.tolist() if self.words is not None else [-1] * size
        return self.person.tolist(), self.item.tolist(), self.action.tolist(), self.time.tolist(), value, words


class Pool:
    """Names are numbered as they come."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self._numbers: dict[str, int] = {}

    def number(self, name: str) -> int:
        known = self._numbers.get(name)
        if known is None:
            known = self._numbers[name] = len(self.names)
            self.names.append(name)
        return known

    def __contains__(self, name: str) -> bool:
        return name in self._numbers

    def __len__(self) -> int:
        return len(self.names)


class Gatherer:
    """Takes interactions in, one at a time, and keeps numbers. Items may be numbered that nobody touches."""

    def __init__(self) -> None:
        self.items = Pool()
        self._people, self._actions, self._words = Pool(), Pool(), Pool()
        self._person, self._item, self._action = array("i"), array("i"), array("h")
        self._time, self._value, self._said, self._place = array("d"), array("d"), array("i"), array("q")

    def add(self, event: Event, place: int | None = None) -> None:
        """Raises InvalidInput for an event without a person or an action, and where there are 32,768 actions."""
        if event.user is None or event.action is None:
            raise InvalidInput("needs a user and an action.", field="event", value=event.id, way_out="Send both.")
        if len(self._actions) >= _MOST_ACTIONS and event.action not in self._actions:
            raise InvalidInput("more actions than can be told apart.", field="action", value=event.action)
        self._person.append(self._people.number(event.user))
        self._item.append(self.items.number(event.item) if event.item is not None else -1)
        self._action.append(self._actions.number(event.action))
        self._time.append(event.time if event.time is not None else math.nan)
        if event.value is not None:
            _put(self._value, len(self), event.value, math.nan)
        if event.words is not None:
            _put(self._said, len(self), self._words.number(event.words), -1)
        if place is not None:
            _put(self._place, len(self), place, -1)

    def __len__(self) -> int:
        return len(self._person)

    def done(self) -> Journal:
        """All of it, in the order in which it came. Nothing can be added afterwards."""
        columns = Columns(
            person=np.frombuffer(self._person, np.int32),
            item=np.frombuffer(self._item, np.int32),
            action=np.frombuffer(self._action, np.int16),
            time=np.frombuffer(self._time, np.float64),
            value=_filled(self._value, len(self), math.nan),
            words=_filled(self._said, len(self), -1),
            place=_filled(self._place, len(self), -1),
        )
        return Journal(Pools(self._people.names, self.items.names, self._actions.names, self._words.names), columns)


def _put(column: array[Any], size: int, cell: float, nothing: float) -> None:
    """Into the last of ``size`` rows: a column begins where the first row has something in it."""
    if len(column) < size - 1:
        column.extend(array(column.typecode, [nothing]) * (size - 1 - len(column)))
    column.append(cell)


def _filled(column: array[Any], size: int, nothing: float) -> NDArray[Any] | None:
    """The whole column; None where no row has anything in it."""
    if not column:
        return None
    if len(column) < size:
        column.extend(array(column.typecode, [nothing]) * (size - len(column)))
    return np.frombuffer(column, column.typecode)


def journal(events: Iterable[Event]) -> Journal:
    """Events as arrays, in the order of time."""
    gatherer = Gatherer()
    for event in events:
        gatherer.add(event)
    return gatherer.done().in_time()
