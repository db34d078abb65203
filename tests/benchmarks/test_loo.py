"""What `make bench-loo` and the Amazon benches ask, and what the fusion that orders their lists was fitted to."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from benchmarks import amazon, loo
from benchmarks.amazon import REFIT, Run, grown
from benchmarks.movielens import Split, prepared
from penchant.evaluation.trials import TIMELESS, Trial, left_out
from penchant.learning.source import Source
from penchant.types import Event, Item

ITEMS, PEOPLE, LENGTH = 15, 45, 6
COUNTED = PEOPLE * (LENGTH - 2)


@pytest.fixture
def trial() -> Trial:
    """Everybody walks on from item to item, three people from each."""
    return left_out(
        Event(user=f"user {person}", action="buy", item=f"item {(person + k) % ITEMS}", time=TIMELESS)
        for person in range(PEOPLE)
        for k in range(LENGTH)
    )


@pytest.fixture
def base(tmp_path: Path, trial: Trial) -> Path:
    items = [Item(id=f"item {k}", time=TIMELESS).event() for k in range(ITEMS)]
    return prepared(tmp_path / "base", Split(items, list(trial.learned), []), encoder="none")


def noted(monkeypatch: pytest.MonkeyPatch, module: Any, name: str) -> list[tuple[Any, int]]:
    """What a function of a module was given beside the folder, and how many events that folder held then."""
    found: list[tuple[Any, int]] = []
    real: Callable[..., Any] = getattr(module, name)

    def noting(folder: Path, *given: Any, **how: Any) -> Any:
        with Source(folder) as source:
            found.append(((*given, how), len(source.histories.item)))
        return real(folder, *given, **how)

    monkeypatch.setattr(module, name, noting)
    return found


def test_the_last_but_one_is_known_when_the_last_is_asked_for_and_not_before(base: Path, trial: Trial) -> None:
    """Where everything follows from the newest event, version 0 is right both times only if it knows just that."""
    assert loo.last_items(base, trial, validate=True).tolist() == [0] * PEOPLE
    assert loo.last_items(base, trial, validate=False).tolist() == [0] * PEOPLE


def test_the_fusion_is_fitted_to_the_last_but_one_before_it_is_learned(
    base: Path, trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loo, "EPOCHS", 1)
    fitted, fused = noted(monkeypatch, loo, "fitted"), noted(monkeypatch, loo, "fuse")
    row = loo.one(base, trial, 0, validate=False)
    assert set(row) == {"hr10", "ndcg10", "hr10_fused", "ndcg10_fused"}
    assert [(given[2], given[3], events) for given, events in fitted] == [(trial.known, {"living": False}, COUNTED)]
    assert [events for _, events in fused] == [COUNTED]
    assert row["ndcg10_fused"] > row["ndcg10"] + 0.2  # transitions know it all, and are in the sum


def test_validation_asks_for_the_last_but_one_alone_and_tells_of_the_fusion(
    base: Path, trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loo, "EPOCHS", 1)
    row = loo.one(base, trial, 0, validate=True)
    assert set(row) == {"hr10", "ndcg10", "ndcg10_alone", "ndcg10_lines", "ndcg10_curves"}
    assert row["ndcg10_alone"] == pytest.approx(row["ndcg10"], abs=1e-9)


def test_the_refit_takes_over_the_fusion_that_the_first_way_fitted(
    base: Path, trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted, fused = noted(monkeypatch, amazon, "fitted"), noted(monkeypatch, amazon, "fuse")
    trained = noted(monkeypatch, amazon, "trained")
    bases = {"": base, REFIT: grown(base, trial.known)}
    row = amazon.one(bases, Run(trial, 0, epochs=1, text=False))
    ways = [f"{what}{way}" for way in ("", REFIT) for what in ("", "_alone")]
    assert set(row) == {f"{metric}{way}" for metric in ("r10", "ndcg10") for way in ways}
    assert [events for _, events in trained] == [COUNTED, COUNTED + PEOPLE]
    assert [(given[2], events) for given, events in fitted] == [(trial.known, COUNTED)]
    (first, learned), (second, again) = fused
    assert first[2] is second[2]
    assert (learned, again) == (COUNTED, COUNTED + PEOPLE)
    assert all(row[f"ndcg10{way}"] > row[f"ndcg10_alone{way}"] + 0.2 for way in bases)


def test_without_a_seed_nothing_is_trained_and_both_ways_are_asked(base: Path, trial: Trial) -> None:
    bases = {"": base, REFIT: grown(base, trial.known)}
    row = amazon.one(bases, Run(trial, None))
    names = {f"{metric}_{what}{way}" for metric in ("r10", "ndcg10") for what in ("v0", "transitions")
             for way in ("", REFIT)}  # fmt: skip
    assert row == dict.fromkeys(names, 1.0)


def test_on_validation_there_is_no_refit_and_the_fusion_is_not_asked_what_it_was_fitted_to(
    base: Path, trial: Trial
) -> None:
    row = amazon.one({"": base}, Run(trial, 0, epochs=1, text=False, validate=True))
    assert set(row) == {"r10_alone", "ndcg10_alone", "ndcg10_lines", "ndcg10_curves"}


def test_figures_are_means_over_the_runs_that_have_them_and_spread_is_of_several() -> None:
    found = [{"ndcg10_v0": 0.5, "r10_v0": 0.25}, {"ndcg10": 0.25, "r10": 0.5}, {"ndcg10": 0.75, "r10": 0.5}]
    assert loo.averaged(found) == {"ndcg10_v0": 0.5, "r10_v0": 0.25, "ndcg10": 0.5, "r10": 0.5, "ndcg10_sd": 0.25}
