"""How long one fresh list takes, in process, at 4,000, 100,000 and 1,000,000 items, all sources on.

    make bench-latency

A list is asked one at a time (no batch), for people with real-looking histories, after one new event of that person
was taken in, so that nothing is answered from a cache. States have been asked for once before: those that came in by
large batches are folded then, and not while it is measured. CPU is user + system time of the process over the lists
alone. `step` is the whole state update of one event: ring, item vector, the ONNX graph.
"""

from __future__ import annotations

import resource
import tempfile
import time
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.rows import write_row
from benchmarks.world import World
from penchant import Engine, Event, Query
from penchant.pipeline.state import Interactions

PEOPLE = 5_000
SIZES = {"4k": (4_000, 100_000), "100k": (100_000, 500_000), "1m": (1_000_000, 2_000_000)}  # items, events
LISTS = 3_000


def main() -> None:
    figures: dict[str, float] = {}
    table = Table("items", "list p50 us", "list p99 us", "CPU us a list", "step p50 us", "snapshot pause ms")
    for label, (items, events) in SIZES.items():
        found = measure(items, events)
        figures |= {f"recommend_p50_us_{label}": found["p50"], f"recommend_p99_us_{label}": found["p99"],
                    f"cpu_us_per_list_{label}": found["cpu"],
                    f"snapshot_pause_ms_{label}": found["pause"]}  # fmt: skip
        figures["step_p50_us"] = found["step"]
        table.add_row(label, *(f"{found[name]:.0f}" for name in ("p50", "p99", "cpu", "step", "pause")))
    Console().print(table)
    write_row("latency", data=f"made-up world, {PEOPLE} people, 100k / 500k / 2m events", seeds=1, figures=figures,
              protocol="in process, version 0, one list at a time, each after a new event of that person, "
                       "states settled before")  # fmt: skip


def measure(items: int, events: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder, Engine.open(Path(folder), encoder="none") as engine:
        world = World(items, PEOPLE)
        fill(engine, world, events)
        later = list(world.interactions(LISTS + 200, start=1.7e9))
        engine.parts.states.settle(range(engine.parts.states.store.people))
        for event in later[:200]:
            one_list(engine, event)
        before, walls = resource.getrusage(resource.RUSAGE_SELF), []
        cpu = 0.0
        for event in later[200:]:
            engine.ingest([event])
            before = resource.getrusage(resource.RUSAGE_SELF)
            start = time.perf_counter()
            engine.recommend(Query(user=event.user, time=event.time))
            walls.append(time.perf_counter() - start)
            after = resource.getrusage(resource.RUSAGE_SELF)
            cpu += after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
        p50, p99 = np.percentile(walls, [50, 99]) * 1e6
        step, start = step_us(engine), time.perf_counter()
        engine.parts.taken()
        pause = (time.perf_counter() - start) * 1e3
        return {"p50": p50, "p99": p99, "cpu": cpu / LISTS * 1e6, "step": step, "pause": pause}


def fill(engine: Engine, world: World, events: int) -> None:
    sent = list(world.items())
    for start in range(0, len(sent), 2000):
        engine.ingest(sent[start : start + 2000])
    engine.wait_for_items()
    engine.parts.index.wait()
    engine.parts.index.rebuild()
    batch: list[Event] = []
    for done, event in enumerate(world.interactions(events), 1):
        batch.append(event)
        if len(batch) == 2000 or done == events:
            engine.ingest(batch, source=(b"world", done))
            batch = []


def one_list(engine: Engine, event: Event) -> None:
    engine.ingest([event])
    engine.recommend(Query(user=event.user, time=event.time))


def step_us(engine: Engine) -> float:
    """Median microseconds of one state update, over people whose state is at hand."""
    states, walls = engine.parts.states, []
    people = np.arange(500)
    states.settle(people.tolist())
    for person in people:
        one = Interactions(np.array([person]), np.array([person]), np.zeros(1, np.uint8), np.zeros(1, np.uint8),
                           np.full(1, np.nan, np.float32), np.array([1.8e9]), np.array([10**9]))  # fmt: skip
        start = time.perf_counter()
        states.take(one)
        walls.append(time.perf_counter() - start)
    return float(np.median(walls) * 1e6)


if __name__ == "__main__":
    main()
