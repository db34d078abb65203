"""CSV, TSV, and JSON lines, which Parquet is read as: how a file is cut; `columns` says what its columns mean.

Notable: the delimiter is the one that cuts the header into the most columns and most rows into as many. A header of
``name:type`` columns (tab-separated files without quotes, as recommender libraries exchange them) says the kinds.

What it does not know: files without a header, and anything that is not text; both are refused with a way out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, cast

import msgspec

from penchant.errors import InvalidInput
from penchant.serving.importers import parquet
from penchant.serving.importers.columns import Guess, Sample, Wish, guess
from penchant.serving.importers.parts import (
    NOT_JSON,
    Bad,
    FieldKind,
    Layout,
    Part,
    What,
    estimated_rows,
    open_bytes,
    text,
)
from penchant.serving.importers.reading import made, row_values
from penchant.serving.importers.records import cells, file_order
from penchant.types import Event

SUFFIXES = parquet.SUFFIXES | {".csv", ".tsv", ".txt", ".jsonl", ".ndjson", ".json", ".inter", ".item", ".user"}
_SAMPLED = 1000
_HEAD = 2**16
_REPEATED = 0.05  # of the rows; tables glued together repeat their header now and then
_BOM = b"\xef\xbb\xbf"
_TYPED = re.compile(r"(.+):(token|token_seq|float|float_seq)")
_TEXTS = re.compile(r"title|name|text|review|description")
_MILLISECONDS = 1e11
WAY_OUT = "Give CSV or TSV with a header line, JSON lines (each also .gz), Parquet, or a folder of MovieLens or MIND."


def table_part(path: Path, wish: Wish) -> Part:
    """How to read a table, guessed from its beginning. Raises InvalidInput when it cannot be guessed."""
    with open_bytes(path) as file:
        head = file.read(_HEAD)
        _check_text(path, head)
        start = len(_BOM) if head.startswith(_BOM) else 0
        json = head[start:].lstrip()[:1] == b"{"
        layout = Layout(delimiter="", start=start, sort=wish.sort) if json else _cut(path, file, start)
        raws = [raw for _, raw in islice(file_order(file, layout), _SAMPLED)]
    count = estimated_rows(path, layout, raws)
    if json:
        layout, native = _of_json(path, raws, layout, wish)
        if native:
            return Part(path.name, path, native, {}, count, layout)
    found = _guessed(path, Sample(path.stem, layout, _good_rows(raws, layout)), wish)
    kinds = {column: layout.kinds.get(column, kind) for column, kind in found.kinds.items()}
    if json:  # which tells "300" from 300 itself
        kinds = {column: "list" if kind == "list" else "text" for column, kind in kinds.items()}
    layout = layout._replace(unit=found.unit, kinds=kinds, sort=wish.sort)
    return Part(path.name, path, found.what, found.mapping, count, layout)


def first_time(part: Part) -> float:
    """The earliest time among the first rows, to put the older of two files first; without one, 0."""
    unsorted = part._replace(layout=part.layout._replace(sort=False))
    first = [one for _, one in islice(made(unsorted, ""), _SAMPLED)]
    return min((one.time for one in first if isinstance(one, Event) and one.time is not None), default=0.0)


def _guessed(path: Path, sample: Sample, wish: Wish) -> Guess:
    if not sample.rows:
        raise InvalidInput("there is no row in it.", field="path", value=path.name, way_out=WAY_OUT)
    for name in sample.layout.columns if sample.layout.delimiter else ():
        if name and sample.values(name).count(name) > _REPEATED * len(sample.rows):
            what = "its first line seems to hold values, not the names of the columns."
            raise InvalidInput(what, field="path", value=path.name, way_out="Write a line of names above it.")
    return guess(sample, wish)


def _check_text(path: Path, head: bytes) -> None:
    if not head.strip():
        raise InvalidInput("the file is empty.", field="path", value=path.name, way_out=WAY_OUT)
    if head.startswith(b"PK"):
        raise InvalidInput("a zip archive.", field="path", value=path.name, way_out="Unzip it, then give the folder.")
    if b"\0" in head:
        raise InvalidInput("not text in UTF-8.", field="path", value=path.name, way_out=f"Save it as UTF-8. {WAY_OUT}")
    if head.lstrip()[:1] == b"[":
        out = "Write one object a line, as jq -c '.[]' does."
        raise InvalidInput("one JSON array.", field="path", value=path.name, way_out=out)


# -- tables ----------------------------------------------------------------------------------------------------------


def _cut(path: Path, file: BinaryIO, start: int) -> Layout:
    """The layout of a table with a header, before its columns are understood."""
    file.seek(start)
    lines = list(islice(file, 100))
    typed = [_TYPED.fullmatch(name) for name in text(lines[0]).split("\t")]
    if len(typed) > 1 and all(typed):
        return _typed([match.groups() for match in typed if match], start + len(lines[0]))
    best = max((_agreement(lines, mark), mark) for mark in ("|", ";", "\t", ","))
    if best[0] == 0.0:
        what = "no table: its first line is not cut into columns by comma, tab, semicolon or bar."
        raise InvalidInput(what, field="path", value=path.name, way_out=WAY_OUT)
    layout = Layout(delimiter=best[1])
    beginning = b"".join(lines)
    header = next(raw for _, raw in file_order(cast(BinaryIO, BytesIO(beginning)), layout))
    start += beginning.index(header) + len(header)
    return layout._replace(start=start, columns=tuple(name.strip() for name in cells(header, layout)))


def _typed(columns: Sequence[tuple[str | Any, ...]], start: int) -> Layout:
    names = tuple(name for name, _ in columns)
    kinds = {name: _seq_kind(name) for name, kind in columns if kind.endswith("_seq")}
    return Layout(delimiter="\t", columns=names, start=start, quoted=False, kinds=kinds)


def _seq_kind(name: str) -> FieldKind:
    """A sequence of words is a text when its name says so, else a list; what is not a sequence shows its own kind."""
    return "text" if _TEXTS.search(name) else "words"


def _agreement(lines: Iterable[bytes], delimiter: str) -> float:
    """Columns of the header times the share of rows that have as many; 0 where the header is not cut."""
    layout = Layout(delimiter=delimiter)
    widths = []
    for _, raw in file_order(cast(BinaryIO, BytesIO(b"".join(lines))), layout):
        try:
            widths.append(len(cells(raw, layout)))
        except Bad:
            widths.append(0)
    if not widths or widths[0] < 2:
        return 0.0
    return widths[0] * sum(width == widths[0] for width in widths) / len(widths)


def _good_rows(raws: Iterable[bytes], layout: Layout) -> list[list[Any]]:
    good = []
    for raw in raws:
        try:
            found = row_values(raw, layout)
        except Bad:
            continue
        if len(found) == len(layout.columns):
            good.append(found)
    return good


# -- JSON lines ------------------------------------------------------------------------------------------------------


def _of_json(path: Path, raws: Sequence[bytes], layout: Layout, wish: Wish) -> tuple[Layout, What | None]:
    """The layout with the columns; or, of lines that are events already, with none and what they are."""
    objects = [found for raw in raws if (found := _object(raw)) is not None]
    if not objects:
        out = f"Write one object a line. {WAY_OUT}"
        raise InvalidInput("not JSON lines.", field="path", value=path.name, way_out=out)
    events = [event for raw in raws if (event := _event(raw)) is not None]
    if not wish.mapping and len(events) > len(raws) / 2:
        kinds = {event.kind for event in events}
        return layout, "items" if kinds == {"item"} else "users" if kinds == {"user"} else "events"
    columns = dict.fromkeys(key for found in objects for key in found)
    return layout._replace(columns=tuple(columns)), None


def _object(raw: bytes) -> dict[str, Any] | None:
    try:
        found = msgspec.json.decode(raw)
    except NOT_JSON:
        return None
    return found if isinstance(found, dict) else None


def _event(raw: bytes) -> Event | None:
    """The line as an Event, if it is one: with an action where there must be one, and its time in seconds."""
    try:
        event = msgspec.json.decode(raw, type=Event)
    except NOT_JSON:
        return None
    whole = event.kind != "interaction" or event.action is not None
    return event if whole and (event.time or 0.0) < _MILLISECONDS else None
