"""Times as files write them: numbers since 1970 in four units, ISO 8601 text, and dates as 24.12.2019 or 12/24/2019.

Notable: the unit is recognised once, from many values, and then holds for the file, so that one odd row is refused
instead of being read in another unit. A date without a zone is UTC.

What it does not know: which number is the month where no date of the sample goes beyond the twelfth; then it must be
told.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from statistics import median

from penchant.serving.importers.parts import NOTHING

ISO = "ISO 8601"
PER_SECOND = {"seconds": 1.0, "milliseconds": 1e3, "microseconds": 1e6, "nanoseconds": 1e9}
DAY_FIRST, MONTH_FIRST = "day/month/year", "month/day/year"
UNITS = (*PER_SECOND, ISO, DAY_FIRST, MONTH_FIRST)
_DATE = re.compile(
    r"(\d{1,2})([/.-])(\d{1,2})\2(\d{4})(?:[ ,T]+(\d{1,2}):(\d{2})(?::(\d{2})(?:\.(\d{1,6})\d*)?)?(?: ?([AP])M)?)?"
)
_END = 253_402_300_800.0  # the year 10000; also what keeps milliseconds from passing as seconds
_BELOW = (("seconds", 1e11), ("milliseconds", 1e14), ("microseconds", 1e17), ("nanoseconds", 1e20))
_MOST = 0.9  # of the sample must be readable; the rest may be broken rows
Clock = Callable[[str], float]


def clock(unit: str) -> Clock:
    """Text -> Unix seconds in a unit of `UNITS`; the function raises ValueError for what it cannot read."""
    if unit == ISO:
        return _iso
    if unit not in PER_SECOND:
        return lambda text: _date(text, month_first=unit == MONTH_FIRST)
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
        return ISO if _readable(filled, ISO) else _order_of(filled)
    if all(len(value) == 8 for value in filled) and _readable(filled, ISO):
        return ISO  # 20170128 is a day; as seconds it would be August 1970
    middle = median(numbers)
    unit = next((unit for unit, below in _BELOW if middle < below), None)
    return unit if unit and _readable(filled, unit) else None


def _order_of(values: Sequence[str]) -> str | None:
    """Whether day or month stands first; None where they are no dates, or all could be either."""
    failed = {unit: _unreadable(values, unit) for unit in (DAY_FIRST, MONTH_FIRST)}
    best = min(failed, key=failed.__getitem__)
    told = len(set(failed.values())) == 2 and failed[best] <= (1 - _MOST) * len(values)
    return best if told else None


def _readable(values: Sequence[str], unit: str) -> bool:
    return _unreadable(values, unit) <= (1 - _MOST) * len(values)


def _unreadable(values: Sequence[str], unit: str) -> int:
    read, failed = clock(unit), 0
    for value in values:
        try:
            read(value)
        except ValueError:
            failed += 1
    return failed


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


def _date(text: str, month_first: bool) -> float:
    found = _DATE.fullmatch(text.strip().upper())
    if found is None:
        raise ValueError(text)
    first, _, second, year, hour, minute, second_of, fraction, half = found.groups()
    month, day = (first, second) if month_first else (second, first)
    hours = int(hour or 0)
    if half is not None:
        if not 1 <= hours <= 12:
            raise ValueError(text)
        hours = hours % 12 + (12 if half == "P" else 0)
    moment = datetime(int(year), int(month), int(day), hours, int(minute or 0), int(second_of or 0),
                      int((fraction or "").ljust(6, "0")), UTC)  # fmt: skip
    seconds = moment.timestamp()
    if seconds >= 0.0:
        return seconds
    raise ValueError(text)
