"""A log, or files before they are imported, as a world to examine. Both are read once, and neither is changed.

Notable: a log is read beside the process that holds it, as far as it had come when the reading began. Files are read
by the importers, so what is examined is what an import would send, in its order.
"""

from __future__ import annotations

import hashlib
import tempfile
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penchant.config import Settings, default_actions
from penchant.errors import InvalidInput
from penchant.evaluation.doctor.world import Items, Known, Source, World
from penchant.evaluation.journal import Columns, Gatherer, Journal, Pools
from penchant.models.text_encoder import TextEncoder, load_encoder
from penchant.parts import NO_ENCODER
from penchant.pipeline.items import render
from penchant.serving.importers import Part, Refused, read
from penchant.storage.event_log import EventLog
from penchant.storage.log_reading import Logged
from penchant.storage.names import Names
from penchant.storage.patches import whole
from penchant.types import Event

_BATCH = 65_536
_BEGINNING = 300  # characters of a text that are kept
_SHOWN = 60  # characters of a value that could not be read

Progress = Callable[[int], None]


def silent(done: int) -> None:
    return None


def of_log(folder: Path, settings: Settings, progress: Progress = silent) -> World:
    """A data folder's log, which a server may have open. ``progress(events read)``. Raises NotFound without one."""
    log = EventLog(folder, read_only=True)
    try:
        upto = log.end
        events = _logged(log, upto, progress)
        described = _Described(settings.template)
        for one in _items(log, upto):
            described.take(one.event, one.item, int(np.searchsorted(events.place, one.offset)))
        items = described.items(len(log.items))
    finally:
        log.close()
    return World(events, items, _known(folder, settings, items, False), time.time())


def _logged(log: EventLog, upto: int, progress: Progress) -> Journal:
    """The interactions of a log, in its order, under its numbers."""
    parts, done = [_columns(*[np.empty(0)] * 6)], 0
    for people, past in log.interactions(0, upto, _BATCH):
        parts.append(_columns(people, past.item, past.action, past.time, past.value, past.offset))
        done += len(people)
        progress(done)
    person, item, action, moment, value, place = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    pools = Pools(_names(log.people), _names(log.items), _names(log.actions), [])
    return Journal(pools, Columns(person, item, action, moment, value, None, place))


def _items(log: EventLog, upto: int) -> Iterator[Logged]:
    """Item events of a log; a text is kept by its beginning alone, so whole ones are kept where a patch needs them."""
    patches = {one.item for batch in log.replay(upto=upto, kind="item") for one in batch if one.event.patch}
    return whole((one for batch in log.replay(upto=upto, kind="item") for one in batch), patches)


def _columns(*columns: NDArray[Any]) -> list[NDArray[Any]]:
    kinds = (np.int32, np.int32, np.int16, np.float64, np.float64, np.int64)
    return [column.astype(kind) for column, kind in zip(columns, kinds, strict=True)]


def _names(names: Names) -> list[str]:
    return [names.name(number) for number in range(len(names))]


def of_files(folder: Path, settings: Settings, parts: Iterable[Part], progress: Progress = silent) -> World:
    """Files as an import into the data folder would send them; the folder need not be there."""
    taking, done = _Taking(settings.template), 0
    for part in parts:
        taking.begin(part)
        for row, one in read(part):
            taking.take(row, one)
            done += 1
            if done % _BATCH == 0:
                progress(done)
    return taking.world(folder, settings)


class _Taking:
    """Rows of files become events, items, and reasons why not."""

    def __init__(self, template: str) -> None:
        self._events, self._described, self._places = Gatherer(), _Described(template), _Places()
        self._refused, self._examples = Counter[str](), dict[str, str]()
        self._items = False

    def begin(self, part: Part) -> None:
        self._items |= part.what == "items"
        self._places.begin(part.name)

    def take(self, row: int, one: Event | Refused) -> None:
        place = self._places.at(row)
        if isinstance(one, Refused):
            self._refuse(place, f"{one.field}: {one.detail}", one.value)
        elif one.kind == "item":
            self._described.take(one, self._events.items.number(one.item or ""), len(self._events))
        elif one.kind == "interaction":
            try:
                self._events.add(one, place)
            except InvalidInput as error:
                self._refuse(place, f"{error.field}: {error.what.rstrip('.')}", error.value)

    def _refuse(self, place: int, reason: str, value: str) -> None:
        self._refused[reason] += 1
        if reason not in self._examples:
            self._examples[reason] = f"{self._places(place)}, {value[:_SHOWN] or '(empty)'}"

    def world(self, folder: Path, settings: Settings) -> World:
        events, described = self._events.done(), self._described
        items = described.items(len(events.pools.items)) if self._items or described else None
        source = Source(self._places, self._refused, self._examples)
        return World(events, items, _known(folder, settings, items, True), time.time(), source)


class _Places:
    """Rows of several files under one count; called with one of it, it says which row of which file that was."""

    def __init__(self) -> None:
        self._names, self._before, self._last = list[str](), list[int](), 0

    def begin(self, name: str) -> None:
        self._names.append(name)
        self._before.append(self._last)

    def at(self, row: int) -> int:
        place = self._before[-1] + row
        self._last = max(self._last, place)
        return place

    def __call__(self, place: int) -> str:
        file = bisect_left(self._before, place) - 1
        return f"row {place - self._before[file]:,} of {self._names[file]}"


class _Described:
    """What item events say, by the number of the item."""

    def __init__(self, template: str) -> None:
        self._template = template
        self._said: dict[int, tuple[str, int, bool, float]] = {}  # text's beginning, key, brought, created
        self._gone: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._said)

    def take(self, event: Event, number: int, before: int) -> None:
        """``before``: how many interactions came before this event."""
        if event.removed or event.available is False:
            self._gone.setdefault(number, before)
        else:
            self._gone.pop(number, None)
        if event.removed:
            return
        text = render(self._template, event.fields)
        created = self._said[number][3] if number in self._said else event.time
        moment = np.nan if created is None else created
        self._said[number] = (text[:_BEGINNING], _key(text), bool(event.vectors), moment)

    def items(self, count: int) -> Items:
        text, numbers = [""] * count, np.fromiter(self._said, np.int64, len(self._said))
        key, gone, created = np.zeros(count, np.int64), np.full(count, -1, np.int64), np.full(count, np.nan)
        sent, brought = np.zeros(count, np.bool_), np.zeros(count, np.bool_)
        sent[numbers] = True
        for number, one in self._said.items():
            text[number], key[number], brought[number], created[number] = one
        for number, rows in self._gone.items():
            gone[number] = rows
        return Items(sent, text, key, brought, gone, created)


def _key(text: str) -> int:
    """63 bits of a text; 0 for none."""
    digest = hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).digest()
    return (int.from_bytes(digest, "little") >> 1 or 1) if text else 0


def _known(folder: Path, settings: Settings, items: Items | None, imported: bool) -> Known:
    reads = settings.encoder != NO_ENCODER
    texts = reads and items is not None and bool(items.key.any())
    return Known(
        actions=frozenset(settings.actions),
        ratings=frozenset(settings.ratings),
        own=settings.actions != default_actions(),
        unreadable=_encoder(folder, settings).unknown_share if texts else None,
        reads_texts=reads,
        imported=imported,
    )


def _encoder(folder: Path, settings: Settings) -> TextEncoder:
    """Its graph is taken from the data folder; where there is none, it is written to a place that is gone again."""
    source = settings.encoder or None
    if (folder / "encoder").is_dir():
        return load_encoder(source, cache=folder / "encoder")
    with tempfile.TemporaryDirectory(prefix="penchant-doctor-") as scratch:
        return load_encoder(source, cache=Path(scratch))
