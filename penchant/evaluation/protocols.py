"""How data is cut into what is learned from and what is asked: pure functions over events.

Every event lands in exactly one part, and the order within a part is that of time; events of one moment keep the order
they were handed over in, which for a file is the file's. On logs with many ties (29% of the people of MovieLens-1M
rated their last two films in the same second) a leave-one-out figure depends on that order, so say which it was.

A cut by time is the honest one: whatever is learned happened before whatever is asked. Leave-one-out lets a model learn
from what other people did after the moment it is asked at (Ji et al. 2023); use it to compare with papers that did.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from penchant.errors import InvalidInput
from penchant.types import Event

Longs = NDArray[np.int64]

FEW = (1, 3, 5)  # the last so many events of a person are all that is told
LONG = (200, 1000)  # events before the one asked for
_ENOUGH = 3  # events of a person from which one is kept for validation and one for the test


class Cut(NamedTuple):
    """``train`` is learned from, ``validation`` is for choosing, ``test`` is asked once; each in the order of time."""

    train: list[Event]
    validation: list[Event]
    test: list[Event]


def in_time(events: Iterable[Event]) -> list[Event]:
    """Events by time; those of one moment keep their order, one without a time comes first."""
    return sorted(events, key=_time)


def moment_of(events: Iterable[Event], quantile: float) -> float:
    """The moment (Unix seconds) before which the share ``quantile`` of the events lies; those of that moment are not
    split. Raises InvalidInput without events, or for a share that is not inside 0..1."""
    times = sorted(map(_time, events))
    if not times:
        raise InvalidInput("there is none.", field="events", value=0, way_out="Import some first.")
    if not 0 < quantile < 1:
        raise InvalidInput("must lie between 0 and 1.", field="share", value=quantile, way_out="Use 0.9, say.")
    return times[min(int(len(times) * quantile), len(times) - 1)]


def time_split(events: Iterable[Event], moment: float, validation: float | None = None) -> Cut:
    """Test is what happened at ``moment`` (Unix seconds) or later; validation what happened before it, from
    ``validation`` on (left out: nothing). Raises InvalidInput when nothing is to be learned or asked."""
    since = moment if validation is None else validation
    if since > moment:
        raise InvalidInput(
            f"lies after the split {moment:.0f}.", field="validation", value=since, way_out="Begin it before the split."
        )
    cut = Cut([], [], [])
    for event in in_time(events):
        part = cut.test if _time(event) >= moment else cut.validation if _time(event) >= since else cut.train
        part.append(event)
    if not cut.train or not cut.test:
        raise InvalidInput(
            "leaves no event on one side.", field="split", value=moment, way_out="Choose a time inside the log."
        )
    return cut


def leave_one_out(events: Iterable[Event]) -> Cut:
    """Of each person, the last event is test and the one before it validation; of one with fewer than three events,
    all is train (as in SASRec, Kang & McAuley 2018). Raises InvalidInput when nobody has three."""
    ordered = in_time(events)
    left = Counter(event.user for event in ordered)
    lasting = {user for user, count in left.items() if count >= _ENOUGH}
    cut = Cut([], [], [])
    for event in ordered:
        left[event.user] -= 1
        kept = event.user in lasting and left[event.user] < 2
        (cut.train if not kept else cut.validation if left[event.user] else cut.test).append(event)
    if not cut.test:
        raise InvalidInput(
            "nobody has three.", field="events", value=len(ordered), way_out="Leave-one-out needs longer histories."
        )
    return cut


def k_fold(events: Sequence[Event], folds: int = 5, seed: int = 0) -> Longs:
    """The fold [n] of each event with a value, drawn at random, sizes at most one apart; -1 for one without a value.

    For ratings: fold f is test where the result is f, and everything else is learned from. Each is test exactly once.
    Raises InvalidInput for fewer than 2 folds, or more than there are values.
    """
    out = np.full(len(events), -1, np.int64)
    rated = np.array([k for k, event in enumerate(events) if event.value is not None], np.int64)
    if not 2 <= folds <= len(rated):
        raise InvalidInput(
            f"must lie in 2..{len(rated)}, the events with a value.",
            field="folds",
            value=folds,
            way_out="Use 5, and send ratings as `value`.",
        )
    out[np.random.default_rng(seed).permutation(rated)] = np.arange(len(rated)) % folds
    return out


def cold_items(items: Iterable[str], share: float = 0.1, seed: int = 0) -> frozenset[str]:
    """A seeded share of the items, at least one, whatever order they come in: to be kept out of all that is learned."""
    names = np.array(sorted(set(items)), object)
    if not 0 < share < 1 or len(names) < 2:
        raise InvalidInput(
            "must lie between 0 and 1, of at least two items.",
            field="share",
            value=(share, len(names)),
            way_out="Use 0.1, say.",
        )
    chosen = np.random.default_rng(seed).permutation(len(names))[: max(1, round(share * len(names)))]
    return frozenset(names[chosen].tolist())


def without(events: Iterable[Event], items: frozenset[str]) -> list[Event]:
    """The events that do not touch these items."""
    return [event for event in events if event.item not in items]


def earlier(events: Iterable[Event]) -> Longs:
    """How many events of the same person stand before each, [n]; `FEW` and `LONG` cut by it."""
    met: defaultdict[str | None, int] = defaultdict(int)
    out = []
    for event in events:
        out.append(met[event.user])
        met[event.user] += 1
    return np.array(out, np.int64)


def repeated(events: Iterable[Event]) -> NDArray[np.bool_]:
    """Whether the same person touched the item before, for each event, [n]."""
    met: set[tuple[str | None, str | None]] = set()
    out = []
    for event in events:
        out.append(event.item is not None and (event.user, event.item) in met)
        met.add((event.user, event.item))
    return np.array(out, np.bool_)


def _time(event: Event) -> float:
    return event.time or 0.0
