"""Leave-one-out on MovieLens-1M, on the file of the LRURec paper: each user's last item is asked for.

    PENCHANT_DATA=<folder with ml-1m> make bench-loo

Trained on all but everybody's last two items; the last but one is known to the state when the last is asked for, as in
the published numbers. `hr10`, `ndcg10`: the learned score alone orders the lists, and counts only find candidates.
`_fused`: curves over the learned score and the counts do, fitted by each seed's model to everybody's last but one,
which neither it nor the counts have learned from; counts stay those of what was trained on. The number of epochs is to
be chosen on the last but one (`VALIDATE=1`: that is asked, and the fusion told of as it did on people that it was not
fitted to). The file has an order and no times, so neither gaps nor request time nor ratings are read. The full
catalogue is ranked by the real engine, seen items removed, ties between scores to the item first mentioned. Ties of the
file's order are by item number: compare with LRURec alone (.326/.193 there).
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.movielens import (
    Split,
    copied,
    data_folder,
    figures,
    fitted,
    fuse,
    on_each_core,
    prepared,
    read_events,
    trained,
)
from benchmarks.rows import write_row
from penchant.evaluation.asking import Asker
from penchant.evaluation.folders import learn, opened
from penchant.evaluation.trials import Trial, left_out, read_names, read_sequences
from penchant.learning.recipe import Recipe, derive

EPOCHS = 24
SEEDS = (0, 1, 2)
PROTOCOL = (
    "leave-one-out, trained on all but the last two, full catalogue, seen removed, no times, no ratings; learned score "
    "alone, and _fused: curves over it and counts of what was trained on, fitted to the last but one; ties to the item "
    "first mentioned"
)


def recipe(seed: int) -> Recipe:
    return derive("medium", text=False, fields=False, since=False, values=False, epochs=EPOCHS, seed=seed)


def main() -> None:
    validate = bool(os.environ.get("VALIDATE"))
    seeds = [int(seed) for seed in os.environ.get("SEEDS", "").split()] or list(SEEDS)
    data = data_folder("ml-1m")
    items, _ = read_events(data)
    events = read_sequences(data / "loo_ties_by_item.txt", read_names(data / "item_map.csv"), action="rate")
    trial = left_out(events)
    with tempfile.TemporaryDirectory() as scratch:
        base = prepared(Path(scratch) / "base", Split(items, list(trial.learned), []), encoder="none")
        found = [its for _, its in on_each_core(one, [(base, trial, seed, validate) for seed in seeds])]
    row = averaged(found)
    if validate:
        print(row)
    else:
        write_row("loo", data="MovieLens-1M, loo_ties_by_item.txt", seeds=len(seeds), figures=row, protocol=PROTOCOL)


def averaged(found: Sequence[Mapping[str, float]], spread: str = "ndcg10") -> dict[str, float]:
    """The mean of each figure over the runs that have it, and the spread (`_sd`) of those named ``spread...``."""
    names = dict.fromkeys(name for one in found for name in one)
    of = {name: [one[name] for one in found if name in one] for name in names}
    row = {name: float(np.mean(values)) for name, values in of.items()}
    several = [name for name in names if name.startswith(spread) and len(of[name]) > 1]
    return row | {f"{name}_sd": float(np.std(of[name])) for name in several}


def one(base: Path, trial: Trial, seed: int, validate: bool) -> dict[str, float]:
    """Train a seed, fit the fusion, and ask alone and fused, in a process of its own."""
    by, folder = recipe(seed), copied(base, f"run-{seed}")
    model, seconds = trained(folder, by, by.epochs)
    twin = copied(folder, f"fused-{seed}")
    fusion, row = fitted(twin, model, by, trial.known, living=False)
    if not validate:
        fuse(twin, model, by, fusion)
        row = dict(zip(("hr10_fused", "ndcg10_fused"), figures(last_items(twin, trial, validate)), strict=True))
    row |= dict(zip(("hr10", "ndcg10"), figures(last_items(folder, trial, validate)), strict=True))
    shutil.rmtree(folder)
    shutil.rmtree(twin)
    print(f"  seed {seed}, trained in {seconds:.0f} s: {row}", flush=True)
    return row


def last_items(folder: Path, trial: Trial, validate: bool) -> NDArray[np.int64]:
    """Places of everybody's last item, or of the last but one."""
    with opened(folder, {}) as engine:
        asker = Asker(engine)
        engine.parts.counts.frozen = True
        if validate:
            return np.array([asker.person(event)[0] for event in trial.known])
        learn(engine, trial.known, (b"known", len(trial.known)))
        return np.array([asker.person(event)[0] for event in trial.asked])


if __name__ == "__main__":
    main()
