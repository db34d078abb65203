"""Events sent by the batch, beside the program that hands them over: `Sender` (a thread) and `AsyncSender` (a task).

Notable: handing over never waits. A batch goes when it is full or its first event is old enough; while the server is
away it is tried again, until the sender is closed. An event leaves the buffer only when the server has taken it or said
no, so that its bound counts those on their way, too. What was not taken in the end goes to `on_lost`; without one it is
kept, within the same bound, and raised at close. Nothing disappears.

Does not know: how a batch is sent.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import math
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from types import TracebackType
from typing import Self

from msgspec import structs

from penchant.client import addresses
from penchant.client.answers import Failed, Refused
from penchant.client.retrying import backoff
from penchant.errors import InvalidInput, PenchantError, Unavailable
from penchant.types import Event, Receipt, Refusal

OnLost = Callable[[Event, PenchantError], None]
Outcome = Receipt | Failed
_TOO_LARGE = 413


class Lost(Unavailable):
    """``events`` were handed over and not taken. Each has its id and its time: to send it again is harmless."""

    def __init__(self, events: Sequence[Event], reason: BaseException | None) -> None:
        self.events = list(events)
        way_out = "They are in `events`: send them again, or give the sender `on_lost`."
        super().__init__(f"were not taken: {reason}", field="events", value=len(events), way_out=way_out)


@dataclass(frozen=True, slots=True)
class Bounds:
    """A batch goes at ``size`` events, or ``age`` seconds after its first. ``room``: how many events are held at most.

    ``timeout``: seconds that a try of a batch may take; and that a close goes on trying.
    """

    size: int = 500
    age: float = 1.0
    room: int = 10_000
    timeout: float = 10.0


BOUNDS = Bounds()


class Buffer:
    """What was handed over and is not settled, in order. It belongs to one sender, which sees to its lock."""

    def __init__(self, bounds: Bounds, on_lost: OnLost | None, clock: Callable[[], float] = time.monotonic) -> None:
        self.bounds, self._on_lost, self._clock = bounds, on_lost, clock
        self._waiting: deque[tuple[float, Event]] = deque()
        self._lost: deque[tuple[Event, PenchantError]] = deque()
        self._size, self._failures, self._not_before, self._end = bounds.size, 0, -math.inf, math.inf
        self.failure: BaseException | None = None

    def add(self, event: Event) -> None:
        """Give the event an id and a time where it has none, and keep it. Raises Unavailable, InvalidInput."""
        if self._end < math.inf or self.failure:
            raise Unavailable("the sender is closed.", field="event", value=event, way_out="Open another one.")
        if len(self._waiting) + len(self._lost) >= self.bounds.room:
            raise Unavailable(
                "the sender is full, and did not take this event.",
                field="room",
                value=self.bounds.room,
                way_out="See that the server answers, and give the sender `on_lost`, or more `room`.",
            )
        event = structs.replace(addresses.with_id(event), time=time.time() if event.time is None else event.time)
        addresses.send(event)  # what cannot be written is refused while its sender is there to hear it
        self._waiting.append((self._clock(), event))

    def wait(self) -> float | None:
        """Seconds until a batch is due; None while nothing waits."""
        if not self._waiting:
            return 0.0 if self._end < math.inf else None
        full = len(self._waiting) >= self._size or self._end < math.inf
        due = self._clock() if full else self._waiting[0][0] + self.bounds.age
        return max(0.0, min(max(due, self._not_before), self._end) - self._clock())

    def batch(self) -> list[Event]:
        """The first events; they stay until they are settled."""
        return [event for _, event in islice(self._waiting, self._size)]

    def settle(self, batch: list[Event], outcome: Outcome) -> None:
        """What a try came to. `tell` says what was lost by it."""
        if isinstance(outcome, Receipt):
            self._failures = 0
            self._refuse(self._drop(len(batch)), outcome.refused)
        elif isinstance(outcome.error, Refused):
            self._refuse(self._drop(len(batch)), outcome.error.refused)
        elif outcome.error.status == _TOO_LARGE and len(batch) > 1:
            self._size = len(batch) // 2
        elif not outcome.passing:
            self._lose(self._drop(len(batch)), outcome.error)
        else:
            self._put_off(outcome)

    def _put_off(self, failed: Failed) -> None:
        self._not_before = self._clock() + backoff(self._failures, failed.after)
        self._failures += 1
        if self._clock() >= self._end:
            self._lose(self._drop(len(self._waiting)), failed.error)

    def tell(self) -> None:
        """Hand what was lost to `on_lost`; an event is lost until that has returned."""
        while self._lost and self._on_lost is not None:
            self._on_lost(*self._lost[0])
            self._lost.popleft()

    def end(self) -> None:
        """Take no more; what waits is due."""
        self._end = min(self._end, self._clock() + self.bounds.timeout)

    def check(self) -> None:
        """At the end, once: raises Lost when there are events that were not taken, and nobody was told."""
        left = [*(event for event, _ in self._lost), *self._drop(len(self._waiting))]
        reason = self.failure or (self._lost[0][1] if self._lost else None)
        self.failure = None
        self._lost.clear()
        if left or reason:
            raise Lost(left, reason) from reason

    def _refuse(self, batch: list[Event], refused: Sequence[Refusal]) -> None:
        for refusal in refused:
            error = InvalidInput(refusal.detail, field=refusal.field)
            error.value = refusal.value
            self._lose([batch[refusal.index]], error)

    def _lose(self, events: list[Event], error: PenchantError) -> None:
        self._lost.extend((event, error) for event in events)

    def _drop(self, count: int) -> list[Event]:
        return [self._waiting.popleft()[1] for _ in range(count)]


class Sender:
    """Call it with an event. Close it, or use it in a `with`; a program that ends without has it closed.

    Make it in the process that sends: its thread does not live on in a fork.
    """

    def __init__(self, send: Callable[[list[Event]], Outcome], buffer: Buffer) -> None:
        self._send, self._buffer, self._changed = send, buffer, threading.Condition()
        self._thread = threading.Thread(target=self._run, name="penchant-sender", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    def __call__(self, event: Event) -> None:
        """Hand an event over. Raises Unavailable when the sender is full or closed; InvalidInput."""
        with self._changed:
            self._buffer.add(event)
            self._changed.notify()

    def close(self) -> None:
        """Send what waits. Raises Lost when something was not taken and there is no `on_lost`."""
        with self._changed:
            self._buffer.end()
            self._changed.notify()
        self._thread.join()
        atexit.unregister(self.close)
        self._buffer.check()

    def _run(self) -> None:
        try:
            while batch := self._next():
                outcome = self._send(batch)
                with self._changed:
                    self._buffer.settle(batch, outcome)
                self._buffer.tell()
        except BaseException as error:  # most likely of `on_lost`; whoever hands over next is told, and who closes
            self._buffer.failure = error

    def _next(self) -> list[Event]:
        """Waits for the batch that is due; an empty one is the end."""
        with self._changed:
            while (seconds := self._buffer.wait()) != 0:
                self._changed.wait(seconds)
            return self._buffer.batch()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AsyncSender:
    """The same in an event loop: call it with an event, without `await`. Close it, or use it in an `async with`."""

    def __init__(self, send: Callable[[list[Event]], Awaitable[Outcome]], buffer: Buffer) -> None:
        self._send, self._buffer, self._changed = send, buffer, asyncio.Event()
        self._task = asyncio.create_task(self._run(), name="penchant-sender")

    def __call__(self, event: Event) -> None:
        """Hand an event over. Raises Unavailable when the sender is full or closed; InvalidInput."""
        self._buffer.add(event)
        self._changed.set()

    async def close(self) -> None:
        """Send what waits. Raises Lost when something was not taken and there is no `on_lost`."""
        self._buffer.end()
        self._changed.set()
        await self._task
        self._buffer.check()

    async def _run(self) -> None:
        try:
            while batch := await self._next():
                self._buffer.settle(batch, await self._send(batch))
                self._buffer.tell()
        except Exception as error:  # most likely of `on_lost`; whoever hands over next is told, and who closes
            self._buffer.failure = error

    async def _next(self) -> list[Event]:
        """Waits for the batch that is due; an empty one is the end."""
        while (seconds := self._buffer.wait()) != 0:
            self._changed.clear()
            with contextlib.suppress(TimeoutError):  # the time has come
                await asyncio.wait_for(self._changed.wait(), seconds)
        return self._buffer.batch()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
