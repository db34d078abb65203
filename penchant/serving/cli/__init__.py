"""The command line: `penchant --help`.

Notable: a command imports what it needs when it runs, so that help and mistakes answer at once. What Penchant raises
on purpose becomes a short panel on stderr with the field, the value and the way out; `--debug` shows where it came
from. Exit codes: 0 done, 2 the input is wrong or a name is not there, 1 anything else, 130 stopped with Ctrl-C;
`penchant doctor` ends with 1 where it has found something serious.

A command is a function in a module of this package, registered below.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from penchant.errors import InvalidInput, NotFound
from penchant.serving import screens
from penchant.serving.cli import (
    asking,
    evaluating,
    examining,
    importing,
    keeping,
    keys,
    modelling,
    replaying,
    running,
    tenants,
    training,
    trying,
)

DEBUG = "--debug"
INTERRUPTED = 130

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def penchant(
    debug: Annotated[
        bool, typer.Option(DEBUG, help="Show where an error came from. Works after a command too.")
    ] = False,
) -> None:
    """Real-time personalization that understands content.

    Start with [bold]penchant demo[/bold], or [bold]try[/bold] it on a file of your own. Then: [bold]init[/bold],
    [bold]import[/bold], [bold]recommend[/bold] or [bold]serve[/bold], and [bold]train[/bold] once people have done
    things.
    """


app.command()(running.demo)
app.command("try")(trying.try_)
app.command()(running.init)
app.command("import")(importing.import_)
app.command()(examining.doctor)
app.command()(asking.recommend)
app.command()(asking.similar)
app.command()(asking.search)
app.command()(replaying.replay)
app.command()(evaluating.evaluate)
app.command()(training.train)
app.add_typer(modelling.app, name="model")
app.command()(running.serve)
app.add_typer(keys.app, name="key")
app.add_typer(tenants.app, name="tenant")
app.command()(running.follow)
app.command()(keeping.backup)
app.command()(keeping.restore)


def main() -> None:
    """The `penchant` program."""
    sys.exit(run(sys.argv[1:]))


def run(words: Sequence[str]) -> int:
    """Run one command line and say its exit code."""
    try:
        app(args=[word for word in words if word != DEBUG], prog_name="penchant")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    except KeyboardInterrupt:
        screens.errors.print("Stopped.")
        return INTERRUPTED
    except BrokenPipeError:  # `penchant recommend ann | head`: the reader has what it wanted
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python's last flush would fail as well
        return 0
    except Exception as error:
        return _failed(error, DEBUG in words)
    return 0


def _failed(error: Exception, debug: bool) -> int:
    if debug:
        screens.errors.print_exception()
    else:
        screens.errors.print(screens.failure(error))
    return 2 if isinstance(error, InvalidInput | NotFound) else 1
