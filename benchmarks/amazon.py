"""Leave-one-out on Amazon 2014 (5-core), on the files of the S3-Rec, P5 and TIGER papers: `beauty` and `sports` run it.

Two ways, because papers differ: trained on all but everybody's last two items, the last but one known to the state when
the last is asked for (`r10, ndcg10`); or trained on all but the last (`r10_refit, ndcg10_refit`). The files have an
order and no times. The full catalogue is ranked by the real engine, seen items removed, ties between scores to the item
first mentioned; items are ids alone. Recall at 10 of one item is the hit rate.

``VALIDATE=1`` asks for the last but one, without the refit, and ``EPOCHS=20`` trains so long: the number of epochs is
to be chosen so. ``SAMPLE=0.1`` takes a seeded share of the people. All of these print and write no row.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.loo import last_items
from benchmarks.movielens import Split, copied, data_folder, figures, on_each_core, prepared, some_people, trained
from benchmarks.rows import write_row
from penchant.evaluation.trials import TIMELESS, Trial, left_out, read_names, read_sequences
from penchant.learning.recipe import Recipe, derive
from penchant.types import Event

EPOCHS = 20
SEEDS = (0, 1, 2)
PROTOCOL = (
    "leave-one-out, trained on all but the last two (_refit: but the last), full catalogue, seen removed, no times, "
    "items are ids; ties to the item first mentioned"
)


def measure(name: str, data: str) -> None:
    """Run ``data``, a folder of PENCHANT_DATA, and write the row ``name``."""
    epochs, share = int(os.environ.get("EPOCHS", EPOCHS)), float(os.environ.get("SAMPLE", 1))
    seeds = [int(seed) for seed in os.environ.get("SEEDS", "").split()] or list(SEEDS)
    validate = bool(os.environ.get("VALIDATE"))
    items, trial = questions(data_folder(data), share)
    ways = {"": trial} if validate else {"": trial, "_refit": refit(trial)}
    found: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        bases = {way: prepared(Path(scratch) / f"base{way}", Split(items, list(its.learned), []), encoder="none")
                 for way, its in ways.items()}  # fmt: skip
        runs = [(bases[way], ways[way], way, seed, epochs, validate) for way in ways for seed in seeds]
        for _, its in on_each_core(one, runs):
            for key, figure in its.items():
                found.setdefault(key, []).append(figure)
    row = {key: float(np.mean(of)) for key, of in found.items()}
    row |= {f"{key}_sd": float(np.std(found[key])) for key in found if key.startswith("ndcg10")}
    if validate or share < 1 or epochs != EPOCHS:
        print(row)
    else:
        write_row(name, data=f"{data}: sequences.txt", seeds=len(seeds), figures=row, protocol=PROTOCOL)


def questions(folder: Path, share: float) -> tuple[list[Event], Trial]:
    """The catalogue, and leave-one-out over a seeded share of the people."""
    names = read_names(folder / "items.csv")
    events = read_sequences(folder / "sequences.txt", names, action="buy")
    people = some_people(events, share)
    catalogue = [Event(kind="item", item=item, time=TIMELESS) for item in names.values()]
    return catalogue, left_out(event for event in events if event.user in people)


def refit(trial: Trial) -> Trial:
    """The same questions; what the state alone was to know is learned too."""
    return trial._replace(learned=[*trial.learned, *trial.known], known=())


def recipe(seed: int, epochs: int, learned: Sequence[Event]) -> Recipe:
    return derive("medium", events=len(learned), text=False, fields=False, since=False, values=False, epochs=epochs,
                  seed=seed)  # fmt: skip


def one(base: Path, trial: Trial, way: str, seed: int, epochs: int, validate: bool) -> dict[str, float]:
    """Train and ask once, in a process of its own."""
    folder = copied(base, f"run{way}-{seed}")
    _, seconds = trained(folder, recipe(seed, epochs, trial.learned), epochs)
    r10, ndcg10 = figures(last_items(folder, trial, validate))
    shutil.rmtree(folder)
    row = {f"r10{way}": r10, f"ndcg10{way}": ndcg10}
    print(f"  seed {seed}, trained in {seconds:.0f} s: {row}", flush=True)
    return row
