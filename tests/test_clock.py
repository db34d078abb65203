"""A clock that jumps: forward, back, and back by too much; what a person does is followed all the same."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penchant import Event, Query
from penchant.clock import MOST, Clock
from penchant.engine import Engine
from tests.conftest import NOW, OpenEngine, circle, names


class System:
    """A system whose clock can be set."""

    def __init__(self, at: float = NOW) -> None:
        self.at = at

    def __call__(self) -> float:
        return self.at


def test_it_is_the_systems_and_holds_on_when_that_goes_back() -> None:
    system = System()
    clock = Clock(system=system)
    assert clock.now() == NOW
    system.at = NOW + 7200
    assert clock.now() == NOW + 7200
    system.at = NOW + 3600
    assert clock.now() == NOW + 7200
    assert clock.warning == (
        "the system's clock is 3600 s behind what it was: events and lists keep the later time until it has caught up"
    )
    system.at = NOW + 7201
    assert clock.now() == NOW + 7201
    assert clock.warning is None


def test_it_follows_a_system_that_went_back_by_too_much_and_says_so() -> None:
    system = System(NOW + MOST + 10)
    clock = Clock(system=system)
    system.at = NOW
    assert clock.now() == NOW
    assert "went back by 21610 s" in (clock.warning or "")
    system.at = NOW + 5
    assert clock.now() == NOW + 5
    assert "went back by 21610 s" in (clock.warning or "")


@given(times=st.lists(st.floats(NOW, NOW + MOST), min_size=1, max_size=20))
def test_within_the_bound_it_never_falls_and_is_never_behind(times: list[float]) -> None:
    system = System(times[0])
    clock = Clock(system=system)
    before = clock.now()
    for at in times:
        system.at = at
        assert clock.now() >= max(before, at)
        before = clock.now()


def test_it_remembers_the_newest_moment_from_before_a_start() -> None:
    assert Clock(NOW + 100, System(NOW)).now() == NOW + 100
    assert Clock(NOW - 100, System(NOW)).now() == NOW


def test_a_person_is_followed_through_a_clock_that_was_set_back(
    open_engine: OpenEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = System()
    monkeypatch.setattr(time, "time", system)

    def do(engine: Engine, item: str) -> list[str]:
        receipt = engine.ingest([Event(user="ann", action="click", item=item)])
        assert (receipt.accepted, receipt.late) == (1, [])
        slate = engine.recommend(Query(user="ann", limit=3))
        assert slate.user_as_of == receipt.as_of
        return names(slate)

    engine = open_engine()
    engine.ingest(circle(12))
    engine.wait_for_items()
    first = do(engine, "i0")
    system.at -= 3600
    assert do(engine, "i6") != first
    assert any("3600 s behind" in warning for warning in engine.warnings)
    engine.close()
    again = open_engine()  # the newest event of the log is an hour ahead of the system
    assert do(again, "i3") != first
