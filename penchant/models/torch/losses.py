"""What is minimised.

Next item: the softmax over the whole catalogue, cross-entropy at every position; beyond `FULL` items, over the items
of the batch and shared negatives with the logQ correction (Bengio & Senécal 2008; Yi et al. 2019).
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

FULL = 100_000  # items up to which the softmax is over all of them
_CHUNK = 2048  # positions whose logits are held at a time


class _FullSoftmax(torch.autograd.Function):
    """Sum of cross-entropies; the gradient is made in the forward pass, chunk by chunk, so no logits are kept."""

    @staticmethod
    def forward(
        ctx: Any, asked: Tensor, table: Tensor, target: Tensor, hidden_row: Tensor, hidden_item: Tensor
    ) -> Tensor:
        small = table.to(asked.dtype)
        to_asked, to_table = torch.empty_like(asked), torch.zeros_like(table, dtype=torch.float32)
        loss = torch.zeros((), device=asked.device, dtype=torch.float64)
        ends = torch.searchsorted(hidden_row, torch.arange(0, len(asked) + _CHUNK, _CHUNK, device=asked.device))
        for number, start in enumerate(range(0, len(asked), _CHUNK)):
            rows = slice(start, start + _CHUNK)
            logits = asked[rows] @ small.T
            pairs = slice(int(ends[number]), int(ends[number + 1]))
            if pairs.stop > pairs.start:
                logits[hidden_row[pairs] - start, hidden_item[pairs]] = -1e9
            places = torch.arange(len(logits), device=asked.device)
            own = logits[places, target[rows]].float()
            loss += (torch.logsumexp(logits, -1).float() - own).sum().double()
            share = torch.softmax(logits, -1)
            share[places, target[rows]] -= 1.0
            to_asked[rows] = share @ small
            to_table += (share.T @ asked[rows]).float()
        ctx.save_for_backward(to_asked, to_table)
        return loss.float()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        to_asked, to_table = ctx.saved_tensors
        return to_asked * grad.to(to_asked.dtype), to_table * grad, None, None, None


def full_softmax(asked: Tensor, table: Tensor, target: Tensor, hidden: tuple[Tensor, Tensor] | None = None) -> Tensor:
    """Sum over positions of -log softmax(asked . table)[target]; asked [n, dim], table [items, dim], target [n].

    ``hidden``: (position, item) pairs, positions ascending, that are left out of the denominator.
    """
    none = torch.zeros(0, dtype=torch.int64, device=asked.device)
    loss: Tensor = _FullSoftmax.apply(asked, table, target, *(hidden or (none, none)))
    return loss


def sampled_softmax(asked: Tensor, table: Tensor, target: Tensor, negatives: Tensor, items: int) -> Tensor:
    """Sum of cross-entropies over the target and shared, uniformly drawn negatives, with the logQ correction.

    asked [n, dim], table [m, dim] of the items in use, target [n] and negatives [k] numbered in it, of ``items`` in
    all. A uniform draw is each of k with probability 1 / items, so its logit stands for items / k of them; a negative
    that is the target itself does not count.
    """
    own = (asked.float() * table[target].float()).sum(-1)
    logits = (asked @ table[negatives].T).float() + math.log(items / len(negatives))
    logits = logits.masked_fill(negatives[None] == target[:, None], float("-inf"))
    return (torch.logsumexp(torch.cat((own[:, None], logits), -1), -1) - own).sum()
