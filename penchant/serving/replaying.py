"""How a replay is shown: progress bars, two tables, a picture, and what they say in words."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from penchant.evaluation.playing import PENCHANT
from penchant.evaluation.plots import draw
from penchant.evaluation.replay import Figures, Plan, Report, replay
from penchant.serving import screens


class ReplayProgress:
    """Called by `replay` with (what, done, of how many)."""

    def __init__(self, console: Console) -> None:
        count = TextColumn("{task.completed:,.0f} of {task.total:,.0f}")
        left = TimeRemainingColumn(elapsed_when_finished=True)
        self._progress = Progress(TextColumn("{task.description:>13}"), BarColumn(24), count, left, console=console)
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, what: str, done: int, of: int) -> None:
        if what not in self._tasks:
            self._tasks[what] = self._progress.add_task(what, total=of)
        self._progress.update(self._tasks[what], completed=done, total=of)

    def __enter__(self) -> ReplayProgress:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()


def show(plan: Plan, lags: list[str], picture: Path) -> Report:
    """Replay, and show what was found."""
    with ReplayProgress(screens.errors) as progress:
        report = replay(plan, lags=lags, progress=progress)
    for block in blocks(report):
        screens.out.print(block)
    screens.out.print(f"[dim]Drawn to {draw(report, picture)}[/dim]")
    return report


def blocks(report: Report) -> list[RenderableType]:
    quality = figures_table(
        "lists by", report.figures, f"Predict, then learn: {report.events:,} events after the split"
    )
    if len(report.staleness) < 2:
        return [quality]
    stale = figures_table("state and counts are", {f"{name} old": found for name, found in report.staleness.items()},
                   "What staleness costs")  # fmt: skip
    return [quality, "", stale, "", in_words(report)]


def in_words(report: Report) -> str:
    """What the two tables say."""
    ours = report.figures[PENCHANT]
    name, best = max(((n, f) for n, f in report.figures.items() if n != PENCHANT), key=lambda pair: pair[1].ndcg10)
    fresh, (slow, stale) = report.staleness["0 s"], list(report.staleness.items())[-1]
    lost = 1 - stale.ndcg10 / fresh.ndcg10 if fresh.ndcg10 else 0.0
    return (
        f"Of ten places, the next item stood in one for {ours.hr10:.1%} of the events ({name}, the best simple signal: "
        f"{best.hr10:.1%}).\nWith state and counts {slow} old, {lost:.0%} of the ranking quality (NDCG@10) is lost."
    )


def figures_table(first: str, rows: dict[str, Figures], title: str) -> RenderableType:
    """One row a way to make lists, Penchant's own in bold."""
    made = screens.table(first, "HR@10", "NDCG@10", "95% interval", "HR@20", "NDCG@20", title=title,
                         right=("HR@10", "NDCG@10", "HR@20", "NDCG@20"))  # fmt: skip
    for name, found in rows.items():
        low, high = found.ndcg10_interval
        style = "bold" if name in ("0 s old", "at once") or name.startswith(PENCHANT) else ""
        made.add_row(name, f"{found.hr10:.4f}", f"{found.ndcg10:.4f}", f"{low:.4f} to {high:.4f}",
                     f"{found.hr20:.4f}", f"{found.ndcg20:.4f}", style=style)  # fmt: skip
    return made
