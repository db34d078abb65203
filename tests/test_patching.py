"""Items and profiles that are changed in part: the log holds the patch alone, and what stands is what it says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from penchant import Event, Query
from penchant.engine import Engine
from tests.conftest import NOW, OpenEngine, ask, click, crash_image, item, names


def patch(name: str, **more: Any) -> Event:
    return Event(kind="item", item=name, patch=True, time=NOW, **more)


def profile(user: str, fields: dict[str, Any], **more: Any) -> Event:
    return Event(kind="user", user=user, fields=fields, time=NOW, **more)


def texts(engine: Engine) -> dict[str, str]:
    return {engine.parts.log.items.name(row.item): row.text for row in engine.parts.catalogue.rows()}


def test_two_patches_in_one_batch_both_count_and_the_log_holds_no_more_than_them(engine: Engine) -> None:
    engine.ingest([item("x", 1.0, 0.0, title="old", year=1979)])
    engine.ingest([patch("x", fields={"title": "new"}), patch("x", fields={"year": None, "price": 9})])
    assert engine.item("x").fields == {"title": "new", "price": 9}
    assert engine.item("x").vectors == {"v": [1.0, 0.0]}
    kept = [one.event.fields for batch in engine.parts.log.replay(kind="item") for one in batch]
    assert kept[1:] == [{"title": "new"}, {"year": None, "price": 9}]


def test_a_patched_item_is_shown_filtered_and_found_by_what_it_is_now(engine: Engine) -> None:
    engine.ingest([item("x", 1.0, 0.0, title="sea", price=9), item("y", 0.0, 1.0, title="sky", price=1)])
    assert names(ask(engine, filter="price > 5")) == ["x"]
    engine.ingest([patch("y", fields={"price": 7, "title": "cloud"}), patch("x", available=False)])
    assert names(ask(engine, filter="price > 5")) == ["y"]
    assert names(engine.search(Query(words="cloud", time=NOW))) == ["y"]
    assert names(engine.search(Query(words="sky", time=NOW))) == []
    engine.ingest([patch("x", available=True)])
    assert names(ask(engine, filter="price > 8")) == ["x"]


def test_a_patch_of_what_is_not_there_changes_nothing(engine: Engine) -> None:
    engine.ingest([item("gone", 1.0, 0.0), Event(kind="item", item="gone", removed=True, time=NOW)])
    assert engine.ingest([patch("gone", fields={"a": 1}), patch("never", fields={"a": 1})]).accepted == 2
    assert texts(engine) == {}
    assert names(ask(engine)) == []
    engine.ingest([item("never", 1.0, 0.0, b=2)])
    assert engine.item("never").fields == {"b": 2}


def test_a_patch_of_a_profile_that_was_never_sent_is_the_profile(engine: Engine) -> None:
    engine.ingest([profile("ann", {"city": "Aachen", "old": None}, patch=True)])
    assert engine.profile("ann").fields == {"city": "Aachen"}
    engine.ingest([profile("ann", {"age": 34}, patch=True), profile("ann", {"city": None}, patch=True)])
    assert engine.profile("ann").fields == {"age": 34}


@pytest.mark.parametrize(
    "event",
    [
        Event(kind="item", item="x", patch=True, removed=True),
        Event(kind="user", user="ann", patch=True, removed=True),
        Event(user="ann", action="click", item="x", patch=True),
        Event(kind="erasure", user="ann", patch=True),
    ],
)
def test_a_patch_that_means_nothing_is_refused_by_name(engine: Engine, event: Event) -> None:
    (refusal,) = engine.ingest([event]).refused
    assert (refusal.field, refusal.value) == ("patch", "True")


def test_a_patch_that_leaves_the_vector_has_no_state_folded_again(engine: Engine) -> None:
    engine.ingest([item("x", 1.0, 0.0, title="sea", price=9), click("ann", "x")])
    engine.wait_for_items()
    clock = engine.parts.index.epoch.copy()
    engine.ingest([patch("x", fields={"price": 7}, available=True)])
    engine.wait_for_items()
    assert engine.item("x").fields["price"] == 7
    assert engine.parts.index.epoch.tolist() == clock.tolist()
    engine.ingest([patch("x", vectors={"v": [0.0, 1.0]})])
    engine.wait_for_items()
    assert engine.parts.index.epoch[0] > clock[0]


def test_the_language_model_does_not_read_a_patch_that_changes_no_text(
    open_reading_engine: OpenEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = open_reading_engine()
    engine.ingest([item("x", title="a quiet film about the sea", price=9)])
    engine.wait_for_items()
    assert engine.parts.encoder is not None
    encode, read = engine.parts.encoder.encode, []
    monkeypatch.setattr(engine.parts.encoder, "encode", lambda texts: read.extend(texts) or encode(texts))
    engine.ingest([patch("x", fields={"price": 7}), patch("x", available=False)])
    engine.wait_for_items()
    assert read == []
    engine.ingest([patch("x", fields={"title": "a loud film"})])
    engine.wait_for_items()
    assert read == ["a loud film"]


def test_after_a_kill_patches_meet_what_they_met_before(open_engine: OpenEngine, tmp_path: Path) -> None:
    engine = open_engine("lived")
    engine.ingest([item("x", 1.0, 0.0, title="b"), profile("session", {"city": "Aachen"})])
    engine.snapshot()
    for fields in ({"title": None}, {"title": "b"}, {"more": "c"}):
        engine.ingest([patch("x", fields=fields)])
    engine.ingest([profile("ann", {"age": 34}), Event(kind="alias", session="session", user="ann", time=NOW)])
    lived = texts(engine), engine.profile("ann").fields
    assert lived == ({"x": "b. c"}, {"city": "Aachen", "age": 34})
    crash_image(tmp_path / "lived", tmp_path / "killed")
    killed = open_engine("killed")
    assert (texts(killed), killed.profile("ann").fields) == lived
    killed.rebuild()
    assert (texts(killed), killed.profile("ann").fields) == lived


def test_what_an_erased_person_said_is_on_disk_no_more(open_engine: OpenEngine, tmp_path: Path) -> None:
    engine = open_engine("data")
    engine.ingest([profile("s1", {"city": "Aachenische"}), profile("ann", {"city": "Bonnerei"})])
    engine.ingest([Event(kind="alias", session="s1", user="ann", time=NOW), profile("ann", {"a": 1}, patch=True)])
    engine.ingest([Event(kind="erasure", user="ann", time=NOW)])
    engine.close()
    left = (tmp_path / "data" / "catalogue.db").read_bytes()
    assert b"Aachenische" not in left
    assert b"Bonnerei" not in left
