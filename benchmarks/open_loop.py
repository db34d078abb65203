"""Requests at a constant rate over HTTP, each sent at its moment, whatever became of those before.

Notable: a latency runs from the moment at which a request was *scheduled* to its last byte, so that a server that
stalls is charged for all that should have been sent meanwhile (Tene: coordinated omission). Where every connection is
busy, a request waits here, and its latency runs. One thread, plain sockets and epoll: a request costs a third of what
it costs as a task of asyncio (docs/log.md), since the server needs the cores.

Does not know: requests that follow from an answer (`benchmarks.freshness`); of an answer it looks at the status alone.
"""

from __future__ import annotations

import select
import socket
import time
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.freshness import answer_in

CONNECTIONS = 64
PATIENCE = 30.0  # seconds without any answer, after which nothing more is waited for
_AT_ONCE = 2**18  # bytes


class Answers(NamedTuple):
    """What became of each request [n], in their order."""

    seconds: NDArray[np.float64]  # from the scheduled moment to the last byte; nan where none came
    status: NDArray[np.int64]  # 0: the connection broke, or no answer came
    took: float  # seconds, of all of them

    @property
    def errors(self) -> int:
        """How many have no answer, or another than 2xx."""
        return int(np.count_nonzero(self.status // 100 != 2))


class _Connection:
    """``number`` of the request that waits for its answer; -1: none."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received, self.number = b"", -1

    def send(self, number: int, request: bytes) -> bool:
        self.number = number
        try:
            self.socket.sendall(request)
        except ConnectionError:
            return False
        return True

    def receive(self) -> bool:
        """Whether it still stands."""
        try:
            part = self.socket.recv(_AT_ONCE)
        except ConnectionError:
            return False
        self.received += part
        return bool(part)


def at_constant_rate(port: int, rate: float, requests: Sequence[bytes], connections: int = CONNECTIONS) -> Answers:
    """Send them, ``rate`` a second (inf: each as soon as a connection is free), until all have ended."""
    load = _Load(port, rate, requests, connections)
    try:
        load.run()
    finally:
        load.close()
    return Answers(np.array(load.seconds), np.array(load.status), time.perf_counter() - load.begin)


class _Load:
    def __init__(self, port: int, rate: float, requests: Sequence[bytes], connections: int) -> None:
        self._port, self._apart, self._requests = port, 1.0 / rate, requests
        self._sent = self._ended = 0
        self.seconds, self.status = [float("nan")] * len(requests), [0] * len(requests)
        self._epoll, self._open, self._idle = select.epoll(), dict[int, _Connection](), deque[_Connection]()
        for _ in range(connections):
            self._connect()
        self.begin = time.perf_counter()

    def run(self) -> None:
        while self._ended < len(self._requests) and self._wait():
            for descriptor, _ in self._epoll.poll(0):
                self._hear(self._open[descriptor])
            self._send_what_is_due()

    def close(self) -> None:
        for connection in self._open.values():
            connection.socket.close()
        self._epoll.close()

    def _wait(self) -> bool:
        """Until an answer comes or a request is due, to some 50 us: epoll's own clock ticks by the millisecond."""
        if not self._idle or self._sent == len(self._requests):
            return bool(select.select([self._epoll], (), (), PATIENCE)[0])
        due = self._scheduled(self._sent) - time.perf_counter()
        if due > 0:
            select.select([self._epoll], (), (), due)
        return True

    def _scheduled(self, number: int) -> float:
        return self.begin + number * self._apart

    def _send_what_is_due(self) -> None:
        now = time.perf_counter()
        while self._idle and self._sent < len(self._requests) and self._scheduled(self._sent) <= now:
            connection, number = self._idle.popleft(), self._sent
            self._sent += 1
            if not connection.send(number, self._requests[number]):
                self._replace(connection)

    def _hear(self, connection: _Connection) -> None:
        if not connection.receive():
            self._replace(connection)
        elif (answer := answer_in(connection.received)) is not None:
            self.seconds[connection.number] = time.perf_counter() - self._scheduled(connection.number)
            self.status[connection.number] = answer[0]
            self._ended += 1
            connection.received, connection.number = b"", -1
            self._idle.append(connection)

    def _replace(self, connection: _Connection) -> None:
        """It broke: whoever waited for an answer gets none."""
        if connection.number >= 0:
            self._ended += 1
        else:
            self._idle.remove(connection)
        del self._open[connection.socket.fileno()]
        connection.socket.close()
        self._connect()

    def _connect(self) -> None:
        connection = _Connection(self._port)
        self._epoll.register(connection.socket, select.EPOLLIN)
        self._open[connection.socket.fileno()] = connection
        self._idle.append(connection)
