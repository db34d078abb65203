"""Ids of requests, and the life of a server: on every answer, in every problem, in the line of a defect."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penchant.engine import Engine
from penchant.serving import requests as module
from penchant.serving import threads as threads_module
from penchant.serving.http import application
from penchant.serving.requests import HEADER, WENT_AWAY, Requests
from tests.conftest import OpenEngine
from tests.serving.conftest import Ask, asked


def without_engine(scenario: Any) -> Any:
    """What a scenario returns that talks to a server whose data folder is being opened."""

    async def run() -> Any:
        transport = httpx.ASGITransport(application())  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url="http://penchant") as client:
            return await scenario(client)

    return asyncio.run(run())


def lines(caplog: pytest.LogCaptureFixture, event: str) -> list[dict[str, Any]]:
    return [vars(record) for record in caplog.records if record.message == event]


# -- ids ---------------------------------------------------------------------------------------------------------------


def test_every_answer_has_an_id_of_its_own(ask: Ask) -> None:
    async def scenario(http: httpx.AsyncClient) -> list[httpx.Response]:
        return [await http.get(path) for path in ("/v1/recommend", "/v1/users/eve", "/nowhere", "/docs", "/metrics")]

    answers = ask(scenario)
    assert [answer.status_code for answer in answers] == [200, 404, 404, 200, 200]
    assert len({answer.headers[HEADER] for answer in answers}) == len(answers)


@pytest.mark.parametrize("status", [400, 404, 405, 413, 422, 503])
def test_a_problem_names_the_id_that_the_caller_chose(ask: Ask, status: int) -> None:
    calls = {
        400: ("POST", "/v1/events", b"{"),
        404: ("GET", "/nowhere", b""),
        405: ("DELETE", "/v1/recommend", b""),
        413: ("PUT", "/v1/items", b" " * (8 * 2**20 + 1)),
        422: ("GET", "/v1/recommend?limit=0", b""),
        503: ("GET", "/v1/recommend", b""),
    }
    method, path, body = calls[status]

    async def scenario(http: httpx.AsyncClient) -> httpx.Response:
        return await http.request(method, path, content=body, headers={HEADER: "order-7/a"})

    answer = without_engine(scenario) if status == 503 else ask(scenario)
    assert answer.status_code == status
    assert answer.headers[HEADER] == answer.json()["request"] == "order-7/a"


@given(st.binary(max_size=140))
def test_an_id_is_the_callers_own_or_one_that_can_stand_in_a_line(own: bytes) -> None:
    found = Requests(None)._id({"headers": [(b"x-request-id", own)]})  # type: ignore[arg-type]
    assert 0 < len(found) <= 128
    assert all(33 <= ord(one) <= 126 for one in found)
    fits = 0 < len(own) <= 128 and all(33 <= one <= 126 for one in own)
    assert (found == own.decode("latin-1")) == fits


def test_a_defect_is_in_the_log_under_the_id_of_its_request(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(engine, "profile", lambda name: {}[name])
    answer = asked(engine, lambda http: http.get("/v1/users/ann"))
    assert answer.status_code == 500
    (line,) = lines(caplog, "a request failed")
    assert line["request"] == answer.json()["request"] == answer.headers[HEADER]
    assert line["address"] == "/v1/users/{id}"
    assert line["exc_info"][0] is KeyError


def test_a_caller_that_went_away_is_counted_as_such(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, end = threading.Event(), threading.Event()

    def slow(name: str) -> Any:
        begun.set()
        assert end.wait(60)
        return {}

    monkeypatch.setattr(engine, "profile", slow)

    async def scenario(http: httpx.AsyncClient) -> str:
        asking = asyncio.ensure_future(http.get("/v1/users/ann"))
        await asyncio.to_thread(begun.wait, 60)
        asking.cancel()
        end.set()
        await asyncio.gather(asking, return_exceptions=True)
        return (await http.get("/metrics")).text

    text = asked(engine, scenario)
    assert f'penchant_requests_total{{address="/v1/users/{{id}}",method="GET",status="{WENT_AWAY}"}} 1.0' in text


# -- lines -------------------------------------------------------------------------------------------------------------


def test_a_good_request_is_a_line_only_where_somebody_debugs(ask: Ask, caplog: pytest.LogCaptureFixture) -> None:
    ask(lambda http: http.get("/v1/recommend?user=ann"))
    assert lines(caplog, "request") == []
    caplog.set_level(logging.DEBUG, "penchant")
    answer = ask(lambda http: http.get("/v1/recommend?user=ann"))
    (line,) = lines(caplog, "request")
    assert (line["method"], line["address"], line["status"]) == ("GET", "/v1/recommend", 200)
    assert line["request"] == answer.headers[HEADER]
    assert isinstance(line["seconds"], float)


def test_a_slow_request_is_a_line(ask: Ask, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(module, "SLOW", 0.0)
    ask(lambda http: http.get("/v1/recommend"))
    assert [line["levelname"] for line in lines(caplog, "request")] == ["WARNING"]


def test_an_overload_does_not_fill_the_log(
    ask: Ask, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(threads_module, "MOST_QUERIES", 0)
    monkeypatch.setattr(module, "_EVERY", 1e9)

    async def scenario(http: httpx.AsyncClient) -> list[int]:
        return [(await http.get("/v1/recommend")).status_code for _ in range(20)]

    assert ask(scenario) == [429] * 20
    assert [line["status"] for line in lines(caplog, "request")] == [429]
    caplog.clear()
    monkeypatch.setattr(module, "_EVERY", 0.0)
    ask(scenario)
    assert [line["more"] for line in lines(caplog, "request")] == [0] * 20


def test_a_line_says_how_many_were_left_out_before_it(caplog: pytest.LogCaptureFixture) -> None:
    requests = Requests(None)  # type: ignore[arg-type]
    for _ in range(5):
        requests._tell(logging.WARNING, 429, {})
    requests._quiet_until[429] = 0.0
    requests._tell(logging.WARNING, 429, {})
    assert [line["more"] for line in lines(caplog, "request")] == [0, 4]


def test_probes_while_the_folder_is_opened_are_no_lines(caplog: pytest.LogCaptureFixture) -> None:
    assert without_engine(lambda http: http.get("/health/ready")).status_code == 503
    assert lines(caplog, "request") == []


# -- life --------------------------------------------------------------------------------------------------------------


def test_it_lives_before_it_is_ready(ask: Ask) -> None:
    opening = without_engine(lambda http: http.get("/health/live"))
    assert (opening.status_code, opening.json()["ready"]) == (200, False)
    opened = ask(lambda http: http.get("/health/live"))
    assert (opened.status_code, opened.json()["ready"]) == (200, True)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_server_whose_engine_thread_has_ended_does_not_live(
    open_engine: OpenEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise SystemError("the thread's own loop is broken")

    monkeypatch.setattr(threads_module, "_next", broken)

    async def scenario(http: httpx.AsyncClient) -> httpx.Response:
        asking = asyncio.ensure_future(http.get("/v1/recommend"))
        while (answer := await http.get("/health/live")).status_code == 200:
            await asyncio.sleep(0.01)
        asking.cancel()
        return answer

    answer = asked(open_engine(), scenario)
    assert answer.status_code == 503
    assert "start" in answer.json()["way_out"].lower()


def test_who_is_turned_away_is_told_for_how_long(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads_module, "MOST_QUERIES", 0)
    answer = ask(lambda http: http.get("/v1/recommend"))
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
    assert answer.json()["type"] == "urn:penchant:overloaded"
    assert without_engine(lambda http: http.get("/v1/recommend")).headers["retry-after"] == "1"
