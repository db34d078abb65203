"""The same thing told twice: sent again under another id, or a finger that clicked twice."""

from __future__ import annotations

from penchant.evaluation.doctor.world import MINUTE, Finding, Longs, World, graded

_WITHIN = 1.0  # seconds between the two clicks of a double click
_WARNING, _SERIOUS = 0.005, 0.05
_WORTH_TELLING = 0.0005  # a few in ten thousand are in every log


def duplicates(world: World) -> list[Finding]:
    """Same person, item, action and time."""
    order, alike, apart = world.repeats
    return _found(world, order[1:][alike & (apart == 0)], "duplicated events",
                  "the same person, item, action and time as another event",
                  "Send each event once, with an `id` of your own: the same id again changes nothing.")  # fmt: skip


def double_clicks(world: World) -> list[Finding]:
    """Same person, item and action, a moment later; where times are told no finer than a minute, nobody can say."""
    if world.resolution >= MINUTE:
        return []
    order, alike, apart = world.repeats
    return _found(world, order[1:][alike & (apart > 0) & (apart <= _WITHIN)], "double clicks",
                  f"the same person, item and action within {_WITHIN:.0f} second",
                  "Send one event for a double click: the second one says nothing, and moves the person's state "
                  "twice.")  # fmt: skip


def _found(world: World, rows: Longs, name: str, rule: str, advice: str) -> list[Finding]:
    of = len(world.timed.time)
    if len(rows) < max(1.0, _WORTH_TELLING * of):
        return []
    return [
        Finding(
            severity=graded(len(rows), of, _WARNING, _SERIOUS),
            name=name,
            count=len(rows),
            of=of,
            unit="events",
            example=world.event(int(rows.min()), world.timed),
            rule=rule,
            advice=advice,
        )
    ]
