"""Fitting `models.rating`: what a person's other ratings say of each rating.

Every training rating is predicted from its person's other ratings, the total minus its own contribution. That is the
situation at serving, it needs no masking, and a batch of people is two index_adds and one small network. The one
regulariser that matters is on the products, the mean of sum_k (u_k v_ik)^2: what dropout on u would add in expectation
(Wager et al. 2013), without its noise, and nobody can escape it by making u large and v small.

Where ratings are few, a teacher (`learning.teacher`) says of every cell what it expects, and that is learned as well.
Only items that were rated take part; the others' rows are zero in what is served, so that nothing random speaks there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from penchant.learning.dataset import Histories
from penchant.learning.teacher import Sampling, posterior
from penchant.models.rating import SIZE, RatingModel
from penchant.models.torch.rating import Reader, leave_one_out, served

Longs = NDArray[np.int64]
Floats = NDArray[np.float32]
Told = Callable[[str, int, int], None]  # (what, done, of)

LEAST = 1000  # ratings below which none are predicted
_FEW = 300_000  # ratings below which a teacher helps
_CELLS = 20_000_000  # people x items above which it costs too much
_BATCHES = 30  # an epoch, about, where people are few: fewer steps than 20 times that leave the model where it began


class RatingRecipe(NamedTuple):
    """Chosen on a validation part of MovieLens-1M's and -100K's training ratings: docs/log.md."""

    epochs: int = 12
    people: int = 64  # a batch
    rate: float = 4e-3
    penalty: float = 2.5  # on (u_k v_ik)^2
    decays: tuple[float, float, float] = (1.0, 0.3, 0.1)  # of what enters the sums, of items, of the network
    average: float = 0.99  # of the weights
    observed: float = 1.0  # weight of the errors on ratings
    taught: float = 0.0  # weight of the distance from the teacher; 0: there is none
    factors: int = 20  # of the teacher
    sweeps: int = 120
    seed: int = 0


class Ratings(NamedTuple):
    """Ratings in any order, [n]."""

    people: Longs
    items: Longs
    values: Floats


class _Numbered(NamedTuple):
    """Ratings by person; people and items numbered without gaps: person p's are at ``start[p]`` to ``start[p + 1]``,
    and ``items`` are the items' own numbers."""

    ratings: Ratings
    start: Longs
    items: Longs

    @property
    def people(self) -> int:
        return len(self.start) - 1


class _Taught(NamedTuple):
    """What the teacher expects [people, items], and how much each item counts [items]."""

    expected: Tensor
    weight: Tensor


class _Batch(NamedTuple):
    """Ratings [n] of whole people: whose (numbered in the batch), what, stars."""

    who: Tensor
    item: Tensor
    value: Tensor
    taught: _Taught | None


def of_histories(histories: Histories, actions: Longs) -> Ratings:
    """The ratings among all events: those of the given actions that have a value and an item."""
    rows = np.isfinite(histories.value) & (histories.item >= 0) & np.isin(histories.action, actions)
    people = np.repeat(np.arange(histories.people), np.diff(histories.start))
    return Ratings(people[rows], histories.item[rows], histories.value[rows])


def can_be_fitted(values: Floats) -> bool:
    """Whether ratings [n] are enough, and different enough, for others to be predicted."""
    return len(values) >= LEAST and bool(np.ptp(values))


def recipe_for(ratings: Ratings, items: int) -> RatingRecipe:
    """Of the two recipes that were measured, the nearer one: MovieLens-1M's, or, for little data, -100K's.

    Little is fewer than 300,000 ratings in at most 2e7 cells (people x items that were rated). With fewer people than
    in -100K, batches are smaller, so that there are as many steps.
    """
    people = len(np.unique(ratings.people))
    if len(ratings.values) >= _FEW or people * items > _CELLS:
        return RatingRecipe()
    batch = min(max(math.ceil(people / _BATCHES), 4), 32)
    return RatingRecipe(epochs=20, people=batch, penalty=5.0, decays=(0.3, 0.3, 0.1), observed=0.2, taught=1.0)


def fit(
    ratings: Ratings, items: int, actions: Longs, recipe: RatingRecipe | None = None, told: Told | None = None
) -> RatingModel:
    """Fit to ratings of items numbered below ``items``; the same for the same seed. ``told`` of sweeps and epochs."""
    known = _numbered(ratings)
    recipe, told = recipe or recipe_for(known.ratings, len(known.items)), told or _silent
    torch.manual_seed(recipe.seed)
    random = np.random.default_rng(recipe.seed)
    model = Reader(*damped_means(known.ratings, len(known.items)))
    averaged = torch.optim.swa_utils.AveragedModel(model, multi_avg_fn=_towards(recipe.average))
    optimizer = _optimizer(model, recipe)
    taught = _teacher(known, recipe, told)
    steps, step = recipe.epochs * math.ceil(known.people / recipe.people), 0
    for epoch in range(recipe.epochs):
        for batch in _batches(known, taught, recipe.people, random):
            _set_rate(optimizer, recipe.rate, step, steps)
            _learn(model, optimizer, batch, recipe)
            averaged.update_parameters(model)
            step += 1
        told("epochs", epoch + 1, recipe.epochs)
    limits = np.array([ratings.values.min(), ratings.values.max()], np.float32)
    return _spread(served(averaged.module, limits, actions), known.items, items)


def errors(model: RatingModel, known: Ratings, later: Ratings) -> Floats:
    """Predicted minus given [n] of later ratings, each person's sums being those of what was known."""
    people = int(max(known.people.max(initial=0), later.people.max(initial=0))) + 1
    sums = np.zeros((people, SIZE), np.float32)
    np.add.at(sums, known.people, model.contribution(known.items, known.values))
    read = model.read(sums)
    order = np.argsort(later.people, kind="stable")
    out = np.zeros(len(later.values), np.float32)
    for rows in np.split(order, np.flatnonzero(np.diff(later.people[order])) + 1):
        out[rows] = model.predict(read[later.people[rows[0]]], later.items[rows]) - later.values[rows]
    return out


def _silent(what: str, done: int, of: int) -> None:
    return None


def _numbered(ratings: Ratings) -> _Numbered:
    order = np.argsort(ratings.people, kind="stable")
    _, people, counts = np.unique(ratings.people[order], return_inverse=True, return_counts=True)
    items, item = np.unique(ratings.items[order], return_inverse=True)
    start = np.concatenate(([0], np.cumsum(counts)))
    return _Numbered(Ratings(people, item, ratings.values[order].astype(np.float32)), start, items)


def _teacher(known: _Numbered, recipe: RatingRecipe, told: Told) -> _Taught | None:
    """Cells count by how often their items were rated: those are what will be asked for."""
    if not recipe.taught:
        return None
    sampling = Sampling(recipe.factors, recipe.sweeps, recipe.seed)
    expected = posterior(known.ratings, len(known.items), sampling, lambda done, of: told("sweeps", done, of))
    often = np.bincount(known.ratings.items) + 0.5
    return _Taught(torch.from_numpy(expected), torch.from_numpy((often / often.sum()).astype(np.float32)))


def _batches(known: _Numbered, taught: _Taught | None, people: int, random: np.random.Generator) -> Iterator[_Batch]:
    """All people once, in any order, so many together."""
    start, (_, items, values) = known.start, known.ratings
    for chosen in np.split(random.permutation(known.people), range(people, known.people, people)):
        rows = np.concatenate([np.arange(start[p], start[p + 1]) for p in chosen])
        whose = np.repeat(np.arange(len(chosen)), start[chosen + 1] - start[chosen])
        expected = taught and taught._replace(expected=taught.expected[torch.from_numpy(chosen)])
        who, item, value = map(torch.from_numpy, (whose, items[rows], values[rows]))
        yield _Batch(who, item, value, expected)


def _set_rate(optimizer: torch.optim.Optimizer, rate: float, step: int, steps: int) -> None:
    """A short warm-up, then a cosine."""
    cosine = 0.02 + 0.49 * (1.0 + math.cos(math.pi * step / steps))
    for group in optimizer.param_groups:
        group["lr"] = rate * min(1.0, (step + 1) / 50) * cosine


def _learn(model: Reader, optimizer: torch.optim.Optimizer, batch: _Batch, recipe: RatingRecipe) -> None:
    """One step on whole people: each rating from the others of its person."""
    totals, others = leave_one_out(model, batch.who, batch.item, batch.value)
    stars, products = model.stars(model.read(others), batch.item)
    loss = recipe.observed * (stars - batch.value).square().mean() + recipe.penalty * products.square().sum(1).mean()
    if batch.taught is not None:
        apart = (model.all_stars(model.read(totals)) - batch.taught.expected).square()
        loss = loss + recipe.taught * (apart @ batch.taught.weight).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def damped_means(ratings: Ratings, items: int, damp: float = 5.0) -> tuple[float, Floats]:
    """(mean of all, bias of each item [items]), alternating with the people's; few ratings count less."""
    people = int(ratings.people.max()) + 1
    mean, of_people = float(ratings.values.mean()), np.zeros(people)
    of_items = np.zeros(items)
    for _ in range(5):
        residual = ratings.values - mean - of_people[ratings.people]
        of_items = np.bincount(ratings.items, residual, items) / (np.bincount(ratings.items, minlength=items) + damp)
        residual = ratings.values - mean - of_items[ratings.items]
        counts = np.bincount(ratings.people, minlength=people)
        of_people = np.bincount(ratings.people, residual, people) / (counts + damp)
    return mean, of_items.astype(np.float32)


def _optimizer(model: Reader, recipe: RatingRecipe) -> torch.optim.Optimizer:
    inputs, outputs = [model.rated, model.liked], [model.item]
    rest = [one for one in model.parameters() if not any(one is other for other in (*inputs, *outputs))]
    groups = [
        {"params": part, "weight_decay": decay}
        for part, decay in zip((inputs, outputs, rest), recipe.decays, strict=True)
    ]
    return torch.optim.AdamW(groups, lr=recipe.rate, betas=(0.9, 0.99))


def _towards(average: float) -> Callable[[list[Tensor], list[Tensor], Tensor], None]:
    @torch.no_grad()
    def update(averages: list[Tensor], weights: list[Tensor], steps: Tensor) -> None:
        torch._foreach_lerp_(averages, weights, 1.0 - min(average, (1.0 + float(steps)) / (10.0 + float(steps))))

    return update


def _spread(model: RatingModel, rated: Longs, items: int) -> RatingModel:
    """Rows of the rated items put to the items' own numbers; zeros for all others."""

    def spread(rows: Floats) -> Floats:
        out = np.zeros((items, *rows.shape[1:]), np.float32)
        out[rated] = rows
        return out

    return model._replace(
        bias=spread(model.bias),
        rated=spread(model.rated),
        liked=spread(model.liked),
        item=spread(model.item),
        item_bias=spread(model.item_bias),
    )
