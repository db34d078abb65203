"""What is said to a server, and how its answer is read: one function for each verb, whoever sends it.

Notable: a verb is a plain value (`Call`), so the client that blocks and the one that awaits share all of it. Events are
given their ids here, before anything is sent: that is what makes sending them again harmless.

Does not know: connections, clocks and second tries.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from urllib.parse import quote

import msgspec
from msgspec import structs

from penchant.errors import InvalidInput
from penchant.types import (
    Condition,
    Contents,
    Event,
    Feedback,
    Item,
    Language,
    Page,
    Profile,
    Query,
    Receipt,
    Slate,
    Writing,
)

T = TypeVar("T")

_PAGE = "1000"  # items, as many as there may be
_NOWHERE = ("", ".", "..")  # as the last part of an address these are another address
_IN_ADDRESS = (
    "user",
    "limit",
    "words",
    "where",
    "filter",
    "explain",
    "language",
)  # of a query, what an address without a body can say


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """A request, and the type of its answer. ``harmless``: sent twice, it does no more than sent once."""

    method: str
    path: str
    answers: type[T]
    body: bytes | None = None
    params: Mapping[str, str | list[str]] = field(default_factory=dict)
    harmless: bool = True


def send(events: Event | Iterable[Event]) -> Call[Receipt]:
    """Say what happened. On return it is durable, and every list asked from now on knows it.

    An event without an id is given one, so that a second try changes nothing. Of a list, what is not valid is refused
    one by one, in the receipt. Raises InvalidInput when nothing of it was taken.
    """
    named = [with_id(event) for event in _listed(events, Event)]
    return Call("POST", "/v1/events", Receipt, _json(named[0] if isinstance(events, Event) else named))


def put_items(items: Item | Iterable[Item]) -> Call[Receipt]:
    """Send items; sent again, an item is replaced. Each can be recommended within a second. Raises InvalidInput."""
    return Call("PUT", "/v1/items", Receipt, _json(_listed(items, Item)))


def put_users(profiles: Profile | Iterable[Profile]) -> Call[Receipt]:
    """Send profiles; sent again, a profile is replaced. Raises InvalidInput."""
    return Call("PUT", "/v1/users", Receipt, _json(_listed(profiles, Profile)))


def item(id: str) -> Call[Item]:
    """An item as it was sent last. Raises NotFound."""
    return Call("GET", f"/v1/items/{_named(id)}", Item)


def page(after: str | None) -> Call[Page]:
    """Items in the order in which they were first mentioned, from the first or ``after`` one. Raises NotFound."""
    start = {} if after is None else {"after": after}
    return Call("GET", "/v1/items", Page, params={"limit": _PAGE} | start)


def remove_item(id: str) -> Call[Receipt]:
    """Take an item out of the catalogue. It is tried once: a second try would not find it. Raises NotFound."""
    return Call("DELETE", f"/v1/items/{_named(id)}", Receipt, harmless=False)


def profile(user: str) -> Call[Profile]:
    """The profile of a person, empty where none was sent. Raises NotFound for somebody whom nobody ever named."""
    return Call("GET", f"/v1/users/{_named(user)}", Profile)


def forget(user: str) -> Call[Receipt]:
    """Erase a person. It is tried once: a second try would not find them. Raises NotFound."""
    return Call("DELETE", f"/v1/users/{_named(user)}", Receipt, harmless=False)


def recommend(query: Query) -> Call[Slate]:
    """What this person should see next. Raises InvalidInput for a limit or a rule that makes no sense."""
    return Call("POST", "/v1/recommend", Slate, _json(query))


def rank(items: Sequence[str], query: Query | None = None) -> Call[Slate]:
    """These items, each once, ordered for this person; seen ones too. Raises NotFound, InvalidInput."""
    asked = structs.asdict(query or Query()) | {"items": list(items)}
    return Call("POST", "/v1/rank", Slate, _json(asked))


def compose(wanted: Writing) -> Call[Contents]:
    """A text about each of these items for one person, made of what is known alone. Raises NotFound, InvalidInput."""
    return Call("POST", "/v1/content", Contents, _json(wanted))


def similar(item: str, query: Query | None = None) -> Call[Slate]:
    """Items like this one: near it in content, followed by it, met together with it. Raises NotFound, InvalidInput."""
    asked = _params(query or Query(), "user", "words")
    return Call("GET", "/v1/similar", Slate, params={"item": item} | asked)


def search(query: Query) -> Call[Slate]:
    """Items that the words name or mean, ordered for this person. Raises InvalidInput."""
    return Call("GET", "/v1/search", Slate, params=_params(query))


def slate(id: str, explain: bool = False, language: Language = "en") -> Call[Feedback]:
    """A list that was shown, with what was done about it; ``explain``: and why its items are there. Raises NotFound."""
    params: dict[str, str | list[str]] = {"explain": "true", "language": language} if explain else {}
    return Call("GET", f"/v1/slates/{quote(id, safe='')}", Feedback, params=params)


def ready() -> Call[dict[str, Any]]:
    """What the server says of itself: its version, ``as_of``, warnings. Raises Unavailable while it cannot answer."""
    return Call("GET", "/health/ready", dict[str, Any])


def with_id(event: Event) -> Event:
    return event if event.id else structs.replace(event, id=uuid.uuid4().hex)


# -- how it is written -------------------------------------------------------------------------------------------------


def _listed(things: T | Iterable[T], kind: type[T]) -> list[T]:
    return [things] if isinstance(things, kind) else list(things)  # type: ignore[arg-type]  # not a thing: things


def _named(id: str) -> str:
    if id in _NOWHERE or not id.strip("/"):
        raise InvalidInput(
            "cannot stand in an address.", field="id", value=id, way_out="Send an event of kind item or erasure."
        )
    return quote(id, safe="")


def _params(query: Query, *unread: str) -> dict[str, str | list[str]]:
    """The query as parameters. Raises InvalidInput where it says what the address cannot, rather than leave it out."""
    plain, params = Query(), {"limit": str(query.limit)}
    for name in query.__struct_fields__:
        value = getattr(query, name)
        if value != getattr(plain, name) and (name not in _IN_ADDRESS or name in unread):
            raise InvalidInput("is not read by this address.", field=name, value=value, way_out="Leave it out.")
        if name in ("user", "words", "filter") and value is not None:
            params[name] = value
    if query.explain:
        params |= {"explain": "true", "language": query.language}
    return params | {"where": [_condition(one) for one in query.where]}


def _condition(one: Condition) -> str:
    """As the addresses read it, where every value is text. Raises InvalidInput where that would say something else."""
    if one.equals is None:
        low, high = ("" if end is None else repr(float(end)) for end in (one.low, one.high))
        return f"{one.field}={low}..{high}"
    whole = isinstance(one.equals, float) and one.equals.is_integer()
    value = f"{one.equals:.0f}" if whole else str(one.equals)
    if "=" in one.field or ".." in value or value.strip() != value:
        raise InvalidInput("cannot be said in an address.", field="where", value=one, way_out="Say it as `filter`.")
    return f"{one.field}={value}"


def _json(sent: object) -> bytes:
    """Raises InvalidInput for what JSON cannot say: NaN would go out as null, and come in as nothing."""
    try:
        body = msgspec.json.encode(sent)
    except (TypeError, UnicodeEncodeError, OverflowError, RecursionError) as error:
        way_out = "Send texts, numbers, and lists or objects of them."
        raise InvalidInput(f"is not JSON: {error}.", field="body", value=sent, way_out=way_out) from None
    if b"null" in body:
        _check_numbers(msgspec.to_builtins(sent))
    return body


def _check_numbers(sent: object, name: str = "") -> None:
    if isinstance(sent, float) and not math.isfinite(sent):
        raise InvalidInput("is not a finite number.", field=name, value=sent, way_out="Leave it out.")
    inside = sent.items() if isinstance(sent, dict) else enumerate(sent) if isinstance(sent, list | tuple) else ()
    for key, value in inside:
        _check_numbers(value, f"{name}.{key}".lstrip("."))
