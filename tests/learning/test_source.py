"""From a data folder to tensors: what items, words, values and profiles become."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch.nn")

import torch

from penchant import Event
from penchant.errors import InvalidInput
from penchant.learning import dataset, validation
from penchant.learning.pretrain import Trainer
from penchant.learning.source import Source
from tests.conftest import NOW, OpenEngine, click, item
from tests.learning.worlds import ITEMS, chain_events, folder, item_events, recipe

PROFILES = [
    Event(kind="user", user=f"u{k}", fields={"city": f"city {k % 2}", "gender": "fm"[k % 2], "age": 30}, time=NOW)
    for k in range(20)
]


@pytest.fixture
def source(tmp_path: Path) -> Source:
    lived = [*PROFILES, *chain_events(people=20), Event(kind="item", item="i3", removed=True, time=NOW)]
    return Source(folder(tmp_path / "data", lived))


def test_items_stand_at_their_numbers_and_what_says_nothing_is_empty(source: Source) -> None:
    data = source.data(source.histories, recipe())
    content = data.content
    assert content is not None
    gone = source.log.items.get("i3")
    assert data.there.tolist() == [number != gone for number in range(ITEMS)]
    years = {number: 1990.0 + int(source.log.items.name(number)[1:]) for number in range(ITEMS) if number != gone}
    assert {n: y for n, y in enumerate(content.numbers[:, 0].tolist()) if n != gone} == years
    assert torch.isnan(content.numbers[gone]).all()
    assert not content.tags[gone].any()
    assert not content.brought[gone].any()
    lengths = content.brought.norm(dim=1)
    assert lengths[:gone].tolist() == pytest.approx([1.0] * gone, abs=1e-5)
    assert content.text.shape == (ITEMS, 0)
    assert data.typed is None
    source.close()


def test_what_was_removed_is_stepped_by_as_nothing_and_never_predicted(source: Source) -> None:
    gone = source.log.items.get("i3")
    assert gone not in source.histories.item
    assert not source.histories.target[source.histories.item < 0].any()
    source.close()


def test_profiles_are_read_where_they_are_not_sensitive(source: Source) -> None:
    assert list(source.profile.tags) == ["city"]
    data = source.data(source.histories, recipe())
    ids = source.profile.tags["city"]
    for k in range(20):
        assert data.profile[source.log.people.get(f"u{k}")].tolist() == [ids[f"city {k % 2}"]]
    source.close()


def test_a_sensitive_field_is_read_when_it_is_named(tmp_path: Path) -> None:
    place = folder(tmp_path / "data", [*PROFILES, *chain_events(people=20)], settings='sensitive = ["gender"]\n')
    with Source(place) as source:
        assert list(source.profile.tags) == ["city", "gender"]


@pytest.mark.parametrize(
    ("values", "expected"),
    [([None], ()), ([3.0], ()), ([1.0, 2.0, None], (1.0, 2.0)), (list(range(1, 13)), tuple(range(1, 13)))],
)
def test_values_lie_between_knots(values: list[float | None], expected: tuple[float, ...], tmp_path: Path) -> None:
    lived = [click("ann", f"i{k}", NOW + k, value=value) for k, value in enumerate(values)]
    with Source(folder(tmp_path / "data", lived)) as source:
        assert source.model(recipe()).user.shape.value_knots == expected
        assert source.model(recipe(values=False)).user.shape.value_knots == ()


def test_many_values_lie_between_quantiles(tmp_path: Path) -> None:
    lived = [click(f"u{k}", f"i{k % ITEMS}", NOW + k, value=float(k * k)) for k in range(40)]
    with Source(folder(tmp_path / "data", lived)) as source:
        knots = source.model(recipe()).user.shape.value_knots
        assert (len(knots), knots[0], knots[-1]) == (6, 0.0, 39.0**2)
        first = source.histories.chosen(source.histories.value < 100)
        assert source.model(recipe(), known=first).user.shape.value_knots[-1] == 81.0


def test_hiding_what_was_seen_leaves_first_meetings_as_targets(tmp_path: Path) -> None:
    lived = [click("ann", f"i{k % 3}", NOW + k) for k in range(6)]
    with Source(folder(tmp_path / "data", lived)) as source:
        assert source.data(source.histories, recipe(hide_seen=True)).histories.target.sum() == 3
        assert source.data(source.histories, recipe(hide_seen=False)).histories.target.sum() == 6


def test_the_same_seed_gives_the_same_model(source: Source) -> None:
    one, same, other = (source.model(recipe(seed=seed)).item.residual.weight for seed in (0, 0, 1))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    source.close()


def test_without_fields_and_texts_items_are_their_numbers_alone(source: Source) -> None:
    assert source.data(source.histories, recipe(fields=False)).content is None
    assert not source.model(recipe(fields=False)).item.has_content
    source.close()


def test_texts_are_whitened_so_that_every_direction_is_equally_loud(
    open_reading_engine: OpenEngine, tmp_path: Path
) -> None:
    engine = open_reading_engine("reading")
    engine.ingest([item(f"i{k}", title=f"film {k} about {['sea', 'war', 'dog', 'bread'][k % 4]}") for k in range(30)])
    engine.ingest([item("silent", 1.0), click("ann", "i1"), click("ann", "silent", NOW + 1, words="the sea")])
    engine.wait_for_items()
    engine.close()
    with Source(tmp_path / "reading") as source:
        data, model = source.data(source.histories, recipe()), source.model(recipe())
        assert data.content is not None
        assert data.content.text.shape == (31, 384)
        assert not data.content.text[source.log.items.get("silent")].any()
        assert data.histories.texts == ["the sea"]
        assert data.typed is not None
        assert data.typed.shape == (1, 384)
        white = (data.content.text[:30] - model.item.text_mean) @ model.item.text_whitening
        loud = np.linalg.eigvalsh(np.cov(white.numpy().T.astype(np.float64)))[::-1]
        assert loud[0] == pytest.approx(1.0, abs=0.1)
        assert loud[:20].min() > 0.5
        assert source.model(recipe(text=False)).item.text is None
        assert source.data(source.histories, recipe(text=False)).typed is None


def test_items_are_in_the_log_s_order_whatever_the_catalogue_s(tmp_path: Path) -> None:
    place = folder(tmp_path / "data", chain_events(people=3), item_events()[::-1])
    with Source(place) as source:
        content = source.data(source.histories, recipe()).content
        assert content is not None
        assert content.numbers[0, 0] == 1990 + ITEMS - 1


def test_without_ids_items_stand_on_their_content_and_learn_all_the_same(source: Source) -> None:
    by = recipe(ids=False, epochs=6)
    data = source.data(source.histories, by)
    trained = Trainer(source.model(by), data, by).run()
    assert not trained.item.residual.weight.any()
    found = validation.places(trained, data, data.histories, dataset.from_moment(data.histories, 0.0))
    assert found.ndcg() > 0.5  # chance is about 0.2
    source.close()


def test_without_ids_and_without_content_there_is_nothing_to_tell_items_apart(source: Source) -> None:
    with pytest.raises(InvalidInput, match="all items are alike") as refused:
        source.model(recipe(ids=False, text=False, fields=False))
    assert refused.value.field == "ids"
    source.close()
