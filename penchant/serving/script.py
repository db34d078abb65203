"""The script for browsers, at GET /penchant.js: read once, sent as it is to be kept by caches.

Notable: indents and lines that are comments are for those who read `data/penchant.js`, and are not sent. A cache asks
again once an hour, and is told by the ETag that nothing changed; anybody's page may load it.

Does not know: what the script does.
"""

from __future__ import annotations

import hashlib
import re
from functools import cache
from importlib.resources import files
from typing import NamedTuple, cast

from litestar import asgi
from litestar.exceptions import MethodNotAllowedException
from litestar.types import HTTPScope, Receive, Scope, Send

_NOT_SENT = re.compile(rb"^\s*(//.*\n\s*)*", re.MULTILINE)
_SECONDS = 3600


class Script(NamedTuple):
    """The bytes, and what is said of them."""

    body: bytes
    etag: bytes


@cache
def script() -> Script:
    source = files("penchant").joinpath("data/penchant.js").read_bytes()
    body = _NOT_SENT.sub(b"", source)
    return Script(body, b'"%s"' % hashlib.sha256(body).hexdigest()[:32].encode())


@asgi("/penchant.js", copy_scope=False)
async def send_script(scope: Scope, receive: Receive, send: Send) -> None:
    """What a page loads to tell what is seen and clicked, and to fill lists; docs/browser.md."""
    method = cast("HTTPScope", scope)["method"]  # the server speaks nothing else
    if method not in ("GET", "HEAD"):
        raise MethodNotAllowedException(headers={"allow": "GET, HEAD"})
    body, etag = script()
    known = etag in dict(scope["headers"]).get(b"if-none-match", b"")
    headers = [
        (b"content-type", b"text/javascript; charset=utf-8"),
        (b"cache-control", b"public, max-age=%d" % _SECONDS),
        (b"cross-origin-resource-policy", b"cross-origin"),
        (b"etag", etag),
    ]
    if not known:
        headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": 304 if known else 200, "headers": headers})
    sent = b"" if known or method == "HEAD" else body
    await send({"type": "http.response.body", "body": sent, "more_body": False})
