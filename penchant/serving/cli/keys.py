"""`penchant key`: who may ask. Only the file of keys is read and written, so a server may be running."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.markup import escape

from penchant.serving import screens
from penchant.serving.cli.options import HERE, Data, Json

if TYPE_CHECKING:
    from penchant.serving.keys import Key

app = typer.Typer(no_args_is_help=True, help="Keys: who may ask the server for what. See docs/keys.md.")


@app.command()
def create(
    scope: Annotated[
        list[str],
        typer.Option(
            help="ingest: send what people do. read: ask for lists, read items. admin: change items and profiles, "
            "erase. public: for a browser, alone. operator: /metrics of the whole server, alone. Repeat it for more."
        ),
    ],
    data: Data = HERE,
    tenant: Annotated[str | None, typer.Option(help="Whose data; needed where the folder has tenants.")] = None,
    origin: Annotated[
        list[str] | None, typer.Option(help="Pages that may hold a public key: https://shop.example. Repeat it.")
    ] = None,
    rate: Annotated[float | None, typer.Option(help="Most requests a second. Left out: any number.")] = None,
    note: Annotated[str, typer.Option(help="What it is for.")] = "",
    json: Json = False,
) -> None:
    """Make a key and print it, once: only its hash is kept."""
    from penchant.serving import keys

    if "operator" not in scope:
        _check_tenant(data, tenant)
    key, text = keys.create(data, scope, tenant=tenant or "", origins=tuple(origin or ()), rate=rate, note=note)
    if json:
        typer.echo(msgspec.json.encode({"id": key.id, "key": text}))
        return
    typer.echo(text)
    screens.errors.print(
        f"Key [bold]{key.id}[/bold] is made. It is shown this once; a running server takes it within a second."
    )


@app.command("list")
def list_(data: Data = HERE, json: Json = False) -> None:
    """Which keys there are, what each opens, and which are revoked. Nothing of their secrets is kept."""
    from penchant.serving import keys

    found = keys.read(data) or []
    if json:
        typer.echo(msgspec.json.encode([_shown(key) for key in found]))
        return
    table = screens.table("id", "tenant", "scopes", "origins", "a second", "made", "note", "", right=("a second",))
    for key in found:
        rate = f"{key.rate:g}" if key.rate is not None else ""
        cells = (key.id, key.tenant, ", ".join(key.scopes), "\n".join(key.origins), rate, _day(key.created), key.note)
        table.add_row(*map(escape, cells), f"[red]revoked {_day(key.revoked)}[/red]" if key.revoked else "")
    screens.out.print(table if found else "There are no keys: the server answers everybody on this machine.")


@app.command()
def revoke(
    key: Annotated[str, typer.Argument(metavar="ID", help="The id of a key, or the key itself.")], data: Data = HERE
) -> None:
    """Let a key open nothing from now on."""
    from penchant.serving import keys

    screens.out.print(
        f"Key [bold]{keys.revoke(data, key).id}[/bold] is revoked; a running server knows it within a second."
    )


def _check_tenant(data: Path, tenant: str | None) -> None:
    """Raises NotFound for a tenant that is not there, InvalidInput where one must be named."""
    from penchant.errors import InvalidInput
    from penchant.serving.tenant_folders import folder_of, has_tenants, listed

    if tenant is not None:
        folder_of(data, tenant)
    elif has_tenants(data):
        names = ", ".join(one.name for one in listed(data)) or "none yet: penchant tenant create NAME"
        raise InvalidInput(
            "this folder has tenants.", field="tenant", value=tenant, way_out=f"Name one with --tenant: {names}."
        )


def _shown(key: Key) -> dict[str, object]:
    """A hash is no secret, but nobody needs it either."""
    told: dict[str, object] = msgspec.to_builtins(key)
    return {name: value for name, value in told.items() if name != "digest"}


def _day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")
