"""How good version 0 is on MovieLens-1M, and what staleness costs: global time split, successive.

    PENCHANT_DATA=<folder with ml-1m> make bench-replay

T = 978133376 (the 0.9 quantile). Everything before T is learned; then every event at or after T is predicted from all
of that user's earlier events and learned. Full catalogue, items already rated removed, items with fewer than 5 ratings
dropped, first-ever events count, neither request time nor ratings are used. Ties between scores go to the item that was
first mentioned; same-second events keep the order of the file. Nothing is trained, so there is one seed.
"""

from __future__ import annotations

import os
import sys
import tempfile
from itertools import islice
from pathlib import Path

from rich.console import Console

from benchmarks.rows import RESULTS, write_row
from penchant.engine import Engine
from penchant.evaluation.plots import draw
from penchant.evaluation.replay import Report, plan_of, replay
from penchant.serving.importers import plan, read
from penchant.serving.replaying import ReplayProgress, blocks
from penchant.types import Event

SPLIT = 978133376.0


def main() -> None:
    data = Path(os.environ.get("PENCHANT_DATA", "")) / "ml-1m"
    if not data.is_dir():
        sys.exit("Name the folder that holds ml-1m: PENCHANT_DATA=... make bench-replay")
    console = Console()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "ml-1m"
        take_in(data, folder)
        with ReplayProgress(console) as progress:
            report = replay(plan_of(folder, split=SPLIT, least=5), progress=progress)
    for block in blocks(report):
        console.print(block)
    write_row("replay", data="MovieLens-1M", seeds=1, figures=row(report),
              protocol="global time split at T=978133376, successive, full catalogue, seen removed, items with fewer "
                       "than 5 ratings dropped, no request time, no ratings, version 0")  # fmt: skip
    draw(report, RESULTS.parent.parent / "docs" / "replay.png")  # after the row: it changes the tree


def take_in(data: Path, folder: Path) -> None:
    with Engine.open(folder) as engine:
        for part in plan(data):
            rows = (event for _, event in read(part) if isinstance(event, Event))
            while batch := list(islice(rows, 2000)):
                engine.ingest(batch)
        engine.wait_for_items()


def row(report: Report) -> dict[str, float]:
    found = {"hr10": report.figures["penchant"].hr10, "ndcg10": report.figures["penchant"].ndcg10}
    for name, of in report.figures.items():
        if name != "penchant":
            key = name.replace(" ", "_")
            found |= {f"hr10_{key}": of.hr10, f"ndcg10_{key}": of.ndcg10}
    stale = {f"stale_{name.replace(' ', '').replace('day', 'd')}": of.ndcg10 for name, of in report.staleness.items()}
    return found | stale | {"events": float(report.events), "people": float(report.people)}


if __name__ == "__main__":
    main()
