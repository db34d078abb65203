"""Addresses that change a little of what was sent before: an item or a profile in part, one event, a session's owner.

    PATCH  /v1/items/ID     merge into what was sent of an item; /v1/users/ID: of a person
    DELETE /v1/events/ID    an interaction did not happen
    POST   /v1/sessions     an id for somebody who is not known yet
    PUT    /v1/sessions/ID  whose it was, at login

Notable: each is one event of the log, and a patch is there as it was sent: two at once cannot lose each other, since
neither was read before it was written. An id of a session is random and nothing is kept of it, so it costs no write.

Does not know: what these events do (`intake`), how fields are merged (`storage.patches`).
"""

from __future__ import annotations

import json
import secrets
from typing import Annotated, Any

from litestar import delete, patch, post, put
from litestar.params import Parameter
from litestar.types import ASGIApp
from msgspec import Struct, field

from penchant.errors import NotFound
from penchant.serving import bodies, pages
from penchant.serving.calls import Answer, Call, Id, ingest, name_in, threads_of
from penchant.serving.problems import Refused
from penchant.types import Event, Receipt

_SESSION_BYTES = 16  # 128 bits: nobody guesses the session of another


class ItemPatch(Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What changes of an item: ``fields`` by RFC 7396 (null removes one), ``vectors`` by name, ``available``."""

    fields: dict[str, Any] = field(default_factory=dict)
    vectors: dict[str, list[float]] = field(default_factory=dict)
    available: bool | None = None


class ProfilePatch(Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What changes of a profile: ``fields`` by RFC 7396 (null removes one)."""

    fields: dict[str, Any] = field(default_factory=dict)


class Session(Struct):
    """An id for somebody who is not known yet: send it as ``user`` until a login."""

    session: str


class Owner(Struct, forbid_unknown_fields=True):
    """The person whose session it was."""

    user: str


_ITEM_PATCHES, _PROFILE_PATCHES = bodies.Reader(ItemPatch), bodies.Reader(ProfilePatch)
_OWNERS = bodies.Reader(Owner)


@patch("/items/{id:path}")
async def patch_item(request: Call, id: Id) -> ASGIApp:
    """Change a part of an item (RFC 7396). What is not named stays; where no text changes, none is read again."""
    name, change = name_in(request), _ITEM_PATCHES.one(await request.body())
    await threads_of(request).read(threads_of(request).engine.item, name)
    event = Event(
        kind="item",
        item=name,
        patch=True,
        fields=change.fields,
        vectors=change.vectors,
        available=change.available,
    )
    return Answer(await _one(request, event, item="id"))


@patch("/users/{id:path}")
async def patch_user(request: Call, id: Id) -> ASGIApp:
    """Change a part of a profile (RFC 7396): what is not named stays, null removes a field."""
    name, change = name_in(request), _PROFILE_PATCHES.one(await request.body())
    await threads_of(request).read(threads_of(request).engine.profile, name)
    return Answer(await _one(request, Event(kind="user", user=name, patch=True, fields=change.fields), user="id"))


@delete("/events/{id:path}", status_code=200)
async def retract_event(
    request: Call,
    id: Id,
    user: Annotated[str | None, Parameter(description="whose it is; needed where it is older than 7 days")] = None,
) -> ASGIApp:
    """An interaction did not happen: the person's lists, and every count, are as if it had never been sent."""
    event = Event(kind="retraction", target=name_in(request), user=user)
    try:
        return Answer(await _one(request, event, target="id"))
    except Refused as error:
        if error.field != "id":
            raise
        raise NotFound(error.what, field="id", value=event.target, way_out=error.way_out) from None


@post("/sessions", status_code=200)
async def begin_session(request: Call) -> ASGIApp:
    """An id that nobody can guess, for somebody who is not known yet. Send it as `user` until a login."""
    return Answer(Session(f"s.{secrets.token_hex(_SESSION_BYTES)}"))


@put("/sessions/{id:path}")
async def merge_session(request: Call, id: Id) -> ASGIApp:
    """At login: what was done in the session is the person's from now on, and so is what comes under its id still."""
    name, owner = name_in(request), _OWNERS.one(await request.body())
    return Answer(await _one(request, Event(kind="alias", session=name, user=owner.user), session="id"))


async def _one(request: Call, event: Event, **fields: str) -> Receipt:
    """The receipt of one event; raises Refused under the names that the address has for ``fields`` of the event."""
    return await ingest(request, bodies.Sent([event], [0], [], fields, alone=True), [event])


HANDLERS = [patch_item, patch_user, retract_event, begin_session, merge_session]
_PATCH = {"fields": {"year": None, "price": 7.9}, "available": False}
_OWNER = {"user": "ann"}
_SESSION = {"session": "s.9f86d081884c7d659a2feaa0c55ad015"}
DESCRIBED = {
    "PATCH /v1/items/{id}": pages.Described(
        f"{pages.HERE}/v1/items/alien' -X PATCH -d '{json.dumps(_PATCH)}'",
        Receipt,
        pages.RECEIPT,
        ItemPatch,
        (_PATCH,),
        listed=False,
    ),
    "PATCH /v1/users/{id}": pages.Described(
        f"{pages.HERE}/v1/users/ann' -X PATCH -d '{json.dumps({'fields': {'age': 35}})}'",
        Receipt,
        pages.RECEIPT,
        ProfilePatch,
        ({"fields": {"age": 35}},),
        listed=False,
    ),
    "DELETE /v1/events/{id}": pages.Described(
        f"{pages.HERE}/v1/events/6f1c2a-17?user=ann' -X DELETE", Receipt, pages.RECEIPT
    ),
    "POST /v1/sessions": pages.Described(f"{pages.HERE}/v1/sessions' -X POST", Session, _SESSION),
    "PUT /v1/sessions/{id}": pages.Described(
        f"{pages.HERE}/v1/sessions/{_SESSION['session']}' -X PUT -d '{json.dumps(_OWNER)}'",
        Receipt,
        pages.RECEIPT,
        Owner,
        (_OWNER,),
        listed=False,
    ),
}
