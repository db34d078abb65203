"""`penchant replay`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from penchant.serving.cli.options import HERE, Data


def replay(
    data: Data = HERE,
    share: Annotated[
        float, typer.Option(min=0.01, max=0.99, help="The share of events, oldest first, that is only learned from.")
    ] = 0.9,
    split: Annotated[
        float | None, typer.Option(help="The moment of the split (Unix seconds), instead of --share.")
    ] = None,
    least: Annotated[int, typer.Option(min=0, help="Leave out items met fewer times than this.")] = 0,
    staleness: Annotated[bool, typer.Option(help="Also play with states and counts that are late.")] = True,
    picture: Annotated[Path, typer.Option(help="Where the plot goes.")] = Path("replay.png"),
) -> None:
    """Play the log in time order through the real engine: how good are the lists, and what does staleness cost?

    Everything before the split is learned. Then every event is first predicted, then learned.
    """
    from penchant.evaluation.replay import LAGS, plan_of
    from penchant.serving.replaying import show

    show(plan_of(data, quantile=share, split=split, least=least), list(LAGS) if staleness else ["0 s"], picture)
