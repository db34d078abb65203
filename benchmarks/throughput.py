"""How many lists a second a server answers over HTTP, at 4,000, 100,000 and 1,000,000 items, all sources on.

    make bench-throughput

`lists_per_s` is found by wrk: 32, 64 and 128 connections that never pause, then the best of these for longer. At 70% of
it, lists are asked at a constant rate (`rate`), and `p99_ms` and the server's CPU of a list are taken: latencies from
the moment a request was scheduled (`benchmarks.open_loop`), since those of a closed loop are worth nothing.
`wrk_hello_per_s` is what the same wrk gets from a server of the same kind that has nothing to do.

`start_s`: from the command until lists are answered, from a snapshot; `folder_mb`, `log_mb`: on the disk then;
`rss_mb`: of the server after all of it.

The server is `penchant serve` in a process of its own; whoever asks shares its cores. People have histories (20 to 400
events each), and come in a drawn order, so that a list seldom finds the memory of the one before still warm. No event
comes in between: `bench-freshness` measures that. As on any server, each list is kept as shown.

For trying: `SIZES="4k 100k"` and `SECONDS=2`; then no row is written.
"""

from __future__ import annotations

import gc
import os
import tempfile
import time
from itertools import cycle, islice
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.freshness import cpu_seconds, percentile, request, running, serving
from benchmarks.ingest import rss_mb
from benchmarks.latency import PEOPLE, SIZES, fill
from benchmarks.open_loop import at_constant_rate
from benchmarks.rows import write_row
from benchmarks.world import World
from benchmarks.wrk import closed_loop
from penchant.engine import Engine

ASKED = os.environ.get("SIZES", " ".join(SIZES)).split()
SECONDS = float(os.environ.get("SECONDS", 20))  # of what is reported; a quarter of it for what only leads there
CONNECTIONS = (32, 64, 128)
SHARE = 0.7  # of the most, for latencies
WHOLE = len(ASKED) == len(SIZES) and SECONDS == 20

Figures = dict[str, float]


def main() -> None:
    found = {"wrk_hello_per_s": hello()}
    for label in ASKED:
        its = of_size(*SIZES[label])
        print(f"  {label}: {its}", flush=True)
        found |= {f"{name}_{label}": figure for name, figure in its.items()}
    Console().print(shown(found))
    if WHOLE:
        write_row("throughput", data=DATA, protocol=PROTOCOL, seeds=1, figures=found)


def hello() -> float:
    with running("benchmarks.hello") as (port, _):
        closed_loop(port, ["/"], 64, SECONDS / 4)
        return closed_loop(port, ["/"], 64, SECONDS).per_s


def of_size(items: int, events: int) -> Figures:
    with tempfile.TemporaryDirectory() as name:
        # In a process of its own: what filling leaves in memory would be in the way of the server and of who asks it.
        filling = get_context("spawn").Process(target=filled, args=(Path(name), items, events))
        filling.start()
        filling.join()
        if filling.exitcode:
            raise SystemExit("the folder could not be filled")
        begun = time.perf_counter()
        with serving(Path(name)) as (port, pid):
            size = {"start_s": time.perf_counter() - begun, "folder_mb": megabytes(Path(name))}
            size["log_mb"] = (Path(name) / "events.db").stat().st_size / 2**20
            return measured(port, pid) | size | {"rss_mb": rss_mb(pid)}


def megabytes(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 2**20


def filled(folder: Path, items: int, events: int) -> None:
    with Engine.open(folder, encoder="none") as engine:
        fill(engine, World(items, PEOPLE), events)


def measured(port: int, pid: int) -> Figures:
    people = np.random.default_rng(3).permutation(PEOPLE).tolist()
    paths = [f"/v1/recommend?user=u{person}" for person in people]
    requests = [request("GET", path) for path in paths]
    at_constant_rate(port, np.inf, requests)  # states that came in by large batches are folded by the first list
    tried = {closed_loop(port, paths, connections, SECONDS / 4).per_s: connections for connections in CONNECTIONS}
    connections = tried[max(tried)]
    most = closed_loop(port, paths, connections, SECONDS)
    found = at_a_rate(port, pid, requests, SHARE * most.per_s)
    found["errors"] += most.failed
    return {"lists_per_s": most.per_s, "connections": connections} | found


def at_a_rate(port: int, pid: int, requests: list[bytes], rate: float) -> Figures:
    asked = list(islice(cycle(requests), int(rate * SECONDS)))
    gc.freeze()
    gc.disable()
    at_constant_rate(port, rate, asked[: len(asked) // 4])
    before = cpu_seconds(pid)
    answers = at_constant_rate(port, rate, asked)
    cpu = cpu_seconds(pid) - before
    gc.enable()
    seconds = answers.seconds[np.isfinite(answers.seconds)].tolist()
    return {
        "rate": len(answers.status) / answers.took,
        "p50_ms": percentile(seconds, 50),
        "p99_ms": percentile(seconds, 99),
        "max_ms": percentile(seconds, 100),
        "cpu_us_per_list": cpu / len(answers.status) * 1e6,
        "errors": answers.errors,
    }


def shown(found: Figures) -> Table:
    table = Table("items", "lists/s", "at a rate of", "p50 ms", "p99 ms", "CPU us a list",
                  title=f"hello: {found['wrk_hello_per_s']:,.0f}/s")  # fmt: skip
    names = ("lists_per_s", "rate", "p50_ms", "p99_ms", "cpu_us_per_list")
    for label in ASKED:
        table.add_row(label, *(f"{found[f'{name}_{label}']:,.4g}" for name in names))
    return table


DATA = f"made-up world, {PEOPLE} people, 100k / 500k / 2m events"
PROTOCOL = (
    f"over HTTP, version 0, encoder none (vectors brought); lists_per_s: wrk, closed loop, {SECONDS:.0f} s, the best "
    f"of {CONNECTIONS} connections; p99_ms, cpu_us_per_list: open loop at a constant rate, {SHARE:.0%} of that, "
    f"{SECONDS:.0f} s, from the scheduled moment; people with histories, in a drawn order, each asked before, no "
    "events in between, every list kept as shown; wrk_hello: Litestar on Granian with nothing to do; load generator "
    "on the same cores"
)

if __name__ == "__main__":
    main()
