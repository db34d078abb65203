"""The threads behind the server: one writes the log, one is the engine's; the loop's own thread waits for neither.

    loop thread     checks events, makes futures, awaits them, puts names to lists
    log thread      commits whatever batches wait, together, and hands them on in the order of the log
    engine thread   applies them, and answers whatever queries wait, together

Notable: nobody waits for a batch to fill. A thread takes what is there, so that a batch is as large as the load makes
it, and an idle server answers at once. The answers of one turn reach the loop by one call, since waking it costs more
than an answer. A large request is applied in slices of a few milliseconds, with queries answered in between; and
committed at once, unless it holds nothing but items and profiles, which may be sent again without harm: then slice by
slice, so that no event waits for an import.

Does not know: HTTP, and what an event means.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, pairwise
from queue import SimpleQueue
from typing import Any, NamedTuple, TypeVar

from penchant import writing
from penchant.batches import Batch
from penchant.engine import Engine
from penchant.errors import Overloaded, PenchantError, Unavailable
from penchant.listing import Decided
from penchant.serving.listening import Listeners, touched
from penchant.serving.measures import Measures
from penchant.serving.waiting import Waiting
from penchant.types import Contents, Event, Query, Receipt, Slate, Writing

MOST_EVENTS = 100_000  # waiting for the log; beyond, a sender is told to come back
MOST_QUERIES = 2_000
_COMMIT = 8_192  # events written in one transaction, unless one request alone brings more
_SLICE = 256  # interactions applied before queries are looked at again, or what takes as long
_WORK = {"item": 8, "user": 4, "retraction": 64, "alias": 64, "erasure": 64, "retention": _SLICE}  # in interactions
_TURN = 64  # jobs the engine thread takes at once
_HERE = 100  # up to so much work is checked on the loop's thread
_UPSERTS = {"item", "user"}
_READERS = 2
_log = logging.getLogger("penchant")

T = TypeVar("T")


class _Asked(NamedTuple):
    """A query; ``alone`` answers it by itself (a search), otherwise it is answered together with others."""

    future: asyncio.Future[Slate | Decided]
    query: Query
    alone: Callable[[Query], Slate] | None = None


@dataclass(slots=True)
class _Sent:
    """The events of one request, cut into slices; ``receipts``: one for each slice that was applied.

    ``commits``: what is still to be written, each of it at once.
    """

    future: asyncio.Future[Receipt]
    slices: int
    commits: deque[list[Batch]]
    receipts: list[Receipt] = field(default_factory=list)

    @classmethod
    def of(cls, batch: Batch, future: asyncio.Future[Receipt]) -> _Sent:
        slices = _sliced(batch)
        apart = len(slices) > 1 and all(event.kind in _UPSERTS for event in batch.events)
        return cls(future, len(slices), deque([one] for one in slices) if apart else deque([slices]))


class _Written(NamedTuple):
    sent: _Sent
    slices: list[Batch]


class _Answer(NamedTuple):
    future: asyncio.Future[Any]
    result: object = None
    error: Exception | None = None


class Threads:
    """Made and called on the loop's thread; `close` finishes what is queued."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self._loop, self.measures = engine, asyncio.get_running_loop(), Measures()
        engine.tracks, engine.heard = True, self._heard  # what a server answers is shown to somebody
        engine.retention.send = self._send  # events of the log's own come between those of others
        self.listeners = Listeners(engine.parts.log)
        self._to_log: SimpleQueue[_Sent | None] = SimpleQueue()
        self._to_engine: SimpleQueue[_Written | _Asked | None] = SimpleQueue()
        self._events = self._queries = 0
        self._closing = False
        self._waiting = Waiting(lambda: engine.parts.as_of)
        self._readers = ThreadPoolExecutor(_READERS, "penchant-words")
        self._proofs = ThreadPoolExecutor(1, "penchant-proofs")  # waits for the disk, and no reader for it
        self._threads = [
            threading.Thread(target=self._write_log, name="penchant-log"),
            threading.Thread(target=self._run_engine, name="penchant-engine"),
        ]
        for thread in self._threads:
            thread.start()

    # -- on the loop's thread ------------------------------------------------------------------------------------------

    async def ingest(self, events: Sequence[Event]) -> Receipt:
        """On return they are durable, and every list asked from now on knows them. Raises Unavailable."""
        if self._events and self._events + len(events) > MOST_EVENTS:
            raise self._overloaded("events", self._events)
        self._events += len(events)
        try:
            batch = await self._accepted(events)
            if not batch.events:
                self.measures.refused += len(batch.refused)
                return Receipt(accepted=0, as_of=self.engine.parts.as_of, refused=batch.refused)
            return await self._logged(batch)
        finally:
            self._events -= len(events)

    async def recommend(self, query: Query) -> Slate:
        await self._prepare(query)
        return await self._ask(_Asked(self._loop.create_future(), query))

    async def similar(self, item: str, query: Query) -> Slate:
        await self._prepare(query)
        return await self._ask(_Asked(self._loop.create_future(), query, partial(self.engine.similar, item)))

    async def rank(self, items: Sequence[str], query: Query) -> Slate:
        await self._prepare(query)
        return await self._ask(_Asked(self._loop.create_future(), query, partial(self.engine.rank, items)))

    async def compose(self, wanted: Writing) -> Contents:
        """The engine thread says why; the texts are made and checked beside it."""
        slate = await self.rank(wanted.items, writing.question(wanted))
        return await self.read(writing.write, self.engine.parts, wanted, slate)

    async def read(self, what: Callable[..., T], *words: object) -> T:
        """What the catalogue says, read beside the engine thread."""
        self._check_open()
        return await self._loop.run_in_executor(self._readers, what, *words)

    async def search(self, query: Query) -> Slate:
        """The language model reads the words beside the engine thread, so that no list waits for it."""
        await self._prepare(query)
        if query.words:
            await self._loop.run_in_executor(self._readers, self.engine.parts.words.read, [query.words])
        return await self._ask(_Asked(self._loop.create_future(), query, self.engine.search))

    async def _prepare(self, query: Query) -> None:
        """Beside the engine thread, too: what is to be known is waited for, and a rule's fields are read.

        The first rule on a field reads the whole catalogue. An offset that was not reached is the engine's to refuse.
        """
        if query.after is not None:
            if query.after > self.engine.parts.as_of:
                await self._loop.run_in_executor(self._readers, self.engine.follow)
            await self._waiting.until(query.after)
        if unread := self.engine.unread(query):
            await self._loop.run_in_executor(self._readers, self.engine.read_fields, unread)

    async def close(self) -> None:
        """Finish what is queued; what comes later is refused with Unavailable."""
        self._closing = True
        self.listeners.close()
        self._to_log.put(None)
        for thread in self._threads:
            await self._loop.run_in_executor(None, thread.join)
        await self._loop.run_in_executor(None, self._proofs.shutdown)
        self._readers.shutdown()

    async def _accepted(self, events: Sequence[Event]) -> Batch:
        if _work(events) <= _HERE and not any(event.words for event in events):
            batch, seconds = self._checked(events)
        else:
            batch, seconds = await self._loop.run_in_executor(self._readers, self._checked, events)
        if events:
            self.measures.check.took(seconds, len(events))
        return batch

    def _checked(self, events: Sequence[Event]) -> tuple[Batch, float]:
        start = time.perf_counter()
        return self.engine.accept(events), time.perf_counter() - start

    async def _logged(self, batch: Batch) -> Receipt:
        self._check_open()
        sent = _Sent.of(batch, self._loop.create_future())
        self._to_log.put(sent)
        return await sent.future

    def _send(self, event: Event) -> None:
        """On a thread of its own, which waits until it is done."""
        asyncio.run_coroutine_threadsafe(self._logged(Batch([event], [0], [])), self._loop).result()

    async def _ask(self, asked: _Asked) -> Slate:
        self._check_open()
        if self._queries >= MOST_QUERIES:
            raise self._overloaded("queries", self._queries)
        self._queries += 1
        try:
            self._to_engine.put(asked)
            answer = await asked.future
            return answer.slate() if isinstance(answer, Decided) else answer
        finally:
            self._queries -= 1

    def _check_open(self) -> None:
        if self._closing:
            raise Unavailable("the server is stopping.", way_out="Send again when it is back.")

    def _overloaded(self, what: str, waiting: int) -> Overloaded:
        self.measures.overloads[what] += 1
        seconds = self.measures.wait(self._events, self._queries, log=what == "events")
        return Overloaded(
            f"too many {what} wait for an answer.",
            retry_after=seconds,
            field=what,
            value=waiting,
            way_out=f"Send again in {seconds} s, and less at a time.",
        )

    @property
    def waiting(self) -> dict[str, int]:
        """Events and queries that were sent and are not answered yet."""
        return {"events": self._events, "queries": self._queries}

    @property
    def queued(self) -> dict[str, int]:
        """Jobs before each thread; a job is the events of a request, or a query."""
        return {"log": self._to_log.qsize(), "engine": self._to_engine.qsize()}

    @property
    def alive(self) -> bool:
        """Whether the threads run that every answer needs; they end of themselves only when the server stops."""
        return self._closing or all(thread.is_alive() for thread in self._threads)

    # -- the log thread ------------------------------------------------------------------------------------------------

    def _write_log(self) -> None:
        waiting: list[_Sent] = []
        running = True
        while running or waiting:
            if running:
                jobs, running = _taken(self._to_log, _COMMIT, _next_commit, wait=not waiting)
                waiting += jobs
            part = [_Written(job, job.commits.popleft()) for job in waiting]
            if part and self._commit(part):
                for one in part:
                    self._to_engine.put(one)
                waiting = [job for job in waiting if job.commits]
            else:
                waiting = []
        self._to_engine.put(None)

    def _commit(self, part: Sequence[_Written]) -> bool:
        batches = [batch for one in part for batch in one.slices]
        start = time.perf_counter()
        try:
            self.engine.write(batches)
        except Exception as error:  # it is every sender's answer, and the next commit may succeed
            if isinstance(error, Unavailable):
                _log.error("events could not be committed", extra={"requests": len(part), "reason": error.what})
            self._tell([_Answer(one.sent.future, error=error) for one in part])
            return False
        self.measures.commit.took(time.perf_counter() - start, sum(len(batch.events) for batch in batches))
        return True

    # -- the engine thread ---------------------------------------------------------------------------------------------

    def _run_engine(self) -> None:
        slices: deque[tuple[_Sent, Batch]] = deque()
        running = True
        while running or slices:
            jobs: list[_Written | _Asked] = []
            if running:
                jobs, running = _taken(self._to_engine, _TURN, wait=not slices)
            slices.extend((job.sent, one) for job in jobs if isinstance(job, _Written) for one in job.slices)
            answers = self._apply(list(_next(slices)))
            self._tell(answers + self._answer([job for job in jobs if isinstance(job, _Asked)]))

    def _apply(self, taken: Sequence[tuple[_Sent, Batch]]) -> list[_Answer]:
        if not taken:
            return []
        start = time.perf_counter()
        try:
            receipts = self.engine.apply([one for _, one in taken])
        except Exception as error:  # a defect; the engine keeps what is half done from its snapshots
            return [_Answer(job.future, error=error) for job, _ in taken]
        self.measures.apply.took(time.perf_counter() - start, sum(len(one.events) for _, one in taken))
        self._heard(chain.from_iterable(one.outcomes for _, one in taken))
        for (job, _), receipt in zip(taken, receipts, strict=True):
            job.receipts.append(receipt)
        done = dict.fromkeys(id(job) for job, _ in taken if len(job.receipts) == job.slices)
        jobs = {id(job): job for job, _ in taken}
        return self._at_once([_Answer(jobs[one].future, _whole(jobs[one].receipts)) for one in done])

    def _at_once(self, answers: list[_Answer]) -> list[_Answer]:
        """Those that may leave now. A proof of erasure waits, beside, until the disk has forgotten as well."""
        proofs = [one for one in answers if _is_proof(one)]
        if proofs:
            self._proofs.submit(self._tell_once_written, proofs)
        return [one for one in answers if not _is_proof(one)]

    def _tell_once_written(self, proofs: list[_Answer]) -> None:
        self.engine.snapshots.wait()
        self._tell(proofs)

    def _heard(self, logged: Iterable[object]) -> None:
        """Events were taken in: whoever listens for one of their people is told."""
        if self.listeners:
            self._loop.call_soon_threadsafe(self.listeners.tell, touched(logged))

    def _answer(self, asked: Sequence[_Asked]) -> list[_Answer]:
        if not asked:
            return []
        start = time.perf_counter()
        answers = self._answered(asked)
        self.measures.answer.took(time.perf_counter() - start, len(asked))
        return answers

    def _answered(self, asked: Sequence[_Asked]) -> list[_Answer]:
        together = [one for one in asked if one.alone is None]
        answers = [self._one(one, one.alone) for one in asked if one.alone is not None]
        if not together:
            return answers
        try:
            decided = self.engine.decide_many([one.query for one in together])
        except Exception:  # one of them cannot be answered; by itself, it learns why
            return answers + [self._one(one, self.engine.recommend) for one in together]
        return answers + [_Answer(one.future, its) for one, its in zip(together, decided, strict=True)]

    def _one(self, asked: _Asked, answer: Callable[[Query], Slate]) -> _Answer:
        try:
            return _Answer(asked.future, answer(asked.query))
        except Exception as error:
            return _Answer(asked.future, error=error)

    def _tell(self, answers: list[_Answer]) -> None:
        if answers:
            self._loop.call_soon_threadsafe(self._resolve, answers)

    def _resolve(self, answers: Sequence[_Answer]) -> None:
        """On the loop's thread. A caller that went away has cancelled its future."""
        for answer in answers:
            if isinstance(answer.result, Receipt):
                self.measures.note(answer.result)
            if answer.future.done():
                _note_defect(answer.error)
            elif answer.error is not None:
                answer.future.set_exception(answer.error)
            else:
                answer.future.set_result(answer.result)


def _taken(
    queue: SimpleQueue[Any], most: int, size: Callable[[Any], int] = lambda job: 1, wait: bool = True
) -> tuple[list[Any], bool]:
    """(what waits, up to a size; whether more may come). Waits for the first when ``wait`` is set, never for more."""
    jobs: list[Any] = []
    total = 0
    while total < most and ((wait and not jobs) or not queue.empty()):
        job = queue.get()
        if job is None:
            return jobs, False
        jobs.append(job)
        total += size(job)
    return jobs, True


def _next_commit(job: _Sent) -> int:
    """How many events are written of it at once."""
    return sum(len(batch.events) for batch in job.commits[0])


def _next(slices: deque[tuple[_Sent, Batch]]) -> Iterable[tuple[_Sent, Batch]]:
    """Take slices off, at least one, until they hold a slice's worth of work."""
    total = 0
    while slices and total < _SLICE:
        total += _work(slices[0][1].events)
        yield slices.popleft()


def _work(events: Sequence[Event]) -> int:
    """How long they take, in interactions."""
    return sum(_WORK.get(event.kind, 1) for event in events)


def _sliced(batch: Batch) -> list[Batch]:
    """Parts of a batch, in order, a slice's worth of work each; what was refused goes with the first."""
    starts, total = [0], 0
    for at, event in enumerate(batch.events):
        if total >= _SLICE:
            starts.append(at)
            total = 0
        total += _WORK.get(event.kind, 1)
    if len(starts) == 1:
        return [batch]
    parts = [Batch(batch.events[a:b], batch.places[a:b], []) for a, b in pairwise([*starts, len(batch.events)])]
    parts[0].refused = batch.refused
    return parts


def _is_proof(answer: _Answer) -> bool:
    return isinstance(answer.result, Receipt) and bool(answer.result.erased)


def _whole(receipts: Sequence[Receipt]) -> Receipt:
    """One receipt for all slices of a request."""
    whole = receipts[0]
    for part in receipts[1:]:
        whole.accepted, whole.as_of = whole.accepted + part.accepted, part.as_of
        for name in ("ids", "duplicates", "late", "refused", "erased"):
            getattr(whole, name).extend(getattr(part, name))
    return whole


def _note_defect(error: Exception | None) -> None:
    """Of a caller that went away; whoever waits is told, and writes it to the log with the request's id."""
    if error is not None and not isinstance(error, PenchantError):
        _log.error("a request failed whose caller went away", exc_info=error)
