"""What a question lets through: nothing that is hidden since it was met, only what conditions and rule allow."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from penchant import expressions, policies
from penchant.errors import InvalidInput
from penchant.parts import Parts
from penchant.types import Policy, Query

_LOOKED_AT = 100  # items, for the names of fields


def hidden(parts: Parts, query: Query, person: int) -> NDArray[np.int32]:
    """Items that the query does not want to see again."""
    seen = parts.seen(query)
    if seen == "allow":
        return np.empty(0, np.int32)
    return _met(parts, query, person, None if seen == "ever" else seen, None)


def allowed(parts: Parts, query: Query, person: int) -> NDArray[np.uint8]:
    """1 where an item meets the query's conditions and its rule, [items]; empty where there is neither."""
    if query.filter is None:
        return parts.filters.allowed(query.where, parts.index.items)
    rule = _resolved(parts, query, person, query.filter)
    return parts.filters.allowed(query.where, parts.index.items, rule, partial(_met, parts, query, person))


def true(parts: Parts, query: Query, person: int, rule: str) -> NDArray[np.uint8]:
    """1 where another rule is true of an item for who asks, [items]."""
    met = partial(_met, parts, query, person)
    return parts.filters.allowed((), parts.index.items, _resolved(parts, query, person, rule), met)


def _resolved(parts: Parts, query: Query, person: int, rule: str) -> expressions.Tree:
    reads = person >= 0 and expressions.fields_read(rule, "person")
    profile = parts.catalogue.profile(person) if reads else {}
    return expressions.resolved(expressions.parse(rule), profile, query.context)


def notes(parts: Parts, query: Query) -> list[str]:
    """What whoever wrote the query's rule and policy may want to know, when they were followed."""
    missing = [
        f"{where}: no item has a field `{name}`"
        for where, names in (("filter", _of_rule(query)), ("policy", policies.fields(query.policy)))
        for name in parts.filters.nowhere(names)
    ]
    if not missing:
        return []
    there = dict.fromkeys(name for row in parts.catalogue.page(-1, _LOOKED_AT) for name in row.fields)
    return [f"{what}; there are {', '.join(there) or 'none'}." for what in missing]


def unread(parts: Parts, query: Query, policy: Policy | None) -> set[str]:
    """Fields that the query's rule and a policy read and that none has read so far. Raises InvalidInput."""
    return parts.filters.unread(_of_rule(query) | policies.fields(policy))


def _of_rule(query: Query) -> frozenset[str]:
    return expressions.fields_read(query.filter) if query.filter is not None else frozenset()


def read_fields(parts: Parts, names: Iterable[str]) -> None:
    """Read these fields of all items for rules. The lock is held at the beginning and at the end alone."""
    filters = parts.filters
    with parts.lock:
        reading = filters.begin(names)
    try:
        reading.run()
    except BaseException:
        with parts.lock:
            filters.give_up(reading)
        raise
    with parts.lock:
        filters.adopt(reading)


def _met(parts: Parts, query: Query, person: int, seconds: float | None, action: str | None) -> NDArray[np.int32]:
    """Items that a person met in so many seconds before the query (None: ever), by an action (None: any)."""
    if action is not None and action not in parts.settings.actions:
        raise InvalidInput(
            f"seen(..., {action!r}): no action has that name.",
            field="filter",
            value=query.filter,
            way_out=f"Name one of {', '.join(sorted(parts.settings.actions))}.",
        )
    if person < 0:
        return np.empty(0, np.int32)
    if seconds is None and action is None:
        return parts.counts.seen_by(person)
    past = parts.history(person, parts.log.end)
    wanted = past.item >= 0
    if seconds is not None:
        wanted &= past.time >= (query.time or 0.0) - seconds
    if action is not None:
        wanted &= past.action == parts.log.actions.get(action)
    return past.item[wanted].astype(np.int32)
