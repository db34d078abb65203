"""From the text of a rule to its tree; what cannot be read, or can never be true, is refused with its column."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NoReturn, cast

import lark

from penchant.errors import InvalidInput
from penchant.expressions.tree import (
    EXACT,
    And,
    Compared,
    Is,
    Not,
    Of,
    Operand,
    Or,
    Seen,
    Told,
    Tree,
    Within,
    fields_of,
)

LONGEST, DEEPEST = 4000, 64  # characters; parts within parts
_KEPT = 1024  # trees of rules
_WAY_OUT = 'Write, say: price < 50 and "drama" in genres and not seen(30d).'
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}

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


@lru_cache(maxsize=_KEPT)
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


@lru_cache(maxsize=_KEPT)
def fields_read(text: str, whose: str = "item") -> frozenset[str]:
    """Names of the fields of items (or "person", or "context") that an expression reads. Raises as `parse` does."""
    return frozenset(fields_of(parse(text), whose))


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
    return int(number) if number.is_integer() and abs(number) <= EXACT else number


_parser = lark.Lark(_GRAMMAR, start="either", parser="lalr", propagate_positions=True, maybe_placeholders=False)
