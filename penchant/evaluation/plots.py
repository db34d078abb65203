"""A replay as a picture: how good the lists are beside simple baselines, and what staleness costs."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

from penchant.evaluation.playing import PENCHANT
from penchant.evaluation.replay import Figures, Report

_OURS, _OTHERS, _LINE = "#c2410c", "#94a3b8", "#1f2937"


def draw(report: Report, path: Path) -> Path:
    """Write the report as a PNG; returns its path."""
    figure = Figure(figsize=(11, 4.2), layout="constrained", dpi=130)
    quality, staleness = figure.subplots(1, 2)
    _bars(quality, report.figures)
    _curve(staleness, report.staleness)
    figure.suptitle(f"{report.events:,} events of {report.people:,} people after the split: predict, then learn")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    return path


def _bars(axes, figures: dict[str, Figures]) -> None:  # type: ignore[no-untyped-def]
    ordered = sorted(figures.items(), key=lambda pair: pair[1].ndcg10)
    names, values = [name for name, _ in ordered], [found.ndcg10 for _, found in ordered]
    errors = [[found.ndcg10 - found.ndcg10_interval[0] for _, found in ordered],
              [found.ndcg10_interval[1] - found.ndcg10 for _, found in ordered]]  # fmt: skip
    colours = [_OURS if name == PENCHANT else _OTHERS for name in names]
    axes.barh(names, values, xerr=errors, color=colours, ecolor=_LINE, capsize=3)
    for row, value in enumerate(values):
        axes.annotate(f" {value:.3f}", (max(value, errors[1][row] + value), row), va="center", fontsize=9)
    axes.set(
        xlabel="NDCG@10, 95% interval over people", title="Version 0, no training", xlim=(0, max(*values, 0.01) * 1.2)
    )
    axes.spines[["top", "right"]].set_visible(False)


def _curve(axes, staleness: dict[str, Figures]) -> None:  # type: ignore[no-untyped-def]
    names = list(staleness)
    values = [found.ndcg10 for found in staleness.values()]
    axes.plot(names, values, color=_OURS, marker="o")
    axes.fill_between(names, [found.ndcg10_interval[0] for found in staleness.values()],
                      [found.ndcg10_interval[1] for found in staleness.values()], color=_OURS, alpha=0.15)  # fmt: skip
    for name, value in zip(names, values, strict=True):
        axes.annotate(f"{value:.3f}", (name, value), textcoords="offset points", xytext=(0, 8), ha="center", fontsize=9)
    axes.set(xlabel="age of state and counts", ylabel="NDCG@10", title="What staleness costs",
             ylim=(0, max(*values, 0.01) * 1.2))  # fmt: skip
    axes.spines[["top", "right"]].set_visible(False)
