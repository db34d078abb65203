"""k-fold cross-validation of ratings: each is predicted once, by an engine that was told all others but its fold's.

For every fold a scratch folder is prepared with what the other folds hold and all that is no rating; the rating model
is fitted to that log, published there, everybody's state is folded by the engine, and `Candidate.rating` of
`Engine.rank` is held against what was given. Nothing else of a version is needed for that: its sequence model is not
trained, and items are not read by a language model.

This is how such figures are published, and it lets a model know what a person did later. `evaluation.evaluate` has the
other question: what was known at the time.
"""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import torch
from msgspec import Struct
from numpy.typing import NDArray

from penchant.config import Settings, load_settings, write_settings
from penchant.engine import Engine
from penchant.errors import InvalidInput
from penchant.evaluation.figures import rating_errors
from penchant.evaluation.folders import Progress, World, opened, prepare, silent
from penchant.evaluation.judging import Judged
from penchant.evaluation.protocols import k_fold
from penchant.evaluation.scope import sent
from penchant.learning import ratings as ratings_of
from penchant.learning.pretrain import threads
from penchant.learning.publish import publish
from penchant.learning.recipe import derive
from penchant.learning.source import Source
from penchant.models import versions
from penchant.types import Event, Query

Doubles = NDArray[np.float64]
Longs = NDArray[np.int64]

_TOGETHER = 1000  # items ranked in one call


class Report(Struct):
    """What a cross-validation found: ``folds`` in their order, ``overall`` every rating once; ``learned``: events that
    were learned in every fold, since they are no ratings or on no item of the catalogue."""

    protocol: str
    seed: int
    learned: int
    words: list[str]
    overall: Judged
    folds: list[Judged]


class _Dealt(NamedTuple):
    """Ratings by their ``rows`` [n] among all events, and the ``fold`` [n] of each."""

    rows: Longs
    fold: Longs


def cross_validate(
    world: World, events: Sequence[Event], folds: int = 5, seed: int = 0, progress: Progress = silent
) -> Report:
    """Predict every rating among events that stand in the order of time; ``seed`` deals them into folds.

    Raises InvalidInput for a number of folds that makes no sense, or where too few ratings are left to learn from.
    """
    settings = _settings(world)
    dealt = _deal(world, events, settings, folds, seed)
    given = np.array([events[row].value for row in dealt.rows], np.float64)
    people = np.unique([events[row].user or "" for row in dealt.rows], return_inverse=True)[1].astype(np.int64)
    parts, said = [dealt.fold == fold for fold in range(folds)], np.full(len(given), np.nan)
    for number, mine in enumerate(parts, 1):
        said[mine] = _of_fold(world, events, dealt.rows[mine], _named(f"fold {number}", progress))
    return Report(
        protocol="folds",
        seed=seed,
        learned=len(events) - len(given),
        words=_words(events, dealt, settings, seed, folds),
        overall=_judged(said, given, people),
        folds=[_judged(said[mine], given[mine], people[mine]) for mine in parts],
    )


@contextmanager
def fitted(world: World, learned: Sequence[Event], progress: Progress = silent) -> Iterator[Engine]:
    """An engine that learned these events, in the order of time, under a rating model that was fitted to them.

    Of the world's source only the settings count: versions that it has may have read what is asked for.
    """
    settings = msgspec.structs.replace(_settings(world), encoder="none")

    def fit(folder: Path) -> None:
        write_settings(folder, settings)  # whoever opens the folder next has no flags
        _fit(folder, progress)

    bare = World(world.items, msgspec.structs.asdict(settings), train=fit)
    with tempfile.TemporaryDirectory(prefix="penchant-folds-") as scratch:
        folder = Path(scratch) / "fold"
        prepare(folder, bare, learned, progress)
        with opened(folder, {}) as engine:
            yield engine


def predicted(engine: Engine, asked: Sequence[Event], moment: float) -> Doubles:
    """The stars [n] that the engine says for the events' people and items, many of a person's in one call.

    Raises NotFound for an item that was never sent, InvalidInput for one that is not available.
    """
    rows: defaultdict[str | None, defaultdict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for row, event in enumerate(asked):
        rows[event.user][event.item or ""].append(row)
    out = np.full(len(asked), np.nan)
    for user, of_items in rows.items():
        items = list(of_items)
        for first in range(0, len(items), _TOGETHER):
            for one in engine.rank(items[first : first + _TOGETHER], Query(user=user, time=moment)).items:
                out[of_items[one.item]] = np.nan if one.rating is None else one.rating
    if np.isnan(out).any():
        item = asked[int(np.isnan(out).argmax())].item
        raise InvalidInput("has no rating predicted.", field="item", value=item, way_out="Ask for available items.")
    return out


def _of_fold(world: World, events: Sequence[Event], rows: Longs, progress: Progress) -> Doubles:
    """The stars [n] that are said for the events at these rows [n] where all others were learned."""
    asked = set(rows.tolist())
    learned = [event for row, event in enumerate(events) if row not in asked]
    with fitted(world, learned, progress) as engine:
        return predicted(engine, [events[row] for row in rows], events[-1].time or 0.0)


def _fit(folder: Path, progress: Progress) -> None:
    """Fit the ratings of the folder's log, publish them beside an untrained sequence model, and use that version."""
    torch.set_num_threads(threads())
    recipe = derive("small", text=False, fields=False)
    with Source(folder) as source:
        known = ratings_of.of_histories(source.histories, source.rating_actions)
        rating = ratings_of.fit(known, source.items, source.rating_actions, told=progress)
        model = source.model(recipe)
        path = publish(folder / "versions", source, model, recipe, epochs=0, metrics={}, rating=rating)
    versions.use_version(folder / "versions", path.name)


def _deal(world: World, events: Sequence[Event], settings: Settings, folds: int, seed: int) -> _Dealt:
    listed = sent(world)
    rows = np.array([row for row, event in enumerate(events) if _is_rating(event, settings) and event.item in listed],
                    np.int64)  # fmt: skip
    rated = [events[row] for row in rows]
    _check(rated, settings)
    fold = k_fold(rated, folds, seed)
    for left_out in range(folds):
        _check([event for event, its in zip(rated, fold, strict=True) if its != left_out], settings)
    return _Dealt(rows, fold)


def _check(learned: Sequence[Event], settings: Settings) -> None:
    if not ratings_of.can_be_fitted(np.array([event.value for event in learned], np.float32)):
        raise InvalidInput(
            f"there must be {ratings_of.LEAST:,} to learn from, and not all alike.",
            field="ratings",
            value=len(learned),
            way_out=f"Import more events with a value, of the actions in the setting `ratings` "
                    f"({', '.join(settings.ratings) or 'none'}).",
        )  # fmt: skip


def _is_rating(event: Event, settings: Settings) -> bool:
    return event.action in settings.ratings and event.value is not None and event.item is not None


def _settings(world: World) -> Settings:
    with tempfile.TemporaryDirectory(prefix="penchant-folds-") as empty:
        return load_settings(world.source or Path(empty), **world.settings)


def _judged(said: Doubles, given: Doubles, people: Longs) -> Judged:
    return Judged(len(given), len(np.unique(people)), rating_errors(said, given, people))


def _named(name: str, progress: Progress) -> Progress:
    return lambda what, done, of: progress(f"{name}: {what}", done, of)


def _words(events: Sequence[Event], dealt: _Dealt, settings: Settings, seed: int, folds: int) -> list[str]:
    rated = [events[row] for row in dealt.rows]
    again = len(rated) - len({(event.user, event.item) for event in rated})
    unlisted = sum(_is_rating(event, settings) for event in events) - len(rated)
    said = [f"{folds}-fold cross-validation: {len(rated):,} ratings (values of {', '.join(settings.ratings)}) are "
            f"dealt into {folds} folds at random (seed {seed}), sizes at most one apart. Each fold is predicted by an "
            "engine whose rating model (seed 0) was fitted to the ratings of the other folds, and whose states learned "
            f"those and the {len(events) - len(rated):,} other events, in the order of time.",
            "What a person did later is known: compare only with cross-validation elsewhere. --protocol time asks what "
            "was known at the time.",
            "Predictions are clipped to the least and the most rating that was learned from; errors are in the unit of "
            "the ratings."]  # fmt: skip
    if again:
        said.append(f"{again:,} are not the first of that person for that item: the other may have been learned.")
    if unlisted:
        said.append(f"{unlisted:,} ratings on items that are not in the catalogue, or not available, are learned only.")
    return [*said, "all: every rating, predicted once. Intervals are 95%, by bootstrap over people."]
