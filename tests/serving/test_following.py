"""Two processes on one log: what one acknowledged the other one shows, and owns when the first is gone."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import httpx
import pytest

from tests.serving.conftest import Server

ITEMS = [{"id": f"i{k}", "fields": {"title": f"item {k}"}, "vectors": {"v": [1.0, k / 9]}} for k in range(12)]


@pytest.fixture
def both(server: Server, tmp_path: Path) -> tuple[Server, Server]:
    httpx.put(f"{server.url}/v1/items", json=ITEMS).raise_for_status()
    follower = Server(tmp_path / "follower", leader=server.folder).ready()
    return server, follower


def click(server: Server, user: str, item: str) -> httpx.Response:
    return httpx.post(f"{server.url}/v1/events", json={"user": user, "action": "click", "item": item})


def test_what_is_acknowledged_by_one_is_in_the_lists_of_the_other(both: tuple[Server, Server]) -> None:
    leader, follower = both
    with httpx.Client(base_url=leader.url) as sends, httpx.Client(base_url=follower.url) as asks:
        for k in range(300):
            event = {"user": f"u{k % 7}", "action": "click", "item": f"i{k % 12}"}
            acknowledged = sends.post("/v1/events", json=event).json()["as_of"]
            slate = asks.get(f"/v1/recommend?user=u{k % 7}&limit=20").json()
            assert slate["as_of"] == acknowledged
            assert f"i{k % 12}" not in [one["item"] for one in slate["items"]]
    follower.stop()


def test_a_follower_says_where_events_are_to_go(both: tuple[Server, Server]) -> None:
    _, follower = both
    answer = click(follower, "ann", "i1")
    assert answer.status_code == 503
    assert answer.json()["field"] == "follow"
    assert "Send them to the process that owns" in answer.json()["way_out"]
    follower.stop()


def test_a_standby_takes_over_from_one_that_was_killed(both: tuple[Server, Server]) -> None:
    leader, follower = both
    acknowledged = [click(leader, "ann", f"i{k}").json()["as_of"] for k in range(5)]
    leader.stop(signal.SIGKILL)
    slate = httpx.get(f"{follower.url}/v1/recommend?user=ann&limit=20").json()
    assert slate["as_of"] == acknowledged[-1]  # lists never stopped
    assert not {f"i{k}" for k in range(5)} & {one["item"] for one in slate["items"]}
    end = time.monotonic() + 60
    while (answer := click(follower, "ann", "i7")).status_code == 503 and time.monotonic() < end:
        time.sleep(0.05)
    assert answer.status_code == 200
    assert answer.json()["as_of"] == acknowledged[-1] + 1
    assert "is owned by this one" in follower.stop()
    again = Server(leader.folder).ready()  # the log is whole
    slate = httpx.get(f"{again.url}/v1/recommend?user=ann&limit=20").json()
    assert slate["as_of"] == acknowledged[-1] + 1
    assert {one["item"] for one in slate["items"]} == {"i5", "i6", "i8", "i9", "i10", "i11"}
    again.stop()
