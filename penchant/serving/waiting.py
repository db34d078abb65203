"""Those who wait until the engine has taken in an offset of the log: a caller's own write, acknowledged elsewhere.

Notable: nobody's thread waits. One task looks, a few hundred times a second, for all that wait, and is there only while
somebody does; so it does not matter who moves the engine on: these threads, or another process that writes the log.

Does not know: what is asked afterwards, and what it means that time is up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count

PATIENCE = 1.0  # seconds; a log that is further behind will not be there in a few more either
_LOOK = 0.004


class Waiting:
    """``as_of()``: how far the log is taken in. Made and called on the loop's thread."""

    def __init__(self, as_of: Callable[[], int]) -> None:
        self._as_of, self._places = as_of, count()
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []  # a heap: the lowest offset first
        self._looking: asyncio.Task[None] | None = None

    async def until(self, offset: int) -> bool:
        """Whether the offset was taken in before `PATIENCE` was over."""
        if self._as_of() >= offset:
            return True
        reached = asyncio.get_running_loop().create_future()
        heappush(self._waiting, (offset, next(self._places), reached))
        if self._looking is None:
            self._looking = asyncio.create_task(self._look())
        try:
            await asyncio.wait([reached], timeout=PATIENCE)
        finally:
            late = reached.cancel()  # also where the caller went away
        return not late

    async def _look(self) -> None:
        while self._waiting:
            await asyncio.sleep(_LOOK)
            as_of = self._as_of()
            while self._waiting and (self._waiting[0][0] <= as_of or self._waiting[0][2].done()):
                reached = heappop(self._waiting)[2]
                if not reached.done():
                    reached.set_result(None)
        self._looking = None
