"""`penchant init`, `serve`, `follow` and `demo`."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Container, Iterator
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
import typer
from rich.markup import escape

from penchant.errors import InvalidInput
from penchant.serving import screens
from penchant.serving.cli.options import HERE, Data, opened

if TYPE_CHECKING:
    from penchant.config import Action, Settings
    from penchant.engine import Engine

Preset = Literal["shop", "news", "video"]
Open = Annotated[
    bool, typer.Option("--open", help="Ask for no key on any address, in a network that is trusted. docs/keys.md")
]
_TABLES = "# Weights: "  # where the tables of a preset begin
_HEAD = """\
# Penchant settings. What stands here behind a # is the default: remove the # to change it.
# PENCHANT_<NAME> in the environment goes before this file, and an option of the command before both.
"""


def init(
    data: Data = HERE,
    preset: Annotated[
        Preset | None,
        typer.Option(
            help="Settings that suit a kind of application, each with why: actions, half-lives, what is "
            "popular, what is new, and whether lists show what was met."
        ),
    ] = None,
) -> None:
    """Make a data folder with its settings, and show what follows from them."""
    from penchant.config import FILE, load_settings

    load_settings(data)  # a mistake in an older file is told before the engine is opened
    data.mkdir(parents=True, exist_ok=True)
    path = data / FILE
    was_there = path.exists()
    if was_there and preset is not None:
        raise InvalidInput(
            f"{path} is there already, and is not written over.",
            field="preset",
            value=preset,
            way_out="Move that file away, or name another folder with --data.",
        )
    if not was_there:
        path.write_text(settings_text(preset), encoding="utf-8")
    with opened(data) as engine:
        _show(engine, f"{path} ({'was there, left as it is' if was_there else 'written'})")
        screens.warnings(engine.warnings)
    screens.out.print(f"\nNext: [bold]penchant import FILES --data {escape(str(data))}[/bold]")


def serve(
    data: Data = HERE,
    host: Annotated[str | None, typer.Option(help="The address to listen on. Left out: 127.0.0.1.")] = None,
    port: Annotated[int | None, typer.Option(help="The port to listen on. Left out: 7461.")] = None,
    durability: Annotated[
        Literal["process", "power"] | None,
        typer.Option(help="An acknowledged event survives kill -9 (process, the default) or also the loss of power."),
    ] = None,
    open: Open = False,
) -> None:
    """Answer over HTTP, until Ctrl-C."""
    from penchant.config import load_settings
    from penchant.serving import server

    settings = load_settings(data, host=host, port=port, durability=durability)
    announce = _announcing(f"Serving [bold]{escape(str(data))}[/bold]", settings)
    server.serve(data, announce=announce, host=host, port=port, durability=durability, open=open or None)


def follow(
    leader: Annotated[Path, typer.Argument(metavar="DATA", help="The data folder of a server that runs.")],
    own: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Where this process keeps what it derives. Left out: DATA/followers/PORT."),
    ] = None,
    host: Annotated[str | None, typer.Option(help="The address to listen on. Left out: 127.0.0.1.")] = None,
    port: Annotated[int, typer.Option(help="The port to listen on.")] = 7462,
    open: Open = False,
    take_over: Annotated[
        bool, typer.Option("--take-over", help="Own DATA, and take events, as soon as its process is gone.")
    ] = False,
) -> None:
    """Answer lists beside a running server, from its log: another engine process, or a warm standby.

    Every list knows all that was acknowledged by the server before it was asked. Events are sent to the server.
    """
    from penchant.config import load_settings
    from penchant.serving import server

    settings = load_settings(leader, host=host, port=port, open=open or None)
    server.serve(
        own or leader / "followers" / str(port),
        leader=server.Leader(leader, take_over),
        announce=_announcing(f"Following [bold]{escape(str(leader))}[/bold]", settings),
        host=host,
        port=port,
        open=open or None,
    )


def _announcing(what: str, settings: Settings) -> Callable[[list[str]], None]:
    """For people; whoever reads lines of JSON has one that says so."""

    def announce(warnings: list[str]) -> None:
        if screens.errors.is_terminal:
            screens.warnings(warnings)
            where = f"http://{settings.host}:{settings.port}"
            screens.errors.print(f"{what} at [bold]{where}[/bold] (Ctrl-C stops it)")

    return announce


def demo(
    data: Annotated[
        Path | None, typer.Option("--data", metavar="FOLDER", help="A MovieLens-1M folder, instead of the 300 films.")
    ] = None,
    fast: Annotated[bool, typer.Option("--fast", help="Do not pause for the reader.")] = False,
) -> None:
    """A minute with 300 films: every click changes the list, and kill -9 loses nothing."""
    from penchant.serving.demo import run

    if not run(data, fast):
        raise typer.Exit(1)


def settings_text(preset: Preset | None = None) -> str:
    """penchant.toml with every setting behind a #, each with what `config.Settings` says of it; or a preset's, first
    what it sets and why, then all that it leaves as it is."""
    plain, tables = _preset(preset) if preset is not None else ("", _default_tables())
    return "\n".join([_HEAD, *([plain] if plain else []), *_defaults(tomllib.loads(plain)), tables])


def _preset(name: Preset) -> tuple[str, str]:
    """What a preset sets, and its tables, which must come last in the file."""
    text = files("penchant").joinpath("data", f"preset-{name}.toml").read_text(encoding="utf-8")
    plain, mark, tables = text.partition(_TABLES)
    return plain, mark + tables


def _defaults(set_here: Container[str]) -> Iterator[str]:
    """Every setting that is not set, as a comment."""
    from penchant.config import TABLES, Settings

    defaults, said = Settings(), _said(Settings.__doc__ or "")
    for name in defaults.__struct_fields__:
        if name in TABLES or name in set_here:
            continue
        if name in said:
            yield f"# {said[name]}"
        yield f"# {name} = {msgspec.json.encode(getattr(defaults, name)).decode()}\n"


def _default_tables() -> str:
    from penchant.config import Settings

    told = ["# What each feature weighs in the score, before anything was trained. One not named keeps its default."]
    told += ["# [weights]", *(f"# {name} = {weight}" for name, weight in Settings().weights.items()), ""]
    told += ["# Weight of an action in what a person is about; below 0 it pushes away. Naming one replaces them all."]
    told += [f"# [actions.{name}]\n# weight = {action.weight}" for name, action in Settings().actions.items()]
    return "\n".join(told) + "\n"


def _said(doc: str) -> dict[str, str]:
    """The ``name  what it is`` lines of a docstring."""
    pairs = (line.strip().split("  ", 1) for line in doc.splitlines() if "  " in line.strip())
    return {pair[0]: pair[1].strip().replace("``", "`") for pair in pairs}


def _show(engine: Engine, settings_file: str) -> None:
    parts, settings = engine.parts, engine.parts.settings
    table = screens.table("", "")
    table.show_header = False
    for name, value in (
        ("settings", settings_file),
        ("texts are read by", _encoder(engine)),
        ("an item is", f"{parts.version.manifest.dim} numbers"),
        ("a person is", f"{parts.version.manifest.state_size} numbers, at most 4 KB with the last events"),
        ("neighbours", _neighbours(settings.neighbours)),
        ("durability", _durability(settings)),
        ("actions", _actions(settings.actions)),
    ):
        table.add_row(f"[dim]{name}[/dim]", escape(value))
    screens.out.print(table)


def _encoder(engine: Engine) -> str:
    encoder = engine.parts.encoder
    return f"{encoder.name}, {encoder.dim} numbers a text" if encoder else "nobody (encoder = none)"


def _neighbours(most: int) -> str:
    return f"at most {most} an item in each of two tables: {most * 16 / 1024:g} KB an item when they are full"


def _durability(settings: Settings) -> str:
    survives = {"process": "kill -9", "power": "kill -9 and the loss of power"}
    return f"{settings.durability}: an acknowledged event survives {survives[settings.durability]}"


def _actions(actions: dict[str, Action]) -> str:
    by_weight: dict[float, list[str]] = {}
    for name, action in actions.items():
        by_weight.setdefault(action.weight, []).append(name)
    return "\n".join(f"{weight:+g}  {', '.join(names)}" for weight, names in sorted(by_weight.items(), reverse=True))
