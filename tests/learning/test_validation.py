"""Where what came next stood among all items: against a loop over people, events and items."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch.nn")

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from penchant.learning import validation
from penchant.learning.dataset import Histories, from_moment
from penchant.learning.validation import Places
from penchant.models.torch.scorer import Model
from penchant.models.torch.user_state import Events
from tests.conftest import DAY, NOW
from tests.learning.worlds import ITEMS, One, chain, data, histories, model, recipe
from tests.models.torch.towers import shake

MOMENT = NOW + 0.5 * DAY


def random_model(seed: int = 0) -> Model:
    made = model(recipe(seed=seed))
    shake(made)
    return made.eval()


def repeating(people: int = 20, seed: int = 0) -> Histories:
    draw = np.random.default_rng(seed)
    return histories(
        [
            [One(int(draw.integers(-1, 6)), time=NOW + k, target=bool(draw.random() < 0.8)) for k in range(12)]
            for _ in range(people)
        ]
    )


@torch.no_grad()
def by_hand(made: Model, of: Histories, moment: float, there: np.ndarray, hides: bool) -> dict[int, int]:
    """Event -> place, one prediction at a time, in bfloat16 as it is trained."""
    out = {}
    with validation.autocast(torch.device("cpu")):
        table = made.table(torch.arange(ITEMS), None).float()
        gaps = of.gaps()
        for person in range(of.people):
            first, last = int(of.start[person]), int(of.start[person + 1])
            item = torch.from_numpy(np.concatenate(([-1], of.item[first:last])))
            x = table[item.clamp(min=0)] * (item >= 0)[:, None]
            action = torch.from_numpy(np.concatenate(([1], of.action[first:last])))
            gap = torch.from_numpy(np.concatenate(([0.0], gaps[first:last])).astype(np.float32))
            value = torch.full((last - first + 1,), torch.nan)
            streams = made.user.scan(Events(*(part[:, None] for part in (x, action, value, gap))))[:, 0]
            for event in range(first, last):
                if not of.target[event] or of.time[event] < moment:
                    continue
                asked = made.user.query(streams[event - first], torch.tensor(gaps[event])).float()
                scores, own = table.numpy() @ asked.numpy(), int(of.item[event])
                seen = set(of.item[first:event].tolist()) if hides else set()
                out[event] = sum(
                    bool(there[other]) and other not in seen and other != own
                    and (scores[other] > scores[own] or (scores[other] == scores[own] and other < own))
                    for other in range(ITEMS)
                )  # fmt: skip
    return out


@pytest.mark.parametrize("hides", [True, False])
def test_places_are_those_of_a_loop_over_people_events_and_items(hides: bool) -> None:
    made, of, there = random_model(), repeating(), np.arange(ITEMS) % 7 != 6
    known = data(of)._replace(there=torch.from_numpy(there))
    moment = NOW + 5
    found = validation.places(made, known, of, from_moment(of, moment), hide_seen=hides)
    expected = by_hand(made, of, moment, there, hides)
    assert sorted(found.event.tolist()) == sorted(expected)
    close = [
        abs(place - expected[event]) for event, place in zip(found.event.tolist(), found.place.tolist(), strict=True)
    ]
    assert max(close) <= 2  # sums of another order in bfloat16
    assert np.mean(close) < 0.1
    assert found.person.tolist() == [int(np.searchsorted(of.start, event, "right")) - 1 for event in found.event]


@given(seed=st.integers(0, 999), chunk=st.sampled_from((1, 3, 100)))
@settings(max_examples=30)
def test_ties_go_to_the_smaller_number_and_what_is_seen_or_not_there_is_not_counted(seed: int, chunk: int) -> None:
    draw = np.random.default_rng(seed)
    asked = torch.from_numpy(draw.integers(-1, 2, (7, 2)).astype(np.float32))
    table = torch.from_numpy(draw.integers(-1, 2, (9, 2)).astype(np.float32))
    target, there = draw.integers(0, 9, 7), draw.random(9) < 0.7
    seen = tuple(map(np.ascontiguousarray, np.nonzero(draw.random((7, 9)) < 0.3)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(validation, "_CHUNK", chunk)
        found = validation._places(asked, table, torch.from_numpy(target), seen, torch.from_numpy(there))
    scores = (asked @ table.T).numpy()
    for row, own in enumerate(target):
        hidden = set(seen[1][seen[0] == row].tolist())
        better = [
            other
            for other in range(9)
            if there[other] and other not in hidden and other != own
            and (scores[row, other] > scores[row, own] or (scores[row, other] == scores[row, own] and other < own))
        ]  # fmt: skip
        assert found[row] == len(better)


def test_of_nothing_there_is_no_place_and_no_figure() -> None:
    of = chain()
    found = validation.places(random_model(), data(of), of, from_moment(of, NOW + 99 * DAY))
    assert len(found.place) == 0
    assert (found.ndcg(), found.hit_rate()) == (0.0, 0.0)


def test_figures_are_means_over_targets() -> None:
    found = Places(np.array([0, 9, 10]), np.array([0, 0, 1]), np.array([1, 2, 3]))
    assert found.hit_rate() == pytest.approx(2 / 3)
    assert found.ndcg() == pytest.approx((1 + 1 / np.log2(11)) / 3)


def test_measuring_does_not_disturb_what_is_random_in_training() -> None:
    made, before = random_model(), torch.get_rng_state()
    validation.places(made, data(chain()), chain(), from_moment(chain(), MOMENT))
    assert torch.equal(torch.get_rng_state(), before)


def test_as_many_people_as_are_enough_are_measured_the_same_ones_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    of = chain()
    windows = from_moment(of, MOMENT)
    monkeypatch.setattr(validation, "_MOST", 50)
    some, again = validation.some(windows, of), validation.some(windows, of)
    assert some.first.tolist() == again.first.tolist()
    assert set(some.first.tolist()) < set(windows.first.tolist())
    assert 50 <= (some.last - some.counted).sum() <= 50 + 12
    monkeypatch.setattr(validation, "_MOST", 10**6)
    assert validation.some(windows, of).first.tolist() == windows.first.tolist()


def test_examples_hold_every_interaction_with_an_item_and_what_was_done_within_the_hour() -> None:
    of = repeating()
    of = of._replace(action=np.arange(len(of.item)) % 3)
    known, made = data(of)._replace(beginning=3), model(recipe())
    made.user.action = torch.nn.Embedding(4, 16)
    made.user.shape = made.user.shape._replace(actions=3)
    found = validation.examples(made.eval(), known, of, since=NOW + 6)
    events = np.flatnonzero((of.item >= 0) & (of.time >= NOW + 6))
    assert len(found.done) == len(events)
    ordered = events[np.argsort(of.time[events], kind="stable")]
    assert sorted(map(tuple, found.item.tolist())) == sorted(
        map(tuple, made.table(torch.from_numpy(of.item[ordered]), None).tolist())
    )
    assert (found.done.sum(1) >= 1).all()
    assert len(validation.examples(made, known, of, most=5).done) == 5
