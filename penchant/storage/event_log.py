"""The log of events: the only truth, in one SQLite file in WAL mode.

Notable: a call to `append` is one transaction, so that many callers' events share one commit (the caller groups);
ids are hashed to 16 bytes and looked up in one small table per day of arrival, which keeps the index that every
random id must touch small; a finished file import is remembered by the file's hash and row, at no cost per row.
People, items and actions are integers from here on. WAL checkpoints run on a second connection, off the path.

What it does not know: what an event means. It refuses nothing but a repeated id; checking is `pipeline.events`. How it
is read stands in `storage.log_reading`.

Durability: `process` is WAL with synchronous=NORMAL (an acknowledged event survives kill -9, since the write has
reached the kernel), `power` is synchronous=FULL (the commit waits for the disk).
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import sqlite3
import threading
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal, TextIO

import msgspec

from penchant.errors import Corrupt, NotFound, Unavailable
from penchant.storage.checkpoints import TIMEOUT, Checkpoints
from penchant.storage.contexts import Contexts
from penchant.storage.log_reading import (
    ABOUT_THE_LOG,
    INTERACTION,
    KIND,
    ROWS_GO,
    Logged,
    LogReading,
    as_history,
    kinds,
)
from penchant.storage.names import Names
from penchant.types import Event, Kind

FORMAT = 1
DEDUPLICATION_DAYS = 7
_DAY = 86_400.0
_PAGE_BYTES = 1024  # ids and people are random: a commit rewrites a page for each, so pages are small
_SCHEMA = """
CREATE TABLE IF NOT EXISTS people (number INTEGER PRIMARY KEY, name TEXT UNIQUE);
CREATE TABLE IF NOT EXISTS items (number INTEGER PRIMARY KEY, name TEXT UNIQUE);
CREATE TABLE IF NOT EXISTS actions (number INTEGER PRIMARY KEY, name TEXT UNIQUE);
CREATE TABLE IF NOT EXISTS events (offset INTEGER PRIMARY KEY, person INTEGER, item INTEGER, action INTEGER,
    kind INTEGER NOT NULL, value REAL, time REAL NOT NULL, id TEXT NOT NULL, rest BLOB);
CREATE INDEX IF NOT EXISTS events_by_person ON events (person, offset);
CREATE TABLE IF NOT EXISTS retracted (offset INTEGER PRIMARY KEY, by INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS aliases (session INTEGER PRIMARY KEY, person INTEGER NOT NULL, by INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS imports (file BLOB PRIMARY KEY, rows INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS events_of_retention ON events (offset) WHERE kind = 7;
"""


Outcome = Logged | Literal["duplicate", "unknown target", "session taken"]


class EventLog(LogReading):
    """See the module. One process at a time holds a log; a second is refused with Unavailable.

    ``read_only``: for a second program that reads what the first one writes; `end` is where the log stood when opened.
    """

    def __init__(
        self,
        folder: Path,
        durability: Literal["process", "power"] = "process",
        read_only: bool = False,
        contexts: Contexts | None = None,
    ) -> None:
        super().__init__(folder / "events.db", contexts or Contexts({}))
        self._mutex = threading.Lock()
        if read_only:
            self._open_to_read()
            return
        folder.mkdir(parents=True, exist_ok=True)
        self._lock_file: TextIO | None = only_process(folder)
        try:
            self._write = self._connect(durability)
            self._open_schema()
            self._load()
        except BaseException as error:
            self._unlock()
            if type(error) is not sqlite3.DatabaseError:  # a subclass of it says what else is wrong
                raise
            raise Corrupt(
                f"it is not a log: {error}.",
                field="data",
                value=str(self.path),
                way_out="Restore it, or use another folder.",
            ) from error
        self._checkpoints: Checkpoints | None = Checkpoints(self.path)

    def _open_to_read(self) -> None:
        """Beside the process that holds the log: what is committed is read, nothing is written or locked."""
        if not self.path.exists():
            raise NotFound(
                "there is no log here.", field="data", value=str(self.path), way_out="Name a data folder with --data."
            )
        self._lock_file = self._checkpoints = None
        self._write = sqlite3.connect(f"{self.path.resolve().as_uri()}?mode=ro", uri=True, check_same_thread=False)
        self._write.execute("BEGIN")  # names and `end` of one moment, while the other process writes on
        self._load()
        self._write.execute("COMMIT")

    def _load(self) -> None:
        """Read what is kept in memory; at the start, and after a transaction that failed."""
        self.people = Names(self._write, "people")
        self.items = Names(self._write, "items")
        self.actions = Names(self._write, "actions")
        self._load_aliases()
        self.end = self._last()
        self.lost = self.end  # offset of the newest event that took rows out of the log, or of the start
        self._days = self._day_tables()

    def _load_aliases(self) -> None:
        alias: dict[int, tuple[int, int]] = {}
        sessions: dict[int, list[int]] = {}
        for session, person, by in self._write.execute("SELECT session, person, by FROM aliases"):
            alias[session] = (person, by)
            sessions.setdefault(person, []).append(session)
        self._alias, self._sessions = alias, sessions

    def _last(self) -> int:
        return int(self._write.execute("SELECT coalesce(max(offset), 0) FROM events").fetchone()[0])

    def read_on(self) -> bool:
        """Take in what the process that owns the log has committed since; whether that is anything.

        For a log that was opened to read. `end` moves on, and names of people, items and actions follow.
        """
        if self._last() == self.end:
            return False
        self._write.execute("BEGIN")  # all of one moment
        try:
            end, lost = self._last(), self._newest(ROWS_GO, self.end)
            if self._newest(ABOUT_THE_LOG, self.end):
                self._load_aliases()
                self.people.forget_with()  # before a name is met again under another number
            for names in (self.people, self.items, self.actions):
                names.read_on()
        finally:
            self._write.execute("COMMIT")
        self.end, self.lost = end, lost or self.lost
        return True

    def _newest(self, of: Sequence[Kind], after: int) -> int:
        """Offset of the newest event of these kinds after one; 0: there is none."""
        newest = f"SELECT coalesce(max(offset), 0) FROM events WHERE offset > ? AND kind IN ({kinds(of)})"
        return int(self._write.execute(newest, (after,)).fetchone()[0])

    def take_over(self, durability: Literal["process", "power"]) -> bool:
        """Become the process that owns the log, if no other one does any more. For one that was opened to read."""
        try:
            self._lock_file = only_process(self.path.parent)
        except Unavailable:
            return False
        reading, self._write = self._write, self._connect(durability)
        reading.close()
        self._load()
        self._checkpoints = Checkpoints(self.path)
        return True

    # -- writing ---------------------------------------------------------------------------------------------------

    def append(self, events: Sequence[Event], *, source: tuple[bytes, int] | None = None) -> list[Outcome]:
        """Commit events, in order, and say what became of each. On return they are durable.

        ``source`` is (file hash, row after the last of these), remembered in the same transaction; such events are
        recognised by it, so their ids are not entered in the deduplication window.
        Raises Unavailable when the disk refuses; then nothing of the batch is kept.
        """
        with self._mutex:
            try:
                self._write.execute("BEGIN IMMEDIATE")
                outcomes = self._insert(events, deduplicate=source is None)
                if source is not None:
                    self._write.execute("INSERT OR REPLACE INTO imports VALUES (?, ?)", source)
                for names in (self.people, self.items, self.actions):
                    names.write()
                self._write.execute("COMMIT")
            except BaseException as error:
                if self._write.in_transaction:
                    self._write.execute("ROLLBACK")
                self._load()
                if not isinstance(error, sqlite3.Error):
                    raise
                raise Unavailable(
                    f"the log could not be written: {error}.",
                    field="data",
                    value=str(self.path),
                    way_out="Free disk space or correct the folder's rights, then send again.",
                ) from error
            for names in (self.people, self.items, self.actions):
                names.written()
            if self._checkpoints is not None:
                self._checkpoints.after_commit(self._write, any(event.kind == "erasure" for event in events))
        return outcomes

    def _insert(self, events: Sequence[Event], deduplicate: bool) -> list[Outcome]:
        hashes = [_hash(event.id) for event in events] if deduplicate else []
        known = self._known(hashes)
        ids: list[tuple[bytes, int]] = []
        rows: list[tuple[object, ...]] = []
        outcomes: list[Outcome] = []
        for place, event in enumerate(events):
            if deduplicate and hashes[place] in known:
                outcomes.append("duplicate")
                continue
            if event.kind in ABOUT_THE_LOG:
                self._flush(rows, ids)
                outcome = self._about_the_log(event)
            else:
                outcome = self._numbered(event)
            outcomes.append(outcome)
            if not isinstance(outcome, Logged):
                continue
            if deduplicate and event.kind == "erasure":
                known = self._known(hashes)  # what was erased may be sent again
            event = outcome.event  # without the name, if it was an erasure
            rows.append((*outcome[:4], KIND[event.kind], event.value, event.time, event.id, _rest(event)))
            if deduplicate:
                known.add(hashes[place])
                ids.append((hashes[place], outcome.offset))
        self._flush(rows, ids)
        return outcomes

    def _flush(self, rows: list[tuple[object, ...]], ids: list[tuple[bytes, int]]) -> None:
        self._write.executemany("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
        if ids:
            self._write.executemany(f"INSERT INTO {self._today()} VALUES (?, ?)", sorted(ids))
        rows.clear()
        ids.clear()

    def _numbered(self, event: Event) -> Logged:
        self.end += 1
        person = self.person(self.people.add(event.user)) if event.user is not None else -1
        item = self.items.add(event.item) if event.item is not None else -1
        action = self.actions.add(event.action) if event.action is not None else -1
        return Logged(self.end, person, item, action, event)

    def number_actions(self, names: Iterable[str]) -> None:
        """Give actions their numbers for good: weights are kept in this order, whatever batch fails later."""
        with self._mutex:
            for name in names:
                self.actions.add(name)
            self._write.execute("BEGIN IMMEDIATE")
            self.actions.write()
            self._write.execute("COMMIT")
            self.actions.written()

    # -- retraction, alias, erasure, retention: what they do inside the log, in the transaction that logs them -------

    def _about_the_log(self, event: Event) -> Outcome:
        acts = {"retraction": self._retract, "alias": self._join, "erasure": self._erase, "retention": self._retain}
        outcome = acts[event.kind](event)
        if event.kind in ROWS_GO:
            self.lost = self.end
        return outcome

    def _retract(self, event: Event) -> Outcome:
        person = self.person(self.people.get(event.user)) if event.user is not None else -1
        found = self._find(event.target or "", person)
        if found is None:
            return "unknown target"
        offset, owner = found
        self.end += 1
        self._write.execute("INSERT OR IGNORE INTO retracted VALUES (?, ?)", (offset, self.end))
        return Logged(self.end, self.person(owner), -1, -1, event, target=offset)

    def _find(self, event_id: str, person: int) -> tuple[int, int] | None:
        """(offset, person) of an interaction. Beyond the deduplication window the person must be named."""
        digest = _hash(event_id)
        for table in self._days.values():
            row = self._write.execute(
                f"SELECT e.offset, e.person FROM {table} d JOIN events e ON e.offset = d.offset"
                f" WHERE d.hash = ? AND e.kind = {INTERACTION}",
                (digest,),
            ).fetchone()
            if row:
                return int(row[0]), int(row[1])
        for number in self.joined(person):
            row = self._write.execute(
                f"SELECT offset FROM events WHERE person = ? AND id = ? AND kind = {INTERACTION}", (number, event_id)
            ).fetchone()
            if row:
                return int(row[0]), number
        return None

    def _join(self, event: Event) -> Outcome:
        session, person = self.people.add(event.session or ""), self.people.add(event.user or "")
        person = self.person(person)
        if session in self._alias:
            return "duplicate" if self.person(session) == person else "session taken"
        if session == person:
            return "duplicate"
        self.end += 1
        self._write.execute("INSERT INTO aliases VALUES (?, ?, ?)", (session, person, self.end))
        self._alias[session] = (person, self.end)
        self._sessions.setdefault(person, []).append(session)
        return Logged(self.end, person, -1, -1, event, target=session)

    def _erase(self, event: Event) -> Outcome:
        self.end += 1
        blank = msgspec.structs.replace(event, user=None, id=f"erasure-{self.end}")
        person = self.person(self.people.get(event.user or ""))
        if person < 0:
            return Logged(self.end, -1, -1, -1, blank, erased=as_history([]), name=event.user)
        numbers = self.joined(person)
        erased = self._history(self._write, numbers, self.end)
        marks = ",".join("?" * len(numbers))
        ids = self._write.execute(f"SELECT id FROM events WHERE person IN ({marks})", numbers).fetchall()
        for table in self._days.values():
            self._write.executemany(f"DELETE FROM {table} WHERE hash = ?", [(_hash(row[0]),) for row in ids])
        for statement in (
            "DELETE FROM retracted WHERE offset IN (SELECT offset FROM events WHERE person IN ({}))",
            "DELETE FROM events WHERE person IN ({})",
            "DELETE FROM aliases WHERE session IN ({})",
        ):
            self._write.execute(statement.format(marks), numbers)
        for number in numbers:
            self.people.forget(number)
            self._alias.pop(number, None)
            self._sessions.pop(number, None)
        return Logged(self.end, person, -1, -1, blank, erased=erased, events=len(ids), name=event.user)

    def _retain(self, event: Event) -> Outcome:
        """Delete the events at ``offsets``. What is logged names the people who had them, and nothing else of them."""
        self.end += 1
        asked = event.fields
        offsets = asked.get("offsets", [])
        marks = ",".join("?" * len(offsets))
        found = self._write.execute(f"SELECT DISTINCT person FROM events WHERE offset IN ({marks})", offsets).fetchall()
        gone = self._write.execute(f"DELETE FROM events WHERE offset IN ({marks})", offsets).rowcount
        self._drop_retractions(offsets, marks)
        self._sum_up(asked.get("covered", 0))
        fields: dict[str, object] = {"people": sorted({self.person(row[0]) for row in found})}
        if asked.get("last"):
            fields["last"] = True
        event = msgspec.structs.replace(event, fields=fields)
        return Logged(self.end, -1, -1, -1, event, events=gone)

    def _drop_retractions(self, offsets: Sequence[int], marks: str) -> None:
        """With an event goes its retraction, of which a replay would make nothing."""
        by = self._write.execute(f"SELECT by FROM retracted WHERE offset IN ({marks})", offsets).fetchall()
        self._write.execute(f"DELETE FROM retracted WHERE offset IN ({marks})", offsets)
        self._write.executemany("DELETE FROM events WHERE offset = ?", by)

    def _sum_up(self, covered: int) -> None:
        """One retention that says `anybody` stands for all up to an offset, which few will ever read again."""
        which = f"kind = {KIND['retention']} AND offset <= ?"
        last = self._write.execute(f"SELECT max(offset) FROM events WHERE {which}", (covered,)).fetchone()[0]
        if last is not None:
            self._write.execute(f"DELETE FROM events WHERE {which}", (last - 1,))
            anybody = _rest(Event(kind="retention", fields={"last": True}))
            self._write.execute("UPDATE events SET rest = ? WHERE offset = ?", (anybody, last))

    def rows_imported(self, file_hash: bytes) -> int:
        row = self._write.execute("SELECT rows FROM imports WHERE file = ?", (file_hash,)).fetchone()
        return int(row[0]) if row else 0

    # -- house keeping -----------------------------------------------------------------------------------------------

    def close(self) -> None:
        if self._checkpoints is not None:
            self._checkpoints.close()
        for connection in (*self._readers, self._write):
            connection.close()
        self._unlock()

    def _unlock(self) -> None:
        if self._lock_file is not None:
            self._lock_file.close()

    def _connect(self, durability: str) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=TIMEOUT)
        for pragma in (
            f"page_size={_PAGE_BYTES}",
            "journal_mode=WAL",
            f"synchronous={'FULL' if durability == 'power' else 'NORMAL'}",
            "wal_autocheckpoint=0",
            "cache_size=-65536",
            "secure_delete=ON",
            "temp_store=MEMORY",
        ):
            connection.execute(f"PRAGMA {pragma}")
        return connection

    def _open_schema(self) -> None:
        version = self._write.execute("PRAGMA user_version").fetchone()[0]
        if version not in (0, FORMAT):
            raise Corrupt(
                f"its format is {version}, this program reads {FORMAT}.",
                field="data",
                value=str(self.path),
                way_out="Use the program that wrote it, or another folder.",
            )
        self._write.executescript(_SCHEMA)
        self._write.execute(f"PRAGMA user_version={FORMAT}")

    def _day_tables(self) -> dict[int, str]:
        found = self._write.execute("SELECT name FROM sqlite_master WHERE name GLOB 'ids_[0-9]*'").fetchall()
        return {int(name[4:]): name for (name,) in found}

    def _today(self) -> str:
        day = int(time.time() // _DAY)
        if day not in self._days:
            for old in [d for d in self._days if d <= day - DEDUPLICATION_DAYS]:
                self._write.execute(f"DROP TABLE {self._days.pop(old)}")
            self._days[day] = f"ids_{day}"
            self._write.execute(f"CREATE TABLE ids_{day} (hash BLOB PRIMARY KEY, offset INTEGER) WITHOUT ROWID")
        return self._days[day]

    def _known(self, hashes: Sequence[bytes]) -> set[bytes]:
        known: set[bytes] = set()
        for table in self._days.values():
            for start in range(0, len(hashes), 500):
                part = hashes[start : start + 500]
                marks = ",".join("?" * len(part))
                found = self._write.execute(f"SELECT hash FROM {table} WHERE hash IN ({marks})", part)
                known.update(row[0] for row in found)
        return known

    def sizes(self) -> tuple[int, int]:
        """Bytes of the file, and of its WAL."""
        return self.path.stat().st_size, self._checkpoints.bytes() if self._checkpoints is not None else 0

    def free(self) -> int:
        """Bytes of the file that hold nothing, and are written to before it grows; as its head says."""
        with open(self.path, "rb") as file:
            head = file.read(40)
        return _PAGE_BYTES * int.from_bytes(head[36:40], "big")

    def give_back(self) -> None:
        """Have the WAL shrink to nothing, within a second if nobody reads in it."""
        if self._checkpoints is not None:
            self._checkpoints.give_back()


def only_process(folder: Path) -> TextIO:
    """Hold a folder for this process, until the file is closed. Raises Unavailable when another one holds it."""
    handle = open(folder / "lock", "a+", encoding="ascii")  # noqa: SIM115 (held for the life of the log)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        handle.seek(0)
        holder = handle.read().strip() or "unknown"
        handle.close()
        raise Unavailable(
            f"process {holder} has this data folder open.",
            field="data",
            value=str(folder),
            way_out="Stop that process, ask it over HTTP, or use another folder.",
        ) from None
    handle.truncate(0)
    handle.write(str(os.getpid()))
    handle.flush()
    return handle


def _hash(event_id: str | None) -> bytes:
    return hashlib.blake2b((event_id or "").encode(), digest_size=16).digest()


_encoder = msgspec.msgpack.Encoder()


def _rest(event: Event) -> bytes | None:
    """What the columns do not hold; None for the plain interaction, which is most of them."""
    if event.kind == "interaction" and event.words is None and not event.context:
        return None
    columns = {
        "kind": "interaction",
        "id": None,
        "time": None,
        "user": None,
        "action": None,
        "item": None,
        "value": None,
    }
    return _encoder.encode(msgspec.structs.replace(event, **columns))
