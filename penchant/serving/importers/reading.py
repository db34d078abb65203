"""Rows become events: one function is built for a part, with its columns looked up beforehand.

Notable: this is the inner loop of an import, so the builders are closures over column numbers, and a column that is
not there is the empty cell which is added to each row (number -1). A bad row is handed on with its reason; nothing
here raises for what a file holds.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from penchant.serving.importers.parts import (
    NOT_JSON,
    NOTHING,
    NUMBER,
    Bad,
    FieldKind,
    Layout,
    Part,
    Refused,
    Several,
    file_hash,
    text,
)
from penchant.serving.importers.records import Key, cells, rows
from penchant.serving.importers.times import UNITS, Clock, clock, guess_unit
from penchant.types import Event, Scalar

Build = Callable[[int, bytes], Event]
_CONTEXT = "context."
_BEYOND = 2**63  # what other programs do not take as a whole number
_EXACT = 2.0**53  # up to which a float holds every whole number
_DIGITS = 15  # of a whole number that every JSON reader keeps exactly
# What exports write for "nobody"; taken as a name, it would make one person of all of them.
_NOBODY = NOTHING | {"None", "none", "undefined"}


def read(part: Part) -> Iterator[tuple[int, Event | Refused]]:
    """(row number in the file from 1, what became of the row): items and users in file order, events in time order.

    A row whose time cannot be read comes at its place in a file that is in order, else at the end.
    """
    return made(part, file_hash(part.path).hex()[:12])


def made(part: Part, stamp: str) -> Iterator[tuple[int, Event | Refused]]:
    """`read` with the beginning of the ids given, so that a look at the first rows need not hash the file."""
    if part.layout.several is not None:
        yield from _several(part, part.layout.several(part, stamp))
        return
    build = _builder(part, stamp)
    one: Event | Refused
    for row, raw in rows(part, _key(part)):
        try:
            one = build(row, raw)
        except Bad as bad:
            one = _refused(row, raw, bad)
        yield row, one


def _several(part: Part, build: Several) -> Iterator[tuple[int, Event | Refused]]:
    for row, raw in rows(part, _key(part)):
        made: list[Event] | list[Refused]
        try:
            made = build(row, raw)
        except Bad as bad:
            made = [_refused(row, raw, bad)]
        yield from ((row, one) for one in made)


def _refused(row: int, raw: bytes, bad: Bad) -> Refused:
    return Refused(row, text(raw), bad.field, bad.value, bad.detail)


def column_of(word: str, mapping: Mapping[str, str], columns: Sequence[str]) -> str | None:
    """The column behind a word, without what is shown beside it: a time's unit, a constant in quotes."""
    told = mapping.get(word, "")
    if not told or told in columns:  # a column may have no name, as the row numbers that pandas writes
        return told or None
    column, _, unit = told.rpartition(" (")
    return column if word == "time" and unit.removesuffix(")") in UNITS and column in columns else None


def constant_of(word: str, mapping: Mapping[str, str]) -> str | None:
    """``"rate"`` in double quotes stands for the same value in every row."""
    told = mapping.get(word, "")
    return told[1:-1] if len(told) > 2 and told[0] == told[-1] == '"' else None


def row_values(raw: bytes, layout: Layout) -> list[Any]:
    """The row's cells in the order of the columns: text of a table, whatever JSON holds. Raises Bad."""
    if layout.delimiter:
        return list(cells(raw, layout))
    try:
        found = msgspec.json.decode(raw)
    except NOT_JSON as error:
        raise Bad("line", text(raw), f"not JSON: {error}") from None
    if not isinstance(found, dict):
        raise Bad("line", text(raw), "a JSON object is expected")
    return [found.get(column) for column in layout.columns]


def as_text(value: Any) -> str:
    """A cell as text; what JSON writes as a number keeps its digits, but 7.0 is 7, as ids beside empty cells come."""
    if isinstance(value, str):
        return value
    if type(value) is int:  # not bool, which JSON writes in its own way
        return str(value)
    if type(value) is float and value.is_integer() and abs(value) < _EXACT:
        return str(int(value))
    return "" if value is None else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _splitter(layout: Layout) -> Callable[[bytes], list[str]]:
    """Row -> its cells as text, and an empty one at the end for the columns that are not there."""
    width = len(layout.columns)

    def table(raw: bytes) -> list[str]:
        found = cells(raw, layout)
        if len(found) != width:
            raise Bad("columns", len(found), f"{width} columns are expected")
        found.append("")
        return found

    def lines(raw: bytes) -> list[str]:
        return [*map(as_text, row_values(raw, layout)), ""]

    return table if layout.delimiter else lines


def _builder(part: Part, stamp: str) -> Build:
    if not part.layout.columns:
        return _native(stamp)
    return _interactions(part, stamp) if part.what == "events" else _entries(part, stamp)


def _place(part: Part, word: str) -> int:
    column = column_of(word, part.mapping, part.layout.columns)
    return -1 if column is None else part.layout.columns.index(column)


def _key(part: Part) -> Key | None:
    """What events are put in order by; None where the order of the file stands."""
    if part.what != "events" or not part.layout.sort:
        return None
    if not part.layout.columns:
        return _native_key
    place = _place(part, "time")
    if place < 0:
        return None
    layout, tell = part.layout, clock(part.layout.unit)

    def key(raw: bytes) -> float:
        try:
            return tell(cells(raw, layout)[place] if layout.delimiter else as_text(row_values(raw, layout)[place]))
        except (ValueError, IndexError):
            return math.nan

    return key


def _interactions(part: Part, stamp: str) -> Build:
    words = ("user", "item", "words", "action", "value", "time", "id")
    user_at, item_at, words_at, action_at, value_at, time_at, id_at = (_place(part, word) for word in words)
    always, tell, split = constant_of("action", part.mapping), _teller(part), _splitter(part.layout)
    context = {word.removeprefix(_CONTEXT): _place(part, word) for word in part.mapping if word.startswith(_CONTEXT)}

    def build(row: int, raw: bytes) -> Event:
        found = split(raw)
        user, item, said = found[user_at].strip(), found[item_at].strip(), found[words_at].strip()
        if user in _NOBODY:
            raise Bad("user", user, "nobody is named")
        if item in _NOBODY:
            if not said:
                raise Bad("item", item, "no item is named")
            item = ""
        action = always or found[action_at].strip()
        if not action:
            raise Bad("action", action, "no action is named")
        return Event(
            id=found[id_at] or f"{stamp}:{row}",
            time=tell(found[time_at]),
            user=user,
            action=action,
            item=item or None,
            words=said or None,
            value=_value(found[value_at]),
            context=_context(found, context) if context else {},
        )

    return build


def _value(cell: str) -> float | None:
    if not cell or cell.isspace():
        return None
    try:
        value = float(cell)
    except ValueError:
        raise Bad("value", cell, "a number is expected") from None
    if not math.isfinite(value):
        raise Bad("value", cell, "a finite number is expected")
    return value


def _context(found: Sequence[str], places: Mapping[str, int]) -> dict[str, Scalar]:
    return {name: _number(found[place]) for name, place in places.items() if found[place] not in NOTHING}


def _teller(part: Part) -> Callable[[str], float | None]:
    if _place(part, "time") < 0:
        return lambda _: None
    tell: Clock = clock(part.layout.unit)
    expected = f"a time is expected ({part.layout.unit})"

    def strict(cell: str) -> float:
        try:
            return tell(cell)
        except (ValueError, OverflowError):
            other = guess_unit([cell])
            raise Bad("time", cell, f"{expected}, and this looks like {other}" if other else expected) from None

    return strict


def _entries(part: Part, stamp: str) -> Build:
    """Items or users: an id, perhaps a time, and all other columns as fields."""
    layout, item = part.layout, part.what == "items"
    word = "item" if item else "user"
    name_at, time_at, tell = _place(part, word), _place(part, "time"), _teller(part)
    width = len(layout.columns)
    kinds = [(layout.columns.index(column), column, kind) for column, kind in layout.kinds.items()]

    def build(row: int, raw: bytes) -> Event:
        found = row_values(raw, layout)
        if len(found) != width:
            raise Bad("columns", len(found), f"{width} columns are expected")
        name = as_text(found[name_at]).strip()
        if name in _NOBODY:
            raise Bad(word, name, f"no {word} is named")
        moment = as_text(found[time_at]) if time_at >= 0 else ""
        time = tell(moment) if moment not in NOTHING else None
        fields = {column: value for at, column, kind in kinds if (value := _cooked(found[at], kind)) is not None}
        if layout.finish:
            fields = layout.finish(name, fields)
        id = f"{stamp}:{row}"
        if item:
            return Event(kind="item", id=id, item=name, time=time, fields=fields)
        return Event(kind="user", id=id, user=name, time=time, fields=fields)

    return build


def _cooked(cell: Any, kind: FieldKind) -> Any:
    """A cell as a field: a number, a text or a list of them; None when there is nothing in it."""
    if not isinstance(cell, str):
        return _from_json(cell)
    cell = cell.strip()
    if cell in NOTHING:
        return None
    if kind == "list":
        return _listed(cell)
    if kind == "words":
        return cell.split()
    return _number(cell) if kind == "number" else cell


def _from_json(cell: Any) -> Any:
    if cell in (None, [], {}):
        return None
    if isinstance(cell, list) and all(isinstance(one, str | int | float) for one in cell):
        return [_from_json(one) for one in cell]
    too_big = isinstance(cell, int) and abs(cell) >= _BEYOND
    return as_text(cell) if too_big or isinstance(cell, list | dict) else cell


def _listed(cell: str) -> Any:
    if not cell.startswith("["):
        return [one.strip() for one in cell.split("|") if one.strip()] or None
    try:
        return _from_json(msgspec.json.decode(cell))
    except NOT_JSON:
        return cell


def _number(cell: str) -> Scalar:
    """A number as a number (whole ones as int), else the text as it is: 02460 is a code, 16 digits are one too."""
    if not NUMBER.fullmatch(cell):
        return cell
    if cell.lstrip("-").isdecimal():
        return int(cell) if len(cell) <= _DIGITS else cell
    value = float(cell)
    return value if math.isfinite(value) else cell


def _native(stamp: str) -> Build:
    decode = msgspec.json.Decoder(Event).decode

    def build(row: int, raw: bytes) -> Event:
        try:
            event = decode(raw)
        except NOT_JSON as error:
            raise Bad("line", text(raw), f"not an event: {error}") from None
        event.id = event.id or f"{stamp}:{row}"
        return event

    return build


class _When(msgspec.Struct):
    """The two keys of an event that its place in time depends on; the others are skipped unread."""

    kind: str = "interaction"
    time: float | None = None


_when = msgspec.json.Decoder(_When).decode


def _native_key(raw: bytes) -> float:
    """An item or person without a time was there before all; anything else without one has just arrived."""
    try:
        found = _when(raw)
    except NOT_JSON:
        return math.nan
    if found.time is not None:
        return found.time
    return -math.inf if found.kind in ("item", "user") else math.inf
