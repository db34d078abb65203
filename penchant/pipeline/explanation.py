"""What moved an item's score, and what it shares with that: from scores with and without each event, and from fields.

An effect is a score with an event minus the score without it, both computed by whoever asks: nothing is estimated here,
and effects of several events do not add up, since a score is no sum over events.

Does not know: how a score is made, what is behind a number of an item, or in which language it will be told.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from difflib import SequenceMatcher
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from penchant.models.fields import SENSITIVE
from penchant.types import TITLE

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Longs = NDArray[np.int64]

NOISE = 1e-5  # of a score: what moved it less is not said to have moved it; float32 leaves about 1e-6
_LONGEST, _MOST = 60, 5  # characters of a value that two items may share; values that are named of a field
_READ = 2000  # characters of a field that are looked through for the words of a search
_TITLES = ("title", "name")
_TOKEN = re.compile(r"[^\W\d_][\w'’-]+")
_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af]{2,}")
# Words that say nothing of what two titles have in common.
_COMMON = frozenset(
    {"and", "are", "but", "for", "from", "his", "her", "into", "its", "not", "one", "our", "out", "over", "that"}
    | {"the", "this", "was", "what", "when", "who", "with", "you", "your"}
)


class Rescored(NamedTuple):
    """The same candidates scored for a person as is (row 0), without one event each, and without all earlier history.

    ``scores`` [rows, candidates], and of those in the list: ``terms`` [rows, listed, features] in order of ``names``.
    """

    names: tuple[str, ...]
    scores: Floats
    terms: Floats


class Effects(NamedTuple):
    """[rows - 1, listed]: of each event, and in the last row of all earlier history; which feature passed it on."""

    score: Doubles
    through: Longs

    def told(self, row: int, listed: int) -> float:
        """As it is said: what is noise is 0, and digits beyond it are left out."""
        effect = float(self.score[row, listed])
        return round(effect, 6) if abs(effect) > NOISE else 0.0

    def strongest_first(self, listed: int) -> Longs:
        """The events that moved an item, by how much they did."""
        size = np.abs(self.score[:-1, listed])
        order: Longs = np.argsort(-size, kind="stable")
        return order[size[order] > NOISE]


def effects(found: Rescored, places: Longs) -> Effects:
    """``places``: of the list among the candidates."""
    listed = found.scores[:, places].astype(np.float64)
    score = listed[0] - listed[1:]
    along = (found.terms[0] - found.terms[1:]) * np.sign(score)[:, :, None]
    return Effects(score, along.argmax(2))


def rank(scores: Floats, shown: NDArray[np.bool_], items: Longs, place: int) -> int:
    """The place, 1 for the first, of a candidate by score alone among those that may be shown; ties as in a list."""
    better = scores > scores[place]
    better |= (scores == scores[place]) & (items < items[place])
    return 1 + int(np.count_nonzero(better & shown))


# -- what is said of items ---------------------------------------------------------------------------------------------


def title_field(fields: Mapping[str, Any], named: str = "") -> str | None:
    """The field that an item is called by: the one ``named`` in the settings, `title`, `name`, or the first text."""
    for name in (named, *_TITLES, *fields):
        if isinstance(value := fields.get(name), str) and value.strip() and not is_sensitive(name):
            return name
    return None


def title(fields: Mapping[str, Any], named: str = "") -> str | None:
    """What an item is called, with its `year` where it has one that the title does not say."""
    name = title_field(fields, named)
    if name is None:
        return None
    said, year = str(fields[name]).strip(), fields.get("year")
    tells = isinstance(year, int) and not isinstance(year, bool) and 1000 <= year < 3000 and str(year) not in said
    return f"{said} ({year})" if tells else said


def shared(one: Mapping[str, Any], other: Mapping[str, Any], named: str = "") -> dict[str, list[str]]:
    """By field, what two items have in common: values, and words of titles. Sensitive fields are not looked at."""
    mine, theirs = title_field(one, named), title_field(other, named)
    out = {}
    for name in (name for name in one if name in other and not is_sensitive(name) and name not in (mine, theirs)):
        there = set(_values(other[name]))
        out[name] = [value for value in _values(one[name]) if value in there]
    if mine is not None and theirs is not None:
        out[TITLE] = _common(str(one[mine]), str(other[theirs]))
    return {name: found[:_MOST] for name, found in out.items() if found}


def held(fields: Mapping[str, Any], words: str) -> dict[str, list[str]]:
    """By field, which words of those typed it holds."""
    out = {}
    for name, value in fields.items():
        texts = value if isinstance(value, list) else [value]
        text = " ".join(one for one in texts if isinstance(one, str))[:_READ]
        if text and not is_sensitive(name) and (found := _common(words, text)):
            out[name] = found[:_MOST]
    return out


def _values(value: Any) -> list[str]:
    """Short texts: categories, tags, names."""
    values = value if isinstance(value, list) else [value]
    return [one for one in values if isinstance(one, str) and 0 < len(one) <= _LONGEST and "://" not in one]


def _common(one: str, other: str) -> list[str]:
    """Words of one text that stand in another, once each; of texts without spaces, the runs of two signs or more."""
    theirs = {word.casefold() for word in _TOKEN.findall(other)}
    found = [word for word in _TOKEN.findall(one) if word.casefold() in theirs and not _is_common(word)]
    return list({word.casefold(): word for word in [*found, *_runs(one, other)]}.values())


def _is_common(word: str) -> bool:
    return len(word) < 3 or word.casefold() in _COMMON or _CJK.search(word) is not None


def _runs(one: str, other: str) -> Iterator[str]:
    for mine in _CJK.findall(one):
        for theirs in _CJK.findall(other):
            for block in SequenceMatcher(None, mine, theirs, autojunk=False).get_matching_blocks():
                if block.size > 1:
                    yield mine[block.a : block.a + block.size]


@lru_cache(maxsize=4096)
def is_sensitive(name: str) -> bool:
    return name.casefold().replace(" ", "_").replace("-", "_") in SENSITIVE
