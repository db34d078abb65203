"""What may enter the log: every event is checked here, before anything is written.

A refusal names the field, the value and the way out. What passes is complete: it has an id and a time.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Sequence

import msgspec

from penchant.config import Settings
from penchant.errors import InvalidInput
from penchant.types import Event, Refusal

FUTURE = 60.0  # seconds that an application's clock may be ahead of ours
MAX_NAME_BYTES = 512
MAX_SLATE = 1000
LARGEST = 1e15  # of a number that enters a state or a vector: float32, whose squares are summed
_ID_PREFIX = secrets.token_hex(6)
_counter = iter(range(1, 2**62))


def check(events: Sequence[Event], now: float, settings: Settings) -> tuple[list[Event], list[int], list[Refusal]]:
    """(events to log, their places in the batch, refusals)."""
    taken, places, refused = [], [], []
    for place, event in enumerate(events):
        try:
            taken.append(checked(event, now, settings))
            places.append(place)
        except InvalidInput as error:
            refused.append(refusal(place, error))
    return taken, places, refused


def refusal(place: int, error: InvalidInput) -> Refusal:
    return Refusal(index=place, field=error.field, value=error.value, detail=f"{error.what} {error.way_out}".strip())


def checked(event: Event, now: float, settings: Settings) -> Event:
    """The event, completed; raises InvalidInput."""
    event = msgspec.structs.replace(event, id=event.id or _new_id(), time=now if event.time is None else event.time)
    _check_time(event.time, now)
    if event.kind not in _CHECKS:
        raise InvalidInput(
            "is not a kind.", field="kind", value=event.kind, way_out=f"Use one of {', '.join(_CHECKS)}."
        )
    for name in ("id", "user", "item", "session", "target", "action"):
        _check_name(name, getattr(event, name))
    _check_numbers(event)
    _check_patch(event)
    _CHECKS[event.kind](event, settings)
    _check_size(event, settings.max_field_bytes)
    if event.fields:  # a tuple becomes the list that the log gives back
        event.fields = msgspec.msgpack.decode(msgspec.msgpack.encode(event.fields))
    return event


def _new_id() -> str:
    return f"{_ID_PREFIX}-{next(_counter)}"


def _check_time(time: float | None, now: float) -> None:
    if time is None or not math.isfinite(time):
        raise InvalidInput("is not a time.", field="time", value=time, way_out="Send Unix seconds, or leave it out.")
    if time > now + FUTURE:
        unit = " It looks like milliseconds: divide by 1000." if 1e11 < time < 1e14 else ""
        raise InvalidInput(
            f"is more than {FUTURE:.0f} seconds in the future.",
            field="time",
            value=time,
            way_out=f"Send Unix seconds of the moment it happened.{unit}",
        )
    if time < 0:
        raise InvalidInput("lies before 1970.", field="time", value=time, way_out="Send Unix seconds.")


def _check_name(field: str, name: str | None) -> None:
    if name is None:
        return
    if not isinstance(name, str):
        raise InvalidInput("is not text.", field=field, value=name, way_out="Send the id as text.")
    if not name or name.strip() != name:
        raise InvalidInput("is empty or has space around it.", field=field, value=name, way_out="Send the plain id.")
    if len(_bytes(field, name)) > MAX_NAME_BYTES:
        raise InvalidInput(f"is longer than {MAX_NAME_BYTES} bytes.", field=field, value=name, way_out="Shorten it.")


def _bytes(field: str, text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise InvalidInput(
            "holds half a character (a lone surrogate).", field=field, value=text, way_out="Send valid Unicode."
        ) from None


def _check_numbers(event: Event) -> None:
    if event.value is not None and not -LARGEST <= event.value <= LARGEST:
        raise InvalidInput(
            "is not a finite number, or is beyond 1e15.",
            field="value",
            value=event.value,
            way_out="Send a number, or leave it out.",
        )
    for key, value in event.context.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise InvalidInput("is not a finite number.", field=f"context.{key}", value=value, way_out="Leave it out.")
    for key, vector in event.vectors.items():
        if not vector or not sum(map(abs, vector)) <= LARGEST:  # the sum of something that is not finite is not either
            raise InvalidInput(
                "is empty, or holds a NaN, an infinity or numbers that add up to more than 1e15.",
                field=f"vectors.{key}",
                value=vector,
                way_out="Send finite numbers, or leave the vector out.",
            )


def _check_patch(event: Event) -> None:
    if event.patch and (event.removed or event.kind not in ("item", "user")):
        raise InvalidInput(
            "is for an item or a user that stays.",
            field="patch",
            value=event.patch,
            way_out="Leave it out, or send kind `item` or `user` without `removed`.",
        )


def _need(event: Event, *fields: str) -> None:
    for name in fields:
        if getattr(event, name) is None:
            raise InvalidInput(
                f"an event of kind {event.kind} needs it.", field=name, value=None, way_out=f"Send `{name}`."
            )


def _interaction(event: Event, settings: Settings) -> None:
    _need(event, "user", "action")
    if event.action not in settings.actions:
        raise InvalidInput(
            "is not a known action.",
            field="action",
            value=event.action,
            way_out=f"Use one of {', '.join(settings.actions)}, or add [actions.NAME] to penchant.toml.",
        )
    if event.item is None and not (event.words or "").strip():
        raise InvalidInput(
            "an interaction needs an item or words.", field="item", value=None, way_out="Send `item`, `words`, or both."
        )


def _item(event: Event, settings: Settings) -> None:
    _need(event, "item")


def _user(event: Event, settings: Settings) -> None:
    _need(event, "user")


def _impression(event: Event, settings: Settings) -> None:
    _need(event, "user")
    if not event.slate or len(event.slate) > MAX_SLATE:
        raise InvalidInput(
            f"an impression shows 1 to {MAX_SLATE} items.",
            field="slate",
            value=len(event.slate),
            way_out="Send the ids that were shown.",
        )


def _retraction(event: Event, settings: Settings) -> None:
    _need(event, "target")


def _alias(event: Event, settings: Settings) -> None:
    _need(event, "session", "user")
    if event.session == event.user:
        raise InvalidInput(
            "is the same as the user.",
            field="session",
            value=event.session,
            way_out="Send the anonymous id as `session` and the person's as `user`.",
        )


_CHECKS = {
    "interaction": _interaction,
    "item": _item,
    "user": _user,
    "impression": _impression,
    "retraction": _retraction,
    "alias": _alias,
    "erasure": _user,
}


def _check_size(event: Event, most: int) -> None:
    if event.words is not None and len(_bytes("words", event.words)) > most:
        raise InvalidInput(f"is larger than {most} bytes.", field="words", value=event.words, way_out="Shorten it.")
    parts = (("fields", event.fields), ("context", event.context))
    for where, key, value in ((where, key, value) for where, part in parts for key, value in part.items()):
        _bytes(where, key)
        try:
            size = len(msgspec.msgpack.encode(value))
        except (TypeError, ValueError, OverflowError) as error:
            raise InvalidInput(
                f"cannot be kept: {error}.",
                field=f"{where}.{key}",
                value=value,
                way_out="Send text, numbers, or lists of them.",
            ) from None
        if size > most:
            raise InvalidInput(
                f"is larger than {most} bytes.",
                field=f"{where}.{key}",
                value=value,
                way_out="Shorten it, or raise max_field_bytes in penchant.toml.",
            )
