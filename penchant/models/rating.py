"""How many stars a person would give: `r = mu + b_i + b_u + u . v_i`, read from a sum over that person's ratings.

The sums are the part of a person's state that has no order: one rating adds `contribution(item, stars)`, and u and
b_u are read from the total by a small network. No parameter belongs to a person, so a new one works at once. Of an item
that nobody had rated in training, whether it was there or not, nothing is known: it moves the person's average and no
more, and is predicted as that. Ancestors: NSVD (Paterek 2007), Asymmetric SVD (Koren 2008), CF-NADE (Zheng et al.
2016). Fitted by `learning.ratings`, served here in numpy.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Longs = NDArray[np.int64]

SUMS = 72  # learned sums
SIZE = SUMS + 3  # and: how many ratings, their residuals' sum, and the sum of their squares


class RatingModel(NamedTuple):
    """Arrays over the items of the training, [items, ...], and the network that reads the sums."""

    mean: Floats  # [1]
    bias: Floats  # [items], of the damped means
    rated: Floats  # [items, SUMS], what having rated it says
    liked: Floats  # [items, SUMS], what each star above its mean says
    item: Floats  # [items, width], v
    item_bias: Floats  # [items], learned on top
    damp: Floats  # [SUMS], ratings that a sum is divided by at least
    straight: Floats  # [width + 1, SUMS + 5] and its bias
    straight_bias: Floats
    inner: Floats  # [hidden, SUMS + 5] and its bias
    inner_bias: Floats
    outer: Floats  # [width + 1, hidden] and its bias
    outer_bias: Floats
    limits: Floats  # [2], the least and the most that was ever given
    actions: Longs  # numbers of the actions whose values are ratings

    def contribution(self, items: Longs, values: Floats) -> Floats:
        """What each of n ratings adds to its person's sums [n, SIZE]; nothing where there is no item (-1)."""
        known, places = self._known(items)
        residual = (values - self.mean - np.where(known, self.bias[places], 0.0))[:, None]
        learned = np.where(known[:, None], self.rated[places] + residual * self.liked[places], 0.0)
        out = np.concatenate((learned, np.ones_like(residual), residual, residual * residual), 1)
        kept: Floats = (out * (items >= 0)[:, None]).astype(np.float32)
        return kept

    def read(self, sums: Floats) -> Floats:
        """u and b_u [n, width + 1] from sums [n, SIZE]."""
        learned, n, r, squares = np.split(sums, (SUMS, SUMS + 1, SUMS + 2), axis=1)
        mean = r / (n + 5.0)
        spread = np.sqrt(np.maximum((squares + 4.5) / (n + 5.0) - mean * mean, 0.01))
        scaled = learned / np.sqrt(n + self.damp)
        about = (np.log1p(n) / 5.0 - 0.8, mean, spread - 0.9, 0.1 * r / np.sqrt(n + 1.0), 1.0 / np.sqrt(n + 1.0))
        x = np.concatenate((scaled, *about), 1)
        h = x @ self.inner.T + self.inner_bias
        h = h / (1.0 + np.exp(np.minimum(-h, 60.0)))
        out = x @ self.straight.T + self.straight_bias + h @ self.outer.T + self.outer_bias
        out[:, -1:] += mean
        read: Floats = out.astype(np.float32)
        return read

    def predict(self, read: Floats, items: Longs) -> Floats:
        """Stars [n] that one person, read as [width + 1], would give to n items."""
        known, places = self._known(items)
        of_items = self.bias[places] + self.item_bias[places] + self.item[places] @ read[:-1]
        stars = self.mean + read[-1] + np.where(known, of_items, 0.0)
        out: Floats = np.clip(stars, *self.limits).astype(np.float32)
        return out

    def _known(self, items: Longs) -> tuple[NDArray[np.bool_], Longs]:
        """(whether an item was there in training, a row to read of it) [n]."""
        known = (items >= 0) & (items < len(self.bias))
        return known, np.where(known, items, 0)

    def packed(self) -> bytes:
        out = io.BytesIO()
        np.savez(out, **self._asdict())
        return out.getvalue()

    @classmethod
    def load(cls, path: Path) -> RatingModel:
        with np.load(path, allow_pickle=False) as file:
            arrays: dict[str, Any] = {name: file[name] for name in cls._fields}
        return cls(**arrays)
