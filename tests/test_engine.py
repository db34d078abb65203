"""The engine from outside: receipts, lists, searches, and the life of a data folder."""

from __future__ import annotations

import math
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from penchant import Condition, Event, Item, Query, Receipt
from penchant.engine import Engine
from penchant.errors import InvalidInput, NotFound, Unavailable
from tests.conftest import DAY, NOW, OpenEngine, ask, circle, click, crash_image, item, names


def search(engine: Engine, words: str, user: str | None = None, **more: Any) -> list[str]:
    return names(engine.search(Query(user=user, words=words, time=NOW + 60, **more)))


def with_circle(engine: Engine, count: int = 12) -> Engine:
    engine.ingest(circle(count))
    engine.wait_for_items()
    return engine


# -- receipts ----------------------------------------------------------------------------------------------------------


def test_a_receipt_says_what_became_of_every_event(engine: Engine) -> None:
    engine.ingest([click("ann", "i0", id="first"), Event(kind="alias", session="s", user="ann", time=NOW)])
    receipt = engine.ingest(
        [
            click("ann", "i1", action="clap"),
            click("ann", "i1", id="good"),
            click("ann", "i0", id="first"),
            click("ann", "i2", NOW - 9999, id="late"),
            Event(kind="retraction", target="nothing", time=NOW),
            Event(kind="alias", session="s", user="bob", time=NOW),
        ]
    )
    assert receipt.accepted == 2
    assert (receipt.ids, receipt.duplicates, receipt.late) == (["good", "late"], ["first"], ["late"])
    refused = {one.index: (one.field, one.value) for one in receipt.refused}
    assert refused == {0: ("action", "'clap'"), 4: ("target", "'nothing'"), 5: ("session", "'s'")}
    assert all("Send" in one.detail or "Use" in one.detail or "Begin" in one.detail for one in receipt.refused)
    assert receipt.as_of == 4


def test_a_batch_of_nothing_good_is_refused_whole_and_changes_nothing(engine: Engine) -> None:
    receipt = engine.ingest([click("ann", "i0", action="clap")])
    assert (receipt.accepted, receipt.as_of, len(receipt.refused)) == (0, 0, 1)
    assert engine.ingest([]) == Receipt(accepted=0, as_of=0)
    assert engine.parts.log.people.get("ann") == -1


def test_an_event_without_an_id_gets_one_that_can_be_retracted(engine: Engine) -> None:
    with_circle(engine)
    (given,) = engine.ingest([click("ann", "i3")]).ids
    assert "i3" not in names(ask(engine, "ann"))
    engine.ingest([Event(kind="retraction", target=given, time=NOW)])
    assert names(ask(engine, "ann")) == names(ask(engine, "nobody"))


# -- lists -------------------------------------------------------------------------------------------------------------


def test_the_next_list_already_knows_the_event(engine: Engine) -> None:
    with_circle(engine)
    before = ask(engine, "ann")
    receipt = engine.ingest([click("ann", "i3")])
    after = ask(engine, "ann")
    assert (before.user_as_of, after.as_of, after.user_as_of) == (0, receipt.as_of, receipt.as_of)
    assert set(names(after)[:2]) == {"i2", "i4"}
    assert "i3" not in names(after)


def test_what_followed_before_is_recommended_to_the_next_person(engine: Engine) -> None:
    engine.ingest([item(f"i{k}") for k in range(50)])  # without vectors: counts alone
    for person in range(5):
        engine.ingest([click(f"p{person}", "i7", NOW), click(f"p{person}", "i40", NOW + 1)])
    engine.ingest([click("ann", "i7", NOW + 2)])
    best = ask(engine, "ann", limit=1).items[0]
    assert best.item == "i40"
    assert {"transitions", "neighbours"} <= set(best.sources)
    assert best.features["transitions"] > 0


def test_people_in_one_call_get_the_lists_that_they_get_alone(engine: Engine) -> None:
    with_circle(engine)
    engine.ingest([click(f"p{k}", f"i{k}") for k in range(4)])
    queries = [Query(user=f"p{k}", time=NOW + 1, limit=5) for k in (0, 1, 2, 3, 9, 0)]
    together = engine.recommend_many(queries)
    assert [names(slate) for slate in together] == [names(engine.recommend(query)) for query in queries]
    assert [slate.user for slate in together] == ["p0", "p1", "p2", "p3", "p9", "p0"]


def test_a_stranger_and_nobody_get_the_same_list(engine: Engine) -> None:
    with_circle(engine)
    engine.ingest([click("ann", "i4"), click("bob", "i4")])
    assert names(ask(engine, "stranger")) == names(ask(engine, None))
    popularity = {one.item: one.features["popularity"] for one in ask(engine, None).items}
    assert popularity.pop("i4") == pytest.approx(math.log(3), abs=1e-3)  # of two clicks, just now
    assert set(popularity.values()) == {0.0}


def test_an_empty_engine_answers_with_an_empty_list(engine: Engine) -> None:
    slate = ask(engine, "ann", explain_removed=True)
    assert (slate.items, slate.removed, slate.retrieved, slate.as_of) == ([], [], 0, 0)
    assert search(engine, "anything") == []


def test_an_item_that_was_only_mentioned_is_never_shown(engine: Engine) -> None:
    engine.ingest([item("sent"), click("ann", "mentioned")])
    slate = ask(engine, "bob", explain_removed=True)
    assert names(slate) == ["sent"]
    assert [(one.item, one.removed) for one in slate.removed or []] == [("mentioned", "unavailable")]


def test_a_fresh_item_stands_before_an_older_one(engine: Engine) -> None:
    engine.ingest([item("old", time=NOW - 60 * DAY), item("new", time=NOW)])
    assert names(ask(engine)) == ["new", "old"]


def test_when_the_freshest_items_are_removed_the_next_take_their_places(engine: Engine) -> None:
    engine.ingest([item(f"i{k}", time=NOW - 500 + k) for k in range(300)])
    engine.ingest([Event(kind="item", item=f"i{k}", removed=True, time=NOW) for k in range(250, 300)])
    fresh = [one.item for one in ask(engine, limit=300).items if "fresh" in one.sources]
    assert sorted(fresh) == sorted(f"i{k}" for k in range(200, 250))


def test_the_same_query_can_be_asked_again(engine: Engine) -> None:
    query = Query(user="ann")
    with_circle(engine)
    engine.recommend(query)
    assert query.time is None  # and so, asked again, is answered for then


@pytest.mark.parametrize("limit", [0, -1, 1001])
def test_a_limit_that_makes_no_sense_is_refused(engine: Engine, limit: int) -> None:
    with pytest.raises(InvalidInput) as refused:
        engine.recommend(Query(limit=limit))
    assert (refused.value.field, refused.value.value) == ("limit", str(limit))


def test_a_condition_that_makes_no_sense_is_refused(engine: Engine) -> None:
    with pytest.raises(InvalidInput, match="either a value or a range"):
        engine.recommend(Query(where=(Condition("genre"),)))


# -- similar items -----------------------------------------------------------------------------------------------------


def test_similar_items_are_near_and_not_the_item_itself(engine: Engine) -> None:
    slate = with_circle(engine).similar("i3", Query(time=NOW, limit=2))
    assert set(names(slate)) == {"i2", "i4"}


@pytest.mark.parametrize("name", ["nothing", "mentioned", "removed"])
def test_of_what_was_not_sent_nothing_is_similar(engine: Engine, name: str) -> None:
    engine.ingest(
        [item("removed"), click("ann", "mentioned"), Event(kind="item", item="removed", removed=True, time=NOW)]
    )
    with pytest.raises(NotFound) as refused:
        engine.similar(name)
    assert refused.value.field == "item"


# -- searching ---------------------------------------------------------------------------------------------------------


def test_a_search_without_words_is_refused(engine: Engine) -> None:
    for words in (None, "", "  "):
        with pytest.raises(InvalidInput, match="words"):
            engine.search(Query(words=words))


def test_without_a_language_model_a_search_finds_the_words(engine: Engine) -> None:
    engine.ingest([item("a", title="storm at sea"), item("b", title="机器学习入门"), item("c", title="bread")])
    assert search(engine, "stormy SEA") == ["a"]
    assert search(engine, "学习") == ["b"]
    assert search(engine, "nothing like it") == []


def test_a_search_finds_the_words_and_what_they_mean(open_reading_engine: OpenEngine) -> None:
    engine = open_reading_engine()
    engine.ingest(
        [
            item("sea", title="A voyage across the ocean with whales"),
            item("bread", title="How to bake sourdough at home"),
            item("run", title="Running shoes for the trail"),
        ]
    )
    engine.wait_for_items()
    assert search(engine, "sourdough")[0] == "bread"
    assert search(engine, "ships and sailors")[0] == "sea"  # none of these words
    slate = engine.search(Query(words="sourdough", time=NOW))
    assert set(slate.items[0].sources) == {"words", "dense"}
    assert slate.items[0].features["words"] > 0


def test_a_search_is_ordered_for_the_person(open_reading_engine: OpenEngine) -> None:
    engine = open_reading_engine()
    engine.ingest(
        [
            item("python", title="Python guide"),
            item("snake", title="Python guide"),
            item("code", title="programming languages and software engineering"),
        ]
    )
    engine.ingest(
        [Event(kind="item", item="python", fields={"title": "Python guide", "about": "software programs"}, time=NOW)]
    )
    engine.wait_for_items()
    engine.ingest([click("ann", "code")])
    by_name = {
        one.item: one.features["personal"] for one in engine.search(Query(user="ann", words="guide", time=NOW)).items
    }
    assert by_name["python"] > by_name["snake"]


def test_a_search_shows_what_was_seen_unless_asked_not_to(engine: Engine) -> None:
    engine.ingest([item("a", title="storm"), click("ann", "a")])
    assert search(engine, "storm", "ann") == ["a"]
    assert search(engine, "storm", "ann", seen="ever") == []


def test_words_move_the_state_like_an_item(open_reading_engine: OpenEngine) -> None:
    engine = open_reading_engine()
    engine.ingest(
        [item("sea", title="ocean voyage"), item("bread", title="baking bread"), item("run", title="running")]
    )
    engine.wait_for_items()
    engine.ingest([Event(user="ann", action="search", words="cake recipes", time=NOW)])
    assert names(ask(engine, "ann"))[0] == "bread"
    engine.close()
    engine = open_reading_engine()
    engine.ingest([Event(user="ann", action="search", words="cakes", time=NOW + 1)])
    assert names(ask(engine, "ann"))[0] == "bread"


# -- the life of a folder ----------------------------------------------------------------------------------------------


def outputs(engine: Engine) -> list[Any]:
    engine.wait_for_items()
    return [
        [(one.item, pytest.approx(one.score, abs=1e-5)) for one in ask(engine, name).items]
        for name in ("ann", "bob", None)
    ]


def lived(engine: Engine, first: int, last: int) -> None:
    engine.ingest([click(("ann", "bob")[k % 2], f"i{k * k % 12}", NOW - 500 + k) for k in range(first, last)])


def test_a_folder_opened_again_goes_on_where_it_was(open_engine: OpenEngine) -> None:
    engine = with_circle(open_engine())
    lived(engine, 0, 30)
    before = outputs(engine)
    engine.close()
    engine = open_engine()
    assert (engine.parts.as_of, outputs(engine)) == (42, before)


def test_a_start_replays_only_what_the_snapshot_lacks(open_engine: OpenEngine, tmp_path: Path) -> None:
    engine = with_circle(open_engine(snapshot_every=20))
    for first in range(0, 20, 10):
        lived(engine, first, first + 10)
    before = outputs(engine)
    engine.snapshots.wait()
    image = crash_image(tmp_path / "data", tmp_path / "image")
    assert [path.name for path in (image / "snapshots").iterdir()] == [f"{22:016d}.npz"]
    again = open_engine("image")
    assert (again.snapshots.since, outputs(again)) == (10, before)


def test_what_is_derived_can_be_deleted(open_engine: OpenEngine, tmp_path: Path) -> None:
    engine = with_circle(open_engine())
    lived(engine, 0, 30)
    before = outputs(engine)
    engine.close()
    for path in (tmp_path / "data").iterdir():
        if path.name != "events.db":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert outputs(open_engine()) == before


def test_a_snapshot_outlives_no_version(open_engine: OpenEngine, tmp_path: Path) -> None:
    engine = with_circle(open_engine())
    lived(engine, 0, 30)
    engine.close()
    shutil.rmtree(tmp_path / "data" / "versions")
    engine = open_engine(actions={"click": {"weight": -1.0}, "buy": {"weight": 1.0}})
    engine.wait_for_items()
    assert engine.parts.version.name == "v0-0001"  # the same name, other weights
    assert not engine.parts.counts.totals.any()  # a click is not for an item any more
    assert (engine.parts.vectors_of([0], [Query(time=NOW)]) @ engine.parts.index.vector[:12].T).min() < 0


def test_other_weights_of_actions_are_another_version_and_a_rebuilding(open_engine: OpenEngine) -> None:
    engine = with_circle(open_engine())
    engine.ingest([click("ann", "i0"), click("ann", "i6", NOW + 1, action="view")])
    first = names(ask(engine, "ann"))[0]
    engine.close()
    engine = open_engine(actions={"view": {"weight": 3.0}, "click": {"weight": 0.1}})
    engine.wait_for_items()
    assert engine.parts.version.name == "v0-0002"
    assert first in ("i1", "i11")
    assert names(ask(engine, "ann"))[0] in ("i5", "i7")


def test_settings_say_how_much_what_is_popular_and_new_weighs(open_engine: OpenEngine) -> None:
    engine = open_engine()
    engine.ingest([item("old", time=NOW - 30 * DAY), item("new", time=NOW - DAY)])
    engine.ingest([click(f"u{k}", "old", NOW - k) for k in range(3)])
    assert names(ask(engine)) == ["new", "old"]
    engine.close()
    engine = open_engine(weights={"popularity": 1.0})
    assert engine.parts.version.name == "v0-0002"
    assert names(ask(engine)) == ["old", "new"]
    engine.close()
    weights = {"popularity": 1.0, "freshness": 5.0}
    engine = open_engine(weights=weights)
    assert names(ask(engine)) == ["new", "old"]
    engine.close()
    engine = open_engine(weights=weights, fresh_half_life_days=0.1)  # a day is ten half-lives
    assert names(ask(engine)) == ["old", "new"]
    engine.close()
    assert open_engine(weights=weights, fresh_half_life_days=0.1).parts.version.name == "v0-0004"


def test_what_sells_does_not_change_what_is_alike(open_engine: OpenEngine) -> None:
    engine = with_circle(open_engine())
    engine.ingest([click(f"u{k}", "i6", NOW - k) for k in range(9)])
    before = [(one.item, one.score) for one in engine.similar("i0", Query(time=NOW)).items]
    engine.close()
    engine = open_engine(weights={"popularity": 9.0})
    engine.wait_for_items()
    after = engine.similar("i0", Query(time=NOW)).items
    assert [(one.item, one.score) for one in after] == before


def test_what_was_done_before_counts_by_its_actions_where_it_may_be_shown_again(open_engine: OpenEngine) -> None:
    engine = with_circle(open_engine(seen="allow", weights={"again": 99.0}))
    engine.ingest([click("ann", "i2", action="buy"), click("ann", "i2", action="view"), click("ann", "i5")])
    found = {one.item: one for one in ask(engine, "ann", limit=12).items}
    assert [*found][:2] == ["i2", "i5"]
    assert found["i2"].features["again"] == pytest.approx(math.log1p(1.5 + 0.5))
    assert found["i5"].features["again"] == pytest.approx(math.log1p(1.0))
    assert "again" in found["i2"].sources
    assert {one.features["again"] for name, one in found.items() if name not in ("i2", "i5")} == {0.0}
    hiding = ask(engine, "ann", limit=12, seen="ever").items
    assert {one.features["again"] for one in hiding} == {0.0}


def test_what_a_person_hid_is_pushed_down_where_what_was_met_may_be_shown_again(open_engine: OpenEngine) -> None:
    engine = with_circle(open_engine(seen="allow", weights={"again": 9.0}))
    engine.ingest([click("ann", "i2"), click("ann", "i2", action="hide"), click("ann", "i5", action="hide")])
    found = {one.item: one.features["again"] for one in ask(engine, "ann", limit=12).items}
    assert found["i2"] == pytest.approx(math.log1p(1.0 - 0.5))
    assert found["i5"] == pytest.approx(-math.log1p(0.5))
    assert [*found][-1] == "i5"


def test_what_was_done_to_an_item_is_taken_back_with_it(open_engine: OpenEngine) -> None:
    engine = with_circle(open_engine(seen="allow", weights={"again": 9.0}))
    engine.ingest([click("ann", "i2", action="buy", id="bought"), click("ann", "i5")])
    engine.ingest([Event(kind="retraction", user="ann", target="bought")])
    assert {one.item: one.features["again"] for one in ask(engine, "ann", limit=12).items}["i2"] == 0.0


def test_the_setting_says_what_lists_hide_unless_the_query_does(open_engine: OpenEngine) -> None:
    engine = with_circle(open_engine(seen="allow"))
    engine.ingest([click("ann", "i0")])
    assert "i0" in names(ask(engine, "ann"))
    assert "i0" not in names(ask(engine, "ann", seen="ever"))
    engine.close()
    engine = open_engine()
    assert "i0" not in names(ask(engine, "ann"))
    assert "i0" in names(ask(engine, "ann", seen="allow"))


def test_the_events_of_an_action_no_longer_named_count_nothing(open_engine: OpenEngine) -> None:
    engine = with_circle(open_engine())
    engine.ingest([click("ann", "i0", action="share")])
    engine.close()
    engine = open_engine(actions={"click": {}})
    assert not engine.parts.vectors_of([0], [Query(time=NOW)]).any()
    assert "i0" not in names(ask(engine, "ann"))  # seen all the same
    assert engine.ingest([click("ann", "i1", action="share")]).refused[0].field == "action"


def test_a_second_process_is_refused_by_the_first_ones_pid(engine: Engine, tmp_path: Path) -> None:
    assert engine.parts.as_of == 0
    script = "import sys; from penchant import Engine; Engine.open(sys.argv[1], encoder='none')"
    command = [sys.executable, "-c", script, str(tmp_path / "data")]
    other = subprocess.run(command, capture_output=True, text=True, check=False)
    assert other.returncode == 1
    assert f"process {os.getpid()} has this data folder open" in other.stderr
    assert "ask it over HTTP" in other.stderr
    engine.close()
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_a_folder_that_could_not_be_opened_is_free_again(open_engine: OpenEngine, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no such folder"):
        open_engine(encoder=str(tmp_path / "not there"))
    engine = with_circle(open_engine())
    engine.close()
    (snapshot,) = (tmp_path / "data" / "snapshots").iterdir()
    whole = snapshot.read_bytes()
    snapshot.write_bytes(whole[:99])
    for _ in range(2):
        with pytest.raises(Exception, match="Delete the file"):
            open_engine()
    snapshot.unlink()
    assert len(names(ask(open_engine()))) == 12


def test_closing_while_an_event_is_written_but_not_applied_loses_nothing(open_engine: OpenEngine) -> None:
    engine = with_circle(open_engine())
    engine.write([engine.accept([click("ann", "i3")])])
    engine.close()
    assert "i3" not in names(ask(open_engine(), "ann"))


def test_counts_that_were_being_rebuilt_at_a_kill_are_rebuilt_at_the_start(
    open_engine: OpenEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = open_engine(neighbours=8)
    engine.ingest([click(f"p{k}", name, NOW + k) for k in range(12) for name in ("i0", f"i{k + 1}")])
    monkeypatch.setattr(engine.parts, "rebuild_counts", lambda: None)  # the thread gets no time before the kill
    (proof,) = engine.ingest([Event(kind="erasure", user="p3", time=NOW)]).erased
    assert proof.counts == "rebuilding"
    crash_image(tmp_path / "data", tmp_path / "image")
    again = open_engine("image", neighbours=8)
    assert again.parts._rebuilding is not None
    again.parts._rebuilding.join()
    assert not again.parts.counts.inexact
    assert again.parts.counts.totals[again.parts.log.items.get("i0")] == 11


def vector(engine: Engine, name: str) -> np.ndarray:
    engine.wait_for_items()
    return engine.parts.index.vector[engine.parts.log.items.get(name)].copy()


def test_texts_that_a_snapshot_found_unread_are_read_at_the_next_start(open_engine: OpenEngine, tmp_path: Path) -> None:
    engine = with_circle(open_engine())
    edited, new = item("i3", -0.6, 0.8), item("new", 0.0, 1.0)
    with engine.lock:  # texts can be read, but not placed
        engine.ingest([edited, new])
        engine.snapshot()
        crash_image(tmp_path / "data", tmp_path / "image")
    again = open_engine("image")
    for name in ("i3", "new"):
        np.testing.assert_array_equal(vector(again, name), vector(engine, name))
        assert vector(again, name).any()


@pytest.mark.parametrize("later", [item("i3", -0.6, 0.8), Event(kind="item", item="i3", removed=True, time=NOW)])
def test_a_catalogue_ahead_of_its_snapshot_changes_nothing(
    open_engine: OpenEngine, tmp_path: Path, later: Event
) -> None:
    engine = open_engine()
    with engine.lock:
        engine.ingest(circle(12))
        engine.snapshot()  # with nothing read
        engine.ingest([click("ann", f"i{k % 5}", NOW + k) for k in range(70)])  # into the checkpoint as they were sent
        engine.ingest([later, item("after", 1.0, 1.0)])
        crash_image(tmp_path / "data", tmp_path / "image")
    again = open_engine("image")
    assert vector(again, "after").any()
    np.testing.assert_array_equal(vector(again, "i3"), vector(engine, "i3"))
    for one in (engine, again):
        one.parts.states.settle([0])
    np.testing.assert_allclose(again.parts.states.store.now[0], engine.parts.states.store.now[0], atol=1e-4)
    assert outputs(again) == outputs(engine)


# -- a catalogue that grows --------------------------------------------------------------------------------------------


def test_a_grown_catalogue_gets_a_fitted_version_and_rebuilding_equals_living_it(
    open_reading_engine: OpenEngine,
) -> None:
    kinds = ("sea voyage", "bread recipe", "running shoe", "space travel")
    films = [item(f"i{k}", title=f"{kinds[k % 4]} number {k}", time=NOW - DAY) for k in range(260)]
    engine = open_reading_engine()
    engine.ingest(films[:200])
    lived(engine, 0, 20)
    engine.wait_for_items()
    assert engine.parts.version.manifest.fitted_on == 0
    engine.ingest(films[200:])
    engine.wait_for_items()
    assert engine.parts.version.name == "v0-0002"
    assert engine.parts.version.manifest.fitted_on >= 256
    lived(engine, 20, 40)
    before = outputs(engine)
    engine.rebuild()
    assert outputs(engine) == before
    engine.close()
    engine = open_reading_engine()
    assert engine.parts.version.name == "v0-0002"
    assert outputs(engine) == before


# -- many threads ------------------------------------------------------------------------------------------------------


def test_events_of_two_threads_are_applied_in_log_order(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    written, go_on, write = threading.Event(), threading.Event(), engine.write

    def slow(batches: Any, source: Any = None) -> None:
        write(batches, source)
        if threading.current_thread() is first:
            written.set()
            go_on.wait(1)

    monkeypatch.setattr(engine, "write", slow)
    first = threading.Thread(target=engine.ingest, args=([click("ann", "i0", NOW)],))
    first.start()
    assert written.wait(30)
    receipt = engine.ingest([click("ann", "i1", NOW + 1)])
    go_on.set()
    first.join()
    assert ask(engine, "ann").as_of == receipt.as_of == 2
    assert engine.parts.counts.transitions.ids[engine.parts.counts.transitions.start[0]] == 1


def test_many_threads_may_ask_while_others_send(engine: Engine) -> None:
    with_circle(engine)
    failures: list[BaseException] = []

    def work(turn: int) -> None:
        try:
            for k in range(30):
                receipt = engine.ingest([click(f"p{turn}", f"i{(k + turn) % 12}", NOW + k)])
                slate = ask(engine, f"p{turn}", time=NOW + 99)
                assert receipt.accepted == 1
                assert f"i{(k + turn) % 12}" not in names(slate)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(turn,)) for turn in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert engine.parts.counts.totals[:12].tolist() == [4] * 12
    assert engine.parts.log.end == 12 + 120


def test_the_readme_example_works(tmp_path: Path) -> None:
    with Engine.open(tmp_path, encoder="none") as engine:
        engine.ingest([Item(id="alien", fields={"title": "Alien", "year": 1979}).event()])
        engine.ingest([Event(user="ann", action="click", item="alien")])
        assert engine.recommend(Query(user="ann", limit=10)).items == []
        assert names(engine.recommend(Query(user="bob"))) == ["alien"]
        assert math.isfinite(engine.recommend(Query(user="bob")).items[0].score)


def test_a_failing_disk_is_said_and_nothing_of_the_batch_is_kept(engine: Engine) -> None:
    with_circle(engine)
    log = engine.parts.log
    pages = log._write.execute("PRAGMA page_count").fetchone()[0]
    log._write.execute(f"PRAGMA max_page_count={pages + 4}")
    with pytest.raises(Unavailable, match="Free disk space"):
        engine.ingest([click("ann", "i0", words="long " * 99, id=f"e{k}") for k in range(500)])
    assert ask(engine, "ann").as_of == 12
    log._write.execute("PRAGMA max_page_count=1000000")
    assert engine.ingest([click("ann", "i0")]).as_of == 13
    assert np.isfinite(engine.parts.vectors_of([0], [Query(time=NOW)])).all()
