"""How the fields of items and profiles become numbers that a model reads. Fixed when a version is trained.

A field whose values are words or lists of words, few of them and met more than once, is a bag of tags. A field of
numbers is read as numbers, placed by the quantiles that the training catalogue had. Everything else (a title, a plot)
speaks through its text alone. A value that was not there in training is not read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Longs = NDArray[np.int64]

_MOST_VALUES = 2000  # of one field; the most frequent ones
_KNOTS = 8
_LARGEST = 1e30  # a number beyond it is read as this
_LEAST = 5  # items that must share a value, or hold a number, before it is read

# Read only when they are named in `sensitive`: what may not be used without a decision to use it.
SENSITIVE = frozenset(
    {"age", "birthday", "birth_date", "date_of_birth", "gender", "sex", "ethnicity", "race", "religion", "nationality"}
    | {"disability", "health", "diagnosis", "orientation", "sexual_orientation", "pregnancy", "income", "politics"}
    | {"zip", "zipcode", "zip_code", "postcode"}
)


class Fields(Struct, frozen=True):
    """``tags``: field -> value -> id, ids from 1 across all fields. ``numbers``: field -> knots, ascending.

    ``brought``: name of a brought vector -> its length.
    """

    tags: dict[str, dict[str, int]] = {}
    numbers: dict[str, list[float]] = {}
    brought: dict[str, int] = {}

    @property
    def tag_ids(self) -> int:
        """The largest id in use."""
        return sum(len(values) for values in self.tags.values())

    def tag_rows(self, fields: Sequence[Mapping[str, Any]]) -> Longs:
        """Ids [n, m] of the values that each of n has, 0 where there are no more; m is what the fullest needs."""
        found = [
            [
                ids[value]
                for name, ids in self.tags.items()
                for value in dict.fromkeys(values_of(one.get(name)))
                if value in ids
            ]
            for one in fields
        ]
        out = np.zeros((len(found), max(map(len, found), default=0) or 1), np.int64)
        for row, ids_of_one in zip(out, found, strict=True):
            row[: len(ids_of_one)] = ids_of_one
        return out

    def number_rows(self, fields: Sequence[Mapping[str, Any]]) -> Floats:
        """Numbers [n, fields], NaN where there is none."""
        rows = [[_number(one.get(name)) for name in self.numbers] for one in fields]
        return np.array(rows, np.float32).reshape(len(fields), len(self.numbers))

    def brought_rows(self, vectors: Sequence[Mapping[str, Sequence[float]]]) -> Floats:
        """Brought vectors side by side [n, sum of lengths], each at length 1; zero where there is none."""
        out = np.zeros((len(vectors), sum(self.brought.values())), np.float32)
        start = 0
        for name, length in self.brought.items():
            there = [place for place, one in enumerate(vectors) if len(one.get(name, ())) == length]
            if there:
                brought = np.array([vectors[place][name] for place in there], np.float32)
                lengths = np.linalg.norm(brought, axis=1, keepdims=True)
                out[there, start : start + length] = brought / np.maximum(lengths, 1e-12)
            start += length
        return out


def fit(
    fields: Sequence[Mapping[str, Any]],
    vectors: Sequence[Mapping[str, Sequence[float]]] = (),
    hidden: Iterable[str] = (),
) -> Fields:
    """What the fields of a catalogue, or of profiles, hold; ``hidden`` fields are not looked at."""
    hidden = frozenset(hidden)
    names = [name for name in dict.fromkeys(name for one in fields for name in one) if name not in hidden]
    tags: dict[str, dict[str, int]] = {}
    numbers: dict[str, list[float]] = {}
    for name in names:
        values = [one.get(name) for one in fields]
        knots = _knots([_number(value) for value in values])
        if knots:
            numbers[name] = knots
            continue
        chosen = _chosen(values)
        if chosen:
            start = 1 + sum(map(len, tags.values()))
            tags[name] = {value: start + place for place, value in enumerate(chosen)}
    lengths = Counter((name, len(vector)) for one in vectors for name, vector in one.items())
    brought: dict[str, int] = {}
    for (name, length), _ in lengths.most_common():
        brought.setdefault(name, length)
    return Fields(tags, numbers, dict(sorted(brought.items())))


def values_of(value: Any) -> list[str]:
    """A field's value as words: text, each of a list of text, true and false."""
    if isinstance(value, bool):
        return [str(value).lower()]
    if isinstance(value, str):
        return [value.strip()] if value.strip() else []
    return [one.strip() for one in value if isinstance(one, str)] if isinstance(value, list) else []


def as_words(profile: Mapping[str, Any]) -> dict[str, Any]:
    """A profile with its numbers as words: an age group or a number of children is one of a few, not an amount."""
    return {name: str(value) if isinstance(value, int | float) else value for name, value in profile.items()}


def _chosen(values: Sequence[Any]) -> list[str]:
    """The values that are shared by enough, if most of what the field says is shared."""
    met = Counter(word for value in values for word in dict.fromkeys(values_of(value)))
    shared = [word for word, count in met.most_common(_MOST_VALUES) if count >= _LEAST]
    said = sum(met.values())
    return sorted(shared) if said and sum(met[word] for word in shared) >= 0.5 * said else []


def _knots(numbers: Sequence[float]) -> list[float]:
    """Quantiles of a field that holds numbers; empty where too few do, or all are alike."""
    known = np.array([number for number in numbers if np.isfinite(number)])
    if len(known) < _LEAST:
        return []
    knots = np.unique(np.quantile(known, np.linspace(0.0, 1.0, _KNOTS)).astype(np.float32))  # as they will be read
    return [float(knot) for knot in knots] if len(knots) > 1 else []


def _number(value: Any) -> float:
    """A number that float32 can hold; NaN where there is none."""
    if not isinstance(value, int | float) or isinstance(value, bool) or value != value:
        return float("nan")
    return float(min(max(value, -_LARGEST), _LARGEST))
