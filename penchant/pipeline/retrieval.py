"""Where candidates come from: dense, transitions, neighbours, similar people, recent popularity, fresh items, again.

Every source is asked for its own best; the union is what gets ranked. Counts are gathered for all items that the
recent ones speak for, so that a candidate found by one source alone still carries what the others know of it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from penchant import kernels
from penchant.kernels import ASKED, AUDIENCE, Asked
from penchant.models.fusion import Fusion
from penchant.storage.counts import Counts
from penchant.storage.item_index import ItemIndex

Floats = NDArray[np.float32]
Longs = NDArray[np.int64]

DENSE, TRANSITIONS, NEIGHBOURS, PEOPLE, POPULAR, FRESH = 150, 200, 200, 50, 100, 50  # the most that each source gives
IN_CONTEXT = 50
MORE = 2000  # seen items that the dense source makes up for
WITHIN_CONDITION = 500
_NOTHING = np.empty(0, np.int64)
_SCANNED = 20_000
_LEAST = 1e-300  # of a decay: what is older than that is nothing
_log = logging.getLogger("penchant")
T = TypeVar("T")
_COUNTED = 1 << 16  # an item met more often counts as met so often


class Retrieval:
    """Owns the scratch arrays, so it serves one query at a time."""

    def __init__(self, index: ItemIndex, counts: Counts, fusion: Fusion) -> None:
        self.index, self.counts, self._fusion = index, counts, fusion
        self._shrunk = ((np.arange(_COUNTED) + 10.0) ** -fusion.neighbour_power).astype(np.float32)
        self.fresh = np.zeros(0, np.int64)
        self.scratch = kernels.new_scratch(0)
        self.mark = 0
        self._spoken = self._union = np.zeros(0, np.int64)
        self.failed: list[str] = []  # sources that failed at this question
        self._broken: set[str] = set()  # and those of which the log was told
        self.unheard = -1  # a person who is not listened to, whoever asks
        self._likeness, self._met = np.zeros((0, 1), np.float32), np.zeros(ASKED * AUDIENCE, np.int64)

    def candidates(self, asked: Asked, hidden: int = 0) -> Longs:
        """The union of all sources' best, for one query.

        ``hidden``: how many items will be taken out again since the person has seen them; the dense source, which
        finds those first, is asked for as many more.
        """
        self._new_query()
        spoken, n = self.attempt("counts", lambda: self._gathered(asked), 0), 0
        sums = self.scratch.sums

        def strongest(column: int, most: int) -> Longs:
            found: Longs = kernels.strongest(sums, column, self._spoken, spoken, most)
            return found

        sources: tuple[tuple[int, Callable[[], Longs]], ...] = (
            (kernels.TRANSITIONS, lambda: strongest(kernels.TRANSITION, TRANSITIONS)),
            (kernels.NEIGHBOURS, lambda: strongest(kernels.NEIGHBOUR, NEIGHBOURS)),
            (kernels.PEOPLE, lambda: strongest(kernels.SIMILAR, PEOPLE)),
            (kernels.DENSE, lambda: self._dense(asked.vector, DENSE + min(hidden, MORE))),
            (kernels.POPULAR, self._popular),
            (kernels.CONTEXT, lambda: self._popular_in(asked.context)),
            (kernels.FRESH, lambda: self.fresh),
            (kernels.AGAIN, lambda: asked.own),
        )
        for source, find in sources:
            items = self.attempt(kernels.SOURCES[source], find, _NOTHING)
            n = kernels.union(self.scratch, self.mark, items, source, self._union, n)
        return self._union[:n]

    def attempt(self, source: str, find: Callable[[], T], without: T) -> T:
        """What a source finds; one that fails costs its candidates, and not the list. The log is told once."""
        try:
            found = find()
        except Exception as error:
            if source not in self._broken:
                _log.exception("the source %s failed; lists go on without it", source, exc_info=error)
            self._broken.add(source)
            self.failed.append(source)
            return without
        self._broken.discard(source)
        return found

    def widened(self, items: Longs, source: int, found: Longs) -> Longs:
        """The candidates of this query, and what another source found."""
        return self._union[: kernels.union(self.scratch, self.mark, found, source, self._union, len(items))]

    def these(self, asked: Asked, items: Longs) -> Longs:
        """Given items as candidates, each once, with what the counts say of them."""
        self._new_query()
        self.attempt("counts", lambda: self._gathered(asked), 0)
        return self._union[: kernels.union(self.scratch, self.mark, items, kernels.GIVEN, self._union, 0)]

    def _gathered(self, asked: Asked) -> int:
        """Sum up what the recent items say of others; how many are spoken for."""
        counts = self.counts
        spoken: int = kernels.gather(
            self.scratch,
            self.mark,
            counts.transitions,
            counts.neighbours,
            counts.outgoing,
            counts.outgoing_recent,
            1.0 / max(counts.decay(asked.time), _LEAST),
            counts.totals,
            asked,
            self._fusion.transition_decay,
            self._fusion.neighbour_decay,
            self._shrunk,
            self._spoken,
        )
        return self._similar(asked, spoken)

    def _similar(self, asked: Asked, spoken: int) -> int:
        """Sum up what similar people met, too."""
        counts = self.counts
        if len(counts.length) > len(self._likeness):
            self._likeness = np.zeros((len(counts.length), 1), np.float32)
        n: int = kernels.gather_similar(
            self.scratch,
            self.mark,
            counts.audience,
            counts.history,
            counts.length,
            counts.totals,
            asked,
            self.unheard,
            self._fusion.neighbour_decay,
            self._shrunk,
            self._likeness,
            self._met,
            spoken,
            self._spoken,
        )
        return n

    def matching(self, words: Floats, held: Callable[[], Mapping[int, float]]) -> tuple[Longs, Mapping[int, float]]:
        """(candidates, BM25 by item) of a search: what holds the words, and what is near to what they mean."""
        self._new_query()
        nothing: Mapping[int, float] = {}
        found = self.attempt("words", held, nothing)
        near = self.attempt("dense", lambda: self._dense(words, DENSE), _NOTHING)
        n = kernels.union(
            self.scratch, self.mark, np.fromiter(found, np.int64, len(found)), kernels.WORDS, self._union, 0
        )
        n = kernels.union(self.scratch, self.mark, near, kernels.DENSE, self._union, n)
        return self._union[:n], found

    def came(self, items: Longs) -> None:
        """Items were sent for the first time: the fresh ones are the newest by time of sending."""
        every = np.union1d(self.fresh, items)
        self.fresh = every[np.lexsort((every, -self.index.created[every]))[:FRESH]]

    def went(self, items: Longs) -> None:
        """Items were removed: where one was fresh, the next newest takes its place."""
        if np.isin(items, self.fresh).any():
            self.fresh = np.zeros(0, np.int64)
            self.came(np.flatnonzero(self.index.known[: self.index.items]))

    def within(self, allowed: NDArray[np.uint8], vector: Floats) -> Longs:
        """Items inside a condition, so that a narrow one still fills a list: the nearest of them, or the popular."""
        self.counts.ensure(0, len(allowed))
        items = np.flatnonzero(allowed & self.index.ready[: len(allowed)])
        if len(items) <= WITHIN_CONDITION:
            return items
        if len(items) > _SCANNED or not vector.any():
            scores = self.counts.popular[items].astype(np.float32)
        else:
            scores = self.index.vector[items] @ vector
        return items[np.argpartition(scores, -WITHIN_CONDITION)[-WITHIN_CONDITION:]]

    def _popular(self) -> Longs:
        """Counts have room for items that are not there yet; those are nobody's candidates."""
        popular = self.counts.most_popular(POPULAR)
        return popular[popular < self.index.items]

    def _popular_in(self, context: int) -> Longs:
        if not context:
            return _NOTHING
        bits = [bit for bit in range(context.bit_length()) if context >> bit & 1]
        popular = np.concatenate([self.counts.most_popular(IN_CONTEXT, bit) for bit in bits])
        return popular[popular < self.index.items]

    def _dense(self, vector: Floats, limit: int) -> Longs:
        if not vector.any() or not self.index.items:
            return _NOTHING
        return self.index.nearest(vector, limit)

    def _new_query(self) -> None:
        self.failed = []
        room = len(self.index.ready)
        self.counts.ensure(0, room)
        if room > len(self.scratch.marks):
            self.scratch = kernels.new_scratch(room)
            self._spoken, self._union = np.zeros(room, np.int64), np.zeros(room, np.int64)
            self.mark = 0
        if self.mark == 2**31 - 1:
            self.scratch.marks[:, kernels.STAMP] = 0
            self.mark = 0
        self.mark += 1
