"""What was done, and the values that came with it; and rows of files that could not be read at all."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from penchant.evaluation.doctor.world import Finding, Longs, World, graded
from penchant.evaluation.journal import Floats

_ENOUGH = 50
_FAR = 10.0  # spreads beyond the outer hundredths
_FEW = 0.01


def refused(world: World) -> list[Finding]:
    """Rows of a file that become no event."""
    count = sum(world.source.refused.values())
    if not count:
        return []
    reason, times = max(world.source.refused.items(), key=lambda pair: pair[1])
    return [
        Finding(
            severity=graded(count, count + len(world.events.time), 0.0, _FEW),
            name="rows that cannot be read",
            count=count,
            of=count + len(world.events.time),
            unit="rows",
            example=f"{world.source.examples.get(reason, '')}: {reason} ({times:,} rows)",
            rule="an import refuses them, and keeps them with the reason",
            advice="Correct the export, or say which column is which (--map).",
        )
    ]


def nothing(world: World) -> list[Finding]:
    """Nothing that anybody did: then nearly all rules have nothing to look at."""
    if len(world.events) or world.source.refused:
        return []
    return [
        Finding(
            severity="warning",
            name="no events",
            count=0,
            of=0,
            unit="events",
            example="not one that says what a person did",
            rule="clicks, purchases, ratings, searches",
            advice="Give a file of them too, with a column of people, one of items and one of times. A file that is "
            "one, but was read as items: --map user=COLUMN.",
        )
    ]


def unknown(world: World) -> list[Finding]:
    """Actions that the settings do not name: refused at the door, or, in a log, without weight."""
    numbers, counts = np.unique(world.events.action, return_counts=True)
    names = [world.action(number) for number in numbers.tolist()]
    odd = {name: int(count) for name, count in zip(names, counts, strict=True) if name not in world.known.actions}
    if not odd:
        return []
    most = max(odd, key=odd.__getitem__)
    return [
        Finding(
            severity="serious" if world.known.imported else "warning",
            name="unknown actions",
            count=sum(odd.values()),
            of=len(world.events.action),
            unit="events",
            example=f"{most}: {odd[most]:,} events" + (f"; also {', '.join(sorted(odd)[:5])}" if len(odd) > 1 else ""),
            rule="the settings do not name the action",
            advice=f"Add [actions.{most}] with a weight to penchant.toml, or send it under a name that is there: "
            + ("an import refuses it." if world.known.imported else "until then it moves nothing."),
        )
    ]


def never_done(world: World) -> list[Finding]:
    """Actions that somebody named in the settings and nobody does."""
    if not world.known.own or not len(world.events.action):
        return []
    done = {world.action(number) for number in np.unique(world.events.action).tolist()}
    idle = sorted(world.known.actions - done)
    if not idle:
        return []
    return [
        Finding(
            severity="note",
            name="actions that never happen",
            count=len(idle),
            of=len(world.known.actions),
            unit="actions",
            example=", ".join(idle[:8]),
            rule="named in penchant.toml, and in no event",
            advice="Check that the application sends them, under this very name.",
        )
    ]


def without_value(world: World) -> list[Finding]:
    """Ratings that do not say how much."""
    found = []
    for name, rows in _by_action(world):
        missing = rows[np.isnan(world.events.value[rows])]
        if name in world.known.ratings and len(missing) > _FEW * len(rows):
            found.append(
                Finding(
                    severity="warning",
                    name=f"{name} without a value",
                    count=len(missing),
                    of=len(rows),
                    unit="events",
                    example=world.event(int(missing[0])),
                    rule=f"more than {_FEW:.0%} of an action that `ratings` names",
                    advice="Send `value` with every rating, or take the action out of `ratings` in penchant.toml.",
                )
            )
    return found


def constant(world: World) -> list[Finding]:
    """Values that are always the same say nothing."""
    found = []
    for name, rows, values in _valued(world):
        if len(values) >= _ENOUGH and values.min() == values.max():
            found.append(
                Finding(
                    severity="warning" if name in world.known.ratings else "note",
                    name=f"values of {name} are all the same",
                    count=len(values),
                    of=len(values),
                    unit="events",
                    example=f"{values[0]:g}, as in {world.event(int(rows[0]))}",
                    rule=f"one value in {_ENOUGH} events or more",
                    advice="Leave `value` out where it says nothing; where it should vary, look at the export.",
                )
            )
    return found


def implausible(world: World) -> list[Finding]:
    """Values far outside of all others, and negative ones that stand for "none"."""
    found = []
    for name, rows, values in _valued(world):
        low, high = np.quantile(values, (0.01, 0.99)) if len(values) >= _ENOUGH else (0.0, 0.0)
        reach = _FAR * (high - low)
        odd = np.flatnonzero((values < low - reach) | (values > high + reach))
        rule = f"outside {low - reach:g} to {high + reach:g}: {_FAR:.0f} times as far as the middle 98% reach"
        if not (len(odd) and reach > 0) and _is_a_mark(values):
            odd, rule = np.flatnonzero(values < 0), "the only negative value, often"
        elif not reach > 0:
            continue
        if len(odd):
            furthest = odd[np.abs(values[odd] - np.median(values)).argmax()]
            found.append(
                Finding(
                    severity=graded(len(odd), len(values), 0.001, 2.0),
                    name=f"implausible values of {name}",
                    count=len(odd),
                    of=len(values),
                    unit="events",
                    example=f"{values[furthest]:g}, as in {world.event(int(rows[furthest]))}",
                    rule=rule,
                    advice="Leave `value` out where there is none, and send one kind of number under one action.",
                )
            )
    return found


def _is_a_mark(values: Floats) -> bool:
    """-1 for "not rated" beside values that are else all positive."""
    below = values[values < 0]
    return len(values) >= _ENOUGH and _FEW * len(values) <= len(below) < len(values) and len(np.unique(below)) == 1


def _by_action(world: World) -> Iterator[tuple[str, Longs]]:
    """(name, rows) of every action that happened."""
    for number in np.unique(world.events.action).tolist():
        yield world.action(number), np.flatnonzero(world.events.action == number)


def _valued(world: World) -> Iterator[tuple[str, Longs, Floats]]:
    """(name, rows, values) of every action that carries values."""
    for name, rows in _by_action(world):
        rows = rows[~np.isnan(world.events.value[rows])]
        if len(rows):
            yield name, rows, world.events.value[rows]
