"""`penchant backup` and `restore`. No engine is opened, so a server may be running."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.markup import escape

from penchant.serving import screens
from penchant.serving.cli.options import HERE, Data, Json

if TYPE_CHECKING:
    from penchant.serving.backup import Manifest, Progress


def backup(
    to: Annotated[Path, typer.Argument(metavar="TO", help="A folder that is not there yet, or is empty.")],
    data: Data = HERE,
    json: Json = False,
) -> None:
    """Copy a data folder, its tenants too, also while a server works on it. All that was acknowledged is in the copy.

    It holds what people did, so guard it as you guard the original; who is erased later is still in it.
    """
    from penchant.serving.backup import back_up
    from penchant.threads import lower_priority

    lower_priority()
    with _progress() as progress:
        manifest = back_up(data, to, progress)
    _say(manifest, f"is in [bold]{escape(str(to))}[/bold]", json)
    if not json:
        screens.out.print(f"Back from it: [bold]penchant restore {escape(str(to))} --data FOLDER[/bold]")


def restore(
    source: Annotated[Path, typer.Argument(metavar="FROM", help="A folder that `penchant backup` wrote.")],
    data: Data = HERE,
    json: Json = False,
) -> None:
    """Make a data folder of a backup; every file is compared with its hash first. DIR must not hold anything."""
    from penchant.serving.backup import restore

    with _progress() as progress:
        manifest = restore(source, data, progress)
    _say(manifest, f"is in [bold]{escape(str(data))}[/bold] again", json)


@contextmanager
def _progress() -> Iterator[Progress]:
    """A bar for each file, on stderr."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(*columns, console=screens.errors, transient=True) as bars:
        tasks: dict[str, TaskID] = {}

        def told(file: str, done: int, of: int) -> None:
            if file not in tasks:
                tasks[file] = bars.add_task(file)
            bars.update(tasks[file], completed=done, total=of)

        yield told


def _say(manifest: Manifest, where: str, json: bool) -> None:
    if json:
        typer.echo(msgspec.json.encode(manifest))
        return
    size = sum(kept.bytes for kept in manifest.files.values())
    files = len(manifest.files)
    tenants = [f"{escape(name)} up to event {offset}" for name, offset in sorted(manifest.tenants.items())]
    what = f"{len(tenants)} tenants: {', '.join(tenants)}." if tenants else ""
    said = "All" if tenants else f"All up to event {manifest.offset}"
    screens.out.print(f"{said} {where}: {files} files, {size / 1e6:,.1f} MB. {what}".strip())
