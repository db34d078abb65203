"""A server at a constant load for twenty minutes: does it fail, grow, or become slower?

    make bench-soak

Events, lists, searches and items that are sent again, each at its moment (`benchmarks.open_loop`), by people who are
there from the start, with items that they have met: nobody and nothing is added, so that a process that grows has a
leak. What grows by right until it has reached its plateau is lists that wait for what is done about them (a window and
five minutes of grace); so the window is set to a minute, and a warm-up of seven comes first, under the same load.
`people_growth` and `items_growth` show that nobody came; `log_growth_mb` is on the disk.

`errors`: answers that are not 2xx, and broken connections. `rss_growth_mb`: the median of the last minute less that of
the last minute of the warm-up. `..._first`, `..._last`: of the first and the last quarter of the time measured.

For trying: `MINUTES=2 WARM_UP=1`; then no row is written.
"""

from __future__ import annotations

import asyncio
import gc
import os
import random
import tempfile
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, count, cycle, islice
from pathlib import Path

import msgspec
import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.freshness import cpu_seconds, once, percentile, request, serving
from benchmarks.ingest import rss_mb
from benchmarks.latency import fill
from benchmarks.open_loop import Answers, at_constant_rate
from benchmarks.rows import write_row
from benchmarks.world import World
from penchant.config import Settings, Slates, write_settings
from penchant.engine import Engine

ITEMS, PEOPLE, BEFORE = 20_000, 2_000, 50_000
PER_SECOND = {"event": 200, "list": 200, "search": 5, "items": 2}  # requests of each kind
SENT_AGAIN, AT_ONCE = 2_000, 10  # items; in a request
SNAPSHOT = 50_000  # events, of which some minutes bring as many
MINUTES = float(os.environ.get("MINUTES", 20))
WARM_UP = float(os.environ.get("WARM_UP", 7))  # minutes
STRETCH = 10  # seconds between two looks at the process
WHOLE = (MINUTES, WARM_UP) == (20, 7)
_A_MINUTE = 60 // STRETCH

Figures = dict[str, float]


class Health(msgspec.Struct):
    people: int
    items: int


@dataclass
class Stretch:
    """Ten seconds of load, and the process after them."""

    answers: Answers
    rss: float
    cpu: float  # seconds, since it began


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_settings(folder, Settings(snapshot_every=SNAPSHOT, slates=Slates(window_minutes=1.0)))
        with Engine.open(folder, encoder="none") as engine:
            fill(engine, World(ITEMS, PEOPLE), BEFORE)
        with serving(folder) as (port, pid):
            found = soaked(port, pid, folder)
    Console().print(shown(found))
    if WHOLE:
        data = f"made-up world, {ITEMS} items, {PEOPLE} people, {BEFORE} events before"
        write_row("soak", data=data, protocol=PROTOCOL, seeds=1, figures=found)


def soaked(port: int, pid: int, folder: Path) -> Figures:
    load = Load()
    gc.freeze()
    warm = stretches(load, port, pid, WARM_UP, "warm-up")
    before = health(port), (folder / "events.db").stat().st_size
    measured = stretches(load, port, pid, MINUTES, "measured")
    after = health(port), (folder / "events.db").stat().st_size
    return figures(load, warm, measured) | {
        "people_growth": after[0].people - before[0].people,
        "items_growth": after[0].items - before[0].items,
        "log_growth_mb": (after[1] - before[1]) / 2**20,
    }


def stretches(load: Load, port: int, pid: int, minutes: float, what: str) -> list[Stretch]:
    found = []
    for _ in track(range(round(minutes * _A_MINUTE)), what):
        answers = at_constant_rate(port, len(load.kinds) / STRETCH, load.requests())
        found.append(Stretch(answers, rss_mb(pid), cpu_seconds(pid)))
    return found


class Load:
    """What is sent: in every stretch the same ``kinds`` [n] in the same drawn order, by the same people, about the
    same items."""

    def __init__(self) -> None:
        self.kinds = np.array([kind for kind, rate in PER_SECOND.items() for _ in range(rate * STRETCH)])
        np.random.default_rng(5).shuffle(self.kinds)
        makers = {"event": _events, "list": _lists, "search": _searches, "items": _items}
        self._next = {kind: maker() for kind, maker in makers.items()}

    def requests(self) -> list[bytes]:
        return [next(self._next[kind]) for kind in self.kinds.tolist()]

    def percentile(self, kind: str, stretches: Sequence[Stretch], q: float) -> float:
        """Milliseconds, of the requests of a kind that were answered."""
        seconds = np.concatenate([one.answers.seconds[self.kinds == kind] for one in stretches])
        return percentile(seconds[np.isfinite(seconds)].tolist(), q)


def _events() -> Iterator[bytes]:
    """What was done before, done again."""
    world, number = World(ITEMS, PEOPLE), count()
    deque(world.items(), maxlen=0)  # drawn before the interactions, as they were when the folder was filled
    met = [(event.user, event.item) for event in world.interactions(BEFORE)]
    for user, item in cycle(random.Random(5).sample(met, len(met))):
        event = {"id": f"soak-{next(number)}", "user": user, "action": "click", "item": item}
        yield request("POST", "/v1/events", msgspec.json.encode(event))


def _lists() -> Iterator[bytes]:
    people = random.Random(6).sample(range(PEOPLE), PEOPLE)
    return cycle([request("GET", f"/v1/recommend?user=u{person}") for person in people])


def _searches() -> Iterator[bytes]:
    return cycle([request("GET", f"/v1/search?user=u{k}&words=item+{k}") for k in range(PEOPLE)])


def _items() -> Iterator[bytes]:
    """The same items with one content and with another, in turn."""
    worlds = [islice(World(ITEMS, PEOPLE, seed).items(), SENT_AGAIN) for seed in (1, 2)]
    sent = [{"id": one.item, "fields": one.fields, "vectors": one.vectors} for one in chain(*worlds)]
    bodies = [msgspec.json.encode(sent[at : at + AT_ONCE]) for at in range(0, len(sent), AT_ONCE)]
    return cycle([request("PUT", "/v1/items", body) for body in bodies])


# -- what is told of it ------------------------------------------------------------------------------------------------


def health(port: int) -> Health:
    return msgspec.json.decode(asyncio.run(once(port, "/health/ready")), type=Health)


def figures(load: Load, warm: Sequence[Stretch], measured: Sequence[Stretch]) -> Figures:
    quarter = max(len(measured) // 4, 1)
    seconds = sum(one.answers.took for one in measured)
    requests, cpu = len(measured) * len(load.kinds), measured[-1].cpu - warm[-1].cpu
    start, end = _rss(warm), _rss(measured)
    return {
        "minutes": len(measured) / _A_MINUTE,
        "errors": sum(one.answers.errors for one in [*warm, *measured]),
        "rss_growth_mb": end - start,
        "rss_mb": start,
        "rss_most_mb": max(one.rss for one in measured),
        **{f"list_p{q}_ms_first": load.percentile("list", measured[:quarter], q) for q in (50, 99)},
        **{f"list_p{q}_ms_last": load.percentile("list", measured[-quarter:], q) for q in (50, 99)},
        "ack_p99_ms_first": load.percentile("event", measured[:quarter], 99),
        "ack_p99_ms_last": load.percentile("event", measured[-quarter:], 99),
        "requests_per_s": requests / seconds,
        "cores": cpu / seconds,
        "cpu_us_per_request": cpu / requests * 1e6,
    }


def _rss(stretches: Sequence[Stretch]) -> float:
    """The median of the last minute: while an index is built there are two of them for a moment."""
    return float(np.median([one.rss for one in stretches[-_A_MINUTE:]]))


def shown(found: Figures) -> Table:
    title = f"{found['minutes']:g} minutes at {found['requests_per_s']:.0f}/s"
    table = Table("", "first quarter", "last quarter", title=title)
    for key in ("list_p50_ms", "list_p99_ms", "ack_p99_ms"):
        table.add_row(key, f"{found[f'{key}_first']:.2f}", f"{found[f'{key}_last']:.2f}")
    table.add_row("memory, MB", f"{found['rss_mb']:,.0f}", f"{found['rss_mb'] + found['rss_growth_mb']:,.0f}")
    table.add_row("cores", "", f"{found['cores']:.2f}")
    table.add_row("errors", "", f"{found['errors']:,.0f}")
    return table


PROTOCOL = (
    f"open loop over HTTP, a second: {PER_SECOND} requests ({AT_ONCE} items in one), from the scheduled moment; "
    f"{MINUTES:g} minutes after a warm-up of {WARM_UP:g}; people and items as they were, events repeat what was met; "
    f"snapshot_every={SNAPSHOT}, [slates] window_minutes=1; rss: medians of the last minutes of warm-up and of all; "
    "first, last: quarters; errors: with those of the warm-up; durability=process, encoder none (vectors brought), "
    "load generator on the same cores"
)

if __name__ == "__main__":
    main()
