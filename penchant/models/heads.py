"""What a person does with an item it turns to: `P(action a) = sigmoid(f(x)^T W_a g(y) + b_a)`, as it is served.

Fitted and calibrated by `learning.heads`.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Longs = NDArray[np.int64]


class Heads(NamedTuple):
    """``action`` [heads] numbers of actions, ``weight`` [heads, dim, dim], ``bias`` [heads], calibration included."""

    action: Longs
    weight: Floats
    bias: Floats

    def probabilities(self, asked: Floats, item: Floats) -> Floats:
        """[n, heads] for pairs of f(x) and g(y), [n, dim] each; one f(x) [1, dim] may stand for all."""
        logits = np.stack([((asked @ weight) * item).sum(1) for weight in self.weight], 1) + self.bias
        out: Floats = (0.5 + 0.5 * np.tanh(0.5 * logits)).astype(np.float32)  # the logistic, which cannot overflow
        return out

    def packed(self) -> bytes:
        out = io.BytesIO()
        np.savez(out, **self._asdict())
        return out.getvalue()

    @classmethod
    def load(cls, path: Path) -> Heads:
        with np.load(path, allow_pickle=False) as file:
            return cls(file["action"], file["weight"], file["bias"])
