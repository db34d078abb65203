"""Live metrics of a tiny world whose clicks are known."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penchant import Query
from penchant.engine import Engine
from penchant.evaluation.live import report, wilson
from tests.conftest import NOW, OpenEngine, circle, click, names

LATER = NOW + 10_000


@pytest.fixture
def engine(open_engine: OpenEngine) -> Engine:
    engine = open_engine()
    engine.ingest(circle(10))
    engine.wait_for_items()
    return engine


def test_clicks_conversions_order_and_coverage_are_counted_by_version_and_source(engine: Engine) -> None:
    slates = []
    for k, user in enumerate(("ann", "bob", "cem", "dee")):
        slate = engine.recommend(Query(user=user, limit=4, time=NOW + k, track=True))
        slates.append(slate)
        if user == "ann":
            engine.ingest([click(user, names(slate)[0], NOW + 10), click(user, names(slate)[0], NOW + 11)])
        if user == "bob":
            engine.ingest([click(user, names(slate)[1], NOW + 10, action="buy")])
    assert report(engine, 24, NOW + 20).waiting == 4
    assert report(engine, 24, NOW + 20).live == []
    found = report(engine, 24, LATER)
    assert (found.waiting, found.unjoined, found.hours) == (0, 0, 24)
    whole = found.live[0]
    assert (whole.version, whole.source) == (engine.parts.version.name, "")
    assert (whole.slates, whole.items, whole.clicks, whole.conversions) == (4, 16, 2, 1)
    assert whole.ctr == 2 / 16
    assert whole.ctr_interval[0] < whole.ctr < whole.ctr_interval[1]
    assert (whole.conversion, whole.reward) == (1 / 16, 2.5 / 16)
    assert whole.ndcg == pytest.approx((1.0 + 0.63093) / 2, abs=1e-4)
    assert whole.coverage == len({name for slate in slates for name in names(slate)}) / 10
    by_source = {one.source: one for one in found.live[1:]}
    assert by_source["fresh"].items == 16
    assert by_source["fresh"].clicks == 2
    assert by_source["fresh"].coverage is None


def test_only_so_many_hours_are_looked_at(engine: Engine) -> None:
    for time in (NOW, NOW + 7200):
        engine.recommend(Query(user="ann", limit=4, time=time, track=True))
    assert [report(engine, hours, NOW + 7200 + 3000).live[0].slates for hours in (1, 24)] == [1, 2]
    assert report(engine, 1, NOW + 90_000).live == []


def test_an_engine_that_showed_nothing_has_nothing_to_tell(engine: Engine) -> None:
    assert report(engine).live == []


@given(of=st.integers(1, 10_000), share=st.floats(0, 1))
def test_the_interval_holds_the_share_and_lies_between_0_and_1(of: int, share: float) -> None:
    hits = round(share * of)
    low, high = wilson(hits, of)
    assert 0.0 <= low <= hits / of + 1e-12
    assert hits / of - 1e-12 <= high <= 1.0
    assert high - low < wilson(hits / 4, of / 4)[1] - wilson(hits / 4, of / 4)[0]


def test_the_interval_is_that_of_the_paper() -> None:
    assert wilson(15, 148) == pytest.approx((0.0624, 0.1605), abs=1e-4)  # the example of Newcombe (1998), method 3
