"""How fast events are taken in, what an acknowledgement costs, and how long a restart takes, at a million events.

    make bench-ingest

`log` is the log alone: hashing, deduplication, commit. `events` is the whole of `ingest`: checks, log, state, counts.
Batches of 1,000 events, every one with an id of its own. `append` is one commit of 100 events. The restart is one
after the power went: the folder as it stood, with the last snapshot 100,000 events old.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.rows import write_row
from benchmarks.world import World
from penchant import Engine, Event
from penchant.storage.event_log import EventLog

EVENTS, BATCH, COMMIT = 1_000_000, 1_000, 100
POWER_EVENTS = 200_000
ITEMS, PEOPLE = 10_000, 20_000


def main() -> None:
    world = World(ITEMS, PEOPLE)
    items, events = list(world.items()), list(world.interactions(EVENTS, per_second=100.0))
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        figures["log_events_per_s_process"] = log_alone(root / "log", events)
        figures["append_p99_ms_process"] = append_p99_ms(root / "append", events)
        figures["events_per_s_power"] = whole(root / "power", items, events[:POWER_EVENTS], "power")[0]
        rate, found = whole(root / "process", items, events, "process")
        figures |= {"events_per_s_process": rate, **found}
        figures["restart_s_1m"] = restart(root / "process-crashed")
    table = Table("figure", "value")
    for name, value in figures.items():
        table.add_row(name, f"{value:,.2f}")
    Console().print(table)
    write_row("ingest", data=f"made-up world, {ITEMS} items, {PEOPLE} people, {EVENTS} events", seeds=1,
              protocol=f"batches of {BATCH}; append: {COMMIT} events a commit; power: {POWER_EVENTS} events",
              figures=figures)  # fmt: skip


def log_alone(folder: Path, events: Sequence[Event]) -> float:
    log = EventLog(folder)
    start = time.perf_counter()
    for batch in batches(events, BATCH, "log alone"):
        log.append(batch)
    took = time.perf_counter() - start
    log.close()
    return len(events) / took


def append_p99_ms(folder: Path, events: Sequence[Event]) -> float:
    log, walls = EventLog(folder), []
    for batch in batches(events[:200_000], COMMIT, "commits"):
        start = time.perf_counter()
        log.append(batch)
        walls.append(time.perf_counter() - start)
    log.close()
    return float(np.percentile(walls, 99) * 1e3)


def whole(
    folder: Path, items: Sequence[Event], events: Sequence[Event], durability: str
) -> tuple[float, dict[str, float]]:
    with Engine.open(folder, encoder="none", durability=durability, snapshot_every=10**9) as engine:
        engine.ingest(items)
        engine.wait_for_items()
        start, snapshots = time.perf_counter(), 0.0
        for number, batch in enumerate(batches(events, BATCH, f"ingest, {durability}")):
            engine.ingest(batch)
            if number * BATCH == len(events) - 100_000:  # not part of the rate: its cost is its own
                before = time.perf_counter()
                engine.snapshot()
                snapshots = time.perf_counter() - before
        took = time.perf_counter() - start - snapshots
        shutil.copytree(folder, folder.with_name(f"{folder.name}-crashed"))
        found = {"state_bytes": engine.parts.states.store.bytes_per_person(), "rss_mb_1m": rss_mb(),
                 "snapshot_s": snapshots}  # fmt: skip
        return len(events) / took, found


def restart(folder: Path) -> float:
    start = time.perf_counter()
    engine = Engine.open(folder, encoder="none")
    took = time.perf_counter() - start
    engine.close()
    return took


def batches(events: Sequence[Event], size: int, what: str) -> list[Sequence[Event]]:
    parts = [events[start : start + size] for start in range(0, len(events), size)]
    return track(parts, what, transient=True)  # type: ignore[return-value]


def rss_mb(pid: int | str = "self") -> float:
    """Resident memory of a process now; of this one, the million event objects of the benchmark included."""
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


if __name__ == "__main__":
    main()
