"""Leave-one-out on Amazon 2014 (5-core), on the files of the S3-Rec, P5 and TIGER papers: `beauty` and `sports` run it.

Two ways, because papers differ: trained on all but everybody's last two items, the last but one known to the state when
the last is asked for (`r10, ndcg10`); or trained on all but the last (`r10_refit, ndcg10_refit`). What orders the lists
is curves over the learned score and the counts, fitted by each seed's model of the first way to everybody's last but
one, which neither it nor the counts have learned from; the second way takes over the curves that the same seed fitted
in the first. Beside it, `_alone`: the learned score alone orders them, and counts only find candidates; and of the same
folder before the training, `_v0`: version 0, and `_transitions`: transitions alone. Counts are those of what was
trained on; who has seen what goes on.

The files have an order and no times. The full catalogue is ranked by the real engine, seen items removed, ties between
scores to the item first mentioned. Recall at 10 of one item is the hit rate. Most items are met a few times, so the
trained version reads titles (short phrases, where the file has no titles).

``VALIDATE=1`` asks for the last but one, without the refit, and tells how the fusion did on people that it was not
fitted to (`ndcg10_curves`); ``EPOCHS=24`` trains so long, ``SIZE=medium`` a model of that size: the recipe is to be
chosen so. ``SAMPLE=0.1`` takes a seeded share of the people, ``TEXT=0`` reads no titles. All of these print and write
no row.
"""

from __future__ import annotations

import csv
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.loo import averaged, last_items
from benchmarks.movielens import (
    Split,
    copied,
    data_folder,
    figures,
    fitted,
    fuse,
    on_each_core,
    prepared,
    some_people,
    trained,
)
from benchmarks.rows import write_row
from penchant.evaluation import baselines
from penchant.evaluation.asking import Asker
from penchant.evaluation.folders import learn, opened
from penchant.evaluation.trials import TIMELESS, Trial, left_out, read_names, read_sequences
from penchant.learning.recipe import Recipe, derive
from penchant.models.fusion import Fusion
from penchant.models.torch.scorer import Model
from penchant.types import Event, Item

SIZE, EPOCHS = "small", 12
SEEDS = (0, 1, 2)
PROTOCOL = (
    "leave-one-out, trained on all but the last two (_refit: but the last), full catalogue, seen removed, no times, "
    f"titles read; {SIZE}, {EPOCHS} epochs, chosen on Beauty's last but one; curves over the learned score and counts "
    "of what was trained on, fitted to the last but one by a model that has not learned from it (_refit: the same "
    "curves); _alone: the learned score; _v0: version 0; _transitions: counts of what followed what alone; ties to "
    "the item first mentioned"
)
REFIT = "_refit"


class Run(NamedTuple):
    """``seed`` None: nothing is trained."""

    trial: Trial
    seed: int | None
    size: str = SIZE
    epochs: int = EPOCHS
    text: bool = True
    validate: bool = False


def measure(name: str, data: str) -> None:
    """Run ``data``, a folder of PENCHANT_DATA, and write the row ``name``."""
    given = os.environ
    seeds = [int(seed) for seed in given.get("SEEDS", "").split()] or list(SEEDS)
    validate, text = bool(given.get("VALIDATE")), given.get("TEXT", "1") != "0"
    size, epochs, share = given.get("SIZE", SIZE), int(given.get("EPOCHS", EPOCHS)), float(given.get("SAMPLE", 1))
    items, trial = questions(data_folder(data), share)
    with tempfile.TemporaryDirectory() as scratch:
        bases = {"": prepared(Path(scratch) / "base", Split(items, list(trial.learned), []), "" if text else "none")}
        if not validate:
            bases[REFIT] = grown(bases[""], trial.known)
        runs = [(bases, Run(trial, seed, size, epochs, text, validate)) for seed in (None, *seeds)]
        row = averaged([its for _, its in on_each_core(one, runs)])
    if validate or not text or share < 1 or (size, epochs) != (SIZE, EPOCHS):
        print(row)
    else:
        write_row(name, data=f"{data}: sequences.txt, items.csv", seeds=len(seeds), figures=row, protocol=PROTOCOL)


def questions(folder: Path, share: float) -> tuple[list[Event], Trial]:
    """The catalogue, and leave-one-out over a seeded share of the people."""
    events = read_sequences(folder / "sequences.txt", read_names(folder / "items.csv"), action="buy")
    people = some_people(events, share)
    return catalogue(folder / "items.csv"), left_out(event for event in events if event.user in people)


def catalogue(path: Path) -> list[Event]:
    """Item events in the file's order; the short phrase stands in where a title is missing."""
    with open(path, newline="", encoding="utf-8") as file:
        titles = {row["asin"]: row["title"] or row.get("short_text") or "" for row in csv.DictReader(file)}
    return [Item(id=item, fields={"title": title} if title else {}, time=TIMELESS).event()
            for item, title in titles.items()]  # fmt: skip


def refit(trial: Trial) -> Trial:
    """The same questions; what the state alone was to know is learned too."""
    return trial._replace(learned=[*trial.learned, *trial.known], known=())


def grown(base: Path, known: Sequence[Event]) -> Path:
    """A copy of the folder that has learned these events too: its titles need not be read again."""
    folder = copied(base, "base_refit")
    with opened(folder, {}) as engine:
        learn(engine, known, (b"refit", len(known)))
    return folder


def recipe(run: Run) -> Recipe:
    return derive(run.size, events=len(run.trial.learned), text=run.text, fields=False, since=False, values=False,
                  epochs=run.epochs, seed=run.seed or 0)  # fmt: skip


def one(bases: Mapping[str, Path], run: Run) -> dict[str, float]:
    """Both ways of a seed, or of what needs no training, in a process of its own."""
    row: dict[str, float] = {}
    with tempfile.TemporaryDirectory(dir=bases[""].parent) as own:
        ways = {way: shutil.copytree(base, Path(own) / f"base{way}") for way, base in bases.items()}
        if run.seed is None:
            for way, folder in ways.items():
                row |= named(untrained(folder, run if not way else again(run)), way)
        else:
            row, fusion = first(ways[""], run)
            if REFIT in ways:
                row |= second(ways[REFIT], again(run), fusion)
    print(f"  seed {run.seed}: {row}", flush=True)
    return row


def again(run: Run) -> Run:
    """The second way of a run."""
    return run._replace(trial=refit(run.trial))


def first(folder: Path, run: Run) -> tuple[dict[str, float], Fusion]:
    """Train on all but the last two, fit the fusion to the last but one, and ask."""
    model, by = learned(folder, run)
    twin = copied(folder, "fused")
    fusion, row = fitted(twin, model, by, run.trial.known, living=False)
    fuse(twin, model, by, fusion)
    found = {"_alone": last_items(folder, run.trial, run.validate)}
    if not run.validate:  # there, the fusion was fitted to the answers
        found, row = {"": last_items(twin, run.trial, run.validate), **found}, {}
    return row | named(found), fusion


def second(folder: Path, run: Run, fusion: Fusion) -> dict[str, float]:
    """Train on all but the last, take over the fusion, and ask."""
    model, by = learned(folder, run)
    twin = copied(folder, "fused_refit")
    fuse(twin, model, by, fusion)
    found = {"": last_items(twin, run.trial, validate=False), "_alone": last_items(folder, run.trial, validate=False)}
    return named(found, REFIT)


def learned(folder: Path, run: Run) -> tuple[Model, Recipe]:
    by = recipe(run)
    model, seconds = trained(folder, by, by.epochs)
    print(f"  seed {run.seed}, {len(run.trial.learned):,} events, trained in {seconds:.0f} s", flush=True)
    return model, by


def named(found: Mapping[str, NDArray[np.int64]], way: str = "") -> dict[str, float]:
    """Figures of places, by what ordered the lists and the way."""
    row = {}
    for name, places in found.items():
        row[f"r10{name}{way}"], row[f"ndcg10{name}{way}"] = figures(places)
    return row


def untrained(folder: Path, run: Run) -> dict[str, NDArray[np.int64]]:
    """Places of the items asked for under version 0 and under transitions alone."""
    found: list[tuple[int, int]] = []
    with opened(folder, {}) as engine:
        asker, names, counts = Asker(engine), engine.parts.log, engine.parts.counts
        counts.frozen = True
        if not run.validate:
            learn(engine, run.trial.known, (b"known", len(run.trial.known)))
        for event in run.trial.known if run.validate else run.trial.asked:
            place, _ = asker.person(event)
            seen = counts.seen_by(names.people.get(event.user or ""))
            alone = baselines.places(engine, names.items.get(event.item or ""), seen)
            found.append((place, alone["transitions"]))
    places = np.array(found, np.int64)
    return {"_v0": places[:, 0], "_transitions": places[:, 1]}
