"""What people do about the lists that they are shown, as it goes on: by version of the model, and by source.

Of lists whose window has passed (`pipeline.feedback`), so that no click is still to come, and each counts once:

    ctr           clicked items of those shown, with the 95% interval of Wilson (1927), as if items were independent
    conversions   items with an action that [slates] in the settings names
    ndcg          mean over lists in which something was clicked, in the order in which they were shown
    coverage      different items shown, of all that there are now

An item that several sources found counts for each of them.
"""

from __future__ import annotations

import math
import time

from msgspec import Struct

from penchant.engine import Engine
from penchant.pipeline.feedback import ALL, Totals

_Z = 1.959964  # 95%


class Live(Struct, kw_only=True, omit_defaults=True):
    """One version, and one source of candidates (left out: all of them). Rates are of items shown."""

    version: str
    source: str = ""
    slates: int = 0
    items: int
    clicks: int
    conversions: int
    ctr: float
    ctr_interval: tuple[float, float]
    conversion: float
    reward: float
    ndcg: float | None = None
    coverage: float | None = None


class LiveReport(Struct, kw_only=True):
    """``waiting``: lists whose window has not passed; ``unjoined``: since the start, for which there was no room."""

    hours: float
    waiting: int
    unjoined: int
    live: list[Live]


def report(engine: Engine, hours: float = 24.0, now: float | None = None) -> LiveReport:
    """Of lists shown since the beginning of the hour that was ``hours`` before ``now`` (Unix seconds)."""
    showing = engine.parts.showing
    sums, shown = showing.totals(hours, time.time() if now is None else now)
    waiting, known = showing.waiting, int(engine.parts.index.known.sum())
    rows = [_live(version, source, its) for (version, source), its in sorted(sums.items())]
    for row in rows:
        if row.source == ALL:
            row.coverage = shown.get(row.version, 0) / max(known, 1)
    return LiveReport(hours=hours, waiting=len(waiting), unjoined=waiting.unjoined, live=rows)


def _live(version: str, source: str, its: Totals) -> Live:
    return Live(
        version=version,
        source=source,
        slates=int(its.slates),
        items=int(its.items),
        clicks=int(its.clicks),
        conversions=int(its.conversions),
        ctr=its.clicks / its.items,
        ctr_interval=wilson(its.clicks, its.items),
        conversion=its.conversions / its.items,
        reward=its.reward / its.items,
        ndcg=its.ndcg / its.clicked_slates if its.clicked_slates else None,
    )


def wilson(hits: float, of: float) -> tuple[float, float]:
    """The 95% score interval of a share (Wilson 1927)."""
    share, more = hits / of, _Z * _Z / of
    middle = (share + more / 2) / (1 + more)
    half = _Z / (1 + more) * math.sqrt(share * (1 - share) / of + more / (4 * of))
    return max(0.0, middle - half), min(1.0, middle + half)
