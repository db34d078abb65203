"""A small world in which nothing is odd, to be spoilt in one way at a time."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from penchant import Event
from penchant.config import Settings
from penchant.evaluation.doctor.world import Items, Known, Source, World
from penchant.evaluation.journal import Gatherer

START, DAY, HOUR = 1_700_000_000 - 1_700_000_000 % 86_400, 86_400, 3_600
NOW = START + 40.0 * DAY
PEOPLE, ITEMS = 30, 40


class Row(NamedTuple):
    user: str
    item: str | None
    time: float
    action: str = "click"
    value: float | None = None


class Thing(NamedTuple):
    """An item; ``gone``: since after so many events."""

    name: str
    text: str
    brought: bool = False
    gone: int = -1
    created: float = float(START)


def clean_rows() -> list[Row]:
    return list(_clean_rows())


@lru_cache(maxsize=1)
def _clean_rows() -> tuple[Row, ...]:
    """Thirty people, each on twenty of thirty days, some minutes in the daytime, with pauses of all lengths."""
    random = np.random.default_rng(7461)
    rows = []
    for person in range(PEOPLE):
        for day in random.choice(30, 20, replace=False).tolist():
            at = START + day * DAY + 8 * HOUR + random.integers(0, 12 * HOUR)
            for item in random.choice(ITEMS, 6, replace=False).tolist():
                at += int(random.integers(3, 400))
                action = "rate" if item % 3 == 0 else "click"
                value = float(random.integers(1, 6)) if action == "rate" else None
                rows.append(Row(f"u{person}", f"i{item}", float(at), action, value))
    return tuple(sorted(rows, key=lambda row: row.time))


def clean_things() -> list[Thing]:
    return [Thing(f"i{k}", f"a film about the number {k}") for k in range(ITEMS)]


def world(rows: Sequence[Row], things: Sequence[Thing] | None = (), **known: Any) -> World:
    """Columns of rows, in the order given; ``things``: () for the clean ones, None for no catalogue at all."""
    things = clean_things() if things == () else things
    gatherer = Gatherer()
    for thing in things or ():
        gatherer.items.number(thing.name)
    for row in rows:
        gatherer.add(Event(user=row.user, item=row.item, action=row.action, value=row.value, time=row.time))
    events, settings = gatherer.done(), Settings()
    base = {"actions": frozenset(settings.actions), "ratings": frozenset(settings.ratings)}
    source = Source(**{name: known.pop(name) for name in ("refused", "examples") if name in known})
    catalogue = None if things is None else _catalogue(things, len(events.pools.items))
    return World(events, catalogue, Known(**(base | known)), NOW, source)


def _catalogue(things: Sequence[Thing], count: int) -> Items:
    padded = [*things, *[Thing("", "", created=np.nan)] * (count - len(things))]
    return Items(
        sent=np.arange(count) < len(things),
        text=[thing.text for thing in padded],
        key=np.array([zlib.crc32(thing.text.encode()) for thing in padded], np.int64),
        brought=np.array([thing.brought for thing in padded], np.bool_),
        gone=np.array([thing.gone for thing in padded], np.int64),
        created=np.array([thing.created for thing in padded], np.float64),
    )
