"""What an event of each kind does to everything that is derived from the log.

interaction  states and counts, many at once
item         catalogue, columns, and a text for the language model to read; a patch changes what stands there, if any
user         the profile; a patch changes what stands there, if nothing then {}
retraction, alias, erasure   two verbs: take the person's old history out, put the new one in
retention    states from what is left; counts too, from the log, once all has gone that is to go

A person's share of states and counts is a function of that person's events, which is why the two verbs are enough.
What these events do inside the log, in the transaction that logs them, stands in `storage.event_log`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

import numpy as np

from penchant import kernels
from penchant.errors import shown
from penchant.models import versions
from penchant.parts import Parts
from penchant.pipeline.state import KEPT, Interactions
from penchant.storage.counts import Met
from penchant.storage.log_reading import History, Logged
from penchant.storage.patches import merged
from penchant.types import Erased, Event, Refusal

_WAYS_OUT = {
    "unknown target": (
        "target",
        "no interaction with this id is in the log.",
        "Send the id that the event was acknowledged with, and its user when it is older than 7 days.",
    ),
    "session taken": ("session", "already belongs to another person.", "Begin a new session id after a logout."),
}


def take(parts: Parts, logged: Sequence[Logged]) -> tuple[set[int], dict[int, Erased]]:
    """Take in events of log order; (offsets of those too late for a state, proofs of erasure by offset)."""
    late: set[int] = set()
    erased: dict[int, Erased] = {}
    for kind, run in groupby(logged, key=lambda one: one.event.kind):
        group = list(run)
        if kind == "interaction":
            late |= _interactions(parts, group)
        elif kind == "item":
            _items(parts, group)
        elif kind == "erasure":
            erased |= {one.offset: _erase(parts, one) for one in group}
        elif kind == "retention":
            for one in group:
                _retain(parts, one)
        else:
            for one in group:
                _amend(parts, one)
        parts.as_of = group[-1].offset
    return late, erased


def refusal(place: int, event: Event, outcome: str) -> Refusal:
    """Why the log did not take an event."""
    field, what, way_out = _WAYS_OUT[outcome]
    return Refusal(index=place, field=field, value=shown(getattr(event, field)), detail=f"{what} {way_out}")


def _interactions(parts: Parts, group: Sequence[Logged]) -> set[int]:
    events = _arrays(parts, group)
    parts.index.ensure(int(events.items.max()) + 1)
    for one in group:
        if one.event.words:
            parts.words.note(one.offset, one.event.words)
    status = parts.states.take(events)
    contexts = np.array([parts.log.contexts.bits(one.event.context) for one in group], np.int64)
    history = History(events.offsets, events.items, events.words, events.actions, events.values, events.times, contexts)
    parts.counts.add(parts.met(events.people, history))
    parts.showing.acted(events.people, history)
    return set(events.offsets[status == kernels.LATE_EVENT].tolist())


def _arrays(parts: Parts, group: Sequence[Logged]) -> Interactions:
    person = parts.log.person
    values = [one.event.value for one in group]
    return Interactions(
        people=np.array([person(one.person, one.offset) for one in group], np.int64),
        items=np.array([one.item for one in group], np.int64),
        words=np.array([one.event.words is not None or bool(one.event.context) for one in group], np.uint8),
        actions=np.array([one.action for one in group], np.uint8),
        values=np.array([np.nan if value is None else value for value in values], np.float32),
        times=np.array([one.event.time for one in group], np.float64),
        offsets=np.array([one.offset for one in group], np.int64),
    )


def _items(parts: Parts, group: Sequence[Logged]) -> None:
    parts.index.ensure(max(one.item for one in group) + 1)
    for run in _without_repeats(group):
        _put(parts, run)


def _without_repeats(group: Sequence[Logged]) -> Iterator[list[Logged]]:
    """An item sent twice in one batch is taken in twice, as it is when the batches are cut elsewhere."""
    run: dict[int, Logged] = {}
    for one in group:
        if one.item in run:
            yield list(run.values())
            run = {}
        run[one.item] = one
    yield list(run.values())


def _put(parts: Parts, group: Sequence[Logged]) -> None:
    sent = [row for one in group if not one.event.removed and (row := parts.row(one)) is not None]
    gone = [one.item for one in group if one.event.removed]
    parts.settle(gone)  # people acted on it: their states need its vector when its text is gone
    parts.catalogue.put(sent, group[0].offset)
    parts.catalogue.remove(gone, group[0].offset)
    parts.offer(sent, gone)
    parts.texts.submit(sent)


def _amend(parts: Parts, one: Logged) -> None:
    if one.event.kind == "user":
        parts.catalogue.put_profile(one.person, _profile(parts, one), one.offset)
    elif one.event.kind == "retraction":
        _swap(parts, one, [one.person])
    elif one.event.kind == "alias":
        parts.showing.joined(one.target, one.person)
        _swap(parts, one, [one.person, one.target])
        _join_profiles(parts, one)
        parts.states.clear(one.target)
    elif one.event.kind == "impression":
        parts.showing.told(parts.log.person(one.person), one.event.slate, one.event.time or 0.0)


def _profile(parts: Parts, one: Logged) -> dict[str, Any]:
    if one.event.removed:
        return {}
    return dict(merged(parts.catalogue.profile(one.person) if one.event.patch else {}, one.event.fields))


def _join_profiles(parts: Parts, one: Logged) -> None:
    """What the person said of itself stands before what was said of the session."""
    session = parts.catalogue.profile(one.target)
    if session:
        parts.catalogue.put_profile(one.person, session | parts.catalogue.profile(one.person), one.offset)
        parts.catalogue.forget(one.target, one.offset)


def _swap(parts: Parts, one: Logged, before: Sequence[int]) -> None:
    """Take out what these people had before an event; put in what the person has after it."""
    if not parts.log.people.known(one.person):
        parts.counts.inexact = True  # erased since, so that what was counted cannot be read any more
        return
    for person in before:
        old = parts.history(person, one.offset - 1)
        parts.counts.take_out(person, _of(parts, person, old))
    new = parts.history(one.person, one.offset)
    parts.counts.add(_of(parts, one.person, new))
    parts.states.replace(one.person, parts.history(one.person, one.offset, KEPT))
    parts.showing.amended(one.person, new)
    parts.counts_changed()


def _of(parts: Parts, person: int, history: History) -> Met:
    return parts.met(np.full(len(history.item), person, np.int64), history)


def _erase(parts: Parts, one: Logged) -> Erased:
    if one.erased is None or parts.counts.inexact:
        parts.counts.inexact = True  # after a restart, what it took out is gone: counts start from the log
    else:
        parts.counts.take_out(one.person, _of(parts, one.person, one.erased))
        parts.words.forget(one.erased.offset.tolist())
    if one.person >= 0:
        parts.states.clear(one.person)
        parts.catalogue.erase(one.person)
        parts.lists.forget(one.person)
    parts.showing.erased(one.person, one.name)
    if not parts.follows:
        versions.forget_states(parts.home / "versions")
    exact = not parts.counts.inexact
    parts.counts_changed()
    return Erased(person=one.person, events=one.events, offset=one.offset, counts="exact" if exact else "rebuilding")


def _retain(parts: Parts, one: Logged) -> None:
    """What was dropped is gone from the log, so that it cannot be subtracted: counts start from the log."""
    parts.counts.inexact = True
    people = one.kept_less
    if people is None:
        parts.states.fold_again()
    else:
        for person in people:
            if not parts.take_prepared(person, one.offset):
                parts.states.replace(person, parts.history(person, one.offset, KEPT))
    if one.ends_round:
        parts.counts_changed()
