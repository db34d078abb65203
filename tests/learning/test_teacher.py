"""The teacher of ratings: it finds what was planted, and says it again for the same seed."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

from penchant.learning.ratings import Ratings
from penchant.learning.teacher import Sampling, posterior
from tests.learning.tastes import ITEMS, PEOPLE, errors_of_means, planted, root_mean_square

QUICK = Sampling(factors=4, sweeps=40)


def test_it_finds_a_planted_taste() -> None:
    world = planted()
    expected = posterior(world.known, ITEMS, QUICK)
    assert expected.shape == (PEOPLE, ITEMS)
    errors = expected[world.later.people, world.later.items].clip(1.0, 5.0) - world.later.values
    assert root_mean_square(errors) < 0.5 * root_mean_square(errors_of_means(world))


def test_it_says_the_same_for_the_same_seed() -> None:
    known = planted().known
    first, again = posterior(known, ITEMS, QUICK), posterior(known, ITEMS, QUICK)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, posterior(known, ITEMS, QUICK._replace(seed=1)))


def test_the_order_of_the_ratings_does_not_matter() -> None:
    known = planted().known
    turned = Ratings(*(column[::-1] for column in known))
    np.testing.assert_allclose(posterior(turned, ITEMS, QUICK), posterior(known, ITEMS, QUICK), atol=1e-3)


def test_every_sweep_is_told() -> None:
    told: list[tuple[int, int]] = []
    posterior(planted().known, ITEMS, Sampling(2, 5), lambda done, of: told.append((done, of)))
    assert told == [(1, 5), (2, 5), (3, 5), (4, 5), (5, 5)]


def test_one_rating_is_enough_and_of_unrated_items_the_expectation_is_finite() -> None:
    alone = Ratings(np.array([0]), np.array([2]), np.array([4.0], np.float32))
    expected = posterior(alone, 5, Sampling(2, 20))
    assert expected.shape == (1, 5)
    assert np.isfinite(expected).all()
