"""A field of all items as arrays, so that a comparison with all of them is one pass and not a loop over dictionaries.

A column holds what kind of value each item has, its number or the code of its text; of lists, which items hold what.
Every question is answered with the truths of `expressions`, and as `expressions.truth` would answer it, item by item.

Does not know: rules, or where the fields come from.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penchant.expressions import COMPARED, FALSE, TRUE, UNKNOWN, is_number
from penchant.storage.state_store import grown

Truths = NDArray[np.uint8]

_NOTHING, _NUMBER, _TEXT, _BOOL, _LIST = range(5)


class Column:
    """One field; items that never had it have nothing."""

    def __init__(self) -> None:
        self._kind = np.zeros(0, np.uint8)
        self._number = np.zeros(0)
        self._code = np.zeros(0, np.int32)
        self._codes: dict[str, int] = {}
        self._texts: list[str] = []
        self._lists: dict[int, list[Any]] = {}
        self._holders: dict[tuple[int, Any], set[int]] = {}  # (kind, value) -> items whose list holds it
        self._doubtful: set[int] = set()  # items whose list holds what is nothing

    def put(self, item: int, value: Any) -> None:
        """What an item has now; what is none of these kinds, None and NaN among it, is nothing."""
        if item >= len(self._kind):
            room = max(item + 1, len(self._kind) * 3 // 2, 256)
            self._kind, self._number, self._code = (grown(of, room) for of in (self._kind, self._number, self._code))
        self._leave(item)
        kind = _kind(value)
        self._kind[item] = kind
        if kind in (_NUMBER, _BOOL):
            self._number[item] = value
        elif kind == _TEXT:
            self._code[item] = self._coded(value)
        elif kind == _LIST:
            self._enter(item, value)

    @property
    def empty(self) -> bool:
        """Whether no item has anything."""
        return not self._kind.any()

    def value(self, item: int) -> Any:
        """What was put; None for nothing."""
        kind = int(self._kind[item]) if item < len(self._kind) else _NOTHING
        if kind == _TEXT:
            return self._texts[self._code[item]]
        if kind == _LIST:
            return self._lists[item]
        return None if kind == _NOTHING else bool(self._number[item]) if kind == _BOOL else float(self._number[item])

    def compared(self, by: str, value: Any, items: int) -> Truths:
        """``item by value`` of items 0..n-1; unknown where they cannot be compared."""
        out, kind = np.full(items, UNKNOWN, np.uint8), _kind(value)
        if kind == _TEXT:
            self._put_texts(out, [COMPARED[by](text, value) for text in self._texts])
        elif kind == _NUMBER or (kind == _BOOL and by in ("==", "!=")):
            rows = self._of(kind, items)
            out[rows] = np.where(COMPARED[by](self._number[rows], value), TRUE, FALSE)
        return out

    def among(self, values: Sequence[Any], items: int) -> Truths:
        """Whether the item's value is one of these; unknown where it has none, or a list, or where one of them is."""
        out = np.full(items, UNKNOWN, np.uint8)
        for kind in (_NUMBER, _TEXT, _BOOL):
            out[self._of(kind, items)] = _unless(values)
        for value in values:
            if _kind(value) != _NOTHING:
                out[self.compared("==", value, items) == TRUE] = TRUE
        return out

    def inside(self, text: str, items: int) -> Truths:
        """Whether the item's value is a part of this text; unknown where it is no text."""
        out = np.full(items, UNKNOWN, np.uint8)
        self._put_texts(out, [one in text for one in self._texts])
        return out

    def holds(self, value: Any, items: int) -> Truths:
        """Whether the item's list, or text, holds a value; of an item that has neither a list nor a value: no."""
        kind = _kind(value)
        if kind in (_NOTHING, _LIST):
            return np.full(items, UNKNOWN, np.uint8)
        out = np.full(items, FALSE, np.uint8)
        if kind == _TEXT:
            self._put_texts(out, [value in text for text in self._texts])
        else:
            out[self._of(_TEXT, items)] = UNKNOWN
            out[self.compared("==", value, items) == TRUE] = TRUE
        for held, truth in ((self._doubtful, UNKNOWN), (self._holders.get((kind, value), ()), TRUE)):
            rows = np.fromiter(held, np.int64, len(held))
            out[rows[rows < items]] = truth
        return out

    def told(self, items: int) -> Truths:
        """Whether it is `true`; unknown where it is neither true nor false."""
        return self.compared("==", True, items)

    def _enter(self, item: int, held: list[Any]) -> None:
        self._lists[item] = held
        for one in held:
            kind = _kind(one)
            if kind == _NOTHING:
                self._doubtful.add(item)
            elif kind != _LIST:
                self._holders.setdefault((kind, one), set()).add(item)

    def _leave(self, item: int) -> None:
        self._doubtful.discard(item)
        for one in self._lists.pop(item, ()):
            kind = _kind(one)
            holders = self._holders.get((kind, one)) if kind in (_NUMBER, _TEXT, _BOOL) else None
            if holders is not None:
                holders.discard(item)
                if not holders:
                    del self._holders[kind, one]

    def _coded(self, text: str) -> int:
        """The code of a text. Texts that no item has any more are forgotten now and then: some change all the time."""
        if text not in self._codes:
            if len(self._texts) >= 2 * len(self._kind):
                used, codes = np.unique(self._code[self._kind == _TEXT], return_inverse=True)
                self._code[self._kind == _TEXT] = codes
                self._texts = [self._texts[code] for code in used.tolist()]
                self._codes = {known: code for code, known in enumerate(self._texts)}
            self._codes[text] = len(self._texts)
            self._texts.append(text)
        return self._codes[text]

    def _of(self, kind: int, items: int) -> NDArray[np.int64]:
        return np.flatnonzero(self._kind[:items] == kind)

    def _put_texts(self, out: Truths, found: Sequence[bool]) -> None:
        rows = self._of(_TEXT, len(out))
        if len(rows):
            out[rows] = np.where(found, TRUE, FALSE).astype(np.uint8)[self._code[rows]]


def _unless(values: Sequence[Any]) -> int:
    """What is not among these: one that is nothing might have been it."""
    return UNKNOWN if any(_kind(one) == _NOTHING for one in values) else FALSE


def _kind(value: Any) -> int:
    if isinstance(value, bool):
        return _BOOL
    if isinstance(value, int | float):
        return _NUMBER if is_number(value) else _NOTHING
    return _TEXT if isinstance(value, str) else _LIST if isinstance(value, list) else _NOTHING
