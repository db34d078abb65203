"""What the handlers of addresses share: the parts of a call, and an answer as it leaves.

Notable: answers go through one encoder; a `Response` object or a data-transfer layer would cost as much as a tenth of a
list.

Does not know: which addresses there are (`serving.http` names them all).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any
from urllib.parse import unquote_to_bytes

import msgspec
from litestar import Request
from litestar.params import Parameter
from litestar.types import Receive, Scope, Send

from penchant.errors import InvalidInput
from penchant.serving import bodies, door, problems
from penchant.serving.threads import Threads
from penchant.types import Event, Language, Receipt

_encoder = msgspec.json.Encoder()

Call = Request[Any, Any, Any]
Id = Annotated[str, Parameter(description="the id, as it was sent; `%2F` for a slash where it begins or ends with one")]
Limit = Annotated[int, Parameter(ge=1, le=1000, description="how many items")]
Where = Annotated[list[str] | None, Parameter(description="FIELD=VALUE or FIELD=LOW..HIGH; repeat it for more")]
Filter = Annotated[
    str | None,
    Parameter(
        description='a rule that must be true of what is shown: `price < 50 and "drama" in genres`; docs/rules.md'
    ),
]

Explain = Annotated[bool, Parameter(description="also say why each item is there, of 100 at most; docs/reasons.md")]
InLanguage = Annotated[Language, Parameter(description="of the sentences: `en` or `zh`")]


class Answer:
    """JSON that is already encoded, as the two messages of ASGI."""

    __slots__ = ("_body",)

    def __init__(self, body: object) -> None:
        self._body = _encoder.encode(body)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        length = str(len(self._body)).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", length)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": self._body, "more_body": False})


def name_in(request: Call) -> str:
    """The id at the end of the address, as it was written: the router drops slashes that may be a part of it."""
    written = request.scope["raw_path"].partition(b"?")[0].split(b"/", 3)[3]  # b"/v1/items/..."
    try:
        return unquote_to_bytes(written).decode()
    except UnicodeDecodeError:
        raise InvalidInput(
            "is not UTF-8.", field="id", value=written.decode("latin-1"), way_out="Encode the id as UTF-8, then by %."
        ) from None


def threads_of(request: Call) -> Threads:
    """Raises Unavailable while the data folder is being opened."""
    return door.threads_of(request.scope)


async def ingest(request: Call, sent: bodies.Sent[Any], events: Sequence[Event]) -> Receipt:
    """Raises Refused when there was something, and nothing of it was taken."""
    receipt = await threads_of(request).ingest(events)
    for refusal in receipt.refused:
        refusal.index, refusal.field = sent.places[refusal.index], sent.fields.get(refusal.field, refusal.field)
    receipt.refused = sorted([*sent.refused, *receipt.refused], key=lambda refusal: refusal.index)
    if receipt.refused and not receipt.accepted and not receipt.duplicates:
        raise problems.Refused(receipt.refused, sent.alone)
    return receipt
