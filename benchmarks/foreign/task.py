"""What every peer is asked, and where its answers stood: numpy alone.

A task is a log in time order, of which the first ``cut`` events are learned from; every later one is a question: which
item does this person turn to, after all of that person's earlier events, those after the cut included? Candidates are
the whole catalogue without what the person has met. Ties go to the smaller item number: the item first mentioned.

Two rules are the same for all peers. An item that was never met before the cut has no place: none of them can say
anything of it. Where a peer knows nothing of the person (see `Fitted.knows`), popularity before the cut answers.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Longs = NDArray[np.int64]
Scores = NDArray[np.float32]
Bools = NDArray[np.bool_]

BATCH = 512
NEVER = np.float32(-np.inf)


class Fitted(NamedTuple):
    """A peer that has learned; all that follows is asking, and no part of the seconds of its fit.

    scores  question numbers [n] -> scores [n, items]; -inf: not in its list
    knows   [questions] whether it knows anything of the person
    rates   predicted rating of each question's item, [questions]; of rating predictors alone
    """

    scores: Callable[[Longs], Scores]
    knows: Bools
    rates: Callable[[], NDArray[np.float64]] | None = None


class Task:
    """``person item value time`` [events] in time order, ``cut``, ``items``: how many the catalogue has."""

    def __init__(self, person: Longs, item: Longs, value: NDArray[np.float64], time: NDArray[np.float64], cut: int,
                 items: int) -> None:  # fmt: skip
        self.person, self.item, self.value, self.time, self.cut, self.items = person, item, value, time, cut, items
        self.people = int(person.max()) + 1
        order = np.argsort(person, kind="stable")
        self._items = item[order]
        self._at = np.empty(len(order), np.int64)
        self._at[order] = np.arange(len(order))
        self._first = np.searchsorted(person[order], np.arange(self.people))

    @classmethod
    def read(cls, path: Path) -> Task:
        with np.load(path) as file:
            columns = {name: file[name] for name in ("person", "item", "value", "time")}
            return cls(**columns, cut=int(file["cut"]), items=int(file["items"]))

    def write(self, path: Path) -> None:
        np.savez(path, person=self.person, item=self.item, value=self.value, time=self.time, cut=self.cut,
                 items=self.items)  # fmt: skip

    @property
    def questions(self) -> int:
        return len(self.item) - self.cut

    def history(self, question: int) -> Longs:
        """Items that the person met before the question, oldest first."""
        event = self.cut + question
        return self._items[self._first[self.person[event]] : self._at[event]]

    def told(self, asked: Longs) -> tuple[Longs, Longs]:
        """(row starts [n + 1], items) of the histories of these questions: a sparse matrix by rows."""
        histories = [self.history(question) for question in asked.tolist()]
        starts = np.concatenate([[0], np.cumsum([len(one) for one in histories])]).astype(np.int64)
        return starts, np.concatenate(histories).astype(np.int64)

    def popularity(self) -> Scores:
        """How often each item was met before the cut, [items]."""
        return np.bincount(self.item[: self.cut], minlength=self.items).astype(np.float32)

    def in_history(self) -> Bools:
        """[questions] whether the person has any event before the question: for peers that read a history."""
        event = np.arange(self.cut, len(self.item))
        return self._at[event] > self._first[self.person[event]]

    def in_training(self) -> Bools:
        """[questions] whether the person has any event before the cut: for peers that learn people by number."""
        return np.isin(self.person[self.cut :], self.person[: self.cut])


def places(task: Task, fitted: Fitted) -> Longs:
    """Place of every question's item, from 0; -1 where it is in no list. [questions]"""
    out = np.empty(task.questions, np.int64)
    popularity = task.popularity()
    for start in range(0, task.questions, BATCH):
        asked = np.arange(start, min(start + BATCH, task.questions))
        scores = np.where(fitted.knows[asked, None], fitted.scores(asked), popularity)
        starts, met = task.told(asked)
        scores[np.repeat(np.arange(len(asked)), np.diff(starts)), met] = NEVER
        scores[:, popularity == 0] = NEVER
        out[asked] = ranked(scores, task.item[task.cut + asked])
    return out


def ranked(scores: Scores, own: Longs) -> Longs:
    """How many items stand before item ``own`` [n] in each row of ``scores`` [n, items]; -1 where its score is -inf."""
    its = np.take_along_axis(scores, own[:, None], 1)
    before = (scores > its) | ((scores == its) & (np.arange(scores.shape[1]) < own[:, None]))
    return np.where(its[:, 0] == NEVER, -1, before.sum(1)).astype(np.int64)


def peak_mb() -> float:
    """The most memory that this process held, in MB: VmHWM of Linux. `ru_maxrss` begins at what the parent held."""
    status = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(float(line.split()[1]) / 1024.0 for line in status if line.startswith("VmHWM"))
