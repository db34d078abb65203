"""The threads behind the server: order, groups, failures, limits, and a clean end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from penchant import Condition, Event, Query, Unavailable
from penchant.batches import Batch
from penchant.engine import Engine
from penchant.errors import InvalidInput, NotFound, Overloaded
from penchant.retention import Rounds
from penchant.serving import threads as module
from penchant.serving.tenants import Alone
from penchant.serving.threads import Threads
from tests.conftest import NOW, OpenEngine, circle, click, item, names
from tests.test_laws import settled


def run(engine: Engine, scenario: Callable[[Threads], Awaitable[Any]]) -> Any:
    async def main() -> Any:
        threads = Threads(engine)
        try:
            return await scenario(threads)
        finally:
            await threads.close()

    return asyncio.run(main())


class Gate:
    """Stands before a method: counts the calls, and holds them up while it is shut."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, engine: Engine, method: str) -> None:
        self.calls: list[Any] = []
        self.opened = threading.Event()
        self.entered = threading.Event()
        real = getattr(engine, method)

        def gated(told: Any) -> Any:
            self.calls.append(told)
            self.entered.set()
            assert self.opened.wait(60)
            return real(told)

        monkeypatch.setattr(engine, method, gated)

    async def wait(self) -> None:
        """Until somebody stands before it."""
        await asyncio.to_thread(self.entered.wait, 60)


async def started(*coroutines: Awaitable[Any]) -> list[asyncio.Future[Any]]:
    """Begin them, in order, and let each go as far as it can by itself."""
    tasks: list[asyncio.Future[Any]] = [asyncio.ensure_future(one) for one in coroutines]
    for _ in range(3):
        await asyncio.sleep(0)
    return tasks


def test_a_list_asked_after_the_acknowledgement_knows_the_event(engine: Engine) -> None:
    async def scenario(threads: Threads) -> None:
        await threads.ingest(circle(8))
        for k in range(8):
            receipt = await threads.ingest([click("ann", f"i{k}", NOW + k)])
            slate = await threads.recommend(Query(user="ann", time=NOW + 60))
            assert slate.as_of >= receipt.as_of
            assert slate.user_as_of == receipt.as_of
            assert f"i{k}" not in names(slate)

    run(engine, scenario)


def test_what_waits_for_the_log_is_committed_together_and_in_order(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(monkeypatch, engine, "write")

    async def scenario(threads: Threads) -> list[Any]:
        first = await started(threads.ingest([click("u0", "i0")]))
        await gate.wait()
        others = await started(*[threads.ingest([click(f"u{k}", f"i{k}")]) for k in range(1, 40)])
        gate.opened.set()
        return await asyncio.gather(*first, *others)

    receipts = run(engine, scenario)
    assert [len(call) for call in gate.calls] == [1, 39]
    assert [engine.parts.log.people.name(k) for k in range(40)] == [f"u{k}" for k in range(40)]
    assert receipts[-1].as_of == 40


def test_queries_that_wait_are_answered_in_one_call(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    engine.ingest(circle(5))
    gate = Gate(monkeypatch, engine, "decide_many")

    async def scenario(threads: Threads) -> list[Any]:
        first = await started(threads.recommend(Query(user="u0")))
        await gate.wait()
        others = await started(*[threads.recommend(Query(user=f"u{k}")) for k in range(1, 20)])
        gate.opened.set()
        return await asyncio.gather(*first, *others)

    slates = run(engine, scenario)
    assert [len(call) for call in gate.calls] == [1, 19]
    assert [slate.user for slate in slates] == [f"u{k}" for k in range(20)]


def test_the_answers_of_one_turn_wake_the_loop_once(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    engine.ingest(circle(5))
    gate = Gate(monkeypatch, engine, "decide_many")
    told: list[int] = []

    async def scenario(threads: Threads) -> None:
        tell = threads._tell

        def counted(answers: list[Any]) -> None:
            told.append(len(answers))
            tell(answers)

        monkeypatch.setattr(threads, "_tell", counted)
        first = await started(threads.recommend(Query()))
        await gate.wait()
        others = await started(*[threads.recommend(Query()) for _ in range(9)])
        gate.opened.set()
        await asyncio.gather(*first, *others)

    run(engine, scenario)
    assert [count for count in told if count] == [1, 9]


def test_a_query_that_cannot_be_answered_fails_alone(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    engine.ingest(circle(5))
    gate = Gate(monkeypatch, engine, "decide_many")

    async def scenario(threads: Threads) -> list[Any]:
        first = await started(threads.recommend(Query()))
        await gate.wait()
        broken = Query(where=(Condition("title"),))
        others = await started(threads.recommend(Query()), threads.recommend(broken), threads.recommend(Query()))
        gate.opened.set()
        return await asyncio.gather(*first, *others, return_exceptions=True)

    answers = run(engine, scenario)
    assert [type(answer).__name__ for answer in answers] == ["Slate", "Slate", "InvalidInput", "Slate"]


def test_similar_and_search_are_answered_too(engine: Engine) -> None:
    async def scenario(threads: Threads) -> None:
        await threads.ingest(circle(8))
        await asyncio.to_thread(engine.wait_for_items)
        assert set(names(await threads.similar("i0", Query(limit=2)))) == {"i1", "i7"}
        assert names(await threads.search(Query(words="item 3")))[0] == "i3"
        with pytest.raises(NotFound, match="i9"):
            await threads.similar("i9", Query())
        with pytest.raises(InvalidInput, match="words"):
            await threads.search(Query(words=" "))

    run(engine, scenario)


def test_words_are_read_beside_the_loop_and_the_engine(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    where: list[str] = []
    read = engine.parts.words.read

    def noted(texts: Any) -> None:
        texts = list(texts)
        if texts:
            where.append(threading.current_thread().name)
        read(texts)

    monkeypatch.setattr(engine.parts.words, "read", noted)

    async def scenario(threads: Threads) -> None:
        await threads.ingest([Event(user="ann", action="search", words="space")])
        await threads.search(Query(words="space"))

    run(engine, scenario)
    assert [name.startswith("penchant-words") for name in where[:2]] == [True, True]


def test_a_failed_commit_is_the_answer_of_all_who_waited_and_the_next_one_is_taken(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(monkeypatch, engine, "write")
    append = engine.parts.log.append
    failing = [False, True]

    def full(events: Sequence[Event], **more: Any) -> Any:
        if failing and failing.pop(0):
            raise Unavailable("the disk is full.", field="data", value="here", way_out="Free space.")
        return append(events, **more)

    monkeypatch.setattr(engine.parts.log, "append", full)

    async def scenario(threads: Threads) -> list[Any]:
        first = await started(threads.ingest([click("u0", "i0")]))
        await gate.wait()
        others = await started(*[threads.ingest([click(f"u{k}", "i0")]) for k in (1, 2, 3)])
        gate.opened.set()
        answers = await asyncio.gather(*first, *others, return_exceptions=True)
        return [*answers, await threads.ingest([click("u4", "i0")])]

    answers = run(engine, scenario)
    assert [type(answer).__name__ for answer in answers] == ["Receipt", *["Unavailable"] * 3, "Receipt"]
    assert answers[-1].as_of == 2


def test_a_defect_while_committing_is_told_and_the_next_commit_is_taken(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = engine.write
    broken = [True]

    def defective(batches: Sequence[Batch]) -> None:
        if broken and broken.pop():
            raise ZeroDivisionError
        write(batches)

    monkeypatch.setattr(engine, "write", defective)

    async def scenario(threads: Threads) -> None:
        with pytest.raises(ZeroDivisionError):
            await threads.ingest([click("ann", "i0")])
        assert (await threads.ingest([click("ann", "i0")])).accepted == 1

    run(engine, scenario)


def test_a_defect_while_applying_is_told_and_shown_and_lists_go_on(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine.parts.states, "take", lambda events: 1 / 0)

    async def scenario(threads: Threads) -> None:
        with pytest.raises(ZeroDivisionError):
            await threads.ingest([click("ann", "i0")])
        assert "could not be applied" in " ".join(engine.warnings)
        assert (await threads.recommend(Query())).items == []

    run(engine, scenario)


def test_a_large_request_is_one_commit_applied_in_slices_with_one_receipt(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    applied: list[int] = []
    commits: list[int] = []
    apply, write = engine.apply, engine.write

    def noting_apply(batches: Sequence[Batch]) -> Any:
        applied.extend(len(batch.events) for batch in batches)
        return apply(batches)

    def noting_write(batches: Sequence[Batch]) -> None:
        commits.append(sum(len(batch.events) for batch in batches))
        write(batches)

    monkeypatch.setattr(engine, "apply", noting_apply)
    monkeypatch.setattr(engine, "write", noting_write)
    events = [click(f"u{k % 7}", f"i{k % 11}", NOW + k, id=f"e{k}") for k in range(1000)]
    events[3] = click("", "i0", id="e3")
    events[999] = click("u0", "i0", id="e7")

    receipt = run(engine, lambda threads: threads.ingest(events))
    assert commits == [999]
    assert max(applied) < 300
    assert sum(applied) == 999
    assert (receipt.accepted, receipt.as_of) == (998, 998)
    assert receipt.ids == [f"e{k}" for k in range(999) if k != 3]
    assert receipt.duplicates == ["e7"]
    assert [refusal.index for refusal in receipt.refused] == [3]


def test_an_event_is_acknowledged_in_the_middle_of_an_import(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate(monkeypatch, engine, "write")

    async def scenario(threads: Threads) -> tuple[Any, Any]:
        (imported,) = await started(threads.ingest([item(f"i{k}", 1.0, title="a") for k in range(200)]))
        await gate.wait()  # before its first part
        (sent,) = await started(threads.ingest([click("ann", "i0")]))
        gate.opened.set()
        return await imported, await sent

    imported, sent = run(engine, scenario)
    parts = [[len(batch.events) for batch in call] for call in gate.calls]
    assert parts == [[32], [32, 1], *[[32]] * 4, [8]]
    assert (imported.accepted, imported.as_of) == (200, 201)
    assert 65 <= sent.as_of < 201


def test_an_import_that_the_disk_refuses_midway_is_refused_and_may_be_sent_again(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, calls = engine.write, []

    def full(batches: Sequence[Batch]) -> None:
        calls.append(len(batches))
        if len(calls) == 3:
            raise Unavailable("the disk is full.", field="data", value="here", way_out="Free space.")
        write(batches)

    monkeypatch.setattr(engine, "write", full)
    items = [item(f"i{k}", 1.0, title="a") for k in range(200)]

    async def scenario(threads: Threads) -> Any:
        with pytest.raises(Unavailable, match="the disk is full"):
            await threads.ingest(items)
        return await threads.ingest(items)

    assert run(engine, scenario).accepted == 200
    assert len(calls) == 3 + 7
    assert int(engine.parts.index.known.sum()) == 200


def test_a_proof_of_erasure_waits_for_the_disk_and_nobody_else_does(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.ingest([*circle(4), click("ann", "i0"), click("bob", "i1"), click("cid", "i2")])
    save, go_on = engine.parts.save, threading.Event()

    def slow(made: Any) -> None:
        assert go_on.wait(60)
        save(made)

    monkeypatch.setattr(engine.parts, "save", slow)

    async def scenario(threads: Threads) -> list[Any]:
        erasures = [Event(kind="erasure", user=user) for user in ("ann", "bob", "cid")]
        proofs = await started(*[threads.ingest([erasure]) for erasure in erasures])
        receipt = await threads.ingest([click("dan", "i0")])
        assert (await threads.recommend(Query(user="dan", after=receipt.as_of))).items
        assert await threads.read(engine.item, "i0")
        assert not any(proof.done() for proof in proofs)
        go_on.set()
        return await asyncio.gather(*proofs)

    assert all(proof.erased for proof in run(engine, scenario))


def test_threads_do_what_ingest_does(open_engine: OpenEngine) -> None:
    events = [*circle(12), *[click(f"u{k % 5}", f"i{k * 7 % 12}", NOW + k, id=f"e{k}") for k in range(700)]]
    plain, served = open_engine("plain"), open_engine("served")
    plain.ingest(events)
    run(served, lambda threads: threads.ingest(events))
    for user in ("u0", "u1", "u2", "u3", "u4", None):
        query = Query(user=user, time=NOW + 2000, seen="allow", limit=12)
        ours, theirs = served.recommend(query), plain.recommend(query)
        assert names(ours) == names(theirs)
        assert [one.score for one in ours.items] == pytest.approx([one.score for one in theirs.items], abs=1e-5)


def test_too_many_queries_are_told_to_come_back(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_QUERIES", 2)
    gate = Gate(monkeypatch, engine, "decide_many")

    async def scenario(threads: Threads) -> None:
        waiting = await started(threads.recommend(Query()), threads.recommend(Query()))
        threads.measures.answer.each = 2.6  # seconds a list, lately
        with pytest.raises(Overloaded, match="queries") as told:
            await threads.recommend(Query())
        assert told.value.retry_after == 6
        assert threads.measures.overloads == {"events": 0, "queries": 1}
        gate.opened.set()
        await asyncio.gather(*waiting)
        await threads.recommend(Query())

    run(engine, scenario)


def test_too_many_events_are_told_to_come_back(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_EVENTS", 2)
    gate = Gate(monkeypatch, engine, "write")

    async def scenario(threads: Threads) -> None:
        waiting = await started(threads.ingest([click("ann", "i0"), click("ann", "i1")]))
        threads.measures.commit.each, threads.measures.apply.each = 2.0, 1.25  # seconds an event, lately
        with pytest.raises(Overloaded, match="events") as told:
            await threads.ingest([click("bob", "i0")])
        assert told.value.retry_after == 7
        gate.opened.set()
        await asyncio.gather(*waiting)
        assert (await threads.ingest([item("i0"), item("i1"), item("i2")])).accepted == 3  # by itself, any size

    run(engine, scenario)


def test_a_caller_that_went_away_holds_up_nobody(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate(monkeypatch, engine, "write")

    async def scenario(threads: Threads) -> Any:
        gone, stays = await started(threads.ingest([click("ann", "i0")]), threads.ingest([click("bob", "i0")]))
        gone.cancel()
        gate.opened.set()
        return await stays

    assert run(engine, scenario).as_of == 2


def test_a_defect_whose_caller_went_away_is_in_the_log(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(engine.parts.log, "append", lambda events, source: 1 / 0)
    gate = Gate(monkeypatch, engine, "write")

    async def scenario(threads: Threads) -> None:
        (gone,) = await started(threads.ingest([click("ann", "i0")]))
        gone.cancel()
        gate.opened.set()

    run(engine, scenario)
    (record,) = [record for record in caplog.records if "went away" in record.message]
    assert record.exc_info is not None
    assert record.exc_info[0] is ZeroDivisionError


def test_closing_finishes_what_is_queued_and_refuses_what_comes_later(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(monkeypatch, engine, "write")

    async def main() -> list[Any]:
        threads = Threads(engine)
        waiting = await started(
            *[threads.ingest([click(f"u{k}", "i0")]) for k in range(30)], threads.recommend(Query(user="u0"))
        )
        closing = (await started(threads.close()))[0]
        for late in (threads.ingest([click("late", "i0")]), threads.recommend(Query())):
            with pytest.raises(Unavailable, match="stopping"):
                await late
        gate.opened.set()
        await closing
        return await asyncio.gather(*waiting)

    answers = asyncio.run(main())
    assert [answer.as_of for answer in answers[:30]][-1] == 30
    assert engine.parts.log.people.get("late") == -1


def test_retention_takes_its_turn_between_events_and_lists(open_engine: OpenEngine) -> None:
    engine = open_engine(retention={"events": 4})
    engine.ingest([*circle(12), *(click(f"p{k % 3}", f"i{k % 12}", NOW + k) for k in range(60))])

    async def scenario(threads: Threads) -> int:
        asked = [threads.recommend(Query(user="p0", time=NOW + 99)) for _ in range(20)]
        told = [threads.ingest([click("p1", f"i{k % 12}", NOW + 100 + k)]) for k in range(20)]
        await asyncio.gather(asyncio.to_thread(engine.retain), *told, *asked)
        await asyncio.to_thread(engine.retain)
        return threads.measures.accepted

    assert run(engine, scenario) == 20  # retention is nobody's event
    log = engine.parts.log
    held = {user: len(engine.parts.history(log.people.get(user), log.end).item) for user in ("p0", "p1", "p2")}
    assert (held["p0"], held["p2"]) == (4, 4)
    assert engine.retention.dropped == 80 - sum(held.values())
    settled(engine)
    lived = engine.parts.counts.totals[:12].tolist()
    engine.rebuild()
    settled(engine)
    assert engine.parts.counts.totals[:12].tolist() == lived


def test_a_round_that_is_begun_when_the_server_stops_is_cut_short(open_engine: OpenEngine) -> None:
    engine = open_engine(retention={"events": 4})
    engine.ingest([click(f"p{k % 3}", f"i{k % 12}", NOW + k) for k in range(60)])

    async def scenario(threads: Threads) -> None:
        threads._closing = True
        with pytest.raises(Unavailable, match="the server is stopping"):
            await asyncio.to_thread(engine.retain)

    run(engine, scenario)
    assert engine.retention.dropped == 0


def test_a_server_begins_with_a_round(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Engine.open(tmp_path, encoder="none") as engine:
        engine.ingest([click("ann", f"i{k}", NOW + k) for k in range(6)])
    ended = threading.Event()
    run_beside = Rounds.run_beside
    monkeypatch.setattr(Rounds, "run_beside", lambda rounds: (run_beside(rounds), ended.set()))

    async def main() -> int:
        alone = Alone(tmp_path, {"encoder": "none", "retention": {"events": 4}})
        await alone.open()
        assert alone.threads is not None
        await asyncio.to_thread(ended.wait, 60)
        await alone.close()
        return alone.threads.engine.retention.dropped

    assert asyncio.run(main()) == 2
