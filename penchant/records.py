"""What was sent of items and people, as it stands now: read from the catalogue, which needs no lock of the engine."""

from __future__ import annotations

from penchant.errors import NotFound
from penchant.parts import Parts
from penchant.storage.catalogue import Row
from penchant.types import Item, Page, Profile


def item(parts: Parts, name: str) -> Item:
    row = parts.catalogue.get(parts.log.items.get(name))
    if row is None:
        raise NotFound("no such item is there.", field="item", value=name, way_out="Send it first, or check its id.")
    return _sent(parts, row)


def page(parts: Parts, after: str | None, limit: int) -> Page:
    number = -1 if after is None else parts.log.items.get(after)
    if after is not None and number < 0:
        raise NotFound("no such item was ever sent.", field="after", value=after, way_out="Send what `next` said.")
    rows = parts.catalogue.page(number, limit + 1)
    found = [_sent(parts, row) for row in rows[:limit]]
    return Page(items=found, next=found[-1].id if len(rows) > limit else None)


def profile(parts: Parts, user: str) -> Profile:
    person = parts.log.person(parts.log.people.get(user))
    if person < 0:
        raise NotFound("nobody ever named this person.", field="user", value=user, way_out="Check the id.")
    return Profile(id=user, fields=parts.catalogue.profile(person))


def _sent(parts: Parts, row: Row) -> Item:
    return Item(
        id=parts.log.items.name(row.item),
        fields=row.fields,
        vectors=row.vectors,
        available=row.available,
        time=row.created,
    )
