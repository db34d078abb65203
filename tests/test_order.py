"""Events are applied in the order of the log, whoever sends them and whatever interrupts the sender."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from penchant import Engine, Event, Query
from penchant.parts import Taken
from tests.conftest import NOW


def click(person: str, item: str, k: int) -> Event:
    return Event(id=f"{person}-{k}", user=person, action="click", item=item, time=NOW - 1000 + k)


def test_many_threads_that_send_at_once_leave_what_a_rebuild_makes(tmp_path: Path) -> None:
    with Engine.open(tmp_path, encoder="none", snapshot_every=7) as engine:

        def send(person: str) -> None:
            for k in range(40):
                engine.ingest([click(person, f"i{k % 9}", k)])

        threads = [threading.Thread(target=send, args=(f"p{n}",)) for n in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert engine.parts.as_of == 6 * 40
        lived = engine.parts.counts.totals[:9].tolist()
        engine.rebuild()
        assert engine.parts.counts.totals[:9].tolist() == lived == [6] * 9


def test_what_was_written_but_never_applied_is_applied_with_the_next_events(tmp_path: Path) -> None:
    with Engine.open(tmp_path, encoder="none") as engine:
        lost = engine.accept([click("ann", "a", 1)])
        engine.write([lost])  # and its sender is gone
        engine.ingest([click("ann", "b", 2)])
        assert engine.parts.as_of == 2
        assert sorted(engine.parts.counts.seen_by(0).tolist()) == [0, 1]
        assert engine.recommend(Query(user="ann", time=NOW)).user_as_of == 2


def test_applying_the_same_events_again_changes_nothing(tmp_path: Path) -> None:
    with Engine.open(tmp_path, encoder="none") as engine:
        batch = engine.accept([click("ann", "a", 1)])
        engine.write([batch])
        engine.apply([batch])
        engine.apply([batch])
        assert engine.parts.counts.totals[0] == 1
        assert engine.parts.states.store.ring.length[0] == 1


def test_a_snapshot_that_cannot_be_written_is_a_warning_and_the_events_are_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Engine.open(tmp_path, encoder="none", snapshot_every=1) as engine:

        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patched:
            patched.setattr(engine.parts, "save", full)
            assert engine.ingest([click("ann", "a", 1)]).accepted == 1
            engine.snapshots.wait()
        assert any("No space left" in warning for warning in engine.warnings)
        engine.ingest([click("ann", "b", 2)])
        engine.snapshots.wait()
        assert engine.warnings == []


def test_events_and_lists_go_on_while_a_snapshot_is_written_and_the_newest_is_what_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Engine.open(tmp_path, encoder="none", snapshot_every=1) as engine:
        written, go_on, save = [], threading.Event(), engine.parts.save

        def slow(taken: Taken) -> None:
            assert go_on.wait(30)
            written.append(taken.as_of)
            save(taken)

        monkeypatch.setattr(engine.parts, "save", slow)
        for k in range(1, 4):
            assert engine.ingest([click("ann", "a", k)]).as_of == k
            assert engine.recommend(Query(user="ann")).as_of == k
        go_on.set()
        engine.snapshots.wait()
        assert written[-1] == 3
        assert len(written) <= 2  # of those that waited, only the newest is written
        assert [path.name for path in (tmp_path / "snapshots").glob("*.npz")] == [f"{3:016d}.npz"]


def test_a_proof_of_erasure_comes_once_the_snapshot_has_forgotten(tmp_path: Path) -> None:
    with Engine.open(tmp_path, encoder="none") as engine:
        engine.ingest([click("ann", "a", 1), click("bob", "a", 2)])
        engine.snapshot()
        assert engine.ingest([Event(kind="erasure", user="ann")]).erased
        assert [path.name for path in (tmp_path / "snapshots").glob("*.npz")] == [f"{3:016d}.npz"]


def test_a_batch_that_fails_halfway_never_reaches_a_snapshot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Engine.open(tmp_path, encoder="none") as engine:
        engine.ingest([click("ann", "a", 1)])

        def interrupted(*_: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(engine.parts.counts, "add", interrupted)
        with pytest.raises(KeyboardInterrupt):
            engine.ingest([click("ann", "b", 2)])
        assert any("could not be applied" in warning for warning in engine.warnings)
    assert not list((tmp_path / "snapshots").glob("*.npz"))
    with Engine.open(tmp_path, encoder="none") as engine:
        assert sorted(engine.parts.counts.seen_by(0).tolist()) == [0, 1]


def test_a_folder_that_could_not_be_opened_can_be_opened_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from penchant.parts import Parts

    def broken(self: Parts) -> None:
        raise OSError("a snapshot that cannot be read")

    with monkeypatch.context() as patched:
        patched.setattr(Parts, "load", broken)
        with pytest.raises(OSError, match="cannot be read"):
            Engine.open(tmp_path, encoder="none")
    with Engine.open(tmp_path, encoder="none") as engine:
        assert engine.parts.as_of == 0
