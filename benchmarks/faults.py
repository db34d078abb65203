"""What goes wrong in service, done to real processes: nothing acknowledged is lost, and lists keep coming.

    make bench-faults

`kill`        kill -9 of a process that takes events in, 200 times in one folder (`bench-kill`)
`disk`        the disk of the data folder is full, and has room again (a tmpfs, so it needs root; left out otherwise)
`version`     a version of the model of which a file is missing is chosen
`source`      a source of candidates raises
`clock`       the system's clock is set an hour forward, and back
`standby`     the server is killed while events go on, and a follower takes over

`..._lost`: acknowledged events that the log does not hold; `..._lists`: the share of lists that were answered with
items while it was wrong; `..._told`: 1 where it was said, in an error or a warning, what is wrong.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import httpx
from rich.console import Console
from rich.table import Table

from benchmarks import kill, workers
from benchmarks.freshness import serving
from benchmarks.latency import fill
from benchmarks.rows import write_row
from benchmarks.world import World
from penchant import Event, Query
from penchant.engine import Engine
from penchant.storage.item_index import ItemIndex

ITEMS, PEOPLE, BEFORE = 2_000, 500, 5_000
KILLS, ASKED = 200, 50
_DISK = "64m"
Figures = dict[str, float]


def main() -> None:
    found: Figures = {}
    for fault in (killed, disk_full, broken_version, broken_source, clock_set, standby):
        with tempfile.TemporaryDirectory() as name:
            found |= fault(Path(name))
            print(f"  {fault.__name__}: {found}", flush=True)
    table = Table("fault", "", title="what goes wrong in service")
    for key, value in found.items():
        table.add_row(key, f"{value:g}")
    Console().print(table)
    write_row("faults", data=f"{ITEMS} items, {PEOPLE} people", protocol=PROTOCOL, seeds=1, figures=found)


def filled(folder: Path) -> Path:
    with Engine.open(folder, encoder="none") as engine:
        fill(engine, World(ITEMS, PEOPLE), BEFORE)
    return folder


def killed(scratch: Path) -> Figures:
    acknowledged: set[str] = set()
    for life in range(KILLS):
        acknowledged |= kill.ingest_until_killed(scratch, life, 1 + life * 37 % 100)
    return {"kills": KILLS, "kill_lost": lost(scratch, acknowledged)}


def disk_full(scratch: Path) -> Figures:
    """Events until the disk refuses one, lists meanwhile, and events again once there is room."""
    disk = scratch / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={_DISK}", "tmpfs", disk], check=False).returncode:
        return {}
    try:
        folder = filled(disk / "data")
        with serving(folder) as (port, _), httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as http:
            fill_up(disk / "filler")
            acknowledged, refusal = until_refused(http)
            lists = listed(lambda: http.get("/v1/recommend?user=u1").json().get("items"))
            (disk / "filler").unlink()
            more = sent(http, "after")
        told = "disk" in refusal["detail"] and bool(refusal["way_out"])
        return {
            "disk_lost": lost(folder, acknowledged | more),
            "disk_lists": lists,
            "disk_told": float(told),
            "disk_taken_again": float(len(more) > 0),
        }
    finally:
        subprocess.run(["umount", disk], check=True)


def fill_up(path: Path) -> None:
    with contextlib.suppress(OSError), open(path, "wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


def until_refused(http: httpx.Client) -> tuple[set[str], dict[str, Any]]:
    acknowledged: set[str] = set()
    for k in range(10**6):
        answer = http.post(
            "/v1/events", json={"id": f"full-{k}", "user": "u1", "action": "click", "item": f"i{k % 900}"}
        )
        if answer.status_code == 503:
            return acknowledged, dict(answer.json())
        answer.raise_for_status()
        acknowledged.add(f"full-{k}")
    raise SystemExit("the disk took a million events")


def sent(http: httpx.Client, name: str) -> set[str]:
    events = [{"id": f"{name}-{k}", "user": "u1", "action": "click", "item": f"i{k}"} for k in range(20)]
    return {event["id"] for event in events if http.post("/v1/events", json=event).status_code == 200}


def broken_version(scratch: Path) -> Figures:
    """A copy of the version in use, of which a graph is missing, is chosen beside a running server."""
    folder = filled(scratch / "data")
    with serving(folder) as (port, _), httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as http:
        versions = folder / "versions"
        source = sorted(path for path in versions.iterdir() if path.is_dir() and path.name.isdigit())[-1]
        broken = versions / f"{int(source.name) + 1:04d}"
        shutil.copytree(source, broken)
        next(broken.glob("*.onnx")).unlink()
        draft = versions / "current.new"
        draft.write_text(broken.name, encoding="utf-8")
        draft.replace(versions / "current")
        time.sleep(2.0)
        lists = listed(lambda: http.get("/v1/recommend?user=u1").json().get("items"))
        warnings = " ".join(http.get("/health/ready").json()["warnings"])
        return {"version_lists": lists, "version_told": float("version that was chosen is not in use" in warnings)}


def broken_source(scratch: Path) -> Figures:
    with Engine.open(filled(scratch / "data"), encoder="none") as engine:
        with mock.patch.object(ItemIndex, "nearest", side_effect=RuntimeError("out of order")):
            slates = [engine.recommend(Query(user=f"u{k}")) for k in range(ASKED)]
        told = [slate.notes and "dense failed" in slate.notes[0] for slate in slates]
        return {"source_lists": share(slate.items for slate in slates), "source_told": float(all(told))}


def clock_set(scratch: Path) -> Figures:
    """Everybody does something at each of three settings of the clock, and asks; `clock_followed`: lists that know."""
    followed, asked = 0, 0
    with Engine.open(filled(scratch / "data"), encoder="none") as engine:
        warned = False
        for shift in (0.0, 3600.0, 0.0):
            now = time.time() + shift
            with mock.patch("time.time", lambda now=now: now):
                for k in range(ASKED):
                    receipt = engine.ingest([Event(user=f"u{k}", action="click", item=f"i{(k * 31 + asked) % ITEMS}")])
                    slate = engine.recommend(Query(user=f"u{k}"))
                    followed += slate.user_as_of == receipt.as_of and not receipt.late
                    asked += 1
                warned |= any("clock" in warning for warning in engine.warnings)
    return {"clock_followed": followed / asked, "clock_told": float(warned)}


def standby(scratch: Path) -> Figures:
    home = filled(scratch / "home")
    with contextlib.ExitStack() as running:
        port, pid = running.enter_context(serving(home))
        words = ("follow", str(home), "--own", str(scratch / "own"), "--take-over")
        other, _ = running.enter_context(serving(home, *words))
        found = asyncio.run(workers.killed(port, other, pid))
    acknowledged = {f"on-{k}" for k in range(int(found["last"]))}
    return {"standby_lost": lost(home, acknowledged), "standby_promoted_s": found["promoted_s"]}


def lost(folder: Path, acknowledged: set[str]) -> float:
    with contextlib.closing(sqlite3.connect(folder / "events.db")) as db:
        kept = {row[0] for row in db.execute("SELECT id FROM events")}
    return float(len(acknowledged - kept))


def listed(ask: Callable[[], list[Any]]) -> float:
    return share(ask() for _ in range(ASKED))


def share(lists: Iterator[Any]) -> float:
    found = [bool(one) for one in lists]
    return sum(found) / len(found)


PROTOCOL = (
    "one fault at a time, each in a folder of its own; kill: bench-kill's load; disk: a tmpfs of "
    f"{_DISK} filled to the last byte; clock: an hour forward, then back; standby: bench-workers' load around kill -9"
)

if __name__ == "__main__":
    main()
