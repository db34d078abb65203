"""When to try again, and for how long: within one deadline, only where it is harmless and may help.

Notable: a wait is drawn from all of [0, most], where most doubles each time ("full jitter": Brooker, "Exponential
Backoff and Jitter", AWS 2015), so that clients that failed together do not come back together. What the server asks for
(Retry-After) comes before it.

Does not know: how a request is sent, nor how a wait is spent.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from penchant.client.answers import Failed

_FIRST, _MOST = 0.1, 5.0  # seconds that the first wait is drawn below, and any


@dataclass(frozen=True, slots=True)
class Patience:
    """``timeout``: seconds for a call, its tries and waits together; ``retries``: tries after the first one."""

    timeout: float
    retries: int


class Tries:
    """The tries of one call, from now on."""

    def __init__(self, patience: Patience, harmless: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._end = clock, clock() + patience.timeout
        self._made, self._most = 0, patience.retries if harmless else 0

    @property
    def seconds(self) -> float:
        """What is left of the deadline."""
        return max(0.0, self._end - self._clock())

    def wait(self, failed: Failed) -> float:
        """Seconds until the next try. Raises the error where there is none."""
        seconds = backoff(self._made, failed.after)
        if not failed.passing or self._made >= self._most or seconds >= self.seconds:
            raise failed.error
        self._made += 1
        return seconds


def backoff(failures: int, after: float) -> float:
    """Seconds to wait once so many tries before this one have failed, and the server asked for ``after``."""
    return after + random.uniform(0, min(_MOST, _FIRST * 2.0 ** min(failures, 10)))
