"""A backup beside a server that works: whole or absent, and what is restored answers what the original answered."""

from __future__ import annotations

import json
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from penchant import Event, Query
from penchant.engine import Engine
from penchant.errors import Corrupt, InvalidInput, NotFound
from penchant.serving import backup as module
from penchant.serving import keys, tenant_folders
from penchant.serving.backup import back_up, restore
from penchant.serving.cli import run
from penchant.storage.event_log import EventLog
from tests.conftest import NOW, OpenEngine, ask, circle, click, names
from tests.serving.conftest import Server

PEOPLE = [f"u{k}" for k in range(8)]


def slates(engine: Engine) -> list[bytes]:
    """What the engine answers to everybody, to the last bit."""
    queries = [Query(user=user, time=NOW + 10**6, limit=30) for user in [*PEOPLE, None]]
    return [msgspec.json.encode(engine.recommend(query)) for query in queries]


def filled(folder: Path) -> Path:
    """A closed data folder with thirty items and what eight people did."""
    with Engine.open(folder, encoder="none") as engine:
        engine.ingest(circle(30))
        engine.ingest([click(PEOPLE[k % 8], f"i{k * 7 % 30}", NOW + k) for k in range(200)])
        engine.wait_for_items()
    (folder / "penchant.toml").write_text('encoder = "none"\nneighbours = 64\n', encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed data folder; to be read only."""
    return filled(tmp_path_factory.mktemp("original") / "data")


@contextmanager
def load(server: Server, acknowledged: list[int]) -> Iterator[threading.Event]:
    """Two senders that never rest; ``acknowledged``: offsets, as they come back. The event: that there are many."""
    stopping, enough = threading.Event(), threading.Event()

    def send(who: int) -> None:
        with httpx.Client(base_url=server.url, timeout=60) as http:
            for k in range(10**9):
                if stopping.is_set():
                    return
                sent = [
                    {"user": PEOPLE[(k + j) % 8], "action": "click", "item": f"i{(k * 5 + j * who) % 30}"}
                    for j in range(20)
                ]
                acknowledged.append(http.post("/v1/events", json=sent).json()["as_of"])
                if len(acknowledged) > 50:
                    enough.set()

    senders = [threading.Thread(target=send, args=(who,)) for who in (1, 2)]
    for sender in senders:
        sender.start()
    try:
        yield enough
    finally:
        stopping.set()
        for sender in senders:
            sender.join()


def lived_until(offset: int, folder: Path, into: Path) -> Engine:
    """An engine that lived what the log of a folder holds up to an offset."""
    log = EventLog(folder, read_only=True)
    events = [logged.event for batch in log.replay(0, offset) for logged in batch]
    log.close()
    engine = Engine.open(into, encoder="none", neighbours=64)
    engine.ingest(events)
    engine.wait_for_items()
    return engine


def test_all_that_was_acknowledged_before_is_in_it_and_lists_are_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PAGES", 16)
    folder = filled(tmp_path / "data")
    server, acknowledged, steps = Server(folder).ready(), list[int](), list[int]()

    def between_steps(file: str, done: int, of: int) -> None:
        """The server goes on while the log is copied, which does not begin anew for that."""
        if file == "events.db":
            steps.append(done)
            newest, patience = len(acknowledged), threading.Event()
            while len(acknowledged) == newest:
                patience.wait(0.001)

    try:
        with load(server, acknowledged) as enough:
            assert enough.wait(60)
            before = max(acknowledged)
            manifest = back_up(folder, tmp_path / "backup", between_steps)
    finally:
        server.stop()
    assert len(steps) > 2
    assert steps == sorted(set(steps))
    assert before <= manifest.offset <= max(acknowledged) + 40
    restore(tmp_path / "backup", tmp_path / "restored")
    with Engine.open(tmp_path / "restored") as restored:
        assert restored.parts.as_of == restored.parts.log.end == manifest.offset
        restored.wait_for_items()
        with lived_until(manifest.offset, folder, tmp_path / "lived") as lived:
            assert slates(restored) == slates(lived)


def test_a_closed_folder_comes_back_as_it_was(original: Path, tmp_path: Path) -> None:
    shutil.copytree(original, tmp_path / "data")
    manifest = back_up(tmp_path / "data", tmp_path / "backup")
    assert restore(tmp_path / "backup", tmp_path / "restored") == manifest
    with Engine.open(tmp_path / "data") as ours, Engine.open(tmp_path / "restored") as theirs:
        assert theirs.parts.settings.neighbours == 64
        assert theirs.parts.version.name == ours.parts.version.name
        assert slates(theirs) == slates(ours)
        theirs.ingest([click("new", "i0")])
        assert theirs.parts.as_of == manifest.offset + 1


def test_keys_come_along_and_nobody_else_can_read_them(original: Path, tmp_path: Path) -> None:
    key, text = keys.create(original, ["read"])
    back_up(original, tmp_path / "copy")
    restore(tmp_path / "copy", tmp_path / "back")
    assert keys.read(tmp_path / "back") == [key]
    for folder in ("copy", "back"):
        assert (tmp_path / folder / keys.FILE).stat().st_mode & 0o777 == 0o600
        assert text.encode() not in (tmp_path / folder / keys.FILE).read_bytes()


def test_what_is_derived_may_be_missing(original: Path, tmp_path: Path) -> None:
    """The log and the settings are enough: all else is built from them."""
    folder = tmp_path / "data"
    folder.mkdir()
    for name in ("events.db", "penchant.toml"):
        shutil.copy(original / name, folder / name)
    manifest = back_up(folder, tmp_path / "backup")
    assert set(manifest.files) == {"events.db", "penchant.toml"}
    restore(tmp_path / "backup", tmp_path / "restored")
    with Engine.open(original.parent / "data") as ours, Engine.open(tmp_path / "restored") as theirs:
        theirs.wait_for_items()
        assert names(ask(theirs, "u0")) == names(ask(ours, "u0"))


def test_who_is_erased_while_a_backup_reads_is_gone_from_the_wal_when_it_is_done(open_engine: OpenEngine) -> None:
    """A reader keeps the WAL from starting over; the erasure does not wait for it, and is made good for afterwards."""
    engine = open_engine()
    log = engine.parts.log
    engine.ingest([*circle(3), click("somebody-to-forget", "i0")])
    reading = sqlite3.connect(log.path, isolation_level=None)
    reading.execute("BEGIN")
    assert reading.execute("SELECT count(*) FROM events").fetchone() == (4,)
    for user in ("somebody-to-forget", "somebody-else"):
        assert engine.ingest([Event(kind="erasure", user=user)]).accepted == 1
    wal = log.path.with_name("events.db-wal")
    assert b"somebody-to-forget" in wal.read_bytes()
    assert reading.execute("SELECT count(*) FROM events").fetchone() == (4,)
    reading.close()
    patience = threading.Event()
    while log.sizes()[1]:
        patience.wait(0.01)
    assert b"somebody-to-forget" not in log.path.read_bytes() + wal.read_bytes()


# -- complete or absent ------------------------------------------------------------------------------------------------


def test_a_backup_that_fails_leaves_nothing_behind(
    original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(path: Path) -> int:
        raise OSError("no space left on the device")

    monkeypatch.setattr(module, "_offset", broken)
    with pytest.raises(OSError, match="no space"):
        back_up(original, tmp_path / "backup")
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_written_over(original: Path, tmp_path: Path) -> None:
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "letter").write_text("dear", encoding="utf-8")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidInput, match="something already"):
        back_up(original, tmp_path / "used")
    back_up(original, tmp_path / "empty")
    with pytest.raises(InvalidInput, match="something already"):
        restore(tmp_path / "empty", tmp_path / "used")
    assert [path.name for path in (tmp_path / "used").iterdir()] == ["letter"]
    with pytest.raises(NotFound, match="no log here"):
        back_up(tmp_path / "used", tmp_path / "other")


@pytest.mark.parametrize("name", ["events.db", "versions/0001/step.onnx", "penchant.toml"])
@pytest.mark.parametrize("harm", ["changed", "missing"])
def test_a_damaged_backup_is_refused_by_the_name_of_the_file(
    original: Path, tmp_path: Path, name: str, harm: str
) -> None:
    back_up(original, tmp_path / "backup")
    path = tmp_path / "backup" / name
    if harm == "missing":
        path.unlink()
    else:
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    with pytest.raises(Corrupt, match=name):
        restore(tmp_path / "backup", tmp_path / "restored")
    assert [one.name for one in tmp_path.iterdir()] == ["backup"]


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"format": 99}, "format is 99"),
        ({"files": {"../../outside": {"bytes": 0, "sha256": ""}}}, "outside"),
        ({"files": {"/etc/outside": {"bytes": 0, "sha256": ""}}}, "outside"),
        ({"files": {}}, "does not name events.db"),
        ({"offset": "seven"}, "cannot be read"),
    ],
)
def test_a_manifest_that_makes_no_sense_is_refused(
    original: Path, tmp_path: Path, changed: dict[str, Any], why: str
) -> None:
    back_up(original, tmp_path / "backup")
    path = tmp_path / "backup" / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changed), encoding="utf-8")
    with pytest.raises(Corrupt, match=why):
        restore(tmp_path / "backup", tmp_path / "restored")


def test_a_damaged_log_is_told_and_not_backed_up(original: Path, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    content = bytearray((original / "events.db").read_bytes())
    content[4096 : len(content) - 4096] = b"\xff" * (len(content) - 8192)
    (folder / "events.db").write_bytes(content)
    with pytest.raises(Corrupt, match="damaged"):
        back_up(folder, tmp_path / "backup")
    assert [one.name for one in tmp_path.iterdir()] == ["data"]


# -- the commands ------------------------------------------------------------------------------------------------------


def test_the_commands_say_what_they_did(original: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    to, restored = str(tmp_path / "backup"), str(tmp_path / "restored")
    assert run(["backup", to, "--data", str(original), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["offset"] == 230
    assert run(["restore", to, "--data", restored]) == 0
    assert "event 230" in capsys.readouterr().out
    assert run(["restore", to, "--data", restored]) == 2
    assert "is empty" in capsys.readouterr().err


# -- tenants -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def hosting(original: Path, tmp_path: Path) -> Path:
    """A folder with settings, a key, and three tenants, of which one was never asked."""
    folder = tmp_path / "hosting"
    for name in ("books", "films"):
        folder_of = tenant_folders.create(folder, name, "")
        shutil.copytree(original, folder_of, dirs_exist_ok=True)
    with Engine.open(folder / "tenants" / "films") as engine:
        engine.ingest([click("u1", "i3", NOW + 999)])
    tenant_folders.create(folder, "young", "neighbours = 32\n")
    (folder / "penchant.toml").write_text("max_open_tenants = 3\n", encoding="utf-8")
    keys.create(folder, ["read"], tenant="films")
    return folder


def test_all_tenants_come_back_with_keys_and_settings(hosting: Path, tmp_path: Path) -> None:
    with Engine.open(hosting / "tenants" / "films") as films:  # at work meanwhile
        manifest = back_up(hosting, tmp_path / "backup")
        expected = slates(films)
    assert (manifest.offset, manifest.tenants) == (0, {"books": 230, "films": 231, "young": 0})
    assert restore(tmp_path / "backup", tmp_path / "restored") == manifest
    for name in ("penchant.toml", "keys.json", "tenants/young/penchant.toml"):
        assert (tmp_path / "restored" / name).read_bytes() == (hosting / name).read_bytes()
    with Engine.open(tmp_path / "restored" / "tenants" / "films") as restored:
        assert slates(restored) == expected


def test_a_tenant_that_cannot_be_copied_leaves_no_backup_at_all(hosting: Path, tmp_path: Path) -> None:
    (hosting / "tenants" / "films" / "events.db").write_bytes(b"no database at all")
    with pytest.raises(Corrupt, match=r"events\.db is damaged"):
        back_up(hosting, tmp_path / "backup")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["hosting"]


def test_a_tenant_that_is_damaged_or_missing_in_a_backup_leaves_nothing_restored(hosting: Path, tmp_path: Path) -> None:
    back_up(hosting, tmp_path / "backup")
    (tmp_path / "backup" / "tenants" / "books" / "events.db").unlink()
    with pytest.raises(Corrupt, match=r"tenants/books/events\.db is missing"):
        restore(tmp_path / "backup", tmp_path / "restored")
    assert not (tmp_path / "restored").exists()


def test_a_tenant_that_is_removed_meanwhile_is_not_missed(hosting: Path, tmp_path: Path) -> None:
    def removing(file: str, done: int, of: int) -> None:
        if (hosting / "tenants" / "films").exists() and file == "events.db":
            tenant_folders.remove(hosting, "films")  # while the one before is copied

    manifest = back_up(hosting, tmp_path / "backup", removing)
    assert sorted(manifest.tenants) == ["books", "young"]
    assert not [name for name in manifest.files if "films" in name]


def test_the_command_tells_of_every_tenant(hosting: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["backup", str(tmp_path / "backup"), "--data", str(hosting)]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "3 tenants: books up to event 230, films up to event 231, young up to event 0." in told
