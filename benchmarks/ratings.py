"""How far off ratings are on MovieLens-1M and -100K: five folds of ratings drawn at random, and a split by time.

    PENCHANT_DATA=<folder with ml-1m and ml-100k> make bench-ratings

What is compared with the rating given is `Candidate.rating` of `engine.rank`, as `penchant evaluate --protocol folds`
does it (`learning.folds`): the folder of a fold holds the other folds' ratings, learned in time order; the rating model
is fitted to what that log holds, published, and everybody's state is folded by the engine. A version needs a sequence
model beside it; none is trained here, since only ratings are asked for. Predictions are clipped to the least and the
most rating of the training part, as is usual. The folds are drawn over the file's order, one process a fold.

Random folds are how such figures are published, and they let a model know what a person did later. So the row also has
a split by time: fitted to what came before T = 978133376, every later rating is predicted in its turn and learned
right after, by an engine whose model stands still.

The recipes were chosen on a tenth of fold 0's training ratings, never on a test fold (docs/log.md). ``ONLY=ml-100k``
(or ml-1m, time) prints one part and writes nothing.
"""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.movielens import TEST, data_folder, on_each_core, read_events
from benchmarks.rows import write_row
from penchant.engine import Engine
from penchant.evaluation.folders import World, learn
from penchant.evaluation.protocols import in_time, k_fold
from penchant.learning.folds import fitted, predicted
from penchant.types import Event

FOLDS, SEED = 5, 0
TIME = "time"

Errors = NDArray[np.float64]


def main() -> None:
    only = os.environ.get("ONLY")
    parts = [(TIME, 0), *((name, fold) for name in ("ml-1m", "ml-100k") for fold in range(FOLDS))]
    parts = [part for part in parts if only in (None, part[0])]
    found: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)
    for (name, _), errors in on_each_core(one, parts):
        found[name].append(errors)
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
    with fitted(World(items), learned, Counted(f"{name} {fold}")) as engine:
        return predicted(engine, asked, TEST) - given(asked)


def after_the_split() -> Errors:
    items, events = read_events(data_folder("ml-1m"))
    before = [event for event in in_time(events) if (event.time or 0.0) < TEST]
    after = [event for event in in_time(events) if (event.time or 0.0) >= TEST]
    with fitted(World(items), before, Counted(TIME)) as engine:
        return one_by_one(engine, after)


def one_by_one(engine: Engine, asked: Sequence[Event]) -> Errors:
    """Predicted minus given [n], each learned right after it was asked for."""
    said = np.zeros(len(asked))
    for k, event in enumerate(asked):
        said[k] = predicted(engine, [event], TEST)[0]
        learn(engine, [event], (b"asked", k))
        if k % 20_000 == 0:
            print(f"  asking {k:,}/{len(asked):,}", flush=True)
    return said - given(asked)


def given(asked: Sequence[Event]) -> Errors:
    """The stars [n]."""
    return np.array([event.value for event in asked], np.float64)


class Counted:
    """Prints what is done, seldom enough to be read."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, what: str, done: int, of: int) -> None:
        if what != "texts" and (done == of or (done % 100_000 < 2000 and of > 100_000)):
            print(f"  {self.name}: {what} {done:,}/{of:,}", flush=True)


PROTOCOL = (
    "Candidate.rating of engine.rank; 5 folds of ratings drawn at random (seed 0), sd over folds; fitted to the other "
    "folds' ratings (model seed 0), clipped to their range; recipes chosen on a tenth of fold 0's training part; "
    "_time: fitted before T=978133376, every later rating predicted and then learned by the state, the model frozen; "
    "all items"
)

if __name__ == "__main__":
    main()
