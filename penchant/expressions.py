"""A small language for rules: which items may be shown, by what they are, who asks, and where.

    price < 50 and "drama" in genres and not seen(30d)
    language in ["en", person.language] and (age_limit <= person.age or kids)

What stands alone is a field of the item; `person.NAME` is a field of who asks, `context.NAME` what was said of the
moment. A truth is true, false or unknown, as in SQL (Kleene 1952): a comparison with something that is not there, or
of things that cannot be compared, is unknown; so is its `not`; and only what is true is shown. So a rule never lets
through more than it says. A list that is not there is empty, though: an item without tags does not have the tag.

    parse(text)                        -> a tree; raises InvalidInput that names the column
    resolved(tree, person, context)    -> the same for one person and moment: fields of items are left
    truth(tree, fields)                -> FALSE, UNKNOWN or TRUE of an item

Does not know: items by number, masks, or where anything is kept (`pipeline.filters`).
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NoReturn, cast

import lark
from msgspec import Struct

from penchant.errors import InvalidInput

FALSE, UNKNOWN, TRUE = 0, 1, 2  # so that `and` is the least, `or` the most, and `not` 2 less it
_EXACT = 2**53
LONGEST, DEEPEST = 4000, 64  # characters; parts within parts
_WAY_OUT = 'Write, say: price < 50 and "drama" in genres and not seen(30d).'
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
COMPARED = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
             "==": operator.eq, "!=": operator.ne}  # fmt: skip

_GRAMMAR = r"""
?start: either
?either: both (_OR both)*
?both: unless (_AND unless)*
?unless: _NOT unless -> negated | truth
?truth: value | comparison | within | "(" either ")"
comparison: value OPERATOR value (OPERATOR value)?
within: value _IN value | value _NOT _IN value -> outside
?value: field | literal | list | call
field: NAME ("." NAME)?
call: NAME "(" [literal ("," literal)*] ")"
list: "[" [value ("," value)*] "]"
literal: DURATION | NUMBER | STRING | TRUTH

_OR.2: /or\b/i
_AND.2: /and\b/i
_NOT.2: /not\b/i
_IN.2: /in\b/i
TRUTH.2: /(true|false)\b/i
OPERATOR: "<=" | ">=" | "==" | "!=" | "<" | ">" | "="
DURATION.2: /[0-9]+(\.[0-9]+)?[smhdw]\b/
NUMBER.1: /-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?\b/
STRING: /"(\\.|[^"\\])*"|'(\\.|[^'\\])*'/
NAME: /[^\W\d]\w*/ | /`[^`]+`/
%ignore /\s+/
"""
_SAID = {
    "OPERATOR": "a comparison (<, <=, ==, !=, >=, >)", "NAME": "a field", "STRING": "text in quotes",
    "NUMBER": "a number", "DURATION": "a time as 30d", "TRUTH": "true or false", "LPAR": "(", "RPAR": ")",
    "LSQB": "[", "RSQB": "]", "COMMA": ",", "DOT": ".", "_AND": "and", "_OR": "or", "_NOT": "not", "_IN": "in",
    "$END": "the end",
}  # fmt: skip


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


# -- from text to a tree -----------------------------------------------------------------------------------------------


@lru_cache(maxsize=1024)
def parse(text: str) -> Tree:
    """The tree of an expression. Raises InvalidInput that names the column, what stands there, and what could."""
    if len(text) > LONGEST:
        _refuse(text, f"is longer than {LONGEST:,} characters.")
    try:
        parsed = _parser.parse(text)
    except lark.exceptions.UnexpectedCharacters as error:
        _refuse(text, f"column {error.column}: {text[error.pos_in_stream :][:1]!r} is not understood here.")
    except lark.exceptions.UnexpectedToken as error:
        at = len(text) + 1 if error.token.type == "$END" else error.column
        there = "it ends" if error.token.type == "$END" else f"{str(error.token)!r} stands"
        wanted = sorted({_SAID[name] for name in error.accepts or error.expected if name in _SAID} - {"("})
        _refuse(text, f"column {at}: {there} where {_listed(wanted)} should.")
    try:
        return _Reader(text).read(parsed)
    except RecursionError:  # thousands of brackets
        _refuse(text, f"has more than {DEEPEST} parts within parts.")


def _refuse(text: str, what: str) -> NoReturn:
    raise InvalidInput(what, field="filter", value=text, way_out=_WAY_OUT) from None


def _listed(words: Sequence[str]) -> str:
    return f"{', '.join(words[:-1])} or {words[-1]}" if len(words) > 1 else "".join(words)


class _Reader:
    """Makes the tree of what was parsed, and refuses what can never be true."""

    def __init__(self, text: str) -> None:
        self._text = text

    def read(self, node: lark.Tree[Any], depth: int = 0) -> Tree:
        if depth > DEEPEST:
            _refuse(self._text, f"has more than {DEEPEST} parts within parts.")
        kind, parts = str(node.data), node.children
        if kind in ("either", "both"):
            of = tuple(self.read(part, depth + 1) for part in parts)
            return Or(of) if kind == "either" else And(of)
        if kind == "negated":
            return Not(self.read(parts[0], depth + 1))
        if kind == "comparison":
            return self._comparison(parts)
        if kind in ("within", "outside"):
            found = Within(self._operand(parts[0]), self._holder(parts[1]))
            return found if kind == "within" else Not(found)
        if kind == "call":
            return self._call(node)
        operand = self._operand(node)
        if isinstance(operand, Of) or isinstance(operand.value, bool):
            return Told(operand)
        return self._fail(node, "is neither true nor false")

    def _comparison(self, parts: Sequence[Any]) -> Tree:
        found = tuple(self._compared(*parts[k : k + 3]) for k in range(0, len(parts) - 2, 2))
        return found[0] if len(found) == 1 else And(found)

    def _compared(self, left: lark.Tree[Any], by: lark.Token, right: lark.Tree[Any]) -> Compared:
        sides = self._operand(left), self._operand(right)
        for node, side in zip((left, right), sides, strict=True):
            if isinstance(side, Is) and isinstance(side.value, tuple):
                self._fail(node, "is a list: write `field in [...]`")
            if isinstance(side, Is) and isinstance(side.value, bool) and by not in ("=", "==", "!="):
                self._fail(node, f"is neither more nor less than anything: `{by}` compares numbers, or texts")
        kinds = {type(side.value) in (int, float) for side in sides if isinstance(side, Is)}
        if len(kinds) == 2:
            self._fail(right, f"cannot be compared with {self._shown(left)}: one is a number, and one is not")
        return Compared(sides[0], "==" if by == "=" else str(by), sides[1])

    def _holder(self, node: lark.Tree[Any]) -> Operand:
        holder = self._operand(node)
        if isinstance(holder, Is) and not isinstance(holder.value, tuple | str):
            self._fail(node, "holds nothing: after `in` comes a field, a list in [] or a text")
        return holder

    def _operand(self, node: lark.Tree[Any]) -> Operand:
        kind, parts = str(node.data), node.children
        if kind == "field":
            names = [str(part).strip("`") for part in parts]
            if len(names) == 1:
                return Of("item", names[0])
            if names[0] in ("item", "person", "context"):
                return Of(names[0], names[1])
            self._fail(node, "belongs to nobody known: before the dot stands item, person or context")
        if kind == "list":
            return Is(tuple(self._operand(part) for part in parts))
        if kind == "literal":
            return Is(_value(cast(lark.Token, parts[0])))
        return self._fail(node, "is no value that can be compared")

    def _call(self, node: lark.Tree[Any]) -> Seen:
        name, *given = node.children
        if name != "seen":
            self._fail(node, 'is not known: there is seen(), seen(30d) and seen(30d, "buy")')
        seconds, action = None, None
        for part in given:
            value = self._operand(part)
            if not isinstance(value, Is) or isinstance(value.value, bool):
                self._fail(part, "is neither a time as 30d nor an action in quotes")
            if isinstance(value.value, str) and action is None:
                action = value.value
            elif not isinstance(value.value, str) and seconds is None and value.value >= 0:
                seconds = float(value.value)
            else:
                self._fail(part, "is one too much: seen takes a time as 30d, and an action in quotes")
        return Seen(seconds, action)

    def _shown(self, node: lark.Tree[Any]) -> str:
        return self._text[node.meta.start_pos : node.meta.end_pos]

    def _fail(self, node: lark.Tree[Any], what: str) -> NoReturn:
        _refuse(self._text, f"column {node.meta.column}: {self._shown(node)} {what}.")


def _value(token: lark.Token) -> str | float | bool:
    if token.type == "STRING":
        return re.sub(r"\\(.)", r"\1", str(token)[1:-1])
    if token.type == "TRUTH":
        return str(token).lower() == "true"
    if token.type == "DURATION":
        return float(token[:-1]) * _SECONDS[token[-1]]
    number = float(token)
    return int(number) if number.is_integer() and abs(number) <= _EXACT else number


_parser = lark.Lark(_GRAMMAR, start="either", parser="lalr", propagate_positions=True, maybe_placeholders=False)


# -- from a tree to a truth --------------------------------------------------------------------------------------------


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
    return tree if _asks_items(tree) else Known(truth(tree, {}))


def _asks_items(tree: Compared | Within | Told) -> bool:
    operands = [tree.of] if isinstance(tree, Told) else [tree.left, tree.right]
    return any(_of_item(operand) for operand in operands)


def _of_item(operand: Operand) -> bool:
    if isinstance(operand, Of):
        return operand.whose == "item"
    return isinstance(operand.value, tuple) and any(map(_of_item, operand.value))


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
    return not math.isnan(value) if isinstance(value, float) else abs(value) <= _EXACT


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


def fields_of(tree: Tree) -> set[str]:
    """Names of the fields of items that a tree reads."""
    match tree:
        case Compared(left, _, right) | Within(left, right):
            return _items_in(left) | _items_in(right)
        case Told(of):
            return _items_in(of)
        case Not(of):
            return fields_of(of)
        case And(of) | Or(of):
            return set().union(*map(fields_of, of))
    return set()


def _items_in(operand: Operand) -> set[str]:
    return {one.name for one in _leaves(operand) if isinstance(one, Of) and one.whose == "item"}


def _leaves(operand: Operand) -> Iterator[Operand]:
    if isinstance(operand, Is) and isinstance(operand.value, tuple):
        for part in operand.value:
            yield from _leaves(part)
    else:
        yield operand


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
