"""Which candidates may not be shown, and why: seen before, not available, or outside the query's conditions.

A condition over fields of items becomes a mask over the whole catalogue, built from the fields on its first use, kept
while it is in use, and corrected when an item changes. So a query pays one look-up per candidate. Of a rule
(`expressions`) every part that asks of nothing but fields is one such mask; what a person met is asked each time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penchant.errors import InvalidInput
from penchant.expressions import TRUE, And, Not, Or, Seen, Tree, asks_seen, truth
from penchant.storage.catalogue import Row
from penchant.storage.state_store import grown
from penchant.types import Condition

Mask = NDArray[np.uint8]
Met = Callable[[float | None, str | None], NDArray[np.int32]]  # (seconds or ever, action or any) -> items, in no order
_Truth = Callable[[dict[str, Any]], int]  # of an item by its fields

REMOVED = {1: "seen", 2: "unavailable", 3: "condition"}
_MASKS = 256


def _nothing(seconds: float | None, action: str | None) -> NDArray[np.int32]:
    return np.empty(0, np.int32)


class Filters:
    """``rows()`` reads the whole catalogue; it is asked only when a condition is met for the first time."""

    def __init__(self, rows: Callable[[], Iterable[Row]]) -> None:
        self._rows = rows
        self._masks: dict[str, tuple[_Truth, Mask]] = {}

    def allowed(
        self, conditions: Sequence[Condition], items: int, rule: Tree | None = None, met: Met = _nothing
    ) -> Mask:
        """1 where an item meets every condition and the rule is true; empty where there is neither.

        ``rule`` is `resolved` for who asks; ``met`` says what that person met. Raises InvalidInput for a condition that
        is none.
        """
        masks = [self._mask(repr(one), partial(meets, check(one)), items) for one in conditions]
        if rule is not None:
            masks.append((self._truths(rule, items, met) == TRUE).view(np.uint8))
        if not masks:
            return np.empty(0, np.uint8)
        return masks[0] if len(masks) == 1 else np.bitwise_and.reduce(masks)

    def changed(self, rows: Sequence[Row]) -> None:
        """Correct the masks for items that were sent again or removed (no fields)."""
        for key, (truth_of, mask) in self._masks.items():
            for row in rows:
                if row.item >= len(mask):
                    mask = grown(mask, row.item + 1)
                    self._masks[key] = truth_of, mask
                mask[row.item] = truth_of(row.fields)

    def _truths(self, rule: Tree, items: int, met: Met) -> Mask:
        """FALSE, UNKNOWN or TRUE of every item."""
        if not asks_seen(rule):
            return self._mask(repr(rule), partial(truth, rule), items)
        match rule:
            case Seen(seconds, action):
                mask = np.zeros(items, np.uint8)
                found = met(seconds, action)
                mask[found[found < items]] = TRUE
                return mask
            case Not(of):
                return TRUE - self._truths(of, items, met)
            case And(of):
                least: Mask = np.minimum.reduce([self._truths(part, items, met) for part in of])
                return least
            case Or(of):
                most: Mask = np.maximum.reduce([self._truths(part, items, met) for part in of])
                return most
        raise TypeError(f"{rule}: no such part of a rule")

    def _mask(self, key: str, truth_of: _Truth, items: int) -> Mask:
        _, mask = self._masks.pop(key, (truth_of, None))
        if mask is None:
            mask = self._build(truth_of, items)
        if len(mask) < items:
            mask = grown(mask, items)
        self._masks[key] = truth_of, mask  # the one used last stands last
        if len(self._masks) > _MASKS:
            del self._masks[next(iter(self._masks))]
        return mask[:items]

    def _build(self, truth_of: _Truth, items: int) -> Mask:
        mask = np.zeros(items, np.uint8)
        for row in self._rows():
            if row.item < items:
                mask[row.item] = truth_of(row.fields)
        return mask


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
