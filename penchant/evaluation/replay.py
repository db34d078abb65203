"""Play a log in time order through the real engine: predict, then learn.

Everything before the split is taken in first. For every later interaction the engine is asked for that person's list
at that moment, the place of what the person did next is noted, and only then is the event taken in. Items already
seen are removed, the catalogue is whole, people met for the first time count.

The staleness table asks the same questions of an engine that learns of events some seconds late, which is what a
system with hourly lists, or one that refreshes every ten minutes, does to its users. Only states and counts are late:
what the person has seen since is still taken out of the list, so that it is not the repetition that is measured.

Each lag runs in a process of its own, on a copy of the folder as it stood at the split.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from multiprocessing import Manager, get_context
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from penchant.engine import Engine
from penchant.errors import InvalidInput
from penchant.evaluation import baselines, metrics
from penchant.evaluation.folders import Progress, World, opened, prepare, read_log, silent
from penchant.evaluation.protocols import moment_of
from penchant.types import Event, Query

LAGS = {"0 s": 0.0, "1 s": 1.0, "60 s": 60.0, "10 min": 600.0, "1 h": 3600.0, "1 day": 86_400.0}
PENCHANT = "penchant"
_K = (10, 20)


class Figures(Struct):
    """Hit rate and NDCG at 10 and 20 of one way to order, with 95% intervals (bootstrap over people)."""

    hr10: float
    ndcg10: float
    hr20: float
    ndcg20: float
    hr10_interval: tuple[float, float]
    ndcg10_interval: tuple[float, float]


class Report(Struct):
    """What a replay found; ``staleness``: figures by age of state and counts."""

    split: float
    events: int
    people: int
    figures: dict[str, Figures]
    staleness: dict[str, Figures]


class Plan(NamedTuple):
    """``events`` in time order, of which those before ``split`` (Unix seconds) are only learned from."""

    items: Sequence[Event]
    events: Sequence[Event]
    split: float
    settings: Mapping[str, Any] = MappingProxyType({})
    every: int = 1  # only every so many events is asked; all are learned
    source: Path | None = None  # a data folder whose settings, model versions and vectors of texts are used


def replay(
    plan: Plan, *, lags: Sequence[str] = tuple(LAGS), workers: int = 2, progress: Progress | None = None
) -> Report:
    """Replay a plan. Raises InvalidInput when nothing lies on one side of the split."""
    first = next((k for k, event in enumerate(plan.events) if (event.time or 0.0) >= plan.split), len(plan.events))
    if not 0 < first < len(plan.events):
        raise InvalidInput(
            "leaves no event on one side.", field="split", value=plan.split, way_out="Choose a time inside the log."
        )
    with tempfile.TemporaryDirectory(prefix="penchant-replay-") as scratch:
        folder = Path(scratch) / "learned"
        prepare(folder, World(plan.items, plan.settings, plan.source), plan.events[:first], progress)
        places = _play_all(folder, plan, first, [name for name in lags if name != "0 s"], workers, progress or silent)
    people = _numbers([event.user for event in plan.events[first :: plan.every]])
    tables = {name: figures(found, people) for name, found in places.items()}
    figures_now = {name: tables[name] for name in (PENCHANT, *baselines.BASELINES)}
    return Report(
        split=plan.split,
        events=len(people),
        people=int(people.max()) + 1,
        figures=figures_now,
        staleness={name: tables[PENCHANT if name == "0 s" else name] for name in LAGS if name in lags},
    )


def plan_of(folder: Path, *, quantile: float = 0.9, split: float | None = None, least: int = 0) -> Plan:
    """The log of a data folder as a plan. The folder must not be open elsewhere, and is not changed.

    ``split``: Unix seconds, or else the time before which the share ``quantile`` of the interactions lies. Items met
    fewer than ``least`` times are left out, as published protocols do (5).
    """
    world, events = read_log(folder, least)
    moment = split if split is not None else moment_of(events, quantile)
    return Plan(world.items, events, moment, world.settings, source=folder)


def figures(places: NDArray[np.int64], people: NDArray[np.int64]) -> Figures:
    hr10, ndcg10 = metrics.hits(places, _K[0]), metrics.gains(places, _K[0])
    hr20, ndcg20 = metrics.hits(places, _K[1]), metrics.gains(places, _K[1])
    return Figures(
        hr10=float(hr10.mean()),
        ndcg10=float(ndcg10.mean()),
        hr20=float(hr20.mean()),
        ndcg20=float(ndcg20.mean()),
        hr10_interval=metrics.interval(hr10, people),
        ndcg10_interval=metrics.interval(ndcg10, people),
    )


def _play_all(
    folder: Path, plan: Plan, first: int, lags: Sequence[str], workers: int, progress: Progress
) -> dict[str, NDArray[np.int64]]:
    """Places under Penchant and each baseline, and under each lag."""
    test = _Test(list(plan.events[first:]), plan.every, dict(plan.settings))
    size = len(test.events)
    if not lags:
        return _play(folder, test, 0.0, lambda done: progress("0 s", done, size))
    with Manager() as manager, ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        told = manager.Queue()
        running: dict[Future[dict[str, NDArray[np.int64]]], str] = {}
        for name in ("0 s", *lags):
            copy = folder.with_name(f"lag-{LAGS[name]:g}")
            shutil.copytree(folder, copy)
            running[pool.submit(_play_told, copy, test, name, told)] = name
        return _gather(running, told, size, progress)


def _gather(running: dict[Future[Any], str], told: Any, size: int, progress: Progress) -> dict[str, NDArray[np.int64]]:
    found: dict[str, NDArray[np.int64]] = {}
    while running:
        done, _ = wait(running, timeout=0.2, return_when=FIRST_COMPLETED)
        while not told.empty():
            name, count = told.get()
            progress(name, count, size)
        for future in done:
            name, places = running.pop(future), future.result()
            found |= places if name == "0 s" else {name: places[PENCHANT]}
            progress(name, size, size)
    return found


class _Test(NamedTuple):
    events: list[Event]
    every: int
    settings: dict[str, Any]


def _play_told(folder: Path, test: _Test, name: str, told: Any) -> dict[str, NDArray[np.int64]]:
    """In a process of its own."""
    return _play(folder, test, LAGS[name], lambda done: told.put((name, done)))


def _play(folder: Path, test: _Test, lag: float, tell: Callable[[int], None]) -> dict[str, NDArray[np.int64]]:
    """Ask, note the place, learn; events are learned ``lag`` seconds late (0: as soon as they happened)."""
    names = (PENCHANT, *baselines.BASELINES) if lag == 0 else (PENCHANT,)
    places = {name: np.full(-(-len(test.events) // test.every), -1, np.int64) for name in names}
    unseen: deque[Event] = deque()
    with opened(folder, test.settings) as engine:
        for k, event in enumerate(test.events):
            if k % test.every == 0:
                _learn_until(engine, unseen, (event.time or 0.0) - lag if lag else float("inf"), k)
                for name, place in _ask(engine, event, unseen, baseline=lag == 0).items():
                    places[name][k // test.every] = place
            unseen.append(event)
            if k % 1000 == 0:
                tell(k)
    return places


def _learn_until(engine: Engine, unseen: deque[Event], moment: float, done: int) -> None:
    batch = []
    while unseen and (unseen[0].time or 0.0) <= moment:
        batch.append(unseen.popleft())
    if batch:
        engine.ingest(batch, source=(b"replay-test", done))


def _ask(engine: Engine, event: Event, unseen: deque[Event], baseline: bool) -> dict[str, int]:
    since = {one.item for one in unseen if one.user == event.user}
    slate = engine.recommend(Query(user=event.user, time=event.time, limit=_K[-1] + len(since)))
    listed = [candidate.item for candidate in slate.items if candidate.item not in since]
    found = {PENCHANT: listed.index(event.item) if event.item in listed else -1}
    if baseline:
        number = engine.parts.log.items.get(event.item or "")
        person = engine.parts.log.people.get(event.user or "")
        found |= baselines.places(engine, number, engine.parts.counts.seen_by(person))
    return found


def _numbers(names: Sequence[str | None]) -> NDArray[np.int64]:
    return np.unique([name or "" for name in names], return_inverse=True)[1].astype(np.int64)
