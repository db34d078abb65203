"""How a training is shown: what follows from the dial before it starts, where it stands, and what came of it.

Needs the extra `train`; `penchant.learning` is imported when a training is run, and its absence is an error with the
way out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import typer
from rich.console import Console, RenderableType
from rich.markup import escape
from rich.progress import BarColumn, Progress, Task, TaskID, TextColumn, TimeRemainingColumn

from penchant.errors import Unavailable
from penchant.serving import screens

if TYPE_CHECKING:
    from penchant.learning.gate import Verdict
    from penchant.learning.pretrain import Report
    from penchant.learning.train import Outcome, Plan

_CHECKPOINTS = "training"  # `learning.train.TRAINING`, named here so that a stop can be told without torch


class Chosen(NamedTuple):
    """`learning.train.Options`, before it is known whether that can be imported."""

    size: str
    refit: bool
    gate: bool
    use: bool
    fresh: bool
    changed: Mapping[str, object]


@contextmanager
def needing_torch(what: str) -> Iterator[None]:
    """For an import that leads to PyTorch: without it, Unavailable says that ``what`` needs it, and the way out."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "torch":
            raise
        raise Unavailable(
            f"{what} needs PyTorch, which is not installed.",
            field="train",
            value="torch",
            way_out="pip install 'penchant[train]'",
        ) from None


def learner() -> ModuleType:
    """`penchant.learning.train`. Raises Unavailable without PyTorch."""
    with needing_torch("training"):
        from penchant.learning import train
    return train


def run(folder: Path, chosen: Chosen, json: bool) -> None:
    """Train, with progress on stderr, and print what came of it."""
    train = learner()
    options = train.Options(**chosen._asdict())
    with screens.errors.status("Reading the log and the texts of items"):
        source = train.opened(folder, options)
    with source:
        planned = train.plan(source, options)
        screens.errors.print(plan_table(planned))
        with TrainingProgress(screens.errors) as progress:
            told = train.Told(progress.phase, progress.report, progress.counted)
            outcome = train.train(source, planned, options, told)
    if json:
        typer.echo(msgspec.json.encode(as_json(planned, outcome)))
        return
    for block in blocks(outcome, options.gate):
        screens.out.print(block)


def tell_stopped(folder: Path) -> None:
    """After Ctrl-C."""
    goes_on = any((folder / _CHECKPOINTS).glob("*.pt"))
    where = "goes on from the last checkpoint" if goes_on else "starts again: no checkpoint was written yet"
    screens.errors.print(f"Stopped. The same command {where}.")


def plan_table(planned: Plan) -> RenderableType:
    """All that follows from the dial and the data."""
    made = screens.table("", "", title="What will be trained")
    made.show_header = False
    for name, value in (
        ("learned from", f"{planned.events:,} events of {planned.people:,} people with {planned.items:,} items"),
        ("validated on", f"what happened from {_moment(planned.moment)} on"),
        ("met again", f"{planned.repeats:.1%} of what people did was with an item that they had met"),
        ("memory", f"about {planned.memory / 2**30:.1f} GB"),
        *((name, str(value)) for name, value in msgspec.structs.asdict(planned.recipe).items()),
    ):
        made.add_row(f"[dim]{name}[/dim]", escape(value))
    return made


def blocks(outcome: Outcome, gated: bool) -> list[RenderableType]:
    """The gate, whether it is in use, and what to do next."""
    name, told = outcome.path.name, []
    if outcome.verdict is not None:
        told += [_verdict_table(outcome), _fusion_of(outcome.verdict), ""]
    elif not gated:
        told.append("It was not compared with version 0 (--no-gate).")
    told.append(f"Validation: NDCG@10 {outcome.metrics['ndcg10']:.4f} "
                f"({outcome.metrics['ndcg10_low']:.4f} to {outcome.metrics['ndcg10_high']:.4f})")  # fmt: skip
    told.append(f"\nPublished as {name}. {_use_of(outcome, name)}")
    return [*told, "Next: [bold]penchant model list[/bold]"]


def _fusion_of(verdict: Verdict) -> str:
    """How the learned score and the counts were put together."""
    fusion, weighed = verdict.fusion, verdict.weighed
    way = ("Learned score and counts are added by fitted curves" if fusion.curves
           else "Learned score and counts are added by fixed weights" if sum(map(bool, fusion.weights.values())) > 1
           else "Lists are ordered by the learned score alone")  # fmt: skip
    if weighed is None or weighed.curves is None:
        return f"{way}: too little was answered to fit curves."
    return f"{way}: NDCG@10 {weighed.lines:.4f} without curves, {weighed.curves:.4f} with, on people not fitted to."


def as_json(planned: Plan, outcome: Outcome) -> dict[str, object]:
    verdict = outcome.verdict
    return {
        "version": outcome.path.name,
        "used": outcome.used,
        "gate": verdict._asdict() | {"passed": verdict.passed} if verdict is not None else None,
        "metrics": outcome.metrics,
        "recipe": planned.recipe,
        "events": planned.events,
        "people": planned.people,
        "items": planned.items,
        "validated_from": planned.moment,
    }


def _verdict_table(outcome: Outcome) -> RenderableType:
    verdict = outcome.verdict
    assert verdict is not None
    low, high = verdict.difference
    made = screens.table("lists by", "NDCG@10", "difference", "95% interval", right=("NDCG@10", "difference"),
                         title=f"The same {verdict.questions:,} questions, through the real engine")  # fmt: skip
    made.add_row("version 0", f"{verdict.version_0:.4f}")
    found = f"{verdict.trained - verdict.version_0:+.4f}", f"{low:+.4f} to {high:+.4f}"
    made.add_row("trained", f"{verdict.trained:.4f}", *found, style="bold")
    return made


def _use_of(outcome: Outcome, name: str) -> str:
    if outcome.used:
        return "It is in use; a running server goes over to it within a second."
    if outcome.verdict is not None and not outcome.verdict.passed:
        return f"It is not better than version 0, so it is not in use. All the same: penchant model use {name}"
    return f"It is not in use: penchant model use {name}"


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


class TrainingProgress:
    """What `learning.train.Told` tells, as one bar a phase, and one a thing that is counted in it."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            BarColumn(12), TimeRemainingColumn(), TextColumn("{task.description}"), console=console
        )
        self._phase: TaskID | None = None
        self._begun = False
        self._counts: dict[str, TaskID] = {}

    def phase(self, name: str) -> None:
        self._end()
        self._console.print(f"[bold]{escape(name)}[/bold]")
        self._phase, self._begun = None, False

    def report(self, report: Report) -> None:
        if self._phase is None:
            self._phase = self._progress.add_task("", total=report.epochs)
        done = report.epoch + report.step / report.steps
        if not self._begun:  # a run that goes on: what was done before says nothing about the speed
            self._progress.reset(self._phase, total=report.epochs)
            self._task(self._phase).completed = done
            self._begun = True
        furthest = max(done, self._task(self._phase).completed)
        self._progress.update(self._phase, completed=furthest, description=said(report))

    def counted(self, what: str, done: int, of: int) -> None:
        if what not in self._counts:
            self._counts[what] = self._progress.add_task("", total=of)
        described = f"{escape(what)} {done:,} of {of:,}"
        self._progress.update(self._counts[what], completed=done, total=of, description=described)

    def _end(self) -> None:
        """What ended is full, whether it took all its epochs or not."""
        for task in (*self._counts.values(), *(() if self._phase is None else (self._phase,))):
            total = self._task(task).total or 1
            self._progress.update(task, total=total, completed=total)
        self._counts = {}

    def _task(self, number: TaskID) -> Task:
        return self._progress.tasks[self._progress.task_ids.index(number)]

    def __enter__(self) -> TrainingProgress:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._end()
        self._progress.stop()


def said(report: Report) -> str:
    """Epoch, loss, how good it is on validation, how fast it goes."""
    told = [f"epoch {min(report.epoch + 1, report.epochs)} of {report.epochs}", f"loss {report.loss:.3f}"]
    if report.validation:
        best = max(figure for _, figure in report.validation)
        told.append(f"NDCG@10 {report.validation[-1][1]:.4f}, best {best:.4f}")
    if report.events_per_s:
        told.append(f"{report.events_per_s:,.0f} events/s")
    return " · ".join(told)
