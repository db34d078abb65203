"""A log, or files before they are imported, as columns. Both are read once, in batches, and neither is changed.

Notable: a log is read beside the process that holds it, as far as it had come when the reading began. Files are read
by the importers, so what is examined is what an import would send, in its order.
"""

from __future__ import annotations

import hashlib
import tempfile
import time
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from penchant.config import Settings, default_actions
from penchant.models.text_encoder import TextEncoder, load_encoder
from penchant.parts import NO_ENCODER
from penchant.pipeline.items import render
from penchant.serving.doctor.columns import Events, Items, Known, Names, World
from penchant.serving.importers import Part, Refused, read
from penchant.storage.event_log import EventLog
from penchant.types import Event

_BATCH = 65_536
_BEGINNING = 300  # characters of a text that are kept

Progress = Callable[[int], None]


def silent(done: int) -> None:
    return None


def of_log(folder: Path, settings: Settings, progress: Progress = silent) -> World:
    """A data folder's log, which a server may have open. ``progress(events read)``. Raises NotFound without one."""
    log = EventLog(folder, read_only=True)
    try:
        upto, parts, done = log.end, list[Events](), 0
        for people, past in log.interactions(0, upto, _BATCH):
            columns = (past.offset, people, past.item, past.action, past.value, past.time)
            parts.append(_typed(columns))
            done += len(people)
            progress(done)
        gathered = _Gathered(settings.template)
        gathered.item_number = log.items.get
        for batch in log.replay(upto=upto, kind="item"):
            for one in batch:
                gathered.item(one.event, one.offset)
        items = gathered.items(len(log.items))
    finally:
        log.close()
    names = Names(log.people.name, log.items.name, log.actions.name)
    return World(_joined(parts), items, names, _known(folder, settings, items, False), time.time())


def of_files(folder: Path, settings: Settings, parts: Iterable[Part], progress: Progress = silent) -> World:
    """Files as an import into the data folder would send them; the folder need not be there."""
    gathered, done = _Gathered(settings.template), 0
    described = False
    for part in parts:
        described |= part.what == "items"
        for row, one in read(part):
            gathered.take(row, one, part.name)
            done += 1
            if done % _BATCH == 0:
                progress(done)
    items = gathered.items(len(gathered.item_names)) if described or gathered.described else None
    people, things, actions = (
        list(names) for names in (gathered.person_names, gathered.item_names, gathered.action_names)
    )
    names = Names(people.__getitem__, things.__getitem__, actions.__getitem__)
    known = _known(folder, settings, items, True)
    return World(gathered.events(), items, names, known, time.time(), gathered.refused, gathered.examples)


class _Gathered:
    """Columns that grow by an event at a time. Names are numbered as they come, items also by a log's numbers."""

    def __init__(self, template: str) -> None:
        self._template = template
        self.person_names, self.item_names, self.action_names = dict[str, int](), dict[str, int](), dict[str, int]()
        self.item_number: Callable[[str], int] = lambda name: _numbered(self.item_names, name)
        self.refused, self.examples = Counter[str](), dict[str, str]()
        self.described: dict[int, tuple[str, int, bool, float]] = {}  # text's beginning, key, brought, created
        self._gone: dict[int, int] = {}
        self._columns: tuple[array[Any], ...] = (array("q"), array("i"), array("i"), array("i"), array("f"), array("d"))
        self._offset = 0

    def take(self, row: int, one: Event | Refused, file: str) -> None:
        self._offset += 1
        if isinstance(one, Refused):
            reason = f"{one.field}: {one.detail}"
            self.refused[reason] += 1
            self.examples.setdefault(reason, f"row {row} of {file}, {one.value[:60] or '(empty)'}")
        elif one.kind == "item":
            self.item(one, self._offset)
        elif one.kind == "interaction":
            self._interaction(one)

    def _interaction(self, event: Event) -> None:
        found = (
            self._offset,
            _numbered(self.person_names, event.user or ""),
            self.item_number(event.item) if event.item is not None else -1,
            _numbered(self.action_names, event.action or ""),
            np.nan if event.value is None else event.value,
            np.nan if event.time is None else event.time,
        )
        for column, value in zip(self._columns, found, strict=True):
            column.append(value)

    def item(self, event: Event, offset: int) -> None:
        number = self.item_number(event.item or "")
        if event.removed or event.available is False:
            self._gone.setdefault(number, offset)
        else:
            self._gone.pop(number, None)
        if event.removed:
            return
        text = render(self._template, event.fields)
        created = self.described[number][3] if number in self.described else event.time
        self.described[number] = (
            text[:_BEGINNING],
            _key(text),
            bool(event.vectors),
            np.nan if created is None else created,
        )

    def events(self) -> Events:
        return _typed([np.frombuffer(column, column.typecode) for column in self._columns])

    def items(self, count: int) -> Items:
        text, numbers = [""] * count, np.fromiter(self.described, np.int64, len(self.described))
        key, gone, created = np.zeros(count, np.int64), np.full(count, -1, np.int64), np.full(count, np.nan)
        sent, brought = np.zeros(count, np.bool_), np.zeros(count, np.bool_)
        sent[numbers] = True
        for number, one in self.described.items():
            text[number], key[number], brought[number], created[number] = one
        for number, offset in self._gone.items():
            gone[number] = offset
        return Items(sent, text, key, brought, gone, created)


def _numbered(names: dict[str, int], name: str) -> int:
    return names.setdefault(name, len(names))


def _key(text: str) -> int:
    """63 bits of a text; 0 for none."""
    digest = hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).digest()
    return (int.from_bytes(digest, "little") >> 1 or 1) if text else 0


def _typed(columns: Sequence[np.ndarray[tuple[int], np.dtype[np.generic]]]) -> Events:
    kinds = (np.int64, np.int32, np.int32, np.int32, np.float32, np.float64)
    return Events(*(column.astype(kind) for column, kind in zip(columns, kinds, strict=True)))


def _joined(parts: Sequence[Events]) -> Events:
    if not parts:
        return _typed([np.empty(0)] * 6)
    return Events(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


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
