"""What is published is what was trained, and the engine that runs it answers as the model does."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch.nn")

import torch

from penchant import Event, Query
from penchant.engine import Engine
from penchant.learning import dataset
from penchant.learning.pretrain import Data, as_told
from penchant.learning.publish import publish
from penchant.learning.recipe import Recipe
from penchant.learning.source import Source
from penchant.models.runtime import Version
from penchant.models.torch.scorer import Model
from penchant.models.torch.user_state import Events
from penchant.models.versions import GRAPHS, current, read_manifest, use_version
from penchant.storage.state_store import read_arrays
from tests.conftest import DAY, NOW, OpenEngine, ask, click, item, names
from tests.learning.worlds import chain_events, folder, item_events, published, recipe, shaken
from tests.test_laws import state

CLOSE = {"rtol": 1e-3, "atol": 1e-3}
LATER = NOW + 20 * DAY
PROFILES = [
    Event(kind="user", user=f"u{k}", fields={"city": f"city {k % 3}", "age": k % 2}, time=NOW) for k in range(60)
]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folder(tmp_path_factory.mktemp("published") / "data", [*PROFILES, *chain_events()])


@pytest.fixture(scope="module")
def made(world: Path) -> tuple[Path, Model]:
    return published(world)


# -- the directory -----------------------------------------------------------------------------------------------------


def test_a_published_version_is_whole_and_says_what_it_is(made: tuple[Path, Model]) -> None:
    path, model = made
    manifest = read_manifest(path)  # checks every hash
    assert set(manifest.files) == {*GRAPHS, "residual.npy", "vectors.npy", "card.md"}
    assert {one.name for one in path.iterdir()} == {*manifest.files, "manifest.json", "states.npz"}
    assert manifest.name == f"small-{path.name}"
    assert (manifest.kind, manifest.dim, manifest.state_size) == ("trained", 16, model.user.size)
    assert list(manifest.fields.tags) == ["genre"]
    assert (list(manifest.fields.numbers), manifest.fields.brought) == (["year"], {"v": 3})
    assert list(manifest.profile.tags) == ["city"]  # an age is sensitive
    training = manifest.training
    assert training is not None
    assert (training.events, training.people, training.items) == (len(chain_events()), 60, 20)
    assert training.newest == max(event.time or 0.0 for event in chain_events())
    assert training.recipe["width"] == 16
    card = (path / "card.md").read_text(encoding="utf-8")
    assert f"Trained on {training.events:,} events of 60 people with 20 items" in card
    assert "genre, year, v" in card


def test_a_version_is_not_in_use_until_somebody_says_so(tmp_path: Path) -> None:
    place = folder(tmp_path / "data", chain_events(people=5))
    before = current(place / "versions")
    published(place, use=False)
    assert current(place / "versions") == before


def test_vectors_and_residuals_are_rows_of_the_logs_items(world: Path, made: tuple[Path, Model]) -> None:
    path, model = made
    residual, vectors = np.load(path / "residual.npy"), np.load(path / "vectors.npy")
    np.testing.assert_array_equal(residual, model.item.residual.weight.detach().numpy())
    with Source(world) as source, torch.no_grad():
        content = source.data(source.histories, recipe()).content
        np.testing.assert_allclose(vectors, model.table(torch.arange(20), content).numpy(), **CLOSE)


def test_an_item_that_was_only_mentioned_has_no_history_to_bring_when_it_is_sent(tmp_path: Path) -> None:
    place = folder(tmp_path / "data", [*chain_events(people=5), click("ann", "ghost", LATER)])
    path, _ = published(place)
    version = Version(path)
    assert not version.published_vectors()[20].any()
    with Engine.open(place) as engine:
        assert engine.parts.log.items.get("ghost") == 20
        before = state(engine, "ann")
        engine.ingest([item("ghost", 0.5, 0.5, 1.0, genre="a", year=1999)])
        engine.wait_for_items()
        row = engine.parts.catalogue.get(20)
        assert row is not None
        content = version._content([row.fields], [row.vectors], np.zeros((1, 1), np.float32))[0]
        np.testing.assert_allclose(engine.parts.index.vector[20], content, rtol=1e-5, atol=1e-6)
        assert np.abs(state(engine, "ann") - before).max() > 1e-3  # folded again, now that it is known


def test_states_hold_items_that_were_only_mentioned_whatever_the_catalogue_s_size(tmp_path: Path) -> None:
    catalogue = [item(f"i{k}", float(k), 1.0) for k in range(300)]
    ghosts = [click("ann", f"ghost{k}", NOW + k) for k in range(40)]
    place = folder(tmp_path / "data", [click("ann", "i1", NOW - 9), *ghosts], catalogue)
    path, _ = published(place)
    found = read_arrays(path / "states.npz")
    assert found is not None
    assert len(Version(path).published_vectors()) == 340
    with Engine.open(place) as engine:
        engine.wait_for_items()
        np.testing.assert_allclose(found["state_now"][0], state(engine, "ann"), **CLOSE)


# -- the engine asks as the model does ---------------------------------------------------------------------------------


@torch.no_grad()
def asked(place: Path, model: Model, of: Recipe, since: float) -> tuple[np.ndarray, Data]:
    """f(x) [people, dim] of everybody in the log at a moment, by torch over whole histories."""
    with Source(place) as source:
        data = source.data(source.histories, of)
    everything = data.histories
    lengths = np.diff(everything.start)
    out = np.zeros((everything.people, model.item.dim), np.float32)
    table = model.table(torch.arange(data.items), data.content)
    typed = model.typed(data.typed) if data.typed is not None else None
    for person in range(everything.people):
        first, last = everything.start[person], everything.start[person + 1]
        one = np.array([first]), np.array([last]), np.ones(1, np.bool_), np.array([first])
        batch = dataset.collate(everything, everything.gaps(), dataset.Windows(*one), data.beginning)
        told = as_told(batch._replace(person=np.array([person])), data.profile, torch.device("cpu"))
        stream = model.user.scan(model.inputs(told, table, typed))[-1]
        newest = everything.time[last - 1] if lengths[person] else since
        gap = torch.tensor([np.log1p(since - newest)], dtype=torch.float32)
        out[person] = model.user.query(stream, gap, told.profile)[0]
    return out, data


def assert_asks_as_the_model_does(place: Path, model: Model, of: Recipe) -> None:
    expected, _ = asked(place, model, of, LATER)
    with Engine.open(place) as engine:
        engine.wait_for_items()
        people = [number for number in range(len(expected)) if engine.parts.log.person(number) == number]
        queries = [Query(user=engine.parts.log.people.name(number), time=LATER) for number in people]
        found = engine.parts.vectors_of(people, queries)
    np.testing.assert_allclose(found, expected[people], **CLOSE)


def lives(seed: int) -> list[Event]:
    """Long histories in disorder: bursts, pauses, late events, values, words, joined sessions, retractions."""
    draw, events, clock = random.Random(seed), [], NOW - DAY
    for k in range(500):
        clock += draw.choice((0.0, 1.0, 30.0, 5000.0))
        late = draw.choice((0.0, 0.0, 0.0, 20.0, 290.0, 310.0))
        user = draw.choice(("u1", "u2", "u3", "session"))
        value = draw.choice((None, 1.0, 2.5, -3.0))
        action = draw.choice(("click", "buy", "dislike"))
        events.append(click(user, f"i{draw.randrange(22)}", clock - late, action=action, value=value, id=f"l{k}"))
    events.insert(300, Event(kind="alias", session="session", user="u2", time=clock))
    events.append(Event(kind="retraction", target="l20", time=clock))
    events.append(Event(user="u4", action="search", words="a search", time=clock))
    return [*PROFILES[:5], *events]


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("changed", [{}, {"values": False, "since": False, "blocks": 3}, {"decay": "fixed",
                         "fields": False, "blocks": 1}], ids=["all", "neither time nor values", "fixed"])  # fmt: skip
def test_the_engine_asks_as_the_model_does(seed: int, changed: dict[str, object], tmp_path: Path) -> None:
    place = folder(tmp_path / "data", lives(seed))
    _, model = published(place, **changed)
    assert_asks_as_the_model_does(place, model, recipe(**changed))


def test_nobody_asks_with_the_beginning(world: Path, made: tuple[Path, Model]) -> None:
    """One who is not known at all, one who is known by a profile alone: as the model's first prediction."""
    with Engine.open(world) as engine:
        found = engine.parts.vectors_of([-1], [Query(time=LATER)])[0]
    model = made[1]
    beginning = (torch.zeros(1, 1, 16), torch.full((1, 1), 17), torch.full((1, 1), torch.nan), torch.zeros(1, 1))
    with torch.no_grad():
        stream = model.user.scan(Events(*beginning))[0]
        expected = model.user.query(stream, torch.zeros(1), torch.zeros(1, 1, dtype=torch.int64))[0]
    np.testing.assert_allclose(found, expected.numpy(), **CLOSE)


def test_a_score_is_the_product_of_both_and_the_bias(world: Path, made: tuple[Path, Model]) -> None:
    with Engine.open(world) as engine:
        slate = ask(engine, "u1", time=LATER)
        person = engine.parts.log.people.get("u1")
        vector = engine.parts.vectors_of([person], [Query(user="u1", time=LATER)])[0]
        for candidate in slate.items:
            own = engine.parts.index.vector[engine.parts.log.items.get(candidate.item)]
            assert candidate.features["learned"] == pytest.approx(float(own @ vector), rel=1e-4, abs=1e-4)
            assert candidate.score == pytest.approx(candidate.features["learned"], rel=1e-5)
        assert vector[-1] == pytest.approx(1.0)


def test_an_action_that_was_named_after_the_training_is_read_as_the_first(tmp_path: Path) -> None:
    place = folder(tmp_path / "data", chain_events(people=5))
    path, _ = published(place)
    named = len(read_manifest(path).actions)
    (place / "penchant.toml").write_text(
        'encoder = "none"\n[actions.click]\nweight = 1.0\n[actions.praise]\nweight = 1.0\n', encoding="utf-8"
    )
    with Engine.open(place) as engine:
        assert engine.parts.log.actions.get("praise") == named  # the number of the beginning, in the graphs
        engine.ingest([click("ann", "i1"), click("bob", "i1", action="praise")])
        engine.ingest([click("ann", "i2", NOW + 9), click("bob", "i2", NOW + 9, action="praise")])
        np.testing.assert_array_equal(state(engine, "ann"), state(engine, "bob"))
        assert ask(engine, "ann").items[0].score == ask(engine, "bob").items[0].score


# -- states ------------------------------------------------------------------------------------------------------------


def test_published_states_are_what_an_engine_folds_from_the_log(tmp_path: Path) -> None:
    place = folder(tmp_path / "data", lives(3))
    path, _ = published(place)
    found = read_arrays(path / "states.npz")
    assert found is not None
    assert (found["state_fresh"] == 1).all()
    with Engine.open(place) as engine:  # the snapshot is of version 0: the log is replayed
        store = engine.parts.states.store
        engine.wait_for_items()
        engine.parts.states.settle(list(range(store.people)))
        assert found["offset"] == engine.parts.as_of
        for name in ("now", "checkpoint"):
            np.testing.assert_allclose(found[f"state_{name}"], getattr(store, name)[: store.people], **CLOSE)
        for name, array in store.ring._asdict().items():
            np.testing.assert_array_equal(found[f"ring_{name}"], array[: store.people])
        assert store.newest[: store.people].tolist() == found["state_newest"].tolist()


def test_a_state_folds_again_where_an_item_changed_after_the_publication(tmp_path: Path) -> None:
    place = folder(tmp_path / "data", [click("ann", "i1"), click("bob", "i2")])
    published(place, use=False)
    with Engine.open(place) as engine:
        engine.ingest([item("i1", 0.0, -1.0, 0.0, genre="b", year=1990)])  # under version 0
        engine.wait_for_items()
        use_version(place / "versions", "0002")
        assert engine.parts.use_current()
        adopted = {name: state(engine, name) for name in ("ann", "bob")}
        store = engine.parts.states.store
        store.fresh[: store.people] = 0  # folded anew from checkpoint and ring
        for name, found in adopted.items():
            np.testing.assert_allclose(found, state(engine, name), rtol=1e-5, atol=1e-6)


def test_a_joined_session_has_no_state_of_its_own_that_an_erasure_would_leave(tmp_path: Path) -> None:
    lived = [click("session", "i1"), Event(kind="alias", session="session", user="ann", time=NOW), click("ann", "i2")]
    place = folder(tmp_path / "data", lived)
    path, _ = published(place, use=False)
    found = read_arrays(path / "states.npz")
    assert found is not None
    assert found["state_now"].any(1).tolist() == [False, True]
    with Engine.open(place) as engine:
        use_version(place / "versions", path.name)
        assert engine.parts.use_current()
        engine.ingest([Event(kind="erasure", user="ann", time=NOW + 9)])
        assert not engine.parts.states.store.now.any()
        assert not engine.parts.states.store.ring.offset.any()


# -- content alone -----------------------------------------------------------------------------------------------------


def test_a_new_item_stands_on_its_content_and_is_recommended(tmp_path: Path) -> None:
    """A version whose residuals are zero and whose question is known: who is new is judged by what it says."""
    place = folder(tmp_path / "data", chain_events(people=5))
    path, _ = published(place)
    with Engine.open(place) as engine:
        slate = ask(engine, "u1", time=LATER, seen="allow")
        best = slate.items[0].item
        sent = next(event for event in item_events() if event.item == best)
        engine.ingest([Event(kind="item", item="new", fields=sent.fields, vectors=sent.vectors, time=LATER)])
        engine.wait_for_items()
        number = engine.parts.log.items.get("new")
        residual = np.load(path / "residual.npy")
        assert number == len(residual)
        own, twin = engine.parts.index.vector[number], engine.parts.index.vector[engine.parts.log.items.get(best)]
        np.testing.assert_allclose(own, twin - residual[engine.parts.log.items.get(best)], rtol=1e-4, atol=1e-4)
        assert "new" in names(ask(engine, "u1", time=LATER))


# -- with a language model ---------------------------------------------------------------------------------------------

STORIES = ("a quiet film about the sea", "a loud war film", "a comedy about a dog", "a documentary on bread")


@pytest.fixture
def reading(open_reading_engine: OpenEngine, tmp_path: Path) -> Path:
    """A folder that reads English; some people search."""
    engine = open_reading_engine("reading")
    engine.ingest([item(f"i{k}", title=f"{story}, part {k}") for k, story in enumerate(STORIES * 3)])
    engine.wait_for_items()
    engine.ingest([click(f"u{k % 4}", f"i{(k * 5) % 12}", NOW + k, words="so sad" if k % 7 == 0 else None)
                   for k in range(40)])  # fmt: skip
    engine.ingest([Event(user="u1", action="search", words="stormy waves", time=NOW + 99)])
    engine.close()
    return tmp_path / "reading"


def test_a_trained_version_reads_texts_and_a_search_moves_the_state(reading: Path) -> None:
    _, model = published(reading)
    assert_asks_as_the_model_does(reading, model, recipe())
    with Engine.open(reading) as engine:
        engine.ingest([click("ann", "i1"), click("bob", "i1")])
        engine.ingest([Event(user="ann", action="search", words="ships", time=NOW + 5),
                       Event(user="bob", action="search", words="tanks", time=NOW + 5)])  # fmt: skip
        assert np.abs(state(engine, "ann") - state(engine, "bob")).max() > 1e-3
        assert names(engine.search(Query(words="the sea", time=NOW)))


def test_a_version_that_was_trained_without_texts_runs_where_there_are_texts(reading: Path) -> None:
    _, model = published(reading, text=False)
    assert_asks_as_the_model_does(reading, model, recipe(text=False))
    with Engine.open(reading) as engine:
        assert names(engine.search(Query(words="the sea", time=NOW)))


def test_one_text_alone_can_be_learned_from(open_reading_engine: OpenEngine, tmp_path: Path) -> None:
    engine = open_reading_engine("one")
    engine.ingest([item("i0", title="the only text"), item("i1", 1.0), click("ann", "i0"), click("ann", "i1", NOW + 1)])
    engine.wait_for_items()
    engine.close()
    published(tmp_path / "one")
    with Engine.open(tmp_path / "one") as engine:
        assert all(np.isfinite(one.score) for one in ask(engine, "bob").items)


def test_publishing_again_gives_the_next_number(tmp_path: Path) -> None:
    place = folder(tmp_path / "data", chain_events(people=3))
    with Source(place) as source:
        model = shaken(source, recipe())
        paths = [publish(place / "versions", source, model, recipe(), epochs=1, metrics={"hr10": 0.5}) for _ in "ab"]
    assert [path.name for path in paths] == ["0002", "0003"]
    assert "hr10: 0.5000" in (paths[1] / "card.md").read_text(encoding="utf-8")
