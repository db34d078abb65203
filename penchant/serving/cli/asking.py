"""`penchant recommend`, `similar` and `search`: ask the engine of a folder and show the slate."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Literal, cast

import msgspec
import typer

from penchant.errors import InvalidInput
from penchant.serving import screens
from penchant.serving.cli.options import HERE, Data, Json, Limit, existing
from penchant.types import Policy, Query, Slate

if TYPE_CHECKING:
    from penchant.engine import Engine

Seen = Literal["ever", "allow"] | float | None
Where = Annotated[
    list[str] | None,
    typer.Option(metavar="CONDITION", help="FIELD=VALUE or FIELD=LOW..HIGH, for example year=1990..1999. Repeatable."),
]
FilterOption = Annotated[
    str | None,
    typer.Option(
        metavar="RULE",
        help="Show only what this is true of: 'price < 50 and \"drama\" in genres and not seen(30d)'. Fields of who "
        "asks are person.NAME.",
    ),
]
PolicyOption = Annotated[
    str | None,
    typer.Option(
        metavar="JSON",
        help='How the list is made: \'{"diversity": 0.3, "caps": {"brand": 2}, "pins": [{"item": "ID", "slot": 1}]}\'; '
        "docs/policies.md. Left out: what [policy] in penchant.toml says.",
    ),
]
SeenOption = Annotated[
    str | None,
    typer.Option(
        metavar="ever|allow|SECONDS",
        help="Hide what the person ever touched, nothing, or what was touched in the last SECONDS. "
        "Left out: what `seen` in penchant.toml says for lists, allow for searches.",
    ),
]
Removed = Annotated[bool, typer.Option("--removed", help="Show what was removed, and why.")]
Time = Annotated[
    str | None, typer.Option(metavar="TIME", help="Ask as of this moment: Unix seconds or ISO 8601. Left out: now.")
]


def recommend(
    user: Annotated[str, typer.Argument(help="Who asks. Someone new gets the list of a newcomer.")],
    limit: Limit = 10,
    where: Where = None,
    filter: FilterOption = None,
    policy: PolicyOption = None,
    seen: SeenOption = None,
    removed: Removed = False,
    time: Time = None,
    data: Data = HERE,
    json: Json = False,
) -> None:
    """What this person should see next."""
    query = _query(limit, where, filter, policy, seen, time)
    query.user, query.explain_removed = user, removed
    with existing(data) as engine:
        answer = engine.recommend(query)
        known = engine.parts.log.people.get(user) >= 0
        _show(engine, answer, f"For {user}" if known else f"For {user}, of whom nothing is known yet", json)


def similar(
    item: Annotated[str, typer.Argument(help="The id of an item.")],
    limit: Limit = 10,
    where: Where = None,
    filter: FilterOption = None,
    policy: PolicyOption = None,
    removed: Removed = False,
    time: Time = None,
    data: Data = HERE,
    json: Json = False,
) -> None:
    """Items like this one."""
    query = _query(limit, where, filter, policy, None, time)
    query.explain_removed = removed
    with existing(data) as engine:
        answer = engine.similar(item, query)
        _show(engine, answer, f"Like {title_of(engine, item) or item}", json)


def search(
    words: Annotated[list[str], typer.Argument(metavar="WORDS", help="What to search for, in plain words.")],
    user: Annotated[str | None, typer.Option(help="Order the results for this person.")] = None,
    limit: Limit = 10,
    where: Where = None,
    filter: FilterOption = None,
    policy: PolicyOption = None,
    seen: SeenOption = None,
    removed: Removed = False,
    time: Time = None,
    data: Data = HERE,
    json: Json = False,
) -> None:
    """Items that the words name or mean. Asking leaves no trace; only an event does."""
    query = _query(limit, where, filter, policy, seen, time)
    query.words, query.user, query.explain_removed = " ".join(words), user, removed
    with existing(data) as engine:
        _show(engine, engine.search(query), f"“{query.words}”" + (f" for {user}" if user else ""), json)


def title_of(engine: Engine, item: str) -> str:
    """The item's first text field; empty where there is none."""
    number = engine.parts.log.items.get(item)
    row = engine.parts.catalogue.get(number) if number >= 0 else None
    return next((value for value in row.fields.values() if isinstance(value, str)), "") if row else ""


def _show(engine: Engine, answer: Slate, heading: str, json: bool) -> None:
    if json:
        typer.echo(msgspec.json.encode(answer))
    else:
        screens.out.print(screens.slate(answer, lambda item: title_of(engine, item), heading))
        screens.warnings([*answer.notes, *engine.warnings])


def _query(
    limit: int, where: list[str] | None, filter: str | None, policy: str | None, seen: str | None, time: str | None
) -> Query:
    from penchant.pipeline.filters import parse

    conditions = tuple(parse(text) for text in where or ())
    return Query(
        limit=limit, where=conditions, filter=filter, policy=_policy(policy), seen=_seen(seen), time=_moment(time)
    )


def _policy(text: str | None) -> Policy | None:
    if text is None:
        return None
    try:
        return msgspec.json.decode(text, type=Policy)
    except msgspec.DecodeError as error:
        raise InvalidInput(
            f"{error}.", field="policy", value=text, way_out='Write JSON: {"caps": {"brand": 2}}; docs/policies.md.'
        ) from None


def _seen(text: str | None) -> Seen:
    if text in (None, "ever", "allow"):
        return cast(Seen, text)
    seconds = _number(text)
    if seconds is None or seconds < 0:
        raise InvalidInput(
            "is neither a word known here nor a number of seconds.",
            field="seen",
            value=text,
            way_out="Write ever, allow, or a number of seconds.",
        )
    return seconds


def _moment(text: str | None) -> float | None:
    if text is None:
        return None
    if (seconds := _number(text)) is not None:
        return seconds
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidInput(
            "is not a time.", field="time", value=text, way_out="Write Unix seconds or ISO 8601: 2026-01-31T18:00."
        ) from None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
