"""A question's policy in the numbers of the pipeline: candidates that it adds, scores that it lifts, places it gives.

Nothing here can show what may not be shown: what is added is filtered like any other candidate, and only what was kept
is given a place (`pipeline.policy`). What a policy asks for and cannot have is said in the slate's notes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from penchant import allowing, kernels
from penchant.parts import Parts
from penchant.pipeline.filters import REMOVED
from penchant.pipeline.policy import Caps, Plan, Pool, Share, arrange, auction
from penchant.pipeline.ranking import Ranked, Scored
from penchant.types import Auction, Policy, Query, Sponsorship

Floats = NDArray[np.float32]
Longs = NDArray[np.int64]
Bytes = NDArray[np.uint8]

_WINDOW, _TIMES = 100, 5  # candidates a list is made of, or times its limit; all of them where those are not enough
_BOOST = "promotion"  # the name of what promotions add to a score
_NOTHING = np.empty(0, np.int64)


class Placed(NamedTuple):
    """A candidate's place among the ranked, and what put it into the list, if that was not its score alone."""

    place: int
    how: Literal["pinned", "promoted", "sponsored"] | None = None
    sponsorship: Sponsorship | None = None


# -- before there is a list --------------------------------------------------------------------------------------------


def added(parts: Parts, query: Query, person: int, allowed: Bytes, vector: Floats | None) -> Longs:
    """Items that the policy wants among the candidates, whether a source finds them or not.

    ``vector``: what the question is asked by; None where a promotion is to find nothing by itself (a search).
    """
    policy = query.policy
    if policy is None:
        return _NOTHING
    bids = policy.sponsored.bids if policy.sponsored is not None else ()
    found = [_numbers(parts, (pin.item for pin in policy.pins or ())), _numbers(parts, bids)]
    found.append(_former(parts, query, person, policy))
    for promotion in policy.promotions or ():
        if vector is not None and (promotion.boost > 0.0 or promotion.at_least):
            mask = allowing.true(parts, query, person, promotion.filter)
            found.append(parts.retrieval.within(mask & allowed if len(allowed) else mask, vector))
    return np.concatenate(found)


def lifted(parts: Parts, query: Query, person: int, items: Longs, scored: Scored) -> Scored:
    """Scores with what promotions add to them, which is one of their terms."""
    policy = query.policy
    if policy is None or not policy.promotions:
        return scored
    boost = np.zeros(len(items), np.float32)
    for promotion, mask in zip(policy.promotions, _masks(parts, query, person, policy), strict=True):
        boost += np.float32(promotion.boost) * mask[items]
    return Scored(
        (*scored.names, _BOOST),
        np.column_stack([scored.features, boost]),
        scored.scores + boost,
        np.column_stack([scored.terms, boost]),
    )


def _masks(parts: Parts, query: Query, person: int, policy: Policy) -> list[Bytes]:
    """1 where a promotion's rule is true, [items] for each of them."""
    return [allowing.true(parts, query, person, one.filter) for one in policy.promotions or ()]


def _numbers(parts: Parts, names: Iterable[str]) -> Longs:
    """Numbers of those of the items that were sent and not removed."""
    found = [parts.log.items.get(name) for name in names]
    return np.array([one for one in found if 0 <= one < parts.index.items and parts.index.known[one]], np.int64)


def _former(parts: Parts, query: Query, person: int, policy: Policy) -> Longs:
    """The list that is to stay, best first."""
    if not policy.stability:
        return _NOTHING
    if policy.previous is not None:
        return _numbers(parts, policy.previous)
    return parts.lists.of(person, _asked(query))


def _asked(query: Query) -> tuple[object, ...]:
    """What makes it the same question again."""
    return query.filter, query.where


# -- the list ----------------------------------------------------------------------------------------------------------


def arranged(parts: Parts, query: Query, person: int, ranked: Ranked) -> tuple[list[Placed], list[str]]:
    """The list as the policy wants it, and what it wants and cannot have. Marks what a cap keeps out in ``reason``."""
    policy = query.policy
    if policy is None:
        best = kernels.best(ranked.scored.scores, ranked.items, ranked.reason, query.limit)
        return [Placed(place) for place in best.tolist()], []
    caps = Caps(policy.caps or {}, parts.filters.value)
    fixed, notes = _pinned(parts, query, policy, ranked)
    for one in fixed.values():
        caps.take(int(ranked.items[one.place]))
    if policy.sponsored is not None:
        fixed |= _sponsored(parts, query, person, ranked, fixed, caps)
    listed = _filled(parts, query, person, ranked, fixed, caps)
    if policy.stability and policy.previous is None and ranked.vector is not None:
        parts.lists.keep(person, _asked(query), ranked.items[[one.place for one in listed]])
    return listed, notes


def _pinned(parts: Parts, query: Query, policy: Policy, ranked: Ranked) -> tuple[dict[int, Placed], list[str]]:
    """What is pinned by its slot (0: the first), and what may not be shown."""
    fixed: dict[int, Placed] = {}
    notes = []
    for pin in policy.pins or ():
        place = _place(parts, ranked, pin.item)
        if place is None or ranked.reason[place] != kernels.KEPT:
            why = "no such item was sent" if place is None else REMOVED[int(ranked.reason[place])]
            notes.append(f"policy.pins: `{pin.item}` is not shown: {why}.")
        elif pin.slot <= query.limit:
            fixed[pin.slot - 1] = Placed(place, "pinned")
    return fixed, notes


def _place(parts: Parts, ranked: Ranked, name: str) -> int | None:
    at = np.flatnonzero(ranked.items == parts.log.items.get(name))
    return int(at[0]) if len(at) else None


def _sponsored(
    parts: Parts, query: Query, person: int, ranked: Ranked, pinned: dict[int, Placed], caps: Caps
) -> dict[int, Placed]:
    """Who won the sponsored slots in which nothing is pinned."""
    wanted = query.policy.sponsored if query.policy is not None else None
    if wanted is None:
        return {}
    bidders = _bidders(parts, wanted, ranked, {one.place for one in pinned.values()})
    places, bids = np.array(list(bidders), np.int64), list(bidders.values())
    probabilities = _probabilities(parts, wanted.action, person, ranked, places)

    def take(bidder: int) -> bool:
        return caps.took(int(ranked.items[places[bidder]]))

    slots = [slot - 1 for slot in wanted.slots if slot <= query.limit and slot - 1 not in pinned]
    return {
        won.slot: Placed(
            int(places[won.bidder]),
            "sponsored",
            Sponsorship(bid=bids[won.bidder], probability=probabilities[won.bidder], price=won.price),
        )
        for won in auction(bids, probabilities, slots, wanted.reserve, take)
    }


def _bidders(parts: Parts, wanted: Auction, ranked: Ranked, taken: set[int]) -> dict[int, float]:
    """Bids by place, of those that may be shown and have no slot yet."""
    offered = ((_place(parts, ranked, item), bid) for item, bid in wanted.bids.items())
    return {
        place: bid
        for place, bid in offered
        if place is not None and place not in taken and ranked.reason[place] == kernels.KEPT
    }


def _probabilities(parts: Parts, action: str, person: int, ranked: Ranked, places: Longs) -> list[float]:
    """That the person takes the action; where no version has learned it, the share of exp(score) among the bidders."""
    if not len(places):
        return []
    if ranked.vector is not None:
        told = [said.get(action) for said, _ in parts.judged(person, ranked.vector, ranked.items[places])]
        known = [one for one in told if one is not None]
        if len(known) == len(told):
            return known
    scores = ranked.scored.scores[places].astype(np.float64)
    shares = np.exp(scores - scores.max())
    return [float(share) for share in shares / shares.sum()]


def _filled(
    parts: Parts, query: Query, person: int, ranked: Ranked, fixed: dict[int, Placed], caps: Caps
) -> list[Placed]:
    """The whole list: what is fixed, and the best of the others between."""
    policy = query.policy or Policy()
    former = _former(parts, query, person, policy)
    places = _pool(ranked, query, [*(one.place for one in fixed.values()), *_found(ranked, former)])
    items = ranked.items[places]
    slots = {slot: int(np.flatnonzero(places == one.place)[0]) for slot, one in fixed.items()}
    vectors = parts.version.likeness(parts.index.vector[items]) if policy.diversity else None
    plan = Plan(
        policy.diversity or 0.0,
        policy.stability or 0.0,
        _standing(items, former) if policy.stability else None,
        slots,
        _shares(parts, query, person, items),
    )
    made = arrange(Pool(items, ranked.scored.scores[places], _window(query), vectors), plan, caps, query.limit)
    ranked.reason[places[made.capped]] = kernels.CAPPED
    placed = {slots[slot]: one for slot, one in fixed.items()}
    placed |= {k: Placed(int(places[k]), "promoted") for k in made.promoted}
    return [placed.get(k) or Placed(int(places[k])) for k in made.places]


def _shares(parts: Parts, query: Query, person: int, items: Longs) -> list[Share]:
    """What promotions want at least, among items [n] of a pool."""
    policy = query.policy or Policy()
    wanted = zip(policy.promotions or (), _masks(parts, query, person, policy), strict=True)
    return [Share(one.at_least, mask[items] > 0) for one, mask in wanted if one.at_least]


def _window(query: Query) -> int:
    return max(_WINDOW, _TIMES * query.limit)


def _pool(ranked: Ranked, query: Query, more: list[int]) -> Longs:
    """Places of what may be shown, best first: a window of it, or all of it where many may have to be passed over."""
    scores, reason, policy = ranked.scored.scores, ranked.reason, query.policy or Policy()
    if policy.caps or policy.promotions:
        kept = np.flatnonzero(reason == kernels.KEPT)
        order: Longs = kept[np.lexsort((ranked.items[kept], -scores[kept]))]
        return order
    best = kernels.best(scores, ranked.items, reason, _window(query))
    listed = set(best.tolist())
    beyond = [place for place in more if place not in listed and reason[place] == kernels.KEPT]
    return np.concatenate([best, np.array(sorted(beyond, key=lambda k: (-scores[k], ranked.items[k])), np.int64)])


def _found(ranked: Ranked, items: Longs) -> list[int]:
    """Places of these items."""
    return np.flatnonzero(np.isin(ranked.items, items)).tolist() if len(items) else []


def _standing(items: Longs, former: Longs) -> Floats:
    """[n] of a pool: 1 for what stood first in a former list, falling evenly; 0 for what did not stand there."""
    standing = {item: 1.0 - k / len(former) for k, item in enumerate(former.tolist())}
    return np.array([standing.get(item, 0.0) for item in items.tolist()], np.float32)
