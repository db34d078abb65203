"""A running engine goes over to the version that is chosen, within about a second of the choice.

A thread looks at `versions/current`. It reads graphs and folds states with the time that answers leave over; only the
last step takes the engine's lock. A version that is refused leaves the one in use where it is, and is not tried again
until somebody chooses again.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path

from penchant.models import versions
from penchant.threads import lower_priority

EVERY = 0.2  # seconds
_log = logging.getLogger("penchant")


class Follower:
    """``go_over()`` is called when another version was chosen; ``warning`` says why the last one was refused."""

    def __init__(self, folder: Path, go_over: Callable[[], object]) -> None:
        self._folder, self._go_over = folder, go_over
        self.warning: str | None = None
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="penchant-versions", daemon=True)
        self._thread.start()

    def _follow(self) -> None:
        lower_priority()
        seen: object = self  # the first look finds what was chosen before this thread ran
        while not self._closing.is_set():
            pointer = versions.pointer(self._folder)
            if pointer != seen:
                seen = pointer
                self._try()
            self._closing.wait(EVERY)

    def _try(self) -> None:
        try:
            self._go_over()
            self.warning = None
        except Exception as error:  # whatever is wrong with a version, the one in use goes on
            self.warning = f"the version that was chosen is not in use: {error}"
            _log.warning(self.warning)

    def close(self) -> None:
        """Waits for a swap that has begun."""
        self._closing.set()
        self._thread.join()
