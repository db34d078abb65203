"""Data folders to evaluate on: what a log holds, a folder as it stood at the split, and an engine on it.

Nothing is ever evaluated on the folder it was read from: everything happens on copies in scratch space. A prepared
folder takes over the settings, the vectors of texts, and the model versions of its source. Whoever trained those on
events that are asked for here has read the answers; `World.train` is the way out: it is called with the closed folder
as it stands at the split, and may publish a version there, from a log that holds nothing else.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from penchant.config import FILE
from penchant.engine import Engine
from penchant.errors import InvalidInput
from penchant.evaluation.protocols import in_time
from penchant.storage.event_log import EventLog
from penchant.storage.patches import whole
from penchant.types import Event

_BATCH = 2000
_LOG = "events.db"

Progress = Callable[[str, int, int], None]  # (what, done, of how many)


class World(NamedTuple):
    """What every engine of an evaluation is made of, before any interaction.

    ``items`` are item events; ``settings`` are flags for `Engine.open`; ``source``: a data folder whose settings file,
    model versions and vectors of texts are used; ``train``: see the module; with it, the versions are left behind.
    """

    items: Sequence[Event]
    settings: Mapping[str, Any] = MappingProxyType({})
    source: Path | None = None
    train: Callable[[Path], object] | None = None


def read_log(folder: Path, least: int = 0) -> tuple[World, list[Event]]:
    """The log of a data folder: its items, and its interactions in time order, without what was retracted.

    Nothing is changed, and the folder may be open elsewhere. Items met fewer than ``least`` times are left out of the
    interactions, as published protocols do (5). Raises InvalidInput without a log or interactions.
    """
    items, events = _logged(folder)
    if not events:
        raise InvalidInput("holds no interactions.", field="data", value=str(folder), way_out="Import some first.")
    return World(items, source=folder), in_time(met_often(events, least))


def read_items(folder: Path, events: Sequence[Event]) -> World:
    """The items of a data folder, for events that come from elsewhere; one that it lacks is sent by its id alone."""
    items, _ = _logged(folder)
    there = {event.item for event in items}
    lacking = dict.fromkeys(event.item for event in events if event.item is not None and event.item not in there)
    if len(lacking) == len({event.item for event in events}) and there:
        raise InvalidInput(
            "not one item of the file is in the data folder.",
            field="item",
            value=next(iter(lacking), None),
            way_out="Hand over the items' ids (--names), or use a folder without items.",
        )
    bare = [Event(kind="item", item=item, time=events[0].time) for item in lacking]
    return World([*items, *bare], source=folder)


def met_often(events: Sequence[Event], least: int) -> list[Event]:
    """The events on items that are met at least so often among them; words alone stay."""
    met = Counter(event.item for event in events)
    return [event for event in events if event.item is None or met[event.item] >= least]


def _logged(folder: Path) -> tuple[list[Event], list[Event]]:
    """Item events and interactions of a log, in its order."""
    if not (folder / _LOG).exists():
        raise InvalidInput("holds no log.", field="data", value=str(folder), way_out="Import some first.")
    log = EventLog(folder, read_only=True)
    try:
        retracted = log.retracted()
        logged = [one for batch in log.replay() for one in batch]
    finally:
        log.close()
    items = [one.event for one in whole(one for one in logged if one.event.kind == "item")]
    return items, [one.event for one in logged if one.event.kind == "interaction" and one.offset not in retracted]


def prepare(folder: Path, world: World, learned: Sequence[Event], progress: Progress | None = None) -> None:
    """Make ``folder`` as it stands when all items were sent and ``learned`` was taken in; closed again."""
    tell = progress or silent
    folder.mkdir()
    if world.source is not None:
        _take_over(world.source, folder, versions=world.train is None)
    with Engine.open(folder, **{"text_threads": os.cpu_count() or 1, **world.settings}) as engine:
        for done, batch in _batches(world.items):
            learn(engine, batch)
            tell("items", done, len(world.items))
        engine.wait_for_items(lambda left: tell("texts", len(world.items) - left, len(world.items)))
        for done, batch in _batches(learned):
            learn(engine, batch, (b"evaluation", done))
            tell("learning", done, len(learned))
    if world.train is not None:
        world.train(folder)


def opened(folder: Path, settings: Mapping[str, Any]) -> Engine:
    """The engine of a prepared folder, with whatever model version stands there.

    A version that was published since the folder was closed has no snapshot: its item vectors come from the thread
    that reads, and whoever asks before they are there measures an empty index.
    """
    engine = Engine.open(folder, **settings)
    engine.wait_for_items()
    return engine


def learn(engine: Engine, events: Sequence[Event], source: tuple[bytes, int] | None = None) -> None:
    """Take events in. Raises InvalidInput where one is refused: figures without it would be of other data."""
    for refusal in engine.ingest(events, source=source).refused:
        raise InvalidInput(
            f"event {events[refusal.index].id} cannot be learned: {refusal.detail}",
            field=refusal.field,
            value=refusal.value,
            way_out="Evaluate with the settings that the log was written with.",
        )


def silent(what: str, done: int, of: int) -> None:
    return None


def _take_over(source: Path, folder: Path, versions: bool) -> None:
    for path in (source / FILE, *source.glob("catalogue.db*")):
        if path.exists():
            shutil.copy2(path, folder / path.name)
    for name in ("encoder", "versions") if versions else ("encoder",):
        if (source / name).is_dir():
            shutil.copytree(source / name, folder / name)
    _same_actions(source, folder)


def _same_actions(source: Path, folder: Path) -> None:
    """A version's weights stand in the order of the log's action numbers, so both logs must number them alike."""
    if not (source / _LOG).exists():
        return
    log = EventLog(source, read_only=True)
    try:
        names = [log.actions.name(number) for number in range(len(log.actions))]
    finally:
        log.close()
    log = EventLog(folder)
    try:
        log.number_actions(names)
    finally:
        log.close()


def _batches(events: Sequence[Event]) -> Iterator[tuple[int, Sequence[Event]]]:
    for start in range(0, len(events), _BATCH):
        batch = events[start : start + _BATCH]
        yield start + len(batch), batch
