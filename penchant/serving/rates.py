"""How often is too often: a token bucket, which forgives bursts of a second and holds the rate over any longer time.

Does not know: whom it counts, and what time it is.
"""

from __future__ import annotations

_ONE = 1.0 - 1e-6  # a request, less what sums of floats may lose of it


class Bucket:
    """Holds a second's worth of requests, at least one, and fills by ``rate`` a second. Moments are seconds."""

    __slots__ = ("_filled", "_left", "_most", "rate")

    def __init__(self, rate: float, now: float) -> None:
        self.rate, self._most = rate, max(rate, 1.0)
        self._left, self._filled = self._most, now

    def take(self, now: float) -> float:
        """Take one out, and return 0; or, where there is none, the seconds until there is."""
        self._left = min(self._left + (now - self._filled) * self.rate, self._most)
        self._filled = now
        if self._left < _ONE:
            return (1.0 - self._left) / self.rate
        self._left -= 1.0
        return 0.0
