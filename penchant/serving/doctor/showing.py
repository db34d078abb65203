"""How findings are shown: a line on what was looked at, then each finding with its example, rule and advice."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from rich.console import RenderableType
from rich.markup import escape
from rich.padding import Padding

from penchant.evaluation.doctor.world import SEVERITIES, Finding, Severity, World, moment

_STYLE: dict[Severity, str] = {"serious": "bold red", "warning": "yellow", "note": "cyan"}


class Report(Struct):
    """What was looked at, and what was found; ``first`` and ``last``: of the times that can be meant, Unix seconds."""

    events: int
    people: int
    items: int
    first: float | None
    last: float | None
    serious: int
    findings: list[Finding]


def report_of(world: World, found: Sequence[Finding]) -> Report:
    times = world.dated.time
    return Report(
        events=len(world.events.time),
        people=world.people,
        items=int(world.items.sent.sum()) if world.items is not None else 0,
        first=float(times.min()) if len(times) else None,
        last=float(times.max()) if len(times) else None,
        serious=sum(one.severity == "serious" for one in found),
        findings=list(found),
    )


def blocks(report: Report) -> list[RenderableType]:
    told: list[RenderableType] = [f"{_looked_at(report)}\n"]
    for one in report.findings:
        told += _finding(one)
    return [*told, _sum(report.findings)]


def _looked_at(report: Report) -> str:
    when = ""
    if report.first is not None and report.last is not None:
        when = f", from {moment(report.first)} to {moment(report.last)}"
    items = f", {report.items:,} items" if report.items else ""
    return f"{report.events:,} events of {report.people:,} people{items}{when}"


def _finding(one: Finding) -> list[RenderableType]:
    style = _STYLE[one.severity]
    share = f" of {one.of:,} {one.unit} ({one.count / one.of:.1%})" if one.of else ""
    lines = (
        f"for example  {escape(one.example)}",
        f"[dim]counted      {escape(one.rule)}[/dim]",
        f"[green]what to do   {escape(one.advice)}[/green]",
    )
    head = f"[{style}]{one.severity:<8}[/{style}] [bold]{escape(one.name)}[/bold]: {one.count:,}{share}"
    return [head, *(Padding(line, (0, 0, 0, 9)) for line in lines), ""]


def _sum(findings: Sequence[Finding]) -> str:
    if not findings:
        return "[bold green]Nothing odd was found.[/bold green]"
    counts = {name: sum(one.severity == name for one in findings) for name in SEVERITIES}
    said = [f"{count} {name}" for name, count in counts.items() if count]
    return f"Found: {', '.join(said)}."
