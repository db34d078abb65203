"""How far off ratings are on MovieLens-1M and -100K: five folds of ratings drawn at random, and a split by time.

    PENCHANT_DATA=<folder with ml-1m and ml-100k> make bench-ratings

What is compared with the rating given is `Candidate.rating` of `engine.rank`: the folder of a fold holds the other
folds' ratings, learned in time order; the rating model is fitted to what that log holds, published, and everybody's
state is folded by the engine. A version needs a sequence model beside it; none is trained here, since only ratings are
asked for. Predictions are clipped to the least and the most rating of the training part, as is usual.

Random folds are how such figures are published, and they let a model know what a person did later. So the row also has
a split by time: fitted to what came before T = 978133376, every later rating is predicted in its turn and learned
right after, by an engine whose model stands still.

The recipes were chosen on a tenth of fold 0's training ratings, never on a test fold (docs/log.md). ``ONLY=ml-100k``
(or ml-1m, time) prints one part and writes nothing.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.movielens import TEST, Split, data_folder, prepared, read_events
from benchmarks.rows import write_row
from penchant.engine import Engine
from penchant.evaluation.folders import learn, opened
from penchant.evaluation.protocols import in_time, k_fold
from penchant.learning import ratings as ratings_of
from penchant.learning.publish import publish
from penchant.learning.recipe import derive
from penchant.learning.source import Source
from penchant.models import versions
from penchant.types import Event, Query

FOLDS, SEED = 5, 0
TIME = "time"
_TOGETHER = 1000  # items ranked in one call

Errors = NDArray[np.float64]


def main() -> None:
    only = os.environ.get("ONLY")
    parts = [(TIME, 0), *((name, fold) for name in ("ml-1m", "ml-100k") for fold in range(FOLDS))]
    parts = [part for part in parts if only in (None, part[0])]
    os.environ["PENCHANT_TRAINING_THREADS"] = "1"  # one run a core is quicker than one run on all of them
    workers = int(os.environ.get("WORKERS", 0)) or os.cpu_count() or 1
    found: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        runs = {pool.submit(one, *part): part[0] for part in parts}
        for run in as_completed(runs):
            found[runs[run]].append(run.result())
    row = figures(found)
    if only:
        print(row)
    else:
        write_row("ratings", data="MovieLens-1M, MovieLens-100K", seeds=1, figures=row, protocol=PROTOCOL)


def figures(found: dict[str, list[tuple[float, float]]]) -> dict[str, float]:
    """Means over folds, and their standard deviations."""
    row = {}
    for name, pairs in found.items():
        key = {TIME: "ml1m_time"}.get(name, name.replace("-", ""))
        row |= dict(zip((f"rmse_{key}", f"mae_{key}"), np.mean(pairs, 0).tolist(), strict=True))
        if len(pairs) > 1:
            row |= dict(zip((f"rmse_{key}_sd", f"mae_{key}_sd"), np.std(pairs, 0).tolist(), strict=True))
    return row


def one(name: str, fold: int) -> tuple[float, float]:
    """RMSE and MAE of a fold, or of the split by time, in a process of its own."""
    begun = time.monotonic()
    errors = after_the_split() if name == TIME else of_fold(name, fold)
    rmse, mae = float(np.sqrt(np.mean(errors**2))), float(np.abs(errors).mean())
    print(f"  {name} {fold}: rmse {rmse:.4f} mae {mae:.4f} of {len(errors):,}, {time.monotonic() - begun:.0f} s",
          flush=True)  # fmt: skip
    return rmse, mae


def of_fold(name: str, fold: int) -> Errors:
    items, events = read_events(data_folder(name))
    folds = k_fold(events, FOLDS, SEED)
    asked = [event for event, its in zip(events, folds, strict=True) if its == fold]
    learned = in_time(event for event, its in zip(events, folds, strict=True) if its != fold)
    with at_split(Split(items, learned, asked), f"{name} {fold}") as engine:
        return at_once(engine, asked)


def after_the_split() -> Errors:
    items, events = read_events(data_folder("ml-1m"))
    events = in_time(events)
    split = Split(items, [e for e in events if (e.time or 0.0) < TEST], [e for e in events if (e.time or 0.0) >= TEST])
    with at_split(split, TIME) as engine:
        return one_by_one(engine, split.after)


@contextmanager
def at_split(split: Split, name: str) -> Iterator[Engine]:
    """An engine as it stands at the split, its rating model fitted to what it holds."""
    with tempfile.TemporaryDirectory(prefix="penchant-ratings-") as scratch:
        folder = prepared(Path(scratch) / "folder", split, encoder="none")
        fitted(folder, name)
        with opened(folder, {}) as engine:
            yield engine


def fitted(folder: Path, name: str) -> None:
    """Fit the ratings of the folder's log, publish them beside an untrained sequence model, and use that version."""
    recipe = derive("small", text=False, fields=False)
    with Source(folder) as source:
        known = ratings_of.of_histories(source.histories, source.rating_actions)
        begun = time.monotonic()
        rating = ratings_of.fit(known, source.items, source.rating_actions)
        print(f"  {name}: fitted to {len(known.values):,} ratings in {time.monotonic() - begun:.0f} s", flush=True)
        model = source.model(recipe)
        path = publish(folder / "versions", source, model, recipe, epochs=0, metrics={}, rating=rating)
    versions.use_version(folder / "versions", path.name)


def at_once(engine: Engine, asked: Sequence[Event]) -> Errors:
    """Predicted minus given [n], each person asked of all their ratings in one call."""
    given: defaultdict[str, dict[str, float]] = defaultdict(dict)
    for event in asked:
        given[event.user or ""][event.item or ""] = event.value or 0.0
    errors: list[float] = []
    for user, stars in given.items():
        for first in range(0, len(stars), _TOGETHER):
            errors += apart(engine, user, dict(list(stars.items())[first : first + _TOGETHER]))
    if len(errors) != len(asked):
        raise AssertionError(f"{len(asked)} ratings were asked for, {len(errors)} predicted")
    return np.array(errors)


def one_by_one(engine: Engine, asked: Sequence[Event]) -> Errors:
    """Predicted minus given [n], each learned right after it was asked for."""
    errors: list[float] = []
    for k, event in enumerate(asked):
        errors += apart(engine, event.user or "", {event.item or "": event.value or 0.0})
        learn(engine, [event], (b"asked", k))
        if k % 20_000 == 0:
            print(f"  asking {k:,}/{len(asked):,}", flush=True)
    return np.array(errors)


def apart(engine: Engine, user: str, given: dict[str, float]) -> list[float]:
    slate = engine.rank(list(given), Query(user=user, time=TEST))
    return [one.rating - given[one.item] for one in slate.items if one.rating is not None]


PROTOCOL = (
    "Candidate.rating of engine.rank; 5 folds of ratings drawn at random (seed 0), sd over folds; fitted to the other "
    "folds' ratings (model seed 0), clipped to their range; recipes chosen on a tenth of fold 0's training part; "
    "_time: fitted before T=978133376, every later rating predicted and then learned by the state, the model frozen; "
    "all items"
)

if __name__ == "__main__":
    main()
