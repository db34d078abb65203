"""Leave-one-out on MovieLens-1M, on the file of the LRURec paper: each user's last item is asked for.

    PENCHANT_DATA=<folder with ml-1m> make bench-loo

Trained on all but everybody's last two items; the last but one is known to the state when the last is asked for, as in
the published numbers. The number of epochs is to be chosen on the last but one (`VALIDATE=1`). The file has an order
and no times, so neither gaps nor request time nor ratings are read. The full catalogue is ranked by the real engine,
seen items removed, ties between scores to the item first mentioned. Ties of the file's order are by item number:
compare with LRURec alone (.326/.193 there).
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.movielens import Split, copied, data_folder, figures, on_each_core, prepared, read_events, trained
from benchmarks.rows import write_row
from penchant.evaluation.asking import Asker
from penchant.evaluation.folders import learn, opened
from penchant.evaluation.trials import Trial, left_out, read_names, read_sequences
from penchant.learning.recipe import Recipe, derive

EPOCHS = 24
SEEDS = (0, 1, 2)


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
    hr10, ndcg10 = np.mean(found, 0)
    row = {"hr10": float(hr10), "ndcg10": float(ndcg10), "ndcg10_sd": float(np.std(found, 0)[1])}
    if validate:
        print(row)
    else:
        write_row("loo", data="MovieLens-1M, loo_ties_by_item.txt", seeds=len(seeds), figures=row,
                  protocol="leave-one-out, trained on all but the last two, full catalogue, seen removed, no times, "
                           "no ratings; ties to the item first mentioned")  # fmt: skip


def one(base: Path, trial: Trial, seed: int, validate: bool) -> tuple[float, float]:
    """HR@10 and NDCG@10 of a seed."""
    folder = copied(base, f"run-{seed}")
    _, seconds = trained(folder, recipe(seed), EPOCHS)
    its = figures(last_items(folder, trial, validate))
    shutil.rmtree(folder)
    print(f"  seed {seed}, trained in {seconds:.0f} s: {its}", flush=True)
    return its


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
