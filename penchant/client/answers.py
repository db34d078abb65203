"""What became of a try: the answer as its type, or why there is none, as the error that it would have been in process.

Notable: problem+json carries the field, the value and the way out, so that an error of a server far away reads as one
raised here. Only what may be otherwise in a moment is worth another try; all else is final.

Does not know: which request was sent, and whether it is tried again.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TypeVar

import httpx
import msgspec
from msgspec import Struct

from penchant import errors
from penchant.errors import InvalidInput, PenchantError, Unavailable
from penchant.types import Refusal

T = TypeVar("T")

TOO_MANY = 429
_NOT_NOW = (TOO_MANY, 502, 503, 504)  # the rest is what a gateway answers while the server behind it is away


@dataclass(frozen=True, slots=True)
class Failed:
    """A try without an answer. ``passing``: another may have one, after so many seconds."""

    error: PenchantError
    passing: bool = False
    after: float = 0.0


class Refused(InvalidInput):
    """Nothing of a list was taken; ``refused`` says of each thing why."""

    refused: list[Refusal]


class Problem(Struct, kw_only=True):
    """RFC 9457, as the server writes it; an answer from something else on the way has none of it."""

    title: str = ""
    detail: str = ""
    field: str = ""
    value: str = ""
    way_out: str = ""
    refused: list[Refusal] = msgspec.field(default_factory=list)


def read(answer: httpx.Response, body: bytes, kind: type[T]) -> T | Failed:
    """The answer to one try, whose body was read."""
    if not answer.is_success:
        return Failed(_error(answer, body), answer.status_code in _NOT_NOW, seconds(answer.headers, time.time()))
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.DecodeError as error:
        what = f"what stands there does not answer as a Penchant server of this version: {error}."
        way_out = "Check the address, and the versions of both."
        return Failed(PenchantError(what, field="url", value=str(answer.url), way_out=way_out))


def silence(url: str, error: Exception, seconds: float) -> Failed:
    """Nobody answered, or not in so many seconds."""
    late = isinstance(error, httpx.TimeoutException | TimeoutError)
    why = f"none within {seconds:.2g} s" if late else str(error) or type(error).__name__
    way_out = "See that the server runs and that this is its address, or give it more time."
    return Failed(Unavailable(f"there is no answer: {why}.", field="url", value=url, way_out=way_out), passing=True)


def seconds(headers: Mapping[str, str], now: float) -> float:
    """What Retry-After asks for: seconds, or a date (RFC 9110, 10.2.3). 0 where nothing that can be read is asked."""
    said = headers.get("retry-after", "").strip()
    if said.isdecimal():
        return float(said)
    try:
        return max(0.0, parsedate_to_datetime(said).timestamp() - now)
    except ValueError:
        return 0.0


def _error(answer: httpx.Response, body: bytes) -> PenchantError:
    """The error that an answer tells of, with its field, value and way out."""
    told = _told(answer, body)
    error = _kind(answer.status_code, told)(told.detail, field=told.field, way_out=told.way_out)
    error.value, error.status = told.value, answer.status_code
    if isinstance(error, Refused):
        error.refused = told.refused
    return error


def _told(answer: httpx.Response, body: bytes) -> Problem:
    try:
        return msgspec.json.decode(body, type=Problem)
    except msgspec.DecodeError:
        what = f"answered {answer.status_code} {answer.reason_phrase}, and not why."
        return Problem(detail=what, field="url", value=str(answer.url), way_out="See what stands at this address.")


def _kind(status: int, told: Problem) -> type[PenchantError]:
    """The class that was raised there, by its title; by its status where the server did not raise it."""
    if told.refused:
        return Refused
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, PenchantError)]
    for kind in kinds:
        if told.title == kind.title or (kind.status == status and status < 500):
            return kind
    if status in _NOT_NOW:
        return Unavailable
    return InvalidInput if status < 500 else PenchantError
