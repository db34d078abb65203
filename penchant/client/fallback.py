"""What a page shows when no list can be had: the last good one, never one that a rule might forbid.

    the person's own last list, asked with the same conditions
    else the newest list of nobody in particular, asked with the same conditions
    else nothing, and a note that says so

Notable: a `filter` may read the person (`age_limit <= person.age`, `not seen(30d)`), so that under one only the
person's own list stands in. Ids that the caller chose for bad days are items of which no rule is known to be true, so
they are shown only where none was asked for.

Does not know: why there is no list; it is told, for the note.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple

from penchant.errors import PenchantError
from penchant.types import Candidate, Query, Slate

VERSION = "fallback"
_Key = tuple[str | None, str]
_MOST = 1000  # lists of people that are remembered, and as many of nobody


class _List(NamedTuple):
    """A list as it is remembered, without what was said about each item."""

    items: tuple[str, ...]
    as_of: int = 0
    time: float = 0.0


class Fallback:
    """Remembers good lists, and answers in place of the server. Safe to call from many threads.

    ``chosen``: items that stand in where the query has no rule; none: what is remembered does there, too.
    """

    def __init__(self, chosen: Sequence[str] = ()) -> None:
        self._chosen, self._lock = tuple(chosen), threading.Lock()
        self._own: OrderedDict[_Key, _List] = OrderedDict()
        self._nobodys: OrderedDict[_Key, _List] = OrderedDict()  # apart, so that people do not crowd it out

    def remember(self, query: Query, slate: Slate) -> None:
        """Keep the list for what was asked; the one asked for longest ago makes room."""
        key, lists = _key(query, query.user), self._nobodys if query.user is None else self._own
        with self._lock:
            lists[key] = _List(tuple(one.item for one in slate.items), slate.as_of, slate.time)
            lists.move_to_end(key)
            if len(lists) > _MOST:
                lists.popitem(last=False)

    def forget(self, user: str) -> None:
        """Whoever is erased is forgotten here, too."""
        with self._lock:
            for key in [key for key in self._own if key[0] == user]:
                del self._own[key]

    def slate(self, query: Query, error: PenchantError) -> Slate:
        """A list for the query, whose note says what it is and why. Its scores are 0: nobody computed them."""
        found, what = self._found(query)
        return Slate(
            items=[Candidate(item=item, score=0.0, sources=[VERSION]) for item in found.items[: query.limit]],
            as_of=found.as_of,
            version=VERSION,
            time=time.time() if query.time is None else query.time,
            user=query.user,
            retrieved=len(found.items[: query.limit]),
            notes=[f"{what}, since no list could be had: {error}"],
        )

    def _found(self, query: Query) -> tuple[_List, str]:
        if self._chosen and not query.where and query.filter is None:
            return _List(self._chosen), "these items were chosen to stand in"
        with self._lock:
            if own := self._own.get(_key(query, query.user)):
                return own, f"this list of {own.time:.0f} was shown before"
            other = self._nobodys.get(_key(query, None))
        if other is not None and (query.user is None or query.filter is None):
            return other, f"this list of {other.time:.0f} is nobody's in particular"
        return _List(()), "nothing that was seen before is known to be allowed here"


def _key(query: Query, user: str | None) -> _Key:
    """Who asks, and what two questions must share for one's list to stand in for the other's: in it, True is not 1."""
    context = sorted(query.context.items()) if query.filter is not None else []
    return user, repr((*query.where, query.filter, context, query.seen))
