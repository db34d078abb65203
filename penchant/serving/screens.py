"""What the terminal shows: slates, errors, the story of the demo. Only rich, no engine: it draws what it is handed.

Answers go to `out`, everything said beside them (progress, warnings, errors) to `errors`, so that a pipe gets answers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import zip_longest

from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from penchant.errors import PenchantError
from penchant.types import Candidate, Slate

out = Console(highlight=False)
errors = Console(stderr=True, highlight=False)

Titles = Callable[[str], str]
_WIDE = 48  # characters of a title in a story
_NARROW = 30  # where two stand side by side
_SILENT = 0.005  # a feature smaller than this says nothing when written with two digits


def table(*columns: str, title: str | None = None, right: Sequence[str] = ()) -> Table:
    made = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, header_style="dim")
    for name in columns:
        made.add_column(name, justify="right" if name in right else "left", overflow="fold")
    return made


def failure(error: Exception) -> Panel:
    """An error as a person wants to meet it: what, which value, the way out."""
    if not isinstance(error, PenchantError):
        what = f"{type(error).__name__}: {error}".strip(": ")
        body = f"{escape(what)}\n[dim]Not foreseen. The same command with --debug shows where it came from.[/dim]"
        return Panel(body, title="Penchant failed", title_align="left", border_style="red")
    named = f"[bold]{escape(error.field)}[/bold] = {escape(error.value)}\n" if error.field else ""
    way_out = f"\n[green]{escape(error.way_out)}[/green]" if error.way_out else ""
    what = error.what[:1].upper() + error.what[1:]
    return Panel(named + escape(what) + way_out, title=error.title, title_align="left", border_style="red")


def warnings(texts: Iterable[str]) -> None:
    for text in texts:
        errors.print(f"[yellow]Warning:[/yellow] {escape(text)}")


# -- slates ------------------------------------------------------------------------------------------------------------


def slate(answer: Slate, titles: Titles, heading: str) -> RenderableType:
    """A slate with all that speaks for each item, and below it what it has seen."""
    parts: list[RenderableType] = [_candidates(answer.items, titles, heading, "features")]
    if not answer.items:
        parts.append("Nothing to show. Import items first, or ask with fewer conditions.")
    parts.append(Text(footer(answer), style="dim"))
    if answer.removed is not None:
        parts += ["", _removed(answer.removed, titles, len(answer.items))]
    return Group(*parts)


def footer(answer: Slate) -> str:
    moment = datetime.fromtimestamp(answer.time, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    own = f", {answer.user}'s newest is {answer.user_as_of}" if answer.user is not None and answer.user_as_of else ""
    return f"as of event {answer.as_of}{own} · version {answer.version} · {answer.retrieved} looked at · {moment}"


def _candidates(items: Sequence[Candidate], titles: Titles, heading: str, last: str) -> Table:
    made = table("", "item", "title", "score", "found by", last, title=heading, right=("", "score"))
    for rank, one in enumerate(items, 1):
        name, title = escape(one.item), escape(titles(one.item))
        why = escape(one.removed) if one.removed else _features(one.features)
        made.add_row(str(rank), name, title, f"{one.score:.2f}", ", ".join(one.sources), why)
    return made


def _removed(removed: Sequence[Candidate], titles: Titles, most: int) -> RenderableType:
    best = sorted(removed, key=lambda one: -one.score)[: max(most, 10)]
    more = f", the best {len(best)} shown" if len(best) < len(removed) else ""
    return _candidates(best, titles, f"Removed: {len(removed)}{more}", "removed because")


def _features(features: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.2f}" for name, value in features.items() if abs(value) >= _SILENT)


# -- the story of the demo ---------------------------------------------------------------------------------------------


class Story:
    """Shows what happens, and keeps the claims that did not hold. ``pause``: seconds to read a list, on a terminal."""

    def __init__(self, pause: float) -> None:
        self._pause = pause if out.is_terminal else 0.0
        self.held, self.failed = 0, list[str]()

    def chapter(self, number: int, title: str) -> None:
        out.print(f"\n[bold cyan]{number}  {escape(title)}[/bold cyan]")

    def say(self, text: RenderableType) -> None:
        out.print(Padding(text, (0, 0, 0, 3), expand=False))

    def show(self, answer: Slate, titles: Mapping[str, str], before: Slate | None = None) -> None:
        """A list, and beside each item where it stood before."""
        was = {one.item: rank for rank, one in enumerate(before.items, 1)} if before else {}
        for rank, one in enumerate(answer.items, 1):
            moved = _moved(was.get(one.item), rank) if before else Text("")
            out.print(Text(f"   {rank:>2}  ").append_text(_beside(titles.get(one.item, one.item), moved)))
        time.sleep(self._pause)

    def compare(self, answers: Mapping[str, Slate], titles: Mapping[str, str], marked: str) -> None:
        """Lists side by side under their names, one item marked wherever it stands."""
        made = table("", *answers, right=("",))
        for rank, row in enumerate(zip_longest(*(answer.items for answer in answers.values())), 1):
            shown = (_marked(one, titles, marked) if one else "" for one in row)
            made.add_row(str(rank), *shown)
        self.say(made)
        time.sleep(self._pause)

    def check(self, holds: bool, claim: str) -> None:
        """``claim`` says what is so when it holds."""
        if holds:
            self.held += 1
        else:
            self.failed.append(claim)
        self.say(f"[green]✓[/green] {claim}" if holds else f"[bold red]✗ does not hold: {claim}[/bold red]")

    @contextmanager
    def working(self, text: str) -> Iterator[None]:
        with out.status(text):
            yield

    def end(self, seconds: float) -> bool:
        """The last line; whether every claim held."""
        if self.failed:
            out.print(
                f"\n[bold red]{len(self.failed)} of {len(self.failed) + self.held} claims do not hold.[/bold red]"
            )
        else:
            out.print(f"\n[bold green]All {self.held} claims hold.[/bold green] It took {seconds:.0f} seconds.")
        return not self.failed


def _beside(title: str, moved: Text) -> Text:
    short = _short(title, _WIDE)
    return Text(f"{short:<{_WIDE}}  ").append_text(moved) if moved else Text(short)


def _marked(one: Candidate, titles: Mapping[str, str], marked: str) -> Text:
    title = _short(titles.get(one.item, one.item), _NARROW)
    return Text(f"{title} ◀", "bold green") if one.item == marked else Text(title)


def _short(title: str, most: int) -> str:
    return title if len(title) <= most else f"{title[: most - 1]}…"


def _moved(before: int | None, rank: int) -> Text:
    if before is None:
        return Text("new", "green")
    if before == rank:
        return Text("")
    return Text(f"↑ {before - rank}", "green") if before > rank else Text(f"↓ {rank - before}", "yellow")
