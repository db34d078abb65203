"""The bucket: never more than its rate and a second's burst, and what it promises it keeps."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from penchant.serving.rates import Bucket

RATES = st.floats(0.01, 1e4)
PAUSES = st.lists(st.floats(0, 10), max_size=60)


def test_a_burst_is_taken_and_then_the_rate_holds() -> None:
    bucket = Bucket(4.0, 100.0)
    assert [bucket.take(100.0) for _ in range(5)] == [0.0, 0.0, 0.0, 0.0, 0.25]
    assert bucket.take(100.25) == 0.0
    assert bucket.take(100.25) == 0.25


def test_a_rate_below_one_still_takes_one() -> None:
    bucket = Bucket(0.5, 0.0)
    assert [bucket.take(now) for now in (0.0, 0.0, 2.0, 3.0)] == [0.0, 2.0, 0.0, 1.0]


@given(rate=RATES, pauses=PAUSES)
def test_no_more_is_taken_than_the_rate_and_one_burst(rate: float, pauses: list[float]) -> None:
    bucket, now, taken = Bucket(rate, 0.0), 0.0, 0
    for pause in pauses:
        now += pause
        taken += bucket.take(now) == 0.0
    assert taken <= (max(rate, 1.0) + rate * now) * (1 + 1e-5)


@given(rate=RATES, pauses=PAUSES)
def test_who_comes_back_when_told_is_taken(rate: float, pauses: list[float]) -> None:
    bucket, now = Bucket(rate, 0.0), 0.0
    for pause in pauses:
        now += pause
        seconds = bucket.take(now)
        if seconds > 0.0:
            now += math.ceil(seconds)
            assert bucket.take(now) == 0.0
