"""The laws: what holds whatever is sent, in whatever order, and whenever the process dies.

A world here is a handful of people and items whose events hypothesis draws; two engines are compared by what they give
out (`portrait`): states, counts and lists, by name, since two engines may number the same people differently.

Two laws need a model's inside and stand where it is at hand: scan equals fold equals step, of trained versions, in
tests/models/torch and tests/learning/test_publish.py; no test data touches training or selection, in
tests/learning/test_train.py.
"""

from __future__ import annotations

import importlib
import itertools
import math
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from benchmarks.kill import ingest_until_killed
from benchmarks.removing import compared, right
from penchant import Condition, Event, Query
from penchant.config import default_weights
from penchant.engine import Engine
from penchant.explaining import LAST
from penchant.kernels import AUDIENCE, MOVE, RING
from penchant.models.cold_start import DIM, publish_version_0
from penchant.models.runtime import Version
from penchant.models.versions import use_version
from penchant.parts import Parts
from penchant.pipeline.filters import meets
from penchant.storage.counts import Counts, Met
from penchant.storage.state_store import read_arrays
from tests.conftest import NOW, OpenEngine, ask, circle, click, crash_image, item, names, temporary_folder

PEOPLE = ("ann", "bob", "cyd")
SESSIONS = ("session-1", "session-2")
ITEMS = tuple(f"i{k}" for k in range(12))
ACTIONS = ("click", "buy", "dislike", "view")
DEVICES = ("tv", "phone")
LATER = NOW + 30  # every list is asked for here, after the last event


# -- what an engine gives out ------------------------------------------------------------------------------------------


class Portrait(NamedTuple):
    """All that an engine answers with, by name."""

    states: dict[str, np.ndarray]
    seen: dict[str, frozenset[str]]
    transitions: dict[str, dict[str, int]]
    neighbours: dict[str, dict[str, int]]
    totals: dict[str, tuple[int, int]]
    popular: dict[str, tuple[float, ...]]
    recent: dict[str, dict[str, float]]
    together: dict[str, dict[str, int]]
    audience: dict[str, dict[str, float]]
    lists: dict[str, dict[str, float]]
    ratings: dict[str, dict[str, float]]
    sent: dict[str, str]
    profiles: dict[str, str]


def portrait(engine: Engine, people: Iterable[str] = (*PEOPLE, *SESSIONS), items: Sequence[str] = ITEMS) -> Portrait:
    settled(engine)
    parts, people = engine.parts, list(people)
    counts, log = parts.counts, parts.log
    numbers = {name: number for name in items if (number := log.items.get(name)) >= 0}
    counts.ensure(0, len(log.items))
    persons = {name: person for name in people if (person := log.person(log.people.get(name))) >= 0}

    def row(rows: Any, number: int, column: str = "counts") -> dict[str, Any]:
        cells = slice(rows.start[number], rows.start[number] + rows.size[number])
        values = getattr(rows, column)[cells].tolist()
        return {log.items.name(i): value for i, value in zip(rows.ids[cells].tolist(), values, strict=True)}

    def lately(number: int) -> dict[str, float]:
        found = row(counts.transitions, number, "extra")
        return {name: weight * counts.decay(LATER) for name, weight in found.items()}

    return Portrait(
        states={name: state(engine, name) for name in people},
        seen={
            name: frozenset(log.items.name(i) for i in counts.seen_by(persons.get(name, -1)).tolist())
            for name in people
        },
        transitions={name: row(counts.transitions, number) for name, number in numbers.items()},
        neighbours={name: row(counts.neighbours, number) for name, number in numbers.items()},
        totals={name: (int(counts.totals[k]), int(counts.outgoing[k])) for name, k in numbers.items()},
        popular={name: popularity(counts, k) for name, k in numbers.items()},
        recent={name: lately(number) for name, number in numbers.items()},
        together={name: row(counts.neighbours, number, "extra") for name, number in numbers.items()},
        audience={name: audience(parts, number) for name, number in numbers.items()},
        lists={name: scores(engine, name) for name in (*people, "nobody")},
        ratings={name: foretold(engine, name, numbers) for name in (*people, "nobody")},
        sent={
            log.items.name(row.item): repr((row.fields, row.text, row.vectors, row.available, row.created))
            for row in parts.catalogue.rows()
        },
        profiles={name: repr(parts.catalogue.profile(person)) for name, person in persons.items()},
    )


def foretold(engine: Engine, name: str, items: Mapping[str, int]) -> dict[str, float]:
    """Ratings that similar people foretell, by item."""
    parts = engine.parts
    person = parts.log.person(parts.log.people.get(name))
    said = parts.counts.ratings.foretell(person, np.array(list(items.values()), np.int64))
    return {} if said is None else dict(zip(items, said.tolist(), strict=True))


def popularity(counts: Counts, number: int) -> tuple[float, ...]:
    """Of an item, in all and in each context."""
    sums = (counts.popular[number], *counts.popular_in[number])
    return tuple(float(one * counts.decay(LATER)) for one in sums)


def audience(parts: Parts, number: int) -> dict[str, float]:
    """The people of an item who are listened to, and when they met it."""
    rows, name = parts.counts.audience, parts.log.people.name
    end = int(rows.start[number] + rows.size[number])
    newest = slice(max(int(rows.start[number]), end - AUDIENCE), end)
    met = zip(rows.ids[newest].tolist(), rows.extra[newest].tolist(), strict=True)
    return {name(person): when for person, when in met}


def settled(engine: Engine) -> None:
    """Nothing runs in the background any more."""
    engine.wait_for_items()
    if engine.parts._rebuilding is not None:
        engine.parts._rebuilding.join()


def state(engine: Engine, name: str) -> np.ndarray:
    """A person's state at use; of nobody, zeros."""
    parts = engine.parts
    person = parts.log.person(parts.log.people.get(name))
    if not 0 <= person < parts.states.store.people:
        return np.zeros(parts.states.store.size, np.float32)
    parts.states.settle([person])
    return parts.states.store.now[person].copy()


def scores(engine: Engine, name: str) -> dict[str, float]:
    return {c.item: c.score for c in ask(engine, name, time=LATER).items}


def assert_same(one: Portrait, other: Portrait) -> None:
    assert one.seen == other.seen
    assert one.totals == other.totals
    assert one.transitions == other.transitions
    assert one.neighbours == other.neighbours
    assert one.together == other.together
    assert one.audience == other.audience
    assert one.sent == other.sent  # to the order of fields, which a text follows
    assert one.profiles == other.profiles
    for name, popular in other.popular.items():
        assert one.popular[name] == pytest.approx(popular, rel=1e-9, abs=1e-9), name
    for name, expected in other.recent.items():
        assert one.recent[name] == pytest.approx(expected, rel=1e-9, abs=1e-9), name
    for name, ratings in other.ratings.items():
        assert one.ratings[name] == pytest.approx(ratings, rel=1e-9, abs=1e-9), name
    for name, expected in other.states.items():
        np.testing.assert_allclose(one.states[name], expected, atol=1e-4, err_msg=name)
    for name, expected in other.lists.items():
        assert one.lists[name] == pytest.approx(expected, abs=1e-4), name


# -- worlds ------------------------------------------------------------------------------------------------------------


def angle(name: str, turn: int = 0) -> Event:
    """An item on the circle; sent again with another turn, it stands elsewhere."""
    at = math.tau * (ITEMS.index(name) / len(ITEMS) + turn / 7)
    return item(name, math.cos(at), math.sin(at), turn / 7, title=f"title {turn} of {name}", turn=turn)


@st.composite
def histories(draw: st.DrawFn, *, most: int = 24) -> list[Event]:
    """Events in the order they arrive: late, doubled, of items that are not sent yet, about other events, in bursts."""
    events: list[Event] = [angle(name) for name in draw(st.sets(st.sampled_from(ITEMS), max_size=8))]
    interactions: list[Event] = []
    clock = NOW - 20_000
    for _ in range(draw(st.integers(3, most))):
        clock += draw(st.sampled_from((1, 20, 200)))
        person = draw(st.sampled_from((*PEOPLE, *SESSIONS)))
        kind = draw(st.sampled_from(_KINDS))
        if kind == "burst":
            first, step = draw(st.integers(0, 11)), draw(st.sampled_from((1, 5)))
            new = [
                click(
                    person, ITEMS[(first + step * k) % 12], clock + k, action=ACTIONS[k % 4], id=f"e{len(events)}-{k}"
                )
                for k in range(draw(st.integers(20, 80)))
            ]
            clock += len(new)
        else:
            new = [draw(_event(kind, person, clock, interactions, f"e{len(events)}"))]
        interactions += [event for event in new if event.kind == "interaction"]
        events += new
    return events


_KINDS = (*("click",) * 6, *("rate",) * 3, "words", "both", "burst", "item", "edit", "patch", "patch", "remove",
          "double", "retraction", "alias", "erasure", "user", "user patch", "impression")  # fmt: skip
PATCHES = st.dictionaries(
    st.sampled_from(("title", "turn", "more")),
    st.sampled_from((None, "words", 7, {"a": 1}, {"a": None, "b": {"c": 2}})),
    max_size=3,
)


@st.composite
def _event(draw: st.DrawFn, kind: str, person: str, clock: float, before: list[Event], new_id: str) -> Event:
    name = draw(st.sampled_from(ITEMS))
    time = clock - draw(st.sampled_from((0, 0, 0, 30, 299, 301, 5000)))
    action = draw(st.sampled_from(ACTIONS))
    if kind == "words":
        return Event(user=person, action="search", words=f"words of {person}", time=time, id=new_id)
    if kind == "rate":
        return click(person, name, time, action="rate", value=float(draw(st.integers(1, 5))), id=new_id)
    if kind == "both":
        return click(
            person, name, time, words="a comment", context={"device": draw(st.sampled_from(DEVICES))}, id=new_id
        )
    if kind in ("item", "edit"):
        return angle(name, draw(st.integers(0, 3)))
    if kind == "patch":
        moved = {"v": [1.0, 0.0, 0.5]} if draw(st.booleans()) else {}
        return Event(kind="item", item=name, patch=True, fields=draw(PATCHES), vectors=moved,
                     available=draw(st.sampled_from((None, True, False))), time=clock)  # fmt: skip
    if kind == "remove":
        return Event(kind="item", item=name, removed=True, time=clock)
    if kind == "double" and before:
        return draw(st.sampled_from(before))
    if kind == "retraction" and before:
        return Event(kind="retraction", target=draw(st.sampled_from(before)).id, time=clock, id=new_id)
    if kind == "alias":
        return Event(kind="alias", session=draw(st.sampled_from(SESSIONS)), user=draw(st.sampled_from(PEOPLE)),
                     time=clock, id=new_id)  # fmt: skip
    if kind == "erasure":
        return Event(kind="erasure", user=person, time=clock, id=new_id)
    if kind == "user":
        return Event(kind="user", user=person, fields={"city": "Aachen"}, time=clock, id=new_id)
    if kind == "user patch":
        return Event(kind="user", user=person, patch=True, fields=draw(PATCHES), time=clock, id=new_id)
    if kind == "impression":
        return Event(kind="impression", user=person, slate=[name], time=clock, id=new_id)
    return click(person, name, time, action=action, id=new_id)


def batches(events: Sequence[Event], sizes: Sequence[int]) -> Iterator[list[Event]]:
    start = turn = 0
    while start < len(events):
        size = sizes[turn % len(sizes)]
        yield list(events[start : start + size])
        start, turn = start + size, turn + 1


def opened(folder: Path, **flags: Any) -> Engine:
    return Engine.open(folder, **({"encoder": "none", "contexts": {"device": list(DEVICES)}} | flags))


# -- scan equals fold equals step --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def version(tmp_path_factory: pytest.TempPathFactory) -> Version:
    actions = {"click": 1.0, "buy": 1.5, "dislike": -0.5, "never": 0.0}
    return Version(publish_version_0(tmp_path_factory.mktemp("versions"), ("none", "none", 1), actions, None, NOW))


@given(seed=st.integers(0, 2**32 - 1), cuts=st.lists(st.integers(0, 70), max_size=4), people=st.integers(1, 5))
@settings(max_examples=60)
def test_fold_equals_step_however_the_events_are_split(
    version: Version, seed: int, cuts: list[int], people: int
) -> None:
    draw, events = np.random.default_rng(seed), 70
    x = draw.standard_normal((people, events, DIM)).astype(np.float32)
    action = draw.integers(0, 4, (people, events))
    value, gap = draw.random((2, people, events)).astype(np.float32)
    mask = (draw.random((people, events)) < 0.8).astype(np.float32)
    stepped = folded = draw.standard_normal((people, 2 * DIM)).astype(np.float32)
    for k in range(events):
        after = version.step(stepped, x[:, k], action[:, k], value[:, k], gap[:, k])
        stepped = np.where(mask[:, k, None] == 1, after, stepped)
    edges = sorted({0, *cuts, events})
    for start, end in itertools.pairwise(edges):
        part = (array[:, start:end] for array in (x, action, value, gap, mask))
        folded = version.fold(folded, *part)
    np.testing.assert_allclose(folded, stepped, rtol=1e-4, atol=1e-4)


@given(sizes=st.lists(st.integers(1, 90), min_size=1, max_size=5), events=st.integers(1, 3 * RING + MOVE))
@settings(max_examples=20)
def test_a_state_of_checkpoint_and_ring_equals_the_fold_of_the_whole_history(sizes: list[int], events: int) -> None:
    with temporary_folder() as folder, opened(folder) as engine:
        engine.ingest([angle(name) for name in ITEMS])
        engine.wait_for_items()
        lived = [click("ann", ITEMS[(k * k) % 12], NOW - 9000 + k, action=ACTIONS[k % 4]) for k in range(events)]
        for batch in batches(lived, sizes):
            engine.ingest(batch)
        parts = engine.parts
        whole = parts.version.fold(
            np.zeros((1, 2 * DIM), np.float32),
            parts.index.vector[[parts.log.items.get(event.item or "") for event in lived]][None],
            np.array([[parts.log.actions.get(event.action or "") for event in lived]]),
            *np.zeros((2, 1, events), np.float32),
            np.ones((1, events), np.float32),
        )
        np.testing.assert_allclose(state(engine, "ann"), whole[0], atol=1e-4)
        assert parts.states.store.ring.length[0] < RING


# -- rebuilding from the log equals living it --------------------------------------------------------------------------


@given(
    events=histories(), sizes=st.lists(st.integers(1, 30), min_size=1, max_size=4), neighbours=st.sampled_from((256, 8))
)
@settings(max_examples=60)
def test_rebuilding_from_the_log_equals_living_it(events: list[Event], sizes: list[int], neighbours: int) -> None:
    with temporary_folder() as folder:
        with opened(folder / "lived", neighbours=neighbours) as engine:
            for batch in batches(events, sizes):
                engine.ingest(batch)
            lived = portrait(engine)
            engine.rebuild()
            assert_same(portrait(engine), lived)
        with opened(folder / "lived", neighbours=neighbours) as engine:
            assert_same(portrait(engine), lived)
        (folder / "log").mkdir()
        (folder / "lived" / "events.db").rename(folder / "log" / "events.db")
        with opened(folder / "log", neighbours=neighbours) as engine:
            assert_same(portrait(engine), lived)


@given(
    events=histories(),
    sizes=st.lists(st.integers(1, 12), min_size=1, max_size=4),
    ends=st.lists(
        st.tuples(st.integers(0, 10), st.sampled_from(("close", "kill", "kill before apply", "snapshot"))), max_size=4
    ),
)
@settings(max_examples=60)
def test_a_life_with_closings_and_kills_equals_one_without(
    events: list[Event], sizes: list[int], ends: list[tuple[int, str]]
) -> None:
    with temporary_folder() as folder:
        with opened(folder / "twin") as twin:
            for event in events:
                twin.ingest([event])
                twin.wait_for_items()
            expected = portrait(twin)
        engine, place = opened(folder / "life-0"), folder / "life-0"
        for turn, batch in enumerate(batches(events, sizes)):
            end = next((end for at, end in ends if at == turn), "")
            if end == "kill before apply":
                engine.write([engine.accept(batch)])
            else:
                engine.ingest(batch)
            if end == "snapshot":
                engine.snapshot()
            elif end == "close":
                engine.close()
                engine = opened(place)
            elif end:
                place = crash_image(place, folder / f"life-{turn + 1}")
                engine.close()
                engine = opened(place)
        with engine:
            assert_same(portrait(engine), expected)


def test_rebuilding_leaves_the_catalogue_without_what_the_log_does_not_hold(open_engine: OpenEngine) -> None:
    engine = open_engine()
    engine.ingest([angle("i0"), angle("i1"), Event(kind="item", item="i1", removed=True, time=NOW)])
    engine.parts.catalogue.put_profile(7, {"left": "over"}, 1)
    engine.rebuild()
    assert engine.parts.catalogue.profile(7) == {}
    assert [engine.parts.log.items.name(row.item) for row in engine.parts.catalogue.rows()] == ["i0"]


# -- under a trained version, too --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def learned() -> Any:
    """Worlds to learn from; they need torch."""
    pytest.importorskip("torch.nn")
    return importlib.import_module("tests.learning.worlds")


def kept_closed(folder: Path) -> Path:
    """A folder that a training can read: its settings are in its file."""
    folder.mkdir()
    (folder / "penchant.toml").write_text('encoder = "none"\n', encoding="utf-8")
    return folder


def told_before(events: Sequence[Event]) -> list[Event]:
    """What happened before a training, all items known from the start and unchanged.

    A training reads whole histories, and publishes states, with the catalogue of its day; replaying the log folds what
    moved into a checkpoint with the items of that day. Both are one where no item changed, came or went in between.
    """
    first = [*map(angle, ITEMS), *(click("zoe", name, NOW - 50_000) for name in ITEMS[:6])]
    return [*first, *(event for event in events if event.kind != "item")]


@given(before=histories(most=12), after=histories(most=12), sizes=st.lists(st.integers(1, 30), min_size=1, max_size=4))
@settings(max_examples=8)
def test_rebuilding_under_a_trained_version_equals_living_it(
    learned: Any, before: list[Event], after: list[Event], sizes: list[int]
) -> None:
    before = told_before(before)
    after = [renamed(event) for event in after]
    with temporary_folder() as scratch:
        folder = kept_closed(scratch / "lived")
        with opened(folder) as engine:
            for batch in batches(before, sizes):
                engine.ingest(batch)
        learned.published(folder, use=False)
        with opened(folder) as engine:
            assert not engine.parts.version.trained
            engine.ingest(after[:3])  # what came while the training ran
            use_version(folder / "versions", "0002")
            assert engine.parts.use_current()
            for batch in batches(after[3:], sizes):
                engine.ingest(batch)
            lived = portrait(engine)
            assert any(one.any() for one in lived.states.values())
            engine.rebuild()
            assert_close(portrait(engine), lived)
        with opened(folder) as engine:
            assert engine.parts.version.trained
            assert_close(portrait(engine), lived)


@given(events=histories(), sizes=st.lists(st.integers(1, 30), min_size=1, max_size=4))
@settings(max_examples=8)
def test_published_states_are_what_an_engine_folds_from_the_log(
    learned: Any, events: list[Event], sizes: list[int]
) -> None:
    with temporary_folder() as scratch:
        folder = kept_closed(scratch / "lived")
        with opened(folder) as engine:
            for batch in batches(told_before(events), sizes):
                engine.ingest(batch)
        version, _ = learned.published(folder)
        found = read_arrays(version / "states.npz")
        assert found is not None
        with opened(folder) as engine:
            assert engine.parts.version.path == version
            settled(engine)
            store = engine.parts.states.store
            engine.parts.states.settle(list(range(store.people)))
            assert found["offset"] == engine.parts.as_of
            for name in ("now", "checkpoint", "newest"):
                folded = getattr(store, name)[: store.people]
                np.testing.assert_allclose(found[f"state_{name}"][: store.people], folded, rtol=1e-3, atol=1e-3)
                assert not found[f"state_{name}"][store.people :].any()
            np.testing.assert_array_equal(found["ring_offset"][: store.people], store.ring.offset[: store.people])


def renamed(event: Event) -> Event:
    """Histories are drawn apart: the ids of one must not be those of the other."""
    target = f"after-{event.target}" if event.target else None
    return structs.replace(event, id=f"after-{event.id}" if event.id else None, target=target,
                           time=(event.time or 0.0) + 30_000)  # fmt: skip


def assert_close(one: Portrait, other: Portrait) -> None:
    """As `assert_same`; states and scores of random weights are larger than those of version 0."""
    assert_same(one._replace(states={}, lists={}), other._replace(states={}, lists={}))
    for name, expected in other.states.items():
        np.testing.assert_allclose(one.states[name], expected, rtol=1e-3, atol=1e-3, err_msg=name)
    for name, scores_of in other.lists.items():
        assert one.lists[name] == pytest.approx(scores_of, rel=1e-3, abs=5e-3), name


# -- the same event twice changes nothing ------------------------------------------------------------------------------


@given(events=histories(most=14), sizes=st.lists(st.integers(1, 30), min_size=1, max_size=3))
@settings(max_examples=25)
def test_the_same_events_twice_change_nothing(events: list[Event], sizes: list[int]) -> None:
    events = [event for event in events if event.kind == "interaction"]
    with temporary_folder() as folder:
        with opened(folder) as engine:
            engine.ingest([angle(name) for name in ITEMS])
            for batch in batches(events, sizes):
                engine.ingest(batch)
            once = portrait(engine)
            again = engine.ingest(events)
            assert (again.accepted, len(again.duplicates)) == (0, len(events))
            assert_same(portrait(engine), once)
        with opened(folder) as engine:
            again = engine.ingest(events)
            assert (again.accepted, len(again.duplicates)) == (0, len(events))
            assert_same(portrait(engine), once)


def test_an_event_twice_in_one_batch_is_taken_once(engine: Engine) -> None:
    receipt = engine.ingest([click("ann", "i0", id="once"), click("ann", "i1", id="once")])
    assert (receipt.accepted, receipt.ids, receipt.duplicates) == (1, ["once"], ["once"])
    assert engine.parts.counts.totals[:2].tolist() == [1, 0]


def imported(engine: Engine, rows: Sequence[Event], *, upto: int = 10**9, batch: int = 10) -> int:
    """Import rows of a file as an importer does: from where it stopped, remembering how far it came."""
    start = engine.parts.log.rows_imported(b"hash of the file")
    for first in range(start, min(upto, len(rows)), batch):
        engine.ingest(rows[first : first + batch], source=(b"hash of the file", min(first + batch, len(rows))))
    return start


def test_importing_the_same_file_twice_changes_nothing(open_engine: OpenEngine) -> None:
    rows = [click(f"p{k % 5}", ITEMS[k % 12], NOW - 1000 + k, id=f"row{k}") for k in range(45)]
    engine = open_engine()
    assert imported(engine, rows) == 0
    once = portrait(engine, [f"p{k}" for k in range(5)])
    assert imported(engine, rows) == 45
    engine.close()
    engine = open_engine()
    assert imported(engine, rows) == 45
    assert_same(portrait(engine, [f"p{k}" for k in range(5)]), once)


def test_an_interrupted_import_resumes_at_its_row(open_engine: OpenEngine) -> None:
    rows = [click("ann", ITEMS[k % 12], NOW - 1000 + k, id=f"row{k}") for k in range(45)]
    whole, halved = open_engine("whole"), open_engine("halved")
    imported(whole, rows)
    imported(halved, rows, upto=20)
    halved.close()
    halved = open_engine("halved")
    assert imported(halved, rows) == 20
    assert halved.parts.log.end == 45
    assert_same(portrait(halved), portrait(whole))


# -- an acknowledged event survives kill -9 ----------------------------------------------------------------------------


def test_an_acknowledged_event_survives_kill_9(tmp_path: Path) -> None:
    chance = random.Random(7461)
    acknowledged: set[str] = set()
    for life in range(10):
        acknowledged |= ingest_until_killed(tmp_path / "data", life, chance.randrange(1, 120))
    with opened(tmp_path / "data") as engine:
        kept = {one.event.id for batch in engine.parts.log.replay() for one in batch}
        assert acknowledged - kept == set()
        assert len(acknowledged) >= 10
        lived = portrait(engine, [f"p{k}" for k in range(7)], [f"i{k}" for k in range(40)])
        engine.rebuild()
        assert_same(portrait(engine, [f"p{k}" for k in range(7)], [f"i{k}" for k in range(40)]), lived)


# -- a list never shows what the filters removed -----------------------------------------------------------------------

FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "genre": st.sampled_from(("comedy", "drama")),
        "tags": st.lists(st.sampled_from(("red", "blue", "1")), max_size=2),
        "year": st.one_of(st.integers(1990, 1999), st.floats(1990, 1999)),
        "adult": st.booleans(),
    },
)
CONDITIONS = st.one_of(
    st.builds(Condition, st.just("genre"), st.sampled_from(("comedy", "western"))),
    st.builds(Condition, st.just("tags"), st.sampled_from(("red", "1"))),
    st.builds(Condition, st.just("year"), st.integers(1990, 1999)),
    st.builds(Condition, st.just("adult"), st.sampled_from((True, 1, "true", "false"))),
    st.builds(
        lambda low, width: Condition("year", low=low, high=low + width), st.integers(1989, 1999), st.integers(0, 5)
    ),
    st.builds(lambda low: Condition("year", low=low), st.integers(1989, 2000)),
)


@given(
    fields=st.lists(FIELDS, min_size=12, max_size=12),
    gone=st.sets(st.sampled_from(ITEMS), max_size=3),
    removed=st.sets(st.sampled_from(ITEMS), max_size=3),
    touched=st.lists(st.tuples(st.sampled_from(ITEMS), st.integers(0, 5000)), max_size=8),
    asked=st.lists(
        st.tuples(
            st.lists(CONDITIONS, max_size=2), st.sampled_from((None, "ever", "allow", 1000.0)), st.integers(1, 15)
        ),
        min_size=1,
        max_size=6,
    ),
)
@settings(max_examples=60)
def test_kept_and_removed_are_what_was_retrieved_and_a_list_shows_only_what_may_be_shown(
    fields: list[dict[str, Any]],
    gone: set[str],
    removed: set[str],
    touched: list[tuple[str, int]],
    asked: list[tuple[list[Condition], Any, int]],
) -> None:
    with temporary_folder() as folder, opened(folder) as engine:
        engine.ingest(
            [
                Event(
                    kind="item",
                    item=name,
                    fields=fields[k],
                    vectors={"v": [1.0, k]},
                    available=name not in gone,
                    time=NOW,
                )
                for k, name in enumerate(ITEMS)
            ]
        )
        engine.ingest([click("ann", name, NOW - age) for name, age in touched])
        engine.ingest([Event(kind="item", item=name, removed=True, time=NOW) for name in sorted(removed)])
        for where, seen, limit in asked:
            hidden = {name for name, age in touched if seen in (None, "ever") or (seen != "allow" and age <= 1000)}
            shown = {
                name
                for k, name in enumerate(ITEMS)
                if name not in gone | removed | hidden and all(meets(condition, fields[k]) for condition in where)
            }
            slate = engine.recommend(
                Query(user="ann", time=NOW, limit=limit, where=tuple(where), seen=seen, explain_removed=True)
            )
            assert slate.removed is not None
            kept = set(names(slate))
            assert len(kept) == min(limit, len(shown))  # narrow conditions still fill the list
            assert kept <= shown
            assert slate.retrieved == len(shown) + len(slate.removed)
            for candidate in slate.removed:
                assert candidate.item not in shown
                assert candidate.removed in ("seen", "unavailable", "condition")


def test_a_narrow_condition_still_fills_the_list_in_a_large_catalogue(engine: Engine) -> None:
    engine.ingest(
        [item(f"i{k}", math.cos(k), math.sin(k), kind="rare" if k % 200 == 7 else "plain") for k in range(4000)]
    )
    engine.wait_for_items()
    engine.ingest([click("ann", f"i{k}", NOW + k) for k in range(5)])
    slate = ask(engine, "ann", limit=20, where="kind=rare")
    assert len(slate.items) == 20
    assert {int(name[1:]) % 200 for name in names(slate)} == {7}


# -- a reason names what moved the score, in the direction and by the amount stated ------------------------------------

DEEDS = st.tuples(
    st.sampled_from(ACTIONS), st.one_of(st.sampled_from(ITEMS), st.none()), st.integers(0, 9000), st.booleans()
)
ALL_FEATURES = dict.fromkeys(default_weights(), 1.0) | {"again": 2.0}


@given(
    deeds=st.lists(DEEDS, min_size=1, max_size=12),
    lived=st.sampled_from((0, 0, 40, 66)),  # events before, so that the state has a checkpoint, or earlier history
    seen=st.sampled_from(("ever", "allow")),
    seed=st.integers(0, 99),
)
@settings(max_examples=15)
def test_what_a_reason_says_an_event_did_is_what_the_score_loses_without_it(
    deeds: list[tuple[str, str | None, int, bool]], lived: int, seen: Any, seed: int
) -> None:
    draw = random.Random(seed)
    with temporary_folder() as folder, opened(folder, weights=ALL_FEATURES) as engine:
        engine.ingest([angle(name) for name in ITEMS])
        engine.wait_for_items()
        engine.ingest([click(f"p{k % 5}", draw.choice(ITEMS), NOW - 99_000 + 60 * k) for k in range(40)])
        before = [click("ann", draw.choice(ITEMS), NOW - 90_000 + 60 * k) for k in range(lived)]
        engine.ingest(before)
        times = itertools.accumulate((gap for _, _, gap, _ in deeds), initial=NOW)
        engine.ingest(
            [
                Event(user="ann", action=action, item=name, words="blue" if typed or name is None else None, time=time)
                for (action, name, _, typed), time in zip(deeds, times, strict=False)
            ]
        )
        query = Query(user="ann", time=NOW + 10**6, limit=5, seen=seen, explain=True)
        asked = [
            (query, engine.recommend(query)),
            (query, engine.rank(ITEMS[:4], structs.replace(query, seen="allow"))),
        ]
        asked[1] = structs.replace(query, seen="allow"), asked[1][1]
        for question, slate in asked:
            found = list(compared(engine, question, slate))
            assert len(found) == len(slate.items) * (1 + min(lived + len(deeds), LAST))
            for one in found:
                assert one.stated == pytest.approx(one.measured, abs=2e-5)
            assert right(found) == len(found)


# -- a candidate's score ignores its neighbours ------------------------------------------------------------------------


@given(extra=st.integers(1, 30), removed=st.sets(st.sampled_from(ITEMS[6:]), max_size=6), seed=st.integers(0, 99))
@settings(max_examples=25)
def test_a_candidates_score_ignores_the_other_candidates(extra: int, removed: set[str], seed: int) -> None:
    draw = random.Random(seed)
    with temporary_folder() as folder, opened(folder) as engine:
        engine.ingest([angle(name) for name in ITEMS])
        engine.ingest([click(f"p{k % 4}", draw.choice(ITEMS), NOW - 900 + k) for k in range(30)])
        engine.wait_for_items()
        before = {c.item: c for c in ask(engine, "p1", seen="allow").items}
        engine.ingest([item(f"more{k}", draw.random(), draw.random()) for k in range(extra)])
        engine.ingest([Event(kind="item", item=name, removed=True, time=NOW) for name in sorted(removed)])
        engine.wait_for_items()
        after = {c.item: c for c in ask(engine, "p1", seen="allow").items}
        assert len(after) == 12 + extra - len(removed)
        for name in set(before) - removed:
            assert after[name].score == pytest.approx(before[name].score, abs=1e-6)
            assert after[name].features == pytest.approx(before[name].features, abs=1e-6)


# -- a failed language model still yields a slate ----------------------------------------------------------------------


def broken(*_: object, **__: object) -> np.ndarray:
    raise RuntimeError("the language model failed")


def test_a_failed_language_model_still_yields_a_slate(
    open_reading_engine: OpenEngine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    engine = open_reading_engine()
    engine.ingest([item("read", title="a quiet film about the sea")])
    engine.wait_for_items()
    monkeypatch.setattr(engine.parts.encoder, "encode", broken)
    engine.ingest([item(f"unread{k}", title=f"a loud film, part {k}") for k in range(3)])
    engine.wait_for_items()
    assert "the language model failed" in (engine.parts.texts.failure or "")
    assert any("the language model failed" in warning for warning in engine.warnings)
    receipt = engine.ingest(
        [click("ann", "read", NOW), Event(user="ann", action="search", words="storms", time=NOW + 1)]
        + [click("bob", "unread0", NOW + k, action="view") for k in range(2 * RING)]
    )
    assert receipt.accepted == 2 + 2 * RING
    assert set(names(ask(engine, "ann"))) == {"unread0", "unread1", "unread2"}
    assert set(names(ask(engine, "bob"))) == {"read", "unread1", "unread2"}
    found = engine.search(Query(words="loud film", time=NOW))
    assert set(names(found)) == {"read", "unread0", "unread1", "unread2"}


# -- one person moves any count by at most one event's worth -----------------------------------------------------------


@given(
    others=st.lists(st.tuples(st.integers(1, 3), st.integers(0, 5), st.integers(0, 999)), max_size=40),
    ones=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 999), st.booleans()), max_size=40),
)
@settings(max_examples=100)
def test_one_person_moves_any_count_by_at_most_one_events_worth(
    others: list[tuple[int, int, int]], ones: list[tuple[int, int, bool]]
) -> None:
    with_one, without = Counts(256, 7.0), Counts(256, 7.0)
    for counts in (with_one, without):
        counts.ensure(4, 6)
        add(counts, [(person, i, NOW + age, True) for person, i, age in others])
    add(with_one, [(0, i, NOW + age, positive) for i, age, positive in ones])
    assert np.abs(with_one.totals - without.totals).max() <= 1
    popular = [counts.popular * counts.decay(NOW + 1000) for counts in (with_one, without)]
    assert (popular[0] - popular[1]).max() <= 1
    assert (with_one.outgoing - without.outgoing).max() <= with_one.weights.sum()
    for table, column, most in (
        ("transitions", "counts", with_one.weights[0]),
        ("neighbours", "counts", 1),
        ("neighbours", "extra", 1),  # within a session
    ):
        for row in range(6):
            before, after = (cells(getattr(counts, table), row, column) for counts in (without, with_one))
            assert all(after[other] >= count for other, count in before.items())
            assert all(count - before.get(other, 0) <= most for other, count in after.items())
    for row in range(6):  # one voice among an item's audience
        before, after = (cells(counts.audience, row, "extra") for counts in (without, with_one))
        assert set(after) - set(before) <= {0}
        assert set(before) <= set(after)


def add(counts: Counts, events: Sequence[tuple[int, int, float, bool]]) -> None:
    if events:
        people, items, times, positive = (np.array(column) for column in zip(*events, strict=True))
        none = np.full(len(events), np.nan), np.zeros(len(events), np.int64)
        counts.add(Met(people, items, times, positive.astype(np.uint8), *none))


def cells(rows: Any, row: int, column: str) -> dict[int, float]:
    part = slice(rows.start[row], rows.start[row] + rows.size[row])
    return dict(zip(rows.ids[part].tolist(), getattr(rows, column)[part].tolist(), strict=True))


# -- erased means the same outputs as never seen -----------------------------------------------------------------------

SECRETS = ("erased-name", "erased-session", "erased-event", "erased-words", "erased-city")


def life_of_the_erased(draw: random.Random, count: int) -> list[Event]:
    """Everything one person can do, under two names; every word of it begins with "erased-"."""
    events = [Event(kind="user", user="erased-session", fields={"city": "erased-city-1"}, time=NOW - 9000)]
    for k in range(count):
        user = draw.choice(("erased-name", "erased-session"))
        words, rating = draw.choice((None, None, f"erased-words {k}")), draw.choice((None, None, 1.0, 5.0))
        events.append(
            click(
                user,
                draw.choice(ITEMS),
                NOW - 8000 + 10 * k,
                action=draw.choice(ACTIONS) if rating is None else "rate",
                value=rating,
                words=words,
                id=f"erased-event-{k}",
            )
        )
    half = len(events) // 2
    events.insert(
        half, Event(kind="alias", session="erased-session", user="erased-name", time=NOW, id="erased-event-a")
    )
    events.insert(half, Event(kind="user", user="erased-name", fields={"city": "erased-city-2"}, time=NOW))
    events.append(Event(kind="retraction", target="erased-event-1", time=NOW, id="erased-event-r"))
    events.append(Event(kind="impression", user="erased-name", slate=["i1"], time=NOW, id="erased-event-i"))
    return events


def mixed(draw: random.Random, one: Sequence[Event], other: Sequence[Event]) -> list[Event]:
    """Both, each in its own order."""
    one, other, out = list(one), list(other), []
    while one or other:
        queue = one if one and (not other or draw.random() < 0.5) else other
        out.append(queue.pop(0))
    return out


def traces(folder: Path) -> list[str]:
    """Files that hold a word of the erased."""
    return [
        f"{path.name}: {secret}"
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        for secret in SECRETS
        if secret.encode() in path.read_bytes()
    ]


ENDS = ("living on", "closed before", "killed after", "killed before apply", "snapshot, then killed before apply")


@given(
    seed=st.integers(0, 2**32 - 1),
    end=st.sampled_from(ENDS),
    size=st.sampled_from((1, 7, 500)),
    count=st.integers(2, 90),
    neighbours=st.sampled_from((256, 8)),
)
@settings(max_examples=80)
def test_erased_means_the_same_outputs_as_never_seen(
    seed: int, end: str, size: int, count: int, neighbours: int
) -> None:
    draw = random.Random(seed)
    people = tuple(f"p{k}" for k in range(4))
    catalogue = [angle(name) for name in ITEMS]
    others = [click(draw.choice(people), draw.choice(ITEMS), NOW - 8500 + 10 * k, id=f"other-{k}",
                    action="rate", value=float(draw.randint(1, 5))) for k in range(80)]  # fmt: skip
    theirs = life_of_the_erased(draw, count)
    both, after = mixed(draw, others[:60], theirs), others[60:]
    erasure = Event(kind="erasure", user=draw.choice(("erased-name", "erased-session")), time=NOW, id="erased-event-e")
    with temporary_folder() as folder:
        with opened(folder / "never", neighbours=neighbours) as engine:
            engine.ingest(catalogue)
            for batch in batches([*others[:60], *after], [size]):
                engine.ingest(batch)
            expected = portrait(engine, people)
        engine, place = opened(folder / "erased", neighbours=neighbours), folder / "erased"
        engine.ingest(catalogue)
        engine.wait_for_items()
        for batch in batches([*both, erasure] if end == "living on" else both, [size]):
            receipt = engine.ingest(batch)
        if end == "closed before":
            engine.close()
            engine = opened(place, neighbours=neighbours)
        if end.startswith("snapshot"):
            engine.snapshot()
        if "before apply" in end:
            engine.write([engine.accept([erasure])])
        elif end != "living on":
            receipt = engine.ingest([erasure])
        if "kill" in end:
            place = crash_image(place, folder / "image")
            engine.close()
            engine = opened(place, neighbours=neighbours)
        elif count > 3:
            assert [proof.counts in ("exact", "rebuilding") for proof in receipt.erased] == [True]
        for batch in batches(after, [size]):
            engine.ingest(batch)
        assert engine.parts.log.people.get("erased-name") == -1
        assert_same(portrait(engine, people), expected)
        assert not state(engine, "erased-name").any()
        forgotten = [n for n in range(len(engine.parts.log.people)) if "forgotten" in engine.parts.log.people.name(n)]
        assert not engine.parts.states.store.now[forgotten].any()
        assert not engine.parts.states.store.ring.offset[forgotten].any()
        engine.close()
        assert traces(place) == []


def test_an_erased_person_who_comes_back_starts_from_nothing(engine: Engine) -> None:
    engine.ingest([*circle(6), click("ann", "i1", id="a"), click("bob", "i1"), click("bob", "i2", NOW + 1)])
    nobody = names(ask(engine, "never seen"))
    proof = engine.ingest([Event(kind="erasure", user="ann", time=NOW)]).erased
    assert [(one.events, one.counts) for one in proof] == [(1, "exact")]
    assert names(ask(engine, "ann")) == nobody
    receipt = engine.ingest([click("ann", "i1", id="a")])  # the very event again: it is as new
    assert (receipt.accepted, receipt.duplicates) == (1, [])
    assert "i1" not in names(ask(engine, "ann"))


# -- every answer says which event it has seen -------------------------------------------------------------------------


@given(events=histories(most=12), sizes=st.lists(st.integers(1, 9), min_size=1, max_size=3))
@settings(max_examples=25)
def test_a_list_after_a_receipt_has_taken_all_of_it_in(events: list[Event], sizes: list[int]) -> None:
    newest: dict[str, int] = {}
    last = 0
    with temporary_folder() as folder, opened(folder) as engine:
        for batch in batches([e for e in events if e.kind in ("interaction", "item")], sizes):
            receipt = engine.ingest(batch)
            taken = [one for logged in engine.parts.log.replay(last) for one in logged]
            newest |= {one.event.user: one.offset for one in taken if one.event.kind == "interaction"}
            assert receipt.as_of == last + len(taken)
            last = receipt.as_of
            for person in (*PEOPLE, *SESSIONS):
                slate = ask(engine, person)
                assert slate.as_of >= receipt.as_of
                assert slate.user_as_of == newest.get(person, 0)


# -- the same input gives the same output ------------------------------------------------------------------------------


@given(events=histories(), sizes=st.lists(st.integers(1, 30), min_size=1, max_size=3))
@settings(max_examples=15)
def test_two_engines_with_the_same_input_agree_whatever_the_batches(events: list[Event], sizes: list[int]) -> None:
    with temporary_folder() as folder, opened(folder / "one") as one, opened(folder / "two") as two:
        for batch in batches(events, sizes):
            one.ingest(batch)
        two.ingest(events)
        assert_same(portrait(one), portrait(two))
