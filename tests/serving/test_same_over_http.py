"""What is asked over HTTP is what is asked in process: the same world lived twice, list by list, to the last digit."""

from __future__ import annotations

from typing import Any

import httpx
import msgspec

from penchant import Query
from tests.conftest import OpenEngine, chain, circle
from tests.serving.conftest import asked

_LATER = 200  # events that are asked for before they are sent


def test_every_list_of_a_replay_is_the_same_and_so_is_its_quality(open_engine: OpenEngine) -> None:
    events = sorted(chain(), key=lambda event: event.time or 0.0)
    before, after = events[:-_LATER], events[-_LATER:]
    one, other = open_engine("one"), open_engine("other")
    for engine in (one, other):
        engine.ingest(circle(40))
        engine.wait_for_items()
    one.ingest(before)
    in_process = []
    for event in after:
        in_process.append(one.recommend(Query(user=event.user, time=event.time, limit=20)))
        one.ingest([event])

    async def scenario(http: httpx.AsyncClient) -> list[Any]:
        answer = await http.post("/v1/events", content=msgspec.json.encode(before))
        assert answer.json()["accepted"] == len(before)
        slates = []
        for event in after:
            answer = await http.get(f"/v1/recommend?user={event.user}&time={event.time}&limit=20")
            slates.append(answer.content)
            await http.post("/v1/events", content=msgspec.json.encode(event))
        return slates

    over_http = asked(other, scenario)
    assert over_http == [msgspec.json.encode(slate) for slate in in_process]
    places = [
        next((place for place, one in enumerate(slate.items) if one.item == event.item), 20)
        for slate, event in zip(in_process, after, strict=True)
    ]
    assert sum(place < 10 for place in places) > _LATER // 2  # the lists are worth comparing
