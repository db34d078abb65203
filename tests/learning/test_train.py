"""From a folder to a version that is used when it is better; what is measured was not learned from."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch.nn")

import torch
from msgspec import structs

from penchant import Event, Query
from penchant.engine import Engine
from penchant.errors import InvalidInput, NotFound, Unavailable
from penchant.learning import fusing, gate, train, validation
from penchant.learning.dataset import from_moment
from penchant.learning.pretrain import Report
from penchant.learning.publish import publish
from penchant.learning.source import Source
from penchant.models.cold_start import default_fusion
from penchant.models.fusion import curves_of
from penchant.models.torch.scorer import Model
from penchant.models.versions import current, read_manifest, use_version
from tests.conftest import DAY, NOW, click, item, names
from tests.learning.worlds import ITEMS, chain_events, folder, item_events, shaken
from tests.learning.worlds import recipe as small

CHANGED = {
    name: getattr(small(), name)
    for name in ("dim", "width", "state", "tokens", "warm_up", "learning_rate", "dropout", "average")
}
OPTIONS = train.Options(size="small", changed={**CHANGED, "epochs": 8})


class Killed(Exception):
    pass


def told(report: Any = lambda _: None, phases: list[str] | None = None) -> train.Told:
    said = phases if phases is not None else []
    return train.Told(said.append, report, lambda *_: None)


def noise(events: Sequence[Event], moment: float, seed: int) -> list[Event]:
    """The same events up to a moment; from then on, who did what to what with which value is drawn."""
    draw = random.Random(seed)
    return [
        event
        if (event.time or 0.0) < moment
        else structs.replace(
            event,
            user=draw.choice([event.user, f"u{draw.randrange(60)}"]),
            item=f"i{draw.randrange(ITEMS)}",
            action=draw.choice(("click", "buy", "dislike")),
            value=draw.choice((None, -7.0, 123.0)),
        )
        for event in events
    ]


@pytest.fixture(scope="module")
def events() -> list[Event]:
    return chain_events(people=120)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, events: list[Event]) -> Path:
    return folder(tmp_path_factory.mktemp("trained") / "data", events)


# -- what a training is going to do ------------------------------------------------------------------------------------


def test_a_plan_says_what_there_is_and_begins_validation_with_the_last_tenth(world: Path, events: list[Event]) -> None:
    with Source(world) as source:
        planned = train.plan(source, OPTIONS)
        assert planned == train.plan(source, OPTIONS)
    assert (planned.events, planned.people, planned.items) == (len(events), 120, ITEMS)
    later = [event for event in events if (event.time or 0.0) >= planned.moment]
    assert len(later) == pytest.approx(len(events) / 10, rel=0.1)
    assert (planned.repeats, planned.recipe.hide_seen, planned.recipe.width) == (0.0, True, 16)


def test_whether_repeats_count_is_decided_by_what_came_before_validation(tmp_path: Path) -> None:
    before = [click(f"u{k}", f"i{j}", NOW + 10 * k + j) for k in range(20) for j in range(9)]
    after = [click(f"u{k}", "i1", NOW + DAY + k) for k in range(20)]
    with Source(folder(tmp_path / "data", [*before, *after])) as source:
        assert train.plan(source, OPTIONS).recipe.hide_seen
    with Source(folder(tmp_path / "again", [*before, *before[:20], *after])) as source:
        assert not train.plan(source, OPTIONS).recipe.hide_seen


def test_a_training_that_does_not_fit_is_refused_before_it_begins(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("penchant.learning.recipe._available", lambda: 2**20)
    with Source(world) as source, pytest.raises(Unavailable, match="training needs"):
        train.plan(source, OPTIONS)


@pytest.mark.parametrize("lived", [[], [click("ann", "elsewhere")], [click("ann", "i1", action="dislike")]])
def test_a_folder_with_nothing_to_learn_is_refused_by_name(lived: list[Event], tmp_path: Path) -> None:
    place = folder(tmp_path / "data", lived)
    with pytest.raises(InvalidInput, match="no interaction with an item") as refused:
        Source(place)
    assert str(place) in refused.value.value


def test_a_folder_that_there_is_not_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no log"):
        Source(tmp_path)


def test_a_source_reads_beside_an_engine_and_changes_nothing(tmp_path: Path, events: list[Event]) -> None:
    place = folder(tmp_path / "data", events[:50])
    with Engine.open(place) as engine:
        with Source(place) as source:
            engine.ingest([item("sent since"), click("u1", "sent since", NOW + 9 * DAY)])
            assert source.upto == 50 + ITEMS
            assert len(source.histories.item) == 50
            assert source.data(source.histories, small()).there.sum() == ITEMS
        assert engine.parts.log.end == 52 + ITEMS


# -- no test data touches training or selection ------------------------------------------------------------------------


def test_what_comes_after_the_moment_changes_not_one_bit_of_what_is_validated(
    tmp_path: Path, events: list[Event]
) -> None:
    found = []
    moment = float(np.quantile([event.time or 0.0 for event in events], 0.9))
    for seed in (0, 1, 2):
        place = folder(tmp_path / f"noise-{seed}", noise(events, moment, seed) if seed else events)
        with Source(place) as source:
            planned = train.plan(source, OPTIONS)._replace(moment=moment)
            everything = source.data(source.histories, planned.recipe).histories
            trainer = train._trainer(source, everything, planned, place / "never.pt", told())
            assert (trainer.data.histories.time < moment).all()
            trainer._validate = None  # selection is by validation: see the next test
            found.append((planned.recipe, {name: one.clone() for name, one in trainer.run(2).state_dict().items()}))
    for recipe, weights in found[1:]:
        assert recipe == found[0][0]
        for name, value in weights.items():
            assert torch.equal(value, found[0][1][name]), name


def test_the_number_of_epochs_is_chosen_on_validation_and_the_heads_know_nothing_of_it(
    world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everything that the validated phase reads, by time."""
    read: list[float] = []
    examples = validation.examples

    def spied(model: Model, data: Any, histories: Any, **more: Any) -> Any:
        read.append(float(histories.time.max()) if "since" not in more else float("nan"))
        return examples(model, data, histories, **more)

    monkeypatch.setattr(validation, "examples", spied)
    with Source(world) as source:
        planned = train.plan(source, OPTIONS)
        everything = source.data(source.histories, planned.recipe)
        trainer = train._trainer(source, everything.histories, planned, world / "never.pt", told())
        windows = from_moment(everything.histories, planned.moment)
        assert everything.histories.time[windows.counted].min() >= planned.moment
        train._calibrated(trainer.averaged, trainer.data, everything.histories, planned.moment, source.actions)
    assert read[0] < planned.moment  # what the heads are fitted to; they are calibrated on what comes after


def test_the_model_that_the_gate_asks_never_met_what_it_is_asked_for(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    newest: dict[str, float] = {}
    ask = gate._ask

    def spied(place: Path, events: Sequence[Event], *more: Any) -> Any:
        with Source(place) as there:
            newest[place.name] = float(there.histories.time.max())
        training = read_manifest(current(place / "versions") or place).training
        newest[f"{place.name} was trained"] = training.newest if training else 0.0
        assert min(event.time or 0.0 for event in events) >= planned.moment
        return ask(place, events, *more)

    monkeypatch.setattr(gate, "_ask", spied)
    with Source(world) as source:
        planned = train.plan(source, OPTIONS)
        recipe = planned.recipe
        gate.compare(source, shaken(source, recipe), recipe, planned.moment, tmp_path / "gate", lambda *_: None)
    assert set(newest) == {"v0", "v0 was trained", "trained", "trained was trained"}
    assert max(newest.values()) < planned.moment


# -- the gate ----------------------------------------------------------------------------------------------------------


def test_a_model_that_knows_the_chain_passes_and_one_that_knows_nothing_does_not(world: Path, tmp_path: Path) -> None:
    with Source(world) as source:
        planned = train.plan(source, OPTIONS)
        recipe = planned.recipe
        everything = source.data(source.histories, recipe).histories
        trainer = train._trainer(source, everything, planned, tmp_path / "run.pt", told())
        model, data = trainer.run(), trainer.data
        offline = validation.places(model, data, everything, from_moment(everything, planned.moment)).ndcg()
        known = gate.compare(source, model, recipe, planned.moment, tmp_path / "gate", lambda *_: None)
        nothing = gate.compare(source, shaken(source, recipe), recipe, planned.moment, tmp_path / "gate",
                               lambda *_: None)  # fmt: skip
    assert not (tmp_path / "gate").exists()
    assert known.version_0 == nothing.version_0
    assert known.trained == pytest.approx(offline, abs=0.02)  # the engine, and the model alone in bfloat16
    assert known.trained > nothing.trained + 0.2
    assert known.passed == (known.trained > known.version_0)
    assert not nothing.passed
    for verdict in (known, nothing):
        low, high = verdict.difference
        assert low <= verdict.trained - verdict.version_0 <= high
        assert verdict.questions == sum((event.time or 0.0) >= planned.moment for event in chain_events(people=120))


def test_items_are_carried_by_name_to_a_log_that_numbers_them_otherwise(world: Path, tmp_path: Path) -> None:
    turned = folder(tmp_path / "turned", chain_events(people=3), [*item_events()[::-1], item("more", 1.0)])
    with Source(world) as source, Source(turned) as there:
        model = shaken(source, small())
        moved = gate.carried(model, source, there)
        before, after = model.item.residual.weight, moved.item.residual.weight
        assert len(after) == ITEMS + 1
        for name in there.log.items.first(ITEMS):
            assert torch.equal(after[there.log.items.get(name)], before[source.log.items.get(name)])
        assert not after[there.log.items.get("more")].any()
        assert there.fields == source.fields
        assert len(before) == ITEMS  # the model itself is as it was


# -- the whole ---------------------------------------------------------------------------------------------------------


def test_a_folder_is_trained_measured_and_published_and_a_killed_training_goes_on(
    tmp_path: Path, events: list[Event]
) -> None:
    whole, halved = (folder(tmp_path / name, events) for name in ("whole", "halved"))
    outcomes, phases = [], []
    for place in (whole, halved):
        with Source(place) as source:
            planned = train.plan(source, OPTIONS)
            if place == halved:
                for death in (2, 6):

                    def kill(report: Report, death: int = death) -> None:
                        if report.epoch >= death:
                            raise Killed

                    with pytest.raises(Killed):
                        train.train(source, planned, OPTIONS, told(kill))
                assert (halved / train.TRAINING / "validated.pt").exists()
            outcomes.append(train.train(source, planned, OPTIONS, told(phases=phases)))
        assert not (place / train.TRAINING).exists()
    one, other = outcomes
    assert one.metrics == other.metrics
    for file in ("residual.npy", "step.onnx", "query.onnx", "vectors.npy"):
        assert (one.path / file).read_bytes() == (other.path / file).read_bytes()
    assert one.metrics["ndcg10"] > 0.5
    assert one.metrics["ndcg10_low"] <= one.metrics["ndcg10"] <= one.metrics["ndcg10_high"]
    assert one.verdict is not None
    assert one.metrics["gate_ndcg10"] == one.verdict.trained
    assert one.used == one.verdict.passed
    assert (current(whole / "versions") == one.path) == one.used
    assert {name for name in one.metrics if name.startswith("auc")} == {"auc_buy", "auc_click"}
    assert one.metrics["auc_buy"] > 0.7
    manifest = read_manifest(one.path)
    assert manifest.training is not None
    assert manifest.training.metrics == one.metrics
    assert "heads.npz" in manifest.files
    assert "everything" in " ".join(phases)


def test_a_version_that_is_used_without_a_gate_recommends_what_comes_next(tmp_path: Path, events: list[Event]) -> None:
    place = folder(tmp_path / "data", events)
    options = OPTIONS._replace(gate=False, refit=False, changed={**CHANGED, "epochs": 12})
    with Source(place) as source:
        outcome = train.train(source, train.plan(source, options), options, told())
    assert (outcome.verdict, outcome.used) == (None, True)
    with Engine.open(place) as engine:
        assert engine.parts.version.trained
        right = 0
        for k in range(ITEMS):
            engine.ingest([click(f"new{k}", f"i{(k + j) % ITEMS}", NOW + 5 * DAY + 100 * j) for j in range(3)])
            slate = engine.recommend(Query(user=f"new{k}", time=NOW + 5 * DAY + 300, limit=2))
            right += f"i{(k + 3) % ITEMS}" in names(slate)
        assert right > ITEMS * 0.4  # by chance a tenth


def test_curves_that_were_fitted_are_published_and_make_the_scores(
    tmp_path: Path, events: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fusing, "LEAST", 20)
    monkeypatch.setattr(fusing, "GAIN", -1.0)  # whatever they are worth
    place = folder(tmp_path / "data", events)
    with Source(place) as source:
        outcome = train.train(source, train.plan(source, OPTIONS), OPTIONS, told())
    assert outcome.verdict is not None
    fusion = read_manifest(outcome.path).fusion
    assert fusion == outcome.verdict.fusion
    assert set(fusion.curves) == set(fusion.weights)
    assert {"fusion_ndcg10_lines", "fusion_ndcg10_curves"} <= set(outcome.metrics)
    use_version(place / "versions", outcome.path.name)
    with Engine.open(place) as engine:
        for name in ("u1", "nobody"):
            with engine.lock:
                ranked = engine.examine(Query(user=name, time=NOW + DAY))
            assert ranked.depth == sum(event.user == name for event in events)
            heights = curves_of(fusion).heights[ranked.depth]
            for k, of in enumerate(fusion.weights):
                curve = fusion.curves[of]
                knots, inside = np.linspace(curve.low, curve.high, heights.shape[1]), ranked.scored.features[:, k]
                inside = np.clip(inside, curve.low, curve.high)
                expected = np.interp(inside, knots, heights[k])
                met = inside == ranked.scored.features[:, k]
                np.testing.assert_allclose(ranked.scored.terms[met, k], expected[met], atol=1e-4)
            np.testing.assert_allclose(ranked.scored.scores, ranked.scored.terms.sum(1), atol=1e-4)


def test_items_are_alike_by_vectors_and_counts_whatever_the_fusion(tmp_path: Path, events: list[Event]) -> None:
    place = folder(tmp_path / "data", events)
    with Source(place) as source:
        made = shaken(source, small())
        path = publish(place / "versions", source, made, small(), epochs=0, metrics={}, fusion=fusing.lines())
    use_version(place / "versions", path.name)
    weights = default_fusion().weights
    with Engine.open(place) as engine:
        engine.wait_for_items()
        slate = engine.similar("i3", Query(time=NOW + DAY))
    assert names(slate)[0] == "i4"  # what followed it
    for one in slate.items:
        assert one.terms["learned"] == pytest.approx(weights["text"] * one.features["learned"], abs=1e-4)
        assert one.terms["transitions"] == pytest.approx(weights["transitions"] * one.features["transitions"], abs=1e-4)


def test_fresh_forgets_what_was_begun_and_an_unused_version_is_published_all_the_same(
    tmp_path: Path, events: list[Event]
) -> None:
    place = folder(tmp_path / "data", events[:300])
    before = current(place / "versions")
    (place / train.TRAINING).mkdir()
    (place / train.TRAINING / "validated.pt").write_bytes(b"not a checkpoint")
    options = OPTIONS._replace(fresh=True, gate=False, refit=False, use=False, changed={**CHANGED, "epochs": 1})
    with Source(place) as source:
        outcome = train.train(source, train.plan(source, options), options, told())
    assert not outcome.used
    assert read_manifest(outcome.path).training is not None
    assert current(place / "versions") == before


def test_a_handful_of_events_can_be_trained_on(tmp_path: Path) -> None:
    place = folder(
        tmp_path / "data", [click("ann", "i1", NOW), click("ann", "i2", NOW + 9), click("bob", "i3", NOW + 5)]
    )
    options = OPTIONS._replace(changed={**CHANGED, "epochs": 1})
    with Source(place) as source:
        outcome = train.train(source, train.plan(source, options), options, told())
    assert outcome.verdict is not None
    assert "heads.npz" not in read_manifest(outcome.path).files


def test_events_of_one_moment_leave_nothing_to_validate_on_and_say_so(tmp_path: Path) -> None:
    place = folder(tmp_path / "data", [click(f"u{k}", f"i{k}", NOW) for k in range(10)])
    options = OPTIONS._replace(changed={**CHANGED, "epochs": 1})
    with Source(place) as source, pytest.raises(InvalidInput, match="one moment"):
        train.plan(source, options)
