"""`penchant try`: files in, a report out. Everything happens in scratch folders, which are gone afterwards."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np
import typer
from msgspec import Struct
from rich.console import RenderableType
from rich.markup import escape

from penchant.config import Settings, load_settings
from penchant.errors import InvalidInput, PenchantError
from penchant.evaluation.asking import Seen
from penchant.evaluation.expectations import expectations
from penchant.evaluation.folders import Progress
from penchant.evaluation.journal import Journal
from penchant.evaluation.tryout import LAGS, LEAST, NOW, Options, Report, of_some_people, try_out
from penchant.parts import NO_ENCODER, encoder_of
from penchant.pipeline.items import render
from penchant.serving import screens
from penchant.serving.gathering import Gathered, gather
from penchant.serving.replaying import ReplayProgress, figures_table
from penchant.serving.reporting import Told, write_page
from penchant.serving.training import learner
from penchant.types import Event

if TYPE_CHECKING:
    from penchant.learning.pretrain import Report as Training
    from penchant.serving.importers import Part

_TRAINED_BY_ITSELF = 1_000_000  # events; more of them take a machine without a GPU too long to be a surprise
_REASONS = 5
_WORTH_TELLING = 0.01  # of the events


class Dials(NamedTuple):
    """What a person chooses; ``train`` None: where PyTorch is there and the log is not too long."""

    asked: int
    people: int
    workers: int
    texts: bool
    train: bool | None
    size: str
    epochs: int | None
    seen: Seen
    seed: int


class Answer(Struct):
    """What is printed as JSON."""

    report: Report
    expectations: list[str]
    notes: list[str]


def run(parts: Sequence[Part], dials: Dials, scratch: Path) -> tuple[Answer, Told]:
    """Read parts and try all ways, with progress on stderr. Raises InvalidInput where nothing can be said."""
    if dials.train:
        learner()  # that PyTorch is missing is said before the work, not after it
    settings = load_settings(scratch)
    with ReplayProgress(screens.errors) as progress:
        gathered = gather(parts, settings, progress)
        _check_used(gathered)
        log = of_some_people(gathered.log, dials.people, dials.seed)
        notes = [*_notes(gathered), *_of_people(gathered.log, log)]
        unread = _unread(gathered.items, dials, settings, scratch)
        trainer = _Trainer(dials, progress)
        untrained = _untrained(dials, log)
        notes += [text for text in (unread, untrained) if text]
        if unread:
            settings.encoder = NO_ENCODER
        items, bars = gathered.items, _labelled(progress)
        options = Options(dials.asked, dials.workers, not unread, dials.seen, dials.seed)
        del gathered  # of a large log, what was not drawn need not be held any more
        report = try_out(log, items, settings, options, scratch, bars, None if untrained else trainer)
    notes += trainer.notes
    names = ", ".join(part.name for part in parts)
    read = [(part.name, part.what, columns(part)) for part in parts]
    return Answer(report, expectations(report), notes), Told(names, read, notes, _titles(items))


def _labelled(progress: Progress) -> Progress:
    """Bars under the names that the tables use."""
    names = {NOW: "at once", **{name: f"{name} late" for name in LAGS}}
    return lambda what, done, of: progress(names.get(what, what), done, of)


def columns(part: Part) -> str:
    """Which column means what."""
    return ", ".join(f"{word}: {column}" for word, column in part.mapping.items()) or "events as they are"


def show(answer: Answer, told: Told, page: Path, json: bool) -> None:
    """Write the page, and print what was found."""
    write_page(page, answer.report, told)
    if json:
        typer.echo(msgspec.json.encode(answer))
        return
    for block in blocks(answer):
        screens.out.print(block)
    screens.out.print(f"\nThe report is in [bold]{escape(str(page))}[/bold]: open it in any browser.", soft_wrap=True)


def blocks(answer: Answer) -> list[RenderableType]:
    report = answer.report
    late = {"at once" if name == NOW else f"{name} late": found for name, found in report.staleness.items()}
    title = f"Predict, then learn: {report.asked:,} events of {report.asked_people:,} people"
    return [
        figures_table("lists by", report.lists, title),
        "",
        figures_table("version 0's states and counts are", late, "What staleness costs"),
        "",
        *(f"• {escape(text)}" for text in answer.expectations),
        *(f"[dim]• {escape(text)}[/dim]" for text in answer.notes),
    ]


# -- what is said beside the figures -----------------------------------------------------------------------------------


def _check_used(gathered: Gathered) -> None:
    """Too few events are one thing, and events of which none could be used another."""
    if len(gathered.log) < LEAST and gathered.refused:
        raise InvalidInput(
            f"so few events could be used. {_refused(gathered)}",
            field="events",
            value=len(gathered.log),
            way_out="--map says which column is which.",
        )


def _refused(gathered: Gathered) -> str:
    reasons = "; ".join(f"{reason} ({count:,})" for reason, count in gathered.refused.most_common(_REASONS))
    return f"{gathered.refused.total():,} rows could not be used: {reasons}."


def _notes(gathered: Gathered) -> Iterator[str]:
    if gathered.refused:
        yield _refused(gathered)
    yield from _unnamed(gathered)
    for kind, count in gathered.left_out.items():
        yield f"About {count:,} rows of kind {kind} are not looked at here."
    if gathered.added:
        yield f"Actions that Penchant has no weight for count like a click: {', '.join(gathered.added)}."


def _unnamed(gathered: Gathered) -> Iterator[str]:
    """Two files that write the same ids in two ways fit nowhere, and nothing else would say so."""
    log, known = gathered.log, {item.item for item in gathered.items}
    if not known:
        return
    strange = np.array([name not in known for name in log.pools.items], np.bool_)
    of_items = log.item[log.item >= 0]
    share = float(strange[of_items].mean()) if len(of_items) else 0.0
    if share >= _WORTH_TELLING:
        example = log.pools.items[int(of_items[strange[of_items]][0])]
        yield (f"{share:.0%} of the events are on items that the items' file does not name, {example} among them: of "
               "those there is nothing to read. Do both files use the same ids?")  # fmt: skip


def _of_people(whole: Journal, kept: Journal) -> Iterator[str]:
    if len(kept) < len(whole):
        yield (f"{len(kept.pools.people):,} of {len(whole.pools.people):,} people were drawn at random, with all their "
               f"events ({len(kept):,} of {len(whole):,}), to bound memory: --people.")  # fmt: skip


def _unread(items: Sequence[Event], dials: Dials, settings: Settings, scratch: Path) -> str | None:
    """Why the texts of items are not read; None where they are."""
    if not dials.texts or settings.encoder == NO_ENCODER:
        return "The texts of items were not read, as asked for."
    if not any(render("", item.fields) for item in items):
        return "No item has a text: give a file of items with titles or descriptions beside the events."
    try:
        encoder_of(settings, scratch)
    except PenchantError as error:
        return f"The texts of items could not be read: {error}"
    return None


def _untrained(dials: Dials, log: Journal) -> str | None:
    """Why nothing is trained; None where it is."""
    if dials.train is not None:
        return None if dials.train else "Nothing was trained, as asked for."
    if importlib.util.find_spec("torch") is None:
        return "Nothing was trained, since PyTorch is not installed: pip install 'penchant[train]'."
    if len(log) > _TRAINED_BY_ITSELF:
        return f"Nothing was trained: {len(log):,} events take long. With --train it is done."
    return None


def _titles(items: Sequence[Event]) -> Callable[[str], str]:
    known = {item.item: next((text for text in item.fields.values() if isinstance(text, str)), "") for item in items}
    return lambda name: known.get(name, "")


class _Trainer:
    """Trains in a folder, as `penchant train` does but for the gate, and says why where it could not."""

    def __init__(self, dials: Dials, progress: ReplayProgress) -> None:
        self._size, self._progress, self._phase = dials.size, progress, "training"
        self._changed = {"epochs": dials.epochs} if dials.epochs is not None else {}
        self.notes: list[str] = []

    def __call__(self, folder: Path) -> bool:
        train = learner()
        options = train.Options(size=self._size, gate=False, changed=self._changed)
        try:
            with train.opened(folder, options) as source:
                planned = train.plan(source, options)
                train.train(source, planned, options, train.Told(self._begin, self._report, self._progress))
        except PenchantError as error:
            self.notes.append(f"Nothing was trained: {error}")
            return False
        return True

    def _begin(self, phase: str) -> None:
        self._phase = "training again, on all" if "everything" in phase else "training"

    def _report(self, report: Training) -> None:
        done = report.epoch * report.steps + report.step
        self._progress(self._phase, done, report.epochs * report.steps)
