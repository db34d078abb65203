"""What is counted while a server works, and what follows from it for who is turned away."""

from __future__ import annotations

from bisect import bisect_right

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penchant.serving.measures import Histogram, Measures, Stage
from penchant.types import Receipt, Refusal


@given(st.lists(st.floats(0, 20, allow_nan=False)))
def test_a_histogram_holds_every_value_at_or_below_its_bound(values: list[float]) -> None:
    histogram = Histogram((1.0, 2.5, 10.0))
    for value in values:
        histogram.observe(value)
    below = [sum(histogram.counts[: place + 1]) for place in range(4)]
    ordered = sorted(values)
    assert below == [*(bisect_right(ordered, bound) for bound in histogram.bounds), len(values)]
    assert histogram.sum == pytest.approx(sum(values))


def test_what_one_of_a_batch_takes_is_at_first_what_it_took_and_then_follows() -> None:
    stage = Stage()
    stage.took(0.5, 10)
    assert stage.each == pytest.approx(0.05)
    stage.took(0.15, 1)
    assert stage.each == pytest.approx(0.06)
    for _ in range(200):
        stage.took(0.2, 10)
    assert stage.each == pytest.approx(0.02)
    assert (sum(stage.sizes.counts), stage.sizes.sum) == (202, 2011)


def test_the_wait_is_what_is_before_one_at_the_pace_of_late() -> None:
    measures = Measures()
    assert measures.wait(100_000, 2_000, log=True) == 1  # nothing is known yet
    measures.commit.each, measures.apply.each, measures.answer.each = 0.001, 0.002, 0.01
    assert measures.wait(1_000, 100, log=True) == 4
    assert measures.wait(1_000, 100, log=False) == 3
    assert measures.wait(10, 1, log=True) == 1
    assert measures.wait(1_000_000, 0, log=True) == 60


def test_a_receipt_is_counted_by_what_became_of_its_events() -> None:
    measures = Measures()
    refused = [Refusal(index=0, field="", value="", detail="")]
    for _ in range(2):
        measures.note(Receipt(accepted=3, as_of=9, ids=["a", "b", "c"], duplicates=["d"], late=["b"], refused=refused))
    assert (measures.accepted, measures.duplicates, measures.late, measures.refused) == (6, 2, 2, 2)
