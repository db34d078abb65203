"""Lists that come by themselves: sent when they have become others, to whom they are of, until somebody has enough."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from penchant import Event, Query
from penchant.engine import Engine
from penchant.serving import listening, streaming
from penchant.serving import threads as serving_threads
from penchant.serving.requests import TIMED_UPTO, Requests
from penchant.serving.streaming import Stream
from penchant.serving.threads import Threads
from tests.conftest import NOW, circle, click
from tests.serving.conftest import Ask, Server
from tests.serving.test_http import CLICK, items, problem

_PATIENCE = 60.0


class Ear:
    """A caller of a stream: what was sent to it, and whether it is still there."""

    def __init__(self) -> None:
        self.sent: asyncio.Queue[bytes] = asyncio.Queue()
        self.started, self.ended = 0, False
        self._gone = asyncio.Event()

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.started = message["status"]
        else:
            self.ended = not message["more_body"]
            if message["body"]:
                self.sent.put_nowait(message["body"])

    async def receive(self) -> Any:
        await self._gone.wait()
        return {"type": "http.disconnect"}

    def leave(self) -> None:
        self._gone.set()

    async def slate(self) -> dict[str, Any]:
        """The next list, by its id and what it holds."""
        return read((await asyncio.wait_for(self.sent.get(), _PATIENCE)).decode())


def read(message: str) -> dict[str, Any]:
    """A message of a stream; `names`: the items of its list."""
    first, second, third, *rest = message.split("\n")
    assert (second, rest) == ("event: slate", ["", ""])
    slate: dict[str, Any] = json.loads(third.removeprefix("data: "))
    assert first == f"id: {slate['as_of']}"
    return slate | {"names": [one["item"] for one in slate["items"]]}


@asynccontextmanager
async def heard(threads: Threads, user: str, **more: Any) -> AsyncIterator[Ear]:
    ear, stream = Ear(), Stream(threads, Query(user=user, **more))
    running = asyncio.create_task(stream({"state": {}}, ear.receive, ear.send))  # type: ignore[arg-type]
    try:
        yield ear
    finally:
        ear.leave()
        await running
    assert ear.ended


def run(engine: Engine, scenario: Callable[[Threads], Awaitable[Any]]) -> None:
    async def main() -> None:
        engine.ingest(circle(6))
        threads = Threads(engine)
        try:
            await scenario(threads)
        finally:
            await threads.close()
        assert len(threads.listeners) == 0

    asyncio.run(main())


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lists may follow each other as quickly as they come."""
    monkeypatch.setattr(streaming, "APART", 0.0)


@pytest.fixture
def asked_for(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    """The people whose lists were asked for, in order; one that is another than before is asked for to be shown."""
    found: list[str | None] = []
    decide_many = engine.decide_many

    def noted(queries: Any) -> Any:
        found.extend(query.user for query in queries)
        return decide_many(queries)

    monkeypatch.setattr(engine, "decide_many", noted)
    return found


def test_a_list_comes_at_once_and_again_after_the_persons_event(engine: Engine, at_once: None) -> None:
    async def scenario(threads: Threads) -> None:
        async with heard(threads, "ann") as ear:
            first = await ear.slate()
            assert (ear.started, first["as_of"], len(first["names"])) == (200, 6, 6)
            for k in range(3):
                receipt = await threads.ingest([click("ann", f"i{k}")])
                slate = await ear.slate()
                assert (slate["as_of"], slate["user_as_of"]) == (receipt.as_of, receipt.as_of)
                assert f"i{k}" not in slate["names"]

    run(engine, scenario)


def test_what_another_does_asks_for_nobodys_list_but_theirs(
    engine: Engine, at_once: None, asked_for: list[str | None]
) -> None:
    async def scenario(threads: Threads) -> None:
        async with heard(threads, "ann") as ann, heard(threads, "bob") as bob:
            await ann.slate(), await bob.slate()
            await threads.ingest([click("cyd", "i0"), click("bob", "i1"), *circle(6)])
            await bob.slate()
            await threads.ingest([click("ann", "i2")])
            await ann.slate()
        assert asked_for == ["ann", "bob", "bob", "bob", "ann", "ann"]

    run(engine, scenario)


def test_a_list_that_is_the_same_is_not_sent_again(engine: Engine, at_once: None, asked_for: list[str | None]) -> None:
    async def scenario(threads: Threads) -> None:
        async with heard(threads, "ann") as ear:
            await ear.slate()
            await threads.ingest([Event(kind="user", user="ann", fields={"age": 34}, time=NOW)])
            while len(asked_for) < 2:
                await asyncio.sleep(0.001)
            receipt = await threads.ingest([click("ann", "i0")])
            assert (await ear.slate())["as_of"] == receipt.as_of

    run(engine, scenario)


def test_many_events_at_once_are_one_list(
    engine: Engine, asked_for: list[str | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    pause = asyncio.Event()
    sleep = asyncio.sleep

    async def paused(seconds: float) -> None:
        await (pause.wait() if seconds == streaming.APART else sleep(seconds))

    monkeypatch.setattr("penchant.serving.streaming.asyncio.sleep", paused)

    async def scenario(threads: Threads) -> None:
        async with heard(threads, "ann") as ear:
            await ear.slate()
            for k in range(5):
                receipt = await threads.ingest([click("ann", f"i{k}")])
            assert asked_for == ["ann"]
            pause.set()
            slate = await ear.slate()
            assert (slate["as_of"], slate["names"]) == (receipt.as_of, ["i5"])
        assert asked_for == ["ann"] * 3

    run(engine, scenario)


def test_a_login_reaches_who_listens_under_any_of_the_persons_names(engine: Engine, at_once: None) -> None:
    async def scenario(threads: Threads) -> None:
        await threads.ingest([click("ann", "i0")])
        async with heard(threads, "ann") as ann, heard(threads, "s.1") as session:
            assert len((await ann.slate())["names"]) == 5
            assert len((await session.slate())["names"]) == 6
            await threads.ingest([click("s.1", "i1")])  # it is named for the first time
            assert "i1" not in (await session.slate())["names"]
            await threads.ingest([Event(kind="alias", session="s.1", user="ann", time=NOW)])
            assert (
                set((await ann.slate())["names"]) == set((await session.slate())["names"]) == {"i2", "i3", "i4", "i5"}
            )
            await threads.ingest([click("ann", "i2", id="e2")])
            assert "i2" not in {*(await ann.slate())["names"], *(await session.slate())["names"]}
            await threads.ingest([Event(kind="retraction", target="e2", time=NOW)])
            assert "i2" in (await session.slate())["names"]
            assert "i2" in (await ann.slate())["names"]
            await threads.ingest([Event(kind="erasure", user="ann", time=NOW)])
            for ear in (ann, session):
                slate = await ear.slate()
                assert (len(slate["names"]), slate.get("user_as_of", 0)) == (6, 0)

    run(engine, scenario)


def test_silence_is_broken_by_a_comment(engine: Engine, at_once: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "HEARTBEAT", 0.01)

    async def scenario(threads: Threads) -> None:
        async with heard(threads, "ann") as ear:
            await ear.slate()
            for _ in range(3):
                assert await asyncio.wait_for(ear.sent.get(), _PATIENCE) == b":\n\n"

    run(engine, scenario)


def test_a_list_that_finds_no_room_is_asked_for_again(
    engine: Engine, at_once: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(threads: Threads) -> None:
        async with heard(threads, "ann") as ear:
            await ear.slate()
            with monkeypatch.context() as full:
                full.setattr(serving_threads, "MOST_QUERIES", 0)
                receipt = await threads.ingest([click("ann", "i0")])
                await asyncio.sleep(0.01)
                assert ear.sent.empty()
            assert (await ear.slate())["as_of"] == receipt.as_of

    run(engine, scenario)


def test_where_nobody_listens_nothing_is_looked_at(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving_threads, "touched", None)

    async def scenario(threads: Threads) -> None:
        async with heard(threads, "ann") as ear:
            await ear.slate()
        assert (await threads.ingest([click("ann", "i0")])).accepted == 1

    run(engine, scenario)


def test_a_stream_ends_when_the_server_does(engine: Engine) -> None:
    async def scenario(threads: Threads) -> None:
        async with heard(threads, "ann") as ear:
            await ear.slate()
            await threads.close()
            while not ear.ended:
                await asyncio.sleep(0.001)

    run(engine, scenario)


def test_a_stream_is_timed_up_to_its_first_list(engine: Engine) -> None:
    async def scenario(threads: Threads) -> None:
        ear, stream = Ear(), Stream(threads, Query(user="ann"))

        async def long_ago(scope: Any, receive: Any, send: Any) -> None:
            await stream(scope, receive, send)
            scope["state"][TIMED_UPTO] -= 1e6  # the clock that is read, told from every other

        requests = Requests(long_ago)
        scope = {"state": {}, "headers": [], "method": "GET", "path_template": "/v1/recommend/stream"}
        running = asyncio.create_task(requests(scope, ear.receive, ear.send))  # type: ignore[arg-type]
        await ear.slate()
        ear.leave()
        await running
        (timed,) = requests.seconds.values()
        assert -1e6 < timed.sum < -1e6 + _PATIENCE

    run(engine, scenario)


# -- over HTTP ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("", "user"),
        ("?user=ann&limit=0", "limit"),
        ("?user=ann&filter=year+<", "filter"),
        ("?user=ann&where=year", "where"),
        ("?user=ann&usr=bob", "usr"),
        ("?user=ann&last=1", "last"),
    ],
)
def test_a_wrong_stream_is_refused_with_its_field(ask: Ask, query: str, field: str) -> None:
    assert problem(ask(lambda http: http.get(f"/v1/recommend/stream{query}")), 422)["field"] == field


@pytest.mark.parametrize(("last", "status"), [("many", 422), ("-1", 422), ("99", 503)])
def test_a_last_event_that_never_was_is_named(
    ask: Ask, monkeypatch: pytest.MonkeyPatch, last: str, status: int
) -> None:
    monkeypatch.setattr("penchant.serving.waiting.PATIENCE", 0.01)
    url, headers = "/v1/recommend/stream?user=ann", {"Last-Event-ID": last}
    found = problem(ask(lambda http: http.get(url, headers=headers)), status)
    assert found["field"] == "Last-Event-ID"
    assert found["value"].strip("'") == last
    assert found["way_out"]


def test_too_many_streams_are_told_to_come_back(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "MOST", 0)
    answer = ask(lambda http: http.get("/v1/recommend/stream?user=ann"))
    found = problem(answer, 429)
    assert (found["field"], found["value"]) == ("streams", "0")
    assert "/v1/recommend" in found["way_out"]
    assert answer.headers["retry-after"] == "10"


def messages(lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    """The messages of a stream, as a browser reads them."""
    held: list[str] = []
    for line in lines:
        held.append(line)
        if not line:
            yield read("\n".join([*held, ""]))
            held = []
    assert held == []


def test_a_browser_follows_comes_back_and_the_server_stops_cleanly(tmp_path: Path) -> None:
    server = Server(tmp_path / "data").ready()
    url = f"{server.url}/v1/recommend/stream?user=ann&limit=3"
    with httpx.Client(base_url=server.url, timeout=_PATIENCE) as http:
        http.put("/v1/items", json=items(6))
        with http.stream("GET", url) as answer:
            assert answer.headers["content-type"] == "text/event-stream"
            told = messages(answer.iter_lines())
            assert len(next(told)["names"]) == 3
            as_of = httpx.post(f"{server.url}/v1/events", json=CLICK).json()["as_of"]
            slate = next(told)
            assert (slate["as_of"], "i0" in slate["names"]) == (as_of, False)
        with http.stream("GET", url, headers={"Last-Event-ID": str(as_of)}) as answer:
            told = messages(answer.iter_lines())
            assert next(told)["names"] == slate["names"]
            said = server.stop()
            assert list(told) == []  # it ends as an answer does, not as a broken one
    assert server.process.returncode == 0, said


def test_a_caller_that_reads_nothing_does_not_hold_up_the_end(tmp_path: Path) -> None:
    server = Server(tmp_path / "data").ready()
    for half in "ab":  # together more than sockets hold for somebody who does not read
        sent = [{"id": f"{half}{k}", "fields": {"text": "x" * 30_000}} for k in range(170)]
        assert httpx.put(f"{server.url}/v1/items", json=sent, timeout=_PATIENCE).json()["accepted"] == 170
    with socket.socket() as stuck:
        stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stuck.connect(("127.0.0.1", server.port))
        stuck.sendall(b"GET /v1/items?limit=1000 HTTP/1.1\r\nHost: penchant\r\n\r\n")
        stuck.recv(1)
        said = server.stop()
    assert server.process.returncode == 0, said
