"""Retention: what the settings do not keep is dropped everywhere, as if it had never been sent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penchant import Event, retention
from penchant.batches import Batch
from penchant.config import Retention, Settings, load_settings, write_settings
from penchant.engine import Engine
from penchant.errors import Full, InvalidInput, Unavailable
from penchant.retention import beyond
from penchant.storage.checkpoints import checkpoint
from penchant.storage.log_reading import IMPRESSION, INTERACTION, Deed
from tests.conftest import DAY, NOW, OpenEngine, ask, circle, click, crash_image, item, names, temporary_folder
from tests.test_laws import ITEMS, angle, assert_same, batches, histories, opened, portrait, settled

SMALL = {"retention": {"events": 4}}


# -- what goes ---------------------------------------------------------------------------------------------------------


def deeds(*kinds: int, retracted: Sequence[int] = ()) -> list[Deed]:
    """At offsets 1, 2, ... and as many seconds."""
    return [Deed(k + 1, kind, float(k + 1), k + 1 in retracted) for k, kind in enumerate(kinds)]


@pytest.mark.parametrize(
    ("there", "keep", "before", "gone"),
    [
        (deeds(*[INTERACTION] * 5), 4, 0.0, []),  # a quarter more is not yet well over
        (deeds(*[INTERACTION] * 6), 4, 0.0, [1, 2]),
        (deeds(*[INTERACTION] * 6), 0, 0.0, []),
        (deeds(*[INTERACTION] * 6), 0, 3.0, [1, 2]),
        (deeds(*[INTERACTION] * 6), 4, 4.0, [1, 2, 3]),
        (deeds(*[INTERACTION, IMPRESSION] * 5), 4, 0.0, []),  # each kind by itself
        (deeds(*[INTERACTION] * 2, *[IMPRESSION] * 6), 4, 0.0, [3, 4]),
        (deeds(*[INTERACTION] * 6, retracted=[5]), 4, 0.0, []),
        (deeds(*[INTERACTION] * 7, retracted=[2]), 4, 0.0, [1, 2, 3]),  # what was retracted goes with the rest
    ],
)
def test_what_a_person_loses(there: list[Deed], keep: int, before: float, gone: list[int]) -> None:
    assert beyond(there, keep, before) == gone


def test_who_has_well_over_the_most_is_cut_down_and_nobody_else(open_engine: OpenEngine) -> None:
    engine = open_engine(**SMALL)
    engine.ingest([*circle(12), *(click("ann", f"i{k}", NOW + k) for k in range(6))])
    engine.ingest([click("bob", f"i{k}", NOW + k) for k in range(5)])
    assert engine.retain() == 2
    settled(engine)
    assert kept(engine, "ann") == ["i2", "i3", "i4", "i5"]
    assert kept(engine, "bob") == ["i0", "i1", "i2", "i3", "i4"]
    assert {"i0", "i1"} <= set(names(ask(engine, "ann")))  # as if never met
    assert engine.parts.counts.totals[:6].tolist() == [1, 1, 2, 2, 2, 1]
    assert engine.retain() == 0
    assert engine.retention.dropped == 2


def test_what_is_older_than_so_many_days_goes_whoever_did_it(open_engine: OpenEngine) -> None:
    engine = open_engine(retention={"days": 30})
    now = engine._clock.now()
    engine.ingest([*circle(4), click("ann", "i0", now - 31 * DAY), click("ann", "i1", now - 29 * DAY)])
    engine.ingest([click("bob", "i2", now - 40 * DAY), Event(kind="impression", user="bob", slate=["i1"], time=1.0)])
    assert engine.retain() == 3
    settled(engine)
    assert kept(engine, "ann") == ["i1"]
    assert kept(engine, "bob") == []
    assert ask(engine, "bob", time=now).user_as_of == 0
    assert ask(engine, "bob", time=now).items == ask(engine, "nobody", time=now).items


def test_all_is_kept_where_nothing_is_said(engine: Engine) -> None:
    engine.ingest([*circle(12), *(click("ann", f"i{k % 12}", NOW + k) for k in range(50))])
    assert engine.retain() == 0
    assert engine.parts.log.end == 62


@pytest.mark.parametrize("meanwhile", ["nothing", "an event", "a retraction", "an item"])
def test_a_state_is_folded_beside_and_taken_where_nothing_came_between(open_engine: OpenEngine, meanwhile: str) -> None:
    engine, twin = open_engine(retention={"events": 100}), open_engine("twin")
    events = [click("ann", f"i{k * k % 12}", NOW + k, id=f"e{k}") for k in range(130)]
    engine.ingest([*circle(12), *events])
    engine.wait_for_items()
    between = {
        "nothing": [],
        "an event": [click("ann", "i5", NOW + 200)],
        "a retraction": [Event(kind="retraction", target="e120", time=NOW + 200)],
        "an item": [item("i3", 0.3, -0.4, title="moved")],
    }[meanwhile]
    taken: list[bool] = []
    take = engine.parts.take_prepared

    def send(event: Event) -> None:
        engine.ingest(between)
        engine.wait_for_items()
        engine._send(event)

    engine.parts.take_prepared = lambda *about: (taken.append(take(*about)), taken[-1])[1]  # type: ignore[method-assign]
    engine.retention.send = send
    assert engine.retain() == 30
    assert taken == [meanwhile == "nothing"]
    twin.ingest([event for event in sent(engine) if event.kind == "item"])
    twin.ingest(sent(engine))
    assert_same(portrait(engine, ["ann"]), portrait(twin, ["ann"]))


def test_what_was_dropped_and_is_sent_again_is_a_duplicate(open_engine: OpenEngine) -> None:
    engine = open_engine(**SMALL)
    events = [click("ann", f"i{k}", NOW + k, id=f"e{k}") for k in range(6)]
    engine.ingest([*events, Event(kind="retraction", target="e0", time=NOW)])
    engine.ingest([click("ann", "i7", NOW + 7)])
    assert engine.retain() == 3
    assert engine.ingest(events).duplicates == [f"e{k}" for k in range(6)]
    refused = engine.ingest([Event(kind="retraction", target="e1", user="ann", time=NOW)]).refused
    assert "no interaction with this id is in the log" in refused[0].detail
    assert rows(engine, "retracted") == 0
    assert rows(engine, "events WHERE kind = 4") == 0  # with an event goes its retraction


def test_nobody_can_send_a_retention(engine: Engine) -> None:
    receipt = engine.ingest([click("ann", "i0"), Event(kind="retention", fields={"offsets": [1]})])
    assert [(one.field, one.value) for one in receipt.refused] == [("kind", "'retention'")]
    assert kept(engine, "ann") == ["i0"]


def test_who_stood_before_many_rounds_finds_one_that_stands_for_all(open_engine: OpenEngine, tmp_path: Path) -> None:
    engine = open_engine(**SMALL)
    engine.ingest([*circle(12), *(click(f"p{k % 3}", f"i{k % 12}", NOW + k) for k in range(40))])
    other = open_engine("behind", follow=tmp_path / "data", **SMALL)
    other.close()
    for turn in range(3):
        assert engine.retain()
        engine.snapshot()
        engine.ingest([click(f"p{k % 3}", f"i{k * 5 % 12}", NOW + 99 + 40 * turn + k) for k in range(40)])
    assert engine.retain()
    assert rows(engine, "events WHERE kind = 7") == 3  # one for all before, and of the last round a slice and the end
    with open_engine("behind", follow=tmp_path / "data", **SMALL) as other:
        people = ("p0", "p1", "p2")
        assert_same(portrait(other, people), portrait(engine, people))


def test_states_that_were_published_before_are_folded_again(open_engine: OpenEngine) -> None:
    engine = open_engine(**SMALL)
    engine.ingest([click(user, f"i{k}", NOW + k) for user in ("ann", "bob") for k in range(6 if user == "ann" else 3)])
    before = engine.parts.as_of
    engine.retain()
    log = engine.parts.log
    assert log.amended_between(before, log.end) == {log.people.get("ann")}
    log._sum_up(log.end)
    assert log.amended_between(before, log.end) == {0, 1}


def test_a_round_that_the_disk_stops_goes_on_later(open_engine: OpenEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = open_engine(**SMALL)
    engine.ingest([*circle(12), *(click(f"p{k % 3}", f"i{k % 12}", NOW + k) for k in range(40))])
    monkeypatch.setattr(retention, "_ROWS", 7)
    done: list[Event] = []

    def send(event: Event) -> None:
        if done:
            raise Unavailable("the disk is full.")
        done.append(event)
        engine._send(event)

    engine.retention.send = send
    with pytest.raises(Unavailable):
        engine.retain()
    settled(engine)
    assert not engine.parts.counts.inexact  # of what is left now
    assert not engine.parts.log.round_is_over()
    engine.retention.send = engine._send
    assert engine.retain() == 28 - len(done[0].fields["offsets"])
    assert engine.parts.log.round_is_over()


def test_a_round_is_due_at_first_when_the_log_has_grown_and_when_the_settings_change(open_engine: OpenEngine) -> None:
    engine = open_engine(**SMALL)
    rounds = engine.retention
    first = rounds.look()
    engine.retain()
    assert rounds.look() == rounds.look() == first
    engine.ingest([click("ann", "i1", NOW + k) for k in range(retention._FEW)])
    assert rounds.look() > first
    engine.retain()
    calm = rounds.look()
    engine.parts.settings.retention = Retention(events=3)
    assert rounds.look() > calm
    engine.parts.settings.retention = Retention()
    assert rounds.look() == rounds.look()


def test_a_login_while_counts_are_counted_again_does_not_begin_it_anew(
    open_engine: OpenEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, twin = open_engine(**SMALL), open_engine("twin")
    clicks = [click(f"p{k % 3}", f"i{k % 12}", NOW + k) for k in range(40)]
    engine.ingest([*circle(12), *clicks, click("session-1", "i3", NOW), click("session-1", "i4", NOW)])
    parts, times = engine.parts, []
    count = parts._count_from_log

    def counting(*words: Any) -> None:
        count(*words)
        if not times:
            engine.ingest([Event(kind="alias", session="session-1", user="p0", time=NOW), click("p0", "i9", NOW + 99)])
        times.append(words[1])

    monkeypatch.setattr(parts, "_count_from_log", counting)
    engine.retain()
    settled(engine)
    twin.ingest(sent(engine))
    people = ("p0", "p1", "p2", "session-1")
    assert times.count(0) == 1
    assert_same(portrait(engine, people), portrait(twin, people))


def test_room_that_retention_made_counts_as_room_below_the_ceiling(open_engine: OpenEngine) -> None:
    engine = open_engine(**SMALL)
    engine.ingest([click(f"p{k % 9}", f"i{k % 12}", NOW + k) for k in range(2000)])
    log = engine.parts.log
    assert checkpoint(log._write, "TRUNCATE")
    engine.parts.settings.max_log_bytes = log.sizes()[0] - 1
    with pytest.raises(Full):
        engine.ingest([click("p1", "i1", NOW)])
    assert engine.retain() == 2000 - 9 * 4
    assert checkpoint(log._write, "TRUNCATE")
    assert log.free() > log.sizes()[0] // 4
    assert engine.ingest([click("p1", "i1", NOW)]).accepted == 1


def test_settings_of_retention_are_written_read_and_checked(tmp_path: Path) -> None:
    write_settings(tmp_path, Settings(retention=Retention(events=1000, days=365)))
    assert load_settings(tmp_path).retention == Retention(events=1000, days=365)
    (tmp_path / "penchant.toml").write_text("[retention]\nevents = -1\n", encoding="utf-8")
    with pytest.raises(InvalidInput, match=r"retention\.events"):
        load_settings(tmp_path)


def rows(engine: Engine, of: str) -> int:
    """How many rows of a table are there in the log's file."""
    return int(engine.parts.log._read().execute(f"SELECT count(*) FROM {of}").fetchone()[0])


def kept(engine: Engine, user: str) -> list[str]:
    """Items of what the log holds of a person."""
    log = engine.parts.log
    history = engine.parts.history(log.person(log.people.get(user)), log.end)
    return [log.items.name(number) for number in history.item.tolist()]


# -- the laws ----------------------------------------------------------------------------------------------------------


def without_edits(events: Sequence[Event]) -> list[Event]:
    """All items known from the start: a state that is folded again is so with the items of that day."""
    return [*map(angle, ITEMS), *(event for event in events if event.kind != "item")]


def sent(engine: Engine) -> list[Event]:
    """What is in the log, as it could have been sent."""
    logged = [one.event for batch in engine.parts.log.replay() for one in batch]
    return [event for event in logged if event.kind not in ("erasure", "retention")]


HOW = st.fixed_dictionaries(
    {
        "events": histories(most=16).map(without_edits),
        "sizes": st.lists(st.integers(1, 30), min_size=1, max_size=4),
        "keep": st.sampled_from((1, 4, 20, 70)),
        "rows": st.sampled_from((1, 7, 500)),
        "rounds": st.sets(st.integers(0, 12), min_size=1, max_size=4),
        "neighbours": st.sampled_from((256, 8)),
    }
)


def live(engine: Engine, how: dict[str, Any], between: Callable[[int], Engine] | None = None) -> Engine:
    """Take everything in, with rounds of retention in between."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(retention, "_ROWS", how["rows"])
        for turn, batch in enumerate(batches(how["events"], how["sizes"])):
            engine.ingest(batch)
            if turn in how["rounds"]:
                engine.retain()
            if between is not None:
                engine = between(turn)
        engine.retain()
    return engine


@given(how=HOW)
@settings(max_examples=20)
def test_what_was_dropped_was_never_sent_and_rebuilding_is_living_it(how: dict[str, Any]) -> None:
    flags = {"retention": {"events": how["keep"]}, "neighbours": how["neighbours"]}
    with temporary_folder() as folder, opened(folder / "lived", **flags) as engine:
        live(engine, how)
        lived = portrait(engine)
        with opened(folder / "twin", neighbours=how["neighbours"]) as twin:
            twin.ingest(sent(engine))
            assert_same(lived, portrait(twin))
        engine.rebuild()
        assert_same(portrait(engine), lived)


ENDS = st.tuples(st.integers(0, 12), st.sampled_from(("snapshot", "kill", "cut short", "written")))


@given(how=HOW, ends=st.lists(ENDS, max_size=4))
@settings(max_examples=20)
def test_retention_survives_a_kill_at_any_moment(how: dict[str, Any], ends: list[tuple[int, str]]) -> None:
    flags = {"retention": {"events": how["keep"]}, "neighbours": how["neighbours"]}
    with temporary_folder() as folder:
        place, engine = folder / "life", opened(folder / "life", **flags)

        def between(turn: int) -> Engine:
            nonlocal place, engine
            for end in [end for at, end in ends if at == turn]:
                if end == "snapshot":
                    engine.snapshot()
                    continue
                if end != "kill":
                    one_slice_of_a_round(engine, applied=end == "cut short")
                image = crash_image(place, folder / f"life-{turn}-{end}-{len(list(folder.iterdir()))}")
                engine.close()
                place, engine = image, opened(image, **flags)
            return engine

        with live(engine, how, between) as lived, opened(folder / "twin", neighbours=how["neighbours"]) as twin:
            twin.ingest(sent(lived))
            assert_same(portrait(lived), portrait(twin))


def one_slice_of_a_round(engine: Engine, applied: bool) -> None:
    """The first slice is in the log, and taken in, or not even that; the rest is still to come."""

    def send(event: Event) -> None:
        batch = Batch([event], [0], [])
        engine.write([batch])
        if applied:
            engine.apply([batch])
        engine.retention.stop()

    engine.retention.send = send
    engine.retain()


@given(how=HOW)
@settings(max_examples=12)
def test_a_follower_drops_what_its_leader_drops(how: dict[str, Any]) -> None:
    flags = {"retention": {"events": how["keep"]}, "neighbours": how["neighbours"]}
    with temporary_folder() as folder, opened(folder / "a", **flags) as engine:
        engine.ingest(how["events"][:3])
        with opened(folder / "b", follow=folder / "a", **flags) as other:

            def between(turn: int) -> Engine:
                if turn % 2:
                    other.follow()
                return engine

            live(engine, how, between)
            assert other.retain() == 0  # it is not its log
            other.follow()
            assert_same(portrait(other), portrait(engine))
