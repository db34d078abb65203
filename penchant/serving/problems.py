"""What is answered when something is wrong: problem+json (RFC 9457), whatever the cause.

    {"type", "title", "status", "detail", "field", "value", "way_out", "refused", "request"}

Every answer names the field, the value and the way out where there is one, so that nobody has to parse a sentence.
Bad input is never answered with a 5xx; what is answered with a 500 is a defect of ours, and is in the log with its
trace.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException
from litestar.types import ExceptionHandlersMap
from msgspec import Struct

from penchant.errors import InvalidInput, Overloaded, PenchantError, Unauthorized, Unavailable, shown
from penchant.serving.requests import about, request_id
from penchant.types import Refusal

MEDIA_TYPE = "application/problem+json"
_SEE = "See /docs for what can be sent."
_WAYS_OUT = {
    400: "Send JSON in UTF-8, without NaN or Infinity.",
    404: "See /docs for the addresses there are.",
    405: "See /docs for the methods of this address.",
    413: "Send it in several requests.",
}
_MISSING = re.compile(r"required \w+ parameter '(.+?)'")
_RETRY_SECONDS = "1"
_log = logging.getLogger("penchant")


class Problem(Struct, kw_only=True, omit_defaults=True):
    """RFC 9457. ``value`` is what was sent, as a person would recognise it, cut to a length that fits a line.

    ``request`` is the id in the answer's header `X-Request-Id`, and in the server's log if there is a line of it.
    """

    type: str
    title: str
    status: int
    detail: str
    field: str = ""
    value: str = ""
    way_out: str = ""
    refused: list[Refusal] = msgspec.field(default_factory=list)
    request: str = ""


class Refused(InvalidInput):
    """Nothing of a request was taken. A refusal's detail is a sentence of what is wrong, and then the way out."""

    def __init__(self, refused: Sequence[Refusal], alone: bool) -> None:
        first = refused[0]
        what, _, way_out = first.detail.partition(". ")
        if not alone:
            what = f"nothing of it was taken; the first of {len(refused)}: {what}"
        super().__init__(f"{what.rstrip('.')}.", field=first.field, way_out=way_out)
        self.value, self.refused = first.value, [] if alone else list(refused)


def of_penchant(error: PenchantError) -> Problem:
    return Problem(
        type=_type(error.title),
        title=error.title,
        status=error.status,
        detail=error.what,
        field=error.field,
        value=error.value if error.field else "",
        way_out=error.way_out,
        refused=error.refused if isinstance(error, Refused) else [],
    )


def of_parameters(error: ValidationException, sent: Any) -> Problem:
    """A query parameter is missing or is not what it should be."""
    extra: list[Any] = error.extra if isinstance(error.extra, list) else []
    first = extra[0] if extra else {}
    missing = _MISSING.search(error.detail)
    field = missing[1] if missing else str(first.get("key", "")).partition(".")[0]
    what = "is needed." if missing else f"{first.get('message', error.detail)}."
    return of_penchant(InvalidInput(what, field=field, value=sent.get(field), way_out=_SEE))


def of_http(error: HTTPException) -> Problem:
    title = HTTPStatus(error.status_code).phrase
    way_out = _WAYS_OUT.get(error.status_code, "")
    detail = error.detail if error.status_code == 400 else f"{title}."
    return Problem(type=_type(title), title=title, status=error.status_code, detail=detail, way_out=way_out)


def response(
    request: Request[Any, Any, Any], problem: Problem, headers: dict[str, str] | None = None
) -> Response[bytes]:
    problem.request = request_id(request.scope)
    body = msgspec.json.encode(problem)
    return Response(body, status_code=problem.status, media_type=MEDIA_TYPE, headers=headers)


def _type(title: str) -> str:
    return f"urn:penchant:{title.lower().replace(' ', '-')}"


def _on_penchant(request: Request[Any, Any, Any], error: PenchantError) -> Response[bytes]:
    return response(request, of_penchant(error), _headers(error))


def _headers(error: PenchantError) -> dict[str, str]:
    """When to try again, for a caller that should; how to say who asks, for one that did not."""
    if isinstance(error, Overloaded):
        return {"Retry-After": str(error.retry_after)}
    if isinstance(error, Unauthorized):
        return {"WWW-Authenticate": "Bearer"}
    return {"Retry-After": _RETRY_SECONDS} if error.status == Unavailable.status else {}


def _on_parameters(request: Request[Any, Any, Any], error: ValidationException) -> Response[bytes]:
    return response(request, of_parameters(error, request.query_params))


def _on_http(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    problem = of_http(error)
    if error.status_code in (404, 405):
        problem.field, problem.value = "path", shown(f"{request.method} {request.url.path}")
    return response(request, problem, error.headers)


def _on_defect(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    _log.error("a request failed", extra=about(request.scope), exc_info=error)
    detail = "this is a defect; the server's log has its trace, under the id in `request`."
    return response(request, Problem(type=_type("Defect"), title="Penchant failed", status=500, detail=detail))


HANDLERS: ExceptionHandlersMap = {
    PenchantError: _on_penchant,
    ValidationException: _on_parameters,
    HTTPException: _on_http,
    Exception: _on_defect,
}
