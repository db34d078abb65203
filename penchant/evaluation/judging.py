"""What an engine says of an interaction just before it is learned: how likely each action is, and how many stars.

Ranking asks what a list can answer, so it leaves out items that lists hide. Actions and ratings are about every
interaction with an item, whatever was done and however often the person had met it: all of them are judged, on the way
from one list to the next. Asked is `Engine.rank`, which knows no item outside the catalogue and keeps none that is not
available: events on such items are not judged. A version that has learned neither says nothing, and is not asked.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from penchant.engine import Engine
from penchant.evaluation.figures import Figures, action_errors, rating_errors
from penchant.evaluation.labels import LOOKED_AHEAD, done_by
from penchant.types import Event, Query

Longs = NDArray[np.int64]


class Judged(Struct, omit_defaults=True):
    """Figures over ``events`` of ``people``; of an action, how often it was ``done``."""

    events: int
    people: int
    figures: Figures
    done: int | None = None


class Judge:
    """Asks one engine of ``events``, those to come in the order of time; ``catalogue``: items that it can rank.

    ``rows`` [n] are the events that it asks of, one of ``every``; there are none where the version knows nothing.
    """

    def __init__(self, engine: Engine, events: Sequence[Event], catalogue: frozenset[str], every: int = 1) -> None:
        heads, self._model = engine.parts.version.heads, engine.parts.version.rating
        self._engine, self._events = engine, events
        self._actions = [engine.parts.log.actions.name(k) for k in heads.action.tolist()] if heads is not None else []
        knows = self._model is not None or engine.parts.counts.ratings.any
        self._rating = frozenset(engine.parts.settings.ratings if knows else ())
        asked = [row for row, one in enumerate(events) if one.item in catalogue and (self._actions or self._rated(one))]
        self.rows: Longs = np.array(asked[::every], np.int64)
        self._probabilities: list[list[float]] = []
        self._stars: list[float] = []

    def ask(self, row: int) -> None:
        """Of the event at a row of ``rows``; each once, in order."""
        event = self._events[row]
        (said,) = self._engine.rank([event.item or ""], Query(user=event.user, time=event.time)).items
        self._probabilities.append([said.probabilities[name] for name in self._actions])
        if self._rated(event) and said.rating is not None:
            self._stars.append(said.rating)

    def actions(self) -> dict[str, Judged]:
        """Figures of each action that the version tells apart, as soon as all was asked."""
        if not self._actions or not len(self.rows):
            return {}
        said, people = np.array(self._probabilities, np.float64), self._people(self.rows)
        among, labels = done_by(self._events, self._actions)
        done = labels[np.searchsorted(among, self.rows)]
        return {
            name: Judged(
                events=len(self.rows),
                people=len(np.unique(people)),
                figures=action_errors(said[:, place], done[:, place], people),
                done=int(done[:, place].sum()),
            )
            for place, name in enumerate(self._actions)
        }

    def ratings(self) -> Judged | None:
        """Figures of ratings, as soon as all was asked; None without any."""
        rows = np.array([row for row in self.rows.tolist() if self._rated(self._events[row])], np.int64)
        if not len(rows):
            return None
        given, people = np.array([self._events[row].value for row in rows], np.float64), self._people(rows)
        figures = rating_errors(np.array(self._stars, np.float64), given, people)
        return Judged(events=len(rows), people=len(np.unique(people)), figures=figures)

    def words(self) -> list[str]:
        """How it was asked, for people to read; nothing where nothing was asked."""
        said = []
        if self._actions and len(self.rows):
            said.append(f"Actions are asked of every interaction with an item of the catalogue, whatever was done and "
                        f"whether or not it had been met: {len(self.rows):,} events. An action counts as done where "
                        "the event itself, or one of the same person's next events on that item within the hour "
                        f"(at most {LOOKED_AHEAD}), was of that action, as the heads were taught. Log loss is in nats, "
                        "the calibration error over ten bins of equal width; ties count half in the AUC, which needs "
                        "both who did it and who did not.")  # fmt: skip
        if self._stars:
            said.append(f"Ratings are the values of {', '.join(sorted(self._rating))}, {len(self._stars):,} of them, "
                        f"in their own unit; predictions are {self._whence()}. Each is learned after it was "
                        "predicted.")  # fmt: skip
        return said

    def _whence(self) -> str:
        if self._model is None:
            return "what people who rated alike say (Pearson), and not clipped"
        low, high = self._model.limits.tolist()
        return f"the version's, clipped to what was given in training, {low:g} to {high:g}"

    def _rated(self, event: Event) -> bool:
        return event.action in self._rating and event.value is not None

    def _people(self, rows: Longs) -> Longs:
        return np.unique([self._events[row].user or "" for row in rows], return_inverse=True)[1].astype(np.int64)
