"""`penchant tenant`: many applications in one server, each with a data folder of its own."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.markup import escape

from penchant.errors import InvalidInput, Unavailable
from penchant.serving import screens
from penchant.serving.cli.options import HERE, Data, Json
from penchant.serving.cli.running import Preset, settings_text

Name = Annotated[str, typer.Argument(metavar="NAME", help="Small letters, digits and -.")]
_CLOSING = 10.0  # seconds that a server is given to close a tenant which no key leads to any more
_LOOK = 0.1

app = typer.Typer(no_args_is_help=True, help="Tenants: many applications in one server, kept apart. See docs/keys.md.")


@app.command()
def create(
    name: Name,
    data: Data = HERE,
    preset: Annotated[Preset | None, typer.Option(help="Settings that suit a kind of application.")] = None,
) -> None:
    """Make a tenant; a running server answers for it as soon as there is a key."""
    from penchant.serving import tenant_folders

    path = tenant_folders.create(data, name, settings_text(preset))
    screens.out.print(f"Made [bold]{escape(str(path))}[/bold]; its settings are in penchant.toml there.")
    screens.out.print(f"Next: [bold]penchant key create --tenant {name} --scope ingest --scope read[/bold]")


@app.command("list")
def list_(data: Data = HERE, json: Json = False) -> None:
    """Which tenants there are, how much each has kept, and how many keys lead to it."""
    from penchant.serving import keys, tenant_folders

    good = [key.tenant for key in keys.read(data) or () if key.revoked is None]
    found = [msgspec.to_builtins(one) | {"keys": good.count(one.name)} for one in tenant_folders.listed(data)]
    if json:
        typer.echo(msgspec.json.encode(found))
        return
    table = screens.table("tenant", "log", "keys", right=("log", "keys"))
    for one in found:
        table.add_row(one["name"], f"{one['log_bytes'] / 2**20:.1f} MB", str(one["keys"]))
    screens.out.print(table if found else "There are no tenants: the data folder itself is served.")


@app.command()
def remove(
    name: Name,
    data: Data = HERE,
    again: Annotated[
        str | None, typer.Option("--again", metavar="NAME", help="The name once more, instead of being asked for it.")
    ] = None,
) -> None:
    """Delete a tenant with all its data, and revoke its keys. There is no way back."""
    from penchant.serving import keys, tenant_folders

    tenant_folders.folder_of(data, name)
    said = again or typer.prompt(f"All data of {name} will be gone. Type its name again")
    if said != name:
        raise InvalidInput("is not its name; nothing was removed.", field="name", value=said, way_out=f"Say {name}.")
    revoked = keys.revoke_all(data, name)
    _remove(data, name)
    screens.out.print(f"[bold]{name}[/bold] is gone, and its keys are revoked ({revoked}).")


def _remove(data: Path, name: str) -> None:
    """A server that has it open closes it, since no key leads there any more. Raises Unavailable when it does not."""
    from penchant.serving import tenant_folders

    end = time.monotonic() + _CLOSING
    while True:
        try:
            return tenant_folders.remove(data, name)
        except Unavailable:
            if time.monotonic() > end:
                raise
        time.sleep(_LOOK)
