"""`penchant model`: the versions of a folder. No engine is opened, so a server may be running."""

from __future__ import annotations

from typing import Annotated

import msgspec
import typer
from rich.markup import escape

from penchant.serving import screens
from penchant.serving.cli.options import HERE, Data, Json

Number = Annotated[str, typer.Argument(metavar="NUMBER", help="The number of a version, or its name.")]

app = typer.Typer(no_args_is_help=True, help="The versions of the model: list them, choose one, go back, compare.")


@app.command("list")
def list_(data: Data = HERE, json: Json = False) -> None:
    """Which versions there are, and which one is in use; one that cannot be used with the reason."""
    from penchant.serving.modelling import Shelf, table_of

    with Shelf(data) as shelf:
        listed = shelf.listed()
    if json:
        typer.echo(msgspec.json.encode(listed))
    else:
        screens.out.print(table_of(listed))


@app.command()
def show(version: Number, data: Data = HERE, json: Json = False) -> None:
    """What a version was trained on, how, and how good it was; and its files."""
    from penchant.serving.modelling import Shelf, blocks_of

    with Shelf(data) as shelf:
        shown = shelf.shown(version)
    if json:
        typer.echo(msgspec.json.encode(shown))
        return
    for block in blocks_of(shown):
        screens.out.print(block)


@app.command()
def use(version: Number, data: Data = HERE, json: Json = False) -> None:
    """Use this version from now on. It is looked at first: it must be whole, and of this log and this encoder."""
    from penchant.serving.modelling import Shelf

    with Shelf(data) as shelf:
        _say(shelf.use(version).name, json)


@app.command()
def rollback(data: Data = HERE, json: Json = False) -> None:
    """Use the version again that was in use before."""
    from penchant.serving.modelling import Shelf

    with Shelf(data) as shelf:
        _say(shelf.roll_back().name, json)


@app.command()
def diff(
    one: Annotated[str, typer.Argument(metavar="A", help="The number of a version, or its name.")],
    other: Annotated[str, typer.Argument(metavar="B", help="Another one's.")],
    data: Data = HERE,
    json: Json = False,
) -> None:
    """What differs between two versions in recipe and data, and the figures of both, side by side."""
    from penchant.serving.modelling import Shelf, blocks_of_difference

    with Shelf(data) as shelf:
        found = shelf.difference(one, other)
    if json:
        typer.echo(msgspec.json.encode(found))
        return
    for block in blocks_of_difference(found):
        screens.out.print(block)


def _say(name: str, json: bool) -> None:
    if json:
        typer.echo(msgspec.json.encode({"in_use": name}))
        return
    screens.out.print(f"[bold]{escape(name)}[/bold] is in use. A running server goes over to it within a second.")
