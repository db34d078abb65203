"""What a server counts while it works: plain numbers where the work is done, read when somebody asks for metrics.

Notable: a number is written by one thread alone, so that none needs a lock, and a list costs next to nothing more.
How long one event or one list takes lately is kept as well: who is turned away is told when to come back.

Does not know: what the numbers are called outside (`serving.telemetry`).
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field

from penchant.types import Receipt

SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5, 10.0)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 1024, 8192)
_LATELY = 0.1  # weight of the newest batch in what one of a batch takes
_LONGEST_WAIT = 60  # seconds; nobody is sent away for longer


class Histogram:
    """How many values lay at or below each bound, and their sum."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds, self.counts, self.sum = bounds, [0] * (len(bounds) + 1), 0.0

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value


class Stage:
    """A stage of the work: seconds and size of its batches; ``each``: seconds that one of a batch takes lately."""

    __slots__ = ("each", "seconds", "sizes")

    def __init__(self) -> None:
        self.seconds, self.sizes, self.each = Histogram(SECONDS), Histogram(SIZES), 0.0

    def took(self, seconds: float, size: int) -> None:
        self.seconds.observe(seconds)
        self.sizes.observe(size)
        self.each += (seconds / size - self.each) * (_LATELY if self.each else 1.0)


@dataclass(slots=True)
class Measures:
    """Counted on the loop's thread, but for `commit` (the log's thread), `apply` and `answer` (the engine's).

    ``refused``: events that were not taken, malformed ones too; ``overloads``: calls turned away since too much waited.
    """

    check: Stage = field(default_factory=Stage)
    commit: Stage = field(default_factory=Stage)
    apply: Stage = field(default_factory=Stage)
    answer: Stage = field(default_factory=Stage)
    accepted: int = 0
    duplicates: int = 0
    refused: int = 0
    late: int = 0
    overloads: dict[str, int] = field(default_factory=lambda: {"events": 0, "queries": 0})

    def note(self, receipt: Receipt) -> None:
        """Count what became of the events of one request."""
        self.accepted += receipt.accepted
        self.duplicates += len(receipt.duplicates)
        self.refused += len(receipt.refused)
        self.late += len(receipt.late)

    def wait(self, events: int, queries: int, log: bool) -> int:
        """Whole seconds, at least 1, until as much as this is done at the pace of the last batches.

        Events and queries share the engine's thread; ``log``: the events wait to be committed as well.
        """
        seconds = events * self.apply.each + queries * self.answer.each + log * events * self.commit.each
        return min(max(math.ceil(seconds), 1), _LONGEST_WAIT)
