"""What is true of every request: its answer carries an id, it is counted and timed, and a bad one is in the log.

Notable: this stands around the whole application, so that what no address takes is counted and has an id as well. A
line names the address by its template (`/v1/users/{id}`), never the path, the query or the body. Addresses that were
not found count as one, `other`, so that nobody can make up names of series.

Does not know: what is asked, and what the numbers are read for (`serving.telemetry`).
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import MutableMapping
from itertools import count
from typing import Any, cast

from litestar.types import ASGIApp, Message, Receive, Scope, Send

from penchant.serving.measures import Histogram

HEADER = "X-Request-Id"
SLOW = 1.0  # seconds; a request that takes longer is worth a line
BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)  # seconds
OTHER = ("other", "other")
WENT_AWAY = 499  # what is counted for a caller that did not wait for the answer
_LONGEST = 128
_QUIET = ("/health/live", "/health/ready", "/metrics")  # asked by machines, every few seconds, also while opening
_EVERY = 1.0  # seconds between two lines of one kind: an overload must not fill the disk
_header = HEADER.lower().encode()
_log = logging.getLogger("penchant")

Address = tuple[str, str]  # method, template


class Requests:
    """The application with ids, counts and lines around it. Called on the loop's thread alone."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._ids, self._start = count(1), secrets.token_hex(4)
        self.answered: dict[tuple[Address, int], int] = {}
        self.seconds: dict[Address, Histogram] = {}
        self.open = 0
        self._quiet_until: dict[int, float] = {}
        self._left_out: dict[int, int] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        start, status = time.perf_counter(), WENT_AWAY
        scope["state"]["request_id"] = found = self._id(scope)
        header = (_header, found.encode())

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], header]
            await send(message)

        self.open += 1
        try:
            await self._app(scope, receive, answer)
        finally:
            self.open -= 1
            self._done(scope, status, time.perf_counter() - start)

    def _id(self, scope: Scope) -> str:
        """The caller's own, where it can stand in a header and a line of a log as it is; else a new one."""
        for name, value in scope["headers"]:
            if name == _header and 0 < len(value) <= _LONGEST and all(33 <= one <= 126 for one in value):
                return value.decode()
        return f"{self._start}-{next(self._ids)}"

    def _done(self, scope: Scope, status: int, seconds: float) -> None:
        address = _address(scope)
        key = (address, status)
        self.answered[key] = self.answered.get(key, 0) + 1
        if address not in self.seconds:
            self.seconds[address] = Histogram(BOUNDS)
        self.seconds[address].observe(seconds)
        bad = status >= 500 or status == 429 or seconds > SLOW
        level = logging.WARNING if bad and address[1] not in _QUIET else logging.DEBUG
        if _log.isEnabledFor(level):
            self._tell(level, status, about(scope) | {"status": status, "seconds": round(seconds, 6)})

    def _tell(self, level: int, status: int, line: dict[str, Any]) -> None:
        """A line, if it is not the second bad one of its status within a second; it says how many were left out."""
        if level > logging.DEBUG:
            now = time.monotonic()
            if now < self._quiet_until.get(status, 0.0):
                self._left_out[status] = self._left_out.get(status, 0) + 1
                return
            self._quiet_until[status] = now + _EVERY
            line["more"] = self._left_out.pop(status, 0)
        _log.log(level, "request", extra=line)


def request_id(scope: Scope) -> str:
    """The id of a request inside the application."""
    return str(scope["state"]["request_id"])


def about(scope: Scope) -> dict[str, Any]:
    """What a line of the log says of a request."""
    method, address = _address(scope)
    return {"method": method, "address": address, "request": request_id(scope)}


def _address(scope: Scope) -> Address:
    """What the router found, if it has found anything."""
    found = cast("MutableMapping[str, Any]", scope)
    template = found.get("path_template")
    return (found["method"], template.replace(":path}", "}")) if template else OTHER
