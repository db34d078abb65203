"""How an evaluation is shown: progress bars, one row a slice (an action, a fold), and the protocol in words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.console import RenderableType
from rich.markup import escape

from penchant.evaluation.evaluate import Report, Slice, evaluate
from penchant.evaluation.figures import Figure
from penchant.evaluation.folders import World
from penchant.evaluation.judging import Judged
from penchant.evaluation.scope import Scope
from penchant.evaluation.trials import Trial
from penchant.serving import screens
from penchant.serving.replaying import ReplayProgress
from penchant.serving.training import needing_torch
from penchant.types import Event

if TYPE_CHECKING:
    from penchant.learning import folds as folds_of

_SPREAD = ("hr10", "ndcg10")  # shown with their intervals
_PLAIN = ("hr20", "ndcg20", "recall10", "precision10", "f1_10", "mrr", "mean_rank", "coverage10")
_TITLES = {"hr10": "HR@10", "ndcg10": "NDCG@10", "hr20": "HR@20", "ndcg20": "NDCG@20", "recall10": "recall",
           "precision10": "prec.", "f1_10": "F1", "mrr": "MRR", "mean_rank": "rank", "coverage10": "cover",
           "auc": "AUC", "log_loss": "log loss", "calibration_error": "calibration error", "rmse": "RMSE",
           "mae": "MAE"}  # fmt: skip
_OF_ACTIONS = ("auc", "log_loss", "calibration_error")
_OF_RATINGS = ("rmse", "mae")


def run(world: World, trial: Trial, scope: Scope) -> Report:
    """Evaluate, with progress on stderr."""
    with ReplayProgress(screens.errors) as progress:
        return evaluate(world, trial, scope, progress)


def run_folds(world: World, events: Sequence[Event], folds: int, seed: int) -> folds_of.Report:
    """Cross-validate ratings, with progress on stderr. Raises Unavailable without PyTorch."""
    with needing_torch("cross-validation of ratings"):
        from penchant.learning.folds import cross_validate
    with ReplayProgress(screens.errors) as progress:
        return cross_validate(world, events, folds, seed, progress)


def show(report: Report | folds_of.Report) -> None:
    for block in blocks(report) if isinstance(report, Report) else blocks_of_folds(report):
        screens.out.print(block)


def blocks(report: Report) -> list[RenderableType]:
    """Two tables (figures with their intervals, then the others), one of actions and one of ratings where the version
    gives them, and the protocol in words."""
    shown = [_with_intervals(report), "", _others(report), ""]
    if report.actions:
        shown += [_actions(report), ""]
    if report.ratings is not None:
        shown += [_ratings({"all": report.ratings}, f"Ratings by {report.version}"), ""]
    return [*shown, *_said(report.words)]


def blocks_of_folds(report: folds_of.Report) -> list[RenderableType]:
    """One row a fold, one of all ratings, and the protocol in words."""
    rows = {"all": report.overall} | {f"fold {number}": one for number, one in enumerate(report.folds, 1)}
    return [_ratings(rows, "Ratings, cross-validated"), "", *_said(report.words)]


def _said(words: Sequence[str]) -> list[RenderableType]:
    return [f"[dim]{escape(text)}[/dim]" for text in words]


def _with_intervals(report: Report) -> RenderableType:
    titles = [_TITLES[name] for name in _SPREAD]
    columns = [column for title in titles for column in (title, "95%")]
    made = screens.table("slice", "lists", "people", *columns, title=f"Lists by {report.version}",
                         right=("lists", "people", *titles))  # fmt: skip
    for name, one in report.slices.items():
        cells = [cell for figure in _SPREAD for cell in _cells(one, figure)]
        made.add_row(name, f"{one.lists:,}", f"{one.people:,}", *cells, style="bold" if name == "all" else "")
    return made


def _others(report: Report) -> RenderableType:
    titles = [_TITLES[name] for name in _PLAIN]
    made = screens.table("slice", *titles, title="Recall, precision, F1 and coverage at 10; mean rank", right=titles)
    for name, one in report.slices.items():
        figures = [one.figures.get(figure) for figure in _PLAIN]
        made.add_row(name, *(_number(figure) for figure in figures), style="bold" if name == "all" else "")
    return made


def _actions(report: Report) -> RenderableType:
    titles = [_TITLES[name] for name in _OF_ACTIONS]
    columns = [column for title in titles for column in (title, "95%")]
    made = screens.table("action", "events", "done", *columns, title=f"Actions by {report.version}",
                         right=("events", "done", *titles))  # fmt: skip
    for name, one in report.actions.items():
        cells = [cell for figure in _OF_ACTIONS for cell in _cells(one, figure)]
        made.add_row(escape(name), f"{one.events:,}", f"{one.done or 0:,}", *cells)
    return made


def _ratings(rows: Mapping[str, Judged], title: str) -> RenderableType:
    """One row each, the one of all in bold."""
    titles = [_TITLES[name] for name in _OF_RATINGS]
    columns = [column for name in titles for column in (name, "95%")]
    made = screens.table("", "ratings", "people", *columns, title=title, right=("ratings", "people", *titles))
    for name, one in rows.items():
        cells = [cell for figure in _OF_RATINGS for cell in _cells(one, figure)]
        made.add_row(name, f"{one.events:,}", f"{one.people:,}", *cells, style="bold" if name == "all" else "")
    return made


def _cells(one: Slice | Judged, name: str) -> tuple[str, str]:
    figure = one.figures.get(name)
    if figure is None or math.isnan(figure.value):
        return "-", "-"
    if figure.low is None or figure.high is None:
        return f"{figure.value:.4f}", "-"
    return f"{figure.value:.4f}", f"{figure.low:.3f}–{figure.high:.3f}"


def _number(figure: Figure | None) -> str:
    if figure is None:
        return "-"
    return f"{figure.value:.4f}" if figure.value < 1 else f"{figure.value:,.1f}" if figure.value > 1 else "1.0000"
