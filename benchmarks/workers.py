"""Two engine processes on one log: an event is sent to one, and the person's list asked of the other.

    make bench-workers

100,000 times: POST on `penchant serve`, and once it is acknowledged, GET on `penchant follow` of the same folder, over
8 connections at once, each with people of its own. `seen`: the share of lists whose `as_of` is at least that of the
acknowledgement, and from which the item is gone. Then the server is killed (kill -9) while events go on, and the
follower takes over: `promoted_s` from the kill to the first event that it acknowledges, `lost`: acknowledged events
that its log does not hold. Times are of this load, closed-loop, and no latency to be promised.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
from rich.console import Console
from rich.progress import Progress, TaskID
from rich.table import Table

from benchmarks.freshness import Client, _acknowledged, _answered, serving
from benchmarks.latency import fill
from benchmarks.rows import write_row
from benchmarks.world import World
from penchant import Event
from penchant.engine import Engine

ITEMS, PEOPLE, BEFORE = 4_000, 4_000, 20_000
PAIRS = int(os.environ.get("PAIRS", 100_000))
CONNECTIONS, ON = 8, 200  # events that go on around the kill


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        home, own = Path(name) / "home", Path(name) / "own"
        with Engine.open(home, encoder="none") as engine:
            fill(engine, World(ITEMS, PEOPLE), BEFORE)
        with contextlib.ExitStack() as running:
            port, pid = running.enter_context(serving(home))
            words = ("follow", str(home), "--own", str(own), "--take-over")
            other, _ = running.enter_context(serving(home, *words))
            found = asyncio.run(pairs(port, other)) | asyncio.run(killed(port, other, pid))
        found["lost"] = missing(home / "events.db", found.pop("last"))
    table = Table("", "", title=f"{PAIRS} events to one process, lists from the other")
    for key, value in found.items():
        table.add_row(key, f"{value:,.4g}")
    Console().print(table)
    if PAIRS == 100_000:
        write_row("workers", data=f"{ITEMS} items, {PEOPLE} people", protocol=PROTOCOL, seeds=1, figures=found)


async def pairs(port: int, other: int) -> dict[str, float]:
    a, b = Client(port), Client(other)
    for client in (a, b):
        await client.open(CONNECTIONS)
    start, seen = time.perf_counter(), 0
    with Progress(disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task("pairs", total=PAIRS)
        seen = sum(await asyncio.gather(*(share(a, b, k, (progress, task)) for k in range(CONNECTIONS))))
    for client in (a, b):
        client.close()
    return {"pairs": PAIRS, "seen": seen / PAIRS, "pairs_per_s": PAIRS / (time.perf_counter() - start)}


async def share(a: Client, b: Client, first: int, bar: tuple[Progress, TaskID]) -> int:
    """Every eighth pair, one after the other; how many lists knew their event."""
    seen = 0
    for event in events(first):
        acknowledged = _acknowledged.decode(await a.ask("POST", "/v1/events", msgspec.json.encode(event)))
        slate = _answered.decode(await b.ask("GET", f"/v1/recommend?user={event.user}"))
        seen += slate.as_of >= acknowledged.as_of and all(shown.item != event.item for shown in slate.items)
        bar[0].advance(bar[1])
    return seen


def events(first: int) -> Iterator[Event]:
    """Clicks of people whom no other connection sends for, so that nobody else moves their lists meanwhile."""
    for k in range(first, PAIRS, CONNECTIONS):
        person = k % PEOPLE // CONNECTIONS * CONNECTIONS + first
        yield Event(id=f"pair-{k}", user=f"u{person}", action="click", item=f"i{k * 7919 % ITEMS}")


async def killed(port: int, other: int, pid: int) -> dict[str, float]:
    """Events go on while the server is killed; each is sent to whoever takes it. The last ids are kept by number."""
    a, b, taken = Client(port), Client(other), 0
    at = promoted = 0.0
    for k in range(ON):
        if k == ON // 2:
            os.kill(pid, signal.SIGKILL)
            at = time.perf_counter()
        body = msgspec.json.encode(Event(id=f"on-{k}", user="u1", action="click", item=f"i{k}"))
        while True:
            try:
                await (b if at else a).ask("POST", "/v1/events", body)
                break
            except OSError:
                await asyncio.sleep(0.01)
        taken = k + 1
        promoted = promoted or (time.perf_counter() - at if at else 0.0)
    a.close()
    b.close()
    return {"promoted_s": promoted, "last": taken}


def missing(log: Path, last: float) -> float:
    """How many of the events that were acknowledged around the kill are not in the log."""
    with contextlib.closing(sqlite3.connect(log)) as db:
        kept = {row[0] for row in db.execute("SELECT id FROM events WHERE id LIKE 'on-%' OR id LIKE 'pair-%'")}
    wanted = {f"on-{k}" for k in range(int(last))} | {f"pair-{k}" for k in range(PAIRS)}
    return float(len(wanted - kept))


PROTOCOL = (
    "POST on penchant serve, then, acknowledged, GET on penchant follow of the same folder; 8 connections, "
    "closed-loop; "
    "seen: as_of of the list at least that of the acknowledgement, the item gone; then kill -9 of the server while "
    "events go on, and the follower takes over; durability=process; encoder none, vectors brought"
)

if __name__ == "__main__":
    main()
