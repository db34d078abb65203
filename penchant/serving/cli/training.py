"""`penchant train`."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from penchant.serving.cli.options import HERE, Data, Json

_INTERRUPTED = 130


def train(
    data: Data = HERE,
    size: Annotated[
        Literal["small", "medium", "large"], typer.Option(help="The one dial; all else follows from it and the data.")
    ] = "medium",
    seed: Annotated[int, typer.Option(min=0, help="The same seed on the same data trains the same model.")] = 0,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="At most so many; fewer where validation stops improving.")
    ] = None,
    no_refit: Annotated[
        bool, typer.Option("--no-refit", help="Do not train again on everything, validation included.")
    ] = False,
    no_gate: Annotated[bool, typer.Option("--no-gate", help="Do not compare it with version 0 first.")] = False,
    no_use: Annotated[bool, typer.Option("--no-use", help="Publish it, and leave in use what is.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget a run that was stopped.")] = False,
    json: Json = False,
) -> None:
    """Train a model on the log, and use it if it is better than version 0.

    The data folder may be open in a server: it is only read, and the server goes over to the new version by itself.
    A run that was stopped goes on from its last checkpoint.
    """
    from penchant.serving import training

    changed = {"seed": seed} | ({"epochs": epochs} if epochs is not None else {})
    chosen = training.Chosen(size, not no_refit, not no_gate, not no_use, fresh, changed)
    try:
        training.run(data, chosen, json)
    except KeyboardInterrupt:
        training.tell_stopped(data)
        raise typer.Exit(_INTERRUPTED) from None
