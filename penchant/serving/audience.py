"""A simulated audience for the bundled films: nobody in it exists, and this page says all that was planted in them.

It is made up so that a training has something to find that version 0 cannot see, and so that the answer is known:

    taste    everybody loves one *mood* (a few genres), and likes or dislikes other genres, keywords, countries, decades
             and directors by chance. What films say of themselves tells this; so does their text.
    trails   for each mood, every film has one film that comes after it, drawn by chance: no text tells it. After a
             click, two times in three a person goes on to what comes after that film *in their mood*, if it is new to
             them. Whoever counts pairs sees up to four films follow each film: which of them it is depends on the last
             click and on what the person has loved all along, together.

All else is taste and chance. The same seed makes the same audience.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from penchant.types import Event, Item

Longs = NDArray[np.int64]
Doubles = NDArray[np.float64]

PEOPLE = 2000
CLICKS = (10, 30)  # of a person
HABIT = 2 / 3  # how often a person goes on along a trail, where that film is new to them
MOODS = (
    ("Crime", "Thriller", "Mystery", "Film Noir", "Horror"),
    ("Action", "Adventure", "Science Fiction", "War", "Western", "Sport"),
    ("Comedy", "Family", "Animation", "Musical", "Fantasy"),
    ("Drama", "Romance", "Documentary"),
)
_LOVE, _CHANCE = 2.0, 0.6  # how much one's mood counts, and the deviation of all other likings
_SHARED = 3  # films that must have something in common for it to be a matter of taste
_DAY = 86_400.0
_DAYS = 21.0
_BETWEEN = (60.0, 7200.0)  # seconds between the clicks of one sitting
_SITTING = 5  # clicks in one sitting, about


class Audience(NamedTuple):
    """``clicks`` in time order; ``mood`` [people] and ``trails`` [moods, films] are the plan that they follow."""

    films: list[str]
    people: list[str]
    clicks: list[Event]
    mood: Longs
    trails: Longs

    def goes_on_to(self, person: str, film: str) -> str:
        """By the plan, what this person clicks after this film, two times in three."""
        mood = self.mood[self.people.index(person)]
        return self.films[int(self.trails[mood, self.films.index(film)])]


def simulate(films: Sequence[Item], until: float, people: int = PEOPLE, seed: int = 0) -> Audience:
    """``people`` who click for three weeks until the moment ``until``, Unix seconds."""
    random = np.random.default_rng(seed)
    mood = random.integers(len(MOODS), size=people)
    trails = np.stack([_trail(random, len(films)) for _ in MOODS])
    paths = _paths(random, _taste(random, films, mood), trails[mood])
    ids, names = [film.id for film in films], [f"simulated-{number}" for number in range(people)]
    lengths = random.integers(CLICKS[0], CLICKS[1] + 1, size=people)
    clicks = [
        Event(user=name, action="click", item=ids[film], time=float(when))
        for name, path, length in zip(names, paths, lengths, strict=True)
        for film, when in zip(path.tolist(), _times(random, int(length), until), strict=False)
    ]
    return Audience(ids, names, sorted(clicks, key=lambda click: click.time or 0.0), mood, trails)


def _trail(random: np.random.Generator, films: int) -> Longs:
    """What comes after each film: one ring through all of them, so that a trail never ends."""
    ring = random.permutation(films)
    after = np.empty(films, np.int64)
    after[ring] = np.roll(ring, -1)
    return after


def _taste(random: np.random.Generator, films: Sequence[Item], mood: Longs) -> Doubles:
    """How much everybody likes every film, [people, films]."""
    said = [_says(film) for film in films]
    often = Counter(mark for marks in said for mark in marks)
    known = [mark for mark, count in sorted(often.items()) if count >= _SHARED]
    has = np.array([[mark in marks for mark in known] for marks in said], np.float64)
    loved = np.array([[mark in {f"genres {genre}" for genre in genres} for mark in known] for genres in MOODS])
    likings = _CHANCE * random.standard_normal((len(mood), len(known))) + _LOVE * loved[mood]
    return np.asarray(likings @ has.T)


def _says(film: Item) -> set[str]:
    """What a film says of itself, each as a mark that other films may share."""
    fields = film.fields
    many = {f"{field} {value}" for field in ("genres", "keywords") for value in fields.get(field, ())}
    one = {f"{field} {fields.get(field)}" for field in ("country", "director")}
    return many | one | {f"decade {fields.get('year', 0) // 10}"}


def _paths(random: np.random.Generator, taste: Doubles, trails: Longs) -> Longs:
    """What everybody clicks, one after another, nothing twice, [people, most clicks]; ``trails`` [people, films]."""
    everybody = np.arange(len(taste))
    path = np.empty((len(taste), CLICKS[1]), np.int64)
    left = taste.copy()  # minus infinity: seen
    for step in range(CLICKS[1]):
        film = (left + random.gumbel(size=left.shape)).argmax(1)  # drawn from the softmax of taste
        if step:
            after = trails[everybody, path[:, step - 1]]
            follows = (random.random(len(left)) < HABIT) & np.isfinite(left[everybody, after])
            film = np.where(follows, after, film)
        path[:, step] = film
        left[everybody, film] = -np.inf
    return path


def _times(random: np.random.Generator, clicks: int, until: float) -> Doubles:
    """Moments of one person's clicks: sittings on some days, in rising order, none after ``until``."""
    days = np.sort(random.integers(0, int(_DAYS), size=1 + clicks // _SITTING))
    day = np.sort(days[random.integers(len(days), size=clicks)])
    apart = np.exp(random.uniform(math.log(_BETWEEN[0]), math.log(_BETWEEN[1]), size=clicks))
    return np.sort(until - (_DAYS - day) * _DAY + np.cumsum(apart) % _DAY)
