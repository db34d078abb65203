"""An engine in a process of its own, asked over a pipe, so that it can really be killed with SIGKILL and started again.

For the demo and for tests; an application asks over HTTP.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from penchant.errors import PenchantError, Unavailable
from penchant.types import Event, Query, Receipt, Slate

if TYPE_CHECKING:
    from penchant.engine import Engine

_GOODBYE = 30.0


class Away:
    """Started when made; close it, or use it as a context manager. Raises what the engine raises."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.start()

    def start(self) -> None:
        """Again, after `kill`."""
        spawn = get_context("spawn")
        self._pipe, theirs = spawn.Pipe()
        self._process = spawn.Process(target=_serve, args=(self._folder, theirs), name="penchant-engine", daemon=True)
        self._process.start()
        theirs.close()
        self._answer()

    @property
    def pid(self) -> int:
        return self._process.pid or 0

    def ingest(self, *events: Event) -> Receipt:
        return cast(Receipt, self._ask("ingest", list(events)))

    def recommend(self, query: Query) -> Slate:
        return cast(Slate, self._ask("recommend", query))

    def search(self, query: Query) -> Slate:
        return cast(Slate, self._ask("search", query))

    def remember(self, keys: Sequence[bytes], vectors: Any) -> None:
        """Vectors [n, dim] of texts, by the keys the catalogue caches them under: such texts need not be read."""
        self._ask("remember", (keys, vectors))

    def wait_for_items(self) -> int:
        """Until every text sent so far is read; how many items have a vector."""
        return cast(int, self._ask("wait", None))

    def use_current(self) -> bool:
        """Go over to the model version that is in use on disk; whether it was another one."""
        return cast(bool, self._ask("use", None))

    def kill(self) -> int:
        """kill -9; the number of the signal that ended the process."""
        os.kill(self.pid, signal.SIGKILL)
        self._process.join()
        self._pipe.close()
        return -(self._process.exitcode or 0)

    def close(self) -> None:
        with suppress(BrokenPipeError):  # it has ended by itself
            self._pipe.send(None)
        self._process.join(_GOODBYE)
        self._pipe.close()

    def __enter__(self) -> Away:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ask(self, verb: str, told: object) -> object:
        try:
            self._pipe.send((verb, told))
        except BrokenPipeError:
            raise _ended() from None
        return self._answer()

    def _answer(self) -> object:
        try:
            answer = self._pipe.recv()
        except EOFError:
            raise _ended() from None
        if isinstance(answer, Exception):
            raise answer
        return answer


def _ended() -> Unavailable:
    return Unavailable("the process of the engine ended.", way_out="What it said stands above.")


def _serve(folder: Path, pipe: Connection) -> None:
    """What the other process runs: one answer to each question."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; it is for the one who asks
    from penchant.engine import Engine

    try:
        engine = Engine.open(folder)
    except PenchantError as error:
        pipe.send(error)
        return
    with engine:
        pipe.send("ready")
        for verb, told in _questions(pipe):
            pipe.send(_answered(engine, verb, told))


def _questions(pipe: Connection) -> Iterator[tuple[str, Any]]:
    """Until None comes, or the other side is gone without a goodbye."""
    while True:
        try:
            question = pipe.recv()
        except EOFError:
            return
        if question is None:
            return
        yield question


def _answered(engine: Engine, verb: str, told: Any) -> object:
    try:
        return _VERBS[verb](engine, told)
    except PenchantError as error:
        return error


def _wait(engine: Engine, _: None) -> int:
    engine.wait_for_items()
    return int((engine.parts.index.epoch > 0).sum())


_VERBS: dict[str, Callable[[Engine, Any], object]] = {
    "ingest": lambda engine, events: engine.ingest(events),
    "recommend": lambda engine, query: engine.recommend(query),
    "search": lambda engine, query: engine.search(query),
    "remember": lambda engine, told: engine.parts.catalogue.put_vectors(zip(*told, strict=True)),
    "wait": _wait,
    "use": lambda engine, _: engine.parts.use_current(),
}
