"""Two charts as inline SVG: bars with intervals, and a curve with intervals.

Notable: colours are CSS variables of the page, so that a chart follows its light or dark mode; all text is escaped.
Lengths are in the units of the view box, and the chart is as wide as there is room.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from typing import NamedTuple

_WIDTH = 520
_LABELS = 150  # for names, left of the bars
_VALUES = 60  # for numbers, right of them
_ROW = 30
_HEIGHT, _TOP, _BOTTOM, _LEFT, _SIDE = 236, 28, 34, 46, 30


class Point(NamedTuple):
    """A value with its interval; ``ours``: drawn in the colour that stands out."""

    name: str
    value: float
    low: float
    high: float
    ours: bool = False


def bars(points: Sequence[Point], title: str) -> str:
    """Horizontal bars in the order given, from 0."""
    most = max(*(point.high for point in points), 1e-9)
    height = _ROW * len(points) + 8

    def across(value: float) -> float:
        return _LABELS + (_WIDTH - _LABELS - _VALUES) * max(value, 0.0) / most

    drawn = [_bar(point, _ROW * row + 4, across) for row, point in enumerate(points)]
    return _svg(height, title, drawn)


def _bar(point: Point, top: float, across: Callable[[float], float]) -> str:
    middle, end = top + _ROW / 2, across(point.value)
    base, kind = middle + 4, "ours" if point.ours else "other"
    return (
        f'<text class="name" x="{_LABELS - 10}" y="{base:.1f}" text-anchor="end">{escape(point.name)}</text>'
        f'<rect class="{kind}" x="{_LABELS}" y="{top + 5:.1f}" width="{end - _LABELS:.1f}" height="{_ROW - 10}"/>'
        f"{_whisker(across(point.low), middle, across(point.high), middle)}"
        f'<text class="value" x="{max(end, across(point.high)) + 8:.1f}" y="{base:.1f}">{point.value:.3f}</text>'
    )


def curve(points: Sequence[Point], title: str) -> str:
    """One point a name, evenly apart, joined by a line; the vertical axis begins at 0."""
    most = max(*(point.high for point in points), 1e-9)
    step = (_WIDTH - _LEFT - 2 * _SIDE) / max(len(points) - 1, 1)
    places = [(_LEFT + _SIDE + step * k, _up(point.value, most)) for k, point in enumerate(points)]
    axis = [f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH}" y1="{_up(value, most):.1f}" y2="{_up(value, most):.1f}"/>'
            f'<text class="tick" x="{_LEFT - 8}" y="{_up(value, most) + 4:.1f}" text-anchor="end">{value:.3f}</text>'
            for value in (0.0, most / 2, most)]  # fmt: skip
    line = '<polyline class="line" points="' + " ".join(f"{x:.1f},{y:.1f}" for x, y in places) + '"/>'
    drawn = [_dot(point, x, y, most) for point, (x, y) in zip(points, places, strict=True)]
    return _svg(_HEIGHT, title, [*axis, line, *drawn])


def _up(value: float, most: float) -> float:
    return _TOP + (_HEIGHT - _TOP - _BOTTOM) * (1 - value / most)


def _dot(point: Point, x: float, y: float, most: float) -> str:
    above = _up(point.high, most) - 8
    return (
        f"{_whisker(x, _up(point.low, most), x, _up(point.high, most))}"
        f'<circle class="ours" cx="{x:.1f}" cy="{y:.1f}" r="5"/>'
        f'<text class="value" x="{x:.1f}" y="{above:.1f}" text-anchor="middle">{point.value:.3f}</text>'
        f'<text class="name" x="{x:.1f}" y="{_HEIGHT - 10}" text-anchor="middle">{escape(point.name)}</text>'
    )


def _whisker(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line class="whisker" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _svg(height: float, title: str, drawn: Sequence[str]) -> str:
    return (
        f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{escape(title)}"><title>{escape(title)}</title>'
        f"{''.join(drawn)}</svg>"
    )
