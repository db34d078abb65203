"""A person's list as a stream: sent at once, and again whenever it has become another one (server-sent events).

    GET /v1/recommend/stream?user=ANN

Notable: a stream asks again when an event of its own person was taken in, at most a few times a second, and sends what
differs in its items or their order. The id of a message is the list's `as_of`; a browser that comes back names the last
one it saw, and its next list knows that offset at least. What cannot be answered is a problem, as at any address, since
nothing is sent before the first list is there.

Does not know: who calls a stream (`serving.listening`), or how a list is made.
"""

from __future__ import annotations

import asyncio
import json
import time
from typing import Annotated

import msgspec
from litestar import get
from litestar.params import Parameter
from litestar.types import ASGIApp, Receive, Scope, Send
from msgspec import structs

from penchant.errors import InvalidInput, Unavailable
from penchant.pipeline.filters import parse
from penchant.serving import pages
from penchant.serving.access import caller_of
from penchant.serving.calls import Call, Explain, Filter, InLanguage, Limit, Where, threads_of
from penchant.serving.listening import Listener
from penchant.serving.requests import TIMED_UPTO
from penchant.serving.threads import Threads
from penchant.types import Query, Slate

HEARTBEAT = 15.0  # seconds of silence after which proxies, and we, want to know that somebody is there
APART = 0.25  # seconds from one list to the next
_LAST, _DIGITS = "Last-Event-ID", 19
MEDIA_TYPE = "text/event-stream"
_HEADERS = [
    (b"content-type", MEDIA_TYPE.encode()),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),  # nginx would keep messages back until a buffer is full
]
_BEAT = b":\n\n"


@get("/recommend/stream")
async def stream(
    request: Call,
    user: Annotated[str, Parameter(description="whose list")],
    limit: Limit = 10,
    where: Where = None,
    filter: Filter = None,
    explain: Explain = False,
    language: InLanguage = "en",
) -> ASGIApp:
    """This person's list now, and again when an event has changed it: server-sent events, `slate` by `slate`.

    Whoever comes back sends the id of the last message as `Last-Event-ID`, as browsers do, and misses nothing.
    """
    conditions = tuple(map(parse, where or ()))
    query = Query(user=user, limit=limit, where=conditions, filter=filter, after=_last_seen(request))
    query.explain, query.language = explain, language
    caller_of(request.scope).check_query(query)
    return Stream(threads_of(request), query)


def _last_seen(request: Call) -> int | None:
    told = request.headers.get(_LAST)
    if told is None or (told.isascii() and told.isdecimal() and len(told) < _DIGITS):
        return None if told is None else int(told)
    raise InvalidInput("is no id of a message.", field=_LAST, value=told, way_out="Open the stream anew, without it.")


class Stream:
    """One answer that goes on until the caller leaves or the server stops."""

    def __init__(self, threads: Threads, query: Query) -> None:
        self._threads, self._query = threads, query

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._threads.listeners.open(self._query.user or "") as listener:
            slate = await self._first()
            scope["state"][TIMED_UPTO] = time.perf_counter()
            await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
            gone = asyncio.create_task(_end_when_gone(receive, listener))
            try:
                await self._follow(listener, slate, send)
            finally:
                gone.cancel()
        await _send(send, b"", more=False)

    async def _follow(self, listener: Listener, slate: Slate | None, send: Send) -> None:
        shown: list[str] = []
        while not listener.ended:
            if slate is not None:
                await _send(send, _message(slate))
                shown = _names(slate)
            await asyncio.sleep(APART)
            while not await listener.called(HEARTBEAT):
                await _send(send, _BEAT)
            slate = None if listener.ended else await self._next(listener, shown)

    async def _first(self) -> Slate:
        try:
            return await self._threads.recommend(self._query)
        except Unavailable as error:
            if error.field != "after":
                raise
            way_out = "Open the stream anew, without it."
            raise Unavailable(error.what, field=_LAST, value=self._query.after, way_out=way_out) from None

    async def _next(self, listener: Listener, shown: list[str]) -> Slate | None:
        """The list, where it is another than was shown; only then it counts as shown itself. Others may go first."""
        query = structs.replace(self._query, after=None)
        try:
            looked_at = await self._threads.recommend(structs.replace(query, track=False, explain=False))
            return None if _names(looked_at) == shown else await self._threads.recommend(query)
        except Unavailable:
            listener.call()  # look again
            return None


async def _end_when_gone(receive: Receive, listener: Listener) -> None:
    while (await receive())["type"] != "http.disconnect":
        continue
    listener.end()


async def _send(send: Send, body: bytes, more: bool = True) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": more})


def _names(slate: Slate) -> list[str]:
    return [one.item for one in slate.items]


def _message(slate: Slate) -> bytes:
    return b"id: %d\nevent: slate\ndata: %b\n\n" % (slate.as_of, msgspec.json.encode(slate))


class Messages(str):
    """Messages, one after the other: `id` is the list's `as_of`, `event` is slate, `data` the slate."""


DESCRIBED = {
    "GET /v1/recommend/stream": pages.Described(
        f"{pages.HERE}/v1/recommend/stream?user=ann' -N",
        Messages,
        f"id: {pages.SLATE['as_of']}\nevent: slate\ndata: {json.dumps(pages.SLATE)}\n\n",
        media_type=MEDIA_TYPE,
    )
}
