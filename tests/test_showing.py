"""Lists that were shown: told again to the bit, joined with what was done, found again after a crash."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penchant import Auction, Event, Pin, Policy, Promotion, Query, Slate
from penchant.config import FILE
from penchant.engine import Engine
from penchant.errors import NotFound
from penchant.pipeline.feedback import GRACE
from penchant.storage.slates import SlateTable
from penchant.types import Done
from tests.conftest import NOW, OpenEngine, ask, circle, click, crash_image, names, temporary_folder

WINDOW = 1800.0


def filled(engine: Engine) -> Engine:
    sent = circle(12)
    for k, event in enumerate(sent):
        event.fields |= {"brand": "ABC"[k % 3]}
    engine.ingest(sent)
    engine.wait_for_items()
    engine.ingest([click(f"p{k}", f"i{(k + turn) % 12}", NOW - 99 + turn) for k in range(4) for turn in range(3)])
    engine.ingest([click("ann", "i0", NOW)])
    return engine


@pytest.fixture
def engine(open_engine: OpenEngine) -> Engine:
    return filled(open_engine())


def tracked(engine: Engine, user: str | None = "ann", time: float = NOW + 60, **more: Any) -> Slate:
    return ask(engine, user, time=time, track=True, limit=more.pop("limit", 5), **more)


def later(engine: Engine, time: float = NOW + 60 + WINDOW + GRACE + 1) -> None:
    """Let a list's window pass: another list is shown."""
    tracked(engine, None, time)


def test_only_a_list_that_counts_as_shown_has_an_id(engine: Engine) -> None:
    assert ask(engine, "ann").id is None
    assert Query().track is None
    slate = tracked(engine)
    assert slate.id is not None
    assert len(slate.id) == 16
    engine.tracks = True  # as in a server
    assert engine.recommend(Query(user="ann")).id is not None
    assert engine.recommend(Query(user="ann", track=False)).id is None
    assert ask(engine, "ann").id is None  # of another moment: nobody looks at it now


def test_every_question_can_be_told_again_to_the_bit(engine: Engine) -> None:
    policy = Policy(
        diversity=0.3,
        caps={"brand": 2},
        pins=(Pin("i6", 2),),
        promotions=(Promotion(filter='brand == "B"', boost=0.25),),
        sponsored=Auction(slots=(3,), bids={"i5": 1.0, "i7": 2.0}),
    )
    asked = {"time": NOW + 60, "track": True}
    slates = [
        tracked(engine),
        tracked(engine, None),
        tracked(engine, policy=policy, context={"device": "tv"}, filter="brand in ['A', 'B', 'C']"),
        tracked(engine, where="brand=nothing"),
        engine.similar("i3", Query(user="ann", **asked)),  # type: ignore[arg-type]
        engine.search(Query(user="ann", words="item 4", **asked)),  # type: ignore[arg-type]
        engine.rank(["i1", "i5"], Query(user="ann", **asked)),  # type: ignore[arg-type]
    ]
    for slate in slates:
        found = engine.slate(slate.id or "")
        assert msgspec.json.encode(found.slate) == msgspec.json.encode(slate)
        assert (found.query.user, found.until, found.settled) == (slate.user, NOW + 60 + WINDOW, False)
    assert engine.slate(slates[2].id or "").query.policy == policy


def test_a_list_stays_as_it_was_shown_whatever_comes(engine: Engine) -> None:
    slate = tracked(engine)
    engine.ingest([click("ann", "i6", NOW + 61), Event(kind="item", item="i1", removed=True, time=NOW + 62)])
    assert engine.slate(slate.id or "").slate == slate
    assert tracked(engine).items != slate.items


def test_what_was_done_is_told_with_its_time_and_worth(engine: Engine) -> None:
    slate = tracked(engine)
    second, third = names(slate)[1:3]
    engine.ingest([click("ann", second, NOW + 90), click("ann", second, NOW + 95), click("bob", third, NOW + 95)])
    engine.ingest([click("ann", second, NOW + 99, action="buy"), click("ann", third, NOW + 99, action="hide")])
    engine.ingest([click("ann", names(slate)[0], NOW + 61 + WINDOW)])
    found = engine.slate(slate.id or "")
    assert found.done == [
        Done(item=second, place=2, actions={"click": NOW + 90, "buy": NOW + 99}, reward=1.5),
        Done(item=third, place=3, actions={"hide": NOW + 99}, reward=-0.5),
    ]
    assert found.reward == 1.0
    later(engine)
    settled = engine.slate(slate.id or "")
    assert settled.settled
    assert settled.done == found.done


def test_a_retraction_takes_what_was_done_back_and_a_login_brings_it_along(engine: Engine) -> None:
    slate = tracked(engine, "session")
    name = names(slate)[0]
    engine.ingest([Event(id="oops", user="session", action="click", item=name, time=NOW + 70)])
    assert engine.slate(slate.id or "").reward == 1.0
    engine.ingest([Event(kind="alias", session="session", user="zoe", time=NOW + 80)])
    assert engine.slate(slate.id or "").reward == 1.0
    engine.ingest([click("zoe", name, NOW + 90, action="buy")])
    assert engine.slate(slate.id or "").done[0].actions == {"click": NOW + 70, "buy": NOW + 90}
    engine.ingest([Event(kind="retraction", target="oops", time=NOW + 95)])
    assert engine.slate(slate.id or "").done[0].actions == {"buy": NOW + 90}


def test_somebody_who_had_done_nothing_is_met_at_the_first_deed(engine: Engine) -> None:
    slate, other = tracked(engine, "new"), tracked(engine, "newer", NOW + 75)
    name = names(slate)[0]
    engine.ingest([click("new", name, NOW + 70)])
    assert engine.slate(slate.id or "").done[0].actions == {"click": NOW + 70}
    engine.ingest([Event(kind="alias", session="newer", user="new", time=NOW + 80), click("new", name, NOW + 90)])
    assert engine.slate(other.id or "").done[0].actions == {"click": NOW + 90}
    assert engine.slate(slate.id or "").done[0].actions == {"click": NOW + 70}


@pytest.mark.parametrize("then", ["nothing", "erased at once", "did something", "was settled"])
def test_nothing_that_was_shown_to_an_erased_stranger_is_left(
    open_engine: OpenEngine, tmp_path: Path, then: str
) -> None:
    engine = filled(open_engine("stranger"))
    slate = tracked(engine, "someone unheard-of")
    if then == "did something":
        engine.ingest([click("someone unheard-of", "i3", NOW + 70)])
    if then == "was settled":
        later(engine)
        engine.ingest([click("someone unheard-of", "i3", NOW + 6000)])
    if then != "erased at once":
        engine.parts.showing.totals(24, NOW)  # writes what is kept
    engine.ingest([Event(kind="erasure", user="someone unheard-of", time=NOW + 7000)])
    with pytest.raises(NotFound):
        engine.slate(slate.id or "")
    kept = [path for path in (tmp_path / "stranger").glob("*.db*") if b"unheard-of" in path.read_bytes()]
    assert kept == []


def test_an_erased_person_was_shown_nothing(engine: Engine) -> None:
    slate, other = tracked(engine), tracked(engine, "bob")
    engine.ingest([Event(kind="erasure", user="ann", time=NOW + 70)])
    with pytest.raises(NotFound, match="no such list is kept"):
        engine.slate(slate.id or "")
    assert engine.slate(other.id or "").slate == other
    later(engine)
    assert engine.parts.showing.totals(24, NOW + 5000)[0][engine.parts.version.name, ""].slates == 1


@pytest.mark.parametrize("id", ["", "x", "0000000000000001", "ffffffffffffffff", "é" * 16])
def test_a_list_that_is_not_kept_is_not_found(engine: Engine, id: str) -> None:
    with pytest.raises(NotFound, match="slate="):
        engine.slate(id)
    tracked(engine)
    with pytest.raises(NotFound, match="slate="):
        engine.slate(id)


def test_what_waits_is_found_again_after_a_crash(open_engine: OpenEngine, tmp_path: Path) -> None:
    engine = filled(open_engine("first"))
    engine.snapshot()
    slate = tracked(engine)
    engine.ingest([click("ann", names(slate)[0], NOW + 70)])
    engine.slate(slate.id or "")
    engine.parts.showing.totals(24, NOW)  # writes what is kept
    crash_image(tmp_path / "first", tmp_path / "second")
    again = open_engine("second")
    assert again.slate(slate.id or "") == engine.slate(slate.id or "")
    again.ingest([click("ann", names(slate)[1], NOW + 80)])
    later(again)
    totals, shown = again.parts.showing.totals(24, NOW + 5000)
    assert totals[again.parts.version.name, ""].clicks == 2
    assert totals[again.parts.version.name, ""].items == 5
    assert shown[again.parts.version.name] == 5
    assert tracked(again, time=NOW).id > (slate.id or "")  # type: ignore[operator]


def test_a_rebuilt_engine_waits_as_before(engine: Engine) -> None:
    slate = tracked(engine)
    engine.ingest([click("ann", names(slate)[0], NOW + 70)])
    before = engine.slate(slate.id or "")
    engine.rebuild()
    assert engine.slate(slate.id or "") == before


def test_the_settings_say_how_many_are_kept_and_what_belongs_to_them(open_engine: OpenEngine, tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / FILE).write_text("[slates]\nshare = 0.0\n")
    assert tracked(filled(open_engine("none"))).id is None
    assert not (tmp_path / "none" / "slates.db").exists()
    (tmp_path / "told").mkdir()
    (tmp_path / "told" / FILE).write_text('[slates]\nshown = "told"\nwindow_minutes = 1.0\nconversions = ["click"]\n')
    engine = filled(open_engine("told"))
    slate = tracked(engine)
    assert engine.slate(slate.id or "").until == NOW + 120
    engine.ingest([Event(kind="impression", user="ann", slate=names(slate)[:2], time=NOW + 61)])
    engine.ingest([click("ann", names(slate)[0], NOW + 70), click("ann", names(slate)[1], NOW + 121)])
    later(engine)
    totals = engine.parts.showing.totals(24, NOW + 5000)[0][engine.parts.version.name, ""]
    assert (totals.items, totals.clicks, totals.conversions) == (2, 1, 1)


def test_a_list_goes_on_where_the_disk_keeps_none(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[Any] = []

    def refuse(*words: Any) -> None:
        tried.append(words)
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as full:
        full.setattr(SlateTable, "__init__", refuse)
        slates = [tracked(engine) for _ in range(5)]
        assert [(len(slate.items), slate.id) for slate in slates] == [(5, None)] * 5
        assert len(tried) == 1  # a list does not wait for a disk that has just refused
        assert "lists that were shown are not kept: database or disk is full" in engine.warnings
    assert tracked(engine, time=NOW + 80).id is not None
    assert engine.warnings == []


def test_an_erasure_holds_where_the_disk_refuses_it_for_now(
    open_engine: OpenEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    engine = filled(open_engine("first"))
    slate, other = tracked(engine), tracked(engine, "bob")
    engine.parts.showing.totals(24, NOW)  # writes what is kept

    def refuse(*words: Any) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as full:
        full.setattr(SlateTable, "_commit", refuse)
        (proof,) = engine.ingest([Event(kind="erasure", user="ann", time=NOW + 70)]).erased
        assert proof.counts == "exact"
        assert "are not yet deleted: database or disk is full" in caplog.text
        assert engine.ingest([click("bob", "i3", NOW + 71)]).accepted == 1
        crash_image(tmp_path / "first", tmp_path / "second")
    engine.parts.showing.totals(24, NOW)
    for one in (engine, open_engine("second")):
        with pytest.raises(NotFound):
            one.slate(slate.id or "")
        assert one.slate(other.id or "").slate == other


DEEDS = st.lists(
    st.tuples(st.integers(0, 5), st.sampled_from(["click", "buy", "hide"]), st.integers(0, 200)), max_size=8
)


@given(deeds=DEEDS, cut=st.integers(0, 8), order=st.randoms(use_true_random=False))
def test_feedback_is_the_same_however_deeds_come(deeds: list[tuple[int, str, int]], cut: int, order: Any) -> None:
    """Late inside the grace, doubled with the same id, reordered, in one batch or in two."""
    events = [
        Event(id=f"e{k}", user="ann", action=action, item=f"i{item}", time=NOW + 60 + at)
        for k, (item, action, at) in enumerate(deeds)
    ]
    shuffled = [*events, *events]
    order.shuffle(shuffled)
    told = []
    for sent in ([events], [shuffled[:cut], shuffled[cut:]]):
        with temporary_folder() as folder, Engine.open(folder, encoder="none") as engine:
            engine.ingest(circle(6))
            engine.wait_for_items()
            slate = tracked(engine)
            for batch in sent:
                engine.ingest(batch)
            told.append(engine.slate(slate.id or "").done)
    assert told[0] == told[1]
