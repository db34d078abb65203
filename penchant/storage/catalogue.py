"""The catalogue: fields of items and people's profiles, the words to search them by, and the vectors of texts.

Everything here is derived from the log and can be built again from it; it is kept on disk so that a start need not.
Numbers are the log's. Vectors are cached by a hash of encoder and text, so that the same text is read once, whatever
the item, and an item sent again unchanged costs nothing.

A snapshot says where states and counts stand, and after a kill the catalogue is ahead of it. A patch replayed against
what came later would not make what it made then, so what stood before each change is kept until a snapshot covers it:
`rewind` goes back to a snapshot, `keep` says that one was written.

FTS5's `unicode61` finds no Chinese word, since Chinese has no spaces: runs of CJK characters are cut into bigrams
before they are stored and before they are asked for.
"""

from __future__ import annotations

import hashlib
import re
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from penchant.storage.checkpoints import Checkpoints

_SCHEMA = """
CREATE TABLE IF NOT EXISTS items (item INTEGER PRIMARY KEY, fields BLOB NOT NULL, text TEXT NOT NULL,
    vectors BLOB NOT NULL, available INTEGER NOT NULL, created REAL NOT NULL);
CREATE TABLE IF NOT EXISTS people (person INTEGER PRIMARY KEY, fields BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS items_before (offset INTEGER NOT NULL, item INTEGER NOT NULL, fields BLOB, text TEXT,
    vectors BLOB, available INTEGER, created REAL);
CREATE TABLE IF NOT EXISTS people_before (offset INTEGER NOT NULL, person INTEGER NOT NULL, fields BLOB);
CREATE TABLE IF NOT EXISTS texts (hash BLOB PRIMARY KEY, vector BLOB NOT NULL) WITHOUT ROWID;
CREATE VIRTUAL TABLE IF NOT EXISTS words USING fts5(text, tokenize="unicode61 remove_diacritics 2");
"""
_PRAGMAS = ("journal_mode=WAL", "synchronous=NORMAL", "cache_size=-32768", "secure_delete=ON", "wal_autocheckpoint=0")
_CJK = r"\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
_RUN = re.compile(rf"[{_CJK}]+")
_TOKEN = re.compile(r"\w+", re.UNICODE)


class Row(msgspec.Struct):
    """An item as the catalogue knows it."""

    item: int
    fields: dict[str, Any]
    text: str
    vectors: dict[str, list[float]]
    available: bool
    created: float


class Catalogue:
    """One SQLite file; calls are serialised, and a call of many rows is one transaction."""

    def __init__(self, folder: Path, read_only: bool = False) -> None:
        self._mutex, self.read_only = threading.RLock(), read_only
        self._checkpoints: Checkpoints | None = None
        path = folder / "catalogue.db"
        if read_only:
            uri = f"{path.resolve().as_uri()}?mode=ro"
            self._db = sqlite3.connect(uri, uri=True, check_same_thread=False, timeout=30.0)
            return
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=30.0)
        for pragma in _PRAGMAS:
            self._db.execute(f"PRAGMA {pragma}")
        self._db.executescript(_SCHEMA)
        self._checkpoints = Checkpoints(path)  # lists wait for who writes here, and must not wait for the disk

    # -- items -----------------------------------------------------------------------------------------------------

    def put(self, rows: Sequence[Row], offset: int) -> None:
        """Items as they stand from an offset of the log on."""
        with self._mutex, self._transaction():
            self._note(_ITEMS_BEFORE, offset, [row.item for row in rows])
            self._put([_columns(row) for row in rows])
        self._written()

    def remove(self, items: Sequence[int], offset: int) -> None:
        with self._mutex, self._transaction():
            self._note(_ITEMS_BEFORE, offset, items)
            self._remove(items)

    def _put(self, rows: Sequence[Sequence[Any]]) -> None:
        """Rows (item, fields, text, ...), with their words."""
        self._remove([row[0] for row in rows])
        self._db.executemany("INSERT INTO items VALUES (?, ?, ?, ?, ?, ?)", rows)
        self._db.executemany("INSERT INTO words (rowid, text) VALUES (?, ?)", [(r[0], bigrams(r[2])) for r in rows])

    def _remove(self, items: Sequence[int]) -> None:
        self._db.executemany("DELETE FROM items WHERE item = ?", [(item,) for item in items])
        self._db.executemany("DELETE FROM words WHERE rowid = ?", [(item,) for item in items])

    def get(self, item: int) -> Row | None:
        with self._mutex:
            row = self._db.execute(f"{_SELECT} WHERE item = ?", (item,)).fetchone()
        return _row(row) if row else None

    def rows(self, batch: int = 2000) -> Iterator[Row]:
        """Every item, in the order of its number."""
        after = -1
        while rows := self.page(after, batch):
            yield from rows
            after = rows[-1].item

    def page(self, after: int, limit: int) -> list[Row]:
        """The next items by number, beyond number ``after``."""
        with self._mutex:
            rows = self._db.execute(f"{_SELECT} WHERE item > ? ORDER BY item LIMIT ?", (after, limit)).fetchall()
        return [_row(row) for row in rows]

    def search(self, words: str, limit: int) -> list[tuple[int, float]]:
        """(item, BM25 score, larger is better) of items that hold any of the words, best first."""
        tokens = dict.fromkeys(_TOKEN.findall(bigrams(words)))
        if not tokens:
            return []
        asked = " OR ".join(f'"{token}"' for token in tokens)
        with self._mutex:
            found = self._db.execute(
                "SELECT rowid, -bm25(words) FROM words WHERE words MATCH ? ORDER BY bm25(words), rowid LIMIT ?",
                (asked, limit),
            ).fetchall()
        return [(int(item), float(score)) for item, score in found]

    # -- people ----------------------------------------------------------------------------------------------------

    def put_profile(self, person: int, fields: dict[str, Any], offset: int) -> None:
        """A profile as it stands from an offset of the log on."""
        with self._mutex, self._transaction():
            self._note(_PEOPLE_BEFORE, offset, [person])
            self._put_profiles([(person, msgspec.json.encode(fields))])

    def _put_profiles(self, rows: Iterable[tuple[int, bytes]]) -> None:
        self._db.executemany("INSERT OR REPLACE INTO people VALUES (?, ?)", rows)

    def profile(self, person: int) -> dict[str, Any]:
        with self._mutex:
            row = self._db.execute("SELECT fields FROM people WHERE person = ?", (person,)).fetchone()
        return dict(msgspec.json.decode(row[0])) if row else {}

    def profiles(self) -> dict[int, dict[str, Any]]:
        """The profiles of all people that have one."""
        with self._mutex:
            rows = self._db.execute("SELECT person, fields FROM people").fetchall()
        return {int(person): dict(msgspec.json.decode(fields)) for person, fields in rows}

    def forget(self, person: int, offset: int) -> None:
        """No profile from an offset of the log on."""
        with self._mutex, self._transaction():
            self._note(_PEOPLE_BEFORE, offset, [person])
            self._forget([person])

    def erase(self, person: int) -> None:
        """No profile, and none that ever was."""
        with self._mutex, self._transaction():
            self._forget([person])
            self._db.execute("DELETE FROM people_before WHERE person = ?", (person,))
        self._written(erased=True)

    def _forget(self, people: Sequence[int]) -> None:
        self._db.executemany("DELETE FROM people WHERE person = ?", [(person,) for person in people])

    # -- what stood before ---------------------------------------------------------------------------------------------

    def _note(self, before: str, offset: int, numbers: Sequence[int]) -> None:
        self._db.executemany(before, [(offset, number) for number in numbers])

    def rewind(self, offset: int) -> None:
        """Back to how everything stood at an offset of the log, since which `keep` was not called with a later one."""
        with self._mutex, self._transaction():
            rows = self._oldest("item", "items_before", offset)
            self._remove([row[0] for row in rows])
            self._put([row for row in rows if row[1] is not None])
            people = self._oldest("person", "people_before", offset)
            self._forget([row[0] for row in people])
            self._put_profiles([(row[0], row[1]) for row in people if row[1] is not None])
            for table in _BEFORE:
                self._db.execute(f"DELETE FROM {table} WHERE offset > ?", (offset,))

    def _oldest(self, key: str, table: str, after: int) -> list[tuple[Any, ...]]:
        """What stood before the first change of each that came after an offset; no fields where it was not there."""
        found = self._db.execute(
            f"SELECT * FROM {table} WHERE rowid IN (SELECT min(rowid) FROM {table} WHERE offset > ? GROUP BY {key})",
            (after,),
        )
        return [row[1:] for row in found.fetchall()]

    def keep(self, offset: int) -> None:
        """What stood before this offset will not be asked for again: a snapshot of it was written."""
        for table in _BEFORE:
            some = f"SELECT rowid FROM {table} WHERE offset <= ? LIMIT {_DROPPED}"
            while self._drop(f"DELETE FROM {table} WHERE rowid IN ({some})", offset):
                continue

    def _drop(self, statement: str, offset: int) -> int:
        with self._mutex, self._transaction():  # others come in between
            return self._db.execute(statement, (offset,)).rowcount

    # -- vectors of texts --------------------------------------------------------------------------------------------

    def vectors(self, keys: Sequence[bytes]) -> dict[bytes, NDArray[np.float32]]:
        """The cached vectors among the keys."""
        found: dict[bytes, NDArray[np.float32]] = {}
        with self._mutex:
            for start in range(0, len(keys), 500):
                part = keys[start : start + 500]
                rows = self._db.execute(
                    f"SELECT hash, vector FROM texts WHERE hash IN ({','.join('?' * len(part))})", part
                )
                found.update((key, np.frombuffer(vector, np.float32)) for key, vector in rows)
        return found

    def put_vectors(self, pairs: Iterable[tuple[bytes, NDArray[np.float32]]]) -> None:
        with self._mutex, self._transaction():
            self._db.executemany(
                "INSERT OR REPLACE INTO texts VALUES (?, ?)",
                [(key, vector.astype(np.float32).tobytes()) for key, vector in pairs],
            )

    def clear(self) -> None:
        """Forget items and profiles, before the log is replayed from its start; vectors of texts stay."""
        with self._mutex, self._transaction():
            for table in ("items", "people", "words", *_BEFORE):
                self._db.execute(f"DELETE FROM {table}")

    def close(self) -> None:
        if self._checkpoints is not None:
            self._checkpoints.close()
        with self._mutex:
            self._db.close()

    def _written(self, erased: bool = False) -> None:
        if self._checkpoints is not None:
            with self._mutex:
                self._checkpoints.after_commit(self._db, erased)

    def _transaction(self) -> _Transaction:
        return _Transaction(self._db)


class _Transaction:
    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __enter__(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: object, *_: object) -> None:
        self._db.execute("COMMIT" if kind is None else "ROLLBACK")


def _columns(row: Row) -> tuple[Any, ...]:
    fields, vectors = msgspec.json.encode(row.fields), msgspec.msgpack.encode(row.vectors)
    return row.item, fields, row.text, vectors, row.available, row.created


_BEFORE = ("items_before", "people_before")
_DROPPED = 5_000
_ITEMS_BEFORE = (
    "INSERT INTO items_before SELECT ?, n.item, i.fields, i.text, i.vectors, i.available, i.created"
    " FROM (SELECT ? AS item) n LEFT JOIN items i ON i.item = n.item"
)
_PEOPLE_BEFORE = (
    "INSERT INTO people_before SELECT ?, n.person, p.fields"
    " FROM (SELECT ? AS person) n LEFT JOIN people p ON p.person = n.person"
)
_SELECT = "SELECT item, fields, text, vectors, available, created FROM items"


def _row(row: tuple[Any, ...]) -> Row:
    item, fields, text, vectors, available, created = row
    return Row(item, msgspec.json.decode(fields), text, msgspec.msgpack.decode(vectors), bool(available), created)


def text_key(encoder: str, text: str) -> bytes:
    """What a text's vector is cached under."""
    return hashlib.blake2b(f"{encoder}\n{text}".encode(), digest_size=16).digest()


def bigrams(text: str) -> str:
    """The text with every run of CJK characters cut into overlapping pairs: 机器学习 -> 机器 器学 学习."""
    return _RUN.sub(lambda run: " " + " ".join(_pairs(run.group())) + " ", text)


def _pairs(run: str) -> list[str]:
    return [run] if len(run) == 1 else [run[k : k + 2] for k in range(len(run) - 1)]
