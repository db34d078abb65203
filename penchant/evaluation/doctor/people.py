"""Who does it: bots by simple rules, one name for many people, people who come once.

Notable: each rule about bots has a floor that no person reaches, and above it follows what is usual here, so that a
site whose people rate whole lists in an hour is not called a site of bots. One rule is enough to be named.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from penchant.evaluation.doctor.world import (
    DAY,
    HOUR,
    MINUTE,
    Finding,
    Longs,
    Severity,
    World,
    graded,
    moment,
    quantile,
    span,
)

_AN_HOUR, _ITEMS_A_DAY = 1200, 2000  # one every three seconds for an hour; more than anybody looks at in a day
_BEYOND, _BUSY = 5.0, 0.9  # times what the busiest tenth of people reach
_GAPS, _REGULAR, _SPREAD = 100, 0.9, 0.05  # so many gaps, of which so many lie within so much of the median
_AWAKE = 24  # hours in a row, with something done in each
_SHARE, _TIMES_FAIR, _AT_MOST = 0.05, 10.0, 0.9
_ENOUGH_PEOPLE, _ENOUGH_EVENTS = 20, 50
_MUCH = 0.1  # of all events; bots with so many are what is learned
_LEFT_OUT = "If these are no people, leave their events out (or erase them): they move counts for everybody."

Ints = NDArray[np.int32]


class Runs(NamedTuple):
    """Stretches of time in which people did something, sorted by person and time: [k] each.

    ``bin``: number of the stretch since 1970; ``events`` in it; ``first``: place of its first one in `World.walk`."""

    person: Ints
    bin: Longs
    events: Longs
    first: Longs


def fast(world: World) -> list[Finding]:
    """More events in an hour than a person can do."""
    if world.resolution > HOUR:
        return []
    hours = runs(world, HOUR)
    limit = max(_AN_HOUR, _BEYOND * quantile(_busiest(hours), _BUSY))
    odd = hours.events > limit
    if not odd.any():
        return []
    most = int(np.argmax(hours.events))
    example = f"{_name(world, hours, most)}: {hours.events[most]:,} events from {_when(world, hours, most)}"
    rule = f"more than {limit:,.0f} events in an hour: at least {_AN_HOUR:,}, and {_BEYOND:.0f} times the busiest 10%"
    return [_bots(world, hours.person[odd], "bots: too fast", example, f"{rule} of people")]


def greedy(world: World) -> list[Finding]:
    """Thousands of different items in a day: something walks through the catalogue."""
    days = runs(world, DAY)
    limit = max(_ITEMS_A_DAY, _BEYOND * quantile(_busiest(days), _BUSY))
    found = {k: _different(world, days, k) for k in np.flatnonzero(days.events > limit).tolist()}
    odd = [k for k, items in found.items() if items > limit]
    if not odd:
        return []
    most = max(odd, key=found.__getitem__)
    example = f"{_name(world, days, most)}: {found[most]:,} items on {_when(world, days, most)[:10]}"
    rule = f"more than {limit:,.0f} different items in a day: at least {_ITEMS_A_DAY:,}, and {_BEYOND:.0f} times the"
    return [_bots(world, days.person[odd], "bots: too many items", example, f"{rule} busiest 10% of people")]


def regular(world: World) -> list[Finding]:
    """As a clock: nearly every gap as long as the others."""
    if world.resolution >= MINUTE or len(world.timed.time) <= _GAPS:
        return []
    person, odd, medians = world.timed.person[world.walk.order], list[int](), dict[int, float]()
    starts = np.flatnonzero(np.r_[True, ~world.walk.same])
    ends = np.r_[starts[1:], len(person)]
    long = ends - starts > _GAPS
    for start, end in zip(starts[long].tolist(), ends[long].tolist(), strict=True):
        gaps = world.walk.gap[start : end - 1]
        middle = float(np.median(gaps))
        if middle >= 1.0 and np.mean(np.abs(gaps - middle) <= _SPREAD * middle) >= _REGULAR:
            odd.append(int(person[start]))
            medians[odd[-1]] = middle
    if not odd:
        return []
    who = max(odd, key=lambda number: int(world.per_person[number]))
    example = f"{world.person(who)}: {world.per_person[who]:,} events, one every {span(medians[who])}"
    rule = f"{_REGULAR:.0%} of {_GAPS} gaps or more within {_SPREAD:.0%} of the person's median gap"
    return [_bots(world, np.array(odd), "bots: regular as a clock", example, rule)]


def sleepless(world: World) -> list[Finding]:
    """Something done in every hour of a day and a night."""
    if world.resolution >= HOUR or len(world.timed.time) < _AWAKE:
        return []
    hours = runs(world, HOUR)
    next_hour = (hours.person[1:] == hours.person[:-1]) & (hours.bin[1:] == hours.bin[:-1] + 1)
    starts = np.flatnonzero(np.r_[True, ~next_hour])
    lengths = np.diff(np.r_[starts, len(hours.bin)])
    odd = starts[lengths >= _AWAKE]
    if not len(odd):
        return []
    most = int(starts[lengths.argmax()])
    example = f"{_name(world, hours, most)}: {lengths.max()} hours in a row from {_when(world, hours, most)}"
    rule = f"something done in each of {_AWAKE} hours in a row"
    return [_bots(world, hours.person[odd], "bots: never asleep", example, rule)]


def one_for_many(world: World) -> list[Finding]:
    """One name that holds a large share of all events: a default, a test account, a bot."""
    total, people = len(world.events.time), world.people
    if total < _ENOUGH_EVENTS:
        return []
    limit = min(_AT_MOST, max(_SHARE, _TIMES_FAIR / people))
    who = int(world.per_person.argmax())
    count = int(world.per_person[who])
    if count <= limit * total:
        return []
    return [
        Finding(
            severity="serious" if count >= 0.2 * total else "warning",
            name="one person holds a large share",
            count=count,
            of=total,
            unit="events",
            example=f"{world.person(who)}: {count / total:.0%} of all events",
            rule=f"more than {limit:.1%} of the events: {_SHARE:.0%}, or {_TIMES_FAIR:.0f} fair shares if that is more",
            advice="If it stands for everybody who is not logged in, send the session's id as `user`, and an alias "
            "at login; if it is a test or a bot, leave it out.",
        )
    ]


def once(world: World) -> list[Finding]:
    """People of a single event: of them nothing can be learned, nor can a list for them be judged."""
    single = np.flatnonzero(world.per_person == 1)
    if world.people < _ENOUGH_PEOPLE or len(single) < 0.5 * world.people:
        return []
    return [
        Finding(
            severity=graded(len(single), world.people, 0.9, 2.0),
            name="people with a single event",
            count=len(single),
            of=world.people,
            unit="people",
            example=world.person(int(single[0])),
            rule="half of all people or more",
            advice="Check that `user` is the same for a person from one visit to the next, and is not made anew for "
            "every page.",
        )
    ]


def runs(world: World, seconds: float) -> Runs:
    """Who did how much in which stretch of ``seconds``."""
    order, events = world.walk.order, world.timed
    person, bins = events.person[order], np.floor(events.time[order] / seconds).astype(np.int64)
    if not len(person):
        return Runs(person, bins, bins, bins)
    starts = np.flatnonzero(np.r_[True, (person[1:] != person[:-1]) | (bins[1:] != bins[:-1])])
    return Runs(person[starts], bins[starts], np.diff(np.r_[starts, len(person)]), starts)


def _busiest(found: Runs) -> Longs:
    """The most in one stretch, of each person."""
    if not len(found.person):
        return found.events
    starts = np.flatnonzero(np.r_[True, found.person[1:] != found.person[:-1]])
    busiest: Longs = np.maximum.reduceat(found.events, starts)
    return busiest


def _different(world: World, found: Runs, k: int) -> int:
    rows = world.walk.order[found.first[k] : found.first[k] + found.events[k]]
    return len(np.unique(world.timed.item[rows]))


def _name(world: World, found: Runs, k: int) -> str:
    return world.person(int(found.person[k]))


def _when(world: World, found: Runs, k: int) -> str:
    return moment(float(world.timed.time[world.walk.order[found.first[k]]]))


def _bots(world: World, people: Ints | Longs, name: str, example: str, rule: str) -> Finding:
    odd = np.unique(people)
    share = float(world.per_person[odd].sum()) / len(world.events.time)
    severity: Severity = "serious" if share >= _MUCH else "warning"
    return Finding(
        severity=severity,
        name=name,
        count=len(odd),
        of=world.people,
        unit="people",
        example=f"{example} ({share:.1%} of all events are theirs)" if len(odd) > 1 else f"{example} ({share:.1%})",
        rule=rule,
        advice=_LEFT_OUT,
    )
