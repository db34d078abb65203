"""How good trained lists are on MovieLens-1M: global time split, successive, through the real engine.

    PENCHANT_DATA=<folder with ml-1m> make bench-quality          (an hour and a half on two cores)

T = 978133376. The recipe was chosen on 975768446 <= t < T (`VALIDATE=1`); the number of epochs is bounded by the
machine's time, and validation was still rising there (docs/log.md). Then the model is trained on everything before T
and the lists after T are asked for once. Every later event is predicted from all of that user's earlier ones, test
events included once revealed; weights and fusion stand still. First-ever events count.
The full catalogue is ranked, items already rated are removed, items with fewer than 5 ratings are dropped from the
events, ties between scores go to the item that was first mentioned, same-second events keep the order of the file.
The learned score alone orders the lists; counts only find candidates. Three inputs: neither request time nor ratings
(what published models have); with the time from the last event to the moment of asking; with that and the ratings.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.movielens import (
    TEST,
    VALIDATION,
    asked,
    copied,
    figures,
    offline,
    on_each_core,
    prepared,
    time_split,
    trained,
)
from benchmarks.rows import write_row
from penchant.evaluation import metrics
from penchant.learning.recipe import Recipe, derive
from penchant.types import Event

EPOCHS = 10
SEEDS = (0, 1, 2)
INPUTS = {"": (False, False), "_reqtime": (True, False), "_reqtime_ratings": (True, True)}


def recipe(since: bool, values: bool, seed: int) -> Recipe:
    """Every item is warm here, and text did not help on validation, so items are ids alone."""
    return derive("medium", text=False, fields=False, since=since, values=values, epochs=EPOCHS, seed=seed)


def main() -> None:
    validate = bool(os.environ.get("VALIDATE"))
    moment, until = (VALIDATION, TEST) if validate else (TEST, float("inf"))
    seeds = [int(seed) for seed in os.environ.get("SEEDS", "").split()] or list(SEEDS)
    split = time_split(moment, until)
    found: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        base = prepared(Path(scratch) / "base", split, encoder="none")
        runs = [(base, split.after, moment, name, seed) for name in INPUTS for seed in seeds]
        for _, its in on_each_core(one, runs):
            for key, figure in its.items():
                found.setdefault(key, []).append(figure)
    row = {key: float(np.mean(of)) for key, of in found.items()}
    row |= {f"ndcg10{name}_sd": float(np.std(found[f"ndcg10{name}"])) for name in INPUTS}
    row["seeds"] = len(seeds)
    if validate:
        print(row)
    else:
        write_row("quality", data="MovieLens-1M", seeds=len(seeds), figures=row, protocol=PROTOCOL)


def one(base: Path, after: Sequence[Event], moment: float, name: str, seed: int) -> dict[str, float]:
    """Train and ask once, in a process of its own."""
    by, folder = recipe(*INPUTS[name], seed), copied(base, f"run{name}-{seed}")
    model, seconds = trained(folder, by, by.epochs)
    places = asked(folder, after)
    hr10, ndcg10 = figures(places)
    row = {f"hr10{name}": hr10, f"ndcg10{name}": ndcg10}
    if not name:
        people = np.unique([event.user for event in after], return_inverse=True)[1]
        row["ndcg10_low"], row["ndcg10_high"] = metrics.interval(metrics.gains(places, 10), people)
        alone = offline(folder, model, by, moment)
        row |= {"hr10_offline": alone.hit_rate(), "ndcg10_offline": alone.ndcg()}
    print(f"  seed {seed}, trained in {seconds:.0f} s: {row}", flush=True)
    shutil.rmtree(folder)
    return row


PROTOCOL = (
    "global time split at T=978133376, successive, full catalogue, seen removed, items with fewer than 5 ratings "
    "dropped, ties to the item first mentioned; recipe chosen on 975768446 <= t < T, 10 epochs; learned score alone"
)

if __name__ == "__main__":
    main()
