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
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

FILE = "slates.db"
_PAUSE = 0.2  # seconds between two commits
_CUT = 16  # where there is no room, a sixteenth of it goes at once
_MOST_WAITING = 100_000  # writes, where the disk refuses them; beyond, the oldest are given up
_log = logging.getLogger("penchant")

Key = tuple[int, str, str]  # hour since the epoch, version, source


class Kept(NamedTuple):
    """A list as it is kept; ``done``: what was done about it, once it is settled."""

    id: int
    person: int
    time: float
    packed: bytes
    done: bytes | None = None


class SlateTable:
    """See the module. ``columns``: names of the sums; ``most_bytes`` of packed lists, beyond which the oldest go."""

    def __init__(self, folder: Path, columns: Sequence[str], most_bytes: int) -> None:
        self._columns, self._most = tuple(columns), most_bytes
        self._mutex, self._database = threading.Lock(), threading.Lock()
        self._waiting: deque[Callable[[], None]] = deque()
        self._unwritten: dict[int, Kept] = {}
        self.failure: str | None = None
        self._db = self._opened(folder / FILE)
        self._bytes: int = self._db.execute("SELECT coalesce(sum(length(packed)), 0) FROM slates").fetchone()[0]
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
            self._unwritten[kept.id] = kept
        self._later(self._insert, kept)

    def settle(self, id: int, done: bytes, totals: Mapping[Key, Sequence[float]], items: Sequence[int]) -> None:
        """What was done about a list, what it adds to the totals, and the items that it showed."""
        self._later(self._settle, id, done, totals, items)

    def move(self, session: int, person: int) -> None:
        self._later(self._run, "UPDATE slates SET person = ? WHERE person = ?", (person, session))

    def forget(self, people: Iterable[int]) -> None:
        """They were erased: on return their lists are gone. The totals name nobody, and stay."""
        for person in people:
            self._later(self._drop, "person = ?", person)
        self.flush()
        with self._database:
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def drop_before(self, id: int, hour: int) -> None:
        """Lists and totals are kept no longer than this."""
        self._later(self._drop, "id < ?", id)
        for table in ("totals", "items"):
            self._later(self._run, f"DELETE FROM {table} WHERE hour < ?", (hour,))

    def flush(self) -> None:
        """Write what waits, in one commit. Raises sqlite3.Error where the disk refuses; then it waits on."""
        with self._database:
            with self._mutex:
                writes, self._waiting = self._waiting, deque()
                written = list(self._unwritten)
            try:
                self._commit(writes)
            except BaseException:
                with self._mutex:
                    self._waiting.extendleft(reversed(writes))
                raise
            with self._mutex:
                for id in written:
                    self._unwritten.pop(id, None)

    def _commit(self, writes: deque[Callable[[], None]]) -> None:
        if not writes:
            return
        self._db.execute("BEGIN IMMEDIATE")
        try:
            for write in writes:
                write()
            self._make_room()
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    def _later(self, write: Callable[..., None], *words: Any) -> None:
        with self._mutex:
            self._waiting.append(partial(write, *words))
            if len(self._waiting) > _MOST_WAITING:
                self._waiting.popleft()

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

    def _run(self, statement: str, words: tuple[Any, ...]) -> None:
        self._db.execute(statement, words)

    def _insert(self, kept: Kept) -> None:
        self._db.execute("INSERT OR REPLACE INTO slates VALUES (?, ?, ?, ?, ?)", kept)
        self._bytes += len(kept.packed)

    def _settle(self, id: int, done: bytes, totals: Mapping[Key, Sequence[float]], items: Sequence[int]) -> None:
        changed = self._db.execute("UPDATE slates SET done = ? WHERE id = ? AND done IS NULL", (done, id)).rowcount
        if not changed:
            return  # dropped meanwhile, or settled before
        names, marks = ", ".join(self._columns), ", ".join("?" * len(self._columns))
        more = ", ".join(f"{name} = {name} + excluded.{name}" for name in self._columns)
        self._db.executemany(
            f"INSERT INTO totals (hour, version, source, {names}) VALUES (?, ?, ?, {marks})"
            f" ON CONFLICT DO UPDATE SET {more}",
            [(*key, *sums) for key, sums in totals.items()],
        )
        for hour, version in {key[:2] for key in totals}:
            self._show(hour, version, items)

    def _show(self, hour: int, version: str, items: Sequence[int]) -> None:
        found = self._db.execute("SELECT bits FROM items WHERE hour = ? AND version = ?", (hour, version)).fetchone()
        bits = bytearray(found[0] if found else b"")
        bits.extend(bytes(max(0, max(items) // 8 + 1 - len(bits))))
        for item in items:
            bits[item // 8] |= 1 << item % 8
        self._db.execute("INSERT OR REPLACE INTO items VALUES (?, ?, ?)", (hour, version, bytes(bits)))

    def _drop(self, where: str, word: int) -> None:
        gone = f"SELECT coalesce(sum(length(packed)), 0) FROM slates WHERE {where}"
        self._bytes -= self._db.execute(gone, (word,)).fetchone()[0]
        self._db.execute(f"DELETE FROM slates WHERE {where}", (word,))

    def _make_room(self) -> None:
        """Where they take more than they may, the oldest lists go."""
        while self._bytes > self._most:
            count = self._db.execute("SELECT count(*) FROM slates").fetchone()[0]
            skipped = (count // _CUT,)
            first = self._db.execute("SELECT id FROM slates ORDER BY id LIMIT 1 OFFSET ?", skipped).fetchone()
            self._drop("id <= ?", first[0])

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
