"""Millions of interactions as arrays of numbers and pools of names; an `Event` exists while somebody looks at it.

A row costs 18 bytes (person, item and action as numbers, the time), and 12 more where events have words and values.
Ten million Python objects would cost ten times as much. A slice is a view: it shares the arrays and the pools.

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
_CHUNK = 8192


class Pools(NamedTuple):
    """Names by number."""

    people: list[str]
    items: list[str]
    actions: list[str]
    words: list[str]


class Interactions(Sequence[Event]):
    """``person``, ``item`` (-1: words alone), ``action``, ``words`` (-1: none): numbers [n] in the pools; ``value``
    [n], NaN for none; ``time`` [n], Unix seconds. ``first`` is the number of the first row, of which ids are made."""

    def __init__(self, pools: Pools, columns: Columns, first: int = 0) -> None:
        self.pools, self.columns, self.first = pools, columns, first

    @property
    def person(self) -> Ints:
        return self.columns.person

    @property
    def item(self) -> Ints:
        return self.columns.item

    @property
    def time(self) -> NDArray[np.float64]:
        return self.columns.time

    def in_time(self) -> Interactions:
        """By time; those of one moment keep their order."""
        if bool(np.all(self.time[1:] >= self.time[:-1])):
            return self
        return self.where(np.argsort(self.time, kind="stable"))

    def where(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> Interactions:
        """A copy of some rows, numbered anew."""
        return Interactions(self.pools, self.columns.at(rows))

    def of_people(self, chosen: NDArray[np.bool_]) -> Interactions:
        """The rows of the ``chosen`` [people]; the names of all others are forgotten."""
        kept = np.flatnonzero(chosen)
        number = np.cumsum(chosen, dtype=np.int32) - np.int32(1)
        columns = self.columns.at(chosen[self.person])
        pools = self.pools._replace(people=[self.pools.people[k] for k in kept.tolist()])
        return Interactions(pools, columns._replace(person=number[columns.person]))

    def bytes(self) -> int:
        """Of the arrays, without the pools."""
        return sum(column.nbytes for column in self.columns if column is not None)

    def __len__(self) -> int:
        return len(self.columns.person)

    @overload
    def __getitem__(self, rows: int) -> Event: ...
    @overload
    def __getitem__(self, rows: slice) -> Interactions: ...
    def __getitem__(self, rows: int | slice) -> Event | Interactions:
        if isinstance(rows, slice):
            start, _, step = rows.indices(len(self))
            if step != 1:
                raise ValueError(f"step={step}: ids are numbered along. Use where().")
            return Interactions(self.pools, self.columns.at(rows), self.first + start)
        row = range(len(self))[rows]
        return next(iter(self[row : row + 1]))

    def __iter__(self) -> Iterator[Event]:
        pools = self.pools
        for start in range(0, len(self), _CHUNK):  # a list of numbers is big: one chunk at a time
            part = self.columns.at(slice(start, start + _CHUNK)).lists()
            for row, (person, item, action, moment, value, words) in enumerate(zip(*part, strict=True), start):
                yield Event(
                    id=f"row-{self.first + row}",
                    time=moment,
                    user=pools.people[person],
                    action=pools.actions[action],
                    item=pools.items[item] if item >= 0 else None,
                    words=pools.words[words] if words >= 0 else None,
                    value=value if value == value else None,  # NaN is not itself
                )


class Columns(NamedTuple):
    """See `Interactions`; ``value`` and ``words`` are None where no row has any."""

    person: Ints
    item: Ints
    action: NDArray[np.int16]
    time: NDArray[np.float64]
    value: NDArray[np.float64] | None
    words: Ints | None

    def at(self, rows: slice | NDArray[np.int64] | NDArray[np.bool_]) -> Columns:
        return Columns(*(column[rows] if column is not None else None for column in self))  # type: ignore[arg-type]

    def lists(self) -> tuple[list[int], list[int], list[int], list[float], list[float], list[int]]:
        size = len(self.person)
        value = self.value.tolist() if self.value is not None else [float("nan")] * size
        words = self.words.tolist() if self.words is not None else [-1] * size
        return self.person.tolist(), self.item.tolist(), self.action.tolist(), self.time.tolist(), value, words


class Gatherer:
    """Takes interactions in, one at a time, and keeps numbers."""

    def __init__(self) -> None:
        self._people, self._items, self._actions, self._words = _Pool(), _Pool(), _Pool(), _Pool()
        self._person, self._item, self._action = array("i"), array("i"), array("h")
        self._time, self._value, self._said = array("d"), array("d"), array("i")

    def add(self, event: Event) -> None:
        """Raises InvalidInput for an event without a person, an action or a time."""
        if event.user is None or event.action is None or event.time is None:
            raise InvalidInput(
                "needs a user, an action and a time.", field="event", value=event.id, way_out="Send all three."
            )
        self._person.append(self._people.number(event.user))
        self._item.append(self._items.number(event.item) if event.item is not None else -1)
        self._action.append(self._actions.number(event.action))
        self._time.append(event.time)
        if event.value is not None:
            _fill(self._value, len(self) - 1, math.nan)
            self._value.append(event.value)
        if event.words is not None:
            _fill(self._said, len(self) - 1, -1)
            self._said.append(self._words.number(event.words))

    def __len__(self) -> int:
        return len(self._person)

    def done(self) -> Interactions:
        """All of it, in the order of time. Nothing can be added afterwards."""
        pools = Pools(self._people.names, self._items.names, self._actions.names, self._words.names)
        if self._value:
            _fill(self._value, len(self), math.nan)
        if self._said:
            _fill(self._said, len(self), -1)
        columns = Columns(
            person=np.frombuffer(self._person, np.int32),
            item=np.frombuffer(self._item, np.int32),
            action=np.frombuffer(self._action, np.int16),
            time=np.frombuffer(self._time, np.float64),
            value=np.frombuffer(self._value, np.float64) if self._value else None,
            words=np.frombuffer(self._said, np.int32) if self._said else None,
        )
        return Interactions(pools, columns).in_time()


class _Pool:
    def __init__(self) -> None:
        self.names: list[str] = []
        self._numbers: dict[str, int] = {}

    def number(self, name: str) -> int:
        known = self._numbers.get(name)
        if known is None:
            known = self._numbers[name] = len(self.names)
            self.names.append(name)
        return known


def _fill(column: array[Any], size: int, nothing: float) -> None:
    """Up to so many rows with nothing in them: a column begins where the first row has something in it."""
    if len(column) < size:
        column.extend(array(column.typecode, [nothing]) * (size - len(column)))


def interactions(events: Iterable[Event]) -> Interactions:
    """Events as arrays, in the order of time."""
    gatherer = Gatherer()
    for event in events:
        gatherer.add(event)
    return gatherer.done()
