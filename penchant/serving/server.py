"""The process that serves a data folder: it listens before the engine is open, and ends what was begun when it is told.

Does not know: the addresses (`serving.http`).
"""

from __future__ import annotations

import asyncio
import gc
import ipaddress
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvloop
from granian.constants import HTTPModes, Interfaces
from granian.server.embed import Server
from litestar import Litestar

from penchant import __version__
from penchant.config import Settings, load_settings
from penchant.errors import InvalidInput, PenchantError, Unavailable
from penchant.serving import logs
from penchant.serving.access import Access
from penchant.serving.door import Door
from penchant.serving.http import application
from penchant.serving.listening import most_connections
from penchant.serving.tenant_folders import has_tenants
from penchant.serving.tenants import Alone, Leader, Many, Tenants

__all__ = ["Leader", "serve"]
_SWITCH_SECONDS = 0.0005
_GRACE_SECONDS = 5.0  # for callers to take the answers that were begun; one that reads no more would hold up the end
_Announce = Callable[[list[str]], None]
_log = logging.getLogger("penchant")


def serve(folder: str | Path, *, leader: Leader | None = None, announce: _Announce | None = None, **flags: Any) -> None:
    """Serve a data folder until SIGTERM or SIGINT, then finish what was begun and close it.

    ``leader``: answer lists from its log; ``folder`` then has what is derived. ``announce(warnings)`` is called once it
    answers. ``flags`` are settings. Raises Unavailable when the port is taken or another process holds the folder,
    InvalidInput for a wrong setting, and where anybody could reach it unasked; NotFound where there is nothing to
    follow.
    """
    folder = Path(folder)
    home = leader.home if leader else folder
    settings = load_settings(home, **flags)
    address = _free(settings)
    access = Access(home)  # who follows asks for the keys of whom it follows
    tenants = Alone(folder, flags, leader) if leader else _tenants(folder, settings, flags, access)
    door = Door(access, tenants)
    door.said.extend(_check_exposed(door.access, settings, address[0]))
    logs.configure(settings.log_format, settings.log_level)
    _log.info("start", extra=_beginning(settings) | {"folder": str(folder)})
    # A thread that wants the interpreter while another computes gets it after this long; 5 ms would be most of an
    # answer's time.
    sys.setswitchinterval(_SWITCH_SECONDS)
    uvloop.run(_serve(door, address, announce or _say_nothing))


async def _serve(door: Door, address: tuple[str, int], announce: _Announce) -> None:
    server, told = _server(application(door), address), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    logs.tell_of_tasks(asyncio.get_running_loop())
    running = asyncio.create_task(server.serve())
    start = time.monotonic()
    try:
        await door.tenants.open()
        door.access.follow()
        gc.freeze()  # what was opened stays: a collection that walks it would hold up answers
        warnings = [*door.said, *door.tenants.warnings]
        opened = {"seconds": round(time.monotonic() - start, 3), "warnings": len(warnings)}
        _log.info("ready", extra=door.tenants.standing | opened)
        announce(warnings)
        await asyncio.wait([running, asyncio.ensure_future(told.wait())], return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            await running  # it ended by itself, and says why
    except PenchantError as error:
        _log.error("the data folder could not be opened", extra={"reason": str(error)})
        raise
    finally:
        door.tenants.end_streams()  # which have no end of their own; other answers that were begun are finished
        server.stop()
        await asyncio.wait([running], timeout=_GRACE_SECONDS)
        door.access.close()
        await door.tenants.close()
        _log.info("stop", extra=door.tenants.standing)


def _beginning(settings: Settings) -> dict[str, object]:
    about = {name: getattr(settings, name) for name in ("host", "port", "durability")}
    return about | {"pid": os.getpid(), "penchant": __version__}


def _tenants(folder: Path, settings: Settings, flags: dict[str, Any], access: Access) -> Tenants:
    """Raises InvalidInput for tenants without keys: only a key says whose data is asked for."""
    if not has_tenants(folder):
        return Alone(folder, flags)
    if access.is_open:
        raise InvalidInput(
            "there are tenants here, and no key that leads to one.",
            field="data",
            value=str(folder),
            way_out="Make one: penchant key create --tenant NAME --scope read --scope ingest.",
        )
    return Many(folder, settings, flags, lambda: access.tenants)


def _check_exposed(access: Access, settings: Settings, address: str) -> list[str]:
    """What is worth a warning. Raises InvalidInput where others could reach a server that asks for no key."""
    if not access.is_open or ipaddress.ip_address(address.partition("%")[0]).is_loopback:
        return []
    if settings.open:
        return [f"anybody who reaches {settings.host}:{settings.port} may read and change everything (open = true)"]
    raise InvalidInput(
        "others can reach this address, and no key is asked for.",
        field="host",
        value=settings.host,
        way_out="Make a key (penchant key create, see docs/keys.md), or, where the network is trusted, say --open.",
    )


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
        backpressure=most_connections(),
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


def _say_nothing(warnings: list[str]) -> None:
    """For a caller that does not want to know."""
