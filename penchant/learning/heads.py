"""What a person does with an item it turns to: `P(action a) = sigmoid(f(x)^T W_a g(y) + b_a)`.

An example is an interaction with an item: f(x) just before it, g(y), and what the person did with that item within the
hour (`evaluation.labels`). So the probability reads: if this item is what comes next, how likely is each action. State
and items stand still while the heads are fitted. Slope and shift (Platt 1999) are found on validation, for heads of a
model that did not learn from it, and carried over to the heads of the model that did.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from penchant.models.heads import Heads

Floats = NDArray[np.float32]
Longs = NDArray[np.int64]

_EPOCHS, _TOGETHER, _RATE, _DECAY = 8, 4096, 2e-3, 1e-4
_LEAST = 20  # examples of an action, and of its absence, below which there is no head for it


class Examples(NamedTuple):
    """f(x) [n, dim], g(y) [n, dim] and what was done, 1 or 0 [n, actions]; in time order."""

    asked: Floats
    item: Floats
    done: Floats


class Calibration(NamedTuple):
    """Slope and shift [heads] of the logits."""

    slope: Floats
    shift: Floats


def can_be_told_apart(done: Floats) -> Longs:
    """The actions that were done often enough, and left undone often enough, to have a head."""
    return np.flatnonzero((done.sum(0) >= _LEAST) & ((1 - done).sum(0) >= _LEAST))


def fit(examples: Examples, action: Longs, seed: int = 0) -> Heads:
    """Heads for these actions, not calibrated."""
    n, dim = examples.asked.shape
    asked, item = torch.from_numpy(examples.asked), torch.from_numpy(examples.item)
    done = torch.from_numpy(examples.done[:, action])
    generator = torch.Generator().manual_seed(seed)
    weight = torch.zeros(len(action), dim, dim, requires_grad=True)
    bias = torch.logit(done.mean(0).clamp(1e-4, 1 - 1e-4)).requires_grad_()
    optimizer = torch.optim.AdamW([weight, bias], lr=_RATE, weight_decay=_DECAY)
    for _ in range(_EPOCHS):
        for rows in torch.randperm(n, generator=generator).split(_TOGETHER):
            logits = _logits(asked[rows], item[rows], weight) + bias
            loss = functional.binary_cross_entropy_with_logits(logits, done[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return Heads(action, weight.detach().numpy(), bias.detach().numpy())


def calibration(heads: Heads, examples: Examples) -> Calibration:
    """What makes examples that the heads did not learn from most likely; (1, 0) where there are too few."""
    done = torch.from_numpy(examples.done[:, heads.action]).double()
    asked, item = torch.from_numpy(examples.asked), torch.from_numpy(examples.item)
    logits = (_logits(asked, item, torch.from_numpy(heads.weight)) + torch.from_numpy(heads.bias)).double()
    slope, shift = np.ones(len(heads.action), np.float32), np.zeros(len(heads.action), np.float32)
    for head in range(len(heads.action)):
        positive = float(done[:, head].sum())
        if min(positive, len(done) - positive) >= _LEAST:
            slope[head], shift[head] = _platt(logits[:, head], done[:, head])
    return Calibration(slope, shift)


def calibrated(heads: Heads, by: Calibration) -> Heads:
    """The same heads with slope and shift taken in."""
    return Heads(heads.action, heads.weight * by.slope[:, None, None], heads.bias * by.slope + by.shift)


def _logits(asked: torch.Tensor, item: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    return (torch.einsum("nd,hde->nhe", asked, weight) * item[:, None]).sum(-1)


def _platt(logits: torch.Tensor, done: torch.Tensor) -> tuple[float, float]:
    """Slope and shift by maximum likelihood."""
    parameters = torch.tensor([1.0, 0.0], dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([parameters], max_iter=50, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = functional.binary_cross_entropy_with_logits(logits * parameters[0] + parameters[1], done)
        loss.backward()
        return loss

    optimizer.step(closure)
    slope, shift = parameters.detach().tolist()
    return slope, shift
