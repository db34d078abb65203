"""Numbers and dates of a sentence against those of the facts.

Notable: a number counts together with what it counts. "24 sheets" is not supported by 24 pencils; five stars only by
what the person gave, and where the sentence names the thing, by what that thing was given. "About" allows 5%.

Does not know: arithmetic ("twice as many"), exchange rates, units of one measure in another.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from penchant.pipeline.grounding.facts import DATED, Facts, Number, longest, number_at, unit_of
from penchant.pipeline.grounding.reading import Token, stem
from penchant.pipeline.grounding.vocabulary import MONEY, MONTHS, UNITS, vocabulary

_ABOUT = frozenset(["about", "around", "roughly", "nearly", "almost", "approximately", "some", "约", "近"])
_MEASURES = frozenset(UNITS.values())
_PRICE_FIELDS = re.compile(r"price|cost|amount|msrp|value|价")
_TWO = frozenset(("盎司", "英寸", "英尺", "毫米", "毫升", "厘米", "小时", "分钟", "美元", "公斤"))
_SCALES = (5.0, 10.0, 100.0)


class Counted(NamedTuple):
    """``kind``: number or date; places of tokens [start, stop)."""

    start: int
    stop: int
    kind: str
    held: bool


def counted(read: Sequence[Token], facts: Facts, named: Collection[int]) -> Iterator[Counted]:
    """Every number and date of a sentence outside names."""
    at = 0
    while at < len(read):
        found = None if at in named else _decade(read, at, facts) or _month(read, at, facts) or _number(read, at, facts)
        if found:
            yield found
        at = found.stop if found else at + 1


def _decade(read: Sequence[Token], at: int, facts: Facts) -> Counted | None:
    token = read[at]
    if token.kind != "number" or not re.fullmatch(r"(1[5-9]|20)?\d0", token.text):
        return None
    after = [one.text for one in read[at + 1 : at + 3]]
    stop = at + 2 if after[:1] == ["s"] else at + 3 if after in (["年", "代"], ["'", "s"]) else 0
    if not stop:
        return None
    first = int(token.text)
    held = any(year // 10 * 10 % (100 if first < 100 else 10_000) == first for year in facts.years)
    return Counted(at, stop, "date", held)


def _month(read: Sequence[Token], at: int, facts: Facts) -> Counted | None:
    token = read[at]
    beside = any(one.kind == "number" for one in (*read[max(0, at - 1) : at], *read[at + 1 : at + 2]))
    if token.text not in MONTHS or (token.text in ("may", "march") and not (beside or token.capital)):
        return None
    return Counted(at, at + 1, "date", token.text in facts.months)


def _number(read: Sequence[Token], at: int, facts: Facts) -> Counted | None:
    found = number_at(read, at)
    if found is None:
        return None
    value, stop = found
    if _light(read, at, stop):
        return None
    unit = unit_of(read, at, stop)
    if _is_year(read, at, value, unit):
        return Counted(at, stop, "date", int(value) in facts.years)
    if at > 1 and read[at - 1].text == "of" and read[at - 2].text == "out":
        return Counted(at, stop, "number", value in _SCALES)
    tolerance = 0.05 if at and read[at - 1].text in _ABOUT else 0.0
    if _scored(read, stop, unit):
        return Counted(at, _after_unit(read, stop, unit), "number", _given(read, value, facts))
    held = any(_same(value, unit, one, tolerance) for one in facts.numbers)
    return Counted(at, _after_unit(read, stop, unit), "number", held)


def _after_unit(read: Sequence[Token], stop: int, unit: str) -> int:
    """The place after the unit too, where it is a measure; 盎司 and the like are two characters."""
    at = stop + (read[stop : stop + 1] != [] and read[stop].text == "-")
    if unit not in _MEASURES or at >= len(read) or UNITS.get(stem(read[at].text)) != unit:
        return stop
    two = read[at].kind == "cjk" and "".join(one.text for one in read[at : at + 2]) in _TWO
    return at + 2 if two else at + 1


def _light(read: Sequence[Token], at: int, stop: int) -> bool:
    """ "One" that counts nothing ("one of", "this one"), "both of the two", and 一 of 一部."""
    if read[at].text in ("一", "两") and stop == at + 1:
        return stop >= len(read) or (read[stop].text != "星" and not _measure(read, stop))
    if read[at].text in ("十", "零") and stop == at + 1:
        return True
    if (
        read[at].text in ("two", "three") and stop < len(read) and read[stop].text != "out"
    ):  # "two reasons", "all three of them"
        word = stem(read[stop].text)
        return word not in UNITS and (word in vocabulary("en").connecting or word in vocabulary("en").function)
    return read[at].text == "one" and stop == at + 1 and not _measure(read, stop)


def _measure(read: Sequence[Token], stop: int) -> bool:
    return stop < len(read) and stem(read[stop].text) in UNITS and read[stop].text not in ("个", "分", "小", "块", "in")


def _is_year(read: Sequence[Token], at: int, value: float, unit: str) -> bool:
    if read[at].kind != "number" or not re.fullmatch(r"(1[5-9]|20)\d\d", read[at].text):
        return False
    return unit not in _MEASURES


def _scored(read: Sequence[Token], stop: int, unit: str) -> bool:
    out = [one.text for one in read[stop : stop + 2]] == ["out", "of"]
    return (
        unit == "star"
        or out
        or (
            unit == "minute" and read[stop].text == "分" and "钟" not in [one.text for one in read[stop + 1 : stop + 2]]
        )
    )


def _given(read: Sequence[Token], value: float, facts: Facts) -> bool:
    named = [said for at in range(len(read)) for said in facts.values if longest(read, at, {said[0]: (said,)})]
    among = [facts.values[said] for said in named] or [one.value for one in facts.numbers if one.unit == "star"]
    return value in among


def _same(value: float, unit: str, fact: Number, tolerance: float) -> bool:
    if abs(value - fact.value) > tolerance * abs(fact.value) + 1e-9 or fact.unit == "star":
        return False
    if not fact.unit:
        priced = bool(_PRICE_FIELDS.search(fact.field))
        return priced if unit in MONEY else not (DATED.search(fact.field) or (priced and unit in _MEASURES))
    if unit in _MEASURES or fact.unit in _MEASURES:
        return unit == fact.unit
    return unit == fact.unit or not unit or unit in vocabulary("en").function
