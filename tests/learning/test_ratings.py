"""Fitting ratings: what was planted is found, nobody's own rating is read, and the same seed gives the same model."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from penchant.learning import ratings as ratings_of
from penchant.learning.dataset import Histories
from penchant.learning.ratings import RatingRecipe, Ratings, errors, fit, recipe_for
from penchant.models.rating import SUMS, RatingModel
from penchant.models.torch.rating import Reader, leave_one_out
from tests.learning.tastes import ITEMS, PEOPLE, errors_of_means, planted, root_mean_square

RATE = np.array([0])
QUICK = RatingRecipe(epochs=2, people=16)


@pytest.fixture(scope="module")
def found() -> RatingModel:
    known = planted().known
    return fit(known, ITEMS + 3, RATE, recipe_for(known, ITEMS)._replace(factors=4, sweeps=40))


# -- what is found -----------------------------------------------------------------------------------------------------


def test_a_planted_taste_is_found(found: RatingModel) -> None:
    world = planted()
    assert root_mean_square(errors(found, *world)) < 0.5 * root_mean_square(errors_of_means(world))


def test_somebody_new_is_known_by_the_first_ratings(found: RatingModel) -> None:
    """No parameter is a person's: under numbers that the fit never met, people are predicted as they were."""
    known, later = planted()
    moved = (ratings._replace(people=ratings.people + 1000) for ratings in (known, later))
    np.testing.assert_allclose(errors(found, *moved), errors(found, known, later), atol=1e-5)


def test_items_that_nobody_rated_are_predicted_as_the_persons_average(found: RatingModel) -> None:
    for table in (found.bias, found.rated, found.liked, found.item, found.item_bias):
        assert len(table) == ITEMS + 3
        assert not table[ITEMS:].any()
    known = planted().known
    mine = known.people == 7
    read = found.read(found.contribution(known.items[mine], known.values[mine]).sum(0, keepdims=True))[0]
    never, beyond = found.predict(read, np.array([ITEMS + 1, ITEMS + 99]))
    assert never == beyond == pytest.approx(float(found.mean[0] + read[-1]), abs=1e-5)


def test_numbers_of_people_and_items_may_have_gaps() -> None:
    known = planted().known
    spread = Ratings(known.people * 3, known.items * 2 + 1, known.values)
    dense, sparse = fit(known, ITEMS, RATE, QUICK), fit(spread, 2 * ITEMS, RATE, QUICK)
    np.testing.assert_array_equal(sparse.item[1::2], dense.item)
    assert not sparse.item[::2].any()


def test_predictions_stay_within_what_was_given(found: RatingModel) -> None:
    known = planted().known
    given = known.values.min(), known.values.max()
    assert tuple(found.limits) == given
    sums = found.contribution(np.arange(ITEMS), np.full(ITEMS, 5.0, np.float32)).sum(0, keepdims=True)
    said = found.predict(found.read(sums * 3.0)[0], np.arange(ITEMS))
    assert given[0] <= said.min()
    assert said.max() == given[1]


# -- how it is fitted --------------------------------------------------------------------------------------------------


def test_a_rating_is_predicted_from_the_others_alone() -> None:
    torch.manual_seed(0)
    reader = Reader(3.5, np.zeros(5, np.float32))
    who, item = torch.tensor([0, 0, 0, 1]), torch.tensor([0, 1, 2, 0])
    value = torch.tensor([5.0, 1.0, 3.0, 4.0])
    other = value.clone()
    other[1] = 4.0
    with torch.no_grad():
        totals, others = leave_one_out(reader, who, item, value)
        changed_totals, changed = leave_one_out(reader, who, item, other)
        each = reader.contribution(item, value)
    torch.testing.assert_close(others[1], each[0] + each[2])
    torch.testing.assert_close(changed[1], others[1])  # its own stars do not matter
    assert not torch.allclose(changed[0], others[0])  # those of its neighbours do
    torch.testing.assert_close(changed[3], others[3])  # and those of another person do not
    assert not torch.allclose(changed_totals[0], totals[0])
    torch.testing.assert_close(others[3], torch.zeros(SUMS + 3))  # an only rating is predicted from nothing


def test_the_same_seed_gives_the_same_model() -> None:
    known = planted().known
    recipe = QUICK._replace(taught=1.0, sweeps=4, factors=2)
    first, again = fit(known, ITEMS, RATE, recipe), fit(known, ITEMS, RATE, recipe)
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, other)
    assert not np.array_equal(first.item, fit(known, ITEMS, RATE, recipe._replace(seed=1)).item)


def test_what_is_going_on_is_told() -> None:
    told: list[tuple[str, int, int]] = []
    recipe = QUICK._replace(taught=1.0, sweeps=2, factors=2)
    fit(planted().known, ITEMS, RATE, recipe, lambda *said: told.append(said))
    assert told == [("sweeps", 1, 2), ("sweeps", 2, 2), ("epochs", 1, 2), ("epochs", 2, 2)]


def test_there_is_a_teacher_where_ratings_are_few() -> None:
    def ratings(people: int, each: int) -> Ratings:
        return Ratings(np.repeat(np.arange(people), each), np.zeros(people * each, np.int64), np.ones(1, np.float32))

    few, many = ratings(943, 100), ratings(3000, 100)
    few, many = (one._replace(values=np.ones(len(one.people), np.float32)) for one in (few, many))
    assert (recipe_for(few, 1682).taught, recipe_for(few, 1682).people) == (1.0, 32)
    assert recipe_for(many, 1682) == RatingRecipe()
    assert recipe_for(few, 30_000).taught == 0.0  # too many cells
    tiny = planted().known
    assert recipe_for(tiny, ITEMS).people == 4  # small batches: 20 epochs of two steps would teach nothing
    assert recipe_for(tiny, ITEMS).epochs * PEOPLE / 4 >= 300


def test_only_values_of_the_named_actions_on_items_are_ratings() -> None:
    nan = np.nan
    histories = Histories(
        start=np.array([0, 2, 2, 5]),
        item=np.array([4, 5, 6, -1, 7]),
        words=np.full(5, -1),
        action=np.array([1, 1, 0, 1, 1]),
        value=np.array([3.0, nan, 5.0, 4.0, 2.0], np.float32),
        time=np.arange(5.0),
        target=np.ones(5, np.bool_),
        texts=[],
    )
    found = ratings_of.of_histories(histories, np.array([1]))
    assert [column.tolist() for column in found] == [[0, 2], [4, 7], [3.0, 2.0]]
