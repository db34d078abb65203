"""`RecTools`: SASRec (Kang & McAuley 2018) with the softmax over the whole catalogue as its loss.

Everybody's revealed history is handed over as that of somebody new, so one fit answers every question; the model itself
reads its last ``session_max_len`` events, the list hides all of them.
"""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import torch
from rectools import Columns
from rectools.dataset import Dataset
from rectools.models import SASRecModel

from .task import NEVER, Fitted, Longs, Scores, Task

LISTED = 100


def sasrec(task: Task, epochs: int, factors: int, blocks: int, heads: int, dropout: float, length: int, seed: int = 0
           ) -> Fitted:  # fmt: skip
    warnings.filterwarnings("ignore")
    torch.manual_seed(seed)
    np.random.seed(seed)
    model = SASRecModel(n_blocks=blocks, n_heads=heads, n_factors=factors, dropout_rate=dropout, loss="softmax",
                        session_max_len=length, epochs=epochs, recommend_batch_size=256)  # fmt: skip
    learned = slice(0, task.cut)
    model.fit(table(task.person[learned], task.item[learned], np.arange(task.cut)))

    def scores(asked: Longs) -> Scores:
        out = np.full((len(asked), task.items), NEVER, np.float32)
        starts, items = task.told(asked)
        row = np.repeat(np.arange(len(asked)), np.diff(starts))
        some = np.unique(row)
        if len(some):
            lists = model.recommend(some, table(row, items, np.arange(len(row))), k=LISTED, filter_viewed=True,
                                    on_unsupported_targets="ignore")  # fmt: skip
            out[lists[Columns.User].to_numpy(), lists[Columns.Item].to_numpy()] = lists[Columns.Score].to_numpy()
        return out

    return Fitted(scores, task.in_history())


def table(person: Longs, item: Longs, order: Longs) -> Dataset:
    """The package's own form of a log; the order within a person is all it reads of the time."""
    day = pd.Timestamp("2000-01-01") + pd.to_timedelta(order, unit="s")
    columns = {Columns.User: person, Columns.Item: item, Columns.Weight: 1.0, Columns.Datetime: day}
    return Dataset.construct(pd.DataFrame(columns))


FITS = {"sasrec": sasrec}
