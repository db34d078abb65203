"""`scikit-surprise`: predictors of ratings, whose lists are ordered by the rating predicted (not clipped: no ties).

They learn people by number and cannot take an event in after the fit, so a person of the training has the same ratings
predicted throughout; only what was met is removed. Their RMSE is of all questions, with the package's own answer for
people whom it does not know.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from surprise import SVD, AlgoBase, Dataset, KNNBaseline, Reader, SVDpp

from .task import Fitted, Longs, Scores, Task


def svd(task: Task, seed: int = 0, **settings: Any) -> Fitted:
    return predictor(task, SVD(random_state=seed, **settings))


def svdpp(task: Task, seed: int = 0, **settings: Any) -> Fitted:
    return predictor(task, SVDpp(random_state=seed, cache_ratings=True, **settings))


def ratedknn(task: Task, neighbours: int, shrinkage: int) -> Fitted:
    like = {"name": "pearson_baseline", "user_based": False, "shrinkage": shrinkage}
    return predictor(task, KNNBaseline(k=neighbours, sim_options=like, verbose=False))


def predictor(task: Task, model: AlgoBase) -> Fitted:
    columns = (column[: task.cut].tolist() for column in (task.person, task.item, task.value))
    ratings = zip(*columns, strict=True)
    reader = Reader(rating_scale=(float(task.value[: task.cut].min()), float(task.value[: task.cut].max())))
    model.fit(Dataset(reader).construct_trainset([(*rating, None) for rating in ratings]))
    rows: dict[int, Scores] = {}
    knows, person = task.in_training(), task.person[task.cut :]

    def row(who: int) -> Scores:
        if who not in rows:
            said = [model.predict(who, item, clip=False).est for item in range(task.items)]
            rows[who] = np.array(said, np.float32)
        return rows[who]

    def scores(asked: Longs) -> Scores:
        out = np.zeros((len(asked), task.items), np.float32)
        for k in np.flatnonzero(knows[asked]).tolist():
            out[k] = row(int(person[asked[k]]))
        return out

    def rates() -> NDArray[np.float64]:
        pairs = zip(person.tolist(), task.item[task.cut :].tolist(), strict=True)
        return np.array([model.predict(who, item).est for who, item in pairs])

    return Fitted(scores, knows, rates)


FITS = {"svd": svd, "svdpp": svdpp, "ratedknn": ratedknn}
