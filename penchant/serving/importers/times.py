"""Times as files write them: numbers since 1970 in four units, and ISO 8601 text.

Notable: the unit is recognised once, from many values, and then holds for the file, so that one odd row is refused
instead of being read in another unit. A date without a zone is UTC.

What it does not guess: dates as 11/12/2019, since which of the two is the month cannot be seen. Say it with the
column, ``ts (month/day/year)``; for the other order there is no unit, write ISO 8601.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from statistics import median

from penchant.serving.importers.parts import NOTHING

ISO = "ISO 8601"
PER_SECOND = {"seconds": 1.0, "milliseconds": 1e3, "microseconds": 1e6, "nanoseconds": 1e9}
MONTH_FIRST = "month/day/year"
UNITS = (*PER_SECOND, ISO, MONTH_FIRST)
_END = 253_402_300_800.0  # the year 10000; also what keeps milliseconds from passing as seconds
_BELOW = (("seconds", 1e11), ("milliseconds", 1e14), ("microseconds", 1e17), ("nanoseconds", 1e20))
_MOST = 0.9  # of the sample must be readable; the rest may be broken rows
_AMERICAN = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})(?: +(\d{1,2}):(\d{2})(?::(\d{2}))?(?: *([AaPp])[Mm])?)?")
Clock = Callable[[str], float]


def clock(unit: str) -> Clock:
    """Text -> Unix seconds in a unit of `UNITS`; the function raises ValueError for what it cannot read."""
    if unit in (ISO, MONTH_FIRST):
        return _iso if unit == ISO else _month_first
    per_second = PER_SECOND[unit]

    def number(text: str) -> float:
        seconds = float(text) / per_second
        if 0.0 <= seconds < _END:
            return seconds
        raise ValueError(text)  # NaN too

    return number


def guess_unit(values: Sequence[str]) -> str | None:
    """The unit in which nearly all of the values can be read, or None."""
    filled = [value for value in values if value not in NOTHING]
    if not filled:
        return None
    numbers = [number for value in filled if (number := _number(value)) is not None]
    if len(numbers) < _MOST * len(filled):
        return ISO if _readable(filled, ISO) else None
    if all(len(value) == 8 for value in filled) and _readable(filled, ISO):
        return ISO  # 20170128 is a day; as seconds it would be August 1970
    middle = median(numbers)
    unit = next((unit for unit, below in _BELOW if middle < below), None)
    return unit if unit and _readable(filled, unit) else None


def _readable(values: Sequence[str], unit: str) -> bool:
    read, failed = clock(unit), 0
    for value in values:
        try:
            read(value)
        except ValueError:
            failed += 1
    return failed <= (1 - _MOST) * len(values)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _iso(text: str) -> float:
    moment = datetime.fromisoformat(text.strip().removesuffix(" UTC"))
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    seconds = moment.timestamp()
    if seconds >= 0.0:
        return seconds
    raise ValueError(text)


def _month_first(text: str) -> float:
    """``11/12/2019 2:14:46 PM`` is a day in November; without a zone it is UTC."""
    found = _AMERICAN.fullmatch(text.strip())
    if found is None:
        raise ValueError(text)
    month, day, year, hour, minute, second = (int(part or 0) for part in found.groups()[:6])
    half = (found[7] or "").lower()
    if half and not 1 <= hour <= 12:
        raise ValueError(text)
    hour = hour % 12 + 12 * (half == "p") if half else hour
    seconds = datetime(year, month, day, hour, minute, second, tzinfo=UTC).timestamp()
    if seconds >= 0.0:
        return seconds
    raise ValueError(text)
