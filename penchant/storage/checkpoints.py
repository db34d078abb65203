"""When SQLite's WAL is written into its file, and when it starts over: off the path of who writes events or items.

A thread writes what can be written as soon as it is worth it. Only a WAL that grew very long, and one in which somebody
was erased, is started over by the writer itself, before it goes on. Whoever reads in the WAL at that time, a backup
say, may go on reading for minutes: the writer does not wait for that, and the thread starts it over afterwards.

Does not know: what is in it.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from pathlib import Path
from typing import Literal

TIMEOUT = 30.0  # seconds that a connection to the log waits for another one
_PATIENCE = 1.0  # that a writer waits for who reads in the WAL
_EVERY = 0.5
_WORTH_IT = 32 * 2**20  # bytes
_TOO_LONG = 256 * 2**20
_log = logging.getLogger("penchant")


class Checkpoints:
    """Of one file; `after_commit` is called by its writer, everything else by anybody."""

    def __init__(self, file: Path) -> None:
        self._file, self._wal = file, file.with_name(file.name + "-wal")
        self._owed = False  # the WAL is to start over as soon as nobody reads in it
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="penchant-wal", daemon=True)
        self._thread.start()

    def bytes(self) -> int:
        """Length of the WAL."""
        return self._wal.stat().st_size if self._wal.exists() else 0

    def give_back(self) -> None:
        """Have the WAL shrink to nothing, within a second if nobody reads in it."""
        self._owed = self._owed or self.bytes() > 0

    def after_commit(self, writer: sqlite3.Connection, erased: bool) -> None:
        """Start the WAL over if it must, on the writer's connection; the writer is between two transactions."""
        if (erased or self.bytes() > _TOO_LONG) and not self._owed:
            writer.execute(f"PRAGMA busy_timeout={_PATIENCE * 1000:.0f}")
            self._owed = not checkpoint(writer, "TRUNCATE")
            writer.execute(f"PRAGMA busy_timeout={TIMEOUT * 1000:.0f}")

    def close(self) -> None:
        self._closing.set()
        self._thread.join()

    def _run(self) -> None:
        connection = sqlite3.connect(self._file, isolation_level=None, check_same_thread=False, timeout=0.0)
        while not self._closing.wait(_EVERY):
            if self._owed:
                self._owed = False  # before it is done: what is committed from here on asks for itself
                self._owed = not checkpoint(connection, "TRUNCATE") or self._owed
            elif self.bytes() > _WORTH_IT:
                checkpoint(connection, "PASSIVE")
        connection.close()


def checkpoint(connection: sqlite3.Connection, how: Literal["PASSIVE", "TRUNCATE"]) -> bool:
    """Write the WAL into the file; whether it was done as asked, and nobody was in the way for too long.

    What the disk refuses is told and not raised: the events are safe in the WAL, and it is tried again.
    """
    try:
        return not connection.execute(f"PRAGMA wal_checkpoint({how})").fetchone()[0]
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
            _log.warning("the WAL could not be written into the log", extra={"reason": str(error)})
        return False
