"""What can be expected on this data? Everything before the last tenth is learned; then people are asked for.

All that is compared answers the same questions, each just before it happens: simple signals, lists made once an hour,
version 0 at once and some seconds late, version 0 without the texts of items, and a trained version where there is one.
Differences are paired, and their intervals are by bootstrap over people.

Events are arrays throughout (`journal`), and an engine is fed in batches. Where more could be asked than was
allowed for, a seeded sample of people is, with all their events; everything is learned whoever is asked.

The moments of items are not looked at: all of them are there from the beginning.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from penchant.config import Settings, write_settings
from penchant.errors import InvalidInput
from penchant.evaluation import baselines, metrics
from penchant.evaluation.asking import Seen
from penchant.evaluation.folders import Progress, World, prepare
from penchant.evaluation.journal import Journal
from penchant.evaluation.playing import PENCHANT, Played, Questions, Run, play, play_all
from penchant.evaluation.replay import Figures, figures
from penchant.types import Event

Longs = NDArray[np.int64]

VERSION_0, TRAINED, HOURLY, NO_TEXTS, NOW = ("penchant, version 0", "penchant, trained", "hourly lists",
                                             "without texts", "0 s")  # fmt: skip
LAGS = {"1 s": 1.0, "60 s": 60.0, "10 min": 600.0, "1 h": 3600.0}
LEAST = 100  # events, below which nothing can be said
_SHARE = 0.9
_HOUR, _DAY = 3600.0, 86_400.0
_EXAMPLES, _BEFORE, _SHOWN = 3, 5, 10
_NEVER = 10**9  # events between snapshots: what is tried lives no longer than it is asked


class Options(NamedTuple):
    """``asked``: about how many events at most; ``workers``: how many engines at a time; ``texts``: whether the items'
    are read; ``seen`` as in `Query`; ``seed`` of who is asked."""

    asked: int = 10_000
    workers: int = 2
    texts: bool = True
    seen: Seen = "ever"
    seed: int = 0


class Difference(Struct):
    """NDCG@10 of one way minus that of another, on the same questions, with its 95% interval."""

    value: float
    low: float
    high: float

    @property
    def sure(self) -> bool:
        """Whether the interval says which is better."""
        return self.low > 0 or self.high < 0


class Example(Struct):
    """A question drawn at random: the items touched ``before`` (newest last), the list, and what came ``next``."""

    before: list[str]
    listed: list[str]
    next: str


class Report(Struct):
    """What was found. Times are Unix seconds.

    later       events after the split; ``askable`` of them could be asked, ``asked`` were, of ``asked_people``
    repeated    of the later events: on items that the person had met before, where lists hide those (else 0)
    newcomers   share of the events asked for that are the first ever of their person
    gap         median seconds between an event asked for and the same person's one before; None without any
    whole_days  whether no event tells the time of the day
    lists       figures of every way to make lists; ``staleness``: of version 0 by age of its states and counts
    gains       how much better version 0 orders than every other way and lag, by name
    """

    events: int
    people: int
    items: int
    start: float
    split: float
    end: float
    learned: int
    later: int
    askable: int
    asked: int
    asked_people: int
    repeated: int
    newcomers: float
    gap: float | None
    whole_days: bool
    lists: dict[str, Figures]
    staleness: dict[str, Figures]
    gains: dict[str, Difference]
    examples: list[Example]


def check(log: Journal) -> None:
    """Raises InvalidInput for what nothing can be said about."""
    if len(log) < LEAST:
        raise InvalidInput(
            f"at least {LEAST} events are needed.", field="events", value=len(log), way_out="Give a longer log."
        )
    if np.isnan(log.time).any():
        raise InvalidInput("an event has no time.", field="time", way_out="Leave out the events without a time.")
    if len(np.unique(log.person)) < 2:
        raise InvalidInput(
            "all events are of one person.",
            field="user",
            value=log.pools.people[int(log.person[0])],
            way_out="Give a log of several people, or name the column that tells them apart: --map user=COLUMN.",
        )
    if log.time[0] == log.time[-1]:
        raise InvalidInput(
            "all events happened at the same time, so that nothing comes before anything.",
            field="time",
            value=float(log.time[0]),
            way_out="Name the column that says when each happened: --map time=COLUMN.",
        )


def of_some_people(log: Journal, most: int, seed: int = 0) -> Journal:
    """The log of at most so many people, drawn at random, with all their events."""
    size = len(log.pools.people)
    if size <= most:
        return log
    chosen = np.zeros(size, np.bool_)
    chosen[np.random.default_rng(seed).permutation(size)[:most]] = True
    return log.of_people(chosen)


def try_out(
    log: Journal,
    items: Sequence[Event],
    settings: Settings,
    options: Options,
    scratch: Path,
    progress: Progress,
    train: Callable[[Path], bool] | None = None,
) -> Report:
    """Try all ways on a log in time order. Raises InvalidInput where nothing can be said.

    ``scratch``: a folder to work in, which may hold the `encoder` already. ``train`` is called with a closed folder as
    it stands at the split; it may publish a version there and say so.
    """
    check(log)
    first = _split(log)
    chosen = _choose(log, first, settings, options)
    catalogue = _catalogue(log, items)
    folder, size = scratch / "learned", len(chosen.questions.rows)
    write_settings(scratch, msgspec.structs.replace(settings, snapshot_every=_NEVER))
    prepare(folder, World(catalogue, source=scratch), log[:first], progress)
    played = play_all(folder, chosen.questions, _runs(options), options.workers, progress)
    if train is not None and train(folder):
        played[TRAINED] = play(folder, chosen.questions, Run(TRAINED), lambda done: progress(TRAINED, done, size))
    return _report(log, first, chosen, played, len(catalogue))


def _runs(options: Options) -> list[Run]:
    late = [Run(name, lag=lag) for name, lag in LAGS.items()]
    bare = [Run(NO_TEXTS, settings={"encoder": "none"})] if options.texts else []
    return [Run(NOW, simple=True), *bare, Run(HOURLY, every=_HOUR), *late]


# -- what is asked -----------------------------------------------------------------------------------------------------


class _Chosen(NamedTuple):
    """``repeated``: later events that lists hide; ``askable``: how many could be asked."""

    questions: Questions
    repeated: int
    askable: int


def _split(log: Journal) -> int:
    """The row at which the last tenth by time begins; events of one moment stay together, and something is before."""
    moment = log.time[min(int(len(log) * _SHARE), len(log) - 1)]
    first = int(np.searchsorted(log.time, moment, "left"))
    return first or int(np.searchsorted(log.time, moment, "right"))


def _choose(log: Journal, first: int, settings: Settings, options: Options) -> _Chosen:
    """Of the events from ``first`` on: those on items, of actions that approve, and not on what lists hide."""
    later = log[first:]
    approves = np.array([settings.actions[name].weight > 0 for name in log.pools.actions], np.bool_)
    again = _repeated(log)[first:] if options.seen == "ever" else np.zeros(len(later), np.bool_)
    askable = (later.item >= 0) & approves[later.action] & ~again
    rows = np.flatnonzero(askable)
    if not len(rows):
        raise InvalidInput(
            "none of the last tenth can be asked: all are on items met before, on words alone, or of actions that "
            "push away.",
            field="events",
            value=len(later),
            way_out="Let lists show what was met (--seen allow), or give a longer log.",
        )
    asked = _of_a_few(rows, later.person, options)
    drawn = np.random.default_rng(options.seed).permutation(asked)[:_EXAMPLES]
    questions = Questions(later, later.person, later.time, asked, frozenset(drawn.tolist()), options.seen)
    return _Chosen(questions, int(again.sum()), len(rows))


def _of_a_few(rows: Longs, person: NDArray[np.int32], options: Options) -> Longs:
    """The rows of as many people, drawn at random, as keep them to ``options.asked``."""
    if len(rows) <= options.asked:
        return rows
    people, counts = np.unique(person[rows], return_counts=True)
    order = np.random.default_rng(options.seed).permutation(len(people))
    some = max(1, int(np.searchsorted(np.cumsum(counts[order]), options.asked, "right")))
    return rows[np.isin(person[rows], people[order[:some]])]


def _repeated(log: Journal) -> NDArray[np.bool_]:
    """Whether the same person touched the item before, [n]."""
    again = log.item >= 0
    rows = np.flatnonzero(again)
    meeting = log.person[rows].astype(np.int64) * len(log.pools.items) + log.item[rows]
    again[rows[np.unique(meeting, return_index=True)[1]]] = False
    return again


def _catalogue(log: Journal, items: Sequence[Event]) -> list[Event]:
    """The items that were sent, and those of the log that were not, by their ids; there before all that happened."""
    moment = float(log.time[0])
    known = {item.item for item in items}
    timed = [msgspec.structs.replace(item, time=moment) for item in items]
    return timed + [Event(kind="item", item=name, time=moment) for name in log.pools.items if name not in known]


# -- what was found ----------------------------------------------------------------------------------------------------


def _report(log: Journal, first: int, chosen: _Chosen, played: Mapping[str, Played], catalogue: int) -> Report:
    asked = chosen.questions
    people = asked.person[asked.rows].astype(np.int64)
    places = _places(played)
    previous, rows = _previous(log), first + asked.rows
    before = previous[rows]
    gaps = log.time[rows[before >= 0]] - log.time[before[before >= 0]]
    tables = {name: figures(found, people) for name, found in places.items()}
    late = [NOW, *(name for name in LAGS if name in tables)]
    lists = (*baselines.BASELINES, HOURLY, NO_TEXTS, VERSION_0, TRAINED)
    return Report(
        events=len(log),
        people=len(np.unique(log.person)),
        items=catalogue,
        start=float(log.time[0]),
        split=float(log.time[first]),
        end=float(log.time[-1]),
        learned=first,
        later=len(log) - first,
        askable=chosen.askable,
        asked=len(asked.rows),
        asked_people=len(np.unique(people)),
        repeated=chosen.repeated,
        newcomers=float((before < 0).mean()),
        gap=float(np.median(gaps)) if len(gaps) else None,
        whole_days=bool(np.all(log.time % _DAY == log.time[0] % _DAY)),
        lists={name: tables[name] for name in lists if name in tables},
        staleness={name: tables[VERSION_0 if name == NOW else name] for name in late},
        gains={name: _gain(places[VERSION_0], found, people) for name, found in places.items() if name != VERSION_0},
        examples=_examples(log, first, previous, played[NOW].lists),
    )


def _places(played: Mapping[str, Played]) -> dict[str, Longs]:
    now = played[NOW].places
    simple = {name: now[name] for name in baselines.BASELINES}
    others = {name: one.places[PENCHANT] for name, one in played.items() if name != NOW}
    return {VERSION_0: now[PENCHANT], **simple, **others}


def _gain(ours: Longs, theirs: Longs, people: Longs) -> Difference:
    apart = metrics.gains(ours, 10) - metrics.gains(theirs, 10)
    return Difference(float(apart.mean()), *metrics.interval(apart, people))


def _previous(log: Journal) -> Longs:
    """The row [n] of the same person's event before each; -1: it is the first."""
    order = np.argsort(log.person, kind="stable")
    before = np.concatenate(([-1], order[:-1]))
    before[log.person[order] != log.person[before]] = -1
    out = np.empty(len(log), np.int64)
    out[order] = before
    return out


def _examples(log: Journal, first: int, previous: Longs, lists: Mapping[int, list[str]]) -> list[Example]:
    names, examples = log.pools.items, []
    for row, listed in sorted(lists.items()):
        before, at = list[str](), int(previous[first + row])
        while at >= 0 and len(before) < _BEFORE:
            if log.item[at] >= 0:
                before.append(names[int(log.item[at])])
            at = int(previous[at])
        examples.append(Example(before[::-1], listed[:_SHOWN], names[int(log.item[first + row])]))
    return examples
