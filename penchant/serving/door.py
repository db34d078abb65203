"""Before every address: who asks, whose engine answers, and what a browser may read of the answer.

Notable: a middleware of a few microseconds, so that no address can forget it. What browsers ask before a request with a
body (a preflight) is answered here, and only for pages that hold a public key.

Does not know: what a key opens (`serving.access`), and when tenants come and go (`serving.tenants`).
"""

from __future__ import annotations

from typing import Any, cast

from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

from penchant.errors import Unavailable
from penchant.serving.access import Access, Headers
from penchant.serving.tenants import Alone, Tenants
from penchant.serving.threads import Threads

_PREFLIGHT = [
    (b"access-control-allow-methods", b"GET, POST"),
    (b"access-control-allow-headers", b"content-type"),
    (b"access-control-max-age", b"86400"),  # a day
]
_READABLE = [(b"access-control-expose-headers", b"retry-after"), (b"vary", b"origin")]


class Door:
    """A middleware and a hook of `http.application`. By default it is open, and waits for ``tenants.threads``."""

    def __init__(self, access: Access | None = None, tenants: Tenants | None = None) -> None:
        self.access, self.tenants = access or Access(), tenants or Alone()
        self.said: list[str] = []  # what was worth a warning at the start

    @property
    def warnings(self) -> list[str]:
        return [*self.said, *self.access.warnings]

    def check_open(self) -> None:
        """Raises Unavailable until requests are answered."""
        if not self.tenants.is_open:
            raise _not_open()

    def __call__(self, app: ASGIApp) -> ASGIApp:
        async def through(scope: Scope, receive: Receive, send: Send) -> None:
            asked = cast(HTTPScope, scope)
            if asked["method"] == "OPTIONS":
                await (_answer_preflight(send) if _is_preflight(asked) else app(scope, receive, send))
            else:
                await self._enter(app, asked, receive, send)

        return through

    async def _enter(self, app: ASGIApp, scope: HTTPScope, receive: Receive, send: Send) -> None:
        address = f"{scope['method']} {scope['path_template']}"
        caller = self.access.admit(address, scope["headers"], scope["query_string"])
        kept = cast("dict[str, Any]", scope)
        kept["penchant.caller"], kept["penchant.threads"] = caller, None
        if caller.tenant is None:
            await app(scope, receive, send)
            return
        place = await self.tenants.enter(caller.tenant)
        kept["penchant.threads"] = place.threads
        try:
            await app(scope, receive, send)
        finally:
            self.tenants.leave(place)

    async def let_pages_read(self, message: Message, scope: Scope) -> None:
        """Of every answer, errors too: pages of a public key's origins may read what was asked with that very key."""
        if message["type"] != "http.response.start" or b"key" not in scope["query_string"]:
            return
        page = _header(scope["headers"], b"origin")
        if page is not None and self.access.allows(page.decode("latin-1"), scope["query_string"]):
            message["headers"] = [*message["headers"], (b"access-control-allow-origin", page), *_READABLE]


def opened(scope: Any) -> Threads | None:
    """The threads that answer this request, if they are there."""
    return cast("Threads | None", scope["penchant.threads"])


def threads_of(scope: Any) -> Threads:
    """The threads that answer this request. Raises Unavailable while they are not there yet."""
    threads = opened(scope)
    if threads is None:
        raise _not_open()
    return threads


def _not_open() -> Unavailable:
    return Unavailable("the data folder is being opened.", way_out="Ask again in a second; see /health/ready.")


def _is_preflight(scope: HTTPScope) -> bool:
    """A browser asks whether a page may ask; whether it may is said by `let_pages_read`, or left unsaid."""
    return _header(scope["headers"], b"access-control-request-method") is not None


async def _answer_preflight(send: Send) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": list(_PREFLIGHT)})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def _header(headers: Headers, name: bytes) -> bytes | None:
    return next((value for sent, value in headers if sent == name), None)
