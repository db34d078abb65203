"""`implicit`: weighted matrix factorisation (Hu, Koren & Volinsky 2008), BPR (Rendle et al. 2009), item neighbours.

The factors of a person are computed again from the revealed history (`recalculate_user`); neighbours are asked with it.
BPR learns people by number alone, so it answers for people of the training with the factors of that time.
"""

from __future__ import annotations

import numpy as np
from implicit.als import AlternatingLeastSquares
from implicit.bpr import BayesianPersonalizedRanking
from implicit.nearest_neighbours import BM25Recommender, CosineRecommender, TFIDFRecommender
from scipy.sparse import csr_matrix

from .task import NEVER, Fitted, Longs, Scores, Task

LISTED = 100  # as long as the lists that Penchant is asked for
NEIGHBOURS = {"bm25": BM25Recommender, "cosine": CosineRecommender, "tfidf": TFIDFRecommender}


def als(task: Task, factors: int, regularization: float, alpha: float, iterations: int, seed: int = 0) -> Fitted:
    model = AlternatingLeastSquares(factors=factors, regularization=regularization, alpha=alpha, iterations=iterations,
                                    random_state=seed)  # fmt: skip
    model.fit(before(task), show_progress=False)

    def scores(asked: Longs) -> Scores:
        return model.recalculate_user(asked, histories(task, asked)) @ model.item_factors.T

    return Fitted(scores, task.in_history())


def bpr(task: Task, factors: int, learning_rate: float, regularization: float, iterations: int, seed: int = 0
        ) -> Fitted:  # fmt: skip
    model = BayesianPersonalizedRanking(factors=factors, learning_rate=learning_rate, regularization=regularization,
                                        iterations=iterations, random_state=seed)  # fmt: skip
    model.fit(before(task), show_progress=False)

    def scores(asked: Longs) -> Scores:
        return model.user_factors[task.person[task.cut + asked]] @ model.item_factors.T

    return Fitted(scores, task.in_training())


def knn(task: Task, like: str, neighbours: int) -> Fitted:
    model = NEIGHBOURS[like](K=neighbours)
    model.fit(before(task), show_progress=False)

    def scores(asked: Longs) -> Scores:
        out, rows = np.full((len(asked), task.items), NEVER, np.float32), histories(task, asked)
        for row in np.flatnonzero(np.diff(rows.indptr)).tolist():
            items, its = model.recommend(0, rows[row], N=LISTED)
            out[row, items] = its
        return out

    return Fitted(scores, task.in_history())


def before(task: Task) -> csr_matrix:
    """What was met before the cut, [people, items] of ones."""
    cells = (np.ones(task.cut, np.float32), (task.person[: task.cut], task.item[: task.cut]))
    return csr_matrix(cells, shape=(task.people, task.items))


def histories(task: Task, asked: Longs) -> csr_matrix:
    """What was met before each question, [n, items] of ones."""
    starts, items = task.told(asked)
    return csr_matrix((np.ones(len(items), np.float32), items, starts), shape=(len(asked), task.items))


FITS = {"als": als, "bpr": bpr, "knn": knn}
