"""MIND, the Microsoft News Dataset, as it is handed out: `news.tsv` and `behaviors.tsv`, without headers.

Notable: a row of behaviors is several events: what was shown (an impression), a click on each of it that was clicked,
and, the first time that a person is met, the clicks of their history. MIND gives the order of a history and no times,
but says that it lies in the weeks before the impressions; so it is put before the first row of all, an hour and more
between two clicks, each gap longer than the one after it: evenly, or in a burst, they would look like a machine's.

What it does not know: when an article appeared (it is new when it is imported), and the embeddings of entities.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from penchant.errors import InvalidInput
from penchant.serving.importers.columns import Wish
from penchant.serving.importers.parts import (
    NOT_JSON,
    NOTHING,
    Bad,
    Layout,
    Part,
    Several,
    estimated_rows,
    open_bytes,
    text,
)
from penchant.serving.importers.records import cells, file_order
from penchant.serving.importers.times import MONTH_FIRST, clock
from penchant.types import Event

_BEHAVIORS = ("impression", "user", "time", "history", "impressions")
_NEWS = ("id", "category", "subcategory", "title", "abstract", "url", "title entities", "abstract entities")
_COLUMNS = {"behaviors.tsv": _BEHAVIORS, "news.tsv": _NEWS}
_FIELDS = ("title", "abstract", "category", "subcategory", "title entities", "abstract entities")
_ARTICLE = re.compile(r"N\d+")
_APART, _LONGER = 3660.0, 10.0  # seconds between clicks of a history, and how much longer each gap is than the next
_tell = clock(MONTH_FIRST)


def is_mind(path: Path) -> bool:
    """By its name and its first line."""
    if path.name not in _COLUMNS:
        return False
    with open_bytes(path) as file:
        first = text(next(iter(file), b"")).split("\t")
    if len(first) != len(_COLUMNS[path.name]):
        return False
    return bool(_ARTICLE.fullmatch(first[0])) if path.name == "news.tsv" else _is_time(first[2])


def mind_part(path: Path, wish: Wish) -> Part:
    """Raises InvalidInput when the wish contradicts a file whose columns are known."""
    what = "items" if path.name == "news.tsv" else "events"
    if wish.mapping or wish.what not in (None, what):
        raise InvalidInput(
            f"{path.name} is a MIND file of {what}, whose columns are known.",
            field="mapping" if wish.mapping else "what",
            value=dict(wish.mapping) if wish.mapping else wish.what,
            way_out="Leave it out, or rename the file.",
        )
    layout = Layout("\t", _COLUMNS[path.name], quoted=False, sort=wish.sort)
    with open_bytes(path) as file:
        sample = [raw for _, raw in islice(file_order(file, layout), 1000)]
    rows = estimated_rows(path, layout, sample)
    if what == "items":
        layout = layout._replace(kinds=dict.fromkeys(_FIELDS, "text"), finish=_article)
        mapping = {"item": "id", "fields": "title, abstract, category, subcategory, about (entities)"}
        return Part(path.name, path, "items", mapping, rows, layout)
    action = wish.action or "click"
    layout = layout._replace(unit=MONTH_FIRST, several=lambda part, stamp: _events(part, stamp, action))
    return Part(path.name, path, "events", _mapping(action), rows, layout)


def _mapping(action: str) -> dict[str, str]:
    return {
        "user": "user",
        "item": "clicked in impressions; history, before all rows",
        "slate": "impressions",
        "time": f"time ({MONTH_FIRST})",
        "action": f'"{action}"',
    }


def _article(_: str, fields: dict[str, Any]) -> dict[str, Any]:
    """The names of the entities instead of their JSON."""
    told = [fields.pop(name, "") for name in ("title entities", "abstract entities")]
    about = list(dict.fromkeys(name for one in told for name in _labels(one)))
    return fields | ({"about": about} if about else {})


def _labels(entities: str) -> list[str]:
    try:
        found = msgspec.json.decode(entities) if entities else []
    except NOT_JSON:
        return []
    return [one["Label"] for one in found if isinstance(one, dict) and isinstance(one.get("Label"), str)]


def _events(part: Part, stamp: str, action: str) -> Several:
    """Row -> its events, the history first."""
    began, met = _began(part), set[str]()

    def build(row: int, raw: bytes) -> list[Event]:
        found = cells(raw, part.layout)
        if len(found) != len(_BEHAVIORS):
            raise Bad("columns", len(found), f"{len(_BEHAVIORS)} columns are expected")
        user, time, (shown, clicked) = found[1].strip(), _time(found[2]), _impressions(found[4])
        if user in NOTHING:
            raise Bad("user", user, "nobody is named")
        past = [] if user in met else found[3].split()
        met.add(user)
        moments = [(began - _before(len(past) - k), item) for k, item in enumerate(past)]
        moments += [(time, item) for item in clicked]
        made = [Event(user=user, action=action, item=item, time=when) for when, item in moments]
        if shown:
            made.insert(len(past), Event(kind="impression", user=user, time=time, slate=shown))
        for number, event in enumerate(made):
            event.id = f"{stamp}:{row}:{number}"
        return made

    return build


def _before(left: int) -> float:
    """Seconds before the first row at which a click stands that is the ``left``-th from a history's end."""
    return _APART * left + _LONGER * left * (left + 1) / 2


def _began(part: Part) -> float:
    """The earliest time in the file; 0 where there is none."""
    with open_bytes(part.path) as file:
        return min(_known_times(raw for _, raw in file_order(file, part.layout)), default=0.0)


def _known_times(raws: Iterator[bytes]) -> Iterator[float]:
    for raw in raws:
        found = raw.split(b"\t", 3)
        if len(found) > 2 and _is_time(text(found[2])):
            yield _tell(text(found[2]))


def _impressions(cell: str) -> tuple[list[str], list[str]]:
    """(all that was shown, what of it was clicked) of ``N1-0 N2-1``; the parts without answers have no ``-0``."""
    shown = [one.rpartition("-") if one[-2:] in ("-0", "-1") else (one, "", "0") for one in cell.split()]
    return [item for item, _, _ in shown], [item for item, _, answer in shown if answer == "1"]


def _time(cell: str) -> float:
    try:
        return _tell(cell)
    except ValueError:
        raise Bad("time", cell, f"a time is expected ({MONTH_FIRST})") from None


def _is_time(cell: str) -> bool:
    try:
        _tell(cell)
    except ValueError:
        return False
    return True
