"""Who listens for whom: each is called when something was taken in of that person, and nobody else is.

Notable: a listener is found under the name it asked for and under the number that the name stands for now. Events carry
both, so somebody who is named for the first time is found by name, and an alias or an erasure by number; whoever is
called is entered anew. Where nobody listens, an event costs the look at an empty dictionary.

Does not know: what a listener does about it.
"""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from penchant.errors import Overloaded, Unavailable
from penchant.storage.event_log import EventLog
from penchant.storage.log_reading import Logged

MOST = 1_000
_MOST_CONNECTIONS, _OWN_FILES = 4096, 128  # kept alive, one counts whether it asks or not; beyond, a caller waits
_RETRY_SECONDS = 10
_OF_NOBODY = ("item", "impression", "retention")  # they change nobody's list by themselves

Key = str | int


class Listener:
    """``ended``: nobody will call any more."""

    def __init__(self, user: str) -> None:
        self.user, self.ended = user, False
        self.keys: set[Key] = set()
        self._called = asyncio.Event()

    def call(self) -> None:
        self._called.set()

    async def called(self, seconds: float) -> bool:
        """Wait until it is called; whether it was in time. Many calls are one."""
        try:
            await asyncio.wait_for(self._called.wait(), seconds)
        except TimeoutError:
            return False
        self._called.clear()
        return True

    def end(self) -> None:
        self.ended = True
        self.call()


class Listeners:
    """Made and called on the loop's thread, but for `touched`, and the question whether there are any."""

    def __init__(self, log: EventLog) -> None:
        self.most = min(MOST, most_connections() // 2)  # others want to be answered too
        self._log, self._closed, self._count = log, False, 0
        self._by_key: dict[Key, set[Listener]] = {}

    def __len__(self) -> int:
        return self._count

    @contextmanager
    def open(self, user: str) -> Iterator[Listener]:
        """Listen for a person, who may be unknown yet. Raises Overloaded, or Unavailable after `close`."""
        if self._closed:
            raise Unavailable("the server is stopping.", way_out="Open it again when it is back.")
        if self._count >= self.most:
            way_out = "Close one, or ask for lists by /v1/recommend."
            what = "too many streams are open."
            raise Overloaded(what, retry_after=_RETRY_SECONDS, field="streams", value=self._count, way_out=way_out)
        listener = Listener(user)
        self._count += 1
        self._enter(listener)
        try:
            yield listener
        finally:
            self._count -= 1
            self._leave(listener)

    def tell(self, keys: Iterable[Key]) -> None:
        """Call those who listen for any of these."""
        for listener in {one for key in keys for one in self._by_key.get(key, ())}:
            self._leave(listener)  # whom its name stands for may be somebody else now
            self._enter(listener)
            listener.call()

    def close(self) -> None:
        """Nobody listens any more, and nobody may begin to."""
        self._closed = True
        for listener in {one for some in self._by_key.values() for one in some}:
            listener.end()

    def _enter(self, listener: Listener) -> None:
        number = self._log.person(self._log.people.get(listener.user))
        listener.keys = {listener.user} if number < 0 else {listener.user, number}
        for key in listener.keys:
            self._by_key.setdefault(key, set()).add(listener)

    def _leave(self, listener: Listener) -> None:
        for key in listener.keys:
            self._by_key[key].discard(listener)
            if not self._by_key[key]:
                del self._by_key[key]


def most_connections() -> int:
    """How many callers a process has at once, streams among them."""
    return min(_MOST_CONNECTIONS, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - _OWN_FILES)


def touched(logged: Iterable[object]) -> set[Key]:
    """Names and numbers of all people whom these events, now taken in, say anything of; others are no `Logged`."""
    found: set[Key | None] = set()
    for one in (one for one in logged if isinstance(one, Logged)):
        if one.event.kind not in _OF_NOBODY:
            found |= {one.person, one.event.user, one.event.session}
        if one.event.kind == "alias":
            found.add(one.target)  # the session's number
    return {key for key in found if key is not None}
