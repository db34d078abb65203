"""`penchant import`: what was understood before, what became of it after; `loading` does what lies between."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console
from rich.markup import escape

from penchant.errors import InvalidInput
from penchant.serving import screens
from penchant.serving.cli.loading import Loading, Tally, interruptible, refused_file
from penchant.serving.cli.options import HERE, Data, opened

if TYPE_CHECKING:
    from penchant.serving.importers import Part

What = Literal["items", "users", "events"]
PATHS = "CSV, TSV or JSON lines, each also .gz; Parquet; a folder of them; MovieLens or MIND."
WhatOption = Annotated[What | None, typer.Option(help="What the file holds. Left out: guessed.")]
Map = Annotated[
    list[str] | None,
    typer.Option(
        metavar="WORD=COLUMN",
        help="Which column is user, item, words, action, value, time, id or context.NAME; "
        "fields=A,B says which columns of items or users to keep. Repeatable. Left out: guessed.",
    ),
]
ActionOption = Annotated[
    str | None, typer.Option(help="The action of every event, where no column says it: click, buy, rate.")
]
_ORDER = {"items": 0, "users": 1, "events": 2}
_REASONS = 12


def import_(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH", help=PATHS)],
    what: WhatOption = None,
    map: Map = None,
    action: ActionOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show how the files would be read, and stop.")] = False,
    data: Data = HERE,
) -> None:
    """Take files in. Stop it whenever you like: the same command goes on from there."""
    parts = planned(paths, what, mapping(map), action)
    if dry_run:
        return
    with opened(data, text_threads=os.cpu_count() or 1) as engine, interruptible() as stopping:
        with Loading(engine, data, stopping) as loading:
            loading.take(parts)
        screens.warnings(engine.warnings)
    _summarise(loading.tallies, data)
    if stopping():
        screens.out.print("[yellow]Stopped.[/yellow] The same command goes on from there.")
        raise typer.Exit(130)
    if not any(tally.taken or tally.known for tally in loading.tallies):
        raise InvalidInput(
            "not one row could be used.",
            field="path",
            value=", ".join(path.name for path in paths),
            way_out="Look at the reasons above; --map says which column is which.",
        )


# -- before and after --------------------------------------------------------------------------------------------------


def mapping(told: Iterable[str] | None) -> dict[str, str]:
    """Words and columns as they are written after --map."""
    found: dict[str, str] = {}
    for text in told or ():
        word, separator, column = text.partition("=")
        if not separator:
            raise InvalidInput("is not WORD=COLUMN.", field="map", value=text, way_out="Write user=member_id, say.")
        found[word.strip()] = column.strip()
    return found


def planned(
    paths: Sequence[Path],
    what: What | None,
    mapping: dict[str, str],
    action: str | None,
    screen: Console = screens.out,
) -> list[Part]:
    """The parts of all paths in the order they are taken, shown as a table."""
    from penchant.serving.importers import Wish, survey

    found: list[Part] = []
    table = screens.table("file", "read as", "rows", "from these columns", right=("rows",))
    for path in paths:
        parts, left_out = survey(path, Wish(what, mapping or None, action))
        found += parts
        for part in parts:
            columns = ", ".join(f"{word}: {column}" for word, column in part.mapping.items())
            table.add_row(escape(part.name), part.what, f"~{part.rows:,}", escape(columns or "events as they are"))
        for name, reason in left_out.items():
            table.add_row(f"[dim]{escape(name)}[/dim]", "[dim]left out[/dim]", "", f"[dim]{escape(reason)}[/dim]")
    screen.print(table)
    return sorted(found, key=lambda part: _ORDER[part.what])


def _summarise(tallies: Sequence[Tally], folder: Path) -> None:
    numbers = ("taken", "known before", "refused", "late")
    table = screens.table("file", *numbers, right=numbers)
    for one in tallies:
        table.add_row(escape(one.name), *(f"{count:,}" for count in (one.taken, one.known, one.refused, one.late)))
    screens.out.print(table)
    if tallies and not any(tally.taken or tally.refused for tally in tallies):
        screens.out.print("Nothing changed: all of it was imported before.")
    for one in tallies:
        if one.refused:
            _explain(one, folder)


def _explain(one: Tally, folder: Path) -> None:
    path = refused_file(folder, one.name)
    table = screens.table("rows", "refused because", "for example", right=("rows",))
    for reason, count in one.reasons.most_common(_REASONS):
        table.add_row(f"{count:,}", escape(reason), escape(one.examples[reason]))
    more = len(one.reasons) - _REASONS
    screens.out.print(f"\nRefused rows of {escape(one.name)} are kept in {escape(str(path))}", table)
    if more > 0:
        screens.out.print(f"and {more} more reasons")
