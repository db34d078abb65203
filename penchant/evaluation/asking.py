"""Ask an engine for a person's list, and note where what came next stood in it.

A person can also be asked for as a *guest*: someone of whom only that person's last events are known. A guest has a
number and a state, and nothing else: the state is folded from the cut history, asked, and cleared, so that neither
counts nor anybody else's list can tell that the guest was there. A guest has seen what stands in the cut history, and
is not told what the person met before that: that very person is no similar one.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from penchant.engine import Engine
from penchant.evaluation.figures import KS
from penchant.types import Event, Query

DEPTH = 100  # places looked at; what stands deeper has no place
GUEST = "the guest of an evaluation"

Seen = Literal["ever", "allow"]
Listed = NDArray[np.int32]  # [longest of KS] item numbers, -1 beyond the list's end


class Asker:
    """Asks one engine; ``seen`` as in `Query`: whether lists hide what the person touched."""

    def __init__(self, engine: Engine, seen: Seen = "ever", depth: int = DEPTH) -> None:
        self._engine, self._seen, self._depth = engine, seen, depth
        self._items = engine.parts.log.items
        engine.ingest([Event(kind="user", user=GUEST)])  # gives a number, touches neither counts nor states
        self._guest = engine.parts.log.people.get(GUEST)
        self.version = ""  # of the newest list

    def person(self, event: Event) -> tuple[int, Listed]:
        """(place of the event's item, the list) for the event's person, just before the event."""
        names = self._list(event.user, event.time)
        return self._place(names, event.item), self._numbers(names)

    def guest(self, event: Event, last: int) -> tuple[int, Listed]:
        """The same for a guest who has only the last ``last`` interactions of the event's person."""
        parts, hidden = self._engine.parts, set[str]()
        with self._engine.lock:
            person = parts.log.person(parts.log.people.get(event.user or ""))
            if person >= 0:
                history = parts.history(person, parts.as_of, last)
                parts.states.replace(self._guest, history)
                hidden = {self._items.name(item) for item in history.item.tolist() if item >= 0}
            parts.retrieval.unheard = person
            try:
                names = self._list(GUEST, event.time, hidden if self._seen == "ever" else ())
            finally:
                parts.retrieval.unheard = -1
                parts.states.clear(self._guest)
        return self._place(names, event.item), self._numbers(names)

    def future(self, user: str | None, moment: float, items: Collection[str]) -> tuple[list[int], Listed]:
        """(places of all these items, the list) for a person at a moment."""
        names = self._list(user, moment)
        return [self._place(names, item) for item in items], self._numbers(names)

    def _list(self, user: str | None, moment: float | None, hidden: Collection[str] = ()) -> list[str]:
        query = Query(user=user, time=moment, limit=self._depth + len(hidden), seen=self._seen)
        slate = self._engine.recommend(query)
        self.version = slate.version
        return [one.item for one in slate.items if one.item not in hidden][: self._depth]

    def _place(self, names: list[str], item: str | None) -> int:
        return names.index(item) if item in names else -1

    def _numbers(self, names: list[str]) -> Listed:
        out = np.full(max(KS), -1, np.int32)
        numbers = [self._items.get(name) for name in names[: max(KS)]]
        out[: len(numbers)] = numbers
        return out
