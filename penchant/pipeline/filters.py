"""Which candidates may not be shown, and why: seen before, not available, or outside the query's conditions.

A condition over fields of items becomes a mask over the whole catalogue, built from the fields on its first use, kept
while it is in use, and corrected when an item changes. So a query pays one look-up per candidate. Of a rule
(`expressions`) every part that asks of nothing but fields is one such mask; what a person met is asked each time. Rules
that hold a person's own values come in many forms, so their masks are made from columns, which are read once; and what
changed is made up for when a rule is asked again, so that many rules cost an import nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from penchant.errors import InvalidInput
from penchant.expressions import (
    TRUE,
    And,
    Compared,
    Is,
    Known,
    Not,
    Of,
    Or,
    Seen,
    Told,
    Tree,
    Within,
    asks_seen,
    fields_of,
    truth,
)
from penchant.storage.catalogue import Row
from penchant.storage.columns import Column
from penchant.storage.state_store import grown
from penchant.types import Condition

T = TypeVar("T")
Mask = NDArray[np.uint8]
Met = Callable[[float | None, str | None], NDArray[np.int32]]  # (seconds or ever, action or any) -> items, in no order
_Truth = Callable[[dict[str, Any]], int]  # of an item by its fields

_NO_MASK = np.empty(0, np.uint8)
REMOVED = {1: "seen", 2: "unavailable", 3: "condition", 4: "cap"}
_MASKS, _COLUMNS = 256, 64
_FOLLOWED, _PATCHED = 100_000, 256  # changes that are remembered; that a mask is corrected by, and not built again
_TURNED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}  # a comparison read from its other side


class Reading:
    """Columns that are read beside the ones in use, and what changed meanwhile."""

    def __init__(self, columns: dict[str, Column], rows: Callable[[], Iterable[Row]]) -> None:
        self.columns, self._rows = columns, rows
        self.changed: list[Row] = []

    def run(self) -> None:
        _put(self.columns, self._rows())


def _put(columns: Mapping[str, Column], rows: Iterable[Row]) -> None:
    for row in rows:
        for name, column in columns.items():
            column.put(row.item, row.fields.get(name))


def _nothing(seconds: float | None, action: str | None) -> NDArray[np.int32]:
    return np.empty(0, np.int32)


class Filters:
    """``rows()`` reads the whole catalogue; it is asked only when a condition is met for the first time."""

    def __init__(self, rows: Callable[[], Iterable[Row]]) -> None:
        self._rows = rows
        self._masks: dict[str, tuple[_Truth, Mask]] = {}
        self._ruled: dict[str, tuple[Mask, int]] = {}  # a mask, and how many of the changes it has taken in
        self._changes: list[int] = []  # items
        self._columns: dict[str, Column] = {}
        self._beside: list[Reading] = []

    def allowed(
        self, conditions: Sequence[Condition], items: int, rule: Tree | None = None, met: Met = _nothing
    ) -> Mask:
        """1 where an item meets every condition and the rule is true; empty where there is neither.

        ``rule`` is `resolved` for who asks; ``met`` says what that person met. Raises InvalidInput for a condition that
        is none.
        """
        masks = [self._condition(check(one), items) for one in conditions]
        if rule is not None:
            masks.append((self._truths(rule, items, met) == TRUE).view(np.uint8))
        if not masks:
            return np.empty(0, np.uint8)
        return masks[0] if len(masks) == 1 else np.bitwise_and.reduce(masks)

    def _condition(self, condition: Condition, items: int) -> Mask:
        truth_of: _Truth = partial(meets, condition)
        key = repr(condition)
        kept = self._masks.pop(key, None)
        mask = self._scanned(truth_of, items) if kept is None else _as_long(kept[1], items)
        _keep(self._masks, key, (truth_of, mask), _MASKS)
        return mask[:items]

    def changed(self, rows: Sequence[Row]) -> None:
        """Take in items that were sent again or removed (no fields)."""
        for reading in self._beside:
            reading.changed.extend(rows)
        _put(self._columns, rows)
        for key, (truth_of, mask) in self._masks.items():
            for row in rows:
                mask = _as_long(mask, row.item + 1)
                mask[row.item] = truth_of(row.fields)
            self._masks[key] = truth_of, mask
        self._changes.extend(row.item for row in rows)
        if len(self._changes) > _FOLLOWED:
            self._changes.clear()
            self._ruled.clear()

    def unread(self, names: Iterable[str]) -> set[str]:
        """Those of the fields of which there is no column."""
        return {name for name in names if name not in self._columns}

    def nowhere(self, names: Iterable[str]) -> list[str]:
        """Those of the fields read before that no item has: misspelt, or not sent yet."""
        return sorted(name for name in names if name in self._columns and self._columns[name].empty)

    def begin(self, names: Iterable[str]) -> Reading:
        """Columns of these fields, to be read beside those in use (`Reading.run`, which needs no lock).

        What changes from now on is followed, until they are taken over (`adopt`), or not (`give_up`).
        """
        reading = Reading({name: Column() for name in names}, self._rows)
        self._beside.append(reading)
        return reading

    def give_up(self, reading: Reading) -> None:
        self._beside.remove(reading)

    def adopt(self, reading: Reading) -> None:
        self.give_up(reading)
        _put(reading.columns, reading.changed)
        for name, column in reading.columns.items():
            _keep(self._columns, name, column, _COLUMNS)

    def value(self, name: str, item: int) -> Any:
        """The value of a field of an item, as rules read it; None where it has none."""
        return self._column(name).value(item)

    def _truths(self, rule: Tree, items: int, met: Met) -> Mask:
        """FALSE, UNKNOWN or TRUE of every item."""
        if not asks_seen(rule):
            return self._followed(rule, items)
        if isinstance(rule, Seen):
            mask = np.zeros(items, np.uint8)
            found = met(rule.seconds, rule.action)
            mask[found[found < items]] = TRUE
            return mask
        return _joined(rule, lambda part: self._truths(part, items, met))

    def _followed(self, rule: Tree, items: int) -> Mask:
        """A mask of items 0..n-1 that was asked for before, with what changed since, or a new one."""
        key = repr(rule)
        mask, upto = self._ruled.pop(key, (_NO_MASK, 0))
        changed = set(self._changes[upto:])
        if mask is _NO_MASK or len(changed) > _PATCHED:
            mask = self._of_fields(rule, items)
        else:
            mask = _as_long(mask, max(items, *(item + 1 for item in changed), 0))
            columns = {name: self._column(name) for name in fields_of(rule)} if changed else {}
            for item in changed:
                mask[item] = truth(rule, {name: column.value(item) for name, column in columns.items()})
        _keep(self._ruled, key, (mask, len(self._changes)), _MASKS)
        return mask[:items]

    def _of_fields(self, rule: Tree, items: int) -> Mask:
        """The same of a rule that asks of nothing but fields of items."""
        match rule:
            case Known(known):
                return np.full(items, known, np.uint8)
            case Not() | And() | Or():
                return _joined(rule, lambda part: self._of_fields(part, items))
            case Told(Of(_, name)):
                return self._column(name).told(items)
            case Compared(Of(_, name), by, Is(value)):
                return self._column(name).compared(by, value, items)
            case Compared(Is(value), by, Of(_, name)):
                return self._column(name).compared(_TURNED.get(by, by), value, items)
            case Within(Is(value), Of(_, name)) if not isinstance(value, tuple):
                return self._column(name).holds(value, items)
            case Within(Of(_, name), Is(str() as text)):
                return self._column(name).inside(text, items)
            case Within(Of(_, name), Is(tuple() as values)) if all(isinstance(one, Is) for one in values):
                return self._column(name).among([one.value for one in values], items)
        columns = {name: self._column(name) for name in fields_of(rule)}  # two fields of the same item
        each = ({name: column.value(item) for name, column in columns.items()} for item in range(items))
        return np.fromiter((truth(rule, fields) for fields in each), np.uint8, items)

    def _column(self, name: str) -> Column:
        column = self._columns.pop(name, None)
        if column is None:
            column = Column()
            _put({name: column}, self._rows())
        _keep(self._columns, name, column, _COLUMNS)
        return column

    def _scanned(self, truth_of: _Truth, items: int) -> Mask:
        mask = np.zeros(items, np.uint8)
        for row in self._rows():
            if row.item < items:
                mask[row.item] = truth_of(row.fields)
        return mask


def _keep(into: dict[str, T], key: str, what: T, most: int) -> None:
    """What is used last stands last, and what was not used for longest goes."""
    into[key] = what
    if len(into) > most:
        del into[next(iter(into))]


def _as_long(mask: Mask, items: int) -> Mask:
    return mask if len(mask) >= items else grown(mask, items)


def _joined(rule: Tree, truths: Callable[[Tree], Mask]) -> Mask:
    match rule:
        case Not(of):
            return TRUE - truths(of)
        case And(of):
            least: Mask = np.minimum.reduce([truths(part) for part in of])
            return least
        case Or(of):
            most: Mask = np.maximum.reduce([truths(part) for part in of])
            return most
    raise TypeError(f"{rule}: no such part of a rule")


def check(condition: Condition) -> Condition:
    bounds = condition.low is not None or condition.high is not None
    if bounds == (condition.equals is not None):
        raise InvalidInput(
            "needs either a value or a range.",
            field="where",
            value=condition.field,
            way_out="Write FIELD=VALUE, or FIELD=LOW..HIGH with one end left out perhaps.",
        )
    return condition


def meets(condition: Condition, fields: dict[str, Any]) -> bool:
    value = fields.get(condition.field)
    if condition.equals is None:
        return _within(value, condition)
    values = value if isinstance(value, list) else [value]
    return any(_same(one, condition.equals) for one in values)


def _within(value: Any, condition: Condition) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    low = -np.inf if condition.low is None else condition.low
    return bool(low <= value <= (np.inf if condition.high is None else condition.high))


def _same(value: Any, asked: object) -> bool:
    if isinstance(value, bool) or isinstance(asked, bool):
        return str(value).lower() == str(asked).lower() and value is not None
    if isinstance(value, int | float) and isinstance(asked, str):
        return asked in (str(value), f"{value:.15g}")
    return bool(value == asked)


def parse(text: str) -> Condition:
    """``genres=Comedy`` or ``year=1990..1999`` (either end may be left out). Raises InvalidInput."""
    field, separator, value = text.partition("=")
    if not separator or not field.strip() or not value.strip():
        raise InvalidInput(
            "is not a condition.", field="where", value=text, way_out="Write FIELD=VALUE or FIELD=LOW..HIGH."
        )
    low, dots, high = value.strip().partition("..")
    if not dots:
        return Condition(field.strip(), equals=value.strip())
    try:
        bounds = [float(end) if end else None for end in (low, high)]
    except ValueError:
        raise InvalidInput(
            "is not a range of numbers.",
            field="where",
            value=text,
            way_out="Write FIELD=LOW..HIGH, year=1990..1999 say.",
        ) from None
    return check(Condition(field.strip(), low=bounds[0], high=bounds[1]))
