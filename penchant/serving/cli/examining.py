"""`penchant doctor`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from penchant.serving import screens
from penchant.serving.cli.importing import PATHS, ActionOption, Map, WhatOption, mapping, planned
from penchant.serving.cli.options import HERE, Data, Json

if TYPE_CHECKING:
    from penchant.evaluation.doctor.world import World

SERIOUS = 1


def doctor(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[PATH]...", help=f"Files to look at before they are imported: {PATHS}"),
    ] = None,
    what: WhatOption = None,
    map: Map = None,
    action: ActionOption = None,
    data: Data = HERE,
    json: Json = False,
) -> None:
    """What is wrong with the events? Order, gaps, duplicates, bots, items, texts, actions, values, units of time.

    Looks at the log of the data folder, which a server may have open, or at files before they are imported. Nothing is
    changed. Ends with 0 where all is well or odd at most, with 1 where something serious was found.
    """
    from penchant.evaluation.doctor import examine
    from penchant.serving.doctor import showing

    world = _read(paths or [], what, map, action, data, json)
    with screens.errors.status("Examining"):
        report = showing.report_of(world, examine(world))
    if json:
        import msgspec

        typer.echo(msgspec.json.encode(report))
    else:
        for block in showing.blocks(report):
            screens.out.print(block)
    if report.serious:
        raise typer.Exit(SERIOUS)


def _read(paths: list[Path], what: WhatOption, map: Map, action: ActionOption, data: Path, quiet: bool) -> World:
    from penchant.config import load_settings
    from penchant.serving.doctor import reading

    settings = load_settings(data)
    with screens.errors.status("Reading") as status:

        def tell(done: int) -> None:
            status.update(f"Reading: {done:,} events")

        if not paths:
            return reading.of_log(data, settings, tell)
        parts = planned(paths, what, mapping(map), action, screens.errors if quiet else screens.out)
        return reading.of_files(data, settings, parts, tell)
