"""Histories of all people as flat arrays, and batches of windows cut out of them.

What is read is what a state is stepped by: interactions as they stand now, in order of (time, offset), without those
that came too late to be stepped. What is learned to predict (a *target*) is an interaction with an item of the
catalogue whose action's weight is above 0. Where people hardly ever repeat themselves, lists never show what was seen;
then only first meetings are targets, and seen items are left out of the softmax.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from penchant import kernels
from penchant.storage.event_log import EventLog

Longs = NDArray[np.int64]
Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Bools = NDArray[np.bool_]


class Histories(NamedTuple):
    """Events of person p are at ``start[p]`` to ``start[p + 1]``, in time order; all other arrays are [events]."""

    start: Longs
    item: Longs  # -1: words alone, or an item that is not in the catalogue: a state is stepped by x = 0 then
    words: Longs  # number of the words' text, -1: none
    action: Longs
    value: Floats  # NaN: none
    time: Doubles
    target: Bools
    texts: list[str]  # what was typed

    @property
    def people(self) -> int:
        return len(self.start) - 1

    def before(self, moment: float) -> Histories:
        """What was there before a moment; everybody keeps their number."""
        return self.chosen(self.time < moment)

    def chosen(self, kept: Bools) -> Histories:
        """The events that ``kept`` marks."""
        counts = np.concatenate(([0], np.cumsum(kept)))
        return Histories(
            start=counts[self.start],
            item=self.item[kept],
            words=self.words[kept],
            action=self.action[kept],
            value=self.value[kept],
            time=self.time[kept],
            target=self.target[kept],
            texts=self.texts,
        )

    def gaps(self) -> Floats:
        """log1p of the seconds since the event before, [events]; 0 for everybody's first."""
        apart = np.diff(self.time, prepend=0.0)
        apart[self.start[:-1][self.start[:-1] < len(apart)]] = 0.0
        return np.log1p(np.maximum(apart, 0.0)).astype(np.float32)


class Windows(NamedTuple):
    """Stretches of histories: events ``first`` to ``last`` (exclusive); ``whole``: from the person's very beginning.

    Targets before ``counted`` are not predicted.
    """

    first: Longs
    last: Longs
    whole: Bools
    counted: Longs

    @property
    def size(self) -> int:
        return len(self.first)

    def rows(self, chosen: Longs) -> Windows:
        return Windows(self.first[chosen], self.last[chosen], self.whole[chosen], self.counted[chosen])


class Batch(NamedTuple):
    """Windows side by side, all [time, windows]; where a window is over, ``target`` is -1 and nothing is learned.

    A window that is whole begins with the beginning: no item, and the action that stands for no event.
    """

    item: Longs
    words: Longs
    action: Longs
    value: Floats
    gap: Floats
    since: Floats  # log1p of the seconds to the target's moment
    target: Longs  # the item that came next, -1: none is predicted here
    person: Longs  # [windows]
    event: Longs  # which event of the histories the target is, -1


def read_histories(log: EventLog, positive: Bools, items: Bools, upto: int) -> Histories:
    """Everybody's interactions up to an offset. ``positive`` [actions], ``items`` [items]: what may be a target."""
    parts = list(log.interactions(0, upto))
    people = np.concatenate([people for people, _ in parts]) if parts else np.zeros(0, np.int64)
    names = ("offset", "item", "words", "action", "value", "time")
    columns: dict[str, NDArray[Any]]
    columns = {n: np.concatenate([getattr(h, n) for _, h in parts]) if parts else np.zeros(0) for n in names}
    kept = _in_time(people, columns["time"])
    order = np.lexsort((columns["offset"], columns["time"], people))
    order = order[kept[order]]
    people = people[order]
    item, action = columns["item"][order].astype(np.int64), columns["action"][order].astype(np.int64)
    words, texts = _texts(log, columns["offset"][order], columns["words"][order] > 0)
    known = (item >= 0) & (item < len(items))
    known[known] = items[item[known]]
    item = np.where(known, item, -1)
    target = known & positive[np.minimum(action, len(positive) - 1)]
    start = np.searchsorted(people, np.arange(int(people.max(initial=-1)) + 2))
    value, time = columns["value"][order].astype(np.float32), columns["time"][order].astype(np.float64)
    return Histories(start, item, words, action, value, time, target, texts)


def _in_time(people: Longs, time: Doubles) -> Bools:
    """False for events that were too old, when they came, to be put in their place (events in log order)."""
    if not len(people):
        return np.ones(0, np.bool_)
    order = np.argsort(people, kind="stable")
    back = (people[order][1:] == people[order][:-1]) & (time[order][1:] < time[order][:-1])
    out = np.ones(len(people), np.bool_)
    for person in np.unique(people[order][1:][back]):  # of all others, every event was the newest
        rows = order[slice(*np.searchsorted(people, (person, person + 1), sorter=order))]
        out[rows] = _stepped(time[rows])
    return out


def _stepped(time: Doubles) -> Bools:
    """Which of one person's events, in log order, find their place: what the engine's own ring says."""
    n, done, ring = len(time), 0, kernels.new_ring(1)
    zeros, bytes_, status = np.zeros(n, np.int64), np.zeros(n, np.uint8), np.zeros(n, np.uint8)
    while done < n:
        done = kernels.admit(
            ring, zeros, zeros, bytes_, bytes_, np.zeros(n, np.float32), time, np.arange(n), status, done
        )
        if ring.length[0] == kernels.RING:
            kernels.move_checkpoint(ring, 0)
    return np.asarray(status != kernels.LATE_EVENT)


def _texts(log: EventLog, offsets: Longs, marked: Bools) -> tuple[Longs, list[str]]:
    """(number of each event's text or -1, the texts)."""
    numbers: dict[str, int] = {}
    words = np.full(len(offsets), -1, np.int64)
    for place in np.flatnonzero(marked):
        text = log.words(int(offsets[place]))
        if text and text.strip():
            words[place] = numbers.setdefault(text, len(numbers))
    return words, list(numbers)


def repeats(histories: Histories) -> float:
    """The share of targets whose item the person had met before."""
    first = first_meetings(histories)
    return float(1.0 - first[histories.target].mean()) if histories.target.any() else 0.0


def first_meetings(histories: Histories) -> Bools:
    """True for the first event of a person with an item, [events]."""
    people = np.repeat(np.arange(histories.people), np.diff(histories.start))
    order = np.lexsort((np.arange(len(people)), histories.item, people))
    new = np.ones(len(people), np.bool_)
    same = (people[order][1:] == people[order][:-1]) & (histories.item[order][1:] == histories.item[order][:-1])
    new[order[1:][same]] = False
    return new & (histories.item >= 0)


def cut(histories: Histories, length: int, random: np.random.Generator) -> Windows:
    """Everybody's history in windows of about ``length`` events, cut at other places each time.

    The event that ends one window is predicted there and begins the next.
    """
    first, last, whole = [], [], []
    for lo, hi in zip(histories.start[:-1].tolist(), histories.start[1:].tolist(), strict=True):
        inner = range(lo + int(random.integers(1, length + 1)), hi, length) if hi - lo > length else ()
        for a, b in pairwise((lo, *inner, hi)):
            end = min(b + 1, hi)
            if b > a and (a == lo or end - a > 1):
                first.append(a)
                last.append(end)
                whole.append(a == lo)
    return Windows(
        np.array(first, np.int64), np.array(last, np.int64), np.array(whole, np.bool_), np.array(first, np.int64)
    )


def from_moment(histories: Histories, moment: float) -> Windows:
    """Whole histories of those with targets at or after a moment; only those targets are counted."""
    lo, hi = histories.start[:-1], histories.start[1:]
    later = np.concatenate(([0], np.cumsum(histories.target & (histories.time >= moment))))
    chosen = later[hi] > later[lo]
    lo, hi = lo[chosen], hi[chosen]
    counted = np.array(
        [a + np.searchsorted(histories.time[a:b], moment) for a, b in zip(lo, hi, strict=True)], np.int64
    )
    return Windows(lo, hi, np.ones(len(lo), np.bool_), counted)


def batches(windows: Windows, tokens: int, random: np.random.Generator | None) -> list[Longs]:
    """Windows of about one length together, so that at most ``tokens`` places are filled or padded in a batch.

    With ``random``, lengths are blurred by a tenth and the batches shuffled; without, the order is by length.
    """
    lengths = (windows.last - windows.first + windows.whole).astype(np.float64)
    blurred = lengths * np.exp(random.normal(0.0, 0.1, len(lengths))) if random is not None else lengths
    out: list[Longs] = []
    begun, longest = 0, 0.0
    order = np.argsort(blurred, kind="stable")
    for place, row in enumerate(order):
        longest = max(longest, lengths[row])
        if place > begun and longest * (place - begun + 1) > tokens:
            out.append(order[begun:place])
            begun, longest = place, lengths[row]
    if begun < len(order):
        out.append(order[begun:])
    if random is not None:
        random.shuffle(out)
    return out


def collate(histories: Histories, gaps: Floats, windows: Windows, beginning: int) -> Batch:
    """Windows as a batch; ``beginning`` is the number of the action that stands for no event."""
    lengths = windows.last - windows.first + windows.whole
    place = np.arange(int(lengths.max()))[:, None]
    event = windows.first + place - windows.whole
    there = (place < lengths) & (event >= windows.first)
    after = event + 1
    to_come = (after < windows.last) & (after >= windows.counted)
    event, after = np.minimum(event, len(gaps) - 1), np.minimum(after, len(gaps) - 1)
    counted = to_come & histories.target[after]
    gap = np.where(there & ((place > 0) | ~windows.whole), gaps[event], 0.0).astype(np.float32)
    return Batch(
        item=np.where(there, histories.item[event], -1),
        words=np.where(there, histories.words[event], -1),
        action=np.where(there, histories.action[event], beginning),
        value=np.where(there, histories.value[event], np.nan).astype(np.float32),
        gap=gap,
        since=np.where(counted & there, gaps[after], 0.0).astype(np.float32),
        target=np.where(counted, histories.item[after], -1),
        person=np.searchsorted(histories.start, windows.first, side="right") - 1,
        event=np.where(counted, after, -1),
    )


def seen_pairs(batch: Batch) -> tuple[Longs, Longs]:
    """(position, item) pairs of what each predicted position's window has met so far; positions in order.

    Positions are numbered as the flattened [windows, time] places whose target is not -1.
    """
    counted = batch.target.T >= 0
    first = np.cumsum(counted.sum(1)) - counted.sum(1)
    rows, items = [], []
    for window in range(counted.shape[0]):
        places = np.flatnonzero(counted[window])
        item = batch.item[: places[-1] + 1, window] if len(places) else np.zeros(0, np.int64)
        row, column = np.nonzero(np.arange(len(item)) <= places[:, None])
        known = item[column] >= 0
        rows.append(first[window] + row[known])
        items.append(item[column][known])
    empty = np.zeros(0, np.int64)
    return np.concatenate([empty, *rows]), np.concatenate([empty, *items])
