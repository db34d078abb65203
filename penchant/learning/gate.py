"""Is a trained version better than version 0? Both answer the same questions, through the real engine.

A folder of its own is made as it stood when validation begins; the model, which learned nothing of validation, is
published there, and the events that came after are asked for and then learned, once under each version.
"""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from penchant.evaluation import metrics
from penchant.evaluation.folders import learn, opened, prepare, read_log
from penchant.evaluation.protocols import repeated, time_split
from penchant.learning.publish import publish
from penchant.learning.recipe import Recipe
from penchant.learning.source import Source
from penchant.models import versions
from penchant.models.torch.scorer import Model
from penchant.types import Event, Query

QUESTIONS = 3000

Count = Callable[[str, int, int], None]


class Verdict(NamedTuple):
    """NDCG@10 of both on the same questions, and the 95% interval of the difference (bootstrap over people)."""

    version_0: float
    trained: float
    difference: tuple[float, float]
    questions: int

    @property
    def passed(self) -> bool:
        return self.trained > self.version_0


def compare(source: Source, model: Model, recipe: Recipe, moment: float, folder: Path, count: Count) -> Verdict:
    """Ask both; ``folder`` is scratch space, made anew and gone afterwards: it holds what people did."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        return _compared(source, model, recipe, moment, folder, count)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _compared(source: Source, model: Model, recipe: Recipe, moment: float, folder: Path, count: Count) -> Verdict:
    world, events = read_log(source.folder)
    cut = time_split(events, moment)

    def publish_there(prepared: Path) -> None:
        with Source(prepared) as there:
            publish(prepared / "versions", there, carried(model, source, there), recipe, epochs=0, metrics={})

    prepare(folder / "v0", world._replace(train=publish_there), cut.train, count)
    shutil.copytree(folder / "v0", folder / "trained")
    (newest,) = (path for path in versions.published(folder / "trained" / "versions")[-1:])
    versions.use_version(folder / "trained" / "versions", newest.name)
    rows = questions(events, source.weights, recipe.hide_seen)
    rows = [row - len(cut.train) for row in rows if row >= len(cut.train)]
    rows = rows[:: max(1, len(rows) // QUESTIONS)]
    if not rows:
        return Verdict(0.0, 0.0, (0.0, 0.0), 0)
    found = {name: _ask(folder / name, cut.test, rows, name, count) for name in ("v0", "trained")}
    people = np.unique([cut.test[row].user or "" for row in rows], return_inverse=True)[1]
    return Verdict(
        version_0=float(found["v0"].mean()),
        trained=float(found["trained"].mean()),
        difference=metrics.interval(found["trained"] - found["v0"], people),
        questions=len(people),
    )


def questions(events: Sequence[Event], weights: Mapping[str, float], once: bool) -> list[int]:
    """Which events can be asked for: with an item, of an action that approves, and, if ``once``, not met before."""
    again = repeated(events)
    return [
        row
        for row, event in enumerate(events)
        if event.item is not None and weights.get(event.action or "", 0.0) > 0 and not (once and again[row])
    ]


def carried(model: Model, source: Source, there: Source) -> Model:
    """The model for another log of the same items, which numbers them in another order."""
    there.fields, there.profile = source.fields, source.profile
    names = there.log.items.first(there.items)
    numbers = torch.tensor([source.log.items.get(name) for name in names], dtype=torch.int64)
    numbers[numbers >= source.items] = -1  # sent after the training began
    moved = copy.deepcopy(model).cpu()
    residual = moved.item.residual.weight.detach()
    moved.item.residual = torch.nn.Embedding.from_pretrained(
        residual[numbers.clamp(min=0)] * (numbers >= 0)[:, None], freeze=True
    )
    return moved


def _ask(folder: Path, events: Sequence[Event], rows: Sequence[int], name: str, count: Count) -> np.ndarray:
    """NDCG@10 of each question; every event is learned, after it was asked for."""
    places, asked = [], set(rows)
    with opened(folder, {}) as engine:
        for k, event in enumerate(events):
            if k in asked:
                listed = [one.item for one in engine.recommend(Query(user=event.user, time=event.time)).items]
                places.append(listed.index(event.item) if event.item in listed else -1)
            learn(engine, [event], (name.encode(), k))
            count(name, k + 1, len(events))
    return metrics.gains(np.array(places, np.int64), 10)
