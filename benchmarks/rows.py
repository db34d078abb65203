"""One JSON row a measurement: printed as the last line, and kept in `benchmarks/results/NAME.jsonl`.

A row counts when its commit is in the history and the tree was clean; a tree that was not says so by "+dirty".
"""

from __future__ import annotations

import datetime
import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import msgspec

RESULTS = Path(__file__).parent / "results"

T = TypeVar("T")


def write_row(name: str, *, data: str, protocol: str, seeds: int, figures: Mapping[str, float]) -> None:
    row = {
        "name": name,
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "hardware": hardware(),
        "command": f"make bench-{name}",
        "data": data,
        "protocol": protocol,
        "seeds": seeds,
        "figures": {key: round(float(value), 5) for key, value in figures.items()},
    }
    RESULTS.mkdir(exist_ok=True)
    line = json.dumps(row)
    with open(RESULTS / f"{name}.jsonl", "a", encoding="utf-8") as file:
        file.write(line + "\n")
    sys.stdout.flush()
    print(line)


def commit() -> str:
    """The commit measured; "+dirty" when anything but results differs from it."""
    head = _git("rev-parse", "--short", "HEAD")
    changed = _git("status", "--porcelain", "--", ":/", ":(top,exclude)benchmarks/results")
    return f"{head}+dirty" if changed else head


def remembered(name: str, kind: type[T], work: Callable[[], T]) -> T:
    """The result of work, or what an earlier run of the same clean commit left of it in the folder ``OUT``."""
    folder, now = os.environ.get("OUT"), commit()
    if not folder or now.endswith("dirty"):
        return work()
    path = Path(folder) / f"{now}-{name}.json"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(msgspec.json.encode(work()))
    return msgspec.json.decode(path.read_bytes(), type=kind)


def hardware() -> str:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{len(os.sched_getaffinity(0))} cores, {_processor()}, {memory:.0f} GiB"


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _git(*arguments: str) -> str:
    found = subprocess.run(["git", *arguments], capture_output=True, text=True, cwd=RESULTS.parent, check=False)
    return found.stdout.strip() or ("unknown" if arguments[0] == "rev-parse" else "")
