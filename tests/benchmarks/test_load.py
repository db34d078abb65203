"""What the load generators of `make bench-throughput` and `make bench-soak` count."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from itertools import count
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks import open_loop
from benchmarks.freshness import request
from benchmarks.open_loop import at_constant_rate
from benchmarks.wrk import Taken, taken

QUIET = """Running 6s test @ http://127.0.0.1:55189
  1 threads and 256 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   499.42ms   73.50ms 757.96ms   78.26%
    Req/Sec   511.88    217.78     1.02k    71.43%
  2944 requests in 6.03s, 16.73MB read
{}Requests/sec:    488.09
Transfer/sec:      2.77MB
"""


@pytest.mark.parametrize(
    ("said", "failed"),
    [
        ("", 0),
        ("  Non-2xx or 3xx responses: 17\n", 17),
        ("  Socket errors: connect 1, read 20, write 0, timeout 300\n  Non-2xx or 3xx responses: 4000\n", 4321),
    ],
)
def test_what_wrk_says_is_read_with_all_that_failed(said: str, failed: int) -> None:
    assert taken(QUIET.format(said)) == Taken(488.09, failed)


def test_a_report_without_a_rate_is_no_rate() -> None:
    with pytest.raises(ValueError, match="unable to connect"):
        taken("unable to connect to 127.0.0.1:1")


@contextlib.contextmanager
def answering(answer: Callable[[socket.socket, bytes], None]) -> Iterator[int]:
    """A server that has ``answer`` write what it likes to every request; its port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def hear(caller: socket.socket) -> None:
            with caller:
                while asked := caller.recv(4096):
                    answer(caller, asked.split()[1])
                    if caller.fileno() < 0:
                        return

        def accept() -> None:
            with contextlib.suppress(OSError):  # closed: the end of the test
                while True:
                    threading.Thread(target=hear, args=(listening.accept()[0],)).start()

        thread = threading.Thread(target=accept)
        thread.start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()


def asked(*paths: str) -> list[bytes]:
    return [request("GET", path) for path in paths]


def test_every_request_has_its_own_status_in_whatever_parts_its_answer_comes() -> None:
    def answer(caller: socket.socket, path: bytes) -> None:
        for part in (b"HTTP/1.1 2", path[1:], b" OK\r\nContent-", b"Length: 6\r\n\r\nabc", b"def"):
            caller.sendall(part)

    numbers = [f"{k:02}" for k in range(50)]
    with answering(answer) as port:
        answers = at_constant_rate(port, np.inf, asked(*(f"/{number}" for number in numbers)), connections=3)
    assert answers.status.tolist() == [200 + k for k in range(50)]
    assert np.isfinite(answers.seconds).all()
    assert answers.errors == 0


def test_a_broken_connection_is_an_error_and_its_request_alone_has_no_answer() -> None:
    def answer(caller: socket.socket, path: bytes) -> None:
        if path == b"/bad":
            caller.close()
        else:
            caller.sendall(b"HTTP/1.1 " + path[1:] + b" said\r\ncontent-length: 0\r\n\r\n")

    with answering(answer) as port:
        answers = at_constant_rate(port, 1e6, asked("/200", "/bad", "/503", "/204", "/bad", "/200"), connections=2)
    assert answers.status.tolist() == [200, 0, 503, 204, 0, 200]
    assert np.isnan(answers.seconds).tolist() == [False, True, False, False, True, False]
    assert answers.errors == 3


def test_a_request_that_waits_for_a_connection_is_late_by_what_it_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """One connection, and all are due at once: each is answered after the one before, counted from the same moment.

    The clock counts how often it was asked, so that nothing depends on how fast the machine is.
    """
    ticks = count()
    monkeypatch.setattr(open_loop, "time", SimpleNamespace(perf_counter=lambda: float(next(ticks))))

    def answer(caller: socket.socket, path: bytes) -> None:
        caller.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")

    with answering(answer) as port:
        late = at_constant_rate(port, np.inf, asked(*["/"] * 20), connections=1).seconds.tolist()
    assert late == sorted(set(late))
