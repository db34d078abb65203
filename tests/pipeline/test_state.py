"""What events do to a person's state: in order, late, of unknown items, and under another version."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from penchant import Event, Query
from penchant.engine import Engine
from penchant.kernels import LATE, MOVE, RING
from penchant.models.cold_start import DIM, FAST, SLOW
from tests.conftest import NOW, OpenEngine, ask, circle, click, item, names
from tests.models.test_rating import made

Floats = np.ndarray


@pytest.fixture
def engine(open_engine: OpenEngine) -> Engine:
    return with_items(open_engine)


def with_items(open_engine: OpenEngine, name: str = "data") -> Engine:
    engine = open_engine(name)
    engine.ingest(circle(12))
    engine.wait_for_items()
    return engine


def state(engine: Engine, name: str = "ann") -> Floats:
    person = engine.parts.log.person(engine.parts.log.people.get(name))
    engine.parts.states.settle([person])
    return engine.parts.states.store.now[person].copy()


def vector(engine: Engine, name: str) -> Floats:
    return engine.parts.index.vector[engine.parts.log.items.get(name)]


def folded(engine: Engine, *weighted: tuple[str, float]) -> Floats:
    """The state after these items, by hand: two sums, each step decayed."""
    out = np.zeros(2 * DIM)
    for name, weight in weighted:
        x = vector(engine, name)
        out = np.repeat([FAST, SLOW], DIM) * out + weight * np.concatenate((x, x))
    return out


def assert_close(one: Floats, other: Floats) -> None:
    np.testing.assert_allclose(one, other, atol=1e-4)


# -- one step after another --------------------------------------------------------------------------------------------


def test_each_action_moves_the_state_by_its_weight(engine: Engine) -> None:
    engine.ingest([click("ann", "i0", NOW), click("ann", "i5", NOW + 1, action="buy")])
    engine.ingest([click("ann", "i3", NOW + 2, action="dislike"), click("ann", "i7", NOW + 3, action="view")])
    assert_close(state(engine), folded(engine, ("i0", 1.0), ("i5", 1.5), ("i3", -0.5), ("i7", 0.5)))


def test_what_is_disliked_is_pushed_away(engine: Engine) -> None:
    engine.ingest([click("ann", "i0", action="dislike")])
    assert names(ask(engine, "ann"))[0] == "i6"  # across the circle


@pytest.mark.parametrize("sizes", [[1], [3], [100]])
def test_it_does_not_matter_how_events_are_batched(engine: Engine, sizes: Sequence[int]) -> None:
    lived = [click("ann", f"i{k % 12}", NOW - 200 + k) for k in range(100)]
    for start in range(0, 100, sizes[0]):
        engine.ingest(lived[start : start + sizes[0]])
    assert_close(state(engine), folded(engine, *((event.item or "", 1.0) for event in lived)))


def test_of_nobody_the_state_is_empty(engine: Engine) -> None:
    assert not engine.parts.vectors_of([-1, 99], [Query(time=NOW)] * 2).any()
    assert engine.parts.states.newest(-1) == engine.parts.states.newest(99) == 0


# -- late events -------------------------------------------------------------------------------------------------------


def test_an_event_up_to_five_minutes_late_is_put_in_its_place(engine: Engine) -> None:
    late = click("ann", "i5", NOW - LATE, id="late")
    engine.ingest([click("ann", "i0", NOW - LATE - 1), click("ann", "i1", NOW)])
    assert engine.ingest([late]).late == []
    assert_close(state(engine), folded(engine, ("i0", 1.0), ("i5", 1.0), ("i1", 1.0)))


def test_events_of_the_same_moment_stand_in_the_order_of_the_log(engine: Engine) -> None:
    engine.ingest(
        [click("ann", "i0", NOW), click("ann", "i1", NOW + 1), click("ann", "i2", NOW), click("ann", "i3", NOW)]
    )
    assert_close(state(engine), folded(engine, ("i0", 1.0), ("i2", 1.0), ("i3", 1.0), ("i1", 1.0)))


def test_a_later_one_is_counted_and_hidden_but_not_stepped(engine: Engine) -> None:
    engine.ingest([click("ann", "i1", NOW)])
    before = state(engine)
    receipt = engine.ingest([click("ann", "i5", NOW - LATE - 1, id="too late"), click("bob", "i5", NOW - 9999)])
    assert receipt.late == ["too late"]
    assert receipt.accepted == 2
    assert_close(state(engine), before)
    assert engine.parts.counts.totals[5] == 2
    assert "i5" not in names(ask(engine, "ann"))
    assert ask(engine, "ann").user_as_of == receipt.as_of - 1  # the newest event of ann, stepped or not


def test_an_event_from_before_the_checkpoint_is_late_whatever_its_age(engine: Engine) -> None:
    engine.ingest([click("ann", f"i{k % 12}", NOW + k) for k in range(RING)])  # the oldest MOVE are folded for good
    receipt = engine.ingest(
        [click("ann", "i1", NOW + MOVE - 2, id="before"), click("ann", "i1", NOW + MOVE - 1, id="after")]
    )
    assert receipt.late == ["before"]


# -- items that come and change ----------------------------------------------------------------------------------------


def test_an_unknown_item_steps_as_nothing_until_it_is_sent(engine: Engine) -> None:
    engine.ingest([click("ann", "i0", NOW), click("ann", "unknown", NOW + 1)])
    assert engine.parts.counts.totals[engine.parts.log.items.get("unknown")] == 1
    assert_close(state(engine), folded(engine, ("i0", FAST)) * np.repeat([1, SLOW / FAST], DIM))
    assert "unknown" not in names(ask(engine, seen="allow"))
    engine.ingest([item("unknown", 0.0, 1.0)])
    engine.wait_for_items()
    assert vector(engine, "unknown").any()
    assert_close(state(engine), folded(engine, ("i0", 1.0), ("unknown", 1.0)))
    assert "unknown" in names(ask(engine, "bob"))


def test_an_item_sent_again_moves_the_states_that_hold_it(engine: Engine) -> None:
    engine.ingest([click("ann", "i0", NOW), click("bob", "i1", NOW)])
    engine.ingest([item("i0", 0.3, -0.9)])
    engine.wait_for_items()
    engine.ingest([click("ann", "i2", NOW + 1)])  # a step onto a state that must be folded again
    assert_close(state(engine), folded(engine, ("i0", 1.0), ("i2", 1.0)))
    assert_close(state(engine, "bob"), folded(engine, ("i1", 1.0)))


def test_a_checkpoint_keeps_the_vectors_of_its_time(engine: Engine) -> None:
    engine.ingest([click("ann", "i0", NOW + k) for k in range(RING)])
    old = vector(engine, "i0").copy()
    engine.ingest([item("i0", -1.0, 0.0)])
    engine.wait_for_items()
    weights = np.repeat([FAST, SLOW], DIM) ** np.arange(RING)[::-1, None]
    x = np.where(np.arange(RING)[:, None] < MOVE, np.tile(old, 2), np.tile(vector(engine, "i0"), 2))
    assert_close(state(engine), (weights * x).sum(0))


def test_the_vector_of_a_removed_item_stays_in_the_states(engine: Engine) -> None:
    engine.ingest([click("ann", "i0")])
    before = state(engine)
    engine.ingest([Event(kind="item", item="i0", removed=True, time=NOW)])
    assert_close(state(engine), before)
    assert "i0" not in names(ask(engine, "bob"))


# -- retractions and aliases -------------------------------------------------------------------------------------------


def test_a_retracted_event_is_as_if_never_sent(open_engine: OpenEngine) -> None:
    lived, never = with_items(open_engine, "lived"), with_items(open_engine, "never")
    events = [click("ann", f"i{k % 7}", NOW + 10 * k - (400 if k == 5 else 0), id=f"e{k}") for k in range(90)]
    lived.ingest(events)
    for target in ("e3", "e40", "e89"):
        lived.ingest([Event(kind="retraction", target=target, time=NOW)])
    never.ingest([event for event in events if event.id not in ("e3", "e40", "e89")])
    assert_close(state(lived), state(never))
    assert names(ask(lived, "ann")) == names(ask(never, "ann"))


def test_a_session_and_its_person_become_one_state(open_engine: OpenEngine) -> None:
    joined, one = with_items(open_engine, "joined"), with_items(open_engine, "one")
    joined.ingest([click("session", "i1", NOW), click("ann", "i2", NOW + 1), click("session", "i3", NOW + 2)])
    joined.ingest([Event(kind="alias", session="session", user="ann", time=NOW + 3)])
    one.ingest([click("ann", f"i{k}", NOW + k - 1) for k in (1, 2, 3)])
    for engine in (joined, one):
        engine.ingest([click("ann", "i7", NOW + 4)])
    assert_close(state(joined), state(one))
    assert_close(state(joined, "session"), state(one))
    assert names(ask(joined, "session")) == names(ask(one, "ann"))


# -- another version ---------------------------------------------------------------------------------------------------


def test_states_of_another_version_are_folded_from_the_log_when_needed(engine: Engine) -> None:
    lived = [click("ann", f"i{k % 12}", NOW + 10 * k - (900 if k == 50 else 0)) for k in range(100)]
    assert len(engine.ingest(lived).late) == 1
    before = state(engine)
    engine.parts.states.use(engine.parts.version)
    assert_close(state(engine), before)
    engine.parts.states.use(engine.parts.version)
    engine.ingest([click("ann", "i0", NOW + 2000)])  # brought over before the step
    after = state(engine)
    engine.rebuild()
    assert_close(state(engine), after)


def test_an_event_written_but_not_applied_is_not_folded_twice(engine: Engine) -> None:
    engine.ingest([click("ann", "i0", NOW)])
    engine.parts.states.use(engine.parts.version)
    batch = engine.accept([click("ann", "i1", NOW + 1)])
    engine.write([batch])
    slate = ask(engine, "ann")  # asked between the two: brought over from the log
    assert slate.user_as_of == slate.as_of
    engine.apply([batch])
    assert_close(state(engine), folded(engine, ("i0", 1.0), ("i1", 1.0)))
    assert engine.parts.states.store.ring.length[0] == 2


# -- sums of ratings ---------------------------------------------------------------------------------------------------


def judging(engine: Engine) -> Engine:
    """The engine under a version that also reads the values of clicks."""
    model = made()._replace(actions=np.array([engine.parts.log.actions.get("click")]))
    engine.parts.version.rating = model
    engine.parts.states.use(engine.parts.version)
    return engine


def sums(engine: Engine, *rated: tuple[str, float]) -> Floats:
    """What these values of items add up to, by hand."""
    items = np.array([engine.parts.log.items.get(name) for name, _ in rated], np.int64)
    assert engine.parts.version.rating is not None
    return engine.parts.version.rating.contribution(items, np.array([value for _, value in rated], np.float32)).sum(0)


def test_values_of_the_named_actions_add_up_in_whatever_order(engine: Engine) -> None:
    judging(engine).ingest(
        [
            click("ann", "i1", NOW, value=4.0),
            click("ann", "i2", NOW - LATE, value=1.0),  # put in its place
            click("ann", "i3", NOW - LATE - 1, value=1.0),  # too late
            click("ann", "i4", NOW),
            click("ann", "i5", NOW, action="buy", value=5.0),
            click("bob", "i1", NOW, value=2.0),
        ]
    )
    store = engine.parts.states.store
    assert_close(store.sums[0], sums(engine, ("i1", 4.0), ("i2", 1.0)))
    assert_close(store.sums[1], sums(engine, ("i1", 2.0)))


def test_sums_of_another_version_are_folded_from_the_log_when_asked_for(engine: Engine) -> None:
    engine.ingest([click("ann", f"i{k}", NOW + k, value=float(k)) for k in range(5)])
    judging(engine)
    assert not engine.parts.states.store.sums.any()
    said = engine.parts.states.ratings(0, np.arange(12))
    assert said is not None
    assert_close(engine.parts.states.store.sums[0], sums(engine, *((f"i{k}", float(k)) for k in range(5))))
    engine.parts.states.use(engine.parts.version)
    engine.ingest([click("ann", "i7", NOW + 9, value=1.0)])  # brought over before it is added
    rated = [*((f"i{k}", float(k)) for k in range(5)), ("i7", 1.0)]
    assert_close(engine.parts.states.store.sums[0], sums(engine, *rated))
    assert engine.parts.states.ratings(99, np.arange(3)) is not None  # of nobody: the average person's
