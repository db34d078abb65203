"""What several commands share: the data folder, and opening an engine on it with something to look at meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from penchant.errors import NotFound
from penchant.serving import screens

if TYPE_CHECKING:
    from penchant.engine import Engine

LOG = "events.db"

Data = Annotated[
    Path, typer.Option("--data", metavar="DIR", envvar="PENCHANT_DATA_DIR", help="The data folder.", show_default=True)
]
Limit = Annotated[int, typer.Option(help="How many items.")]
Json = Annotated[bool, typer.Option("--json", help="Print the answer as one line of JSON.")]
HERE = Path("data")


@contextmanager
def opened(folder: Path, **flags: Any) -> Iterator[Engine]:
    """The engine of a data folder, made when it is not there."""
    with screens.errors.status("Opening the engine"):
        from penchant.engine import Engine

        engine = Engine.open(folder, **flags)
    with engine:
        yield engine


@contextmanager
def existing(folder: Path) -> Iterator[Engine]:
    """The engine of a folder that has data. Raises NotFound: a question must not make an empty folder."""
    if not (folder / LOG).exists():
        raise NotFound(
            "there is no data folder here.",
            field="data",
            value=str(folder),
            way_out="Name one with --data, or begin with `penchant init` and `penchant import`.",
        )
    with opened(folder) as engine:
        with screens.errors.status("Reading the texts of items"):
            engine.wait_for_items()
        yield engine
