"""What was done about the lists that were shown: slates joined with interactions, each counted once.

An interaction belongs to the newest list that showed its item to this person, at most a window before it. That is a
function of the times alone, so it does not matter in which order interactions come in, or how often; and one item of
one list counts once for an action. When the window and a grace for what is late have passed, a list is settled: it is
added to the totals of its hour, and done.

    clicks       items with any action of positive weight    conversions   items with an action that the settings name
    reward       of an item: the largest weight of its actions, or the least where none is for it
    ndcg         of a list in which something was clicked: 1 where the clicked ones stood first

Does not know: ids of lists as people see them, or where anything is kept.
"""

from __future__ import annotations

import math
from array import array
from bisect import insort
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence

from msgspec import Struct, field

GRACE = 300.0  # seconds after a window in which what happened inside it may still come in, as for states
MOST_OPEN = 200_000  # lists that wait for their window to pass; beyond, a list is kept and not joined
MOST_OF_ONE = 64  # of one person; beyond, the oldest is settled early
ALL = ""  # the source that stands for all of them
HOUR = 3600.0
_INT = array("i").itemsize


class Shown(Struct, gc=False, eq=False):
    """A list that waits: ``items`` [n] by number, ``sources`` [n] as bits, and what was done: (place, action) -> time.

    Both as int32 in bytes, and all of it unseen by the garbage collector: 60,000 that wait would hold up every list
    for 20 to 170 ms whenever it walked them. ``seen``: places that an impression named; None while none came.
    """

    id: int
    person: int
    time: float
    version: str
    items: bytes
    sources: bytes
    done: dict[tuple[int, int], float] = field(default_factory=dict)
    seen: set[int] | None = None

    def place(self, item: int) -> int:
        """Where an item stands (0: the first); -1: it was not shown."""
        wanted = array("i", (item,)).tobytes()
        at = self.items.find(wanted)
        while at >= 0 and at % _INT:
            at = self.items.find(wanted, at + 1)
        return at // _INT

    def numbers(self) -> array[int]:
        """The items."""
        return array("i", self.items)


class Totals(Struct):
    """Sums over settled lists of one hour, version and source; of one source, only its items are counted."""

    slates: float = 0.0
    clicked_slates: float = 0.0
    items: float = 0.0
    clicks: float = 0.0
    conversions: float = 0.0
    reward: float = 0.0
    ndcg: float = 0.0

    def add(self, other: Totals) -> None:
        for name in self.__struct_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


Key = tuple[int, str, str]  # hour since the epoch, version, source


class Judge:
    """What an action is worth. ``weights`` [actions] by number, ``conversions`` by number; ``sources``: names of bits.

    ``told``: only items that an impression named count as shown, and lists without one not at all.
    """

    def __init__(
        self, weights: Sequence[float], conversions: Iterable[int], sources: Mapping[int, str], told: bool = False
    ) -> None:
        self._weights, self._conversions, self._sources = weights, frozenset(conversions), sources
        self._told = told
        self._counted: dict[int, tuple[str, ...]] = {}

    def reward(self, actions: Iterable[int]) -> float:
        weights = [float(self._weights[action]) for action in actions]
        return max(weights) if any(weight > 0.0 for weight in weights) else min(weights, default=0.0)

    def totals(self, shown: Shown) -> dict[Key, Totals]:
        """What a list adds, once it is settled."""
        places = range(len(shown.items) // _INT) if not self._told else sorted(shown.seen or ())
        sources = array("i", shown.sources)
        if not places:
            return {}
        out = {ALL: Totals(slates=1.0)}
        for place in places:
            for source in self._of(sources[place]):
                out.setdefault(source, Totals()).items += 1.0
        done = {place for place, _ in shown.done} & set(places)
        clicked = {place for place in done if self._add(shown, place, self._of(sources[place]), out)}
        if clicked:
            out[ALL].clicked_slates, out[ALL].ndcg = 1.0, _ndcg([place in clicked for place in places])
        return {(int(shown.time // HOUR), shown.version, source): its for source, its in out.items()}

    def _add(self, shown: Shown, place: int, found_by: Iterable[str], to: Mapping[str, Totals]) -> bool:
        """Add what was done with one item; whether it was clicked."""
        actions = [action for at, action in shown.done if at == place]
        reward, converted = self.reward(actions), any(action in self._conversions for action in actions)
        for source in found_by:
            its = to[source]
            its.clicks += reward > 0.0
            its.conversions += converted
            its.reward += reward
        return reward > 0.0

    def _of(self, bits: int) -> tuple[str, ...]:
        """Where a candidate is counted; of all sets of sources, few ever come."""
        if bits not in self._counted:
            self._counted[bits] = (ALL, *(name for bit, name in self._sources.items() if bits & bit))
        return self._counted[bits]


def _ndcg(clicked: Sequence[bool]) -> float:
    """Normalised discounted cumulative gain of a list in its own order (Järvelin & Kekäläinen 2002); 0: no click."""
    gains = [1.0 / math.log2(place + 2) for place in range(len(clicked))]
    best = sum(gains[: sum(clicked)])
    return sum(gain for gain, hit in zip(gains, clicked, strict=True) if hit) / best if best else 0.0


class Waiting:
    """Lists that wait for what is done about them, by person."""

    def __init__(self, window: float, settle: Callable[[Shown], None], most: int = MOST_OPEN) -> None:
        self._window, self._settle, self._most = window, settle, most
        self._of: dict[int, list[Shown]] = {}
        self._queue: deque[Shown] = deque()
        self._done: set[int] = set()  # ids in the queue of lists that need not wait any more
        self.unjoined = 0  # lists that found no room

    def __len__(self) -> int:
        return len(self._queue) - len(self._done)

    def show(self, shown: Shown) -> None:
        """A list was shown to ``shown.person`` at ``shown.time``."""
        if len(self._queue) >= self._most:
            self.unjoined += 1
            return
        theirs = self._of.setdefault(shown.person, [])
        insort(theirs, shown, key=_when)
        self._queue.append(shown)
        if len(theirs) > MOST_OF_ONE:
            self._done.add(theirs[0].id)
            self._settle(theirs.pop(0))

    def act(self, person: int, item: int, action: int, time: float) -> None:
        """Something was done with an item."""
        for shown in reversed(self._of.get(person, ())):
            if shown.time <= time <= shown.time + self._window and (place := shown.place(item)) >= 0:
                key = place, action
                shown.done[key] = min(time, shown.done.get(key, math.inf))
                return

    def tell(self, person: int, items: Iterable[int], time: float) -> None:
        """An impression: these items were before somebody's eyes."""
        wanted = set(items)
        for shown in reversed(self._of.get(person, ())):
            told = {k for k, item in enumerate(shown.numbers()) if item in wanted}
            if told and shown.time <= time <= shown.time + self._window:
                shown.seen = (shown.seen or set()) | told
                return

    def move(self, session: int, person: int) -> None:
        """A session turned out to be a person."""
        moved = self._of.pop(session, [])
        for shown in moved:
            shown.person = person
        if moved:
            self._of[person] = sorted([*self._of.get(person, ()), *moved], key=_when)

    def clear(self, person: int) -> bool:
        """Forget what was done about a person's lists, so that it is told again; whether any waits."""
        theirs = self._of.get(person, [])
        for shown in theirs:
            shown.done.clear()
        return bool(theirs)

    def forget(self, person: int) -> None:
        """A person was erased: the lists count for nothing."""
        self._done |= {shown.id for shown in self._of.pop(person, ())}

    def people(self) -> set[int]:
        """Whose lists wait."""
        return set(self._of)

    def find(self, id: int, person: int) -> Shown | None:
        return next((shown for shown in self._of.get(person, ()) if shown.id == id), None)

    def pass_to(self, now: float) -> None:
        """Settle what nothing can be added to any more."""
        while self._queue and self._queue[0].time + self._window + GRACE < now:
            shown = self._queue.popleft()
            if shown.id in self._done:
                self._done.discard(shown.id)
                continue
            self._settle(shown)
            theirs = self._of[shown.person]
            theirs.remove(shown)
            if not theirs:
                del self._of[shown.person]


def _when(shown: Shown) -> float:
    return shown.time
