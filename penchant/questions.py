"""A question at the door: what makes no sense is refused, and what it does not say is filled in, once.

From here on nothing reads another clock than `Query.time`, or another policy than `Query.policy`.
"""

from __future__ import annotations

import math

from msgspec import structs

from penchant import expressions, policies
from penchant.errors import InvalidInput, NotFound, Unavailable
from penchant.parts import Parts
from penchant.types import Policy, Query

LONGEST = 1000
EXPLAINED = 100  # items with reasons


def check(parts: Parts, query: Query) -> None:
    """Raises InvalidInput for what makes no sense, Unavailable for an offset that is not taken in yet."""
    if not 1 <= query.limit <= LONGEST:
        way_out = f"Ask for 1 to {LONGEST}."
        raise InvalidInput(f"must lie in 1..{LONGEST}.", field="limit", value=query.limit, way_out=way_out)
    if query.time is not None and not math.isfinite(query.time):
        raise InvalidInput("is no moment.", field="time", value=query.time, way_out="Send Unix seconds.")
    if not isinstance(query.seen, str | None) and not 0 <= query.seen < math.inf:
        way_out = "Send `ever`, `allow`, or seconds."
        raise InvalidInput("says nothing about what to hide.", field="seen", value=query.seen, way_out=way_out)
    if query.after is not None:
        _check_after(parts, query.after)
    if query.explain and query.limit > EXPLAINED:
        way_out = f"Explain lists of at most {EXPLAINED}."
        raise InvalidInput("has too many reasons.", field="limit", value=query.limit, way_out=way_out)
    if query.filter is not None:
        expressions.parse(query.filter)  # what cannot be read is refused before anything waits


def completed(parts: Parts, query: Query, now: float, tracks: bool) -> Query:
    """With the moment and the policy of the settings, where the query does not say. Raises InvalidInput for a policy.

    ``tracks``: whether lists of the present moment count as shown, where the query does not say.
    """
    policy = policy_of(parts, query)
    if query.time is None:
        tracked = tracks if query.track is None else query.track
        return structs.replace(query, time=now, policy=policy, track=tracked)
    return query if policy is query.policy else structs.replace(query, policy=policy)


def policy_of(parts: Parts, query: Query) -> Policy | None:
    """The query's policy, completed by the settings. Raises InvalidInput for one that makes no sense."""
    if query.policy is not None:
        policies.check(query.policy)
    return policies.settled(query.policy, parts.settings.policy)


def person(parts: Parts, name: str | None) -> int:
    """The number of who asks; -1 for nobody known."""
    return parts.log.person(parts.log.people.get(name)) if name is not None else -1


def item(parts: Parts, name: str) -> int:
    """The number of an item. Raises NotFound for one that was not sent, or removed."""
    number = parts.log.items.get(name)
    if not 0 <= number < parts.index.items or not parts.index.known[number]:
        way_out = "Send the item first, or check its id."
        raise NotFound("no such item was sent.", field="item", value=name, way_out=way_out)
    return number


def _check_after(parts: Parts, after: int) -> None:
    if after < 0:
        way_out = "Send the `as_of` of a receipt."
        raise InvalidInput("is no offset of a log.", field="after", value=after, way_out=way_out)
    if after > parts.as_of:
        raise Unavailable(
            f"the log is taken in up to {parts.as_of} only.",
            field="after",
            value=after,
            way_out="Ask again in a second, or without `after`; it is the `as_of` of a receipt from this log.",
        )
