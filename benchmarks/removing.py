"""What an event did to a score, measured: the person's real state is taken in again from the log without it.

That is another way than the one by which reasons are made (`penchant.explaining`), which folds rows of a small table:
here every event is taken in as it was lived, checkpoints move where they then move, and the person is scored as
everybody is. Counts and candidates are the same both times.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from penchant import listing, questions
from penchant.engine import Engine
from penchant.explaining import LAST
from penchant.pipeline.explanation import NOISE
from penchant.storage.log_reading import History
from penchant.types import Query, Slate

TOLERANCE = 1e-4  # of a score of about 1 to 10, in float32

Bools = NDArray[np.bool_]


class Compared(NamedTuple):
    """An effect that a reason states, and the one that was measured."""

    stated: float
    measured: float


def scores(engine: Engine, query: Query, items: Sequence[str], kept: Bools | None = None) -> NDArray[np.float64]:
    """Scores of items for a person whose events are those ``kept`` of its history alone; counts stay."""
    parts = engine.parts
    numbers = np.array([parts.log.items.get(name) for name in items], np.int64)
    with engine.lock:
        person = questions.person(parts, query.user)
        history = parts.history(person, parts.as_of)
        try:
            if kept is not None:
                parts.states.replace(person, History._make(array[kept] for array in history))
            vector = parts.vectors_of([person], [query])[0]
            ranked = listing.these(parts, query, person, vector, numbers)
            return ranked.scored.scores.astype(np.float64)
        finally:
            if kept is not None:
                parts.states.replace(person, history)


def compared(engine: Engine, query: Query, slate: Slate) -> Iterator[Compared]:
    """Every effect that the reasons of a list state, of single events and of earlier history."""
    parts, items = engine.parts, [one.item for one in slate.items]
    history = parts.history(questions.person(parts, query.user), parts.as_of)
    whole, places = scores(engine, query, items), {name: k for k, name in enumerate(items)}
    stated: dict[str, dict[str, float]] = {}
    for one in slate.items:
        for moved in one.reason.moved if one.reason is not None else ():
            stated.setdefault(moved.event, {})[one.item] = moved.effect
    newest = np.argsort(history.time, kind="stable")[::-1][:LAST]
    for place in newest.tolist():
        kept = np.arange(len(history.offset)) != place
        measured = whole - scores(engine, query, items, kept)
        offset = int(history.offset[place])
        ((logged,),) = parts.log.replay(offset - 1, offset)
        said = stated.pop(logged.event.id or "", {})
        for name, k in places.items():  # what is not named must not have moved it
            yield Compared(said.get(name, 0.0), float(measured[k]))
    assert not stated, "a reason names an event that is none of the last"
    measured = whole - scores(engine, query, items, np.isin(np.arange(len(history.offset)), newest))
    for one in slate.items:
        yield Compared(one.reason.earlier if one.reason is not None else 0.0, float(measured[places[one.item]]))


def right(found: Sequence[Compared]) -> int:
    """How many state the direction that was measured; what is said not to have moved a score may differ by noise."""
    return sum(
        np.sign(one.stated) == np.sign(one.measured) if abs(one.stated) > NOISE else abs(one.measured) < TOLERANCE
        for one in found
    )
