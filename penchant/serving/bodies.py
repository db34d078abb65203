"""Bodies of requests, read in one typed pass; only one that is wrong is looked at again, thing by thing.

A list in which some things are malformed is not refused as a whole: each such thing becomes a refusal with its place,
the field, the value and the way out, and the rest goes on.
"""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec
from litestar.exceptions import ClientException
from msgspec import Raw, Struct

from penchant.errors import InvalidInput
from penchant.types import Event, Item, Profile, Query, Refusal, Writing

T = TypeVar("T", bound=Struct)

_AT = re.compile(r" - at `\$\.?(.*)`$")
_NAMED = re.compile(r"(unknown|required) field `(.+?)`")
_STEP = re.compile(r"([^.\[\]]+)|\[(\d+)\]")
_ANY_KEY = "[...]"
LARGE = 32_768  # bytes; a longer list is read thing by thing, since no other thread runs while one is decoded


class Ranking(Query, kw_only=True, forbid_unknown_fields=True):
    """A query, and the ids of the ``items`` to be ordered."""

    items: list[str]

    def query(self) -> Query:
        return Query(**{name: getattr(self, name) for name in Query.__struct_fields__})


class Sent(NamedTuple, Generic[T]):
    """What could be read, and its places in the list that was sent; what could not; whether it was sent by itself.

    ``fields``: what an event calls by another name than the thing that was sent.
    """

    things: list[T]
    places: list[int]
    refused: list[Refusal]
    fields: dict[str, str]
    alone: bool = False


class _Envelope(Struct):
    events: Raw = Raw()


class Reader(Generic[T]):
    """Reads one thing, a list of them, or ``{"events": [...]}``."""

    def __init__(self, kind: type[T], fields: dict[str, str] | None = None) -> None:
        self._fields = fields or {}
        self._names = kind.__struct_fields__
        self._one: msgspec.json.Decoder[T] = msgspec.json.Decoder(kind)
        self._many: msgspec.json.Decoder[list[T]] = msgspec.json.Decoder(list[kind])  # type: ignore[valid-type]

    def one(self, body: bytes) -> T:
        """The one thing of a body that may hold no more. Raises as `read` does."""
        sent = self.read(body)
        if not sent.alone:
            raise InvalidInput("is a list.", field="body", way_out="Send one object.")
        return sent.things[0]

    def read(self, body: bytes) -> Sent[T]:
        """Raises ClientException (400) for what is not JSON, InvalidInput when nothing of it can be read."""
        try:
            return self._valid(body)
        except RecursionError:
            raise ClientException("The body is nested too deeply.") from None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ClientException(f"The body is not JSON: {error}." if body else "The body is empty.") from None

    def _valid(self, body: bytes) -> Sent[T]:
        try:
            return self._read(body.lstrip())
        except msgspec.ValidationError as error:
            raise self._invalid(error, body) from None  # or as no JSON, where it is none behind what was read of it

    def _read(self, body: bytes) -> Sent[T]:
        many: bytes | Raw = body
        if body.startswith(b"{"):
            many = _envelope.decode(body).events
            if not bytes(many):
                return Sent([self._one.decode(body)], [0], [], self._fields, alone=True)
        if len(body) > LARGE:
            return self._one_by_one(_raws.decode(many))
        try:
            things = self._many.decode(many)
        except msgspec.ValidationError:
            return self._one_by_one(_raws.decode(many))
        return Sent(things, list(range(len(things))), [], self._fields)

    def _one_by_one(self, raws: list[Raw]) -> Sent[T]:
        sent: Sent[T] = Sent([], [], [], self._fields)
        for place, raw in enumerate(raws):
            try:
                sent.things.append(self._one.decode(raw))
                sent.places.append(place)
            except msgspec.ValidationError as error:
                sent.refused.append(refusal(place, self._invalid(error, bytes(raw))))
        return sent

    def _invalid(self, error: msgspec.ValidationError, body: bytes) -> InvalidInput:
        """The same error with its field, the value that stands there, and what to do."""
        at, named = _AT.search(str(error)), _NAMED.search(str(error))
        field = at[1] if at else ""
        if named:
            field = f"{field}.{named[2]}".lstrip(".")
        what = _AT.sub("", str(error))
        value = _value(msgspec.json.decode(body), field)
        return InvalidInput(f"{what}.", field=field or "body", value=value, way_out=self._way_out(named))

    def _way_out(self, named: re.Match[str] | None) -> str:
        if named and named[1] == "required":
            return f"Send `{named[2]}`."
        if named and (near := get_close_matches(named[2], self._names, 1)):
            return f"Did you mean `{near[0]}`? What has no field of its own goes into `fields` or `context`."
        if not named:
            return "Send it as /docs says."
        return f"The fields are {', '.join(self._names)}; see /docs."


def refusal(place: int, error: InvalidInput) -> Refusal:
    return Refusal(index=place, field=error.field, value=error.value, detail=f"{error.what} {error.way_out}".strip())


def _value(sent: Any, field: str) -> Any:
    """What stands at a path; as near to it as the path leads."""
    for name, place in _STEP.findall(field.partition(_ANY_KEY)[0]):
        if name and isinstance(sent, dict):
            sent = sent.get(name)
        elif place and isinstance(sent, list):
            sent = sent[int(place)]
    return sent


_envelope = msgspec.json.Decoder(_Envelope)
_raws = msgspec.json.Decoder(list[Raw])
EVENTS = Reader(Event)
ITEMS = Reader(Item, {"item": "id"})
PROFILES = Reader(Profile, {"user": "id"})
QUERIES = Reader(Query)
RANKINGS = Reader(Ranking)
WRITINGS = Reader(Writing)
