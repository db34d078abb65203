"""The engine's clock: the system's, but that it does not go back.

Why: an event that is more than five minutes older than its person's newest one is counted and not stepped into the
state. Had the system's clock been set back by an hour, everybody's events would be such for an hour. So the later time
is kept until the system has caught up. Where it went back by more than `MOST`, something else is wrong, and holding on
would do more harm than good: the system is followed. Either way it is a warning.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

MOST = 6 * 3600.0  # seconds
_NOTICED = 1.0


class Clock:
    """Unix seconds that do not fall. ``newest``: the last moment that is known of, from before a start."""

    def __init__(self, newest: float = 0.0, system: Callable[[], float] = lambda: time.time()) -> None:
        self._last, self._system = newest, system
        self._lock = threading.Lock()
        self._back = 0.0
        self.now()

    def now(self) -> float:
        with self._lock:
            system = self._system()
            behind = self._last - system
            if behind > MOST:
                self._back, self._last = behind, system
            elif behind > 0.0:
                self._back = behind if behind > _NOTICED else 0.0
            else:
                self._back, self._last = self._back if self._back > MOST else 0.0, system
            return self._last

    @property
    def warning(self) -> str | None:
        if not self._back:
            return None
        if self._back > MOST:
            what = "people who did something before may have their next events counted and not followed"
            return f"the system's clock went back by {self._back:.0f} s: {what}"
        what = "events and lists keep the later time until it has caught up"
        return f"the system's clock is {self._back:.0f} s behind what it was: {what}"
