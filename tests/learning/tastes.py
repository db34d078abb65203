"""Ratings with a planted taste: people and items have two factors each, and stars follow from those."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from penchant.learning.ratings import Ratings

PEOPLE, ITEMS = 60, 40


class Planted(NamedTuple):
    """Seven tenths of all cells, and the others."""

    known: Ratings
    later: Ratings


def planted(seed: int = 0) -> Planted:
    from penchant.learning.ratings import Ratings

    random = np.random.default_rng(seed)
    u, v = random.normal(size=(PEOPLE, 2)), random.normal(size=(ITEMS, 2))
    biases = 0.4 * random.normal(size=(PEOPLE, 1)) + 0.4 * random.normal(size=ITEMS)
    stars = 3.5 + biases + 0.85 * u @ v.T + 0.3 * random.normal(size=(PEOPLE, ITEMS))
    stars = np.clip(stars, 1.0, 5.0).astype(np.float32)
    people, items = np.divmod(random.permutation(stars.size), ITEMS)
    cut = int(0.7 * stars.size)
    return Planted(*(Ratings(people[r], items[r], stars[people[r], items[r]]) for r in (slice(cut), slice(cut, None))))


def root_mean_square(errors: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(errors))))


def errors_of_means(world: Planted) -> np.ndarray:
    """What the means of items and people say, damped, minus what was given."""
    from penchant.learning.ratings import damped_means

    known, later = world
    mean, of_items = damped_means(known, ITEMS)
    residual = known.values - mean - of_items[known.items]
    counts = np.bincount(known.people, minlength=PEOPLE)
    of_people = np.bincount(known.people, residual, PEOPLE) / (counts + 5.0)
    said = mean + of_items[later.items] + of_people[later.people]
    return np.clip(said, known.values.min(), known.values.max()) - later.values
