"""The log: what is committed stays, once, in order; what is about other events; who may hold it."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penchant import Event
from penchant.errors import Corrupt, Unavailable
from penchant.storage import event_log
from penchant.storage.checkpoints import checkpoint
from penchant.storage.event_log import EventLog
from penchant.storage.log_reading import Logged
from tests.conftest import NOW, click, temporary_folder

OpenLog = Callable[..., EventLog]


@pytest.fixture
def open_log(tmp_path: Path) -> Iterator[OpenLog]:
    opened: list[EventLog] = []

    def open_(name: str = "log", **options: str) -> EventLog:
        opened.append(EventLog(tmp_path / name, **options))  # type: ignore[arg-type]
        return opened[-1]

    yield open_
    for log in opened:
        log.close()


@pytest.fixture
def log(open_log: OpenLog) -> EventLog:
    return open_log()


def clicks(user: str, *items: str) -> list[Event]:
    return [click(user, name, NOW + k, id=f"{user}-{name}") for k, name in enumerate(items)]


def item_sent(name: str) -> Event:
    return Event(kind="item", item=name, time=NOW, id=f"item-{name}")


def retract(target: str, **more: str) -> Event:
    return Event(kind="retraction", target=target, time=NOW, id=f"retract-{target}", **more)


def join(session: str, user: str) -> Event:
    return Event(kind="alias", session=session, user=user, time=NOW, id=f"{session}-is-{user}")


def erase(user: str) -> Event:
    return Event(kind="erasure", user=user, time=NOW, id=f"erase-{user}")


def items_of(log: EventLog, user: str, upto: int = 2**62, last: int = -1) -> list[str]:
    person = log.person(log.people.get(user), upto)
    return [log.items.name(number) for number in log.history(log.joined(person, upto), upto, last).item.tolist()]


# -- what was appended is replayed -------------------------------------------------------------------------------------

TEXT = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=6)
EVENTS = st.one_of(
    st.builds(
        Event,
        id=TEXT,
        user=TEXT,
        action=st.sampled_from(("click", "buy")),
        item=st.none() | TEXT,
        words=st.none() | TEXT,
        value=st.none() | st.floats(-1e15, 1e15),
        time=st.floats(0, 2e9),
        context=st.dictionaries(TEXT, st.one_of(TEXT, st.booleans(), st.floats(-9, 9)), max_size=2),
    ),
    st.builds(
        Event,
        kind=st.just("item"),
        id=TEXT,
        item=TEXT,
        fields=st.dictionaries(TEXT, st.one_of(TEXT, st.lists(TEXT, max_size=2), st.integers(-9, 9)), max_size=3),
        vectors=st.dictionaries(TEXT, st.lists(st.floats(-9, 9), min_size=1, max_size=3), max_size=2),
        available=st.none() | st.booleans(),
        removed=st.booleans(),
        time=st.floats(0, 2e9),
    ),
    st.builds(
        Event,
        kind=st.just("impression"),
        id=TEXT,
        user=TEXT,
        slate=st.lists(TEXT, min_size=1, max_size=3),
        time=st.floats(0, 2e9),
    ),
)


@given(events=st.lists(EVENTS, max_size=12, unique_by=lambda event: event.id))
@settings(max_examples=50)
def test_what_was_appended_is_replayed_after_a_reopening(events: list[Event]) -> None:
    with temporary_folder() as folder:
        log = EventLog(folder)
        outcomes = log.append(events)
        log.close()
        log = EventLog(folder)
        replayed = [one for batch in log.replay(batch=5) for one in batch]
        log.close()
    assert [one.event for one in replayed] == events
    assert [one[:4] for one in replayed] == [outcome[:4] for outcome in outcomes]
    assert [one.offset for one in replayed] == list(range(1, len(events) + 1))


def test_numbers_are_given_in_the_order_of_meeting(log: EventLog) -> None:
    log.append([*clicks("ann", "x", "y"), *clicks("bob", "x")])
    assert [log.people.get(name) for name in ("ann", "bob", "cyd")] == [0, 1, -1]
    assert [log.items.name(number) for number in (0, 1)] == ["x", "y"]


def test_history_gives_the_last_interactions_in_log_order(log: EventLog) -> None:
    log.append([item_sent("x"), *clicks("ann", "x", "y", "z"), *clicks("bob", "x")])
    assert items_of(log, "ann") == ["x", "y", "z"]
    assert items_of(log, "ann", last=2) == ["y", "z"]
    assert items_of(log, "ann", upto=3) == ["x", "y"]


def test_interactions_of_everybody_stand_as_they_stood(log: EventLog) -> None:
    log.append(
        [*clicks("s", "x"), *clicks("ann", "y"), item_sent("z"), retract("ann-y"), join("s", "ann"), *clicks("s", "w")]
    )

    def seen(upto: int) -> list[tuple[str, str]]:
        return [
            (log.people.name(person), log.items.name(number))
            for people, events in log.interactions(0, upto, batch=1)
            for person, number in zip(people.tolist(), events.item.tolist(), strict=True)
        ]

    assert seen(3) == [("s", "x"), ("ann", "y")]
    assert seen(4) == [("s", "x")]
    assert seen(6) == [("ann", "x"), ("ann", "w")]


def test_words_are_read_by_offset(log: EventLog) -> None:
    log.append([Event(user="ann", action="search", words="red shoes", time=NOW, id="a"), *clicks("ann", "x")])
    assert log.words(1) == "red shoes"
    assert log.words(2) is None
    assert log.words(99) is None


# -- once --------------------------------------------------------------------------------------------------------------


def test_an_id_is_taken_once_in_seven_days_and_again_after(log: EventLog, monkeypatch: pytest.MonkeyPatch) -> None:
    day = 86_400.0
    clock = [20_000 * day]
    monkeypatch.setattr(event_log.time, "time", lambda: clock[0])
    event, taken = clicks("ann", "x")[0], []
    for days in (0, 1, 6, 7, 8):
        clock[0] = (20_000 + days) * day
        log.append([click("bob", "y", id=f"day {days}")])  # opens the day's table, and lets the oldest go
        taken.append(isinstance(log.append([event])[0], Logged))
    assert taken == [True, False, False, True, False]
    assert len(log._days) <= event_log.DEDUPLICATION_DAYS


def test_rows_of_an_import_are_remembered_with_the_events(open_log: OpenLog) -> None:
    log = open_log()
    assert log.rows_imported(b"file") == 0
    log.append(clicks("ann", "x"), source=(b"file", 100))
    log.append(clicks("ann", "y"), source=(b"file", 200))
    log.close()
    log = open_log()
    assert (log.rows_imported(b"file"), log.rows_imported(b"other file")) == (200, 0)


# -- all or nothing ----------------------------------------------------------------------------------------------------


def test_a_batch_that_the_disk_refuses_is_not_kept_and_the_log_lives_on(log: EventLog) -> None:
    log.append(clicks("ann", "x"))
    pages = log._write.execute("PRAGMA page_count").fetchone()[0]
    log._write.execute(f"PRAGMA max_page_count={pages + 4}")
    with pytest.raises(Unavailable) as refused:
        log.append([click("bob", f"i{k}", id=f"b{k}", words="long " * 99) for k in range(500)])
    assert "Free disk space" in refused.value.way_out
    assert (log.end, log.people.get("bob"), len(log.items)) == (1, -1, 1)
    log._write.execute("PRAGMA max_page_count=1000000")
    assert [outcome.offset for outcome in log.append(clicks("bob", "y")) if isinstance(outcome, Logged)] == [2]
    assert items_of(log, "bob") == ["y"]


def test_a_batch_that_cannot_be_written_down_is_not_kept_either(log: EventLog) -> None:
    with pytest.raises(UnicodeEncodeError):
        log.append([*clicks("ann", "x"), click("b\ud800b", "y", id="broken")])
    assert (log.end, log.people.get("ann")) == (0, -1)
    assert isinstance(log.append(clicks("ann", "x"))[0], Logged)


# -- retraction --------------------------------------------------------------------------------------------------------


def test_a_retracted_event_leaves_the_history_from_there_on(log: EventLog) -> None:
    outcomes = log.append([*clicks("ann", "x", "y"), retract("ann-x")])
    assert outcomes[2].target == 1  # type: ignore[union-attr]
    assert items_of(log, "ann", upto=2) == ["x", "y"]
    assert items_of(log, "ann") == ["y"]


def test_what_is_not_there_cannot_be_retracted(log: EventLog) -> None:
    log.append([item_sent("x")])
    assert log.append([retract("ann-x")]) == ["unknown target"]
    assert log.append([Event(kind="retraction", target="x", user="ann", time=NOW, id="r")]) == ["unknown target"]


def test_an_event_without_an_entry_in_the_window_is_retracted_by_its_user(log: EventLog) -> None:
    log.append(clicks("ann", "x"), source=(b"file", 1))  # an import enters none
    assert log.append([retract("ann-x")]) == ["unknown target"]
    assert isinstance(log.append([Event(kind="retraction", target="ann-x", user="ann", time=NOW, id="r")])[0], Logged)
    assert items_of(log, "ann") == []


# -- alias -------------------------------------------------------------------------------------------------------------


def test_a_session_and_its_person_are_one_from_the_alias_on(open_log: OpenLog) -> None:
    log = open_log()
    log.append([*clicks("s", "x"), *clicks("ann", "y"), join("s", "ann"), *clicks("s", "z")])
    for _ in range(2):
        assert items_of(log, "ann") == items_of(log, "s") == ["x", "y", "z"]
        assert items_of(log, "ann", upto=2) == ["y"]
        log.close()
        log = open_log()


def test_sessions_of_sessions_are_the_same_person(log: EventLog) -> None:
    log.append([*clicks("s1", "x"), *clicks("s2", "y"), join("s1", "s2"), join("s2", "ann"), *clicks("s1", "z")])
    assert items_of(log, "ann") == ["x", "y", "z"]


def test_an_alias_twice_is_a_duplicate_and_of_another_person_is_refused(log: EventLog) -> None:
    again = Event(kind="alias", session="s", user="ann", time=NOW, id="again")
    other = Event(kind="alias", session="s", user="bob", time=NOW, id="other")
    back = Event(kind="alias", session="ann", user="s", time=NOW, id="back")
    assert isinstance(log.append([join("s", "ann")])[0], Logged)
    assert log.append([again, other, back]) == ["duplicate", "session taken", "duplicate"]


# -- erasure -----------------------------------------------------------------------------------------------------------


def test_an_erasure_takes_out_all_of_a_person_and_nothing_of_others(log: EventLog) -> None:
    log.append([*clicks("s", "x"), *clicks("ann", "y"), *clicks("bob", "x"), join("s", "ann"), retract("ann-y")])
    (outcome,) = log.append([erase("s")])
    assert isinstance(outcome, Logged)
    assert outcome.erased is not None
    assert (outcome.events, outcome.erased.item.tolist()) == (4, [0])  # two clicks, alias, retraction; x still stood
    assert [log.people.get(name) for name in ("ann", "s")] == [-1, -1]
    kept = [one.event for batch in log.replay() for one in batch]
    assert [event.user for event in kept if event.kind == "interaction"] == ["bob"]
    assert [event.kind for event in kept] == ["interaction", "erasure"]


def test_a_name_that_comes_and_goes_in_one_batch_is_written_nowhere(open_log: OpenLog, tmp_path: Path) -> None:
    log = open_log()
    log.append([*clicks("erased-name", "x"), erase("erased-name"), *clicks("erased-name", "y")])
    again = Event(kind="erasure", user="erased-name", time=NOW, id="again")
    log.append([again, erase("never-was-there")])
    for _ in range(2):
        assert log.people.get("erased-name") == -1
        found = b"".join(path.read_bytes() for path in (tmp_path / "log").iterdir())
        assert b"erased-name" not in found
        assert b"never-was-there" not in found
        log.close()
        log = open_log()


def test_an_erased_id_may_be_sent_again_in_the_same_batch(log: EventLog) -> None:
    first = clicks("ann", "x")
    log.append(first)
    outcomes = log.append([erase("ann"), *first, *first])
    assert [isinstance(outcome, Logged) for outcome in outcomes] == [True, True, False]
    assert items_of(log, "ann") == ["x"]


def test_an_erased_id_may_be_sent_again(log: EventLog) -> None:
    log.append([*clicks("ann", "x"), erase("ann")])
    assert isinstance(log.append(clicks("ann", "x"))[0], Logged)
    assert items_of(log, "ann") == ["x"]
    assert log.people.get("ann") == 1  # a new number: nothing leads to the old one


# -- who may hold it ---------------------------------------------------------------------------------------------------


def test_a_second_holder_is_refused_by_the_first_ones_pid(log: EventLog, tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from penchant.storage.event_log import EventLog;"
        "EventLog(Path(sys.argv[1]))"
    )
    other = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "log")], capture_output=True, text=True, check=False
    )
    assert other.returncode != 0
    assert "Unavailable" in other.stderr
    assert f"process {os.getpid()} has this data folder open" in other.stderr
    with pytest.raises(Unavailable):
        EventLog(tmp_path / "log")


def test_a_log_of_another_format_is_refused(open_log: OpenLog, tmp_path: Path) -> None:
    open_log().close()
    connection = sqlite3.connect(tmp_path / "log" / "events.db")
    connection.execute("PRAGMA user_version=99")
    connection.close()
    for _ in range(2):  # a log that was refused is let go of
        with pytest.raises(Corrupt, match="format is 99"):
            EventLog(tmp_path / "log")


def test_a_file_that_is_no_log_is_refused(tmp_path: Path) -> None:
    (tmp_path / "events.db").write_bytes(b"something else, and long enough " * 99)
    for _ in range(2):
        with pytest.raises(Corrupt, match="not a log"):
            EventLog(tmp_path)


def test_actions_keep_their_numbers_when_the_first_batch_fails(log: EventLog) -> None:
    log.number_actions(["view", "click"])
    with pytest.raises(UnicodeEncodeError):
        log.append([click("b\ud800b", "y", id="broken")])
    log.append(clicks("ann", "x"))
    assert [log.actions.name(number) for number in range(len(log.actions))] == ["view", "click"]


@pytest.mark.parametrize(("durability", "synchronous"), [("process", 1), ("power", 2)])
def test_durability_is_what_sqlite_is_told(open_log: OpenLog, durability: str, synchronous: int) -> None:
    log = open_log(durability=durability)
    assert log._write.execute("PRAGMA synchronous").fetchone() == (synchronous,)
    assert log._write.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    log.append(clicks("ann", "x"))
    assert items_of(log, "ann") == ["x"]


def test_missing_values_are_nan_in_a_history(log: EventLog) -> None:
    log.append([click("ann", "x", value=2.5, id="a"), Event(user="ann", action="search", words="w", time=NOW, id="b")])
    past = log.history([0], log.end)
    assert past.item.tolist() == [0, -1]
    assert past.words.tolist() == [0, 1]
    np.testing.assert_array_equal(past.value, np.array([2.5, np.nan], np.float32))


# -- checkpoints -------------------------------------------------------------------------------------------------------


def test_a_wal_that_the_disk_refuses_to_write_is_told_and_kept(log: EventLog, caplog: pytest.LogCaptureFixture) -> None:
    log.append(clicks("ann", "x"))
    reading = sqlite3.connect(f"{log.path.as_uri()}?mode=ro", uri=True)
    assert not checkpoint(reading, "TRUNCATE")
    reading.close()
    assert "could not be written into the log" in caplog.text
    assert log.sizes()[1] > 0
    assert items_of(log, "ann") == ["x"]


def test_a_wal_is_given_back_when_asked_for(log: EventLog) -> None:
    log.append(clicks("ann", "x"))
    assert log.sizes()[1] > 0
    log.give_back()
    while log.sizes()[1]:
        time.sleep(0.01)
    assert items_of(log, "ann") == ["x"]
