"""Fitting `models.rating`: what a person's other ratings say of each rating.

Every training rating is predicted from its person's other ratings, the total minus its own contribution. That is the
situation at serving, it needs no masking, and a batch of people is two index_adds and one small network. The one
regulariser that matters is on the products, the mean of sum_k (u_k v_ik)^2: what dropout on u would add in expectation
(Wager et al. 2013), without its noise, and nobody can escape it by making u large and v small.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from penchant.learning.dataset import Histories
from penchant.models.rating import SIZE, SUMS, RatingModel

Longs = NDArray[np.int64]
Floats = NDArray[np.float32]

LEAST = 1000  # ratings below which none are predicted
_WIDTH, _HIDDEN, _DROPOUT = 64, 128, 0.2


class RatingRecipe(NamedTuple):
    """Chosen on a validation part of MovieLens-1M's and -100K's training ratings: docs/log.md."""

    epochs: int = 12
    people: int = 64  # a batch
    rate: float = 4e-3
    penalty: float = 2.5  # on (u_k v_ik)^2
    decays: tuple[float, float, float] = (1.0, 0.3, 0.1)  # of what enters the sums, of items, of the network
    average: float = 0.99  # of the weights
    seed: int = 0


class Ratings(NamedTuple):
    """Ratings in any order, [n]."""

    people: Longs
    items: Longs
    values: Floats


class Reader(nn.Module):
    """The parameters; see `models.rating` for what they mean."""

    def __init__(self, mean: float, bias: Floats) -> None:
        super().__init__()
        items = len(bias)
        self.register_buffer("mean", torch.tensor([mean], dtype=torch.float32))
        self.register_buffer("bias", torch.from_numpy(bias.astype(np.float32)))
        self.rated = nn.Parameter(torch.randn(items, SUMS) * 0.02)
        self.liked = nn.Parameter(torch.randn(items, SUMS) * 0.02)
        self.item = nn.Parameter(torch.randn(items, _WIDTH) * 0.04)
        self.item_bias = nn.Parameter(torch.zeros(items))
        self.damp = nn.Parameter(torch.ones(SUMS))
        self.straight = nn.Linear(SUMS + 5, _WIDTH + 1)
        self.inner = nn.Linear(SUMS + 5, _HIDDEN)
        self.outer = nn.Linear(_HIDDEN, _WIDTH + 1)
        nn.init.zeros_(self.outer.weight)
        nn.init.zeros_(self.outer.bias)

    def contribution(self, item: Tensor, value: Tensor) -> Tensor:
        residual = (value - self.mean - self.bias[item])[:, None]
        learned = functional.embedding(item, self.rated) + residual * functional.embedding(item, self.liked)
        return torch.cat((learned, torch.ones_like(residual), residual, residual * residual), 1)

    def read(self, sums: Tensor) -> Tensor:
        learned, n, r, squares = sums.split((SUMS, 1, 1, 1), 1)
        mean = r / (n + 5.0)
        spread = ((squares + 4.5) / (n + 5.0) - mean * mean).clamp_min(0.01).sqrt()
        scaled = learned / (n + 10.0 * functional.softplus(self.damp)).sqrt()
        about = (torch.log1p(n) / 5.0 - 0.8, mean, spread - 0.9, 0.1 * r / (n + 1.0).sqrt(), (n + 1.0).rsqrt())
        x = torch.cat((scaled, *about), 1)
        h = functional.dropout(functional.silu(self.inner(x)), _DROPOUT, self.training)
        out = self.straight(x) + self.outer(h)
        return torch.cat((out[:, :-1], out[:, -1:] + mean), 1)

    def stars(self, read: Tensor, item: Tensor) -> tuple[Tensor, Tensor]:
        """Stars [n], not clipped, and the products [n, width] that the penalty is on."""
        products = read[:, :-1] * functional.embedding(item, self.item)
        return self.mean + (self.bias + self.item_bias)[item] + read[:, -1] + products.sum(1), products


def of_histories(histories: Histories, actions: Longs) -> Ratings:
    """The ratings among all events: those of the given actions that have a value and an item."""
    rows = np.isfinite(histories.value) & (histories.item >= 0) & np.isin(histories.action, actions)
    people = np.repeat(np.arange(histories.people), np.diff(histories.start))
    return Ratings(people[rows], histories.item[rows], histories.value[rows])


def fit(
    ratings: Ratings,
    items: int,
    actions: Longs,
    recipe: RatingRecipe | None = None,
    told: Callable[[int, int, float], None] | None = None,
) -> RatingModel:
    """Fit to ratings of items numbered below ``items``; ``told(epoch, of epochs, training RMSE)`` after each."""
    recipe = recipe or RatingRecipe()
    torch.manual_seed(recipe.seed)
    random = np.random.default_rng(recipe.seed)
    order = np.argsort(ratings.people, kind="stable")
    _, counts = np.unique(ratings.people, return_counts=True)
    start = np.concatenate(([0], np.cumsum(counts)))
    item, value = torch.from_numpy(ratings.items[order]), torch.from_numpy(ratings.values[order])
    model = Reader(*damped_means(ratings, items))
    averaged = torch.optim.swa_utils.AveragedModel(model, multi_avg_fn=_towards(recipe.average))
    optimizer = _optimizer(model, recipe)
    steps, step = recipe.epochs * math.ceil(len(counts) / recipe.people), 0
    for epoch in range(recipe.epochs):
        squares = 0.0
        for chosen in np.split(random.permutation(len(counts)), range(recipe.people, len(counts), recipe.people)):
            for group in optimizer.param_groups:
                cosine = 0.02 + 0.49 * (1.0 + math.cos(math.pi * step / steps))
                group["lr"] = recipe.rate * min(1.0, (step + 1) / 50) * cosine
            rows = torch.from_numpy(np.concatenate([np.arange(start[p], start[p + 1]) for p in chosen]))
            who = torch.from_numpy(np.repeat(np.arange(len(chosen)), counts[chosen]))
            squares += _learn(model, optimizer, (who, item[rows], value[rows]), recipe.penalty)
            averaged.update_parameters(model)
            step += 1
        if told:
            told(epoch + 1, recipe.epochs, math.sqrt(squares / len(item)))
    limits = np.array([ratings.values.min(), ratings.values.max()], np.float32)
    return _served(averaged.module, limits, actions)


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


def _learn(
    model: Reader, optimizer: torch.optim.Optimizer, batch: tuple[Tensor, Tensor, Tensor], penalty: float
) -> float:
    """One step on whole people; the sum of squared errors."""
    who, item, value = batch
    each = model.contribution(item, value)
    totals = torch.zeros(int(who[-1]) + 1, SIZE).index_add(0, who, each)
    stars, products = model.stars(model.read(totals.index_select(0, who) - each), item)
    error = (stars - value).square().mean()
    optimizer.zero_grad()
    (error + penalty * products.square().sum(1).mean()).backward()
    optimizer.step()
    return error.item() * len(item)


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


def _served(model: Reader, limits: Floats, actions: Longs) -> RatingModel:
    def array(tensor: Tensor) -> Floats:
        out: Floats = tensor.detach().numpy().copy()
        return out

    return RatingModel(
        mean=array(model.mean),
        bias=array(model.bias),
        rated=array(model.rated),
        liked=array(model.liked),
        item=array(model.item),
        item_bias=array(model.item_bias),
        damp=array(10.0 * functional.softplus(model.damp)),
        straight=array(model.straight.weight),
        straight_bias=array(model.straight.bias),
        inner=array(model.inner.weight),
        inner_bias=array(model.inner.bias),
        outer=array(model.outer.weight),
        outer_bias=array(model.outer.bias),
        limits=limits,
        actions=actions,
    )
