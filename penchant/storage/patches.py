"""What a patch makes of what was sent before it: of an item, of a profile.

Fields are merged as RFC 7396 says: an object goes into the object that stands there, null takes a field away, anything
else is put in its place. A vector that is named is replaced; ``available`` changes only where it is said.

Does not know: where what stands is kept, or that it is an item.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Protocol, TypeVar, cast

from msgspec import structs

from penchant.storage.log_reading import Logged
from penchant.types import Event


class Patchable(Protocol):
    """What `Event` and `storage.catalogue.Row` have in common."""

    fields: dict[str, Any]
    vectors: dict[str, list[float]]
    available: Any


T = TypeVar("T", bound=Patchable)


def patched(before: T, patch: Patchable) -> T:
    """What stands after a patch; all that a patch cannot say stays as it was before."""
    return cast(
        "T",
        structs.replace(
            cast("Any", before),
            fields=merged(before.fields, patch.fields),
            vectors=before.vectors | patch.vectors,
            available=before.available if patch.available is None else patch.available,
        ),
    )


def merged(target: Any, patch: Any) -> Any:
    """A merge patch applied to any JSON (RFC 7396, section 2); neither argument is changed."""
    if not isinstance(patch, dict):
        return patch
    found = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            found.pop(name, None)
        else:
            found[name] = merged(found.get(name), value)
    return found


def whole(logged: Iterable[Logged], patches: set[int] | None = None) -> Iterator[Logged]:
    """Item events of log order, a patch as what the item was after it; one that met no item is left out.

    ``patches``: the numbers of the items that any patch is of, where that is known: others need not be kept.
    """
    standing: dict[int, Event] = {}
    for one in logged:
        if one.event.patch:
            if one.item not in standing:
                continue
            one = one._replace(event=patched(standing[one.item], one.event))
        if one.event.removed:
            standing.pop(one.item, None)
        elif patches is None or one.item in patches:
            standing[one.item] = one.event
        yield one
