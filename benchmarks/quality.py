"""How good trained lists are on MovieLens-1M: global time split, successive, through the real engine.

    PENCHANT_DATA=<folder with ml-1m> make bench-quality          (two hours on two cores)

T = 978133376. Recipe and epochs were chosen on 975768446 <= t < T (`VALIDATE=1`: each input there, seed 0). The fusion
is fitted there too, once an input, by a model that learned from what came before it alone: what the engine knew of its
candidates before every tenth event was told. Then each seed is trained on everything before T, and the lists after T
are asked for once. Every later event is predicted from all of that user's earlier ones, test events included once
revealed; weights and fusion stand still, states and counts go on. First-ever events count.
The full catalogue is ranked, items already rated are removed, items with fewer than 5 ratings are dropped from the
events, ties between scores go to the item that was first mentioned, same-second events keep the order of the file.
Three inputs: neither request time nor ratings (what published models have); with the time from the last event to the
moment of asking (`_reqtime`); with that and the ratings (`_reqtime_ratings`; `_both` where fused). `hr10`, `ndcg10`:
the learned score alone orders the lists, and counts only find candidates; `_fused`: both do; `_frozen_counts`: fused,
counts standing still at T.

``OUT=FOLDER`` keeps what ended, and a later run of the same clean commit goes on from there.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.movielens import (
    TEST,
    VALIDATION,
    asked,
    copied,
    figures,
    fitted,
    fuse,
    offline,
    on_each_core,
    prepared,
    time_split,
    trained,
)
from benchmarks.rows import remembered, write_row
from penchant.evaluation import metrics
from penchant.learning.recipe import Recipe, derive
from penchant.models.fusion import Fusion
from penchant.types import Event

EPOCHS = 16
SEEDS = (0, 1, 2)
INPUTS = {"": (False, False), "_reqtime": (True, False), "_reqtime_ratings": (True, True)}
FUSED = {"": "_fused", "_reqtime_ratings": "_fused_both"}


def recipe(since: bool, values: bool, seed: int) -> Recipe:
    """Every item is warm here, and text did not help on validation, so items are ids alone."""
    return derive("medium", text=False, fields=False, since=since, values=values, tokens=4096, epochs=EPOCHS,
                  seed=seed)  # fmt: skip


def main() -> None:
    seeds = [int(seed) for seed in os.environ.get("SEEDS", "").split()] or list(SEEDS)
    found: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        split = time_split(VALIDATION, TEST)
        base = prepared(Path(scratch) / "base-validation", split, encoder="none")
        fitting = on_each_core(validated, [(base, split.after, name) for name in FUSED])
        fusions = {name: fusion for (_, _, name), fusion in fitting}
        if os.environ.get("VALIDATE"):
            return
        split = time_split(TEST)
        base = prepared(Path(scratch) / "base", split, encoder="none")
        runs = [(base, split.after, name, seed, fusions.get(name)) for name in INPUTS for seed in seeds]
        for _, its in on_each_core(one, runs):
            for key, figure in its.items():
                found.setdefault(key, []).append(figure)
    row = {key: float(np.mean(of)) for key, of in found.items()}
    row |= {f"{key}_sd": float(np.std(of)) for key, of in found.items() if key in SPREAD}
    row["seeds"] = len(seeds)
    write_row("quality", data="MovieLens-1M", seeds=len(seeds), figures=row, protocol=PROTOCOL)


def validated(base: Path, after: Sequence[Event], name: str) -> Fusion:
    """Train on what came before validation and fit the fusion to it, in a process of its own."""
    return remembered(f"quality-validation{name}", Fusion, lambda: fit(base, after, name))


def fit(base: Path, after: Sequence[Event], name: str) -> Fusion:
    by, folder = recipe(*INPUTS[name], seed=0), copied(base, f"validation{name}")
    model, seconds = trained(folder, by, by.epochs)
    print(f"  validation{name}, trained in {seconds:.0f} s", flush=True)
    return fitted(folder, model, by, after)[0]


def one(base: Path, after: Sequence[Event], name: str, seed: int, fusion: Fusion | None) -> dict[str, float]:
    """Train once and ask, alone and fused, in a process of its own."""
    row = remembered(f"quality{name}-{seed}", dict[str, float], lambda: trial(base, after, name, seed, fusion))
    print(f"  seed {seed}: {row}", flush=True)
    return row


def trial(base: Path, after: Sequence[Event], name: str, seed: int, fusion: Fusion | None) -> dict[str, float]:
    by, people = recipe(*INPUTS[name], seed), np.unique([event.user for event in after], return_inverse=True)[1]
    with tempfile.TemporaryDirectory(dir=base.parent) as own:
        folder = shutil.copytree(base, Path(own) / "alone")
        model, seconds = trained(folder, by, by.epochs)
        row = {}
        if fusion is not None:
            twin = copied(folder, "fused")
            fuse(twin, model, by, fusion)
            if not name:
                row |= its("_fused_frozen_counts", asked(copied(twin, "frozen"), after, frozen=True))
            row |= its(FUSED[name], asked(twin, after), None if name else people)
        row |= its(name, asked(folder, after), None if name else people)
        if not name:
            alone = offline(folder, model, by, TEST)
            row |= {"hr10_offline": alone.hit_rate(), "ndcg10_offline": alone.ndcg()}
    print(f"  seed {seed}, trained in {seconds:.0f} s", flush=True)
    return row


def its(name: str, places: NDArray[np.int64], people: NDArray[np.int64] | None = None) -> dict[str, float]:
    """Figures of lists, with the interval over people where those are given."""
    row = dict(zip((f"hr10{name}", f"ndcg10{name}"), figures(places), strict=True))
    if people is not None:
        ends = metrics.interval(metrics.gains(places, 10), people)
        row |= dict(zip((f"ndcg10{name}_low", f"ndcg10{name}_high"), ends, strict=True))
    return row


SPREAD = {f"ndcg10{name}" for name in (*INPUTS, *FUSED.values())}
PROTOCOL = (
    "global time split at T=978133376, successive, full catalogue, seen removed, items with fewer than 5 ratings "
    f"dropped, ties to the item first mentioned; recipe chosen on 975768446 <= t < T, {EPOCHS} epochs; learned score "
    "alone, and fused: curves fitted on that window, once an input, by a model that has not learned from it; counts "
    "live, or frozen at T"
)

if __name__ == "__main__":
    main()
