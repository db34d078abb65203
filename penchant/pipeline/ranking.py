"""How candidates are scored: features that are absolute, and a sum of one term for each (`models.fusion`).

    text         f(x) . g(y), the cosine of what the person is about and what the item is about; in a trained version
                 it is called `learned`, and is the logit of the item being next
    transitions  log(1 + P / floor), P: what followed the person's last five items, by share
    recent_transitions   the same of decayed counts, so that what follows what lately counts most
    neighbours   log(1 + C / floor), C: shrunk cosine of co-occurrence with the last ten
    together     the same of co-occurrence within one session
    similar_people   log(1 + S / floor), S: how alike the people are who met it lately, summed over the most alike
    again        log(1 + W), W: what the person's own actions on it weigh together (below 0: -log(1 - W)), of those in
                 the ring of the state; 0 where lists do not show again what was met
    popularity   log(1 + recent popularity)
    context_popularity   the same in the context of asking: where, or on what (settings: contexts)
    freshness    2^(-age / half-life) since the item was first sent

A search adds to these what its words say: `words`, log(1 + BM25), and `text` is then the cosine of the words and the
item, `personal` the one of the person and the item.

Absolute means: none of them looks at the other candidates, so a candidate's score ignores its neighbours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from penchant import kernels
from penchant.kernels import Asked, Scratch
from penchant.models.fusion import DEPTHS, Curves, Fusion, curves_of, lines
from penchant.storage.counts import Counts
from penchant.storage.item_index import ItemIndex

Floats = NDArray[np.float32]
Longs = NDArray[np.int64]

_DAY = 86_400.0


class Scored(NamedTuple):
    """Features [n, features] in the order of ``names``, the score of each [n], and the terms [n, features] it sums."""

    names: tuple[str, ...]
    features: Floats
    scores: Floats
    terms: Floats


class Ranked(NamedTuple):
    """Candidates of one question: ``items`` [n], how they are ``scored``, ``reason`` [n] why not shown (0: shown).

    ``vector``: f(x) of the person, when it is a person who asks for a list; ``depth``: how many events are known then.
    ``again``: scores items of this question once more, had something else been known of the person; None where nothing
    of a person enters. ``like``: the item that others are to be like (-1: none).
    """

    items: Longs
    scored: Scored
    reason: NDArray[np.uint8]
    vector: Floats | None = None
    depth: int = 0
    again: Callable[[Asked, Longs], Scored] | None = None
    like: int = -1


class Ranker:
    """Scores under one version's fusion; reads counts and vectors, changes nothing."""

    def __init__(self, index: ItemIndex, counts: Counts, fusion: Fusion, search: Mapping[str, float]) -> None:
        self._index, self._counts, self.fusion, self._search = index, counts, fusion, dict(search)
        self._names = tuple(fusion.weights)  # in the order of `kernels.features`
        self._curves, self._likeness = curves_of(fusion), lines(fusion.likeness or fusion.weights)

    def score(self, scratch: Scratch, asked: Asked, items: Longs) -> Scored:
        """Of items that retrieval has just gathered, for a person."""
        return self._summed(scratch, asked, items, self._curves)

    def score_like(self, scratch: Scratch, asked: Asked, items: Longs) -> Scored:
        """The same for a question by an item: its vector is of length 1, and no logit."""
        return self._summed(scratch, asked, items, self._likeness)

    def _summed(self, scratch: Scratch, asked: Asked, items: Longs, curves: Curves) -> Scored:
        features = np.empty((len(items), len(self._names)), np.float32)
        kernels.features(
            scratch,
            items,
            self._index.vector,
            asked,
            self._counts.popular,
            self._counts.popular_in,
            self._counts.decay(asked.time),
            self._index.created,
            self.fusion.fresh_half_life_days * _DAY,
            self.fusion.transition_floor,
            self.fusion.neighbour_floor,
            features,
        )
        terms, scores = np.empty_like(features), np.empty(len(items), np.float32)
        heights = curves.heights[min(asked.depth, DEPTHS - 1)]
        kernels.add_up(features, curves.low, curves.per, heights, terms, scores)
        return Scored(self._names, features, scores, terms)

    def score_words(
        self, items: Longs, bm25: Mapping[int, float], words: Floats, person: Floats, time: float
    ) -> Scored:
        """For a search; names in the order of the version's search weights."""
        vectors = self._index.vector[items]
        popular = np.maximum(self._counts.popular[items] * self._counts.decay(time), 0.0)
        known = {
            "words": np.log1p(np.array([bm25.get(item, 0.0) for item in items.tolist()])),
            "text": _cosines(vectors, words),
            "personal": _cosines(vectors, person),
            "popularity": np.log1p(popular),
        }
        features = np.stack([known[name] for name in self._search], 1).astype(np.float32)
        terms = features * np.array(list(self._search.values()), np.float32)
        return Scored(tuple(self._search), features, terms.sum(1), terms)


def _cosines(vectors: Floats, asked: Floats) -> Floats:
    lengths = np.linalg.norm(vectors, axis=1) * np.linalg.norm(asked)
    out: Floats = vectors @ asked / np.maximum(lengths, 1e-12)
    return out
