"""What going over to another model version costs those who ask meanwhile, over HTTP, under a constant load.

    make bench-swap

A server in a process of its own answers lists and takes events at a constant rate. In every other stretch of time
nothing else happens; in those between, `penchant model use` and `rollback` send it from version 0 to a trained version
and back, once each, so that what else the machine does weighs on both alike. Latencies run from the moment a request
was scheduled, as in `benchmarks.freshness`. Every request counts as an error that is not answered with 200, or whose
list is of neither version. The load generator shares the server's cores, and so does `penchant model`, at a low
priority. Needs torch: the trained version is trained before, in a process of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path

import msgspec
import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.freshness import CONNECTIONS, Client, Start, at_constant_rate, percentile, serving
from benchmarks.latency import fill
from benchmarks.rows import write_row
from benchmarks.world import World
from penchant import Event
from penchant.engine import Engine

ITEMS, PEOPLE, BEFORE = 20_000, 2_000, 50_000
RATE = 100
WARM_UP, STRETCH = 5.0, 5.0
SWAPS = 6
PATIENCE = 60.0
VERSION_0, TRAINED = "v0-0001", "small-0002"


class Answered(msgspec.Struct):
    version: str


@dataclass
class Found:
    """Seconds of each list and each event of a phase, the versions that answered, and what went wrong."""

    listed: list[float] = field(default_factory=list)
    acknowledged: list[float] = field(default_factory=list)
    versions: dict[str, int] = field(default_factory=dict)
    errors: int = 0


_answered = msgspec.json.Decoder(Answered)


async def one_list(client: Client, found: Found, user: str, scheduled: float) -> None:
    try:
        answer = _answered.decode(await client.ask("GET", f"/v1/recommend?user={user}"))
    except (ConnectionError, msgspec.DecodeError) as error:
        found.errors += 1
        print(error, file=sys.stderr)
        return
    found.listed.append(time.perf_counter() - scheduled)
    found.versions[answer.version] = found.versions.get(answer.version, 0) + 1


async def one_event(client: Client, found: Found, event: Event, scheduled: float) -> None:
    try:
        await client.ask("POST", "/v1/events", msgspec.json.encode(event))
        found.acknowledged.append(time.perf_counter() - scheduled)
    except ConnectionError as error:
        found.errors += 1
        print(error, file=sys.stderr)


async def load(client: Client, found: Found, events: Sequence[Event], rate: int) -> None:
    """Events, and as many lists, each kind at ``rate`` a second."""
    starts = list[Start]()
    for event in events:
        starts += [partial(one_event, client, found, event), partial(one_list, client, found, event.user or "")]
    await at_constant_rate(2 * rate, starts)


async def go_over(client: Client, folder: Path, words: Sequence[str]) -> float:
    """Choose another version; seconds from the choice until a list is of that version."""
    command = ["nice", "-n", "19", sys.executable, "-m", "penchant.serving.cli", "model", *words, "--json"]
    process = await asyncio.create_subprocess_exec(*command, "--data", str(folder), stdout=subprocess.PIPE)
    name = msgspec.json.decode((await process.communicate())[0])["in_use"]
    chosen = time.perf_counter()
    while _answered.decode(await client.ask("GET", "/v1/recommend?user=u1")).version != name:
        if time.perf_counter() - chosen > PATIENCE:
            raise SystemExit(f"the server did not go over to {name}")
        await asyncio.sleep(0.02)
    return time.perf_counter() - chosen


async def measure(port: int, folder: Path, rate: int) -> dict[str, float]:
    client = Client(port)
    await client.open(CONNECTIONS)
    without, during, took = Found(), Found(), list[float]()
    stretch = int(STRETCH * rate)
    events = iter(later_events(int(WARM_UP * rate) + 2 * SWAPS * stretch))
    gc.freeze()
    gc.disable()
    await load(client, Found(), list(islice(events, int(WARM_UP * rate))), rate)
    for swap in range(SWAPS):
        await load(client, without, list(islice(events, stretch)), rate)
        words = ("use", TRAINED) if swap % 2 == 0 else ("rollback",)
        loaded = load(client, during, list(islice(events, stretch)), rate)
        took.append((await asyncio.gather(go_over(client, folder, words), loaded))[0])
    client.close()
    return figures(without, during, took)


def figures(without: Found, during: Found, took: Sequence[float]) -> dict[str, float]:
    answered = [(name, count) for found in (without, during) for name, count in found.versions.items()]
    strange = sum(count for name, count in answered if name not in (VERSION_0, TRAINED))
    p99 = percentile(during.listed, 99), percentile(without.listed, 99)
    return {
        "errors": without.errors + during.errors + strange,
        "p99_ratio": p99[0] / p99[1],
        "swaps": len(took),
        "lists": len(without.listed) + len(during.listed),
        "events": len(without.acknowledged) + len(during.acknowledged),
        "lists_by_trained": sum(count for name, count in answered if name == TRAINED),
        "p50_ms": percentile(during.listed, 50),
        "p99_ms": p99[0],
        "max_ms": percentile(during.listed, 100),
        "p50_ms_without": percentile(without.listed, 50),
        "p99_ms_without": p99[1],
        "max_ms_without": percentile(without.listed, 100),
        "ack_p99_ms": percentile(during.acknowledged, 99),
        "ack_p99_ms_without": percentile(without.acknowledged, 99),
        "swap_s": float(np.median(took)),
        "swap_max_s": max(took),
    }


def later_events(n: int) -> list[Event]:
    """Clicks that happen now, by people of the world."""
    sent = World(ITEMS, PEOPLE, seed=1).interactions(n)
    return [msgspec.structs.replace(event, time=None, id=f"now-{event.id}") for event in sent]


def train(folder: Path) -> None:
    """A small model, for an epoch, published and not used."""
    options = ("--size", "small", "--epochs", "1", "--no-gate", "--no-refit", "--no-use")
    command = [sys.executable, "-m", "penchant.serving.cli", "train", "--data", str(folder), *options]
    subprocess.run(command, check=True, env=os.environ | {"PENCHANT_ENCODER": "none"})


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rate", type=int, default=RATE, help="events, and lists, a second")
    rate = options.parse_args().rate
    with tempfile.TemporaryDirectory() as name:
        with Engine.open(Path(name), encoder="none") as engine:
            fill(engine, World(ITEMS, PEOPLE), BEFORE)
        train(Path(name))
        with serving(Path(name)) as (port, _):
            found = asyncio.run(measure(port, Path(name), rate))
    Console().print(shown(found, rate))
    protocol = (
        f"open loop over HTTP, {rate} events/s + {rate} lists/s, {SWAPS} times {STRETCH:.0f} s without and "
        f"{STRETCH:.0f} s with a swap between version 0 and a trained version, after {WARM_UP:.0f} s; "
        "durability=process, load generator and `penchant model` (nice 19) on the same cores; p99_ratio: of lists, "
        "stretches with a swap over those without"
    )
    data = f"made-up world, {ITEMS} items, {PEOPLE} people, {BEFORE} events before"
    write_row("swap", data=data, protocol=protocol, seeds=1, figures=found)


def shown(found: dict[str, float], rate: int) -> Table:
    table = Table("lists", "without", "with swaps", title=f"{rate} events/s + {rate} lists/s, {SWAPS} swaps")
    for label, key in (("half within", "p50_ms"), ("99 of 100 within", "p99_ms"), ("all within", "max_ms")):
        table.add_row(label, f"{found[f'{key}_without']:.2f} ms", f"{found[key]:.2f} ms")
    table.add_row("errors", "", f"{found['errors']:.0f} of {found['lists'] + found['events']:.0f}")
    table.add_row("chosen -> in use, half within", "", f"{found['swap_s']:.2f} s")
    return table


if __name__ == "__main__":
    main()
