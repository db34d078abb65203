"""From candidates to a slate: which of those that may be shown stand where.

    value       (1 - stability) relevance + stability former
    objective   (1 - diversity) value - diversity nearest

relevance is the score, 1 for the best of the pool and 0 for the last of its window; former is 1 for what stood first in
the last list, and falls evenly to 0; nearest is the largest cosine with what the list holds already (maximal marginal
relevance, Carbonell & Goldstein 1998). The first free slot goes to the largest objective, then the next.

Pinned items have their slots before, then the sponsored ones by auction. Caps hold for all but the pins: what would
break one is passed over for good, since a list only grows. What a promotion wants at least is left room for.

Only here is anything looked at that is relative to the list, so that a score stays the item's own. Does not know:
names, rules, how scores are made, and what may not be shown, which never gets here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Longs = NDArray[np.int64]
Bools = NDArray[np.bool_]

_LISTS, _QUESTIONS = 50_000, 8  # people whose last lists are remembered, and for how many questions of each
_NOTHING = np.empty(0, np.int64)


class Pool(NamedTuple):
    """What may be shown, best first: ``items`` [n], ``scores`` [n], and how many of them set the scale of relevance.

    ``vectors`` [n, dim] of length 1, or None where diversity is 0.
    """

    items: Longs
    scores: Floats
    window: int
    vectors: Floats | None = None


class Share(NamedTuple):
    """At least so many of the list are to be among these [n]."""

    at_least: int
    among: Bools


class Lists:
    """The last list of a person for each question, of so many people; what was asked longest ago is forgotten first."""

    def __init__(self, most: int = _LISTS) -> None:
        self._most = most
        self._of: dict[int, dict[Hashable, Longs]] = {}

    def of(self, person: int, question: Hashable) -> Longs:
        return self._of.get(person, {}).get(question, _NOTHING)

    def keep(self, person: int, question: Hashable, items: Longs) -> None:
        if person < 0:
            return
        of_person = self._of.pop(person, {})
        of_person.pop(question, None)
        of_person[question] = items
        if len(of_person) > _QUESTIONS:
            del of_person[next(iter(of_person))]
        self._of[person] = of_person
        if len(self._of) > self._most:
            del self._of[next(iter(self._of))]

    def forget(self, person: int) -> None:
        self._of.pop(person, None)


@dataclass(slots=True)
class Plan:
    """How a list is to be made. ``former`` [n] of the pool; ``fixed``: places in the pool by slot (0: the first)."""

    diversity: float = 0.0
    stability: float = 0.0
    former: Floats | None = None
    fixed: Mapping[int, int] = field(default_factory=dict)
    shares: Sequence[Share] = ()


class Arranged(NamedTuple):
    """Places in the pool, in the order of the list; those put there by a share; those that a cap has kept out."""

    places: list[int]
    promoted: set[int]
    capped: list[int]


class Caps:
    """Counts the values of capped fields in one list. An item with a list of values counts for each of them."""

    def __init__(self, most: Mapping[str, int], value: Callable[[str, int], Any]) -> None:
        self._most, self._value = most, value
        self._counts: Counter[tuple[str, Any]] = Counter()

    def take(self, item: int) -> None:
        self._counts.update(self._keys(item))

    def took(self, item: int) -> bool:
        """Take it, unless that is more than a cap allows."""
        keys = self._keys(item)
        if any(self._counts[key] >= self._most[key[0]] for key in keys):
            return False
        self._counts.update(keys)
        return True

    def _keys(self, item: int) -> list[tuple[str, Any]]:
        return [(name, one) for name in self._most for one in _each(self._value(name, item))]


def _each(value: Any) -> Iterable[Any]:
    """Different values; what is nested deeper, or not there, counts for nothing."""
    values = value if isinstance(value, list) else [value]
    return dict.fromkeys(one for one in values if isinstance(one, str | int | float))


def arrange(pool: Pool, plan: Plan, caps: Caps, limit: int) -> Arranged:
    """A list of at most ``limit`` items. ``caps`` has taken in what is ``plan.fixed``."""
    return _List(pool, plan, caps).filled(limit)


class _List:
    """One list while it is made."""

    def __init__(self, pool: Pool, plan: Plan, caps: Caps) -> None:
        self._pool, self._plan, self._caps = pool, plan, caps
        self._value = (1.0 - plan.diversity) * _value(pool, plan)
        self._nearest = np.full(len(pool.items), -1.0, np.float32)
        self._free = np.ones(len(pool.items), np.bool_)
        self._missing = [share.at_least for share in plan.shares]
        self._out = Arranged([], set(), [])
        for place in plan.fixed.values():
            self._hold(place)

    def filled(self, limit: int) -> Arranged:
        fixed = {slot: place for slot, place in self._plan.fixed.items() if slot < limit}
        for slot in range(limit):
            if slot in fixed:
                self._out.places.append(fixed[slot])
                continue
            place = self._next(limit - slot - sum(later > slot for later in fixed))
            if place is not None:
                self._out.places.append(place)
        return self._out

    def _next(self, left: int) -> int | None:
        """The best that is free, or None. ``left``: free slots, this one with them."""
        while self._free.any():
            place, by_share = self._best(left)
            if self._caps.took(int(self._pool.items[place])):
                self._hold(place)
                if by_share:
                    self._out.promoted.add(place)
                return place
            self._free[place] = False
            self._out.capped.append(place)
        return None

    def _best(self, left: int) -> tuple[int, bool]:
        """(the place of the largest objective, whether it would be another but for a share)."""
        objective = np.where(self._free, self._value - self._plan.diversity * self._nearest, -np.inf)
        best = int(np.argmax(objective))
        if sum(self._missing) < left:
            return best, False
        wanted = [share.among for share, missing in zip(self._plan.shares, self._missing, strict=True) if missing]
        among = np.logical_or.reduce([*wanted, np.zeros(len(objective), np.bool_)]) & self._free
        if among[best] or not among.any():
            return best, False
        return int(np.argmax(np.where(among, objective, -np.inf))), True

    def _hold(self, place: int) -> None:
        self._free[place] = False
        for k, share in enumerate(self._plan.shares):
            self._missing[k] = max(0, self._missing[k] - int(share.among[place]))
        if self._pool.vectors is not None:
            np.maximum(self._nearest, self._pool.vectors @ self._pool.vectors[place], out=self._nearest)


def _value(pool: Pool, plan: Plan) -> Floats:
    """[n] of the pool: what each is worth to the list by itself."""
    if not len(pool.items):
        return pool.scores
    last = pool.scores[min(pool.window, len(pool.items)) - 1]
    value: Floats = (pool.scores - last) / np.float32(max(pool.scores[0] - last, 1e-9))
    if plan.former is not None:
        value = np.float32(1.0 - plan.stability) * value + np.float32(plan.stability) * plan.former
    return value


class Won(NamedTuple):
    """A sponsored slot: the bidder's place in what was offered, and the price of one action."""

    slot: int
    bidder: int
    price: float


def auction(
    bids: Sequence[float],
    probabilities: Sequence[float],
    slots: Iterable[int],
    reserve: float,
    take: Callable[[int], bool],
) -> list[Won]:
    """Generalized second price over bids [n] times probabilities [n]; ties go to the first.

    ``take(bidder)`` says whether a bidder may have the slot that is next, and has then taken it.
    """
    worth = [bid * probability for bid, probability in zip(bids, probabilities, strict=True)]
    order = sorted((k for k, bid in enumerate(bids) if bid >= reserve), key=lambda k: -worth[k])
    winners: list[tuple[int, int]] = []
    waiting = iter(order)
    for slot in sorted(slots):
        winner = next((k for k in waiting if take(k)), None)
        if winner is None:
            break
        winners.append((slot, winner))
    return [Won(slot, k, _price(k, order, worth, probabilities, reserve)) for slot, k in winners]


def _price(k: int, order: list[int], worth: list[float], probabilities: Sequence[float], reserve: float) -> float:
    """What it takes to stay before the next one; so never more than the bid."""
    after = order[order.index(k) + 1 :]
    return max(reserve, worth[after[0]] / probabilities[k] if after and probabilities[k] > 0.0 else 0.0)
