"""A server for the tests: the application in this process, or a real process on a free port."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from penchant.engine import Engine
from penchant.serving.door import Door
from penchant.serving.http import application
from penchant.serving.threads import Threads

Scenario = Callable[[httpx.AsyncClient], Awaitable[Any]]
Ask = Callable[[Scenario], Any]

_PATIENCE = 120.0


def asked(engine: Engine, scenario: Scenario) -> Any:
    """What a scenario returns that talks to the application around this engine."""

    async def run() -> Any:
        app = application(door := Door())
        door.tenants.threads = threads = Threads(engine)
        asgi: Any = app  # httpx and Litestar write the same type differently
        transport = httpx.ASGITransport(asgi, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://penchant") as client:
            try:
                return await scenario(client)
            finally:
                await threads.close()

    return asyncio.run(run())


@pytest.fixture
def ask(engine: Engine) -> Ask:
    """Ask the application around an engine that is empty at first and has no language model."""
    return lambda scenario: asked(engine, scenario)


class Server:
    """`serve` in a process of its own; or with ``leader``, `follow` of that folder."""

    def __init__(self, folder: Path, port: int | None = None, leader: Path | None = None) -> None:
        self.folder, self.port = folder, port or free_port()
        code = "import sys; from penchant.serving.server import serve; serve(sys.argv[1], port=int(sys.argv[2]))"
        words = ["-c", code, str(folder), str(self.port)]
        if leader is not None:
            follow = ["follow", str(leader), "--own", str(folder), "--port", str(self.port), "--take-over"]
            words = ["-m", "penchant.serving.cli", *follow]
        self.process = subprocess.Popen(
            [sys.executable, *words],
            env=os.environ | {"PENCHANT_ENCODER": "none"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.url = f"http://127.0.0.1:{self.port}"

    def ready(self) -> Server:
        """Wait until it answers."""
        end = time.monotonic() + _PATIENCE
        while self.process.poll() is None and time.monotonic() < end:
            try:
                if httpx.get(f"{self.url}/health/ready").status_code == 200:
                    return self
            except httpx.TransportError:
                time.sleep(0.05)
        raise AssertionError(f"the server did not start: {self.stop()}")

    def stop(self, number: int = signal.SIGTERM) -> str:
        """End it, and say what it printed."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.said()

    def said(self) -> str:
        """What it printed, once it has ended."""
        return self.process.communicate(timeout=_PATIENCE)[0]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for the tests of a module; each uses people and items of its own."""
    started = Server(tmp_path_factory.mktemp("served")).ready()
    yield started
    started.stop()
