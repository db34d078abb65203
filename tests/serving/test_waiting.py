"""Reading one's own writes: an answer knows the offset that it is asked after, or it is refused with a way out."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import httpx
import pytest

from penchant.engine import Engine
from penchant.serving import waiting as module
from penchant.serving.threads import Threads
from penchant.serving.waiting import Waiting
from penchant.types import Query
from tests.conftest import circle, click
from tests.serving.conftest import Ask
from tests.serving.test_http import CLICK, items, problem, shown

ADDRESSES = ("recommend?user=ann", "search?words=item", "similar?item=i0")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.05)


def test_what_was_acknowledged_is_known_at_once_and_what_was_not_is_refused(ask: Ask, impatient: None) -> None:
    async def scenario(http: httpx.AsyncClient) -> None:
        await http.put("/v1/items", json=items(4))
        as_of = (await http.post("/v1/events", json=CLICK)).json()["as_of"]
        assert "i0" not in shown(await http.get(f"/v1/recommend?user=ann&after={as_of}"))
        bodies: dict[str, Any] = {"recommend": {"user": "ann"}, "rank": {"user": "ann", "items": ["i0", "i1"]}}
        for after, status in ((as_of, 200), (as_of + 1, 503)):
            answers = [await http.get(f"/v1/{address}&after={after}") for address in ADDRESSES]
            answers += [await http.post(f"/v1/{path}", json=body | {"after": after}) for path, body in bodies.items()]
            assert [answer.status_code for answer in answers] == [status] * 5
        for answer in answers:
            found = problem(answer, 503)
            assert (found["field"], found["value"]) == ("after", str(as_of + 1))
            assert "without `after`" in found["way_out"]
            assert answer.headers["retry-after"] == "1"

    ask(scenario)


@pytest.mark.parametrize("after", ["-1", "many", "1.5", ""])
def test_what_is_no_offset_is_named(ask: Ask, impatient: None, after: str) -> None:
    async def scenario(http: httpx.AsyncClient) -> None:
        for address in ADDRESSES:
            assert problem(await http.get(f"/v1/{address}&after={after}"), 422)["field"] == "after"

    ask(scenario)


def test_in_a_body_an_offset_is_one_too(ask: Ask) -> None:
    for after in (-1, "1", 1.5):
        found = problem(ask(lambda http, after=after: http.post("/v1/recommend", json={"after": after})), 422)
        assert found["field"] == "after"


def test_an_answer_waits_for_what_another_writes_and_holds_up_nobody(engine: Engine) -> None:
    engine.ingest(circle(4))
    asked = threading.Event()

    def write_elsewhere() -> None:
        asked.wait(60)
        engine.ingest([click("ann", "i0")])

    async def scenario() -> None:
        threads = Threads(engine)
        other = threading.Thread(target=write_elsewhere)
        other.start()
        waits = asyncio.create_task(threads.recommend(Query(user="ann", after=5)))
        for _ in range(20):
            assert (await threads.recommend(Query(user="ann"))).as_of == 4
        assert not waits.done()
        asked.set()
        slate = await waits
        assert (slate.as_of, slate.user_as_of) == (5, 5)
        await threads.close()
        other.join()

    asyncio.run(scenario())


def test_all_who_wait_are_told_in_the_order_of_what_they_wait_for() -> None:
    async def scenario() -> None:
        stands = [0]
        waiting = Waiting(lambda: stands[0])
        waits = {offset: asyncio.create_task(waiting.until(offset)) for offset in (3, 1, 2)}
        gone = asyncio.create_task(waiting.until(1))
        await asyncio.sleep(0)
        gone.cancel()
        for stand in (1, 2, 3):
            stands[0] = stand
            assert await waits[stand]
            assert [offset for offset, wait in waits.items() if wait.done()] == [o for o in waits if o <= stand]
        while waiting._looking is not None:  # it ends by itself
            await asyncio.sleep(0)
        assert waiting._waiting == []

    asyncio.run(scenario())


def test_who_is_not_told_in_time_hears_so(impatient: None) -> None:
    async def scenario() -> None:
        waiting = Waiting(lambda: 0)
        assert await asyncio.gather(*[waiting.until(k) for k in (0, 1, 2)]) == [True, False, False]

    asyncio.run(scenario())
