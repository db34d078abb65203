"""How long it takes until an event that is sent has its effect on a list, over HTTP, under a constant load.

    make bench-freshness

An event is sent on one connection; when it is acknowledged, that person's list is asked on another. Its latency runs
from the moment the event was *scheduled* to be sent, which was fixed in advance and waits for nothing, to the moment a
list arrived that has taken it in. So a server that stalls is charged for everything that should have been sent
meanwhile (Tene: coordinated omission). The server is `penchant serve` in a process of its own; the load generator
shares its cores.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.latency import fill
from benchmarks.rows import write_row
from benchmarks.world import World
from penchant import Event
from penchant.engine import Engine

ITEMS, PEOPLE, BEFORE = 100_000, 5_000, 50_000
RATE = 500
NEW, AT_ONCE = 10_000, 500  # items that come in meanwhile
WARM_UP, SECONDS, ALONE = 5.0, 30.0, 10.0
CONNECTIONS = 32
TICKS = os.sysconf("SC_CLK_TCK")


class Acknowledged(msgspec.Struct):
    as_of: int


class Shown(msgspec.Struct):
    item: str


class Answered(msgspec.Struct):
    items: list[Shown]
    as_of: int


@dataclass
class Found:
    """What a phase measured: seconds of each event until its effect, of each acknowledgement, of each list."""

    effect: list[float] = field(default_factory=list)
    acknowledged: list[float] = field(default_factory=list)
    listed: list[float] = field(default_factory=list)
    seen: int = 0
    failed: int = 0


_acknowledged = msgspec.json.Decoder(Acknowledged)
_answered = msgspec.json.Decoder(Answered)


Start = Callable[[float], Coroutine[Any, Any, None]]


class Connection(asyncio.Protocol):
    """HTTP/1.1 as lean as it goes: one request at a time, kept alive."""

    answer: asyncio.Future[tuple[int, bytes]] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport
        self.received = b""

    def ask(self, request: bytes) -> asyncio.Future[tuple[int, bytes]]:
        answer = self.answer = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return answer

    def data_received(self, data: bytes) -> None:
        self.received += data
        answer = answer_in(self.received)
        if self.answer is not None and answer is not None:
            self.received = b""
            self.answer.set_result(answer)

    def connection_lost(self, error: Exception | None) -> None:
        if self.answer is not None and not self.answer.done():
            self.answer.set_exception(ConnectionError("the server closed a connection"))


def request(method: str, path: str, body: bytes = b"") -> bytes:
    head = f"{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


def answer_in(received: bytes) -> tuple[int, bytes] | None:
    """(status, body), once all of it is there."""
    head, separator, body = received.partition(b"\r\n\r\n")
    if not separator:
        return None
    length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
    return (int(head[9:12]), body) if len(body) >= int(length) else None


class Client:
    """Connections to one port; another is opened when all are busy, since an open loop waits for none."""

    def __init__(self, port: int) -> None:
        self.port, self.free = port, list[Connection]()

    async def open(self, connections: int) -> None:
        self.free += [await self._connect() for _ in range(connections)]

    async def ask(self, method: str, path: str, body: bytes = b"") -> bytes:
        connection = self._alive() or await self._connect()
        status, answer = await connection.ask(request(method, path, body))
        self.free.append(connection)
        if status != 200:
            raise ConnectionError(f"{status}: {answer[:200]!r}")
        return answer

    def _alive(self) -> Connection | None:
        """The one used last; the server closes those that nobody needed for half a minute."""
        while self.free:
            connection = self.free.pop()
            if not connection.transport.is_closing():
                return connection
        return None

    async def _connect(self) -> Connection:
        loop = asyncio.get_running_loop()
        return (await loop.create_connection(Connection, "127.0.0.1", self.port))[1]

    def close(self) -> None:
        for connection in self.free:
            connection.transport.close()


async def event_then_list(clients: tuple[Client, Client], found: Found, event: Event, scheduled: float) -> None:
    """Send on one connection, ask on another until the effect is there."""
    a, b = clients
    try:
        body = msgspec.json.encode(event)
        acknowledged = _acknowledged.decode(await a.ask("POST", "/v1/events", body))
        found.acknowledged.append(time.perf_counter() - scheduled)
        for attempt in range(100):
            asked = time.perf_counter()
            answer = _answered.decode(await b.ask("GET", f"/v1/recommend?user={event.user}"))
            found.listed.append(time.perf_counter() - asked)
            gone = all(shown.item != event.item for shown in answer.items)
            if answer.as_of >= acknowledged.as_of and gone:
                found.seen += attempt == 0
                found.effect.append(time.perf_counter() - scheduled)
                return
    except ConnectionError as error:
        found.failed += 1
        print(error, file=sys.stderr)


async def list_alone(client: Client, found: Found, user: str, scheduled: float) -> None:
    await client.ask("GET", f"/v1/recommend?user={user}")
    found.effect.append(time.perf_counter() - scheduled)


async def at_constant_rate(rate: float, starts: Sequence[Start]) -> float:
    """Start each at its moment, whatever became of those before; the seconds until all ended.

    A thread keeps the time: the loop's own timers are a millisecond coarse.
    """
    loop, tasks = asyncio.get_running_loop(), list[asyncio.Task[None]]()
    begin, all_sent = time.perf_counter() + 0.1, asyncio.Event()

    def begin_task(start: Start, scheduled: float) -> None:
        tasks.append(loop.create_task(start(scheduled)))

    def keep_time() -> None:
        for number, start in enumerate(starts):
            scheduled = begin + number / rate
            time.sleep(max(0.0, scheduled - time.perf_counter()))
            loop.call_soon_threadsafe(begin_task, start, scheduled)
        loop.call_soon_threadsafe(all_sent.set)

    threading.Thread(target=keep_time, daemon=True).start()
    await all_sent.wait()
    await asyncio.gather(*tasks)
    return time.perf_counter() - begin


async def measure_power(port: int, rate: int) -> dict[str, float]:
    """The same load where commits wait for the disk."""
    clients = Client(port), Client(port)
    for client in clients:
        await client.open(CONNECTIONS)
    events = list(later_events(int((WARM_UP + SECONDS) * rate), "power"))
    gc.freeze()
    gc.disable()
    await both(clients, events[: int(WARM_UP * rate)], rate)
    found, _ = await both(clients, events[int(WARM_UP * rate) :], rate)
    for client in clients:
        client.close()
    return {f"power_p{q}_ms": percentile(found.effect, q) for q in (50, 99)}


def disk(folder: Path) -> dict[str, float]:
    """What it takes until 4 KB at the end of a file are on the disk."""
    took = []
    with open(folder / "disk", "wb", buffering=0) as file:
        for _ in range(500):
            file.write(bytes(4096))
            start = time.perf_counter()
            os.fdatasync(file.fileno())
            took.append(time.perf_counter() - start)
    return {f"fdatasync_p{q}_ms": percentile(took, q) for q in (50, 99)}


async def measure(port: int, pid: int, rate: int) -> dict[str, float]:
    clients = Client(port), Client(port)
    for client in clients:
        await client.open(CONNECTIONS)
    events, bodies = list(later_events(int((WARM_UP + SECONDS) * rate))), new_items()
    gc.freeze()
    gc.disable()
    await both(clients, events[: int(WARM_UP * rate)], rate)
    before = cpu_seconds(pid)
    importing = asyncio.create_task(import_items(port, bodies))
    found, took = await both(clients, events[int(WARM_UP * rate) :], rate)
    both_cpu = cpu_seconds(pid) - before
    await importing
    alone, lists_cpu = await lists_alone(clients[1], pid, 2 * rate)
    most, most_cpu = await as_many_lists_as_it_can(clients[1], pid)
    for client in clients:
        client.close()
    return figures(found, took, both_cpu) | {
        "cpu_us_per_list": lists_cpu / len(alone.effect) * 1e6,
        "list_alone_p50_ms": percentile(alone.effect, 50),
        "list_alone_p99_ms": percentile(alone.effect, 99),
        "most_lists_per_s": most / ALONE,
        "cpu_us_per_list_at_most": most_cpu / most * 1e6,
    }


def new_items() -> list[bytes]:
    """Bodies of requests, made beforehand: the generator must not be busy when an event is due."""
    sent = [
        {"id": f"new-{one.item}", "fields": one.fields, "vectors": one.vectors}
        for one in World(NEW, PEOPLE, seed=2).items()
    ]
    return [msgspec.json.encode(sent[start : start + AT_ONCE]) for start in range(0, NEW, AT_ONCE)]


async def import_items(port: int, bodies: Sequence[bytes]) -> None:
    """New items, by a connection of their own."""
    client = Client(port)
    for body in bodies:
        await client.ask("PUT", "/v1/items", body)
        await asyncio.sleep(SECONDS / len(bodies) * 0.9)
    client.close()


async def both(clients: tuple[Client, Client], events: Sequence[Event], rate: int) -> tuple[Found, float]:
    found = Found()
    starts = [partial(event_then_list, clients, found, event) for event in events]
    return found, await at_constant_rate(rate, starts)


async def lists_alone(client: Client, pid: int, rate: int) -> tuple[Found, float]:
    """Lists without events: what one costs."""
    found, users = Found(), np.random.default_rng(2).integers(0, PEOPLE, int(ALONE * rate)).tolist()
    before = cpu_seconds(pid)
    await at_constant_rate(rate, [partial(list_alone, client, found, f"u{user}") for user in users])
    return found, cpu_seconds(pid) - before


async def as_many_lists_as_it_can(client: Client, pid: int) -> tuple[int, float]:
    """(lists answered, CPU seconds) when every connection asks again at once: for throughput, never for latency."""
    answered, end = 0, time.perf_counter() + ALONE

    async def again_and_again() -> None:
        nonlocal answered
        while time.perf_counter() < end:
            await client.ask("GET", f"/v1/recommend?user=u{answered * 7 % PEOPLE}")
            answered += 1

    before = cpu_seconds(pid)
    await asyncio.gather(*[again_and_again() for _ in range(CONNECTIONS)])
    return answered, cpu_seconds(pid) - before


def figures(found: Found, took: float, cpu: float) -> dict[str, float]:
    sent = len(found.acknowledged)
    return {
        "p50_ms": percentile(found.effect, 50),
        "p90_ms": percentile(found.effect, 90),
        "p99_ms": percentile(found.effect, 99),
        "max_ms": percentile(found.effect, 100),
        "own_writes_seen": found.seen / max(sent, 1),
        "ack_p50_ms": percentile(found.acknowledged, 50),
        "ack_p99_ms": percentile(found.acknowledged, 99),
        "list_p50_ms": percentile(found.listed, 50),
        "list_p99_ms": percentile(found.listed, 99),
        "events_per_s": sent / took,
        "lists_per_s": len(found.listed) / took,
        "failed": found.failed,
        "cpu_us_per_event_and_list": cpu / max(sent, 1) * 1e6,
    }


def percentile(seconds: Sequence[float], q: float) -> float:
    return float(np.percentile(seconds, q)) * 1e3 if seconds else float("nan")


def later_events(n: int, name: str = "now") -> Iterator[Event]:
    """Clicks that happen now: without a time, with ids, by people of the world."""
    for event in World(ITEMS, PEOPLE, seed=1).interactions(n):
        yield msgspec.structs.replace(event, time=None, id=f"{name}-{event.id}")


# -- the server --------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def serving(folder: Path, *words: str) -> Iterator[tuple[int, int]]:
    """`penchant serve`, or what `words` say, in a process of its own: (port, pid)."""
    with running("penchant.serving.cli", *(words or ("serve", "--data", str(folder)))) as server:
        yield server


@contextlib.contextmanager
def running(module: str, *words: str) -> Iterator[tuple[int, int]]:
    """A module that answers on ``--port``, in a process of its own: (port, pid)."""
    port = free_port()
    command = [sys.executable, "-m", module, *words, "--port", str(port)]
    server = subprocess.Popen(command, env=os.environ | {"PENCHANT_ENCODER": "none"})
    try:
        wait_until_ready(server, port)
        yield port, server.pid
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(120)


def wait_until_ready(server: subprocess.Popen[bytes], port: int) -> None:
    while server.poll() is None:
        with contextlib.suppress(ConnectionError):
            asyncio.run(once(port, "/health/ready"))
            return
        time.sleep(0.2)
    raise SystemExit("the server did not start")


async def once(port: int, path: str) -> bytes:
    """One answer, by a connection of its own."""
    client = Client(port)
    try:
        return await client.ask("GET", path)
    finally:
        client.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and its threads."""
    values = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(values[11]) + int(values[12])) / TICKS


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rate", type=int, default=RATE, help="events, and lists, a second")
    rate = options.parse_args().rate
    with tempfile.TemporaryDirectory() as name:
        with Engine.open(Path(name), encoder="none") as engine:
            fill(engine, World(ITEMS, PEOPLE), BEFORE)
        with serving(Path(name)) as (port, pid):
            found = asyncio.run(measure(port, pid, rate))
        with serving(Path(name), "serve", "--data", name, "--durability", "power") as (port, _):
            found |= asyncio.run(measure_power(port, rate)) | disk(Path(name))
    Console().print(shown(found, rate))
    protocol = (
        f"open loop over HTTP, {rate} events/s + {rate} lists/s, {SECONDS:.0f} s after {WARM_UP:.0f} s, "
        f"meanwhile {NEW} new items sent, {AT_ONCE} a request; durability=process (power_...: power, no new items), "
        "load generator on the same cores; cpu_us_per_list: lists alone, at twice the rate; "
        f"..._at_most: {CONNECTIONS} connections that never pause"
    )
    data = f"made-up world, {ITEMS} items, {PEOPLE} people, {BEFORE} events before"
    write_row("freshness", data=data, protocol=protocol, seeds=1, figures=found)


def shown(found: dict[str, float], rate: int) -> Table:
    table = Table("event sent -> list with its effect", "", title=f"{rate} events/s + {rate} lists/s")
    for label, key in (("half within", "p50_ms"), ("99 of 100 within", "p99_ms"), ("all within", "max_ms")):
        table.add_row(label, f"{found[key]:.2f} ms")
    table.add_row("99 of 100 within, durability=power", f"{found['power_p99_ms']:.2f} ms")
    table.add_row("99 of 100 fdatasync of this disk", f"{found['fdatasync_p99_ms']:.2f} ms")
    table.add_row("lists that knew the event", f"{found['own_writes_seen']:.2%}")
    table.add_row("server CPU of a list", f"{found['cpu_us_per_list']:.0f} us")
    table.add_row("the same, as many as it can", f"{found['cpu_us_per_list_at_most']:.0f} us")
    return table


if __name__ == "__main__":
    main()
