"""`penchant try`."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated, Literal

import typer

from penchant.serving import screens
from penchant.serving.cli.importing import mapping, planned
from penchant.serving.cli.options import Json

_KILLED = 128  # what a shell adds to the number of the signal

Map = Annotated[
    list[str] | None,
    typer.Option(metavar="WORD=COLUMN", help="Which column of FILE is user, item, time, action, value or words. "
                 "Repeatable. Left out: guessed."),
]  # fmt: skip
MapItems = Annotated[
    list[str] | None,
    typer.Option(metavar="WORD=COLUMN", help="Which column of ITEMS is item; fields=A,B: which ones to read."),
]
Train = Annotated[
    bool | None,
    typer.Option("--train/--no-train", help="Train a model too. Left out: where PyTorch is there, and the log holds "
                 "a million events or fewer.", show_default=False),
]  # fmt: skip
Seen = Annotated[
    Literal["ever", "allow"], typer.Option(help="Whether lists hide what a person met: allow, where people come back.")
]


def try_(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Events: CSV, TSV, Parquet, JSON lines; or a folder with items too.")
    ],
    items: Annotated[
        Path | None, typer.Argument(metavar="[ITEMS]", help="Items with titles, descriptions, tags; the same kinds.")
    ] = None,
    map: Map = None,
    map_items: MapItems = None,
    action: Annotated[str | None, typer.Option(help="The action of every event, where no column says it.")] = None,
    asked: Annotated[
        int, typer.Option(min=100, help="About how many events to ask, at most: the time it takes. People are drawn.")
    ] = 10_000,
    people: Annotated[
        int,
        typer.Option(
            min=100,
            help="Of more people than this, so many are drawn: the memory it takes, about 4 KB "
            "for each in each of two engines.",
        ),
    ] = 100_000,
    train: Train = None,
    size: Annotated[Literal["small", "medium", "large"], typer.Option(help="Of the model that is trained.")] = "small",
    epochs: Annotated[int | None, typer.Option(min=1, help="Of the training, at most.")] = None,
    texts: Annotated[bool, typer.Option("--texts/--no-texts", help="Read the texts of items.")] = True,
    seen: Seen = "ever",
    seed: Annotated[int, typer.Option(min=0, help="Of what is drawn at random.")] = 0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show how the files would be read, and stop.")] = False,
    report: Annotated[Path, typer.Option(metavar="HTML", help="Where the report goes.")] = Path("penchant-try.html"),
    json: Json = False,
) -> None:
    """What can you expect on your own data? Give a file of events; nothing of it is kept.

    All but the last tenth is learned. For what happened then, simple lists, hourly ones and Penchant's are compared,
    with intervals, and what it costs to be late.
    """
    from penchant.serving import trying

    with ending_in_order(), tempfile.TemporaryDirectory(prefix="penchant-try-") as folder:
        scratch, screen = Path(folder), screens.errors if json else screens.out
        parts = planned([file], None, mapping(map), action, screen)
        if items is not None:
            parts = planned([items], "items", mapping(map_items), None, screen) + parts
        if dry_run:
            return
        workers = min(2, os.cpu_count() or 1)
        dials = trying.Dials(asked, people, workers, texts, train, size, epochs, seen, seed)
        answer, told = trying.run(parts, dials, scratch)
    trying.show(answer, told, report, json)


@contextmanager
def ending_in_order() -> Iterator[None]:
    """SIGTERM ends this as an error does: what people did must not stay behind in a scratch folder."""

    def end(number: int, frame: FrameType | None) -> None:
        sys.exit(_KILLED + number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
