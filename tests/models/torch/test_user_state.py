"""The state of a person: one function, computed over whole histories or one event at a time."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch.nn")

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from penchant.models.torch.user_state import GAP_KNOTS, Dropout, Events, Ramps, Scan, Shape
from tests.models.torch.towers import at, beginning, history, joined, shapes, tower

CLOSE = {"rtol": 1e-4, "atol": 1e-4}
SHAPE = Shape(6, 10, 2, 5, 4, (1.0, 5.0), 7, True, 0.3)


# -- scan equals step --------------------------------------------------------------------------------------------------


@given(shape=shapes, seed=st.integers(0, 2**31), events=st.integers(0, 40), people=st.integers(1, 3))
@settings(max_examples=25)
@torch.no_grad()
def test_a_scan_over_whole_histories_equals_stepping_and_reading(
    shape: Shape, seed: int, events: int, people: int
) -> None:
    user = tower(shape, seed)
    lived = joined(beginning(people, shape), history(np.random.default_rng(seed), events, people, shape))
    streams = user.scan(lived)
    state = torch.zeros(people, user.size)
    for time in range(events + 1):
        event = at(lived, time)
        state = state if time == 0 else user.step(state, event)  # the beginning leaves the state empty
        torch.testing.assert_close(user.read(state, event), streams[time], **CLOSE)


@torch.no_grad()
def test_the_beginning_leaves_the_state_empty() -> None:
    user = tower(SHAPE, 1)
    lived = history(np.random.default_rng(1), 3, 2, SHAPE)
    streams = user.scan(joined(beginning(2, SHAPE), lived))[1:]
    torch.testing.assert_close(streams, user.scan(lived), **CLOSE)  # as if it had not been there


@torch.no_grad()
def test_people_side_by_side_do_not_meet() -> None:
    user, lived = tower(SHAPE, 2), history(np.random.default_rng(2), 12, 3, SHAPE)
    alone = user.scan(Events(*(part[:, 1:2] for part in lived)))
    torch.testing.assert_close(user.scan(lived)[:, 1:2], alone, **CLOSE)


@torch.no_grad()
def test_what_comes_later_does_not_change_what_was() -> None:
    user, lived = tower(SHAPE, 3), history(np.random.default_rng(3), 12, 2, SHAPE)
    whole = user.scan(lived)[:5]
    torch.testing.assert_close(user.scan(Events(*(part[:5] for part in lived))), whole, **CLOSE)


@given(seed=st.integers(0, 99), steps=st.integers(1, 5), people=st.integers(1, 2))
@settings(max_examples=10)
def test_the_gradient_of_the_scan_is_right(seed: int, steps: int, people: int) -> None:
    torch.manual_seed(seed)
    a = torch.rand(steps, people, 3, dtype=torch.float64, requires_grad=True)
    b = torch.randn(steps, people, 3, dtype=torch.float64, requires_grad=True)
    first = torch.randn(people, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(Scan.apply, (a, b, first))


def test_a_scan_learns_the_same_as_a_loop() -> None:
    torch.manual_seed(0)
    a, b, first = torch.rand(50, 4, 8), torch.randn(50, 4, 8), torch.randn(4, 8)
    wanted = torch.randn(50, 4, 8)
    found = []
    for scan in (Scan.apply, by_hand):
        inputs = [part.clone().requires_grad_() for part in (a, b, first)]
        (scan(*inputs) * wanted).sum().backward()
        found.append([part.grad for part in inputs])
    torch.testing.assert_close(*found, **CLOSE)


def by_hand(a: torch.Tensor, b: torch.Tensor, first: torch.Tensor) -> torch.Tensor:
    h = [first]
    for t in range(len(a)):
        h.append(a[t] * h[-1] + b[t])
    return torch.stack(h[1:])


# -- what enters -------------------------------------------------------------------------------------------------------


def test_a_number_enters_as_ramps_between_knots() -> None:
    ramps = Ramps((0.0, 2.0, 6.0))
    number = torch.tensor([-1.0, 0.0, 1.0, 2.0, 3.0, 6.0, 99.0, torch.nan])
    expected = [[0, 0, 0], [0, 0, 0], [0.5, 0, 0], [1, 0, 0], [1, 0.25, 0], [1, 1, 0], [1, 1, 0], [0, 0, 1]]
    assert ramps(number).tolist() == expected
    assert ramps.size == 3


def test_gaps_from_a_second_to_half_a_year_are_told_apart() -> None:
    ramps = Ramps(GAP_KNOTS)(torch.log1p(torch.tensor([0.0, 1.0, 60.0, 3600.0, 86_400.0, 604_800.0, 1.5e7])))
    assert (ramps.sum(-1).diff() > 0.1).all()


@pytest.mark.parametrize("part", ["value", "gap", "action", "x"])
@torch.no_grad()
def test_a_state_hears_every_part_of_an_event(part: str) -> None:
    user, event = tower(SHAPE, 4), at(history(np.random.default_rng(4), 1, 1, SHAPE), 0)
    event = event._replace(value=torch.tensor([2.0]))
    other = event._replace(**{part: (getattr(event, part) + 1) % 4})
    assert (
        user.step(torch.zeros(1, user.size), event) - user.step(torch.zeros(1, user.size), other)
    ).abs().max() > 1e-3


@torch.no_grad()
def test_a_fixed_decay_forgets_at_the_same_speed_whatever_happens() -> None:
    for decay, same in (("fixed", True), ("gated", False)):
        user = tower(SHAPE._replace(decay=decay), 5)
        a = user.recurrences[0].parts(torch.randn(20, 10))[0]
        assert bool((a == a[0]).all()) == same


@torch.no_grad()
def test_a_question_hears_the_profile_and_the_time_only_where_it_was_built_to() -> None:
    stream, since = torch.randn(3, 10), torch.rand(3) * 10
    told = torch.tensor([[1, 2], [3, 0], [0, 0]])
    for profile in (0, 7):
        for reads_since in (False, True):
            user = tower(SHAPE._replace(profile=profile, since=reads_since), 6)
            asked = user.query(stream, since, told)
            assert bool((asked[:2] != user.query(stream, since, torch.zeros_like(told))[:2]).any()) == bool(profile)
            assert bool((asked != user.query(stream, since * 0, told)).any()) == reads_since
            assert asked[:, -1].tolist() == [1.0] * 3  # meets the bias of the items
            torch.testing.assert_close(asked[2], user.query(stream, since)[2])  # 0 is no id


# -- dropout -----------------------------------------------------------------------------------------------------------


@given(share=st.sampled_from((0.1, 0.3, 0.5, 0.9)), places=st.integers(20_000, 20_007))
@settings(max_examples=8)
def test_dropout_drops_its_share_and_keeps_the_mean(share: float, places: int) -> None:
    torch.manual_seed(0)
    out = Dropout(share)(torch.ones(places))
    assert out.shape == (places,)
    assert (out == 0).float().mean().item() == pytest.approx(share, abs=0.015)
    assert out.mean().item() == pytest.approx(1.0, abs=0.06)
    assert len(out.unique()) == 2


def test_dropout_drops_every_place_alike_and_none_when_it_is_asked() -> None:
    torch.manual_seed(0)
    dropout = Dropout(0.5)
    kept = torch.stack([dropout(torch.ones(13)) for _ in range(2000)]).gt(0).float().mean(0)
    assert (kept - 0.5).abs().max() < 0.06
    x = torch.randn(5)
    assert dropout.eval()(x) is x
    assert Dropout(0.0)(x) is x
