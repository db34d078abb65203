"""What is changed on disk reaches a running process within about a second: a version chosen, settings, keys.

A thread looks five times a second, which costs no more than a `stat`. It prepares what is new with the time that
answers leave over. What is refused leaves the one in use where it is, with a warning, and is not tried again until
somebody changes it again.

Does not know: what it follows.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path

from penchant.threads import lower_priority

EVERY = 0.2  # seconds
_log = logging.getLogger("penchant")


class Follower:
    """``go_over()`` is called when ``look()`` sees something else; where it fails, ``warning`` is ``said``, and why."""

    def __init__(self, said: str, look: Callable[[], object], go_over: Callable[[], object]) -> None:
        self._said, self._look, self._go_over = said, look, go_over
        self.warning: str | None = None
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="penchant-following", daemon=True)
        self._thread.start()

    def _follow(self) -> None:
        lower_priority()
        seen: object = self  # the first look finds what was changed before this thread ran
        while not self._closing.is_set():
            found = self._look()
            if found != seen:
                seen = found
                self._try()
            self._closing.wait(EVERY)

    def _try(self) -> None:
        try:
            self._go_over()
            self.warning = None
        except Exception as error:  # whatever is wrong with what is new, the one in use goes on
            self.warning = f"{self._said}: {error}"
            _log.warning(self.warning)

    def close(self) -> None:
        """Waits for a change that has begun."""
        self._closing.set()
        self._thread.join()


def mark(path: Path) -> tuple[int, int, int] | None:
    """What tells a file from another one of the same name; None: there is none."""
    try:
        found = path.stat()
    except OSError:  # who reads it is told why
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size
