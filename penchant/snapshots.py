"""When states and counts go to disk, so that the next start replays only what came after.

Taken under the lock of the parts, written without it: lists go on meanwhile. One that fails is a warning, since the
events are safe in the log.
"""

from __future__ import annotations

import logging
import threading

from penchant.parts import Parts

_log = logging.getLogger("penchant")


class Snapshots:
    """``since``: events taken in since the last one. ``half_done``: something is half applied, so none is taken."""

    def __init__(self, parts: Parts) -> None:
        self._parts, self._writing = parts, threading.Lock()
        self._taken = self._written = 0
        self.since = self.failures = 0
        self.half_done = False
        self.warning: str | None = None

    @property
    def is_due(self) -> bool:
        return self.since >= self._parts.settings.snapshot_every

    def write(self) -> None:
        """Raises OSError when the disk refuses; then it is still to be written."""
        with self._parts.lock:
            if self.half_done:
                return
            recounted, since = self._parts.recounted, self.since
            taken = self._parts.taken()
            self._taken, self.since = self._taken + 1, 0
            number = self._taken
        try:
            with self._writing:
                if number > self._written:  # or another was taken later, and written before
                    self._parts.save(taken)
                    self._written = number
        except BaseException:
            self.since += since
            self._parts.recounted |= recounted
            raise

    def attempt(self) -> None:
        """The same, where a failure is told as a warning."""
        try:
            self.write()
            self.warning = None
        except OSError as error:
            self.failures += 1
            self.warning = f"the last snapshot could not be written ({error}); the next start replays more of the log"
            _log.warning(self.warning)

    def finish(self) -> None:
        """At the end: what was not written yet."""
        if self.since or self._parts.recounted:
            self.write()
