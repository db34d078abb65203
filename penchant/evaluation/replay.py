"""Play a log in time order through the real engine: predict, then learn.

Everything before the split is taken in first. For every later interaction the engine is asked for that person's list
at that moment, the place of what the person did next is noted, and only then is the event taken in. Items already
seen are removed (unless the setting `seen` is "allow"), the catalogue is whole, people met for the first time count.

The staleness table asks the same questions of an engine that learns of events some seconds late, which is what a
system with hourly lists, or one that refreshes every ten minutes, does to its users. Only states and counts are late:
what the person has seen since is still taken out of the list, so that it is not the repetition that is measured.

Each lag runs in a process of its own, on a copy of the folder as it stood at the split (`playing`).
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from penchant.config import load_settings
from penchant.errors import InvalidInput
from penchant.evaluation import baselines, metrics
from penchant.evaluation.folders import Progress, World, prepare, read_log, silent
from penchant.evaluation.playing import PENCHANT, Questions, Run, play_all
from penchant.evaluation.protocols import moment_of
from penchant.types import Event

LAGS = {"0 s": 0.0, "1 s": 1.0, "60 s": 60.0, "10 min": 600.0, "1 h": 3600.0, "1 day": 86_400.0}
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
    events = list(plan.events[first:])
    person = _numbers([event.user for event in events])
    time = np.array([event.time or 0.0 for event in events], np.float64)
    rows, seen = np.arange(0, len(events), plan.every), load_settings(folder, **plan.settings).seen
    asked = Questions(events, person, time, rows, seen=seen)
    runs = [Run(name, lag=LAGS[name], settings=dict(plan.settings), simple=name == "0 s") for name in ("0 s", *lags)]
    played = play_all(folder, asked, runs, workers, progress)
    return played["0 s"].places | {name: played[name].places[PENCHANT] for name in lags}


def _numbers(names: Sequence[str | None]) -> NDArray[np.int64]:
    return np.unique([name or "" for name in names], return_inverse=True)[1].astype(np.int64)
