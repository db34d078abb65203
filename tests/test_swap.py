"""Going over to another version while people ask: nothing is lost, nothing is mixed, and what is foreign stays out."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path

import pytest

from penchant import Event, Slate
from penchant.beside import Beside
from penchant.engine import Engine
from penchant.errors import Corrupt
from penchant.models import versions
from penchant.models.versions import STATES, use_version
from penchant.storage.event_log import EventLog
from penchant.storage.state_store import read_snapshot
from tests.conftest import NOW, ask, click, item

LATER = NOW + 86_400.0
PEOPLE = ("u0", "u1", "u2", "somebody new")
Lists = dict[str, dict[str, float]]


def lists(engine: Engine) -> Lists:
    """By person, the score of every item in the list."""
    return {who: scores(ask(engine, who, time=LATER)) for who in PEOPLE}


def scores(slate: Slate) -> dict[str, float]:
    return {one.item: one.score for one in slate.items}


def assert_same(found: Lists, expected: Lists) -> None:
    assert found.keys() == expected.keys()
    for who, one in found.items():
        assert one == pytest.approx(expected[who], abs=1e-4), who


def in_use(folder: Path, number: str) -> None:
    use_version(folder / "versions", number)


@contextmanager
def fresh(folder: Path, number: str, into: Path) -> Iterator[Engine]:
    """An engine that folds the log of a folder from its beginning under one version."""
    shutil.copytree(folder, into, ignore=shutil.ignore_patterns("lock", "snapshots", STATES))
    in_use(into, number)
    with Engine.open(into) as engine:
        engine.wait_for_items()
        yield engine


def until(holds: object) -> None:
    """Wait for something that a thread is about to do; the test says what when it never comes."""
    end = time.monotonic() + 30
    while not holds() and time.monotonic() < end:  # type: ignore[operator]
        time.sleep(0.02)


# -- the law -----------------------------------------------------------------------------------------------------------


def test_lists_asked_during_swaps_are_each_of_one_version_and_of_their_moment(trained: Path, tmp_path: Path) -> None:
    """Every list equals what an engine says that never knew another version and stands at the same event."""
    later = [click(f"u{k % 3}", f"i{(k * 5) % 40}", NOW + 50_000 + k) for k in range(10)]
    expected: dict[tuple[str, int], Lists] = {}
    for number in ("0001", "0002"):
        with fresh(trained, number, tmp_path / number) as engine:
            expected[engine.parts.version.name, engine.parts.as_of] = lists(engine)
            for event in later:
                engine.ingest([event])
                expected[engine.parts.version.name, engine.parts.as_of] = lists(engine)
    slates = asked_during_swaps(trained, later)
    assert {slate.version for slate in slates} == {"v0-0001", "small-0002"}
    assert len({slate.as_of for slate in slates}) > 2
    for slate in slates:
        assert scores(slate) == pytest.approx(expected[slate.version, slate.as_of][slate.user or ""], abs=1e-4)


def asked_during_swaps(folder: Path, later: list[Event]) -> list[Slate]:
    """One thread asks, one goes over to and fro, and events come meanwhile."""
    slates: list[Slate] = []
    failed: list[BaseException] = []
    ended = threading.Event()

    def until_ended(act: object) -> None:
        try:
            while not ended.is_set():
                act()  # type: ignore[operator]
        except BaseException as error:
            failed.append(error)

    with Engine.open(folder) as engine:
        people, numbers = cycle(PEOPLE), cycle(("0002", "0001"))

        def go_over() -> None:
            in_use(folder, next(numbers))
            assert engine.use_chosen_version()

        acts = (lambda: slates.append(ask(engine, next(people), time=LATER)), go_over)
        threads = [threading.Thread(target=until_ended, args=(act,)) for act in acts]
        for thread in threads:
            thread.start()
        for event in later:
            assert engine.ingest([event]).accepted == 1
            time.sleep(0.2)
        ended.set()
        for thread in threads:
            thread.join()
    assert failed == []
    return slates


def test_after_a_swap_everything_is_as_if_the_version_had_been_in_use_from_the_beginning(
    trained: Path, tmp_path: Path
) -> None:
    with Engine.open(trained) as engine:
        engine.ingest([item("new", 0.0, 1.0), click("u0", "new", NOW + 50_000), click("nova", "i3", NOW + 50_001)])
        engine.wait_for_items()
        in_use(trained, "0002")
        assert engine.use_chosen_version()
        assert not engine.use_chosen_version()
        engine.ingest([click("u1", "new", NOW + 50_002)])
        found = lists(engine)
    with fresh(trained, "0002", tmp_path / "fresh") as other:
        assert_same(found, lists(other))


# -- starting under another version ------------------------------------------------------------------------------------


def test_a_swap_leaves_a_snapshot_of_the_new_version(trained: Path) -> None:
    with Engine.open(trained) as engine:
        in_use(trained, "0002")
        engine.use_chosen_version()
        written = read_snapshot(trained / "snapshots")
        assert written is not None
        assert (written[0], written[1]) == (engine.parts.as_of, "small-0002")


def test_a_start_under_another_version_than_the_snapshots_reads_no_event_again(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with fresh(trained, "0002", tmp_path / "fresh") as other:
        expected = lists(other)
    in_use(trained, "0002")
    replayed: list[int] = []
    replay = EventLog.replay

    def watched(log: EventLog, after: int = 0, *more: int) -> object:
        replayed.append(after)
        return replay(log, after, *more)

    monkeypatch.setattr(EventLog, "replay", watched)
    with Engine.open(trained) as engine:
        assert engine.parts.version.name == "small-0002"
        assert replayed == [engine.parts.log.end]
        written = read_snapshot(trained / "snapshots")
        assert written is not None
        assert written[1] == "small-0002"
        assert_same(lists(engine), expected)


def test_a_snapshot_of_a_version_that_is_gone_is_not_started_from(trained: Path, tmp_path: Path) -> None:
    in_use(trained, "0002")
    shutil.rmtree(trained / "versions" / "0001")
    with Engine.open(trained) as engine, fresh(trained, "0002", tmp_path / "fresh") as other:
        engine.wait_for_items()
        assert_same(lists(engine), lists(other))


# -- following ---------------------------------------------------------------------------------------------------------


def test_an_engine_that_follows_goes_over_by_itself_and_back(trained: Path) -> None:
    with Engine.open(trained) as engine:
        engine.follow_versions()
        for number, name in (("0002", "small-0002"), ("0001", "v0-0001")):
            in_use(trained, number)
            until(lambda name=name: ask(engine, "u0").version == name)
            assert ask(engine, "u0").version == name
        assert engine.warnings == []


def foreign(trained: Path, folder: Path) -> str:
    """An engine's folder with other items, into which the trained version was copied; its number there."""
    with Engine.open(folder, encoder="none") as engine:
        engine.ingest([item(f"other{k}", 1.0, float(k)) for k in range(40)])
        engine.wait_for_items()
    shutil.copytree(trained / "versions" / "0002", folder / "versions" / "0002")
    return "0002"


def test_a_version_that_was_trained_on_another_log_is_refused_by_name(trained: Path, tmp_path: Path) -> None:
    folder = tmp_path / "other"
    number = foreign(trained, folder)
    with Engine.open(folder, encoder="none") as engine:
        in_use(folder, number)
        with pytest.raises(Corrupt, match="trained on another log") as refused:
            engine.use_chosen_version()
        assert number in refused.value.value
        assert "penchant model use" in refused.value.way_out
        assert ask(engine, "u0").version == "v0-0001"


@pytest.mark.parametrize("gone", ["step.onnx", "manifest.json"])
def test_a_refused_version_is_a_warning_until_another_is_chosen_and_not_tried_again(
    trained: Path, gone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (trained / "versions" / "0002" / gone).unlink()
    with Engine.open(trained) as engine:
        tried: list[str] = []
        use = engine.parts.use_current
        monkeypatch.setattr(engine.parts, "use_current", lambda: tried.append("") or use())
        engine.follow_versions()
        until(lambda: tried)
        in_use(trained, "0002")
        until(lambda: engine.warnings)
        assert [gone in text and "0002" in text for text in engine.warnings] == [True]
        time.sleep(1.2)
        assert len(tried) == 2
        assert ask(engine, "u0").version == "v0-0001"
        in_use(trained, "0001")
        until(lambda: not engine.warnings)
        assert engine.warnings == []


# -- erasure -----------------------------------------------------------------------------------------------------------


def erase(user: str) -> Event:
    return Event(kind="erasure", user=user, time=LATER)


def states_left(folder: Path) -> list[Path]:
    return list((folder / "versions").glob(f"*/{STATES}"))


def test_an_erasure_leaves_no_published_states_and_the_swap_works_without(trained: Path, tmp_path: Path) -> None:
    assert states_left(trained)
    with Engine.open(trained) as engine:
        person = engine.parts.log.people.get("u0")
        engine.ingest([erase("u0")])
        assert states_left(trained) == []
        in_use(trained, "0002")
        assert engine.use_chosen_version()
        assert engine.parts.states.newest(person) == 0
        found = lists(engine)
    with fresh(trained, "0002", tmp_path / "fresh") as other:
        assert_same(found, lists(other))


def test_who_was_erased_while_a_swap_was_prepared_has_no_state_after_it(
    trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A session, too, that was joined and erased meanwhile: the log does not know it any more."""
    with Engine.open(trained) as engine:
        numbers = [engine.parts.log.people.get(name) for name in ("u0", "u1")]
        start_states = Beside.start_states

        def meanwhile(beside: Beside, upto: int) -> None:
            start_states(beside, upto)
            engine.ingest([Event(kind="alias", user="u0", session="u1", time=LATER), erase("u0")])

        monkeypatch.setattr(Beside, "start_states", meanwhile)
        in_use(trained, "0002")
        assert engine.use_chosen_version()
        assert [engine.parts.states.newest(number) for number in numbers] == [0, 0]
        assert all(not engine.parts.states.store.now[number].any() for number in numbers)


def test_states_that_were_folded_before_an_erasure_are_not_published_after_it(trained: Path) -> None:
    from penchant.learning.publish import publish
    from penchant.learning.recipe import derive
    from penchant.learning.source import Source

    recipe = derive("small")
    with Source(trained) as source:
        with Engine.open(trained) as engine:
            engine.ingest([erase("u0")])
        path = publish(trained / "versions", source, source.model(recipe), recipe, epochs=0, metrics={})
    assert states_left(trained) == []
    assert versions.read_manifest(path).name == f"small-{path.name}"
