"""Items and states under another model version, prepared beside the ones in use.

The engine goes on meanwhile; `follow` brings what came since, and is called until little is missing. The learner
prepares the states of a version that it publishes with the same code, on the log alone.

Epochs: vectors as they were published stand at 1, and states from `states.npz` were folded with those; what differs
today stands later, so that the states that hold it fold again when they are needed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penchant.models.versions import INDEX, STATES
from penchant.pipeline.state import KEPT, UserStates
from penchant.pipeline.words import Words
from penchant.storage.catalogue import Catalogue, Row
from penchant.storage.event_log import EventLog
from penchant.storage.item_index import Built, ItemIndex
from penchant.storage.log_reading import History, as_history
from penchant.storage.state_store import StateStore, read_arrays

Floats = NDArray[np.float32]

PUBLISHED = 1  # the epoch of vectors as they were published
_TOGETHER = 512  # items that are read in one go: while numpy reads lists, nobody else runs


class Beside:
    """``texts(list of texts)`` gives text vectors; ``index`` and ``states`` are what is being prepared.

    ``clock``: where the clock of the index in use stood before its catalogue was read.
    """

    def __init__(
        self,
        log: EventLog,
        catalogue: Catalogue,
        texts: Callable[[Sequence[str]], Floats],
        words: Words,
        clock: int = 0,
    ) -> None:
        self._log, self._catalogue, self._texts, self._clock = log, catalogue, texts, clock
        self.version = words.version
        self.index = ItemIndex(self.version.manifest.dim)
        self.states = UserStates(
            StateStore(self.version.manifest.state_size, self.version.sums),
            self.index,
            self.version,
            words.at,
            self._settle,
            self._history,
        )
        self.as_of = 0

    def place_all(self) -> None:
        """Vectors of every item in the catalogue: as published, and what is not as published from its content."""
        published = self.version.published_vectors()
        count = max(len(published), len(self._log.items))
        vectors = np.zeros((count, self.index.dim), np.float32)
        vectors[: len(published)] = published
        differs, there = np.zeros(count, np.bool_), np.zeros(count, np.bool_)
        rows = self._catalogue.rows()
        while part := [row for row in islice(rows, _TOGETHER) if row.item < count]:  # a later one: `follow` brings it
            items, found = self._vectors(part)
            there[items] = True
            differs[items] = ~np.isclose(vectors[items], found, atol=1e-5).all(1)
            vectors[items[differs[items]]] = found[differs[items]]
        self.index.fill(vectors, np.flatnonzero(differs), self._published_index())
        self.index.epoch[:count][~there] = 0  # not sent yet, or not any more

    def start_states(self, upto: int) -> None:
        """States as published, if they are there and not ahead of us, then what came after them."""
        found = read_arrays(self.version.path / STATES)
        if found is not None and int(found["offset"]) <= upto:
            self.states.store.load(found)
            self.as_of = int(found["offset"])
        self._follow(upto)

    def settled_states(self) -> dict[str, NDArray[Any]]:
        """Everybody's state, folded with the vectors that stand here, which are those that will be published."""
        store = self.states.store
        for start in range(0, store.people, _TOGETHER):
            self.states.settle(range(start, min(start + _TOGETHER, store.people)))
        return store.arrays() | {"state_folded": np.full(store.people, PUBLISHED, np.int64)}

    def behind(self, as_of: int, index: ItemIndex) -> int:
        """How many events and items are missing, given where the log and the index in use stand."""
        return max(as_of - self.as_of, 0) + len(self._changed(index))

    def follow(self, as_of: int, index: ItemIndex) -> None:
        """Take in what happened to the log and to the index in use since."""
        changed, self._clock = self._changed(index), index.clock
        self._place([row for item in changed if (row := self._catalogue.get(item)) is not None])
        if as_of > self.as_of:
            self._follow(as_of)

    def _follow(self, upto: int) -> None:
        self.index.ensure(len(self._log.items))  # items that were only mentioned have a row, too
        self.states.follow(self._log, self.as_of, upto)
        self.as_of = upto

    def _published_index(self) -> Built | None:
        path = self.version.path / INDEX
        return Built.read(path) if path.exists() else None

    def _changed(self, index: ItemIndex) -> list[int]:
        items: list[int] = np.flatnonzero(index.epoch[: index.items] > self._clock).tolist()
        return items

    def _place(self, rows: Sequence[Row]) -> None:
        if rows:
            items, vectors = self._vectors(rows)
            self.index.ensure(int(items.max()) + 1)
            self.index.place(items, vectors)

    def _vectors(self, rows: Sequence[Row]) -> tuple[NDArray[np.int64], Floats]:
        items = np.array([row.item for row in rows], np.int64)
        return items, self.version.items(rows, self._texts([row.text for row in rows]))

    def _settle(self, items: Sequence[int]) -> None:
        """Vectors of items that were sent since, before they move into a checkpoint for good."""
        missing = [item for item in dict.fromkeys(items) if item >= self.index.items or not self.index.epoch[item]]
        self._place([row for item in missing if (row := self._catalogue.get(item)) is not None])

    def _history(self, person: int, upto: int) -> History:
        """What a person's state is folded from; of a session that is somebody's by then, nothing."""
        if self._log.person(person, upto) != person:
            return as_history([])
        return self._log.history(self._log.joined(person, upto), upto, KEPT)
