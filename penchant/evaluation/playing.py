"""Engines that answer the same questions: predict, then learn, each as late as it is told to be.

`Questions` say what happened and which of it is asked. A `Run` says how one engine goes through it: at once, some
seconds late, or as a job that makes all lists once an hour; and under which settings. Only states and counts are late:
what the person has seen since is still taken out of the list, so that it is not the repetition that is measured.

Each run works on a copy of the prepared folder, which is gone afterwards, and, where there are cores for it, in a
process of its own.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from multiprocessing import Manager, get_context
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from penchant.engine import Engine
from penchant.evaluation import baselines
from penchant.evaluation.asking import Seen
from penchant.evaluation.folders import Progress, learn, opened
from penchant.types import Event, Query

Places = NDArray[np.int64]

PENCHANT = "penchant"
LONGEST = 20  # how far down a list is looked
_MOST = 1000  # items that an engine lists
_TOLD_EVERY = 100


class Questions(NamedTuple):
    """``events`` in time order, ``person`` [n] who did each and ``time`` [n] when, and the ``rows`` [m] of those that
    are asked, rising.

    ``shown``: rows whose lists are kept; ``seen`` as in `Query`: whether lists hide what the person touched.
    """

    events: Sequence[Event]
    person: NDArray[np.int32] | NDArray[np.int64]
    time: NDArray[np.float64]
    rows: NDArray[np.int64]
    shown: frozenset[int] = frozenset()
    seen: Seen = "ever"


class Run(NamedTuple):
    """``lag``: events are learned so many seconds late; ``every``: lists are made at whole multiples of so many seconds
    since 1970, of what was known then (0: when they are asked for); ``settings``: flags for `Engine.open`; ``simple``:
    places under the baselines are noted too."""

    name: str
    lag: float = 0.0
    every: float = 0.0
    settings: Mapping[str, Any] = {}  # travels to another process
    simple: bool = False

    def made(self, moment: float) -> float:
        """When the list was made that a person sees at a moment."""
        return math.floor(moment / self.every) * self.every if self.every else moment

    def known(self, time: NDArray[np.float64], row: int) -> int:
        """How many events are known to the list that is seen just before a row; ``time`` [n] rises."""
        if self.every:  # what happens at the very moment of making comes too late
            return min(row, int(np.searchsorted(time, self.made(float(time[row])), "left")))
        return min(row, int(np.searchsorted(time, time[row] - self.lag, "right"))) if self.lag else row


class Played(NamedTuple):
    """Places [m] of what came next (-1: none), under Penchant and each baseline; ``lists`` that are shown, by row."""

    places: dict[str, Places]
    lists: dict[int, list[str]]


def play(folder: Path, asked: Questions, run: Run, tell: Callable[[int], None]) -> Played:
    """One run, on the folder itself: it is changed."""
    names = (PENCHANT, *baselines.BASELINES) if run.simple else (PENCHANT,)
    played = Played({name: np.full(len(asked.rows), -1, np.int64) for name in names}, {})
    with opened(folder, run.settings) as engine:
        player = _Player(engine, asked, run)
        for k, row in enumerate(asked.rows.tolist()):
            player.learn_before(row)
            found, listed = player.ask(row)
            for name, place in found.items():
                played.places[name][k] = place
            if row in asked.shown:
                played.lists[row] = listed
            if k % _TOLD_EVERY == 0:
                tell(k)
    tell(len(asked.rows))
    return played


def play_all(
    folder: Path, asked: Questions, runs: Sequence[Run], workers: int, progress: Progress
) -> dict[str, Played]:
    """All runs, by name, so many at a time; with one worker, one after another in this process."""
    size = len(asked.rows)
    if workers < 2 or len(runs) < 2:

        def told(name: str) -> Callable[[int], None]:
            return lambda done: progress(name, done, size)

        return {run.name: _on_a_copy(folder, asked, run, told(run.name)) for run in runs}
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"))
    with Manager() as manager:
        queue = manager.Queue()
        try:
            running = {pool.submit(_play_told, folder, asked, run, queue): run.name for run in runs}
            return _gather(running, queue, size, progress)
        finally:
            pool.shutdown(cancel_futures=True)


def _play_told(folder: Path, asked: Questions, run: Run, queue: Any) -> Played:
    """In a process of its own."""
    return _on_a_copy(folder, asked, run, lambda done: queue.put((run.name, done)))


def _on_a_copy(folder: Path, asked: Questions, run: Run, tell: Callable[[int], None]) -> Played:
    """Made when its turn comes and gone afterwards, so that no more copies stand on the disk than runs go on."""
    copy = folder.with_name(f"{folder.name} {run.name}")
    shutil.copytree(folder, copy)
    try:
        return play(copy, asked, run, tell)
    finally:
        shutil.rmtree(copy, ignore_errors=True)


def _gather(running: dict[Future[Played], str], queue: Any, size: int, progress: Progress) -> dict[str, Played]:
    found: dict[str, Played] = {}
    while running:
        done, _ = wait(running, timeout=0.2, return_when=FIRST_COMPLETED)
        while not queue.empty():
            name, count = queue.get()
            progress(name, count, size)
        for future in done:
            name = running.pop(future)
            found[name] = future.result()
            progress(name, size, size)
    return found


class _Player:
    """Goes through questions with one engine."""

    def __init__(self, engine: Engine, asked: Questions, run: Run) -> None:
        self._engine, self._asked, self._run = engine, asked, run
        self._learned = 0

    def learn_before(self, row: int) -> None:
        """What the list for this row may know."""
        known = self._run.known(self._asked.time, row)
        if known > self._learned:
            learn(self._engine, self._asked.events[self._learned : known], (b"played", known))
            self._learned = known

    def ask(self, row: int) -> tuple[dict[str, int], list[str]]:
        """(places, the list) for the person of a row, just before it."""
        event, since = self._asked.events[row], self._since(row)
        query = Query(
            user=event.user,
            time=self._run.made(event.time or 0.0),
            limit=min(LONGEST + len(since), _MOST),
            seen=self._asked.seen,
        )
        listed = [one.item for one in self._engine.recommend(query).items if one.item not in since][:LONGEST]
        found = {PENCHANT: listed.index(event.item) if event.item in listed else -1}
        if self._run.simple:
            parts = self._engine.parts
            number, person = parts.log.items.get(event.item or ""), parts.log.people.get(event.user or "")
            seen = parts.counts.seen_by(person) if self._asked.seen == "ever" else np.zeros(0, np.int32)
            found |= baselines.places(self._engine, number, seen)
        return found, listed

    def _since(self, row: int) -> set[str | None]:
        """Items that the person touched and the engine does not know of yet."""
        if self._asked.seen != "ever":
            return set()
        person = self._asked.person
        unseen = np.flatnonzero(person[self._learned : row] == person[row]) + self._learned
        return {self._asked.events[k].item for k in unseen.tolist()}
