"""Why each item stands in a list: the list is scored again for the same person, had one past event not been.

    list  ->  the person without each of the last events, as rows of a small table  ->  scores  ->  effects  ->  words

Notable: such a row is folded, and asked, by the very code that folds and asks people. So whatever of a person enters a
score (the state, the newest event, recent items, what was done with this item, how many events are known) enters it
without that event, and what is new in a score tomorrow will too. All rows are folded in one call. Held fixed are the
candidates, the counts of everybody together, and what rules and policies make of the list.

All of it under the lock of the parts. Nothing of it is kept: a list that is explained later (`explain_again`) is told
anew, from what the log still says happened until then.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from msgspec import structs
from numpy.typing import NDArray

from penchant import kernels
from penchant.kernels import Asked
from penchant.parts import Parts
from penchant.pipeline import explanation
from penchant.pipeline.explanation import Effects, Rescored
from penchant.pipeline.ranking import Ranked, Scored
from penchant.pipeline.state import KEPT, UserStates
from penchant.pipeline.wording import Speaker
from penchant.storage.log_reading import History
from penchant.types import Event, Feedback, Language, Moved, Query, Reason, Slate

Longs = NDArray[np.int64]
Again = Callable[[Asked, Longs], Scored]

LAST = 32  # events that are left out one by one; no ring is moved on with fewer in it
_COMPARED = 5  # of the events that moved an item most: what it shares with them is said


class Listed(NamedTuple):
    """A list and all that it was chosen from: ``items`` [n] as ``scored``, which of them may be ``shown``, and the
    ``places`` of the list among them; ``again`` as in `Ranked`."""

    items: Longs
    scored: Scored
    shown: NDArray[np.bool_]
    places: Longs
    again: Again | None


class Past(NamedTuple):
    """An event that may have moved a score, the fields of its item, and what that is called."""

    event: Event
    fields: Mapping[str, Any]
    title: str | None


class Told(NamedTuple):
    """How the past moved a list: the scores, the effects, and the events left out, in their order."""

    found: Rescored
    effects: Effects
    pasts: list[Past | None]


def again(parts: Parts) -> Again:
    """Scores items as for a list."""

    def score(asked: Asked, items: Longs) -> Scored:
        return parts.ranker.score(parts.retrieval.scratch, asked, parts.retrieval.these(asked, items))

    return score


def again_for_words(parts: Parts, query: Query, found: Mapping[int, float]) -> Again:
    """The same for a search; ``found``: BM25 by item."""

    def score(asked: Asked, items: Longs) -> Scored:
        words = parts.words.of(query.words or "")
        return parts.ranker.score_words(items, found, words, asked.vector, asked.time)

    return score


def explain(parts: Parts, query: Query, person: int, slate: Slate, ranked: Ranked, best: Longs) -> None:
    """Give each item of a list its reason. It is the last thing done to a list: `Ranked` is not good afterwards."""
    listed = Listed(ranked.items.copy(), ranked.scored, ranked.reason == kernels.KEPT, best, ranked.again)
    few, offsets = parts.states.without(person, LAST)
    _explain(parts, query, slate, listed, _told(parts, query, person, listed, few, offsets))


def explain_again(parts: Parts, query: Query, slate: Slate) -> None:
    """The same of a list that was kept: the person's events are those until then that the log still holds, the
    candidates are the list's own; counts, vectors and model are today's, and every reason says so (`as_of`)."""
    number = parts.log.people.get(slate.user) if slate.user is not None else -1
    states, listed = parts.states.alone(), _kept(parts, query, slate)
    if number >= 0:
        states.replace(0, _until(parts, number, slate.as_of))
    few, offsets = states.without(0, LAST)
    _explain(parts, query, slate, listed, _told(parts, query, parts.log.person(number), listed, few, offsets))
    for one in slate.items:
        if one.reason is not None:
            one.reason.as_of = parts.as_of


def find(parts: Parts, id: str, language: Language) -> Feedback:
    """A kept list with its reasons. Raises NotFound."""
    found = parts.showing.find(id)
    query = structs.replace(found.query, language=language)
    parts.words.read([query.words] if query.words else [])
    with parts.lock:
        explain_again(parts, query, found.slate)
    return found


def _kept(parts: Parts, query: Query, slate: Slate) -> Listed:
    items = np.array([parts.log.items.get(one.item) for one in slate.items], np.int64)
    names = tuple(slate.items[0].terms) if slate.items else ()
    wide = (len(items), len(names))
    terms = np.array([list(one.terms.values()) for one in slate.items], np.float32).reshape(wide)
    scored = Scored(names, terms, np.array([one.score for one in slate.items], np.float32), terms)
    score: Again | None = None if slate.like is not None else again(parts)
    if "words" in names:
        bm25 = {item: math.expm1(one.features["words"]) for item, one in zip(items.tolist(), slate.items, strict=True)}
        score = again_for_words(parts, query, bm25)
    return Listed(items, scored, np.ones(len(items), np.bool_), np.arange(len(items)), score)


def _until(parts: Parts, number: int, upto: int) -> History:
    """What is in the log today of what was known of a person at an offset."""
    people = parts.log.joined(parts.log.person(number, upto), upto)
    history = parts.log.history(people, parts.as_of)
    return History._make(array[history.offset <= upto][-KEPT:] for array in history)


# -- scores, had one event not been ------------------------------------------------------------------------------------


def _told(parts: Parts, query: Query, person: int, listed: Listed, few: UserStates, offsets: Longs) -> Told | None:
    """What the person without each event, a row of ``few``, makes of the scores; None where nothing of it enters."""
    if listed.again is None or not len(offsets) or not len(listed.items):
        return None
    rows = few.store.people
    profiles = np.repeat(parts.profiles_of([person]), rows, axis=0)
    vectors = few.asked(range(rows), [query.time or 0.0] * rows, profiles)
    found = [listed.again(parts.asked(person, vectors[k], query, few, k), listed.items) for k in range(rows)]
    names = found[0].names
    added = listed.scored.terms[:, len(names) :].sum(1)  # by promotions, which stay
    scores = np.stack([one.scores + added for one in found])
    rescored = Rescored(names, scores, np.stack([one.terms[listed.places] for one in found]))
    return Told(rescored, explanation.effects(rescored, listed.places), [_past(parts, one) for one in offsets.tolist()])


def _past(parts: Parts, offset: int) -> Past | None:
    """What the log says at an offset."""
    for (logged,) in parts.log.replay(offset - 1, offset):
        fields = _fields(parts, logged.item)
        return Past(logged.event, fields, explanation.title(fields, parts.settings.title))
    return None


def _fields(parts: Parts, item: int) -> Mapping[str, Any]:
    row = parts.catalogue.get(item) if item >= 0 else None
    return row.fields if row is not None else {}


# -- from scores to reasons --------------------------------------------------------------------------------------------


def _explain(parts: Parts, query: Query, slate: Slate, listed: Listed, told: Told | None) -> None:
    speaker = Speaker(query.language, {name: one.said for name, one in parts.settings.actions.items()})
    like = _fields(parts, parts.log.items.get(slate.like)) if slate.like is not None else {}
    for k, candidate in enumerate(slate.items):
        fields = _fields(parts, int(listed.items[listed.places[k]]))
        reason = _reason(listed, k) if told is None else _moved(parts, listed, told, k, fields)
        if slate.like is not None:
            reason.about = explanation.title(like, parts.settings.title) or slate.like
            reason.shared = explanation.shared(fields, like, parts.settings.title)
        elif "words" in candidate.terms:
            reason.about, reason.shared = query.words, explanation.held(fields, query.words or "")
        reason.text = speaker.sentence(reason, candidate)
        candidate.reason = reason


def _reason(listed: Listed, k: int) -> Reason:
    """Of the k-th item of the list, where nothing of a person entered."""
    return Reason(text="", rank=_rank(listed, listed.scored.scores, k))


def _moved(parts: Parts, listed: Listed, told: Told, k: int, fields: Mapping[str, Any]) -> Reason:
    """Of the k-th item, whose ``fields`` these are."""
    found, effects, named = told.found, told.effects, parts.settings.title
    strongest = effects.strongest_first(k)
    reason = Reason(text="", rank=_rank(listed, found.scores[0], k), earlier=effects.told(-1, k))
    for place, row in enumerate(strongest.tolist()):
        if (past := told.pasts[row]) is not None:
            one = _one(past, effects.told(row, k), found.names[effects.through[row, k]])
            one.shared = _shared(past, fields, named) if place < _COMPARED else {}
            reason.moved.append(one)
    if len(strongest):
        reason.rank_without = _rank(listed, found.scores[1 + strongest[0]], k)
    return reason


def _rank(listed: Listed, scores: NDArray[np.float32], k: int) -> int:
    return explanation.rank(scores, listed.shown, listed.items, int(listed.places[k]))


def _one(past: Past, effect: float, through: str) -> Moved:
    event = past.event
    return Moved(
        event=event.id or "",
        action=event.action or "",
        effect=effect,
        through=through,
        item=event.item,
        title=past.title,
        words=event.words,
    )


def _shared(past: Past, fields: Mapping[str, Any], named: str) -> dict[str, list[str]]:
    if past.event.item is None:
        return explanation.held(fields, past.event.words or "")
    return explanation.shared(fields, past.fields, named)
