"""The two clients: `Client` waits for its answers, `AsyncClient` awaits them. Their verbs are the same.

Notable: a verb is written once (`addresses`) and stands in both as a `Verb`, which asks in the way of its client. A
timeout bounds a whole call, its tries and the waits between them. Where a list cannot be had in that time another one
stands in (`fallback`), so that a page is not empty.

Does not know: what is said to a server, and when it is worth saying it again.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import functools
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from types import TracebackType
from typing import Any, Generic, ParamSpec, Self, TypeVar, overload

import httpx

from penchant import __version__
from penchant.client import addresses
from penchant.client.addresses import Call
from penchant.client.answers import TOO_MANY, Failed, read, silence
from penchant.client.fallback import Fallback
from penchant.client.retrying import Patience, Tries
from penchant.client.sending import BOUNDS, AsyncSender, Bounds, Buffer, OnLost, Sender
from penchant.errors import InvalidInput, PenchantError
from penchant.types import Item, Query, Receipt, Slate

P = ParamSpec("P")
T = TypeVar("T")
H = TypeVar("H", httpx.Client, httpx.AsyncClient)

TIMEOUT, RETRIES = 2.0, 3


class Verb(Generic[P, T]):
    """A method of both clients, out of a function that describes a call: the client asks it, as it asks."""

    def __init__(self, describe: Callable[P, Call[T]]) -> None:
        self._describe = describe

    @overload
    def __get__(self, client: None, owner: type) -> Callable[P, Call[T]]: ...
    @overload
    def __get__(self, client: Client, owner: type) -> Callable[P, T]: ...
    @overload
    def __get__(self, client: AsyncClient, owner: type) -> Callable[P, Coroutine[Any, Any, T]]: ...
    def __get__(self, client: Client | AsyncClient | None, owner: type) -> Any:
        if client is None:
            return self._describe  # of the class: to be read about

        @functools.wraps(self._describe)
        def verb(*args: P.args, **kwargs: P.kwargs) -> Any:
            return client.ask(self._describe(*args, **kwargs))

        return verb


class _Clients(Generic[H]):
    """What both clients share: how they are set up, and the verbs.

    Every verb raises Unavailable where there is no answer, and what the engine raises in process where it is refused.
    """

    _connect: type[H]

    send = Verb(addresses.send)
    put_items = Verb(addresses.put_items)
    put_users = Verb(addresses.put_users)
    item = Verb(addresses.item)
    remove_item = Verb(addresses.remove_item)
    profile = Verb(addresses.profile)
    rank = Verb(addresses.rank)
    compose = Verb(addresses.compose)
    similar = Verb(addresses.similar)
    search = Verb(addresses.search)
    slate = Verb(addresses.slate)
    ready = Verb(addresses.ready)

    def __init__(
        self,
        url: str,
        key: str | None = None,
        *,
        timeout: float = TIMEOUT,
        retries: int = RETRIES,
        fallback: Sequence[str] | bool = True,
    ) -> None:
        """``url`` of the server, and a ``key`` that goes along as `Authorization: Bearer`.

        ``timeout``: seconds for a call, all its tries together. ``retries``: tries after the first. ``fallback``: ids
        of items that stand in where `recommend` has no answer; True: the last good lists do; False: it raises.
        """
        headers = {"user-agent": f"penchant/{__version__}", "content-type": "application/json"}
        if key is not None:
            headers["authorization"] = f"Bearer {key}"
        self._http: H = self._connect(base_url=_checked(url), headers=headers)
        self._patience = Patience(timeout, retries)
        self._fallback = None if fallback is False else Fallback(() if fallback is True else fallback)

    def within(self, timeout: float, retries: int | None = None) -> Self:
        """This client with other patience: `client.within(0.1).recommend(query)`. Connections and lists are shared."""
        other = copy.copy(self)
        other._patience = Patience(timeout, self._patience.retries if retries is None else retries)
        return other

    def _request(self, call: Call[Any], seconds: float) -> httpx.Request:
        if self._http.is_closed:
            url = str(self._http.base_url)
            raise InvalidInput("this client is closed.", field="url", value=url, way_out="Make another one.")
        params = dict(call.params) or None
        return self._http.build_request(call.method, call.path, params=params, content=call.body, timeout=seconds)

    def _forgotten(self, user: str) -> Call[Receipt]:
        if self._fallback is not None:
            self._fallback.forget(user)
        return addresses.forget(user)

    def _remembered(self, query: Query, slate: Slate) -> Slate:
        if self._fallback is not None:
            self._fallback.remember(query, slate)
        return slate

    def _stand_in(self, query: Query, error: PenchantError) -> Slate:
        """What was refused is raised: it is a mistake of the caller's, which a list would hide."""
        if self._fallback is None or (error.status < 500 and error.status != TOO_MANY):
            raise error
        return self._fallback.slate(query, error)


class Client(_Clients[httpx.Client]):
    """Talks to a server, and waits for its answers. Safe to use from many threads. Close it, or use it in a `with`."""

    _connect = httpx.Client

    def ask(self, call: Call[T]) -> T:
        """The answer, after as many tries as it takes. Raises what the last of them failed with."""
        tries = Tries(self._patience, call.harmless)
        while isinstance(outcome := self.once(call, tries.seconds), Failed):
            time.sleep(tries.wait(outcome))
        return outcome

    def once(self, call: Call[T], seconds: float) -> T | Failed:
        """One try, which may take so long."""
        request = self._request(call, seconds)
        try:
            with contextlib.closing(self._http.send(request, stream=True)) as answer:
                return read(answer, _body(answer, seconds), call.answers)
        except httpx.RequestError as error:
            return silence(str(request.url), error, seconds)

    def recommend(self, query: Query) -> Slate:
        """What this person should see next, every event in it that was acknowledged before.

        Where there is no answer in time: a list of version "fallback", whose note says why. Raises InvalidInput.
        """
        try:
            return self._remembered(query, self.ask(addresses.recommend(query)))
        except PenchantError as error:
            return self._stand_in(query, error)

    def forget(self, user: str) -> Receipt:
        """Erase a person, whose list does not stand in any more either; ``erased`` of the receipt is the proof.

        It is tried once, since a second try would not find them. Raises NotFound.
        """
        return self.ask(self._forgotten(user))

    def items(self, after: str | None = None) -> Iterator[Item]:
        """All items, or those after one, in the order in which they were first mentioned. Raises NotFound."""
        while True:
            page = self.ask(addresses.page(after))
            yield from page.items
            if page.next is None:
                return
            after = page.next

    def sender(self, on_lost: OnLost | None = None, bounds: Bounds = BOUNDS) -> Sender:
        """Sends events by the batch, in a thread: `with client.sender() as send: send(event)`.

        ``on_lost(event, error)`` is told, in that thread, of each that was not taken. Close it before the client.
        """
        return Sender(lambda batch: self.once(addresses.send(batch), bounds.timeout), Buffer(bounds, on_lost))

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AsyncClient(_Clients[httpx.AsyncClient]):
    """Talks to a server from the event loop of asyncio. Close it, or use it in an `async with`."""

    _connect = httpx.AsyncClient

    async def ask(self, call: Call[T]) -> T:
        """The answer, after as many tries as it takes. Raises what the last of them failed with."""
        tries = Tries(self._patience, call.harmless)
        while isinstance(outcome := await self.once(call, tries.seconds), Failed):
            await asyncio.sleep(tries.wait(outcome))
        return outcome

    async def once(self, call: Call[T], seconds: float) -> T | Failed:
        """One try, which may take so long."""
        request = self._request(call, seconds)
        try:
            async with asyncio.timeout(seconds):
                answer = await self._http.send(request)
            return read(answer, answer.content, call.answers)
        except (httpx.RequestError, TimeoutError) as error:
            return silence(str(request.url), error, seconds)

    async def recommend(self, query: Query) -> Slate:
        """As `Client.recommend`."""
        try:
            return self._remembered(query, await self.ask(addresses.recommend(query)))
        except PenchantError as error:
            return self._stand_in(query, error)

    async def forget(self, user: str) -> Receipt:
        """As `Client.forget`."""
        return await self.ask(self._forgotten(user))

    async def items(self, after: str | None = None) -> AsyncIterator[Item]:
        """As `Client.items`."""
        while True:
            page = await self.ask(addresses.page(after))
            for item in page.items:
                yield item
            if page.next is None:
                return
            after = page.next

    def sender(self, on_lost: OnLost | None = None, bounds: Bounds = BOUNDS) -> AsyncSender:
        """Sends events by the batch, in a task: `async with client.sender() as send: send(event)`.

        ``on_lost(event, error)`` is told of each that was not taken. Close it before the client.
        """
        return AsyncSender(lambda batch: self.once(addresses.send(batch), bounds.timeout), Buffer(bounds, on_lost))

    async def close(self) -> None:
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


def _body(answer: httpx.Response, seconds: float) -> bytes:
    """All of an answer. The timeout of httpx bounds each part of it, so that one that drips would never end."""
    end, parts = time.monotonic() + seconds, []
    for part in answer.iter_bytes():
        if time.monotonic() > end:
            raise httpx.ReadTimeout("the answer drips", request=answer.request)
        parts.append(part)
    return b"".join(parts)


def _checked(url: str) -> str:
    try:
        read_url = httpx.URL(url)
    except (httpx.InvalidURL, TypeError):
        read_url = httpx.URL()
    if read_url.scheme not in ("http", "https") or not read_url.host:
        raise InvalidInput("is no address of a server.", field="url", value=url, way_out="Write http://HOST:PORT.")
    return url
