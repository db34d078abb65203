"""What a rule is made of: a tree of comparisons over fields, and what is asked about it as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec import Struct

FALSE, UNKNOWN, TRUE = 0, 1, 2  # so that `and` is the least, `or` the most, and `not` 2 less it
EXACT = 2**53  # beyond it, two numbers may be one in 64 bits


class Of(Struct, frozen=True):
    """A field: ``whose`` is "item", "person" or "context"."""

    whose: str
    name: str


class Is(Struct, frozen=True):
    """A value (None: it is not there), or a tuple of operands: a list as it was written."""

    value: Any


Operand = Of | Is


class Compared(Struct, frozen=True):
    left: Operand
    by: str
    right: Operand


class Within(Struct, frozen=True):
    """Whether ``right``, a list or a text, holds ``left``."""

    left: Operand
    right: Operand


class Seen(Struct, frozen=True):
    """Whether the person met the item within so many ``seconds`` (None: ever), by an ``action`` (None: any)."""

    seconds: float | None = None
    action: str | None = None


class Told(Struct, frozen=True):
    """A field that must be `true`."""

    of: Operand


class Known(Struct, frozen=True):
    """What does not depend on the item: FALSE, UNKNOWN or TRUE."""

    truth: int


class Not(Struct, frozen=True):
    of: Tree


class And(Struct, frozen=True):
    of: tuple[Tree, ...]


class Or(Struct, frozen=True):
    of: tuple[Tree, ...]


Tree = Compared | Within | Seen | Told | Known | Not | And | Or


def fields_of(tree: Tree, whose: str = "item") -> set[str]:
    """Names of the fields of items (or "person", or "context") that a tree reads."""
    return {of.name for of in _fields(tree) if of.whose == whose}


def _fields(part: Tree | Operand) -> Iterator[Of]:
    match part:
        case Of():
            yield part
        case Compared(left, _, right) | Within(left, right):
            yield from _fields(left)
            yield from _fields(right)
        case Told(of) | Not(of):
            yield from _fields(of)
        case And(of) | Or(of) | Is(tuple() as of):
            for one in of:
                yield from _fields(one)


def asks_seen(tree: Tree) -> bool:
    """Whether it asks what the person met."""
    match tree:
        case Seen():
            return True
        case Not(of):
            return asks_seen(of)
        case And(of) | Or(of):
            return any(map(asks_seen, of))
    return False
