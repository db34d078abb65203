"""From a data folder to a published version, which is used when it is better than version 0.

    cut         what happened before the last tenth of the time, and after: validation
    validate    train on what was before; stop where validation does not improve; this says for how many epochs
    gate        version 0 and this model answer the same questions, through the real engine, in a folder of its own;
                from the answers follows how the learned score and the counts are fused
    refit       train on everything, for as many epochs
    publish     with everybody's state folded; in use from the next moment on, if it passed the gate

Nothing of validation reaches the model that is measured on it: neither weights nor counts.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from penchant.errors import InvalidInput
from penchant.evaluation import metrics
from penchant.learning import heads as heads_of
from penchant.learning import ratings as ratings_of
from penchant.learning import validation
from penchant.learning.dataset import Histories, from_moment, repeats
from penchant.learning.fusing import lines
from penchant.learning.gate import Verdict, compare
from penchant.learning.heads import Calibration, Examples
from penchant.learning.pretrain import Data, Report, Trainer
from penchant.learning.publish import publish
from penchant.learning.recipe import Recipe, check_memory, derive, memory_bytes
from penchant.learning.source import Source, Stand
from penchant.models import versions
from penchant.models.heads import Heads
from penchant.models.rating import RatingModel
from penchant.models.torch.scorer import Model

Longs = NDArray[np.int64]

TRAINING = "training"  # folder of checkpoints, beside the versions
_BEGUN = "begun.json"  # where the log stood when a run began
_LATER = 0.9


class Options(NamedTuple):
    """What a person chooses. ``changed``: parts of the recipe, by name."""

    size: str = "medium"
    refit: bool = True
    gate: bool = True
    use: bool = True
    fresh: bool = False
    changed: Mapping[str, object] = {}


class Plan(NamedTuple):
    """What follows from options and data, before anything is trained."""

    recipe: Recipe
    moment: float  # validation begins here, Unix seconds
    events: int
    people: int
    items: int
    memory: int  # bytes, an estimate
    repeats: float


class Outcome(NamedTuple):
    path: Path
    metrics: dict[str, float]
    verdict: Verdict | None
    used: bool


class Told(NamedTuple):
    """Whom to tell what is going on: a phase by name, a training's report, a count (what, done, of how many)."""

    phase: Callable[[str], None]
    report: Callable[[Report], None]
    counted: Callable[[str, int, int], None]


def opened(folder: Path, options: Options) -> Source:
    """A data folder to train on: as it stood when a run began that was stopped, unless ``options.fresh``, or as it is.

    So that a run goes on although events and items came meanwhile. Raises as `Source` does.
    """
    begun = folder / TRAINING / _BEGUN
    if options.fresh or not begun.exists():
        return Source(folder)
    return Source(folder, msgspec.json.decode(begun.read_bytes(), type=Stand))


def plan(source: Source, options: Options) -> Plan:
    """Raises Unavailable when the machine's memory would not do, InvalidInput where there is no before and after."""
    histories = source.histories
    moment = float(np.quantile(histories.time[histories.target], _LATER))
    before = histories.before(moment)
    if not before.target.any():
        raise InvalidInput("nothing happened before validation begins: all is of one moment.", field="time",
                           value=moment, way_out="Send events with the times at which they happened.")  # fmt: skip
    share = repeats(before)
    recipe = derive(options.size, repeats=share, events=len(before.item), **options.changed)
    needed = memory_bytes(recipe, source.items, source.text_dim, len(histories.item))
    check_memory(needed, recipe.size)
    return Plan(
        recipe=recipe,
        moment=moment,
        events=len(histories.item),
        people=int((np.diff(histories.start) > 0).sum()),
        items=len(source.rows),
        memory=needed,
        repeats=share,
    )


def train(source: Source, planned: Plan, options: Options, told: Told) -> Outcome:
    """Train, measure, publish. A run that was stopped goes on where it stood, unless ``options.fresh``."""
    checkpoints = source.folder / TRAINING
    if options.fresh:
        shutil.rmtree(checkpoints, ignore_errors=True)
    checkpoints.mkdir(exist_ok=True)
    (checkpoints / _BEGUN).write_bytes(msgspec.json.encode(source.stand))
    told.phase("Training on what came before, measured on what came after")
    everything = source.data(source.histories, planned.recipe)
    trainer = _trainer(source, everything.histories, planned, checkpoints / "validated.pt", told)
    model, data = trainer.run(), trainer.data
    found = _measured(model, data, everything.histories, planned)
    calibration, action, of_actions = _calibrated(model, data, everything.histories, planned.moment, source.actions)
    found |= of_actions
    verdict = None
    if options.gate:
        told.phase("The same questions to version 0 and to this model")
        verdict = compare(source, model, planned.recipe, planned.moment, checkpoints / "gate", told.counted)
        found |= _of_gate(verdict)
    epochs = trainer.best_epoch
    if options.refit:
        told.phase(f"Training on everything, {epochs} epochs")
        model, data = _refitted(source, planned.recipe, epochs, checkpoints / "refitted.pt", told)
    heads = _heads(model, data, calibration, action)
    told.phase("Ratings")
    rating, of_ratings = _ratings(source, planned.moment, told)
    found |= of_ratings
    told.phase("Publishing, with everybody's state")
    path = publish(
        source.folder / "versions",
        source,
        model,
        planned.recipe,
        epochs=epochs,
        metrics=found,
        fusion=verdict.fusion if verdict else lines(),
        heads=heads,
        rating=rating,
    )
    used = options.use and (verdict is None or verdict.passed)
    if used:
        versions.use_version(source.folder / "versions", path.name)
    shutil.rmtree(checkpoints, ignore_errors=True)
    return Outcome(path, found, verdict, used)


def _of_gate(verdict: Verdict) -> dict[str, float]:
    found = {"gate_ndcg10": verdict.trained, "gate_ndcg10_version_0": verdict.version_0}
    if verdict.weighed is not None and verdict.weighed.curves is not None:
        found |= {"fusion_ndcg10_lines": verdict.weighed.lines, "fusion_ndcg10_curves": verdict.weighed.curves}
    return found


def _trainer(source: Source, everything: Histories, planned: Plan, checkpoint: Path, told: Told) -> Trainer:
    """Of what was before validation, measured after every epoch on what came after."""
    windows = validation.some(from_moment(everything, planned.moment), everything)
    before = everything.before(planned.moment)
    hides = planned.recipe.hide_seen
    trainer = Trainer(
        source.model(planned.recipe, known=before),
        source.data(before, planned.recipe),
        planned.recipe,
        validate=lambda model: validation.places(model, trainer.data, everything, windows, hide_seen=hides).ndcg(),
        told=told.report,
        checkpoint=checkpoint,
    )
    return trainer


def _measured(model: Model, data: Data, everything: Histories, planned: Plan) -> dict[str, float]:
    """Validation figures of the model that was chosen, over all of validation."""
    windows = from_moment(everything, planned.moment)
    places = validation.places(model, data, everything, windows, hide_seen=planned.recipe.hide_seen)
    low, high = metrics.interval(metrics.gains(places.place, 10), places.person)
    return {"hr10": places.hit_rate(), "ndcg10": places.ndcg(), "ndcg10_low": low, "ndcg10_high": high}


def _calibrated(
    model: Model, data: Data, everything: Histories, moment: float, names: Sequence[str]
) -> tuple[Calibration | None, Longs, dict[str, float]]:
    """Heads of a model that knows nothing of validation: what calibrates them there, and how good they then are.

    They are calibrated on the first half of validation and measured on the second.
    """
    if len(np.unique(data.histories.action[data.histories.item >= 0])) < 2:
        return None, np.zeros(0, np.int64), {}  # people do one thing only: there is nothing to tell apart
    earlier = validation.examples(model, data, data.histories)
    action = heads_of.can_be_told_apart(earlier.done)
    if not len(action):
        return None, action, {}
    fitted = heads_of.fit(earlier, action)
    later = validation.examples(model, data, everything, since=moment)
    half = len(later.done) // 2
    first, second = (Examples(*(part[rows] for part in later)) for rows in (slice(half), slice(half, None)))
    by = heads_of.calibration(fitted, first)
    told = heads_of.calibrated(fitted, by).probabilities(second.asked, second.item)
    found: dict[str, float] = {}
    for place, number in enumerate(action.tolist()):
        found |= _of_action(names[number], told[:, place].astype(np.float64), second.done[:, number].astype(np.int64))
    return by, action, found


def _of_action(name: str, told: NDArray[np.float64], done: Longs) -> dict[str, float]:
    if done.all() or not done.any():
        return {}
    return {
        f"auc_{name}": metrics.auc(told, done),
        f"log_loss_{name}": float(metrics.log_losses(told, done).mean()),
        f"calibration_{name}": metrics.calibration_error(told, done),
    }


def _refitted(source: Source, recipe: Recipe, epochs: int, checkpoint: Path, told: Told) -> tuple[Model, Data]:
    data = source.data(source.histories, recipe)
    trainer = Trainer(source.model(recipe), data, recipe, told=told.report, checkpoint=checkpoint)
    return trainer.run(epochs), trainer.data


def _heads(model: Model, data: Data, by: Calibration | None, action: Longs) -> Heads | None:
    if by is None:
        return None
    return heads_of.calibrated(heads_of.fit(validation.examples(model, data, data.histories), action), by)


def _ratings(source: Source, moment: float, told: Told) -> tuple[RatingModel | None, dict[str, float]]:
    """What is known of how much people like things: measured on validation, then fitted to everything."""
    actions = source.rating_actions
    parts = {name: ratings_of.of_histories(part, actions) for name, part in _parts(source.histories, moment).items()}
    if not ratings_of.can_be_fitted(parts["before"].values):
        return None, {}

    def fitted(which: str) -> RatingModel:
        def tell(what: str, done: int, of: int) -> None:
            told.counted(f"ratings, {which}: {what}", done, of)

        return ratings_of.fit(parts[which], source.items, actions, told=tell)

    measured: dict[str, float] = {}
    if len(parts["after"].values):
        error = ratings_of.errors(fitted("before"), parts["before"], parts["after"])
        measured = {"rmse": float(np.sqrt(np.mean(error**2))), "mae": float(np.abs(error).mean())}
    return fitted("all"), measured


def _parts(histories: Histories, moment: float) -> dict[str, Histories]:
    later = histories.chosen(histories.time >= moment)
    return {"before": histories.before(moment), "after": later, "all": histories}
