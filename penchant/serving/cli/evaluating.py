"""`penchant evaluate`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from penchant.errors import InvalidInput, NotFound
from penchant.serving.cli.options import HERE, LOG, Data, Json

if TYPE_CHECKING:
    from penchant.evaluation.folders import World
    from penchant.evaluation.trials import Trial
    from penchant.types import Event

Share = Annotated[
    float, typer.Option(min=0.01, max=0.99, help="time: the share of events, oldest first, that is learned before.")
]
Split = Annotated[float | None, typer.Option(help="time: the moment of the split (Unix seconds), instead of --share.")]
Protocol = Annotated[
    Literal["time", "loo", "folds"],
    typer.Option(help="time: learn what came before a moment, then predict each later event and learn it. "
                 "loo: predict the last event of each person. folds: k-fold cross-validation of ratings alone, whose "
                 "model is fitted for each fold (needs PyTorch)."),
]  # fmt: skip
Folds = Annotated[int, typer.Option(min=2, help="folds: how many; each is predicted by what the others hold.")]
Slices = Annotated[
    str,
    typer.Option(metavar="NAME,NAME", help="Also: few (histories cut to 1, 3, 5 events), long (beyond 200 and 1,000), "
                 "cold (a tenth of the items never met), frozen (counts as at the split), future (all that came "
                 "after); none."),
]  # fmt: skip


_OF_LISTS = ("slices", "every", "seen", "depth")
_NOT_FOR = {"time": ("folds",), "loo": ("folds",), "folds": (*_OF_LISTS, "share")}  # options that have defaults


def evaluate(
    context: typer.Context,
    data: Data = HERE,
    protocol: Protocol = "time",
    share: Share = 0.9,
    split: Split = None,
    least: Annotated[int, typer.Option(min=0, help="Leave out items met fewer times than this.")] = 0,
    slices: Slices = "few,long,cold",
    every: Annotated[int, typer.Option(min=1, help="Ask one of so many events; all are learned.")] = 1,
    seen: Annotated[
        Literal["ever", "allow"] | None,
        typer.Option(help="Whether lists hide what was met. Left out: what `seen` in penchant.toml says."),
    ] = None,
    depth: Annotated[
        int, typer.Option(min=20, max=995, help="How far down a list is looked; what stands deeper has the last rank.")
    ] = 100,
    file: Annotated[
        Path | None, typer.Option(help="loo: take the events from this file of lines `user item`, oldest first.")
    ] = None,
    names: Annotated[
        Path | None, typer.Option(help="With --file: a CSV of two columns, an item in the file and its id.")
    ] = None,
    folds: Folds = 5,
    seed: Annotated[int, typer.Option(min=0, help="Of what is drawn at random: the cold items, the folds.")] = 0,
    json: Json = False,
) -> None:
    """How good are the lists, with intervals, overall and on the slices where averages hide the answer?

    Under a version that has learned them, also how good the probabilities of actions are, and how far off ratings
    (--protocol time). The data folder is read and not changed: the real engine is driven on a copy.
    """
    from penchant.config import load_settings
    from penchant.evaluation.scope import Scope, check
    from penchant.serving.evaluating import run, run_folds, show

    chosen = [name.strip() for name in slices.split(",") if name.strip() not in ("", "none")]
    scope = Scope(slices=chosen, every=every, seen=seen or load_settings(data).seen, seed=seed, depth=depth)
    check(scope)
    _fitting(context, protocol, file, names, split)
    world, events = _read(data, least, file, names)
    report = (
        run_folds(world, events, folds, seed)
        if protocol == "folds"
        else run(world, _trial(protocol, events, share, split), scope)
    )
    if json:
        import msgspec

        typer.echo(msgspec.json.encode(report))
    else:
        show(report)


def _read(data: Path, least: int, file: Path | None, names: Path | None) -> tuple[World, Sequence[Event]]:
    from penchant.evaluation import folders, trials

    if not (data / LOG).exists():
        raise NotFound(
            "there is no data folder here.", field="data", value=str(data), way_out="Name one with --data, or import."
        )
    if file is None:
        return folders.read_log(data, least)
    for path in (file, names):
        if path is not None and not path.is_file():
            raise NotFound("there is no such file.", field="file", value=str(path), way_out="Check the path.")
    events = trials.read_sequences(file, trials.read_names(names) if names else None)
    return folders.read_items(data, events), folders.met_often(events, least)


def _trial(protocol: str, events: Sequence[Event], share: float, split: float | None) -> Trial:
    from penchant.evaluation.protocols import moment_of
    from penchant.evaluation.trials import left_out, successive

    if protocol == "loo":
        return left_out(events)
    return successive(events, split if split is not None else moment_of(events, share))


def _fitting(context: typer.Context, protocol: str, file: Path | None, names: Path | None, split: float | None) -> None:
    """Options that say nothing under a protocol are mistakes, not to be passed over in silence."""
    if file is not None and protocol != "loo":
        raise InvalidInput(
            "a file of sequences has no times.", field="file", value=str(file), way_out="Add --protocol loo."
        )
    if names is not None and file is None:
        raise InvalidInput("names items of no file.", field="names", value=str(names), way_out="Add --file.")
    if split is not None and protocol != "time":
        raise InvalidInput(
            f"--protocol {protocol} has no moment.", field="split", value=split, way_out="Leave one of the two out."
        )
    for name in _NOT_FOR[protocol]:
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            raise InvalidInput(
                f"says nothing under --protocol {protocol}.",
                field=name,
                value=context.params[name],
                way_out=f"Leave out --{name}, or choose another protocol.",
            )
