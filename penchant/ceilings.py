"""Ceilings that hold: beyond the most bytes of the log, or of memory, what would grow is refused, and lists go on.

Notable: an erasure and a retraction are always taken. Beyond the ceiling of memory, events of people and items that
are known already are taken as well: what they add to memory has an end.

Does not know: how the log grows, or who asks.
"""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path

from penchant.errors import Full
from penchant.parts import Parts
from penchant.types import Event, Refusal

_ALWAYS_TAKEN = ("erasure", "retraction")
_STATM = Path("/proc/self/statm")

Checked = tuple[list[Event], list[int], list[Refusal]]


def hold(parts: Parts, checked: Checked, whole: bool = False) -> Checked:
    """(events, their places, refusals) with those refused that are beyond a ceiling.

    Raises Full where that is all of them, or, when they are to be taken as a ``whole``, any.
    """
    full = _log_is_full(parts) or _memory_is_full(parts)
    if full is None:
        return checked
    events, places, refused = checked
    beyond = [_grows(parts, event, full) for event in events]
    if beyond and (any(beyond) if whole else all(beyond)):
        raise full
    told = [_refusal(place, full) for place, is_beyond in zip(places, beyond, strict=True) if is_beyond]
    within = [row for row, is_beyond in enumerate(beyond) if not is_beyond]
    all_told = sorted([*refused, *told], key=lambda one: one.index)
    return [events[row] for row in within], [places[row] for row in within], all_told


def resident_bytes() -> int:
    """Memory of this process; where the system does not say, the most that it ever had."""
    if _STATM.exists():
        return int(_STATM.read_bytes().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def _refusal(place: int, full: Full) -> Refusal:
    return Refusal(index=place, field=full.field, value=full.value, detail=f"{full.what} {full.way_out}")


def _log_is_full(parts: Parts) -> Full | None:
    most = parts.settings.max_log_bytes
    if not most:
        return None
    file, wal = parts.log.sizes()
    if file + 2 * wal > most:
        parts.log.give_back()  # the WAL is written into the file before it shrinks
    if file + wal <= most or file + wal - parts.log.free() <= most:
        return None
    return Full(
        "the log has reached its ceiling, so that no event is taken but erasures and retractions; lists go on.",
        field="max_log_bytes",
        value=most,
        way_out="Raise max_log_bytes in penchant.toml, if the disk has room, and start the server again.",
    )


def _memory_is_full(parts: Parts) -> Full | None:
    most = parts.settings.max_memory_bytes
    if not most or resident_bytes() <= most:
        return None
    return Full(
        "memory has reached its ceiling, so that no new person or item is taken; all who are known go on.",
        field="max_memory_bytes",
        value=most,
        way_out="Raise max_memory_bytes in penchant.toml, if the machine has the memory, and start the server again.",
    )


def _grows(parts: Parts, event: Event, full: Full) -> bool:
    if event.kind in _ALWAYS_TAKEN:
        return False
    if full.field == "max_log_bytes":
        return True
    people = [name for name in (event.user, event.session) if name is not None]
    is_new = any(parts.log.people.get(name) < 0 for name in people)
    return is_new or (event.item is not None and parts.log.items.get(event.item) < 0)
