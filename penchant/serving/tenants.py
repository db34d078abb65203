"""Whose engine answers: the one of the data folder, or each tenant's own, opened when it is first asked for.

Notable: a tenant is a data folder like any other, with its own settings, log, versions, threads. Nothing is shared but
the process, so nothing of one can be reached from another. All of this runs on the loop's thread and needs no lock;
engines are opened and closed in threads beside it. A tenant that has requests in flight is never closed.

Does not know: keys (`serving.access`); which tenant is asked for is told by name.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from penchant.config import Settings
from penchant.engine import Engine
from penchant.errors import PenchantError, Unavailable
from penchant.serving.tenant_folders import folder_of
from penchant.serving.threads import Threads

PATIENCE = 2.0  # seconds that a request waits for its tenant to be opened, before it is told to come back
_FOLLOW = 0.1  # seconds between two looks at the log of a leader
_SWEEP = 1.0  # seconds between two looks for tenants that nobody asks
_log = logging.getLogger("penchant")


class Place(Protocol):
    """Where a request is answered; ``threads`` is None while it is not open."""

    threads: Threads | None


class Tenants(Protocol):
    """Who decides which threads answer."""

    async def open(self) -> None: ...

    async def enter(self, name: str) -> Place:
        """The place of a tenant; it stays open until `leave`. Raises Unavailable."""

    def leave(self, place: Place) -> None: ...

    def end_streams(self) -> None:
        """End the answers that have no end of their own; none begins any more."""

    async def close(self) -> None: ...

    @property
    def is_open(self) -> bool: ...

    @property
    def is_alive(self) -> bool:
        """Whether the threads run that every answer needs."""

    @property
    def standing(self) -> dict[str, object]:
        """What a line of the log says of them."""

    @property
    def warnings(self) -> list[str]: ...


class Leader(NamedTuple):
    """The folder of another process that is followed; and whether to own it when that process is gone."""

    home: Path
    take_over: bool = False


class Alone:
    """The data folder itself is the one tenant: open from start to end. Without a folder, somebody sets ``threads``.

    ``leader``: answer lists from its log; the folder then has what is derived.
    """

    def __init__(
        self, folder: Path | None = None, flags: dict[str, Any] | None = None, leader: Leader | None = None
    ) -> None:
        self._folder, self._flags, self._leader = folder, flags or {}, leader
        self.threads: Threads | None = None
        self._following: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Raises what `Engine.open` does."""
        if self._folder is None:
            return
        self.threads = await _opened(self._folder, self._flags, self._leader.home if self._leader else None)
        if self._leader is not None:
            self._following = asyncio.create_task(_follow(self.threads.engine, self._leader))

    async def enter(self, name: str) -> Place:
        if name:  # a key of a tenant that was here once
            raise _cannot_open()
        return self

    def leave(self, place: Place) -> None:
        """It stays."""

    def end_streams(self) -> None:
        if self.threads is not None:
            self.threads.listeners.close()

    async def close(self) -> None:
        if self._following is not None:
            self._following.cancel()
        if self.threads is not None:
            await _closed(self.threads)

    @property
    def is_open(self) -> bool:
        return self.threads is not None

    @property
    def is_alive(self) -> bool:
        return self.threads is None or self.threads.alive

    @property
    def standing(self) -> dict[str, object]:
        return _standing(self.threads.engine) if self.threads is not None else {}

    @property
    def warnings(self) -> list[str]:
        return self.threads.engine.warnings if self.threads is not None else []


class _Tenant:
    """One that is open or being opened. ``used``: when it was last asked, on the clock that only goes forward."""

    def __init__(self, name: str) -> None:
        self.name, self.in_flight, self.used = name, 0, time.monotonic()
        self.threads: Threads | None = None
        self.failed = False
        self.opening: asyncio.Task[None] | None = None


class Many:
    """Tenants by name, at most ``max_open_tenants`` open at once; the one that was asked longest ago gives way.

    ``named()`` says which tenants a key leads to: another is closed as soon as nobody is being answered there.
    """

    def __init__(self, folder: Path, settings: Settings, flags: dict[str, Any], named: Callable[[], set[str]]) -> None:
        self._folder, self._flags, self._named = folder, flags, named
        self._most, self._idle = settings.max_open_tenants, settings.tenant_idle_seconds
        self._here: dict[str, _Tenant] = {}
        self._leaving: set[asyncio.Task[None]] = set()
        self._sweeping: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """None of them yet: each is opened when it is first asked for."""
        self._sweeping = asyncio.create_task(self._sweep())

    async def enter(self, name: str) -> Place:
        tenant = self._here.get(name) or self._begin(name)
        tenant.in_flight += 1
        try:
            if tenant.threads is None and tenant.opening is not None:
                await asyncio.wait([tenant.opening], timeout=PATIENCE)
            if tenant.threads is None:
                raise _not_open(tenant)
        except BaseException:
            self.leave(tenant)
            raise
        return tenant

    def leave(self, place: Place) -> None:
        assert isinstance(place, _Tenant)
        place.in_flight -= 1
        place.used = time.monotonic()

    def end_streams(self) -> None:
        for tenant in self._here.values():
            if tenant.threads is not None:
                tenant.threads.listeners.close()

    async def close(self) -> None:
        """Finish what was begun in each, and close them."""
        if self._sweeping is not None:
            self._sweeping.cancel()
        for tenant in list(self._here.values()):
            self._end(tenant)
        await asyncio.gather(*self._leaving)

    @property
    def is_open(self) -> bool:
        return self._sweeping is not None

    @property
    def is_alive(self) -> bool:
        return all(tenant.threads is None or tenant.threads.alive for tenant in self._here.values())

    @property
    def standing(self) -> dict[str, object]:
        return {"tenants": len(self._here)}

    @property
    def warnings(self) -> list[str]:
        return []

    @property
    def here(self) -> dict[str, Threads]:
        """Those that are open, by name."""
        return {name: tenant.threads for name, tenant in self._here.items() if tenant.threads is not None}

    # -- opening and closing -------------------------------------------------------------------------------------------

    def _begin(self, name: str) -> _Tenant:
        """Raises Unavailable when there is no room."""
        if len(self._here) >= self._most:
            self._make_room()
        tenant = self._here[name] = _Tenant(name)
        tenant.opening = asyncio.create_task(self._open(tenant, list(self._leaving)))
        return tenant

    async def _open(self, tenant: _Tenant, before: list[asyncio.Task[None]]) -> None:
        """Once those that make room have left. What is wrong with one tenant is that tenant's alone: see the log."""
        try:
            if before:
                await asyncio.wait(before)
            tenant.threads = await _opened(folder_of(self._folder, tenant.name), self._flags)
            _log.info("a tenant is open", extra={"tenant": tenant.name} | _standing(tenant.threads.engine))
        except Exception as error:
            tenant.failed = True
            _log.error("tenant %s cannot be opened: %s", tenant.name, error, exc_info=_trace(error))

    def _make_room(self) -> None:
        idle = [one for one in self._here.values() if not one.in_flight]
        if not idle:
            raise Unavailable("too many tenants are being answered.", way_out="Ask again in a second.")
        self._end(min(idle, key=lambda one: one.used))

    def _end(self, tenant: _Tenant) -> None:
        del self._here[tenant.name]
        leaving = asyncio.create_task(self._close(tenant))
        self._leaving.add(leaving)
        leaving.add_done_callback(self._leaving.discard)

    async def _close(self, tenant: _Tenant) -> None:
        if tenant.opening is not None:
            await asyncio.wait([tenant.opening])
        try:
            if tenant.threads is not None:
                await _closed(tenant.threads)
                _log.info("a tenant is closed", extra={"tenant": tenant.name} | _standing(tenant.threads.engine))
        except Exception:  # it is rebuilt from its log when it is opened again
            _log.exception("tenant %s was not closed well", tenant.name)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP)
            named, now = self._named(), time.monotonic()
            for tenant in list(self._here.values()):
                due = tenant.failed or tenant.name not in named or now - tenant.used > self._idle
                if due and not tenant.in_flight:
                    self._end(tenant)


async def _opened(folder: Path, flags: dict[str, Any], follow: Path | None = None) -> Threads:
    """The threads around a folder's engine, which from now on follows what is chosen and set there."""
    engine = await asyncio.to_thread(Engine.open, folder, follow=follow, **flags)
    engine.follow_versions()
    engine.follow_settings(**flags)
    threads = Threads(engine)
    engine.follow_retention()
    return threads


async def _follow(engine: Engine, leader: Leader) -> None:
    """Lists follow by themselves; this is for the time in which nobody asks, and for the end of the leader."""
    while not (leader.take_over and await asyncio.to_thread(engine.take_over)):
        await asyncio.to_thread(engine.follow)
        await asyncio.sleep(_FOLLOW)
    _log.warning("the process that was followed is gone, and its log is owned by this one", extra=_standing(engine))


async def _closed(threads: Threads) -> None:
    threads.engine.retention.stop()  # what it asks of the threads is answered as long as they are there
    await threads.close()
    await asyncio.to_thread(threads.engine.close)


def _standing(engine: Engine) -> dict[str, object]:
    parts = engine.parts
    items = int(parts.index.known.sum())
    return {"as_of": parts.as_of, "items": items, "people": len(parts.log.people), "version": parts.version.name}


def _not_open(tenant: _Tenant) -> Unavailable:
    if tenant.failed:
        return _cannot_open()
    return Unavailable("the data of this key is being opened.", way_out="Ask again in a second.")


def _cannot_open() -> Unavailable:
    return Unavailable("the data of this key cannot be opened.", way_out="The server's log says why.")


def _trace(error: Exception) -> Exception | None:
    """What Penchant raises on purpose says all there is to say."""
    return None if isinstance(error, PenchantError) else error
