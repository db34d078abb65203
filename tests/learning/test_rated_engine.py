"""Ratings from a real engine with a published version: what was fitted is what is answered, however it was lived."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from penchant import Event, Query
from penchant.engine import Engine
from penchant.kernels import RING
from penchant.learning import ratings as ratings_of
from penchant.learning.publish import publish
from penchant.learning.ratings import RatingRecipe
from penchant.learning.recipe import derive
from penchant.learning.source import Source
from penchant.models import versions
from penchant.models.rating import SIZE, RatingModel
from penchant.storage.state_store import MAX_STATE_BYTES, StateStore
from tests.conftest import NOW, circle, click, crash_image, item

ITEMS = [f"i{k}" for k in range(12)]
PEOPLE = [f"p{k}" for k in range(10)]
Stars = Mapping[str, float]


def rate(user: str, item: str, stars: float, time: float = NOW, **more: object) -> Event:
    return Event(user=user, action="rate", item=item, value=stars, time=time, **more)  # type: ignore[arg-type]


def before() -> list[Event]:
    """Everybody rates seven of twelve items, and clicks now and then; nobody rates i11."""
    random = np.random.default_rng(0)
    events = []
    for user in PEOPLE:
        for place, k in enumerate(random.permutation(11)[:7].tolist()):
            events.append(rate(user, f"i{k}", float(random.integers(1, 6)), NOW - 5000 + place))
        events.append(click(user, f"i{random.integers(11)}", NOW - 4000))
        events.append(click(user, f"i{random.integers(11)}", NOW - 3999, value=100.0))  # no rating: what was paid
    return events


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with events and a published version that is in use: an untrained small model, and fitted ratings."""
    folder = tmp_path_factory.mktemp("rated") / "base"
    with Engine.open(folder, encoder="none") as engine:
        engine.ingest(circle(12))
        engine.wait_for_items()
        engine.ingest(before())
    (folder / "penchant.toml").write_text('encoder = "none"\n', encoding="utf-8")
    recipe = derive("small")
    with Source(folder) as source:
        known = ratings_of.of_histories(source.histories, source.rating_actions)
        assert len(known.values) == 70
        fitted = ratings_of.fit(
            known, source.items, source.rating_actions, RatingRecipe(epochs=30, people=4, penalty=0.1)
        )
        path = publish(folder / "versions", source, source.model(recipe), recipe, epochs=0, metrics={}, rating=fitted)
    versions.use_version(folder / "versions", path.name)
    return folder


@pytest.fixture
def opened(base: Path, tmp_path: Path) -> Iterator[Callable[..., Engine]]:
    """Opens copies of that folder by name, or what stands there already."""
    engines: list[Engine] = []

    def open_(name: str = "data") -> Engine:
        if not (tmp_path / name).exists():
            shutil.copytree(base, tmp_path / name)
        engines.append(Engine.open(tmp_path / name))
        engines[-1].wait_for_items()
        return engines[-1]

    yield open_
    for engine in engines:
        engine.close()


def ratings(engine: Engine, user: str | None, items: list[str] = ITEMS) -> dict[str, float]:
    slate = engine.rank(items, Query(user=user, time=NOW + 60))
    assert all(one.rating is not None for one in slate.items)
    return {one.item: one.rating or 0.0 for one in slate.items}


def model(engine: Engine) -> RatingModel:
    assert engine.parts.version.rating is not None
    return engine.parts.version.rating


def folded(engine: Engine, given: list[Event], items: list[str] = ITEMS) -> dict[str, float]:
    """What the model says of a person who gave these ratings, without an engine: only numbers of items are its."""
    number, fitted = engine.parts.log.items.get, model(engine)
    rated = np.array([number(event.item or "") for event in given], np.int64)
    sums = fitted.contribution(rated, np.array([event.value for event in given], np.float32)).sum(0)
    said = fitted.predict(fitted.read(sums[None])[0], np.array([number(name) for name in items]))
    return dict(zip(items, said.tolist(), strict=True))


def given_by(user: str) -> list[Event]:
    return [event for event in before() if event.user == user and event.action == "rate"]


def close(expected: Stars) -> object:
    return pytest.approx(expected, abs=1e-4)


# -- what is answered --------------------------------------------------------------------------------------------------


def test_the_engine_says_what_the_fold_of_a_persons_ratings_says(opened: Callable[..., Engine]) -> None:
    engine = opened()
    everybody = [ratings(engine, user) for user in PEOPLE]
    assert everybody == [close(folded(engine, given_by(user))) for user in PEOPLE]
    assert max(abs(everybody[0][name] - everybody[1][name]) for name in ITEMS) > 0.05


def test_the_next_answer_knows_the_rating_that_was_just_sent(opened: Callable[..., Engine]) -> None:
    engine, given = opened(), given_by("p0")
    for k, stars in enumerate((5.0, 1.0, 4.5)):
        sent = rate("p0", f"i{k}", stars, NOW + k)
        before_it = ratings(engine, "p0")
        engine.ingest([sent])
        given.append(sent)
        assert ratings(engine, "p0") == close(folded(engine, given))
        assert ratings(engine, "p0") != close(before_it)


def test_clicks_and_what_was_paid_are_no_ratings(opened: Callable[..., Engine]) -> None:
    engine = opened()
    said = ratings(engine, "p0")
    engine.ingest([click("p0", "i1"), click("p0", "i2", value=99.0), Event(user="p0", action="rate", item="i3")])
    assert ratings(engine, "p0") == close(said)


def test_somebody_of_whom_nothing_is_known_is_the_average_person(opened: Callable[..., Engine]) -> None:
    engine = opened()
    average = folded(engine, [])
    assert ratings(engine, None) == ratings(engine, "stranger") == close(average)
    engine.ingest([click("clicks only", "i1")])
    assert ratings(engine, "clicks only") == close(average)


def test_an_item_that_nobody_rated_or_that_came_later_gets_the_persons_average(opened: Callable[..., Engine]) -> None:
    engine = opened()
    engine.ingest([item("new", 0.1, 0.9), rate("p0", "new", 5.0)])
    said = ratings(engine, "p0", ["i11", "new"])
    assert said["i11"] == pytest.approx(said["new"], abs=1e-6)
    sums = engine.parts.states.store.sums[engine.parts.log.people.get("p0")]
    read = model(engine).read(sums[None])[0]
    assert said["new"] == pytest.approx(float(model(engine).mean[0] + read[-1]), abs=1e-4)
    assert ratings(engine, "p0") == close(folded(engine, [*given_by("p0"), rate("p0", "new", 5.0)]))


def test_lists_hold_ratings_and_searches_and_similar_items_do_not(opened: Callable[..., Engine]) -> None:
    engine = opened()
    listed = engine.recommend(Query(user="p0", time=NOW + 60, seen="allow")).items
    said = ratings(engine, "p0")
    assert listed
    assert {one.item: one.rating for one in listed} == close({one.item: said[one.item] for one in listed})
    for slate in (engine.similar("i3"), engine.search(Query(user="p0", words="item", time=NOW))):
        assert slate.items
        assert {one.rating for one in slate.items} == {None}


# -- however it was lived ----------------------------------------------------------------------------------------------


def test_it_does_not_matter_how_ratings_are_batched_and_how_many_there_are(opened: Callable[..., Engine]) -> None:
    sent = [rate("ann", f"i{k % 11}", 1.0 + k % 5, NOW + k) for k in range(2 * RING)]
    engine, other = opened("one by one"), opened("at once")
    for event in sent:
        engine.ingest([event])
    other.ingest(sent)
    for one in (engine, other):
        assert ratings(one, "ann") == close(folded(one, sent))


def test_a_late_rating_counts_where_its_event_is_put_in_its_place(opened: Callable[..., Engine]) -> None:
    engine = opened()
    sent = [rate("ann", "i0", 5.0, NOW), rate("ann", "i1", 1.0, NOW - 200)]
    assert engine.ingest(sent).late == []
    assert ratings(engine, "ann") == close(folded(engine, sent))
    engine.ingest([rate("ann", "i2", 1.0, NOW - 9999)])  # too late for the state, and for the training
    assert ratings(engine, "ann") == close(folded(engine, sent))


def test_a_retracted_rating_is_as_if_never_sent(opened: Callable[..., Engine]) -> None:
    engine = opened()
    said = ratings(engine, "p0")
    engine.ingest([rate("p0", "i2", 1.0, id="a slip"), rate("p0", "i3", 5.0, NOW + 1, id="kept")])
    assert ratings(engine, "p0") != close(said)
    engine.ingest([Event(kind="retraction", target="a slip", time=NOW + 2)])
    assert ratings(engine, "p0") == close(folded(engine, [*given_by("p0"), rate("p0", "i3", 5.0)]))
    engine.ingest([Event(kind="retraction", target="kept", time=NOW + 3)])
    assert ratings(engine, "p0") == close(said)


def test_a_sessions_ratings_become_the_persons(opened: Callable[..., Engine]) -> None:
    engine = opened()
    engine.ingest([rate("session", "i2", 1.0), rate("session", "i3", 5.0, NOW + 1)])
    engine.ingest([Event(kind="alias", session="session", user="p0", time=NOW + 2)])
    joined = folded(engine, [*given_by("p0"), rate("p0", "i2", 1.0), rate("p0", "i3", 5.0)])
    assert ratings(engine, "p0") == close(joined)
    assert ratings(engine, "session") == close(joined)


def test_an_erased_person_leaves_no_sums(opened: Callable[..., Engine]) -> None:
    engine = opened()
    number = engine.parts.log.people.get("p0")
    assert engine.parts.states.store.sums[number].any()
    others = ratings(engine, "p1")
    engine.ingest([Event(kind="erasure", user="p0", time=NOW)])
    assert not engine.parts.states.store.sums[number].any()
    assert ratings(engine, "p0") == close(folded(engine, []))
    assert ratings(engine, "p1") == others
    engine.ingest([rate("p0", "i2", 1.0, NOW + 1)])  # comes back, and is somebody new
    assert ratings(engine, "p0") == close(folded(engine, [rate("p0", "i2", 1.0)]))


# -- the life of a folder ----------------------------------------------------------------------------------------------


def live(engine: Engine) -> None:
    engine.ingest([rate("p0", "i2", 1.0, id="a slip"), rate("p1", "i3", 5.0), rate("ann", "i4", 4.0)])
    engine.ingest([Event(kind="retraction", target="a slip", time=NOW), rate("ann", "i5", 2.0, NOW + 1)])


def portrait(engine: Engine) -> list[object]:
    return [close(ratings(engine, user)) for user in ("p0", "p1", "p2", "ann")]


def test_rebuilding_equals_living_it(opened: Callable[..., Engine]) -> None:
    engine = opened()
    live(engine)
    lived = portrait(engine)
    engine.rebuild()
    engine.wait_for_items()
    assert [ratings(engine, user) for user in ("p0", "p1", "p2", "ann")] == lived


@pytest.mark.parametrize("how", ["closed", "killed", "killed after a snapshot"])
def test_a_folder_opened_again_says_the_same(opened: Callable[..., Engine], tmp_path: Path, how: str) -> None:
    engine = opened()
    live(engine)
    lived = portrait(engine)
    if "snapshot" in how:
        engine.snapshot()
    engine.ingest([rate("p2", "i1", 3.0), rate("p2", "i5", 1.0)])
    lived[2] = close(ratings(engine, "p2"))
    if how == "closed":
        engine.close()
        again = opened()
        assert again.snapshots.since == 0
    else:
        crash_image(tmp_path / "data", tmp_path / "image")
        again = opened("image")
    assert [ratings(again, user) for user in ("p0", "p1", "p2", "ann")] == lived


def test_a_version_taken_up_while_running_knows_everybodys_ratings(base: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(base, tmp_path / "running")
    versions_of = folder / "versions"
    name = (versions_of / "current").read_text(encoding="utf-8").split()[-1]
    versions.use_version(versions_of, versions.published(versions_of)[0].name)
    with Engine.open(folder) as engine:
        engine.wait_for_items()
        assert engine.parts.version.rating is None
        sent = rate("p0", "i2", 1.0)  # lived under another version
        engine.ingest([sent])
        versions.use_version(versions_of, name)
        assert engine.parts.use_current()
        assert ratings(engine, "p0") == close(folded(engine, [*given_by("p0"), sent]))
        assert ratings(engine, "p1") == close(folded(engine, given_by("p1")))


def test_a_state_with_sums_is_at_most_4096_bytes(opened: Callable[..., Engine]) -> None:
    medium = derive("medium")
    store = StateStore(medium.blocks * medium.state, SIZE)
    store.ensure(1)
    assert store.sums.shape[1] == SIZE
    assert store.bytes_per_person() <= MAX_STATE_BYTES
    assert opened().parts.states.store.bytes_per_person() <= MAX_STATE_BYTES
