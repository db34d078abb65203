"""What is popular where, and on what: only what the settings declare has a popularity of its own."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from penchant import Event, Query
from penchant.engine import Engine
from penchant.errors import InvalidInput
from penchant.storage.contexts import Contexts
from tests.conftest import NOW, OpenEngine, circle, click

DEVICES = {"contexts": {"device": ["tv", "phone"]}}


def watched(engine: Engine, device: str, *items: int, user: str = "u", start: float = NOW) -> None:
    engine.ingest([click(f"{user}{k}", f"i{item}", start + k, context={"device": device})
                   for k, item in enumerate(items)])  # fmt: skip


def here(engine: Engine, **context: object) -> dict[str, float]:
    """How popular each item is in the context of asking."""
    slate = engine.recommend(Query(user="nobody", time=NOW + 60, limit=100, context=context))  # type: ignore[arg-type]
    return {one.item: round(math.expm1(one.features["context_popularity"]), 2) for one in slate.items}


@pytest.fixture
def engine(open_engine: OpenEngine) -> Engine:
    engine = open_engine(**DEVICES)
    engine.ingest(circle(6))
    engine.wait_for_items()
    return engine


def test_what_many_watch_on_a_device_is_popular_there_and_not_elsewhere(engine: Engine) -> None:
    watched(engine, "tv", 1, 1, 1, 2, user="a")
    watched(engine, "phone", 3, user="b")
    assert {item for item, value in here(engine, device="tv").items() if value} == {"i1", "i2"}
    assert here(engine, device="tv")["i1"] == pytest.approx(3.0, abs=0.01)
    assert {item for item, value in here(engine, device="phone").items() if value} == {"i3"}
    assert not any(here(engine).values())


def test_it_is_a_source_of_candidates(engine: Engine) -> None:
    watched(engine, "tv", 5)
    slate = engine.recommend(Query(time=NOW + 60, context={"device": "tv"}))
    assert next(one for one in slate.items if one.item == "i5").sources[-1] == "context"


def test_what_nobody_declared_is_nothing(engine: Engine) -> None:
    watched(engine, "fridge", 1)
    watched(engine, "tv", 2)
    assert not any(here(engine, device="fridge").values())
    assert not any(here(engine, place="tv").values())
    assert here(engine, device="tv", place="home") == here(engine, device="tv")


def test_two_declared_values_are_heard_alike() -> None:
    contexts = Contexts({"device": ("tv",), "kids": (True, 1)})
    assert contexts.bits({"device": "tv", "kids": True}) == 0b011
    assert contexts.bits({"kids": 1}) == 0b100
    assert contexts.bits({"kids": "true"}) == 0


def test_a_retraction_and_an_erasure_take_it_out_again(engine: Engine) -> None:
    engine.ingest([click("ann", "i1", NOW, id="one", context={"device": "tv"})])
    watched(engine, "tv", 1, user="bob")
    engine.ingest([Event(kind="retraction", target="one", time=NOW)])
    assert here(engine, device="tv")["i1"] == pytest.approx(1.0, abs=0.01)
    engine.ingest([Event(kind="erasure", user="bob0", time=NOW)])
    assert not any(here(engine, device="tv").values())


def test_what_is_declared_later_is_counted_from_the_log(open_engine: OpenEngine, tmp_path: Path) -> None:
    with open_engine("later") as plain:
        plain.ingest(circle(6))
        watched(plain, "tv", 1, 1, 2)
        assert not any(here(plain, device="tv").values())
    with open_engine("later", **DEVICES) as engine:
        if engine.parts._rebuilding is not None:
            engine.parts._rebuilding.join()
        assert not engine.parts.counts.inexact
        assert here(engine, device="tv")["i1"] == pytest.approx(2.0, abs=0.01)
        lived = here(engine, device="tv")
    with open_engine("later", **DEVICES) as again:
        assert here(again, device="tv") == lived
        assert again.parts._rebuilding is None


@pytest.mark.parametrize("wrong", [{"device": []}, {"device": ["tv", "tv"]}, {"n": list(range(63))}])
def test_wrong_declarations_are_refused_by_name(open_engine: OpenEngine, wrong: dict[str, list[object]]) -> None:
    with pytest.raises(InvalidInput, match="contexts"):
        open_engine(contexts=wrong)
