"""Is a trained version better than version 0, and how should its score and the counts be fused? The real engine tells.

Both versions answer the same questions; from what the trained one knew of the candidates, the fusion is fitted.

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
from penchant.learning import fusing
from penchant.learning.fusing import Collector, Weighed
from penchant.learning.publish import publish
from penchant.learning.recipe import Recipe
from penchant.learning.source import Source
from penchant.models import versions
from penchant.models.fusion import Fusion
from penchant.models.torch.scorer import Model
from penchant.types import Event, Query

QUESTIONS = 10_000

Count = Callable[[str, int, int], None]


class Verdict(NamedTuple):
    """NDCG@10 of both on the same questions, and the 95% interval of the difference (bootstrap over people).

    The trained version is asked with its score and the counts fused by lines; ``fusion`` is what it is to be published
    with, and ``weighed`` how that was chosen.
    """

    version_0: float
    trained: float
    difference: tuple[float, float]
    questions: int
    fusion: Fusion
    weighed: Weighed | None = None

    @property
    def passed(self) -> bool:
        return max(self.trained, self.weighed.best if self.weighed else 0.0) > self.version_0


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
            moved = carried(model, source, there)
            publish(prepared / "versions", there, moved, recipe, epochs=0, metrics={}, fusion=fusing.lines())

    prepare(folder / "v0", world._replace(train=publish_there), cut.train, count)
    shutil.copytree(folder / "v0", folder / "trained")
    (newest,) = (path for path in versions.published(folder / "trained" / "versions")[-1:])
    versions.use_version(folder / "trained" / "versions", newest.name)
    rows = questions(events, source.weights, recipe.hide_seen)
    rows = [row - len(cut.train) for row in rows if row >= len(cut.train)]
    rows = rows[:: max(1, len(rows) // QUESTIONS)]
    if not rows:
        return Verdict(0.0, 0.0, (0.0, 0.0), 0, fusing.lines())
    people = np.unique([cut.test[row].user or "" for row in rows], return_inverse=True)[1]
    asked = dict(zip(rows, people.tolist(), strict=True))
    before, _ = _ask(folder / "v0", cut.test, asked, "v0", count)
    after, collected = _ask(folder / "trained", cut.test, asked, "trained", count)
    fusion, weighed = fusing.fused(collected.examples())
    return Verdict(
        version_0=float(before.mean()),
        trained=float(after.mean()),
        difference=metrics.interval(after - before, people),
        questions=len(people),
        fusion=fusion,
        weighed=weighed,
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


def _ask(
    folder: Path, events: Sequence[Event], asked: Mapping[int, int], name: str, count: Count
) -> tuple[np.ndarray, Collector]:
    """NDCG@10 of each question, and who noted what was known of its candidates.

    Every event is learned, after it was asked for. ``asked``: rows of events, and the number of the person there.
    """
    places = []
    with opened(folder, {}) as engine:
        collector = Collector(engine)
        for k, event in enumerate(events):
            if k in asked:
                places.append(collector.ask(Query(user=event.user, time=event.time), event.item or "", asked[k]))
            learn(engine, [event], (name.encode(), k))
            count(name, k + 1, len(events))
        return metrics.gains(np.array(places, np.int64), 10), collector
