"""The process that serves a data folder: it listens before the engine is open, and ends what was begun when it is told.

Does not know: the addresses (`serving.http`).
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import uvloop
from granian.constants import HTTPModes, Interfaces
from granian.server.embed import Server
from litestar import Litestar

from penchant import __version__
from penchant.config import Settings, load_settings
from penchant.engine import Engine
from penchant.errors import PenchantError, Unavailable
from penchant.serving import logs
from penchant.serving.http import application
from penchant.serving.threads import Threads

_SWITCH_SECONDS = 0.0005
_FOLLOW_SECONDS = 0.1
_GRACE_SECONDS = 5.0  # for callers to take the answers that were begun; one that reads no more would hold up the end
_MOST_CONNECTIONS, _OWN_FILES = 4096, 128  # kept alive, one counts whether it asks or not; beyond, a caller waits
_log = logging.getLogger("penchant")


class Leader(NamedTuple):
    """The folder of another process that is followed; and whether to own it when that process is gone."""

    home: Path
    take_over: bool = False


def serve(
    folder: str | Path,
    *,
    leader: Leader | None = None,
    announce: Callable[[Engine], None] | None = None,
    **flags: Any,
) -> None:
    """Serve a data folder until SIGTERM or SIGINT, then finish what was begun and close it.

    ``leader``: answer lists from its log; ``folder`` then has what is derived. ``announce(engine)`` is called once it
    answers. ``flags`` are settings. Raises Unavailable when the port is taken or another process holds the folder,
    InvalidInput for a wrong setting, NotFound where there is nothing to follow.
    """
    settings = load_settings(leader.home if leader else Path(folder), **flags)
    address = _free(settings)
    logs.configure(settings.log_format, settings.log_level)
    _log.info("start", extra=_beginning(settings) | {"folder": str(folder)})
    # A thread that wants the interpreter while another computes gets it after this long; 5 ms would be most of an
    # answer's time.
    sys.setswitchinterval(_SWITCH_SECONDS)
    opening = partial(Engine.open, folder, follow=leader.home if leader else None, **flags)
    uvloop.run(_serve(opening, address, leader, announce or _say_nothing))


async def _serve(
    opening: Callable[[], Engine],
    address: tuple[str, int],
    leader: Leader | None,
    announce: Callable[[Engine], None],
) -> None:
    app = application()
    server, told = _server(app, address), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    logs.tell_of_tasks(asyncio.get_running_loop())
    running = asyncio.create_task(server.serve())
    start, following = time.monotonic(), None
    try:
        engine = await asyncio.to_thread(opening)
        app.state.threads = threads = Threads(engine)
        threads.listeners.most = min(threads.listeners.most, server.backpressure // 2)  # others want to be answered too
        engine.follow_versions()
        gc.freeze()  # what was opened stays: a collection that walks it would hold up answers
        opened = {"seconds": round(time.monotonic() - start, 3), "warnings": len(engine.warnings)}
        _log.info("ready", extra=_standing(engine) | opened)
        announce(engine)
        following = asyncio.create_task(_follow(engine, leader)) if leader else None
        await asyncio.wait([running, asyncio.ensure_future(told.wait())], return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            await running  # it ended by itself, and says why
    except PenchantError as error:
        _log.error("the data folder could not be opened", extra={"reason": str(error)})
        raise
    finally:
        if following is not None:
            following.cancel()
        await _stop(server, running, app.state.threads)
        await _close(app.state.threads)


async def _follow(engine: Engine, leader: Leader) -> None:
    """Lists follow by themselves; this is for the time in which nobody asks, and for the end of the leader."""
    while not (leader.take_over and await asyncio.to_thread(engine.take_over)):
        await asyncio.to_thread(engine.follow)
        await asyncio.sleep(_FOLLOW_SECONDS)
    _log.warning("the process that was followed is gone, and its log is owned by this one", extra=_standing(engine))


async def _stop(server: Server, running: asyncio.Task[None], threads: Threads | None) -> None:
    """Answers that were begun are finished; streams, which have no end of their own, first."""
    if threads is not None:
        threads.listeners.close()
    server.stop()
    await asyncio.wait([running], timeout=_GRACE_SECONDS)


async def _close(threads: Threads | None) -> None:
    if threads is None:
        _log.info("stop")
        return
    await threads.close()
    await asyncio.to_thread(threads.engine.close)
    _log.info("stop", extra=_standing(threads.engine))


def _beginning(settings: Settings) -> dict[str, object]:
    about = {name: getattr(settings, name) for name in ("host", "port", "durability")}
    return about | {"pid": os.getpid(), "penchant": __version__}


def _standing(engine: Engine) -> dict[str, object]:
    parts = engine.parts
    items = int(parts.index.known.sum())
    return {"as_of": parts.as_of, "items": items, "people": len(parts.log.people), "version": parts.version.name}


def _server(app: Litestar, address: tuple[str, int]) -> Server:
    return Server(
        app,
        address=address[0],
        port=address[1],
        interface=Interfaces.ASGINL,
        http=HTTPModes.http1,
        websockets=False,
        log_enabled=False,
        backlog=1024,
        backpressure=min(_MOST_CONNECTIONS, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - _OWN_FILES),
    )


def _free(settings: Settings) -> tuple[str, int]:
    """The address to listen on. The server would share a taken port with its owner, who then misses requests."""
    host, port = settings.host, settings.port
    way_out = "Name another port, or stop what listens there."
    if not port:
        raise Unavailable("a server needs a port that its callers know.", field="port", value=port, way_out=way_out)
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise Unavailable(
            f"cannot listen on {host}:{port}: {error.strerror}.", field="port", value=port, way_out=way_out
        ) from None
    return str(address[0]), port


def _say_nothing(engine: Engine) -> None:
    """For a caller that does not want to know."""
