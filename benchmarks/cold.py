"""Items that nobody has met, and people of whom little is known: what text is worth, on MovieLens-1M.

    PENCHANT_DATA=<folder with ml-1m> make bench-cold

The time split of `bench-quality`, with a seeded tenth of the items taken out of all training, counts and states. Every
test event on such an item is asked for (`ndcg10_...`, its item ranked among the full catalogue); of every tenth other
test event the person is asked for with only the last 1, 3, 5 events known (`few1_...`). Models that read texts, fields
and history (`text`), texts and fields not at all (`notext`), fields alone (`tags`), and version 0 (`v0`), through the
real engine, learned score alone. Without request time and ratings.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.movielens import TEST, VALIDATION, Split, copied, figures, on_each_core, prepared, time_split, trained
from benchmarks.rows import write_row
from penchant.evaluation.asking import Asker
from penchant.evaluation.folders import learn, opened
from penchant.evaluation.protocols import FEW, cold_items, without
from penchant.learning.recipe import Recipe, derive
from penchant.types import Event

EPOCHS = 10
EVERY = 10
READS: dict[str, dict[str, Any]] = {
    "text": {},
    "tags": {"text": False},
    "notext": {"text": False, "fields": False},
}


def recipe(name: str) -> Recipe:
    return derive("medium", since=False, values=False, epochs=EPOCHS, **READS[name])


def main() -> None:
    validate = bool(os.environ.get("VALIDATE"))
    split = time_split(*((VALIDATION, TEST) if validate else (TEST,)))
    cold = cold_items([event.item or "" for event in split.items], 0.1, 0)
    row: dict[str, float] = {"cold_items": len(cold)}
    with tempfile.TemporaryDirectory() as scratch:
        warm = Split(split.items, without(split.before, cold), [])
        base = prepared(Path(scratch) / "base", warm)
        for _, its in on_each_core(one, [(base, split.after, cold, name) for name in ("v0", *READS)]):
            row |= its
            print(row, flush=True)
    if not validate:
        write_row("cold", data="MovieLens-1M", seeds=1, figures=row,
                  protocol="time split at T=978133376, a seeded tenth of the items withheld from training, counts and "
                           "states, full catalogue, seen removed; few: one in ten of the other test events, histories "
                           "cut to the last 1, 3, 5 events; no request time, no ratings")  # fmt: skip


def one(base: Path, events: Sequence[Event], cold: frozenset[str], name: str) -> dict[str, float]:
    folder = copied(base, f"run-{name}")
    if name in READS:
        trained(folder, recipe(name), EPOCHS)
    return ask(folder, events, cold, name)


def ask(folder: Path, events: Sequence[Event], cold: frozenset[str], name: str) -> dict[str, float]:
    found: dict[str, list[int]] = {"": []} | {f"few{last}_": [] for last in FEW}
    with opened(folder, {}) as engine:
        asker = Asker(engine)
        for k, event in enumerate(events):
            if event.item in cold:
                found[""].append(asker.person(event)[0])
                continue
            if k % EVERY == 0 and engine.parts.log.people.get(event.user or "") >= 0:
                for last in FEW:
                    found[f"few{last}_"].append(asker.guest(event, last)[0])
            learn(engine, [event], (b"asked", k))
    return {f"{key}ndcg10_{name}": figures(np.array(places, np.int64))[1] for key, places in found.items()}


if __name__ == "__main__":
    main()
