"""What a tree says of an item, in the logic of Kleene (1952), for one person and moment."""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping
from typing import Any

from penchant.expressions.tree import (
    EXACT,
    FALSE,
    TRUE,
    UNKNOWN,
    And,
    Compared,
    Is,
    Known,
    Not,
    Of,
    Operand,
    Or,
    Told,
    Tree,
    Within,
    fields_of,
)

COMPARED = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
            "==": operator.eq, "!=": operator.ne}  # fmt: skip


def resolved(tree: Tree, person: Mapping[str, Any], context: Mapping[str, Any]) -> Tree:
    """The tree with all that does not depend on the item worked out; what is left of it shows fields of items alone."""
    match tree:
        case Compared(left, by, right):
            return _settled(Compared(_filled(left, person, context), by, _filled(right, person, context)))
        case Within(left, right):
            return _settled(Within(_filled(left, person, context), _filled(right, person, context)))
        case Told(of):
            return _settled(Told(_filled(of, person, context)))
        case Not(of):
            inner = resolved(of, person, context)
            return Known(TRUE - inner.truth) if isinstance(inner, Known) else Not(inner)
        case And(of):
            return _joined(And, [resolved(part, person, context) for part in of], FALSE)
        case Or(of):
            return _joined(Or, [resolved(part, person, context) for part in of], TRUE)
    return tree


def _joined(kind: type[And] | type[Or], parts: list[Tree], decides: int) -> Tree:
    """What is known already falls away, or decides."""
    known = [part.truth for part in parts if isinstance(part, Known)]
    left: list[Tree] = [part for part in parts if not isinstance(part, Known)]
    if decides in known or not left:
        return Known(min(known) if kind is And else max(known))
    if UNKNOWN in known:
        left.append(Known(UNKNOWN))
    return left[0] if len(left) == 1 else kind(tuple(left))


def _settled(tree: Compared | Within | Told) -> Tree:
    return tree if fields_of(tree) else Known(truth(tree, {}))


def _filled(operand: Operand, person: Mapping[str, Any], context: Mapping[str, Any]) -> Operand:
    if isinstance(operand, Is):
        if isinstance(operand.value, tuple):
            return Is(tuple(_filled(part, person, context) for part in operand.value))
        return operand
    if operand.whose == "item":
        return operand
    value = (person if operand.whose == "person" else context).get(operand.name)
    return Is(tuple(map(Is, value)) if isinstance(value, list) else value)


def truth(tree: Tree, fields: Mapping[str, Any]) -> int:
    """FALSE, UNKNOWN or TRUE for an item with these fields, of a tree that is `resolved` and asks nothing of `Seen`."""
    match tree:
        case Compared(left, by, right):
            return _comparison(_read(left, fields), by, _read(right, fields))
        case Within(left, right):
            return _membership(_read(left, fields), _read(right, fields))
        case Told(of):
            value = _read(of, fields)
            return UNKNOWN if not isinstance(value, bool) else TRUE if value else FALSE
        case Known(known):
            return known
        case Not(of):
            return TRUE - truth(of, fields)
        case And(of):
            return min(truth(part, fields) for part in of)
        case Or(of):
            return max(truth(part, fields) for part in of)
    raise TypeError(f"{tree}: who met what is not a matter of fields")


def _read(operand: Operand, fields: Mapping[str, Any]) -> Any:
    if isinstance(operand, Of):
        return fields.get(operand.name)
    return [_read(part, fields) for part in operand.value] if isinstance(operand.value, tuple) else operand.value


def _comparison(left: Any, by: str, right: Any) -> int:
    if not _comparable(left, right) or (isinstance(left, bool) and by not in ("==", "!=")):
        return UNKNOWN
    return TRUE if COMPARED[by](left, right) else FALSE


def _comparable(left: Any, right: Any) -> bool:
    """Both numbers, both texts, or both true or false."""
    for kind in (bool, str):
        if isinstance(left, kind) or isinstance(right, kind):
            return isinstance(left, kind) and isinstance(right, kind)
    return is_number(left) and is_number(right)


def _is_there(value: Any) -> bool:
    return isinstance(value, bool | str | list) or is_number(value)


def is_number(value: Any) -> bool:
    """NaN is none, nor is what a number of 64 bits cannot hold exactly: it may be equal to another one."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return not math.isnan(value) if isinstance(value, float) else abs(value) <= EXACT


def _membership(left: Any, holder: Any) -> int:
    """Of what is not there nothing is known; a list that is not there is empty, and one value is a list of one."""
    if isinstance(left, list) or not _is_there(left):
        return UNKNOWN
    if isinstance(holder, str):
        return UNKNOWN if not isinstance(left, str) else TRUE if left in holder else FALSE
    values = holder if isinstance(holder, list) else [holder] if _is_there(holder) else []
    return max((_same(left, value) for value in values), default=FALSE)


def _same(left: Any, value: Any) -> int:
    """Things of another kind are not the same; what is not there may be."""
    if not _is_there(value):
        return UNKNOWN
    return _comparison(left, "==", value) if _comparable(left, value) else FALSE
