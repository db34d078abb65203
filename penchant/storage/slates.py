"""Lists that were shown, packed, for as long as the settings say; and the totals of what was done about them.

One SQLite file beside the log, and no part of the truth: it can be deleted, and then nobody remembers what was shown.
Rows are written by a thread of their own, many in one commit, so that no list waits for it: a kill may lose the last
moment of them. Ids grow with time, so that what is oldest is the first of the table. Totals are added in the commit
that marks a list as settled, so each list is in them once.

Does not know: what is packed, or what the totals mean.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

FILE = "slates.db"
_PAUSE = 0.2  # seconds between two commits
_CUT = 16  # where there is no room, a sixteenth of it goes at once
_MOST_WAITING = 100_000  # of each kind of write, where the disk refuses them
_log = logging.getLogger("penchant")

Key = tuple[int, str, str]  # hour since the epoch, version, source
Sums = Mapping[Key, Sequence[float]]
Statement = tuple[str, tuple[Any, ...]]
T = TypeVar("T")


class Kept(NamedTuple):
    """A list as it is kept; ``done``: what was done about it, once it is settled."""

    id: int
    person: int
    time: float
    packed: bytes
    done: bytes | None = None


class Settled(NamedTuple):
    """What was done about a list, what it adds to the totals, and the items that it showed."""

    id: int
    done: bytes
    sums: Sums
    items: Sequence[int]


class SlateTable:
    """See the module. ``columns``: names of the sums; ``most_bytes`` of the file, beyond which the oldest go."""

    def __init__(self, folder: Path, columns: Sequence[str], most_bytes: int) -> None:
        self._columns, self._most = tuple(columns), most_bytes
        self._mutex, self._database = threading.Lock(), threading.Lock()
        self._unwritten: dict[int, Kept] = {}
        self._settled: deque[Settled] = _queue()
        self._statements: deque[Statement] = _queue()
        self.failure: str | None = None
        self._db = self._opened(folder / FILE)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._write_on, name="penchant-slates", daemon=True)
        self._thread.start()

    def _opened(self, path: Path) -> sqlite3.Connection:
        db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=30.0)
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "secure_delete=ON"):
            db.execute(f"PRAGMA {pragma}")
        sums = ", ".join(f"{name} REAL NOT NULL" for name in self._columns)
        db.executescript(f"""
            CREATE TABLE IF NOT EXISTS slates (id INTEGER PRIMARY KEY, person INTEGER NOT NULL, time REAL NOT NULL,
                packed BLOB NOT NULL, done BLOB);
            CREATE INDEX IF NOT EXISTS slates_by_person ON slates (person);
            CREATE INDEX IF NOT EXISTS slates_waiting ON slates (id) WHERE done IS NULL;
            CREATE TABLE IF NOT EXISTS totals (hour INTEGER NOT NULL, version TEXT NOT NULL, source TEXT NOT NULL,
                {sums}, PRIMARY KEY (hour, version, source)) WITHOUT ROWID;
            CREATE TABLE IF NOT EXISTS items (hour INTEGER NOT NULL, version TEXT NOT NULL, bits BLOB NOT NULL,
                PRIMARY KEY (hour, version)) WITHOUT ROWID;
        """)
        return db

    # -- writing -------------------------------------------------------------------------------------------------------

    def keep(self, kept: Kept) -> None:
        with self._mutex:
            if len(self._unwritten) < _MOST_WAITING:
                self._unwritten[kept.id] = kept

    def settle(self, settled: Settled) -> None:
        with self._mutex:
            self._settled.append(settled)

    def move(self, session: int, person: int) -> None:
        self._later("UPDATE slates SET person = ? WHERE person = ?", (person, session))

    def forget(self, people: Iterable[int]) -> None:
        """They were erased: on return their lists are gone. The totals name nobody, and stay."""
        for person in people:
            self._later("DELETE FROM slates WHERE person = ?", (person,))
        self.flush()
        with self._database:
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def drop_before(self, id: int, hour: int) -> None:
        """Lists and totals are kept no longer than this."""
        self._later("DELETE FROM slates WHERE id < ?", (id,))
        for table in ("totals", "items"):
            self._later(f"DELETE FROM {table} WHERE hour < ?", (hour,))

    def flush(self) -> None:
        """Write what waits, in one commit. Raises sqlite3.Error where the disk refuses; then it waits on."""
        with self._database:
            with self._mutex:
                kept, settled, statements = list(self._unwritten.values()), self._settled, self._statements
                self._settled, self._statements = _queue(), _queue()
            try:
                if kept or settled or statements:
                    self._commit(kept, settled, statements)
            except BaseException:
                with self._mutex:
                    self._settled, self._statements = (
                        _queue(settled, self._settled),
                        _queue(statements, self._statements),
                    )
                raise
            with self._mutex:
                for one in kept:
                    del self._unwritten[one.id]

    def _commit(self, kept: Iterable[Kept], settled: Iterable[Settled], statements: Iterable[Statement]) -> None:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            self._db.executemany("INSERT INTO slates VALUES (?, ?, ?, ?, ?)", kept)
            self._db.executemany("UPDATE slates SET done = ? WHERE id = ?", [(one.done, one.id) for one in settled])
            self._add(settled)
            for statement, words in statements:
                self._db.execute(statement, words)
            self._make_room()
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    def _later(self, statement: str, words: tuple[Any, ...]) -> None:
        with self._mutex:
            self._statements.append((statement, words))

    def _write_on(self) -> None:
        while not self._closing.wait(_PAUSE):
            try:
                self.flush()
                self.failure = None
            except sqlite3.Error as error:
                if self.failure is None:
                    _log.exception("lists that were shown could not be written", exc_info=error)
                self.failure = f"lists that were shown could not be written ({error}); they wait"

    # -- in a commit ---------------------------------------------------------------------------------------------------

    def _add(self, settled: Iterable[Settled]) -> None:
        """To the totals, and to the items that were shown."""
        sums: dict[Key, NDArray[np.float64]] = {}
        shown: dict[tuple[int, str], set[int]] = {}
        for one in settled:
            for key, more in one.sums.items():
                sums[key] = sums[key] + more if key in sums else np.array(more, np.float64)
                shown.setdefault(key[:2], set()).update(one.items)
        names, marks = ", ".join(self._columns), ", ".join("?" * len(self._columns))
        added = ", ".join(f"{name} = {name} + excluded.{name}" for name in self._columns)
        self._db.executemany(
            f"INSERT INTO totals (hour, version, source, {names}) VALUES (?, ?, ?, {marks})"
            f" ON CONFLICT DO UPDATE SET {added}",
            [(*key, *its.tolist()) for key, its in sums.items()],
        )
        for (hour, version), items in shown.items():
            self._show(hour, version, items)

    def _show(self, hour: int, version: str, items: Iterable[int]) -> None:
        found = self._db.execute("SELECT bits FROM items WHERE hour = ? AND version = ?", (hour, version)).fetchone()
        bits = bytearray(found[0] if found else b"")
        bits.extend(bytes(max(0, max(items) // 8 + 1 - len(bits))))
        for item in items:
            bits[item // 8] |= 1 << item % 8
        self._db.execute("INSERT OR REPLACE INTO items VALUES (?, ?, ?)", (hour, version, bytes(bits)))

    def _make_room(self) -> None:
        """Where the file holds more than it may, the oldest lists go."""
        while self._used() > self._most:
            first, last = self._db.execute("SELECT min(id), max(id) FROM slates").fetchone()
            if first is None:
                return
            self._db.execute("DELETE FROM slates WHERE id <= ?", (first + (last - first) // _CUT,))

    def _used(self) -> int:
        """Bytes of the pages in use."""
        pages, free, size = (
            self._db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * size)

    # -- reading -------------------------------------------------------------------------------------------------------

    def get(self, id: int) -> Kept | None:
        with self._mutex:
            if id in self._unwritten:
                return self._unwritten[id]
        with self._database:
            row = self._db.execute("SELECT * FROM slates WHERE id = ?", (id,)).fetchone()
        return Kept(*row) if row else None

    def waiting(self) -> list[Kept]:
        """Lists that are not settled, oldest first."""
        with self._database:
            rows = self._db.execute("SELECT * FROM slates WHERE done IS NULL ORDER BY id").fetchall()
        return [Kept(*row) for row in rows]

    def last_id(self) -> int:
        with self._database:
            return int(self._db.execute("SELECT coalesce(max(id), 0) FROM slates").fetchone()[0])

    def totals(self, since: int) -> Iterator[tuple[Key, tuple[float, ...]]]:
        """Sums of each hour from ``since`` on, by version and source."""
        self.flush()
        names = ", ".join(self._columns)
        with self._database:
            rows = self._db.execute(
                f"SELECT hour, version, source, {names} FROM totals WHERE hour >= ?", (since,)
            ).fetchall()
        return ((row[:3], row[3:]) for row in rows)

    def shown(self, since: int) -> dict[str, int]:
        """How many different items were shown from an hour on, by version."""
        with self._database:
            rows = self._db.execute("SELECT version, bits FROM items WHERE hour >= ?", (since,)).fetchall()
        out: dict[str, NDArray[np.uint8]] = {}
        for version, bits in rows:
            new = np.frombuffer(bits, np.uint8)
            old = out.get(version, new)
            longer, shorter = (new, old) if len(new) > len(old) else (old, new)
            out[version] = longer.copy()
            out[version][: len(shorter)] |= shorter
        return {version: int(np.unpackbits(bits).sum()) for version, bits in out.items()}

    def close(self) -> None:
        self._closing.set()
        self._thread.join()
        try:
            self.flush()
        finally:
            self._db.close()


def _queue(*parts: Iterable[T]) -> deque[T]:
    """What waits, in this order; where the disk refuses for long, the oldest are given up."""
    return deque(chain(*parts), maxlen=_MOST_WAITING)
