"""`models.rating` as it is learned: the same reading of the same sums, in torch."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from penchant.models.rating import SIZE, SUMS, RatingModel

Longs = NDArray[np.int64]
Floats = NDArray[np.float32]

_WIDTH, _HIDDEN, _DROPOUT = 64, 128, 0.2


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

    def all_stars(self, read: Tensor) -> Tensor:
        """Stars [people, items], not clipped."""
        return self.mean + self.bias + self.item_bias + read[:, -1:] + read[:, :-1] @ self.item.T


def leave_one_out(model: Reader, who: Tensor, item: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
    """Sums [people, SIZE] of people's ratings [n], and for each rating those of the person's others [n, SIZE]."""
    each = model.contribution(item, value)
    totals = torch.zeros(int(who[-1]) + 1, SIZE).index_add(0, who, each)
    return totals, totals.index_select(0, who) - each


def served(model: Reader, limits: Floats, actions: Longs) -> RatingModel:
    """The parameters as arrays, to be read in numpy."""

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
