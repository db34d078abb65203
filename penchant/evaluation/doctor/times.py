"""Times and their order: units taken for one another, clocks, late events, outages, times that say little."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from penchant.evaluation.doctor.world import (
    DAY,
    HOUR,
    MINUTE,
    TOO_EARLY,
    Bools,
    Finding,
    World,
    graded,
    moment,
    span,
)
from penchant.evaluation.journal import Journal
from penchant.kernels import LATE
from penchant.pipeline.events import FUTURE

TOO_LATE = 1e11  # the year 5138: milliseconds, or finer
_BEYOND_USUAL = 8.0  # times the usual longest pause
_FEW_DAYS, _NIGHT = 7, 12 * HOUR  # in a log of a few days a night may be the longest pause that there is
_CROWD, _AT_ONCE, _MANY, _PER_SECOND = 20, 0.5, 1000, 1000.0
_TIED, _MOSTLY_TIED = 0.1, 0.5

Times = NDArray[np.float64]


def without_time(world: World) -> list[Finding]:
    """Rows without a time would all happen at the moment of their import."""
    missing = np.flatnonzero(~np.isfinite(world.events.time))
    if not len(missing):
        return []
    return [
        Finding(
            severity=graded(len(missing), len(world.events.time), 0.0, 0.01),
            name="events without a time",
            count=len(missing),
            of=len(world.events.time),
            unit="events",
            example=world.event(int(missing[0])).replace("time nan", "no time"),
            rule="an event without a time happens when it arrives",
            advice="Name the column of times (--map time=COLUMN), or export the times too: order is what is learned.",
        )
    ]


def units(world: World) -> list[Finding]:
    """Seconds, milliseconds and finer taken for one another."""
    return [
        *_unit(world, world.timed.time < TOO_EARLY, "times near 1970", f"before {moment(TOO_EARLY)[:10]}",
               "A time in thousands of seconds, or 0 for unknown: send Unix seconds, and no event without a time."),
        *_unit(world, world.timed.time >= TOO_LATE, "times beyond the year 5000", "from 1e11 seconds on",
               "These are milliseconds or finer: divide by 1,000, or say so: --map 'time=COLUMN (milliseconds)'."),
    ]  # fmt: skip


def _unit(world: World, odd: Bools, name: str, rule: str, advice: str) -> list[Finding]:
    rows = np.flatnonzero(odd)
    if not len(rows):
        return []
    first = int(rows[0])
    return [
        Finding(
            severity="serious",
            name=name,
            count=len(rows),
            of=len(odd),
            unit="events",
            example=world.event(first, world.timed),
            rule=rule,
            advice=advice,
        )
    ]


def future(world: World) -> list[Finding]:
    time = world.timed.time
    rows = np.flatnonzero((time > world.now + FUTURE) & (time < TOO_LATE))
    if not len(rows):
        return []
    return [
        Finding(
            severity="serious",
            name="times in the future",
            count=len(rows),
            of=len(time),
            unit="events",
            example=world.event(int(rows[0]), world.timed),
            rule=f"more than {FUTURE:.0f} seconds after now, {moment(world.now)}",
            advice="Correct the sender's clock or time zone: the engine refuses such events.",
        )
    ]


def late(world: World) -> list[Finding]:
    """Events older than what their person did before they were sent: they count, but do not move the person's state."""
    events = world.dated
    if len(events.time) < 2:
        return []
    newest = newest_before(events)
    rows = np.flatnonzero(newest - events.time > LATE)
    if not len(rows):
        return []
    worst = int(rows[np.argmax((newest - events.time)[rows])])
    behind = span(float(newest[worst] - events.time[worst]))
    return [
        Finding(
            severity=graded(len(rows), len(events.time), 0.001, 0.05),
            name="events out of order",
            count=len(rows),
            of=len(events.time),
            unit="events",
            example=f"{world.event(worst, events)}, sent after one {behind} younger",
            rule=f"older than the person's newest event by more than {span(LATE)}",
            advice="Send events as they happen, and import files in the order of time: a late event is counted, but "
            "does not move what is known of the person.",
        )
    ]


def newest_before(events: Journal) -> Times:
    """The time of each person's newest event up to each event, itself included [n], in the order sent.

    Ranks stand for times, so that one running maximum over (person, rank) as whole numbers is exact for everybody.
    """
    n = len(events.time)
    by_time = np.argsort(events.time, kind="stable")
    rank = np.empty(n, np.int64)
    rank[by_time] = np.arange(n)
    order = np.argsort(events.person, kind="stable")
    highest = np.maximum.accumulate(events.person[order].astype(np.int64) * n + rank[order]) % n
    newest = np.empty(n, np.float64)
    newest[order] = events.time[by_time][highest]
    return newest


def outages(world: World) -> list[Finding]:
    """Pauses of everybody at once, far beyond the usual longest one of a day."""
    time = np.sort(world.dated.time)
    if len(time) < _CROWD:
        return []
    gap, limit = np.diff(time), _longest_pause(time)
    rows = np.flatnonzero(gap > limit)
    if not len(rows):
        return []
    longest = int(rows[np.argmax(gap[rows])])
    return [
        Finding(
            severity="warning",
            name="long gaps in time",
            count=len(rows),
            of=len(gap),
            unit="pauses",
            example=f"nothing from {moment(float(time[longest]))} to {moment(float(time[longest + 1]))}"
            f" ({span(float(gap[longest]))})",
            rule=f"longer than {span(limit)}: {_BEYOND_USUAL:.0f} times the longest pause of a usual day",
            advice="If something was broken then, import what is missing; if nothing happened, all is well.",
        )
    ]


def _longest_pause(time: Times) -> float:
    """From where on a pause is odd, of sorted times: the median over days of the day's longest pause, many times."""
    gap, day = np.diff(time), np.floor(time[:-1] / DAY)
    starts = np.flatnonzero(np.r_[True, day[1:] != day[:-1]])
    usual = float(np.median(np.maximum.reduceat(gap, starts)))
    least = HOUR if time[-1] - time[0] >= _FEW_DAYS * DAY else _NIGHT
    return max(least, _BEYOND_USUAL * usual)


def at_once(world: World) -> list[Finding]:
    """All in one second, or as fast as an import: the times are those of arrival, and say nothing of the order."""
    time = world.timed.time
    if len(time) < _CROWD or (world.resolution >= MINUTE and time.max() > time.min()):
        return []
    seconds, counts = np.unique(np.floor(time), return_counts=True)
    most, lasted = int(counts.max()), max(1.0, float(time.max() - time.min()))
    if most < _AT_ONCE * len(time) and not (len(time) >= _MANY and len(time) / lasted >= _PER_SECOND):
        return []
    return [
        Finding(
            severity="serious",
            name="events in the same second",
            count=most,
            of=len(time),
            unit="events",
            example=f"{most:,} events in {moment(float(seconds[counts.argmax()]))}",
            rule=f"half of the events in one second, or {_PER_SECOND:,.0f} a second throughout",
            advice="These are moments of arrival, not of what happened: send `time` with every event.",
        )
    ]


def coarse(world: World) -> list[Finding]:
    """Times told by the day or hour: what happened in between has no order."""
    events = world.timed
    if len(events.time) < _CROWD or world.resolution < HOUR or events.time.min() == events.time.max():
        return []
    tied = int((world.walk.same & (world.walk.gap == 0)).sum())
    share = tied / len(events.time)
    if share < _TIED:
        return []
    return [
        Finding(
            severity="warning" if share >= _MOSTLY_TIED else "note",
            name="times are rounded",
            count=tied,
            of=len(events.time),
            unit="events",
            example=world.event(int(world.walk.order[0]), events),
            rule=f"all times are whole {'days' if world.resolution == DAY else 'hours'}, and a tenth of the events "
            "share theirs with the person's next",
            advice="Export the full time: what follows what is learned from the order within a visit.",
        )
    ]
