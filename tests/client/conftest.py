"""Both clients under the same tests, the real server, and a tiny one that does what a server should not."""

from __future__ import annotations

import asyncio
import inspect
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event as Flag
from threading import Thread
from typing import Any, NamedTuple

import pytest

from penchant.client import AsyncClient, Client
from tests.serving.conftest import Server, server

__all__ = ["Server", "server"]

Connect = Callable[..., Client]


class Awaited:
    """An `AsyncClient` that is waited for, so that what is said of a `Client` can be said of it."""

    def __init__(self, client: AsyncClient, runner: asyncio.Runner) -> None:
        self.client, self.runner = client, runner

    def within(self, *args: Any) -> Awaited:
        return Awaited(self.client.within(*args), self.runner)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def verb(*args: Any, **kwargs: Any) -> Any:
            told = getattr(self.client, name)(*args, **kwargs)
            return self.runner.run(self._all(told) if inspect.isasyncgen(told) else told)

        return verb

    async def _all(self, told: AsyncIterator[Any]) -> list[Any]:
        return [one async for one in told]


@pytest.fixture(params=["waits", "awaits"])
def connect(request: pytest.FixtureRequest) -> Iterator[Connect]:
    """Makes clients of one kind, and closes them."""
    made: list[Any] = []
    with asyncio.Runner() as runner:

        def make(*args: Any, **kwargs: Any) -> Any:
            waits = request.param == "waits"
            made.append(Client(*args, **kwargs) if waits else Awaited(AsyncClient(*args, **kwargs), runner))
            return made[-1]

        yield make
        for client in made:
            client.close()


class Told(NamedTuple):
    """An answer, or, where there is no status, what happens in place of one."""

    status: int
    headers: dict[str, str]
    body: bytes = b""
    instead: str = ""


class Heard(NamedTuple):
    """A request as it came in; names of headers in small letters."""

    said: str
    headers: dict[str, str]
    body: Any


class Odd:
    """A server that answers as it is told: an answer for each request, and the last one for all that come after."""

    def __init__(self, *answers: Told) -> None:
        self.answers, self.over = answers, Flag()
        self.heard: list[Heard] = []
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"
        self.thread = Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("content-length", 0)))
        headers = {name.lower(): value for name, value in handler.headers.items()}
        self.heard.append(Heard(f"{handler.command} {handler.path}", headers, json.loads(body) if body else None))
        told = self.answers[min(len(self.heard), len(self.answers)) - 1]
        if told.instead:
            self.misbehave(handler, told.instead)
            return
        handler.send_response(told.status)
        for name, value in ({"content-length": str(len(told.body))} | told.headers).items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(told.body)

    def misbehave(self, handler: BaseHTTPRequestHandler, how: str) -> None:
        handler.close_connection = True
        if how == "silence":
            self.over.wait(60)
        if how == "drip":
            handler.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
            for _ in range(1000):
                handler.wfile.write(b" ")
                if self.over.wait(0.02):
                    return

    def hears(self, count: int) -> bool:
        """Waits for so many requests, a minute at most."""
        for _ in range(1200):
            if len(self.heard) >= count:
                return True
            time.sleep(0.05)
        return False

    def close(self) -> None:
        self.over.set()
        self.http.shutdown()
        self.thread.join()
        self.http.server_close()


def _handler(odd: Odd) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one_request(self) -> None:
            try:
                self.raw_requestline = self.rfile.readline()
                if self.raw_requestline and self.parse_request():
                    odd.answer(self)
                else:
                    self.close_connection = True
            except ConnectionError:  # whoever asked went away
                self.close_connection = True

        def log_message(self, format: str, *args: Any) -> None:
            """Its requests are in `heard`."""

    return Handler


@pytest.fixture
def odd() -> Iterator[Callable[..., Odd]]:
    """Starts servers that answer as they are told."""
    started: list[Odd] = []

    def start(*answers: Told) -> Odd:
        started.append(Odd(*answers))
        return started[-1]

    yield start
    for one in started:
        one.close()


def told(body: object, status: int = 200, **headers: str) -> Told:
    """An answer of JSON."""
    return Told(status, {name.replace("_", "-"): value for name, value in headers.items()}, json.dumps(body).encode())


DROP, SILENCE, DRIP = (Told(0, {}, instead=how) for how in ("drop", "silence", "drip"))
RECEIPT = told({"accepted": 1, "as_of": 1, "ids": ["e"]})
AWAY = told({"title": "Unavailable", "detail": "is stopping."}, 503, retry_after="0")
