"""An engine that follows the log of another one: the same lists, at once; and its owner, once that is gone."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from penchant import Event, Query
from penchant.engine import Engine
from penchant.errors import InvalidInput, NotFound, Unavailable
from tests.conftest import NOW, OpenEngine, ask, circle, click, item, names, temporary_folder

Follow = Callable[..., Engine]


@pytest.fixture
def follow(open_engine: OpenEngine, tmp_path: Path) -> Follow:
    """Opens an engine that follows the one in the folder `data`, and has read all texts that are there."""

    def follow(name: str = "follower") -> Engine:
        engine = open_engine(name, follow=tmp_path / "data")
        engine.wait_for_items()
        return engine

    return follow


def fill(engine: Engine) -> Engine:
    engine.ingest(circle(12))
    engine.wait_for_items()
    engine.ingest([click(f"p{k}", f"i{(k + turn) % 12}", NOW - 99 + turn) for k in range(4) for turn in range(3)])
    return engine


def test_every_event_is_in_the_next_list_of_the_follower(engine: Engine, follow: Follow) -> None:
    fill(engine)
    other = follow()
    assert ask(other, "ann") == ask(engine, "ann")
    for k in range(12):
        receipt = engine.ingest([click("ann", f"i{k * 5 % 12}", NOW + k)])
        slate = ask(other, "ann")
        assert slate.as_of == receipt.as_of
        assert slate == ask(engine, "ann")
    assert other.similar("i3", Query(time=NOW)) == engine.similar("i3", Query(time=NOW))
    assert other.rank(["i1", "i7"], Query(user="ann", time=NOW)) == engine.rank(
        ["i1", "i7"], Query(user="ann", time=NOW)
    )


def test_new_items_people_and_actions_are_known_by_name(open_engine: OpenEngine, follow: Follow) -> None:
    engine = fill(open_engine())
    other = follow()
    engine.ingest([item("new", 1.0, 0.1, title="new"), click("zoe", "i0", NOW), click("zoe", "new", NOW, action="buy")])
    engine.wait_for_items()
    other.follow()
    other.wait_for_items()
    assert names(other.recommend(Query(user="bob", time=NOW, filter='title == "new"'))) == ["new"]
    assert "new" not in names(ask(other, "zoe"))
    assert other.search(Query(words="new", time=NOW)).items[0].item == "new"


EVENTS = st.lists(
    st.one_of(
        st.builds(
            lambda k, user, item, action: Event(id=f"e{k}", user=user, item=item, action=action, time=NOW + k),
            st.integers(0, 30),
            st.sampled_from(["ann", "bob", "s1"]),
            st.sampled_from([f"i{k}" for k in range(6)]),
            st.sampled_from(["click", "buy", "hide"]),
        ),
        st.builds(lambda k: Event(kind="retraction", target=f"e{k}", time=NOW + 50), st.integers(0, 30)),
        st.just(Event(kind="alias", session="s1", user="ann", time=NOW + 60)),
        st.builds(lambda user: Event(kind="erasure", user=user, time=NOW + 70), st.sampled_from(["ann", "bob", "s1"])),
        st.builds(lambda k: Event(kind="item", item=f"i{k}", removed=True, time=NOW + 80), st.integers(0, 5)),
        st.builds(lambda k: item(f"i{k}", 0.5, k / 9, time=NOW + 90), st.integers(0, 7)),
        st.builds(lambda age: Event(kind="user", user="ann", fields={"age": age}, time=NOW), st.integers(1, 90)),
    ),
    max_size=12,
)


@settings(max_examples=40, phases=[Phase.generate, Phase.explicit])
@given(batches=st.lists(EVENTS, max_size=4))
def test_following_is_living_it(batches: list[list[Event]]) -> None:
    with temporary_folder() as folder, Engine.open(folder / "a", encoder="none") as engine:
        engine.ingest(circle(6))
        engine.wait_for_items()
        with Engine.open(folder / "b", follow=folder / "a", encoder="none") as other:
            for batch in batches:
                engine.ingest(batch)
                engine.wait_for_items()
                other.follow()
                other.wait_for_items()
                for part in (engine.parts, other.parts):
                    if part._rebuilding is not None:
                        part._rebuilding.join()
                for user in ("ann", "bob", "s1"):
                    theirs, ours = ask(other, user, time=NOW + 200), ask(engine, user, time=NOW + 200)
                    assert names(theirs) == names(ours)
                    assert [one.score for one in theirs.items] == pytest.approx([one.score for one in ours.items])


def test_a_follower_takes_no_events_and_says_who_does(engine: Engine, follow: Follow) -> None:
    fill(engine)
    other = follow()
    with pytest.raises(Unavailable, match=r"takes no events.*Send them to the process that owns"):
        other.ingest([click("ann", "i1")])
    assert ask(other, "ann") == ask(engine, "ann")


def test_two_followers_need_folders_of_their_own(engine: Engine, follow: Follow) -> None:
    fill(engine)
    follow("one")
    with pytest.raises(Unavailable, match="has this data folder open"):
        follow("one")
    assert ask(follow("two"), "ann") == ask(engine, "ann")


def test_there_must_be_something_to_follow(open_engine: OpenEngine, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="there is no log here"):
        open_engine("follower", follow=tmp_path / "nowhere")


def test_a_follower_begins_with_what_is_derived_already(
    open_engine: OpenEngine, follow: Follow, tmp_path: Path
) -> None:
    engine = fill(open_engine())
    engine.snapshot()
    engine.ingest([click("ann", "i3", NOW)])
    other = follow()
    assert list((tmp_path / "follower" / "snapshots").glob("*.npz"))
    assert ask(other, "ann") == ask(engine, "ann")
    other.close()
    engine.ingest([click("ann", "i4", NOW + 1)])
    again = follow()  # on from its own snapshot
    assert ask(again, "ann") == ask(engine, "ann")


def test_nobody_is_taken_over_who_lives(engine: Engine, follow: Follow) -> None:
    fill(engine)
    other = follow()
    assert not other.take_over()
    engine.ingest([click("ann", "i1", NOW)])
    assert ask(other, "ann") == ask(engine, "ann")


def test_a_follower_takes_over_with_all_that_was_acknowledged(open_engine: OpenEngine, follow: Follow) -> None:
    engine = fill(open_engine())
    other = follow()
    engine.ingest([click("ann", "i1", NOW), Event(id="once", user="ann", action="click", item="i2", time=NOW)])
    before = ask(engine, "ann")
    engine.close()
    assert other.take_over()
    assert other.take_over()  # once more changes nothing
    assert ask(other, "ann") == before
    receipt = other.ingest(
        [click("ann", "i5", NOW + 1), Event(id="once", user="ann", action="click", item="i2", time=NOW)]
    )
    assert (receipt.accepted, receipt.duplicates) == (1, ["once"])
    assert "i5" not in names(ask(other, "ann"))
    with pytest.raises(Unavailable, match="has this data folder open"):
        open_engine()


def test_lists_and_events_at_once_never_go_back(engine: Engine, follow: Follow) -> None:
    fill(engine)
    other = follow()
    behind: list[tuple[int, int]] = []

    def read() -> None:
        for _ in range(150):
            acknowledged = done[-1]
            as_of = ask(other, "ann").as_of
            if as_of < acknowledged:
                behind.append((as_of, acknowledged))

    done = [engine.parts.as_of]
    thread = threading.Thread(target=read)
    thread.start()
    for k in range(150):
        done.append(engine.ingest([click("ann", f"i{k % 12}", NOW + k)]).as_of)
    thread.join()
    assert behind == []
    with pytest.raises(InvalidInput):
        other.recommend(Query(user="ann", limit=0))
