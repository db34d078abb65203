"""Heads on a world whose probabilities are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch.nn")

from penchant.evaluation import metrics
from penchant.learning.heads import (
    Examples,
    calibrated,
    calibration,
    can_be_told_apart,
    fit,
)
from penchant.models.heads import Heads

DIM = 4


def world(n: int, seed: int, loudness: float = 1.0) -> tuple[Examples, np.ndarray]:
    """(examples of three actions, their probabilities): one that both sides decide, one that is rare, one always."""
    draw = np.random.default_rng(seed)
    asked, item = (draw.standard_normal((n, DIM)).astype(np.float32) for _ in "fg")
    truth = np.random.default_rng(99).standard_normal((DIM, DIM))
    logits = np.stack([((asked @ truth) * item).sum(1), np.full(n, -2.0), np.full(n, 99.0)], 1)
    probability = 1 / (1 + np.exp(-logits))
    done = (draw.random((n, 3)) < probability).astype(np.float32)
    return Examples(asked * np.float32(loudness), item, done), probability


def test_calibrated_heads_tell_the_probabilities() -> None:
    """Also where f(x) is louder in training than on validation, as it is of a model that knows what it learned."""
    train, _ = world(6000, 0, loudness=3.0)
    held, _ = world(3000, 1)
    test, probability = world(6000, 2)
    action = can_be_told_apart(train.done)
    assert action.tolist() == [0, 1]  # the one that is always done needs no head
    fitted = fit(train, action)
    heads = calibrated(fitted, calibration(fitted, held))
    told = heads.probabilities(test.asked, test.item)
    plain = fitted.probabilities(test.asked, test.item)
    for head in (0, 1):
        done = test.done[:, head].astype(np.int64)
        assert metrics.calibration_error(told[:, head].astype(np.float64), done) < 0.04
        assert told[:, head].mean() == pytest.approx(probability[:, head].mean(), abs=0.03)
    first = test.done[:, 0].astype(np.int64)
    assert metrics.auc(told[:, 0].astype(np.float64), first) > 0.75
    losses = [metrics.log_losses(one[:, 0].astype(np.float64), first).mean() for one in (told, plain)]
    assert losses[0] < losses[1]
    assert np.abs(told[:, 0] - probability[:, 0]).mean() < 0.12


def test_the_same_examples_give_the_same_heads() -> None:
    train, _ = world(500, 0)
    for one, other in zip(fit(train, np.array([0])), fit(train, np.array([0])), strict=True):
        np.testing.assert_array_equal(one, other)


def test_an_action_with_too_few_examples_has_no_head() -> None:
    done = np.zeros((100, 4), np.float32)
    done[:19, 0], done[:20, 1], done[:80, 2], done[:81, 3] = 1, 1, 1, 1
    assert can_be_told_apart(done).tolist() == [1, 2]
    assert can_be_told_apart(np.zeros((0, 4), np.float32)).tolist() == []


def test_too_few_held_out_examples_leave_a_head_as_it_is() -> None:
    train, _ = world(500, 0)
    fitted = fit(train, np.array([0, 1]))
    for n in (0, 30):
        by = calibration(fitted, world(n, 1)[0])
        assert (by.slope.tolist(), by.shift.tolist()) == ([1, 1], [0, 0])


def test_heads_that_can_tell_everything_stay_finite() -> None:
    """Separable examples: the best slope would be infinite."""
    asked = np.repeat(np.array([[1.0], [-1.0]], np.float32), 100, 0)
    examples = Examples(asked, np.ones((200, 1), np.float32), (asked > 0).astype(np.float32))
    fitted = fit(examples, np.array([0]))
    heads = calibrated(fitted, calibration(fitted, examples))
    told = heads.probabilities(np.array([[1.0], [-1.0], [1e6], [-1e6]], np.float32), np.ones((4, 1), np.float32))
    assert np.isfinite(heads.weight).all()
    assert told[0, 0] > 0.9 > 0.1 > told[1, 0]
    assert ((told >= 0) & (told <= 1)).all()


def test_heads_are_read_as_they_were_packed(tmp_path: Path) -> None:
    heads = Heads(np.array([2]), np.ones((1, 3, 3), np.float32), np.array([0.5], np.float32))
    (tmp_path / "heads.npz").write_bytes(heads.packed())
    for one, other in zip(Heads.load(tmp_path / "heads.npz"), heads, strict=True):
        np.testing.assert_array_equal(one, other)
