"""The presets on real data, beside simple signals under the same settings: `penchant init --preset ...`, then a replay.

    PENCHANT_DATA=<folder with complete-journey, mind-subset and ml-100k> make bench-presets

Shop: Complete Journey, every second purchase of the last tenth by time. News: MIND, every click of the last fifth of
those since 2019-11-09 (what lies before are histories without times). Video: MovieLens-100K, every third rating of the
last tenth. Each is predicted from all that came before it, of everybody, and then learned. Everything is as a newcomer
gets it, actions and texts included; but items that nobody ever met are left out, and those that no file of items holds
are sent by their ids. Lists hide what was met where the preset says so. Ties go to the item first mentioned.
Nothing is trained. The weights were chosen on what lies before these windows (docs/log.md).
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from msgspec import structs
from rich.console import Console

from benchmarks.movielens import data_folder
from benchmarks.rows import write_row
from penchant import Engine, Event
from penchant.evaluation.protocols import moment_of
from penchant.evaluation.replay import Report, plan_of, replay
from penchant.serving.cli.running import Preset, settings_text
from penchant.serving.importers import plan, read
from penchant.serving.replaying import ReplayProgress, blocks


class World(NamedTuple):
    """A folder of PENCHANT_DATA; asked is one of ``every`` so many events after the quantile ``share`` of those
    ``since`` a moment (Unix seconds)."""

    folder: str
    share: float = 0.9
    since: float = 0.0
    every: int = 1


WORLDS: dict[Preset, World] = {
    "shop": World("complete-journey", every=2),
    "news": World("mind-subset", share=0.8, since=1573257600.0),
    "video": World("ml-100k", every=3),
}
FILES = {"complete-journey": ("products.csv", "transactions_sample.csv")}
PROTOCOL = (
    "version 0 of penchant init --preset; shop: Complete Journey, every second purchase of the last tenth by time; "
    "news: MIND, the last fifth of the clicks since 2019-11-09; video: MovieLens-100K, every third rating of the last "
    "tenth; successive, items met once at least, seen as the preset says, ties to the item first mentioned"
)


def main() -> None:
    row: dict[str, float] = {}
    for preset, world in WORLDS.items():
        report = measure(preset, world)
        for block in blocks(report):
            Console().print(block)
        row |= figures(preset, report)
    write_row("presets", data="Complete Journey, MIND, MovieLens-100K", seeds=1, figures=row, protocol=PROTOCOL)


def measure(preset: Preset, world: World) -> Report:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / preset
        folder.mkdir()
        (folder / "penchant.toml").write_text(settings_text(preset), encoding="utf-8")
        events = [event for event in logged(world) if event.kind in ("item", "interaction")]
        acted = [event for event in events if event.kind == "interaction"]
        with Engine.open(folder) as engine:
            for of in (catalogue(events, acted), acted):
                for start in range(0, len(of), 2000):
                    engine.ingest(of[start : start + 2000])
            engine.wait_for_items()
        split = moment_of([event for event in acted if (event.time or 0.0) >= world.since], world.share)
        with ReplayProgress(Console()) as progress:
            return replay(plan_of(folder, split=split)._replace(every=world.every), lags=["0 s"], progress=progress)


def logged(world: World) -> Iterator[Event]:
    """All that the files hold, as an import reads it."""
    folder = data_folder(world.folder)
    paths = [folder / name for name in FILES[world.folder]] if world.folder in FILES else [folder]
    for part in (part for path in paths for part in plan(path)):
        yield from (event for _, event in read(part) if isinstance(event, Event))


def catalogue(events: list[Event], acted: list[Event]) -> list[Event]:
    """Items that somebody met, there from the beginning: as they were sent, those that were not by their ids."""
    sent = {event.item: event for event in events if event.kind == "item"}
    met = dict.fromkeys(event.item for event in acted if event.item is not None)
    first = min(event.time or 0.0 for event in acted)
    return [structs.replace(sent.get(name) or Event(kind="item", item=name), time=first) for name in met]


def figures(preset: str, report: Report) -> dict[str, float]:
    row = {f"events_{preset}": float(report.events), f"people_{preset}": float(report.people)}
    for name, found in report.figures.items():
        key = preset if name == "penchant" else f"{preset}_{name.replace(' ', '_')}"
        row |= {f"hr10_{key}": found.hr10, f"ndcg10_{key}": found.ndcg10}
        row |= dict(zip((f"ndcg10_{key}_low", f"ndcg10_{key}_high"), found.ndcg10_interval, strict=True))
    return row


if __name__ == "__main__":
    main()
