"""MovieLens-1M as the benchmarks use it, and what they share: folders at a split, models trained there, lists asked.

A model is published twice in its folder, with the learned score alone and fused with counts: the same lists can be
asked of either. The fusion is fitted to answers that the model has not learned from (`fitted`).
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from penchant.config import Settings, write_settings
from penchant.evaluation import metrics
from penchant.evaluation.asking import Asker
from penchant.evaluation.folders import World, learn, met_often, opened, prepare
from penchant.evaluation.protocols import in_time
from penchant.learning import fusing
from penchant.learning.dataset import from_moment
from penchant.learning.fusing import Collector
from penchant.learning.gate import QUESTIONS
from penchant.learning.pretrain import Report, Trainer
from penchant.learning.publish import publish
from penchant.learning.recipe import Recipe
from penchant.learning.source import Source
from penchant.learning.validation import Places, places
from penchant.models import versions
from penchant.models.fusion import Fusion, in_words
from penchant.models.torch.scorer import Model
from penchant.serving.importers import plan, read
from penchant.types import Event, Query

VALIDATION, TEST = 975768446.0, 978133376.0

T = TypeVar("T")


class Split(NamedTuple):
    """What is learned from and what is asked for, in time order; ``items`` are item events."""

    items: list[Event]
    before: list[Event]
    after: list[Event]


def data_folder(name: str) -> Path:
    folder = Path(os.environ.get("PENCHANT_DATA", "")) / name
    if not folder.is_dir():
        sys.exit(f"Name the folder that holds {name}: PENCHANT_DATA=... make bench-...")
    return folder


def read_events(folder: Path) -> tuple[list[Event], list[Event]]:
    """(items, interactions) of a data set that the importers know."""
    events = [event for part in plan(folder) for _, event in read(part) if isinstance(event, Event)]
    return [one for one in events if one.kind == "item"], [one for one in events if one.kind == "interaction"]


def time_split(moment: float, until: float = float("inf")) -> Split:
    """Global time split: items with fewer than 5 ratings dropped, same-second events in the order of the file."""
    items, events = read_events(data_folder("ml-1m"))
    events = in_time(met_often(events, 5))
    before = [event for event in events if (event.time or 0.0) < moment]
    return Split(items, before, [event for event in events if moment <= (event.time or 0.0) < until])


def some_people(events: Sequence[Event], share: float) -> set[str]:
    """A seeded share of the people, one at least."""
    people = sorted({event.user or "" for event in events})
    return set(np.random.default_rng(0).permutation(people)[: max(1, round(share * len(people)))].tolist())


def prepared(folder: Path, split: Split, encoder: str = "") -> Path:
    """The folder as it stands at the split, closed; ``encoder``: a setting of it."""
    prepare(folder, World(split.items, {"encoder": encoder}), split.before, _counted)
    write_settings(folder, Settings(encoder=encoder))
    return folder


def copied(folder: Path, name: str) -> Path:
    copy = folder.with_name(name)
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(folder, copy)
    return copy


def trained(folder: Path, recipe: Recipe, epochs: int) -> tuple[Model, float]:
    """Train on all that the folder holds, publish the learned score alone and use it; (the model, seconds)."""
    with Source(folder) as source:
        data = source.data(source.histories, recipe)
        begun = time.monotonic()
        model = Trainer(source.model(recipe), data, recipe, told=told).run(epochs)
        seconds = time.monotonic() - begun
        path = publish(folder / "versions", source, model, recipe, epochs=epochs, metrics={})
    versions.use_version(folder / "versions", path.name)
    return model, seconds


def fuse(folder: Path, model: Model, recipe: Recipe, fusion: Fusion) -> None:
    """Publish a trained model of the folder once more, with this fusion, and use it.

    The folder's log may have grown since the training: states are folded up to its end.
    """
    with Source(folder) as source:
        path = publish(folder / "versions", source, model, recipe, epochs=recipe.epochs, metrics={}, fusion=fusion)
    versions.use_version(folder / "versions", path.name)


def fitted(
    folder: Path, model: Model, recipe: Recipe, events: Sequence[Event], *, living: bool = True
) -> tuple[Fusion, dict[str, float]]:
    """A fusion fitted to what came next, asked of the model in a folder of its own; and NDCG@10 on the same questions.

    At most `QUESTIONS`, spread over the ``events``, which the model has not learned from; each event is learned after
    it was asked for, unless not ``living``: then none is. ``ndcg10_alone`` is of the learned score, ``_lines`` of the
    fusion's start, ``_curves`` of curves, each person's fitted to other people.
    """
    fuse(folder, model, recipe, fusing.lines())
    people = np.unique([event.user for event in events], return_inverse=True)[1].tolist()
    every = max(1, len(events) // QUESTIONS)
    with opened(folder, {}) as engine:
        collector = Collector(engine)
        for k, event in enumerate(events):
            if k % every == 0:
                collector.ask(Query(user=event.user, time=event.time), event.item or "", people[k])
            if living:
                learn(engine, [event], (b"fitted", k))
            if k % 10_000 == 0:
                _counted("collecting", k, len(events))
    examples = collector.examples()
    alone = float(fusing.gains(examples, fusing.alone()).mean())
    fusion, weighed = fusing.fused(examples)
    found = {"ndcg10_alone": alone, "ndcg10_lines": weighed.lines, "ndcg10_curves": weighed.curves or 0.0}
    print(f"  fitted to {len(examples.answer):,} questions: {found}", *in_words(fusion), sep="\n    ", flush=True)
    return fusion, found


def asked(folder: Path, events: Sequence[Event], *, frozen: bool = False) -> NDArray[np.int64]:
    """Places of what came next in the lists of the real engine, each event learned after it was asked for.

    ``frozen``: counts stand as they are in the folder, states alone go on.
    """
    found = np.full(len(events), -1, np.int64)
    with opened(folder, {}) as engine:
        asker = Asker(engine)
        engine.parts.counts.frozen = frozen
        for k, event in enumerate(events):
            found[k] = asker.person(event)[0]
            learn(engine, [event], (b"asked", k))
            if k % 10_000 == 0:
                _counted("asking", k, len(events))
    return found


def offline(folder: Path, model: Model, recipe: Recipe, moment: float) -> Places:
    """The same questions to the model alone, over the log that now holds the answers."""
    with Source(folder) as source:
        data = source.data(source.histories, recipe)
        return places(model, data, data.histories, from_moment(data.histories, moment))


def on_each_core(work: Callable[..., T], runs: Sequence[tuple[Any, ...]]) -> Iterator[tuple[tuple[Any, ...], T]]:
    """(arguments, result) of every run as it ends, each in a process of its own; ``WORKERS`` at a time.

    One training on each core is quicker than one after the other on all of them.
    """
    os.environ["PENCHANT_TRAINING_THREADS"] = "1"
    workers = int(os.environ.get("WORKERS", 0)) or os.cpu_count() or 1
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
        waiting = {pool.submit(work, *run): run for run in runs}
        for done in as_completed(waiting):
            yield waiting[done], done.result()


def figures(found: NDArray[np.int64]) -> tuple[float, float]:
    """HR@10 and NDCG@10."""
    return float(metrics.hits(found, 10).mean()), float(metrics.gains(found, 10).mean())


def told(report: Report) -> None:
    """One line an epoch."""
    if report.step == report.steps:
        shown = f"{report.validation[-1][1]:.4f}" if report.validation else "-"
        print(f"  epoch {report.epoch + 1}/{report.epochs} loss {report.loss:.4f} validation {shown} "
              f"{report.events_per_s:,.0f} events/s", flush=True)  # fmt: skip


def _counted(what: str, done: int, of: int) -> None:
    if (done % 100_000 < 2000 and what != "texts") or done == of:
        print(f"  {what} {done:,}/{of:,}", flush=True)
