"""Bytes become rows, in the order of the file or of time.

Notable: a row is kept as bytes until it is its turn. For time order a first pass notes for each row its time and
where it starts (16 bytes a row), and a second pass picks the rows from the mapped file: a million rows cost 30 MB.
A packed file (gzipped, or Parquet) cannot be picked from, so for this it is unpacked once into a temporary file.

A quote that is opened and never closed would swallow the rest of a file: such a line stands alone, and the next
lines are read anew.
"""

from __future__ import annotations

import csv
import mmap
import shutil
import tempfile
from array import array
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from penchant.serving.importers.parts import Bad, Layout, Part, is_packed, open_bytes, text

_CHUNK = 65_536
_QUOTE = b'"'
Row = tuple[int, bytes]
Key = Callable[[bytes], float]


def file_order(file: BinaryIO, layout: Layout) -> Iterator[Row]:
    """(1-based number, bytes) of each row that is not blank."""
    file.seek(layout.start)
    number = 0
    for raw in _records(file, layout):
        if _is_blank(raw):
            continue
        number += 1
        yield number, raw


def rows(part: Part, key: Key | None) -> Iterator[Row]:
    """Rows of a part; with a key, by rising key, equal ones in file order, and those whose key is NaN at the end."""
    with open_bytes(part.path) as file:
        picked = _sorted_rows(part, file, key) if key else None
        yield from picked if picked is not None else file_order(file, part.layout)


def cells(raw: bytes, layout: Layout) -> list[str]:
    """The cells of one row of a table. Raises Bad when its quotes do not match."""
    line = text(raw)
    if not layout.quoted or '"' not in line:
        return line.split(layout.delimiter)
    try:
        return next(csv.reader((line,), delimiter=layout.delimiter, strict=True))
    except csv.Error as error:
        raise Bad("line", line, f"its quotes do not match ({error})") from None


def _is_blank(raw: bytes) -> bool:
    return len(raw) < 3 and not raw.rstrip(b"\r\n")


def _records(file: Iterable[bytes], layout: Layout) -> Iterator[bytes]:
    """Lines, or several where a quoted cell holds ends of line."""
    if not layout.quoted or not layout.delimiter:
        yield from file
        return
    for line in file:
        if _QUOTE in line:
            yield from _quoted(line, file, layout.delimiter)
        else:
            yield line


def _quoted(line: bytes, file: Iterable[bytes], delimiter: str) -> Iterator[bytes]:
    pending = deque((line,))
    while pending:
        taken, closed = _closed(pending, file, delimiter)
        if closed:
            yield b"".join(taken)
        else:
            yield taken[0]
            pending.extendleft(reversed(taken[1:]))


def _closed(pending: deque[bytes], file: Iterable[bytes], delimiter: str) -> tuple[list[bytes], bool]:
    """The lines which the csv module wants for one row, and whether it could close it."""
    taken: list[bytes] = []

    def lines() -> Iterator[str]:
        while pending:
            taken.append(pending.popleft())
            yield taken[-1].decode("latin-1")
        for line in file:
            taken.append(line)
            yield line.decode("latin-1")

    try:
        next(csv.reader(lines(), delimiter=delimiter, strict=True))
    except csv.Error:
        return taken, False
    return taken, True


def _sorted_rows(part: Part, file: BinaryIO, key: Key) -> Iterator[Row] | None:
    """None when the rows stand in order already, as most logs do; then the file need not be mapped."""
    moments, starts = _scan(file, part.layout, key)
    known = moments[~np.isnan(moments)]
    if bool(np.all(known[1:] >= known[:-1])):
        return None
    return _pick(part, np.argsort(moments, kind="stable"), starts)


def _scan(file: BinaryIO, layout: Layout, key: Key) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Times [n] and first bytes [n + 1] of the rows; a blank line belongs to the row before it."""
    moments, starts, place = array("d"), array("q"), layout.start
    file.seek(place)
    for raw in _records(file, layout):
        if not _is_blank(raw):
            moments.append(key(raw))
            starts.append(place)
        place += len(raw)
    starts.append(place)
    return np.frombuffer(moments, np.float64), np.frombuffer(starts, np.int64)


def _pick(part: Part, order: NDArray[np.int64], starts: NDArray[np.int64]) -> Iterator[Row]:
    with _plain(part) as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as memory:
        for begin in range(0, len(order), _CHUNK):  # lists of numbers are big: one chunk at a time
            chosen = order[begin : begin + _CHUNK]
            for number, start, end in zip(
                (chosen + 1).tolist(), starts[chosen].tolist(), starts[chosen + 1].tolist(), strict=True
            ):
                yield number, memory[start:end]


@contextmanager
def _plain(part: Part) -> Iterator[BinaryIO]:
    if not is_packed(part.path):
        with part.path.open("rb") as file:
            yield file
        return
    with open_bytes(part.path) as packed, tempfile.TemporaryFile() as unpacked:
        shutil.copyfileobj(packed, unpacked)
        unpacked.flush()
        yield cast(BinaryIO, unpacked)
