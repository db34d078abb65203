"""A chain world is learned; a run that was killed equals one that was not, bit for bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch.nn")

import torch

from penchant.learning import pretrain, validation
from penchant.learning.dataset import from_moment
from penchant.learning.pretrain import Report, Trainer
from penchant.learning.recipe import Recipe
from penchant.models.torch.scorer import Model
from tests.conftest import DAY, NOW
from tests.learning.worlds import chain, data, model, recipe

MOMENT = NOW + 0.8 * DAY


class Killed(Exception):
    pass


def trainer(of: Recipe, **more: Any) -> Trainer:
    """Of the chain before the moment, measured on what comes after."""
    everything = chain()
    windows = from_moment(everything, MOMENT)
    known = data(everything.before(MOMENT))

    def validate(trained: Model) -> float:
        return validation.places(trained, known, everything, windows).ndcg()

    return Trainer(model(of), known, of, **({"validate": validate} | more))


def weights(of: Model) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in of.state_dict().items()}


def assert_equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    """Bit for bit."""
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert torch.equal(value, other[name]), name


# -- it learns ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("full", [True, False], ids=["full softmax", "sampled softmax"])
def test_a_chain_is_learned(full: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not full:
        monkeypatch.setattr(pretrain, "FULL", 5)
    of = recipe(epochs=10 if full else 20, negatives=15)
    run = trainer(of)
    trained = run.run()
    found = validation.places(trained, run.data, chain(), from_moment(chain(), MOMENT))
    assert len(found.place) > 50
    assert found.hit_rate(1) > 0.5  # by chance 1 in 20
    assert run.losses[-1] < run.losses[0]
    assert found.ndcg() == pytest.approx(max(figure for _, figure in run.curve), abs=1e-6)


def test_repeats_are_learned_where_they_are_asked_for() -> None:
    of = recipe(hide_seen=False, epochs=8)
    loops = chain(items=5, last=30)
    run = Trainer(model(of, 5), data(loops, 5), of)
    found = validation.places(run.run(), run.data, loops, from_moment(loops, 0.0), hide_seen=False)
    assert found.hit_rate(1) > 0.6


def test_without_validation_all_epochs_are_run_and_the_average_is_given() -> None:
    run = Trainer(model(recipe()), data(chain()), recipe())
    trained = run.run(3)
    assert (len(run.losses), run.best_epoch, run.curve) == (3, 3, [])
    assert trained is run.averaged
    assert not trained.training


def test_training_stops_where_validation_does_not_improve_and_keeps_the_best() -> None:
    figures = iter([0.1, 0.3, 0.2, 0.3, 0.25, 0.9])
    kept: list[dict[str, torch.Tensor]] = []

    def validate(trained: Model) -> float:
        kept.append(weights(trained))
        return next(figures)

    run = trainer(recipe(epochs=6, patience=3), validate=validate)
    trained = run.run()
    assert [epoch for epoch, _ in run.curve] == [1, 2, 3, 4, 5]
    assert run.best_epoch == 2
    assert_equal(weights(trained), kept[1])


def test_the_learning_rate_warms_up_and_falls_to_a_fiftieth() -> None:
    rates: list[float] = []
    of = recipe(epochs=8, warm_up=5, learning_rate=0.01)
    run = Trainer(model(of), data(chain()), of, told=lambda _: rates.append(run._optimizer.param_groups[0]["lr"]))
    run.run()
    assert rates[0] == pytest.approx(0.002, rel=0.01)
    assert max(rates) == max(rates[3:8])
    assert 0.0002 <= rates[-1] < 0.0005


def test_reports_say_where_a_training_stands() -> None:
    reports: list[Report] = []
    run = trainer(recipe(epochs=2), told=reports.append)
    run.run()
    steps = reports[0].steps
    assert [(one.epoch, one.step) for one in reports if one.steps == steps][:steps] == [
        (0, k + 1) for k in range(steps)
    ]
    assert reports[-1].validation == run.curve
    assert all(one.loss > 0 for one in reports)


# -- the same each time ------------------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_weights_and_another_seed_others() -> None:
    one, same, other = (weights(trainer(recipe(epochs=2, seed=seed)).run()) for seed in (0, 0, 1))
    assert_equal(one, same)
    assert not torch.equal(one["item.residual.weight"], other["item.residual.weight"])


# -- killed and gone on with -------------------------------------------------------------------------------------------


def killed_after(batches: int) -> Any:
    told = 0

    def tell(_: Report) -> None:
        nonlocal told
        told += 1
        if told > batches:
            raise Killed

    return tell


@pytest.mark.parametrize("full", [True, False], ids=["full softmax", "sampled softmax"])
@pytest.mark.parametrize("deaths", [(1,), (4, 3), (6, 6, 6), (9, 1, 1)], ids=str)
def test_a_run_that_was_killed_equals_one_that_was_not_bit_for_bit(
    deaths: tuple[int, ...], full: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pretrain, "CHECKPOINT_S", 0.0)
    monkeypatch.setattr(pretrain, "FULL", 100 if full else 5)
    of = recipe(epochs=4, patience=2, negatives=10)
    whole = trainer(of)
    expected = weights(whole.run())
    for death in deaths:
        with pytest.raises(Killed):
            trainer(of, told=killed_after(death), checkpoint=tmp_path / "run.pt").run()
        torch.manual_seed(12345)  # a new process has drawn something else
    resumed = trainer(of, checkpoint=tmp_path / "run.pt")
    assert resumed.step > 0
    assert_equal(weights(resumed.run()), expected)
    assert resumed.curve == whole.curve
    assert resumed.losses == whole.losses
    assert_equal(weights(resumed.model), weights(whole.model))


def test_a_run_that_was_killed_after_it_had_stopped_early_stops_there_again(tmp_path: Path) -> None:
    """`train` is killed while it measures, say: the figures and the best weights are those of before."""
    of = recipe(epochs=8, patience=1, learning_rate=1e-9)
    first = trainer(of, checkpoint=tmp_path / "run.pt")
    expected = weights(first.run())
    assert len(first.curve) < 8
    again = trainer(of, checkpoint=tmp_path / "run.pt")
    assert_equal(weights(again.run()), expected)
    assert (again.curve, again.best_epoch) == (first.curve, first.best_epoch)


def test_a_finished_run_is_not_run_again(tmp_path: Path) -> None:
    of = recipe(epochs=2)
    expected = weights(trainer(of, checkpoint=tmp_path / "run.pt").run())
    again = trainer(of, checkpoint=tmp_path / "run.pt", told=killed_after(0))
    assert_equal(weights(again.run()), expected)


@pytest.mark.parametrize("why", ["recipe", "events", "items"])
def test_another_recipe_or_other_data_do_not_go_on_from_a_checkpoint(why: str, tmp_path: Path) -> None:
    of = recipe(epochs=2)
    trainer(of, checkpoint=tmp_path / "run.pt").run()
    changed = recipe(epochs=2, clip=0.5) if why == "recipe" else of
    items = 21 if why == "items" else 20
    known = data(chain(people=61 if why == "events" else 60).before(MOMENT), items)
    other = Trainer(model(changed, items), known, changed, checkpoint=tmp_path / "run.pt")
    assert (other.epoch, other.step, other.curve) == (0, 0, [])


def test_a_draft_that_was_never_finished_is_not_gone_on_from(tmp_path: Path) -> None:
    of = recipe(epochs=1)
    (tmp_path / "run.draft").write_bytes(b"half a checkpoint")
    expected = weights(trainer(of).run())
    assert_equal(weights(trainer(of, checkpoint=tmp_path / "run.pt").run()), expected)
    assert [path.name for path in tmp_path.iterdir()] == ["run.pt"]
