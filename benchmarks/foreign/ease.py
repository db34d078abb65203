"""EASE, which has no package of its own: the one peer written here, in closed form (Steck 2019, equations 7 and 8).

With G = X'X + ridge I over the people x items matrix X of what was met, and P = G^-1, the weights are
B = I - P diag(1 / diag(P)): zero on the diagonal, so that no item speaks for itself. A person's scores are the sum of
the rows of B of what the person has met, so an event revealed after the cut adds one row.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .task import Fitted, Longs, Scores, Task


def ease(task: Task, ridge: float) -> Fitted:
    table = weights(met(task), ridge).astype(np.float32)
    sums: dict[int, Scores] = {}
    told: dict[int, int] = {}

    def scores(asked: Longs) -> Scores:
        out = np.empty((len(asked), task.items), np.float32)
        for row, question in enumerate(asked.tolist()):
            person, history = int(task.person[task.cut + question]), task.history(question)
            mine = sums.setdefault(person, np.zeros(task.items, np.float32))
            for item in history[told.get(person, 0) :].tolist():
                mine += table[item]
            told[person], out[row] = len(history), mine
        return out

    return Fitted(scores, task.in_history())


def met(task: Task) -> NDArray[np.float32]:
    """X: 1 where the person met the item before the cut, [people, items]."""
    out = np.zeros((task.people, task.items), np.float32)
    out[task.person[: task.cut], task.item[: task.cut]] = 1.0
    return out


def weights(matrix: NDArray[np.float32], ridge: float) -> NDArray[np.float64]:
    """B [items, items]; ``ridge`` is the penalty on its squares."""
    gram = (matrix.T @ matrix).astype(np.float64)  # counts below 2^24: exact in single precision
    gram[np.diag_indices_from(gram)] += ridge
    inverse = np.linalg.inv(gram)
    out = -inverse / np.diag(inverse)
    np.fill_diagonal(out, 0.0)
    return out


FITS = {"ease": ease}
