"""The log of a server: lines that a machine reads, and nothing in them that anybody sent."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from penchant.models.cold_start import publish_version_0
from penchant.serving import logs
from tests.conftest import NOW, OpenEngine, circle, click
from tests.serving.conftest import Server


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """Where lines go; what was configured before is put back."""
    root, ours = logging.getLogger(), logging.getLogger("penchant")
    before = (root.handlers[:], root.level, ours.level, threading.excepthook)
    yield io.StringIO()
    root.handlers[:], root.level, ours.level, threading.excepthook = before
    ours.setLevel(before[2])
    logging.captureWarnings(False)


def parsed(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def nested() -> None:
    try:
        {}["secret"]
    except KeyError as error:
        raise ValueError("secret, too") from error


def test_a_line_is_json_with_what_belongs_to_it(written: io.StringIO) -> None:
    logs.configure("auto", "info", written)
    logging.getLogger("penchant").info("ready", extra={"as_of": 7})
    logging.getLogger("penchant").debug("not worth it")
    logging.getLogger("somebody.else").warning("%s of theirs", "a line")
    ready, theirs = parsed(written.getvalue())
    assert (ready["event"], ready["level"], ready["as_of"]) == ("ready", "info", 7)
    assert ready["timestamp"].endswith("Z")
    assert (theirs["event"], theirs["logger"]) == ("a line of theirs", "somebody.else")


def test_a_trace_says_where_and_what_kind_and_not_what_was_sent(written: io.StringIO) -> None:
    logs.configure("json", "info", written)
    try:
        nested()
    except ValueError:
        logging.getLogger("penchant").exception("a request failed")
    (line,) = parsed(written.getvalue())
    assert line["error"] == "ValueError"
    assert [step for step in line["trace"] if " " not in step] == ["KeyError", "ValueError"]
    assert any(step.endswith(" nested") and "test_logs.py:" in step for step in line["trace"])
    assert "secret" not in written.getvalue()


def test_for_people_a_line_is_text_with_the_trace_below_it(written: io.StringIO) -> None:
    logs.configure("text", "info", written)
    try:
        nested()
    except ValueError:
        logging.getLogger("penchant").exception("a request failed", extra={"status": 500})
    first, *trace = written.getvalue().splitlines()
    assert "a request failed" in first
    assert "status=500" in first
    assert trace[-1] == "ValueError"
    assert "secret" not in written.getvalue()


def test_a_thread_that_ends_is_told_without_its_message(written: io.StringIO) -> None:
    logs.configure("json", "error", written)
    thread = threading.Thread(target=nested, name="penchant-test")
    thread.start()
    thread.join()
    (line,) = parsed(written.getvalue())
    assert (line["event"], line["of_thread"], line["error"]) == ("a thread ended", "penchant-test", "ValueError")
    assert "secret" not in written.getvalue()


def test_another_version_is_told(open_engine: OpenEngine, caplog: pytest.LogCaptureFixture) -> None:
    engine = open_engine()
    engine.ingest([*circle(3), click("ann", "i0")])
    manifest = engine.parts.version.manifest
    caplog.set_level(logging.INFO, "penchant")
    publish_version_0(
        engine.parts.folder / "versions", ("none", "none", 1), manifest.actions, None, NOW, manifest.fusion
    )
    assert engine.use_chosen_version()
    (record,) = [record for record in caplog.records if record.message == "another version is in use"]
    assert (vars(record)["before"], vars(record)["version"]) == (manifest.name, engine.parts.version.name)
    assert manifest.name != engine.parts.version.name


def test_a_server_tells_its_life_and_nothing_of_what_was_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENCHANT_LOG_LEVEL", "debug")
    server = Server(tmp_path / "data").ready()
    with httpx.Client(base_url=server.url, headers={"authorization": "Bearer private-key"}) as http:
        http.put("/v1/items", json={"id": "private-item", "fields": {"title": "private title"}})
        http.put("/v1/users", json={"id": "private-user", "fields": {"age": "private age"}})
        http.post("/v1/events", json={"user": "private-user", "action": "click", "item": "private-item"})
        http.post("/v1/events", json={"user": "private-user", "action": "search", "words": "private words"})
        http.post("/v1/events", json={"user": "private-user", "action": "private action"})
        http.get("/v1/recommend?user=private-user&where=title=private")
        http.get("/v1/users/private-user")
        http.get("/v1/items/private-nothing")
        http.get("/v1/recommend?private=1")
        http.get("/private/address")
        http.post("/v1/rank", content=b'{"user": "private-user", "items": ["private')
    said = server.stop()
    lines = parsed(said)
    assert "private" not in said
    events = [line["event"] for line in lines if line["event"] != "request"]
    assert events == ["start", "ready", "stop"]
    start, ready, stop = [line for line in lines if line["event"] in events]
    assert (start["port"], start["pid"]) == (server.port, server.process.pid)
    assert (ready["as_of"], ready["items"], ready["people"]) == (0, 0, 0)
    assert isinstance(ready["seconds"], float)
    assert (stop["as_of"], stop["items"], stop["people"]) == (4, 1, 1)
    asked = [(line["address"], line["status"]) for line in lines if line["event"] == "request"]
    assert ("/v1/users/{id}", 200) in asked
    assert ("/v1/items/{id}", 404) in asked
    assert ("other", 404) in asked


def test_a_folder_that_cannot_be_opened_is_told_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "events.db").write_bytes(b"something else, and long enough " * 99)
    server = Server(tmp_path)
    said = server.said()
    assert server.process.returncode != 0
    lines = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    assert [line["event"] for line in lines] == ["start", "the data folder could not be opened", "stop"]
    assert "not a log" in lines[1]["reason"]


def test_a_task_that_failed_unseen_is_told_without_its_message(written: io.StringIO) -> None:
    logs.configure("json", "error", written)

    async def leave_behind() -> None:
        logs.tell_of_tasks(asyncio.get_running_loop())
        asyncio.get_running_loop().call_soon(nested)
        await asyncio.sleep(0)

    asyncio.run(leave_behind())
    (line,) = parsed(written.getvalue())
    assert (line["event"], line["error"]) == ("a task failed", "ValueError")
    assert "secret" not in written.getvalue()
