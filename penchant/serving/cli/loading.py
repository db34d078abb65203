"""Parts of files into an engine, with progress, resuming, and what was refused kept beside the data.

Notable: how far a file was taken in is written in the same transaction as its events, so that an import stopped in any
way, kill -9 too, goes on where it stopped and nothing is counted twice. The row number counts rows in the order in
which they are read, which for events is the order of time.

Ctrl-C is heard between two batches: a batch that has begun is finished, so the engine closes at a whole one.
"""

from __future__ import annotations

import csv
import signal
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

import msgspec
from msgspec import Struct, field
from rich.markup import escape
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeElapsedColumn
from rich.text import Text

from penchant.serving import screens
from penchant.types import Event, Refusal

if TYPE_CHECKING:
    from penchant.engine import Engine
    from penchant.serving.importers import Part, Refused

BATCH = 2000
_EXAMPLE = 60
_COLUMNS = ("row", "field", "value", "detail", "line")
T = TypeVar("T")


class Tally(Struct):
    """What became of the rows of one file. ``examples``: one refused row for each reason."""

    name: str
    known: int = 0
    taken: int = 0
    late: int = 0
    duplicates: int = 0
    refused: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)

    def refuse(self, row: int, name: str, value: str, detail: str) -> None:
        reason = f"{name}: {detail}"
        self.refused += 1
        self.reasons[reason] += 1
        self.examples.setdefault(reason, f"row {row}: {value[:_EXAMPLE] or '(empty)'}")


class Loading:
    """Used as a context manager, inside which its progress is shown; Ctrl-C ends it quietly, whole batches done."""

    def __init__(self, engine: Engine, folder: Path, stopping: Callable[[], bool]) -> None:
        self._engine, self._folder, self._stopping = engine, folder, stopping
        self._progress = _progress()
        self.tallies: list[Tally] = []

    def take(self, parts: Sequence[Part], upto: int | None = None) -> None:
        """Items first, and read by the language model, so that events find them; of events the first ``upto`` rows."""
        for part in parts:
            if part.what == "events":
                self.read_texts()
            self._take_part(part, upto if part.what == "events" else None)
        self.read_texts()

    def read_texts(self) -> None:
        """Wait until the language model has read every item sent so far."""
        total = self._engine.parts.texts.backlog
        if not total:
            return
        bar = self._progress.add_task("reading texts", total=total, unit="texts")

        def tell(left: int) -> None:
            self._progress.update(bar, completed=max(0, total - left))
            self._check_stop()

        self._engine.wait_for_items(tell)
        self._progress.update(bar, completed=total - self._engine.parts.texts.backlog)

    def _take_part(self, part: Part, upto: int | None) -> None:
        """One file, from where it stopped the last time."""
        from penchant.serving.importers import fingerprint, read

        mark, tally, at = fingerprint(part), Tally(part.name), 0
        before = self._engine.parts.log.rows_imported(mark)
        bar = self._progress.add_task(escape(part.name), total=min(part.rows, upto or part.rows), unit="rows")
        self.tallies.append(tally)
        with _RefusedFile(refused_file(self._folder, part.name), again=before > 0) as refused:
            for rows in _batches(islice(read(part), upto)):
                fresh = rows[max(0, before - at) :]
                at += len(rows)
                tally.known += len(rows) - len(fresh)
                if fresh:
                    self._take_rows(fresh, (mark, at), tally, refused)
                self._progress.update(bar, completed=at, total=max(at, part.rows) if upto is None else upto)
                self._check_stop()
        self._progress.update(bar, completed=at, total=at)

    def _take_rows(
        self, rows: list[tuple[int, Event | Refused]], source: tuple[bytes, int], tally: Tally, refused: _RefusedFile
    ) -> None:
        """Refused rows are on disk before the batch is committed, so that none is lost without its reason."""
        good = [(row, one) for row, one in rows if isinstance(one, Event)]
        for _, one in rows:
            if not isinstance(one, Event):
                refused.write(one, tally)
        batch = self._engine.accept([event for _, event in good])
        refused.write_events(batch.refused, good, tally)
        self._engine.write([batch], source)
        receipt = self._engine.apply([batch])[0]
        refused.write_events(receipt.refused[len(batch.refused) :], good, tally)
        tally.taken += receipt.accepted
        tally.late += len(receipt.late)
        tally.duplicates += len(receipt.duplicates)

    def _check_stop(self) -> None:
        if self._stopping():
            raise _Stop

    def __enter__(self) -> Loading:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        self._progress.stop()
        return isinstance(error, _Stop)


class _Stop(Exception):
    """Ctrl-C was pressed, and the batch in hand is done."""


@contextmanager
def interruptible() -> Iterator[Callable[[], bool]]:
    """Ctrl-C sets a flag; the second one is not waited for."""
    pressed: list[int] = []

    def hear(number: int, frame: FrameType | None) -> None:
        if pressed:
            raise KeyboardInterrupt
        pressed.append(number)

    before = signal.signal(signal.SIGINT, hear)
    try:
        yield lambda: bool(pressed)
    finally:
        signal.signal(signal.SIGINT, before)


def refused_file(folder: Path, name: str) -> Path:
    """Where the refused rows of a file are kept."""
    return folder / f"refused-{name.removesuffix('.csv')}.csv"


class _RefusedFile:
    """Made with the first refused row, gone on with when an import is gone on with."""

    def __init__(self, path: Path, again: bool) -> None:
        self._path, self._known = path, _rows_of(path) if again else set()
        self._file: TextIO | None = None
        if not again:
            path.unlink(missing_ok=True)

    def write(self, one: Refused, tally: Tally) -> None:
        tally.refuse(one.row, one.field, one.value, one.detail)
        if one.row not in self._known:
            self._append((one.row, one.field, one.value, one.detail, one.line))

    def write_events(self, refused: Sequence[Refusal], events: Sequence[tuple[int, Event]], tally: Tally) -> None:
        """What the engine refused, each with the event in place of the line."""
        for one in refused:
            row, event = events[one.index]
            tally.refuse(row, one.field, one.value, one.detail)
            if row not in self._known:
                self._append((row, one.field, one.value, one.detail, msgspec.json.encode(event).decode()))
        if self._file is not None:
            self._file.flush()

    def _append(self, told: tuple[Any, ...]) -> None:
        if self._file is None:
            fresh = not self._path.exists()
            self._file = self._path.open("a", newline="", encoding="utf-8")
            if fresh:
                csv.writer(self._file).writerow(_COLUMNS)
        csv.writer(self._file).writerow(told)

    def __enter__(self) -> _RefusedFile:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()


def _rows_of(path: Path) -> set[int]:
    if not path.exists():
        return set()
    with path.open(newline="", encoding="utf-8") as file:
        return {int(row["row"]) for row in csv.DictReader(file) if row["row"].isdecimal()}


def _batches(rows: Iterator[T]) -> Iterator[list[T]]:
    while batch := list(islice(rows, BATCH)):
        yield batch


class _Done(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{task.completed:,.0f}", "bold") + Text(f" of {task.total or 0:,.0f}", "dim")


class _Speed(ProgressColumn):
    def render(self, task: Task) -> Text:
        seconds = task.finished_time or task.elapsed  # rich's own speed is lost when a total is corrected
        return Text(f"{task.completed / seconds:,.0f} {task.fields['unit']}/s" if seconds else "", style="dim")


def _progress() -> Progress:
    bar = BarColumn(24)
    return Progress(
        TextColumn("{task.description}"), bar, _Done(), _Speed(), TimeElapsedColumn(), console=screens.errors
    )
