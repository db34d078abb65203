"""A trial as one HTML page that anybody can open: no script, no request to anywhere, light and dark.

Everything that comes from data (names of files, columns, items) is escaped, and the page forbids scripts and requests
by its own policy besides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import NamedTuple

from penchant.evaluation.expectations import expectations, too_little
from penchant.evaluation.replay import Figures
from penchant.evaluation.tryout import NOW, TRAINED, VERSION_0, Example, Report
from penchant.serving.drawing import Point, bars, curve

_OURS = (VERSION_0, TRAINED)
_STYLE = """
:root { color-scheme: light dark; --back: #faf9f7; --card: #fff; --text: #1f2430; --dim: #667085; --line: #e4e2dd;
  --ours: #c2410c; --other: #a3adbb; --whisker: #334155; }
@media (prefers-color-scheme: dark) { :root { --back: #14161b; --card: #1d2027; --text: #e8e6e1; --dim: #98a1b0;
  --line: #30343d; --ours: #fb923c; --other: #566072; --whisker: #d5dae3; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--back); color: var(--text); font: 16px/1.55 system-ui, sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 40px 20px 60px; }
h1 { font-size: 1.75rem; line-height: 1.25; margin: 0 0 6px; overflow-wrap: anywhere; }
h2 { font-size: 1.05rem; margin: 0 0 12px; }
.dim, th { color: var(--dim); font-weight: 400; }
.row { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 440px), 1fr)); gap: 18px; }
.tiles { grid-template-columns: repeat(auto-fit, minmax(170px, 1fr)); margin-top: 24px; }
section, .tile { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 18px 20px;
  min-width: 0; }
section { margin-top: 18px; } .row > section { margin-top: 18px; }
.tile b { display: block; font-size: 1.7rem; line-height: 1.2; font-variant-numeric: tabular-nums; }
.first b { color: var(--ours); }
.warn { border-left: 4px solid var(--ours); }
ul { margin: 0; padding-left: 20px; } li { margin: 6px 0; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .92rem; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: 5px 7px; border-bottom: 1px solid var(--line); }
th:first-child, td:first-child { text-align: left; } tr.ours td { font-weight: 600; }
.figures { font-size: .86rem; white-space: nowrap; }
.figures th:first-child, .figures td:first-child { position: sticky; left: 0; background: var(--card); }
.read th, .read td { text-align: left; vertical-align: top; min-width: 6em; overflow-wrap: break-word; }
tr.ours td:first-child { color: var(--ours); }
ol { margin: 6px 0 0; padding-left: 24px; }
.tile { overflow-wrap: break-word; } .hit { color: var(--ours); font-weight: 600; }
svg { width: 100%; height: auto; display: block; font: 13px system-ui, sans-serif; }
svg .ours { fill: var(--ours); } svg .other { fill: var(--other); } svg text.name { fill: var(--text); }
svg .value { fill: var(--text); font-variant-numeric: tabular-nums; } svg .tick { fill: var(--dim); }
svg .line { fill: none; stroke: var(--ours); stroke-width: 2.5; } svg .grid { stroke: var(--line); }
svg .whisker { stroke: var(--whisker); stroke-width: 1.5; }
footer { margin-top: 24px; font-size: .88rem; }
"""


class Told(NamedTuple):
    """What the page says beside the report: the files' names, how they were read (name, as what, columns), notes, and
    the title of an item by its id (empty: none)."""

    files: str
    read: Sequence[tuple[str, str, str]]
    notes: Sequence[str]
    title: Callable[[str], str]


def write_page(path: Path, report: Report, told: Told) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page(report, told), encoding="utf-8")
    return path


def page(report: Report, told: Told) -> str:
    """The whole document."""
    parts = [_head(report, told), _tiles(report), _expected(report), _charts(report), _tables(report),
             _examples(report.examples, told.title), _reading(report, told)]  # fmt: skip
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>Penchant on {escape(told.files)}</title><style>{_STYLE}</style></head><body><main>"
        f"{''.join(parts)}</main></body></html>\n"
    )


def _head(report: Report, told: Told) -> str:
    return (
        f"<h1>What Penchant would do with {escape(told.files)}</h1>"
        f'<div class="dim">{report.events:,} events of {report.people:,} people on {report.items:,} items, '
        f"{_moment(report.start)} to {_moment(report.end)}. Learned: what happened before {_moment(report.split)}. "
        f"Asked: {report.asked:,} events after it, of {report.asked_people:,} people.</div>"
    )


def _tiles(report: Report) -> str:
    ours, popular = report.lists[VERSION_0], report.lists["popularity"]
    times = f"{ours.ndcg10 / popular.ndcg10:.1f}×" if popular.ndcg10 else "–"
    slow, stale = list(report.staleness.items())[-1]
    shown = ours.ndcg10 > stale.ndcg10 and not report.whole_days  # of whole days, the order within one is not known
    lost = f"{1 - stale.ndcg10 / ours.ndcg10:.0%}" if shown else "–"
    tiles = [("first", f"{ours.ndcg10:.3f}", "NDCG@10 of version 0, without training"),
             ("", times, "as much as popularity"),
             ("", f"{ours.hr10:.0%}", "of what came next stood in a list of ten"),
             ("", lost, f"is lost when states and counts are {slow} late")]  # fmt: skip
    made = (f'<div class="tile {kind}"><b>{value}</b><span class="dim">{escape(what)}</span></div>'
            for kind, value, what in tiles)  # fmt: skip
    return f'<div class="row tiles">{"".join(made)}</div>'


def _expected(report: Report) -> str:
    kind = ' class="warn"' if too_little(report) else ""
    return f"<section{kind}><h2>What to expect</h2>{_list(expectations(report))}</section>"


def _charts(report: Report) -> str:
    ranked = sorted(report.lists.items(), key=lambda pair: -pair[1].ndcg10)
    quality = bars([_point(name, found, name in _OURS) for name, found in ranked], "NDCG@10 of each way to make lists")
    late = [_point("at once" if name == NOW else name, found, True) for name, found in report.staleness.items()]
    return (
        '<div class="row"><section><h2>How good are the lists? '
        '<span class="dim">NDCG@10, with 95% intervals</span></h2>'
        f"{quality}</section><section><h2>What does staleness cost? "
        '<span class="dim">NDCG@10 of version 0, whose states and counts are so late</span></h2>'
        f"{curve(late, 'NDCG@10 by age of states and counts')}</section></div>"
    )


def _point(name: str, found: Figures, ours: bool) -> Point:
    return Point(name, found.ndcg10, *found.ndcg10_interval, ours)


def _tables(report: Report) -> str:
    late = {f"{name} late" if name != NOW else "at once": found for name, found in report.staleness.items()}
    return (
        f"<section><h2>Figures with their 95% intervals</h2>{_table('lists by', report.lists, report)}</section>"
        f"<section><h2>Staleness</h2>{_table('states and counts are', late, report)}</section>"
    )


def _table(first: str, rows: Mapping[str, Figures], report: Report) -> str:
    heads = (first, "HR@10", "95%", "NDCG@10", "95%", "HR@20", "NDCG@20", "version 0 is better by")
    head = "".join(f"<th>{escape(name)}</th>" for name in heads)
    body = "".join(_row(name, found, report) for name, found in rows.items())
    return f'<div class="wide"><table class="figures"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _row(name: str, found: Figures, report: Report) -> str:
    gain = report.gains.get(name.removesuffix(" late"))
    better = f"{gain.value:+.3f} ({gain.low:+.3f} to {gain.high:+.3f})" if gain else ""
    cells = (escape(name), f"{found.hr10:.3f}", _interval(found.hr10_interval), f"{found.ndcg10:.3f}",
             _interval(found.ndcg10_interval), f"{found.hr20:.3f}", f"{found.ndcg20:.3f}", better)  # fmt: skip
    kind = ' class="ours"' if name in (*_OURS, "at once") else ""
    return f"<tr{kind}>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _interval(pair: tuple[float, float]) -> str:
    return f"{pair[0]:.3f}–{pair[1]:.3f}"


def _examples(examples: Iterable[Example], title: Callable[[str], str]) -> str:
    def named(item: str) -> str:
        known = title(item)
        return escape(f"{known} ({item})" if known else item)

    def one(example: Example) -> str:
        before = ", ".join(map(named, example.before)) or "nothing"
        listed = "".join(f"<li{' class=hit' if item == example.next else ''}>{named(item)}</li>"
                         for item in example.listed)  # fmt: skip
        return (f'<div class="tile"><div class="dim">Before</div>{before}<div class="dim">Came next</div>'
                f'<span class="hit">{named(example.next)}</span><div class="dim">The list</div>'
                f"<ol>{listed}</ol></div>")  # fmt: skip

    made = "".join(map(one, examples))
    return f'<section><h2>Questions drawn at random</h2><div class="row tiles">{made}</div></section>' if made else ""


def _reading(report: Report, told: Told) -> str:
    rows = "".join(f"<tr><td>{escape(name)}</td><td>{escape(what)}</td><td>{escape(columns)}</td></tr>"
                   for name, what, columns in told.read)  # fmt: skip
    head = "<tr><th>file</th><th>read as</th><th>columns</th></tr>"
    table = f'<table class="read"><thead>{head}</thead><tbody>{rows}</tbody></table>'
    return (
        f'<section><h2>How it was read and measured</h2><div class="wide">{table}</div>'
        f"{_list([*method(report), *told.notes])}</section>"
        '<footer class="dim">Made by penchant try. The page loads nothing from anywhere.</footer>'
    )


def method(report: Report) -> list[str]:
    """How it was measured, for people to read."""
    sampled = report.asked < report.askable
    whom = (f"Of {report.askable:,} events that could be asked, {report.asked:,} were: all those of "
            f"{report.asked_people:,} people drawn at random by a seed." if sampled
            else f"All {report.asked:,} events that could be asked were.")  # fmt: skip
    return [
        f"{report.learned:,} events came before the split and are learned; each of the {report.later:,} later ones is "
        f"learned once it happened. {whom} The whole catalogue is ranked; a place beyond 20 counts as none.",
        *([f"{report.repeated:,} later events are on items that the person had met: lists hide those, so they are not "
           "asked. Where people come back to the same things: --seen allow."] if report.repeated else []),
        "Hourly lists are those of version 0, made at each full hour from what was known then; what the person touched "
        "since is taken out. Late states and counts: the same, at the moment of asking.",
        "Item neighbours and transitions are the engine's own counts, alone. Intervals are 95%, by bootstrap over "
        "people; differences are paired.",
    ]  # fmt: skip


def _list(texts: Iterable[str]) -> str:
    return f"<ul>{''.join(f'<li>{escape(text)}</li>' for text in texts)}</ul>"


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
