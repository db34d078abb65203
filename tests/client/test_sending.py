"""Senders that buffer: what is handed over is taken by the server, told as lost, or raised; it does not disappear."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from penchant import Event, InvalidInput, PenchantError, Query, Unavailable
from penchant.client import AsyncClient, Bounds, Client, Lost
from penchant.client.answers import Failed
from penchant.client.sending import Buffer
from penchant.engine import Engine
from tests.client.conftest import AWAY, Odd, Server, Told, told

StartOdd = Callable[..., Odd]
Send = Callable[..., None]
Losses = list[tuple[Event, PenchantError]]
NONE_TAKEN = told({"accepted": 0, "as_of": 0})
QUICK = Bounds(age=0.0, timeout=60.0)


def clicks(count: int, **more: Any) -> list[Event]:
    return [Event(user=f"u{k % 7}", action="click", item=f"i{k}", **more) for k in range(count)]


def _wait(url: str, events: Iterable[Event], on_lost: Any = None, bounds: Bounds = QUICK) -> None:
    with Client(url) as client, client.sender(on_lost, bounds) as send:
        for event in events:
            send(event)


def _await(url: str, events: Iterable[Event], on_lost: Any = None, bounds: Bounds = QUICK) -> None:
    async def main() -> None:
        async with AsyncClient(url) as client, client.sender(on_lost, bounds) as send:
            for event in events:
                send(event)

    asyncio.run(main())


@pytest.fixture(params=[_wait, _await], ids=["waits", "awaits"])
def send_all(request: pytest.FixtureRequest) -> Send:
    """Hands events to a sender of either kind, and closes it."""
    send: Send = request.param
    return send


def ids(heard: Iterable[Any]) -> list[str]:
    """Items of the events of requests, in order."""
    return [event["item"] for one in heard for event in one.body]


def test_what_is_handed_over_is_known_when_the_sender_is_closed(server: Server, send_all: Send) -> None:
    with Client(server.url) as client:
        before = client.ready()["as_of"]
        send_all(server.url, clicks(1234), None, Bounds(size=100, timeout=60.0))
        assert client.ready()["as_of"] == before + 1234
        assert client.recommend(Query(user="u3")).user_as_of > before


def test_a_batch_goes_when_it_is_full_and_the_rest_at_close(odd: StartOdd, send_all: Send) -> None:
    server = odd(NONE_TAKEN)
    send_all(server.url, clicks(25), None, Bounds(size=10, age=3600))
    assert [len(heard.body) for heard in server.heard] == [10, 10, 5]
    assert ids(server.heard) == [f"i{k}" for k in range(25)]


def test_a_batch_goes_when_its_first_event_is_old_enough(odd: StartOdd) -> None:
    server, bounds = odd(NONE_TAKEN), Bounds(age=0.05)
    with Client(server.url) as client, client.sender(None, bounds) as send:
        send(clicks(1)[0])
        assert server.hears(1)

    async def main() -> None:
        async with AsyncClient(server.url) as client, client.sender(None, bounds) as send:
            send(clicks(1)[0])
            assert await asyncio.to_thread(server.hears, 2)

    asyncio.run(main())


def test_an_event_has_its_id_and_its_time_when_it_is_handed_over(odd: StartOdd, send_all: Send) -> None:
    server = odd(Told(0, {}, instead="drop"), NONE_TAKEN)
    send_all(server.url, [*clicks(2), *clicks(1, id="mine", time=5.0)])
    first, *_, last = server.heard
    assert first.body == last.body[: len(first.body)]
    sent = {event["id"]: event["time"] for heard in server.heard for event in heard.body}
    assert len(sent) == 3
    assert sent["mine"] == 5.0
    assert min(sent.values()) == 5.0


def test_events_outlive_a_server_that_is_killed_and_comes_back(tmp_path: Path, send_all: Send) -> None:
    first = Server(tmp_path / "data").ready()
    revived: list[Server] = []

    def events() -> Iterable[Event]:
        for place, event in enumerate(clicks(300, id=None)):
            if place == 150:
                first.stop(signal.SIGKILL)
            if place == 200:
                revived.append(Server(tmp_path / "data", first.port))
            yield event

    send_all(first.url, events(), None, Bounds(size=20, age=0.0, timeout=60.0))
    revived[0].stop()
    with Engine.open(tmp_path / "data", encoder="none") as engine:
        kept = [logged.event.item for batch in engine.parts.log.replay() for logged in batch]
    assert sorted(item for item in kept if item) == sorted(f"i{k}" for k in range(300))


def test_what_was_not_taken_is_raised_at_close_with_the_events(odd: StartOdd, send_all: Send) -> None:
    server = odd(AWAY)
    with pytest.raises(Lost, match="is stopping") as caught:
        send_all(server.url, clicks(30), None, Bounds(size=20, age=0.0, timeout=1.0))
    assert [event.item for event in caught.value.events] == [f"i{k}" for k in range(30)]
    assert all(event.id and event.time for event in caught.value.events)


def test_what_was_not_taken_is_told_where_somebody_listens(odd: StartOdd, send_all: Send) -> None:
    server, lost = odd(AWAY), []  # type: Odd, Losses
    send_all(server.url, clicks(30), lambda *one: lost.append(one), Bounds(size=20, age=0.0, timeout=1.0))
    assert [event.item for event, _ in lost] == [f"i{k}" for k in range(30)]
    assert all(isinstance(error, Unavailable) for _, error in lost)


def test_what_the_server_refuses_is_lost_one_by_one_and_the_rest_is_taken(server: Server, send_all: Send) -> None:
    lost: Losses = []
    sent = clicks(5)
    sent[1].action = sent[3].action = "clik"
    send_all(server.url, sent, lambda *one: lost.append(one), Bounds(age=3600))
    assert [(event.item, error.field, error.value) for event, error in lost] == [
        ("i1", "action", "'clik'"),
        ("i3", "action", "'clik'"),
    ]
    with pytest.raises(Lost, match="'clik'") as caught:
        send_all(server.url, sent[1:2])
    assert [event.item for event in caught.value.events] == ["i1"]


def test_a_batch_that_is_too_large_goes_in_halves(odd: StartOdd, send_all: Send) -> None:
    server = odd(told({}, 413), told({}, 413), NONE_TAKEN)
    send_all(server.url, clicks(8), None, Bounds(age=3600))
    assert [len(heard.body) for heard in server.heard] == [8, 4, 2, 2, 2, 2]
    assert ids(server.heard[2:]) == [f"i{k}" for k in range(8)]


def test_a_full_sender_says_that_it_did_not_take_the_event(odd: StartOdd, send_all: Send) -> None:
    server, lost = odd(AWAY), []  # type: Odd, Losses
    with pytest.raises(Unavailable, match="room=5: the sender is full"):
        send_all(server.url, clicks(10), lambda *one: lost.append(one), Bounds(room=5, timeout=0.1))
    assert [event.item for event, _ in lost] == [f"i{k}" for k in range(5)]


def test_a_closed_sender_takes_nothing(odd: StartOdd) -> None:
    with Client(odd(NONE_TAKEN).url) as client:
        send = client.sender()
        send.close()
        with pytest.raises(Unavailable, match="closed"):
            send(clicks(1)[0])


def test_what_cannot_be_written_is_refused_when_it_is_handed_over(odd: StartOdd, send_all: Send) -> None:
    server = odd(NONE_TAKEN)
    with pytest.raises(InvalidInput, match="value=nan"):
        send_all(server.url, clicks(1, value=float("nan")))
    assert server.heard == []


def test_a_listener_that_fails_ends_the_sender_and_loses_nothing(odd: StartOdd, send_all: Send) -> None:
    def fail(event: Event, error: PenchantError) -> None:
        raise ValueError("my own mistake")

    with pytest.raises(Lost, match="my own mistake") as caught:
        send_all(odd(Told(422, {}, b"")).url, clicks(3), fail, Bounds(age=3600))
    assert len(caught.value.events) == 3


def test_a_program_that_ends_without_closing_has_sent(odd: StartOdd) -> None:
    server = odd(NONE_TAKEN)
    script = """
import sys
from penchant import Event
from penchant.client import Bounds, Client
send = Client(sys.argv[1]).sender(None, Bounds(age=3600))
send(Event(user="ann", action="click", item="last words"))
"""
    subprocess.run([sys.executable, "-c", script, server.url], check=True)
    assert ids(server.heard) == ["last words"]


def test_a_retry_after_puts_a_batch_off_unless_the_sender_is_closing() -> None:
    now = [0.0]
    buffer = Buffer(Bounds(age=0.0, timeout=10.0), None, lambda: now[0])
    buffer.add(clicks(1)[0])
    buffer.settle(buffer.batch(), Failed(Unavailable("full."), passing=True, after=60.0))
    wait = buffer.wait()
    assert wait is not None
    assert wait >= 60.0
    buffer.end()
    assert buffer.wait() == 10.0
    now[0] += 10.0
    buffer.settle(buffer.batch(), Failed(Unavailable("full."), passing=True))
    assert buffer.batch() == []
    with pytest.raises(Lost):
        buffer.check()
    buffer.check()  # once is enough
