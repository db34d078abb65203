"""A Parquet file as a stream of JSON lines, which all else here reads. Needs the extra `parquet`.

Notable: one row group is read at a time, in batches, when somebody reads on: nothing is written to disk, and a file of
any size costs the memory of a batch. Moments are written as ISO 8601 in UTC, categories as their values, and what is
nested under the name of the whole, as in ``info.year``.

What it does not know: maps and unions; their columns are left out. Bytes that are no text are written as hexadecimal.
"""

from __future__ import annotations

import io
from collections.abc import Generator
from pathlib import Path
from typing import Any, BinaryIO, cast

import msgspec

from penchant.errors import Corrupt, InvalidInput, Unavailable

SUFFIXES = frozenset((".parquet", ".pq"))
_MAGIC = b"PAR1"
_ROWS = 16_384  # of which JSON is made at a time
_BLOCK = 2**20


def is_parquet(path: Path) -> bool:
    """By its first bytes, whatever its name."""
    with path.open("rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC


def row_count(path: Path) -> int:
    """Rows of the file, by its own word."""
    _, parquet = _pyarrow(path)
    with parquet.ParquetFile(path) as file:
        return int(file.metadata.num_rows)


def json_lines(path: Path) -> BinaryIO:
    """The file's rows as JSON lines, to be read from the beginning on, and closed.

    Raises Unavailable without the extra; Corrupt, when it comes to it, for a damaged file; InvalidInput where no
    column can be read.
    """
    return cast(BinaryIO, io.BufferedReader(_Lines(path), _BLOCK))


class _Lines(io.RawIOBase):
    """Rows become lines when they are read. Going back means beginning again."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path, self._place = path, 0
        self._blocks = _blocks(path)
        self._left = memoryview(next(self._blocks, b""))  # what is wrong with the file is said when it is opened

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        if not self._left:
            self._left = memoryview(next(self._blocks, b""))
        room = memoryview(buffer).cast("B")
        size = min(len(room), len(self._left))
        room[:size] = self._left[:size]
        self._left = self._left[size:]
        self._place += size
        return size

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        place = offset + (self._place if whence == io.SEEK_CUR else 0)
        if whence == io.SEEK_END or place < 0:
            raise io.UnsupportedOperation("its end is not known before it is read")
        if place < self._place:
            self._blocks.close()
            self._place, self._left, self._blocks = 0, memoryview(b""), _blocks(self._path)
        while self._place < place and self.readinto(bytearray(min(place - self._place, _BLOCK))):
            pass
        return self._place

    def close(self) -> None:
        self._blocks.close()
        super().close()


def _blocks(path: Path) -> Generator[bytes, None, None]:
    """JSON lines of so many rows at a time."""
    arrow, parquet = _pyarrow(path)
    encoder = msgspec.json.Encoder(enc_hook=str)
    try:
        with parquet.ParquetFile(path) as file:
            columns = _columns(arrow, file.schema_arrow, path)
            for group in range(file.num_row_groups):
                for batch in file.iter_batches(_ROWS, row_groups=[group], columns=columns):
                    if batch.num_rows:  # nothing at all would be taken for the end
                        yield encoder.encode_lines(_rows(arrow, batch))
    except (arrow.ArrowException, OSError) as error:
        what = f"the Parquet file cannot be read ({error})."
        raise Corrupt(what, field="path", value=path.name, way_out="Write it again, or export CSV.") from None


def _pyarrow(path: Path) -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ModuleNotFoundError:
        raise Unavailable(
            "reading Parquet needs pyarrow, which is not installed.",
            field="path",
            value=path.name,
            way_out="pip install 'penchant[parquet]', or export CSV.",
        ) from None
    return pyarrow, pyarrow.parquet


def _columns(arrow: Any, schema: Any, path: Path) -> list[str]:
    names = [one.name for one in schema if not _is_left_out(arrow, one.type)]
    if not names:
        raise InvalidInput(
            "it has no column of plain values.", field="path", value=path.name, way_out="Export it as CSV."
        )
    return names


def _is_left_out(arrow: Any, kind: Any) -> bool:
    return bool(arrow.types.is_map(kind) or arrow.types.is_union(kind))


def _rows(arrow: Any, batch: Any) -> list[dict[str, Any]]:
    table = arrow.Table.from_batches([batch])
    while any(arrow.types.is_struct(one.type) for one in table.schema):
        table = table.flatten()
    names = [one.name for one in table.schema if not _is_left_out(arrow, one.type)]
    columns = [_plain(arrow, table.column(name).combine_chunks()) for name in names]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _plain(arrow: Any, column: Any) -> list[Any]:
    """The values of a column as JSON knows them."""
    types, kind = arrow.types, column.type
    if types.is_dictionary(kind):
        return _plain(arrow, column.dictionary_decode())
    if types.is_timestamp(kind):
        moments = column.cast(arrow.timestamp("us", "UTC" if kind.tz else None), safe=False)
        return cast(list[Any], moments.cast(arrow.string()).to_pylist())
    if types.is_decimal(kind):
        column = column.cast(arrow.float64())
    if types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind):
        return [_text(cell) for cell in column.to_pylist()]
    return cast(list[Any], column.to_pylist())


def _text(cell: bytes | None) -> str | None:
    if cell is None:
        return None
    try:
        return cell.decode()
    except UnicodeDecodeError:
        return cell.hex()
