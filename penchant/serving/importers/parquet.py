"""Parquet files become JSON lines, which all else here reads. Needs the extra `parquet`.

Notable: rows are read and written in batches, so that a file of any size costs the memory of one. Moments become Unix
microseconds, since text in a hundred forms would have to be recognised again.

What it does not know: maps and nested tables; their columns are left out.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from penchant.errors import Corrupt, InvalidInput, Unavailable

SUFFIXES = frozenset((".parquet", ".pq"))
_MAGIC = b"PAR1"
_ROWS = 65_536


def is_parquet(path: Path) -> bool:
    """By its first bytes, whatever its name."""
    with path.open("rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC


def as_json_lines(path: Path, folder: Path, tell: Callable[[int, int], None]) -> Path:
    """Write a Parquet file into ``folder`` as JSON lines under its own name; ``tell(rows done, of how many)``.

    Raises Unavailable without the extra, Corrupt for a damaged file, InvalidInput where no column can be read.
    """
    arrow, parquet = _pyarrow(path)
    out, encoder = folder / path.name, msgspec.json.Encoder(enc_hook=str)
    try:
        with parquet.ParquetFile(path) as file, out.open("wb") as written:
            names = _columns(arrow, file.schema_arrow, path)
            done, rows = 0, file.metadata.num_rows
            for batch in file.iter_batches(_ROWS, columns=names):
                columns = [_plain(arrow, batch.column(name)).to_pylist() for name in names]
                lines = [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
                written.write(encoder.encode_lines(lines))
                done += len(lines)
                tell(done, rows)
    except (arrow.ArrowInvalid, OSError) as error:
        what = f"the Parquet file cannot be read ({error})."
        raise Corrupt(what, field="path", value=path.name, way_out="Write it again, or export CSV.") from None
    return out


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
    types = arrow.types
    names = [one.name for one in schema
             if not (types.is_map(one.type) or types.is_struct(one.type) or types.is_union(one.type))]  # fmt: skip
    if not names:
        raise InvalidInput(
            "it has no column of plain values.", field="path", value=path.name, way_out="Export it as CSV."
        )
    return names


def _plain(arrow: Any, column: Any) -> Any:
    """Moments as microseconds, categories as their values, decimals as numbers, bytes as text."""
    types, kind = arrow.types, column.type
    if types.is_dictionary(kind):
        return column.dictionary_decode()
    if types.is_timestamp(kind):
        return column.cast(arrow.timestamp("us", kind.tz), safe=False).cast(arrow.int64())
    if types.is_decimal(kind):
        return column.cast(arrow.float64())
    return column.cast(arrow.string()) if types.is_binary(kind) or types.is_large_binary(kind) else column
