"""From a question to a slate: retrieve, score, filter; then order, and put names to it.

`Ranked` is what lies between: every candidate with its features, its score, and why it may not be shown. A learner
reads it to learn how scores should be made (`learning.fusing`), so that it sees what serving sees. All of this runs
under the lock of the parts, and a `Ranked` is only good until the next question: its arrays are the scratch space.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from penchant import allowing, arranging, explaining, kernels
from penchant.kernels import Asked
from penchant.parts import Parts
from penchant.pipeline.filters import REMOVED
from penchant.pipeline.ranking import Ranked
from penchant.showing import Judged, Rows, candidates
from penchant.types import Candidate, Query, Slate

Floats = NDArray[np.float32]
Longs = NDArray[np.int64]

_FAILED = "the source {} failed, and the list was made without it; the server's log says why."
_FOUND = 200  # items that hold the words of a search
_LEFT, _TIMES = 100, 3  # candidates a rule must leave, or times the limit: else what it allows is looked for by itself


def for_person(parts: Parts, query: Query, person: int, vector: Floats) -> Ranked:
    """What a person whose f(x) is ``vector`` may be shown next."""
    asked, hidden = parts.asked(person, vector, query), allowing.hidden(parts, query, person)
    return _ranked(parts, query, person, asked, hidden, vector)._replace(again=explaining.again(parts))


def like_item(parts: Parts, query: Query, person: int, item: int) -> Ranked:
    """Items near this one in content, followed by it, met together with it."""
    vector = parts.version.likeness(parts.index.vector[item][None])[0]
    context = parts.log.contexts.bits(query.context)
    asked = Asked(vector, np.array([item], np.int64), float(query.time or 0.0), 1, -1, context)
    return _ranked(parts, query, person, asked, np.array([item], np.int32), None)._replace(like=item)


def _ranked(
    parts: Parts, query: Query, person: int, asked: Asked, hidden: NDArray[np.int32], vector: Floats | None
) -> Ranked:
    allowed, retrieval = allowing.allowed(parts, query, person), parts.retrieval
    items = retrieval.candidates(asked, len(hidden))
    reason = _reasons(parts, items, hidden, allowed)
    if len(allowed) and np.count_nonzero(reason == kernels.KEPT) < max(_LEFT, _TIMES * query.limit):
        items = retrieval.widened(items, kernels.CONDITION, retrieval.within(allowed, asked.vector))
        reason = _reasons(parts, items, hidden, allowed)
    more = arranging.added(parts, query, person, allowed, asked.vector)
    if len(more):
        items = retrieval.widened(items, kernels.POLICY, more)
        reason = _reasons(parts, items, hidden, allowed)
    score = parts.ranker.score_like if vector is None else parts.ranker.score
    scored = arranging.lifted(parts, query, person, items, score(retrieval.scratch, asked, items))
    return Ranked(items, scored, reason, vector, asked.depth)


def these(parts: Parts, query: Query, person: int, vector: Floats, numbers: Longs) -> Ranked:
    """Given items, each once; seen ones as the query wants."""
    asked = parts.asked(person, vector, query)
    items = parts.retrieval.these(asked, numbers)
    scored = parts.ranker.score(parts.retrieval.scratch, asked, items)
    allowed = allowing.allowed(parts, query, person)
    reason = _reasons(parts, items, allowing.hidden(parts, query, person), allowed)
    return Ranked(items, scored, reason, vector, asked.depth, explaining.again(parts))


def matching(parts: Parts, query: Query, person: int, vector: Floats) -> Ranked:
    """Items that the query's words name or mean."""
    words = query.words or ""
    asked = parts.words.of(words)
    allowed = allowing.allowed(parts, query, person)
    items, found = parts.retrieval.matching(asked, lambda: dict(parts.catalogue.search(words, _FOUND)))
    items = parts.retrieval.widened(items, kernels.POLICY, arranging.added(parts, query, person, allowed, None))
    scored = parts.ranker.score_words(items, found, asked, vector, query.time or 0.0)
    scored = arranging.lifted(parts, query, person, items, scored)
    hidden = allowing.hidden(parts, query, -1 if query.seen is None else person)
    again = explaining.again_for_words(parts, query, found)
    return Ranked(items, scored, _reasons(parts, items, hidden, allowed), again=again)


def _reasons(parts: Parts, items: Longs, hidden: NDArray[np.int32], allowed: NDArray[np.uint8]) -> NDArray[np.uint8]:
    reason, retrieval = np.empty(len(items), np.uint8), parts.retrieval
    kernels.reasons(retrieval.scratch, retrieval.mark, items, parts.index.ready, hidden, allowed, reason)
    return reason


class Decided(NamedTuple):
    """A list in numbers. Names are put to it by whoever has the time, without a lock."""

    made: Slate
    rows: Rows
    name: Callable[[int], str]

    def slate(self) -> Slate:
        if not self.made.items:
            self.made.items = candidates(self.rows, self.name)
        return self.made


def slate(parts: Parts, query: Query, person: int, ranked: Ranked, foretold: bool = False) -> Slate:
    """The best of what may be shown, with names; as `decide` says."""
    return decide(parts, query, person, ranked, foretold).slate()


def decide(parts: Parts, query: Query, person: int, ranked: Ranked, foretold: bool = False) -> Decided:
    """The best of what may be shown; kept, where it counts as shown.

    ``foretold``: where no version has learned ratings, they are foretold by similar people.
    """
    placed, unmet = arranging.arranged(parts, query, person, ranked)
    best, name = np.array([one.place for one in placed], np.int64), parts.log.items.name
    made = Slate(
        items=[],
        as_of=parts.as_of,
        user_as_of=parts.states.newest(person),
        version=parts.version.name,
        time=query.time or 0.0,
        user=query.user,
        retrieved=len(ranked.items),
        removed=_removed(parts, ranked) if query.explain_removed else None,
        notes=allowing.notes(parts, query) + unmet + [_FAILED.format(source) for source in parts.retrieval.failed],
        like=name(ranked.like) if ranked.like >= 0 else None,
    )
    rows = _rows(parts, ranked, best)._replace(
        judged=_judged(parts, person, ranked, best, foretold),
        placed={k: (how, paid) for k, (_, how, paid) in enumerate(placed) if how is not None},
    )
    if query.track:
        parts.showing.show(query, person, made, rows)
    decided = Decided(made, rows, name)
    if query.explain:
        explaining.explain(parts, query, person, decided.slate(), ranked, best)
    return decided


def _removed(parts: Parts, ranked: Ranked) -> list[Candidate]:
    places = np.flatnonzero(ranked.reason)
    removed = candidates(_rows(parts, ranked, places), parts.log.items.name)
    for one, reason in zip(removed, ranked.reason[places].tolist(), strict=True):
        one.removed = REMOVED[reason]
    return removed


def _judged(parts: Parts, person: int, ranked: Ranked, best: Longs, foretold: bool) -> Judged:
    """What the person would do with each, and which value the person would give it."""
    if ranked.vector is None:
        return []
    judged = parts.judged(person, ranked.vector, ranked.items[best])
    if foretold and parts.version.rating is None:
        said = parts.counts.ratings.foretell(person, ranked.items[best])
        if said is not None:
            return [(told, rating) for (told, _), rating in zip(judged, said.tolist(), strict=True)]
    return judged


def _rows(parts: Parts, ranked: Ranked, best: Longs) -> Rows:
    items, scored = ranked.items[best], ranked.scored
    sources = parts.retrieval.scratch.marks[items, kernels.SOURCE] & kernels.ALL_SOURCES
    return Rows(items, sources, scored.scores[best], scored.features[best], scored.terms[best], scored.names)
