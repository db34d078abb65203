"""The simulated audience is what its page says: the same for a seed, and with what was planted in it."""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import pairwise

import numpy as np
import pytest

from penchant.serving import demo
from penchant.serving.audience import CLICKS, HABIT, MOODS, Audience, simulate
from penchant.serving.simulated import chosen

NOW = 1_700_000_000.0


@pytest.fixture(scope="module")
def audience() -> Audience:
    return simulate(demo.films(), NOW)


def paths(audience: Audience) -> dict[str, list[str]]:
    """What everybody clicked, in order."""
    found: dict[str, list[str]] = defaultdict(list)
    for click in audience.clicks:
        found[click.user or ""].append(click.item or "")
    return found


def test_the_same_seed_makes_the_same_audience_and_another_one_another() -> None:
    films = demo.films()
    once, again, other = (simulate(films, NOW, people=50, seed=seed) for seed in (3, 3, 4))
    assert once.clicks == again.clicks
    assert once.clicks != other.clicks


def test_two_thousand_people_click_ten_to_thirty_films_once_each_within_three_weeks(audience: Audience) -> None:
    clicked = paths(audience)
    assert len(clicked) == 2000
    assert {len(path) for path in clicked.values()} == set(range(CLICKS[0], CLICKS[1] + 1))
    assert all(len(set(path)) == len(path) for path in clicked.values())
    times = [click.time or 0.0 for click in audience.clicks]
    assert times == sorted(times)
    assert times[0] >= NOW - 21 * 86_400
    assert times[-1] <= NOW


def test_the_first_click_is_a_matter_of_taste(audience: Audience) -> None:
    genres = {film.id: set(film.fields["genres"]) for film in demo.films()}
    clicked = paths(audience)
    firsts = [genres[clicked[person][0]] for person in audience.people]
    for mood, loved in enumerate(MOODS):
        of_this_mood = audience.mood == mood
        hits = np.array([bool(first & set(loved)) for first in firsts])
        assert hits[of_this_mood].mean() > hits[~of_this_mood].mean() + 0.5


def test_what_comes_next_hangs_on_the_last_click_and_the_mood_together(audience: Audience) -> None:
    by_the_plan = []
    followed: dict[str, Counter[str]] = defaultdict(Counter)
    for person, path in paths(audience).items():
        for place, (film, after) in enumerate(pairwise(path), 1):
            planned = audience.goes_on_to(person, film)
            if planned not in path[:place]:
                by_the_plan.append(planned == after)
            followed[film][after] += 1
    assert abs(np.mean(by_the_plan) - HABIT) < 0.02
    best_guess_of_pairs = sum(count.most_common(1)[0][1] for count in followed.values())
    assert best_guess_of_pairs / len(audience.clicks) < 0.6 * HABIT


def test_no_text_tells_the_trails(audience: Audience) -> None:
    vectors = demo.bundled_vectors()[1]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    alike = vectors @ vectors.T
    along_trails = np.mean([alike[np.arange(len(trail)), trail].mean() for trail in audience.trails])
    assert abs(along_trails - alike[~np.eye(len(alike), dtype=bool)].mean()) < 0.02


def test_who_is_shown_clicked_last_and_goes_on_to_a_film_that_is_new(audience: Audience) -> None:
    someone = chosen(audience)
    assert someone.clicked == paths(audience)[someone.name]
    assert someone.next == audience.goes_on_to(someone.name, someone.clicked[-1])
    assert someone.next not in someone.clicked
