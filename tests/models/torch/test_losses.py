"""The losses against torch's own cross-entropy, in float32, whatever the chunks."""

from __future__ import annotations

import math

import pytest

pytest.importorskip("torch.nn")

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from penchant.models.torch import losses
from penchant.models.torch.losses import full_softmax, sampled_softmax

CLOSE = {"rtol": 1e-4, "atol": 1e-5}


def drawn(seed: int, positions: int, items: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(seed)
    asked, table = torch.randn(positions, 5, requires_grad=True), torch.randn(items, 5, requires_grad=True)
    return asked, table, torch.randint(items, (positions,))


def learned(loss: torch.Tensor, *parts: torch.Tensor) -> list[torch.Tensor]:
    """The loss and what it says of each part."""
    return [loss.detach(), *torch.autograd.grad(loss * 1.7, parts)]


def hidden_pairs(seed: int, target: torch.Tensor, items: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Some (position, item) pairs, positions ascending, never a target."""
    torch.manual_seed(seed + 1)
    hidden = torch.rand(len(target), items) < 0.3
    hidden[torch.arange(len(target)), target] = False
    row, item = hidden.nonzero(as_tuple=True)
    return row, item


@given(
    seed=st.integers(0, 10**6),
    positions=st.integers(1, 23),
    items=st.integers(2, 9),
    chunk=st.sampled_from((1, 4, 7, 64)),
    hides=st.booleans(),
)
@settings(max_examples=40)
def test_the_full_softmax_is_cross_entropy_however_it_is_cut(
    seed: int, positions: int, items: int, chunk: int, hides: bool
) -> None:
    asked, table, target = drawn(seed, positions, items)
    hidden = hidden_pairs(seed, target, items) if hides else None
    logits = asked @ table.T
    if hidden is not None:
        logits = logits.index_put(hidden, torch.tensor(-math.inf))
    expected = learned(functional.cross_entropy(logits, target, reduction="sum"), asked, table)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(losses, "_CHUNK", chunk)
        found = learned(full_softmax(asked, table, target, hidden), asked, table)
    torch.testing.assert_close(found, expected, **CLOSE)


def test_what_is_hidden_learns_nothing() -> None:
    asked, table, target = drawn(0, 4, 6)
    target = target % 5
    hidden = torch.arange(4), torch.full((4,), 5)
    _, _, to_table = learned(full_softmax(asked, table, target, hidden), asked, table)
    assert not to_table[5].any()
    assert to_table[:5].any(1).all()


def test_the_full_softmax_in_bfloat16_is_near_that_in_float32() -> None:
    asked, table, target = drawn(1, 50, 40)
    exact = learned(full_softmax(asked, table, target), asked, table)
    near = asked.detach().bfloat16().requires_grad_()
    rough = learned(full_softmax(near, table, target), near, table)
    for found, expected in zip(rough, exact, strict=True):
        torch.testing.assert_close(found.float(), expected, rtol=0.05, atol=0.1)


def test_with_all_items_as_negatives_the_sampled_softmax_is_the_full_one() -> None:
    asked, table, target = drawn(2, 20, 12)
    full = learned(full_softmax(asked, table, target), asked, table)
    sampled = learned(sampled_softmax(asked, table, target, torch.arange(12), 12), asked, table)
    torch.testing.assert_close(sampled, full, **CLOSE)


def test_a_sample_of_negatives_says_about_what_all_of_them_say() -> None:
    asked, table, target = drawn(3, 200, 1000)
    asked, table = asked * 0.5, table * 0.5
    full = full_softmax(asked, table, target).item()
    samples = [sampled_softmax(asked, table, target, torch.randint(1000, (400,)), 1000).item() for _ in range(20)]
    assert sum(samples) / 20 == pytest.approx(full, rel=0.02)
    uncorrected = sampled_softmax(asked, table, target, torch.randint(1000, (400,)), 400).item()
    assert uncorrected < 0.95 * full


def test_a_negative_that_is_the_target_does_not_count() -> None:
    asked, table, target = drawn(4, 6, 8)
    only = sampled_softmax(asked, table, torch.zeros_like(target), torch.zeros(3, dtype=torch.int64), 8)
    assert only.item() == pytest.approx(0.0, abs=1e-6)
