"""Files of a team become what `evaluation.tryout` works on: items as events, interactions as numbers in arrays.

Notable: a file of events is read once, in its own order, and put in the order of time as arrays; nothing is held of a
row but its numbers. Every event passes the same check as in the engine, so that none is refused later.

What it does not know: profiles of people, and retractions, aliases and erasures among JSON lines that are events
already. They are left out, and their number is told.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from penchant.config import Action, Settings
from penchant.errors import InvalidInput
from penchant.evaluation.journal import Gatherer, Journal
from penchant.pipeline.events import checked
from penchant.types import Event

if TYPE_CHECKING:
    from penchant.serving.importers import Part, Refused

_MOST_ACTIONS = 200
_TOLD_EVERY = 10_000


class Gathered(NamedTuple):
    """``refused``: reasons and how often; ``left_out``: kinds of events that are not looked at; ``added``: actions
    that the settings did not know, which count like a click."""

    log: Journal
    items: list[Event]
    refused: Counter[str]
    left_out: Counter[str]
    added: list[str]


def gather(parts: Sequence[Part], settings: Settings, tell: Callable[[str, int, int], None]) -> Gathered:
    """Read parts; ``settings`` get the actions that they did not know. ``tell(file, rows done, of about how many)``.

    Raises InvalidInput where no part holds events, or events have no time.
    """
    from penchant.serving.importers import read

    _check(parts)
    taking = _Taking(settings)
    for part in parts:
        if part.what == "users":
            taking.left_out["user"] += part.rows
            continue
        unsorted = part._replace(layout=part.layout._replace(sort=False))
        for done, (_, one) in enumerate(read(unsorted), 1):
            taking.take(one)
            if done % _TOLD_EVERY == 0:
                tell(part.name, done, max(part.rows, done))
        tell(part.name, part.rows, part.rows)
    return taking.done()


def _check(parts: Sequence[Part]) -> None:
    events = [part for part in parts if part.what == "events"]
    if not events:
        raise InvalidInput(
            "none of the files holds events.",
            field="path",
            value=", ".join(part.name for part in parts),
            way_out="Give a file with a column of users, one of items and one of times.",
        )
    for part in events:
        if part.layout.columns and "time" not in part.mapping:
            raise InvalidInput(
                f"no column of {part.name} says when things happened.",
                field="time",
                value=", ".join(part.layout.columns),
                way_out="Name it: --map time=COLUMN. Without times there is no before and after.",
            )


class _Taking:
    def __init__(self, settings: Settings) -> None:
        self._settings, self._now, self._gatherer = settings, time.time(), Gatherer()
        self._items: dict[str, Event] = {}
        self.refused, self.left_out = Counter[str](), Counter[str]()
        self._added: list[str] = []

    def take(self, one: Event | Refused) -> None:
        if not isinstance(one, Event):
            self.refused[f"{one.field}: {one.detail}"] += 1
        elif one.kind not in ("interaction", "item"):
            self.left_out[one.kind] += 1
        else:
            try:
                self._take(one)
            except InvalidInput as error:
                self.refused[f"{error.field}: {error.what.rstrip('.')}"] += 1

    def _take(self, event: Event) -> None:
        if event.kind == "interaction":
            if event.time is None:
                raise InvalidInput("a time is needed.", field="time")
            self._know(event.action)
            self._gatherer.add(checked(event, self._now, self._settings))
        elif event.item is not None and event.removed:
            self._items.pop(event.item, None)
        else:
            good = checked(event, self._now, self._settings)
            self._items[good.item or ""] = good

    def _know(self, action: str | None) -> None:
        """A team's own action is not a mistake here: nobody has written settings for it yet."""
        actions = self._settings.actions
        if not action or action in actions:
            return
        if len(actions) >= _MOST_ACTIONS:
            raise InvalidInput("more actions than can be told apart.", field="action")
        actions[action] = Action()
        self._added.append(action)

    def done(self) -> Gathered:
        return Gathered(
            self._gatherer.done().in_time(), list(self._items.values()), self.refused, self.left_out, self._added
        )
