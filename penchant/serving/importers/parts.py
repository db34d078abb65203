"""What a file is to be read as, what was refused of it, and the bytes of it.

Notable: a file's hash is of what it holds, not of its name or date, so that a renamed copy is the same import.
Text is UTF-8; a line that is not is read as Windows-1252 (which holds Latin-1), line by line, since old exports mix.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, Literal, NamedTuple, cast

import msgspec

from penchant.errors import Corrupt
from penchant.serving.importers.parquet import is_parquet, json_lines, row_count
from penchant.types import Event

What = Literal["items", "users", "events"]
FieldKind = Literal["number", "list", "words", "text"]
Finish = Callable[[str, dict[str, Any]], dict[str, Any]]
Several = Callable[[int, bytes], list[Event]]
NOTHING = frozenset(("", "nan", "NaN", "null", "NULL", "\\N"))
NOT_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_GZIP = b"\x1f\x8b"
_BLOCK = 2**20


class Layout(NamedTuple):
    """How the bytes of a file become named cells.

    delimiter  between the cells; empty: JSON lines
    columns    names of the cells; none of them: each JSON line is an event already
    start      byte of the first row (after a byte order mark and the header), in a gzipped file counted unpacked
    quoted     whether a cell may stand in double quotes
    unit       of the time column, one of `times`
    kinds      field column -> how its cells become a field
    sort       whether events are put in time order
    finish     last touch on (id, fields) of an item or user; ``beside``: another file that it reads
    several    (part, beginning of the ids) -> what makes events of a row, where a row is more than one
    """

    delimiter: str
    columns: tuple[str, ...] = ()
    start: int = 0
    quoted: bool = True
    unit: str = "seconds"
    kinds: Mapping[str, FieldKind] = {}
    sort: bool = True
    finish: Finish | None = None
    beside: Path | None = None
    several: Callable[[Part, str], Several] | None = None


class Part(NamedTuple):
    """One file's worth. ``mapping``: our word -> their column, as a person reads it and `plan` takes it back.

    ``rows`` is an estimate from the size of the file, for a progress bar.
    """

    name: str
    path: Path
    what: What
    mapping: dict[str, str]
    rows: int
    layout: Layout


class Refused(NamedTuple):
    """A row that became no event: which field, which value, why, and the row as it stood in the file."""

    row: int
    line: str
    field: str
    value: str
    detail: str


class Bad(ValueError):
    """Raised inside the package by what reads a row; `read` turns it into a Refused."""

    def __init__(self, field: str, value: object, detail: str) -> None:
        self.field, self.value, self.detail = field, str(value), detail
        super().__init__(detail)


def file_hash(path: Path) -> bytes:
    """16 bytes of BLAKE2b of the file as it stands on disk."""
    digest = hashlib.blake2b(digest_size=16)
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.digest()


def fingerprint(part: Part) -> bytes:
    """16 bytes under which the log remembers how far a part was imported.

    Events: the file's hash alone, since the same events must never count twice, however they were mapped. Items and
    users may be sent again, so with another mapping, or another file of plots beside, they are another import.
    """
    own = file_hash(part.path)
    if part.what == "events":
        return own
    beside = file_hash(part.layout.beside) if part.layout.beside else b""
    told = repr((part.what, sorted(part.mapping.items()))).encode()
    return hashlib.blake2b(own + beside + told, digest_size=16).digest()


def write_refused(path: Path, refused: Iterable[Refused]) -> int:
    """Write refused rows as CSV (row, field, value, detail, line) and say how many; none leave no file."""
    rows = iter(refused)
    first = next(rows, None)
    if first is None:
        return 0
    with path.open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file)
        out.writerow(("row", "field", "value", "detail", "line"))
        count = 0
        for one in chain((first,), rows):
            out.writerow((one.row, one.field, one.value, one.detail, one.line))
            count += 1
    return count


def is_gzip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == _GZIP


def is_packed(path: Path) -> bool:
    """Whether its bytes on disk are not those of its rows."""
    return is_gzip(path) or is_parquet(path)


@contextmanager
def open_bytes(path: Path) -> Iterator[BinaryIO]:
    """The file's bytes, unpacked; a Parquet file's rows as JSON lines. Raises Corrupt, when it comes to it, for a
    damaged file; Unavailable for Parquet without the extra."""
    try:
        with _opened(path) as file:
            yield file
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        what = f"the gzipped file is cut off or damaged ({error})."
        raise Corrupt(what, field="path", value=path.name, way_out="Fetch it again.") from None


def _opened(path: Path) -> BinaryIO:
    if is_parquet(path):
        return json_lines(path)
    return cast(BinaryIO, gzip.open(path, "rb") if is_gzip(path) else path.open("rb", buffering=_BLOCK))


def _unpacked_size(path: Path) -> int:
    """Bytes after unpacking; of a gzipped file its own word for it, modulo 4 GiB."""
    if not is_gzip(path):
        return path.stat().st_size
    with path.open("rb") as file:
        file.seek(-4, 2)
        return int.from_bytes(file.read(4), "little")


def text(raw: bytes) -> str:
    """A row's bytes as text, without the end of line."""
    try:
        return raw.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        return raw.decode("cp1252", "replace").rstrip("\r\n")


def estimated_rows(path: Path, layout: Layout, sample: Sequence[bytes]) -> int:
    """Rows of the file, supposing that they are as long as those of the sample; of a Parquet file it is known."""
    if is_parquet(path):
        return row_count(path)
    length = sum(map(len, sample))
    return max(len(sample), round((_unpacked_size(path) - layout.start) * len(sample) / length)) if length else 0
