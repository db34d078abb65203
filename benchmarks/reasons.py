"""Whether reasons are true on MovieLens-1M: what they say an event did to a score, against the score without it.

    PENCHANT_DATA=<folder with ml-1m> make bench-reasons

The engine knows all that is before T = 978133376, under version 0. `LISTS` people, drawn by a seed among those with
at least `LEAST` events, are asked for a list of ten a minute after their last event, with its reasons; every effect
that is stated there is measured (`benchmarks.removing`).

Beside it, the time that a list of ten takes with reasons and without, one after the other on one thread.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from msgspec import structs
from rich.console import Console
from rich.table import Table

from benchmarks.movielens import TEST, prepared, time_split
from benchmarks.removing import compared, right
from benchmarks.rows import write_row
from penchant.engine import Engine
from penchant.evaluation.folders import opened
from penchant.explaining import LAST
from penchant.types import Query

LISTS, LIMIT, LEAST = 100, 10, 20  # lists, items in each, events that a person has at least


def asked(engine: Engine, events: dict[str, list[float]]) -> list[Query]:
    people = sorted(name for name, times in events.items() if len(times) >= LEAST)
    drawn = np.random.default_rng(0).permutation(people)[:LISTS].tolist()
    return [Query(user=name, time=events[name][-1] + 60, limit=LIMIT, explain=True) for name in drawn]


def milliseconds(engine: Engine, queries: Sequence[Query]) -> list[float]:
    took = []
    for query in queries:
        start = time.perf_counter()
        engine.recommend(query)
        took.append(1000 * (time.perf_counter() - start))
    return took


def main() -> None:
    split = time_split(TEST)
    times: dict[str, list[float]] = {}
    for event in split.before:
        times.setdefault(event.user or "", []).append(event.time or 0.0)
    with tempfile.TemporaryDirectory() as scratch, opened(prepared(Path(scratch) / "ml-1m", split), {}) as engine:
        figures, sentences = measure(engine, asked(engine, times))
    table = Table("", "", title=f"{figures['reasons']:.0f} reasons, {figures['effects']:.0f} effects")
    for name, value in figures.items():
        table.add_row(name, f"{value:.6g}")
    Console().print(table, *sentences, sep="\n")
    write_row(
        "reasons",
        data="MovieLens-1M",
        seeds=1,
        figures=figures,
        protocol=f"all events before T=978133376, version 0; lists of {LIMIT} with reasons for {LISTS} drawn people "
        f"with at least {LEAST} events; every stated effect of the last {LAST} events and of earlier history against "
        "the score under a state taken in again from the log without them, same candidates and counts; ms_per_list: "
        "median of one thread, ms_without: the same lists unexplained",
    )


def measure(engine: Engine, queries: Sequence[Query]) -> tuple[dict[str, float], list[str]]:
    """(figures, some sentences)."""
    milliseconds(engine, queries[:10])  # warm
    plain = milliseconds(engine, [structs.replace(query, explain=False) for query in queries])
    told = milliseconds(engine, queries)
    slates = [engine.recommend(query) for query in queries]
    found = [list(compared(engine, query, slate)) for query, slate in zip(queries, slates, strict=True)]
    every = [one for of in found for one in of]
    reasons = [one.reason for slate in slates for one in slate.items if one.reason is not None]
    figures = {
        "max_abs_error": max(abs(one.stated - one.measured) for one in every),
        "direction_ok": right(every) / len(every),
        "ms_per_list": float(np.median(told)),
        "ms_per_list_p99": float(np.percentile(told, 99)),
        "ms_without": float(np.median(plain)),
        "reasons": len(reasons),
        "effects": len(every),
        "with_sentence": sum(bool(reason.text) for reason in reasons) / len(reasons),
        "largest_effect": max(abs(one.measured) for one in every),
    }
    return figures, [reason.text for reason in reasons[:: max(1, len(reasons) // 12)]]


if __name__ == "__main__":
    main()
