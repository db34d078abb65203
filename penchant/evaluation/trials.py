"""A protocol as something to run: what is learned first, what is asked, and whether it is learned after it was asked.

    successive(events, moment)   time split: ask for each later event, then learn it
    left_out(events)             leave-one-out: ask for each person's last event, learn nothing of the rest

`read_sequences` reads the files that papers share for leave-one-out.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from penchant.errors import InvalidInput
from penchant.evaluation.protocols import leave_one_out, time_split, without
from penchant.types import Event

TIMELESS = 1e9  # the moment of every event of a file without times: no gaps, no recency, only the order


class Trial(NamedTuple):
    """``learned`` is taken in first; ``known`` moves states and what was seen, but no counts; ``asked`` comes then.

    ``lives``: each of ``asked`` is learned after it was asked for, but for those on ``untold`` items. ``moment``: of
    the split, Unix seconds, or None.
    """

    name: str
    learned: Sequence[Event]
    known: Sequence[Event]
    asked: Sequence[Event]
    lives: bool
    moment: float | None
    words: tuple[str, ...]
    untold: frozenset[str] = frozenset()

    @property
    def events(self) -> list[Event]:
        """All of it, in the order in which it is told to the engine."""
        return [*self.learned, *self.known, *self.asked]

    def keeping_back(self, items: frozenset[str]) -> Trial:
        """The same questions, asked of an engine that is told no interaction with these items."""
        return self._replace(learned=without(self.learned, items), known=without(self.known, items), untold=items)


def successive(events: Iterable[Event], moment: float) -> Trial:
    """Global time split at ``moment`` (Unix seconds): predict, then learn. Raises InvalidInput for an empty side."""
    cut = time_split(events, moment)
    when = datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return Trial(
        name="time",
        learned=cut.train,
        known=(),
        asked=cut.test,
        lives=True,
        moment=moment,
        words=(
            f"Global time split at {when} ({moment:.0f}): {len(cut.train):,} events are learned, then each later event "
            "is first predicted from all that came before it, then learned by states and counts.",
            "Events of one moment keep the order of the log.",
        ),
    )


def left_out(events: Iterable[Event]) -> Trial:
    """Leave-one-out: the last event of each person is asked for; counts and weights come from all but the last two.

    The state knows the last but one, as the input of the published models does.
    """
    cut = leave_one_out(events)
    return Trial(
        name="leave-one-out",
        learned=cut.train,
        known=cut.validation,
        asked=cut.test,
        lives=False,
        moment=None,
        words=(
            f"Leave-one-out: the last event of each of {len(cut.test):,} people is predicted. {len(cut.train):,} "
            "events are learned; the last but one of each person is known to the state, but not counted.",
            "Events of one moment keep the order they were given in; with many such ties the figures depend on it.",
            "Others' events after the moment of asking are learned from: compare only with leave-one-out elsewhere.",
        ),
    )


def read_sequences(path: Path, names: Mapping[str, str] | None = None, action: str = "click") -> list[Event]:
    """Events of a file of lines `user item` or `user item item ...`, each person's oldest first, all at one moment.

    ``names``: from the file's items to ids, where they differ. Raises InvalidInput naming the line.
    """
    events = []
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            user, *items = line.split() or [""]
            if user and not items:
                raise InvalidInput(
                    f"line {number} names no item.", field="file", value=line.strip(), way_out="Write `user item`."
                )
            events += [Event(user=user, action=action, item=_named(item, names), time=TIMELESS) for item in items]
    if not events:
        raise InvalidInput("holds no line.", field="file", value=str(path), way_out="Write `user item`, one a line.")
    return events


def read_names(path: Path) -> dict[str, str]:
    """A CSV of two columns with a header: an item as the file names it, and its id."""
    with open(path, newline="", encoding="utf-8") as file:
        rows = [row for row in csv.reader(file) if row][1:]
    for row in rows:
        if len(row) < 2:
            raise InvalidInput("has one column.", field="names", value=row, way_out="Write two: file's item, id.")
    return {row[0].strip(): row[1].strip() for row in rows}


def _named(item: str, names: Mapping[str, str] | None) -> str:
    if names is None:
        return item
    if item not in names:
        raise InvalidInput("is not among the names.", field="item", value=item, way_out="Add it to the names file.")
    return names[item]
