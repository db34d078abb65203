"""Which candidates may not be shown, and why: seen before, not available, or outside the query's conditions.

A condition over an item field becomes a mask over the whole catalogue, built from the fields on its first use, kept
while it is in use, and corrected when an item changes. So a query pays one look-up per candidate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penchant.errors import InvalidInput
from penchant.storage.catalogue import Row
from penchant.storage.state_store import grown
from penchant.types import Condition

Mask = NDArray[np.uint8]
_Key = tuple[Condition, type]  # as a key alone, 1 and True are the same

REMOVED = {1: "seen", 2: "unavailable", 3: "condition"}
_MASKS = 256


class Filters:
    """``rows()`` reads the whole catalogue; it is asked only when a condition is met for the first time."""

    def __init__(self, rows: Callable[[], Iterable[Row]]) -> None:
        self._rows = rows
        self._masks: dict[_Key, Mask] = {}

    def allowed(self, conditions: Sequence[Condition], items: int) -> Mask:
        """1 where an item meets every condition; empty where there is none. Raises InvalidInput for a broken one."""
        if not conditions:
            return np.empty(0, np.uint8)
        masks = [self._mask(condition, items) for condition in conditions]
        return masks[0][:items] if len(masks) == 1 else np.bitwise_and.reduce([mask[:items] for mask in masks])

    def changed(self, rows: Sequence[Row]) -> None:
        """Correct the masks for items that were sent again or removed (no fields)."""
        for key, mask in self._masks.items():
            condition = key[0]
            for row in rows:
                if row.item >= len(mask):
                    mask = self._masks[key] = grown(mask, row.item + 1)
                mask[row.item] = meets(condition, row.fields)

    def _mask(self, condition: Condition, items: int) -> Mask:
        key = condition, type(condition.equals)
        mask = self._masks.pop(key, None)
        if mask is None:
            mask = self._build(check(condition), items)
        if len(mask) < items:
            mask = grown(mask, items)
        self._masks[key] = mask  # the one used last stands last
        if len(self._masks) > _MASKS:
            del self._masks[next(iter(self._masks))]
        return mask

    def _build(self, condition: Condition, items: int) -> Mask:
        mask = np.zeros(items, np.uint8)
        for row in self._rows():
            if row.item < items:
                mask[row.item] = meets(condition, row.fields)
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
