"""The loops of a question: the strongest of many are the strongest, whatever their order."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from penchant import kernels


@given(
    values=st.lists(st.sampled_from([-1.0, 0.0, 0.25, 0.5, 1.0, 2.0, 3.5]), max_size=60),
    limit=st.integers(0, 70),
    seed=st.integers(0, 3),
)
def test_the_strongest_are_those_a_sort_would_take_and_ties_go_to_the_smaller_number(
    values: list[float], limit: int, seed: int
) -> None:
    items = np.random.default_rng(seed).permutation(len(values) * 2)[: len(values)].astype(np.int64)
    scratch = kernels.new_scratch(2 * len(values) + 1)
    scratch.sums[items, kernels.NEIGHBOUR] = values
    wanted = sorted((-value, item) for value, item in zip(values, items.tolist(), strict=True) if value > 0)[:limit]
    found = kernels.strongest(scratch.sums, kernels.NEIGHBOUR, items, len(items), limit)
    assert sorted(found.tolist()) == sorted(item for _, item in wanted)
