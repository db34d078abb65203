"""When states and counts go to disk, so that the next start replays only what came after.

Taken under the lock of the parts, which holds lists up for as long as it takes to copy them in memory; written by a
thread of its own, or by who asks for it. One that fails is a warning, since the events are safe in the log.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass

from penchant.parts import Parts, Taken
from penchant.threads import lower_priority

_log = logging.getLogger("penchant")


@dataclass(slots=True)
class _Due:
    """What is to be written; ``since``, ``recounted``: what is to be written again should it fail."""

    number: int
    taken: Taken
    since: int
    recounted: bool


class Snapshots:
    """``since``: events taken in since the last one. ``half_done``: something is half applied, so none is taken."""

    def __init__(self, parts: Parts) -> None:
        self._parts, self._writing = parts, threading.Lock()
        self._taken = self._written = 0
        self._begun: _Due | None = None  # under the lock of the parts, as is the thread
        self._thread: threading.Thread | None = None
        self.since = self.failures = 0
        self.half_done = False
        self.warning: str | None = None

    @property
    def is_due(self) -> bool:
        return self.since >= self._parts.settings.snapshot_every

    def begin(self) -> None:
        """Take one now, and have it written beside; `wait` returns once it is. For who holds the lock of the parts."""
        due = self._take()
        if due is None:
            return
        if self._begun is not None:  # nobody has begun to write that one
            due.since, due.recounted = due.since + self._begun.since, due.recounted or self._begun.recounted
        self._begun = due
        if self._thread is None:
            self._thread = threading.Thread(target=self._write_begun, name="penchant-snapshots", daemon=True)
            self._thread.start()

    def wait(self) -> None:
        """Until what was begun is written, or has failed."""
        with self._parts.lock:
            thread = self._thread
        if thread is not None:
            thread.join()

    def write(self) -> None:
        """Take one and write it, now. Raises OSError when the disk refuses; then it is still to be written."""
        with self._parts.lock:
            due = self._take()
        if due is not None:
            self._put(due)

    def attempt(self) -> None:
        """The same, where a failure is told as a warning."""
        with self._parts.lock:
            due = self._take()
        if due is not None:
            self._try(due)

    def finish(self) -> None:
        """At the end: what was not written yet."""
        self.wait()
        if self.since or self._parts.recounted:
            self.write()

    def _take(self) -> _Due | None:
        if self.half_done:
            return None
        recounted, since = self._parts.recounted, self.since
        taken = self._parts.taken()
        self._taken, self.since = self._taken + 1, 0
        return _Due(self._taken, taken, since, recounted)

    def _write_begun(self) -> None:
        lower_priority()
        while due := self._next():
            self._try(due)

    def _next(self) -> _Due | None:
        with self._parts.lock:
            due, self._begun = self._begun, None
            if due is None:
                self._thread = None
            return due

    def _try(self, due: _Due) -> None:
        try:
            self._put(due)
            self.warning = None
        except OSError as error:
            self.failures += 1
            self.warning = f"the last snapshot could not be written ({error}); the next start replays more of the log"
            _log.warning(self.warning)

    def _put(self, due: _Due) -> None:
        try:
            with self._writing:
                if due.number > self._written:  # or another was taken later, and written before
                    self._parts.save(due.taken)
                    self._written = due.number
        except BaseException:
            with self._parts.lock:
                self.since += due.since
                self._parts.recounted |= due.recounted
            raise
