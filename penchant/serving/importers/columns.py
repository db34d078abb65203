"""Which column means what: guessed by name, checked against values, overridden by what the person says.

Notable: a guess is made from the first 1,000 rows and shown before it is used. A column's kind (number, list, text)
is decided for the whole column, so that the film "300" stays a title and the code "02460" keeps its zero.

What it does not know: the meaning of numbers. A time column that cannot be read as a time is an error rather than
left out in silence, since events without a time would all happen now.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from penchant.errors import InvalidInput
from penchant.serving.importers.parts import NOTHING, NUMBER, FieldKind, Layout, What
from penchant.serving.importers.reading import as_text, column_of, constant_of
from penchant.serving.importers.times import UNITS, guess_unit

_NAMES = {
    "user": (
        "user userid uid username customer customerid household householdid visitor visitorid member memberid client"
        " clientid account accountid person personid reviewer reviewerid shopper shopperid buyer buyerid subscriber"
        " subscriberid session sessionid"
    ),
    "item": (
        "item itemid iid product productid sku asin parentasin movie movieid film filmid article articleid content"
        " contentid video videoid track trackid song songid artist artistid book bookid isbn news newsid document"
        " documentid doc docid post postid listing listingid offer offerid business businessid stockcode goodsid"
    ),
    "words": "words query searchquery searchterm searchterms keyword keywords",
    "action": "action event eventtype eventname eventaction behavior behaviour behaviortype interaction"
    " interactiontype actiontype type",
    "value": "rating score stars overall value quantity qty count",
    "time": "time timestamp ts datetime date eventtime createdat created occurredat tdat",
}
NAMES = {word: tuple(names.split()) for word, names in _NAMES.items()}
_ENDINGS = {"value": ("rating", "score"), "time": ("timestamp", "datetime", "time", "date")}
_RATED = re.compile(r"rating|score|stars|overall")
_BOUGHT = re.compile(r"quantity|qty")
# A day in an item's row is often its release: only these say when the row itself was made.
_ENTRY_TIME = ("timestamp", "createdat", "created", "addedat")
_MOST_ACTIONS = 100
_MOSTLY = 0.9
_WORDS = ("user", "item", "words", "action", "value", "time", "id", "fields", "context.NAME")
_ENTRY_WORDS = {"items": ("item", "time", "fields"), "users": ("user", "time", "fields")}


class Wish(NamedTuple):
    """What the person said beforehand."""

    what: What | None = None
    mapping: Mapping[str, str] | None = None
    action: str | None = None
    sort: bool = True


class Sample(NamedTuple):
    """The beginning of a file, cut into cells."""

    name: str
    layout: Layout
    rows: list[list[Any]]

    def values(self, column: str) -> list[str]:
        at = self.layout.columns.index(column)
        return [as_text(row[at]) for row in self.rows]


class Guess(NamedTuple):
    what: What
    mapping: dict[str, str]
    unit: str
    kinds: dict[str, FieldKind]


def guess(sample: Sample, wish: Wish) -> Guess:
    """Raises InvalidInput when no column, or a wrong one, is left for what must be known."""
    told = _checked(wish.mapping or {}, sample.layout.columns)
    found = {word: told[word] for word in told if told[word]}
    for word in ("user", "item", "words"):
        if word not in told and (column := _by_name(sample, word)):
            found[word] = column
    what = wish.what or _what(sample, found)
    _check_words(what, told)
    if what == "events":
        return _events(sample, wish, told, found)
    return _entries(sample, what, told, found)


def _checked(mapping: Mapping[str, str], columns: Sequence[str]) -> dict[str, str]:
    for word, column in mapping.items():
        if word not in _WORDS and not word.startswith("context."):
            raise InvalidInput("unknown word.", field="mapping", value=word, way_out=f"Use one of {', '.join(_WORDS)}.")
        known = not column or word == "fields" or column_of(word, mapping, columns) is not None
        if not known and not (word == "action" and constant_of(word, mapping)):
            raise InvalidInput("no such column.", field=word, value=column, way_out=f"There are {', '.join(columns)}.")
    return dict(mapping)


def _check_words(what: What, told: Mapping[str, str]) -> None:
    for word, column in told.items():
        fits = word in _ENTRY_WORDS[what] if what != "events" else word != "fields"
        if column and not fits:
            out = f"Use {', '.join(_ENTRY_WORDS[what])}." if what != "events" else "Use context.NAME."
            raise InvalidInput(f"a file of {what} has no use for it.", field=word, value=column, way_out=out)


def _what(sample: Sample, found: Mapping[str, str]) -> What:
    if "user" in found:
        return "events" if "item" in found or "words" in found else "users"
    if "item" in found or _own_id(sample):
        about_people = "item" not in found and re.search(r"user|customer|people|member|visitor", sample.name.lower())
        return "users" if about_people else "items"
    raise _no_column(sample, "user", "no column names a user or an item.")


def _no_column(sample: Sample, word: str, what: str) -> InvalidInput:
    out = "Name them: --map user=COLUMN --map item=COLUMN; the first line must hold the columns' names."
    return InvalidInput(what, field=word, value=", ".join(sample.layout.columns), way_out=out)


def _events(sample: Sample, wish: Wish, told: Mapping[str, str], found: dict[str, str]) -> Guess:
    if "user" not in found:
        raise _no_column(sample, "user", "events need a column of users.")
    if "item" not in found and "words" not in found:
        raise _no_column(sample, "item", "events need a column of items or of words.")
    for word in ("value", "action"):
        if word not in told and (column := _by_name(sample, word)):
            found[word] = column
    if "action" not in found:
        found["action"] = f'"{wish.action or _usual_action(found.get("value", ""))}"'
    unit = _add_time(sample, told, found, NAMES["time"])
    return Guess("events", found, unit, {})


def _usual_action(value: str) -> str:
    name = plain(value)
    return "rate" if _RATED.search(name) else "buy" if _BOUGHT.search(name) else "click"


def _entries(sample: Sample, what: What, told: Mapping[str, str], found: Mapping[str, str]) -> Guess:
    word = "item" if what == "items" else "user"
    own = found.get(word) or _own_id(sample)
    if not own:
        raise _no_column(sample, word, f"{what} need a column that names them.")
    if word not in told:
        _check_distinct(sample, word, own)
    mapping = {word: own}
    if told.get("time"):
        mapping["time"] = told["time"]
    unit = _add_time(sample, told, mapping, _ENTRY_TIME)
    columns = _field_columns(sample, told, mapping)
    if columns:
        mapping["fields"] = ", ".join(columns)
    return Guess(what, mapping, unit, {column: kind_of(sample.values(column)) for column in columns})


def _field_columns(sample: Sample, told: Mapping[str, str], mapping: Mapping[str, str]) -> list[str]:
    wanted = {name.strip() for name in told.get("fields", "").split(",") if name.strip()}
    unknown = sorted(wanted.difference(sample.layout.columns))
    if unknown:
        out = f"There are {', '.join(sample.layout.columns)}."
        raise InvalidInput("no such column.", field="fields", value=unknown[0], way_out=out)
    used = {column_of(word, mapping, sample.layout.columns) for word in mapping}
    return [name for name in sample.layout.columns if name and name not in used and (not wanted or name in wanted)]


def _check_distinct(sample: Sample, word: str, column: str) -> None:
    """A list of items or people names each once; a log of events whose other column was not recognised does not."""
    names = [name for name in sample.values(column) if name not in NOTHING]
    if len(names) > 3 and len(set(names)) < _MOSTLY * len(names):
        other = "item" if word == "user" else "user"
        raise _no_column(sample, other, f"{column} repeats as in a log of events, but no column names the {other}.")


def _own_id(sample: Sample) -> str | None:
    return next((column for column in sample.layout.columns if plain(column) in ("id", "uuid")), None)


def _by_name(sample: Sample, word: str) -> str | None:
    named = candidates(sample, word, NAMES[word])
    fitting = next((column for column in named if _fits(sample, word, column)), None)
    if fitting or word not in ("user", "item"):
        return fitting
    fullest = max(named, key=lambda column: _filled(sample, column), default=None)
    return fullest if fullest and _filled(sample, fullest) else None


def _filled(sample: Sample, column: str) -> int:
    return sum(value not in NOTHING for value in sample.values(column))


def candidates(sample: Sample, word: str, names: Sequence[str]) -> list[str]:
    """Columns whose name says the word, the surest first."""
    by_name = {plain(column): column for column in reversed(sample.layout.columns)}
    exact = [by_name[name] for name in names if name in by_name]
    endings = _ENDINGS.get(word, ()) if names is NAMES[word] else ()
    return exact + [
        column for name, column in by_name.items() if name.endswith(endings or ("\0",)) and name not in names
    ]


def plain(name: str) -> str:
    """``User-ID``, ``user_id`` and ``userId`` are one name."""
    return re.sub(r"[\W_]", "", name).lower()


def _fits(sample: Sample, word: str, column: str) -> bool:
    values = sample.values(column)
    filled = [value for value in values if value not in NOTHING]
    if word == "value":
        return sum(bool(NUMBER.fullmatch(value.strip())) for value in filled) >= _MOSTLY * len(filled) > 0
    if word == "action":
        return 0 < len(set(filled)) <= _MOST_ACTIONS and max(map(len, filled)) <= 64
    return len(filled) >= len(values) / 2 or word == "words"


def _add_time(sample: Sample, told: Mapping[str, str], mapping: dict[str, str], names: Sequence[str]) -> str:
    """Put the time column with its unit into the mapping; says the unit."""
    if "time" in told and not told["time"]:
        return "seconds"
    if "time" in told:
        column = column_of("time", told, sample.layout.columns) or ""
        said = told["time"].removeprefix(column).strip(" ()")
        tried = {column: said if said in UNITS else guess_unit(sample.values(column))}
    else:
        tried = {column: guess_unit(sample.values(column)) for column in candidates(sample, "time", names)}
    for column, unit in tried.items():
        if unit:
            mapping["time"] = f"{column} ({unit})"
            return unit
    _check_no_time(sample, tried if names is NAMES["time"] or "time" in told else ())
    return "seconds"


def _check_no_time(sample: Sample, columns: Iterable[str]) -> None:
    for column in columns:
        odd = next((value for value in sample.values(column) if value not in NOTHING), None)
        if odd is not None:
            order = f"say --map 'time={column} (month/day/year)', or (day/month/year)"
            out = f"Write {column} as Unix seconds or ISO 8601; where it is a date, {order}; or name another column."
            raise InvalidInput("not a time that can be recognised.", field="time", value=odd, way_out=out)


def kind_of(values: Sequence[str]) -> FieldKind:
    """Number when every value is one, list when some are a|b or JSON arrays and none contradicts, else text."""
    filled = [value.strip() for value in values if value.strip() not in NOTHING]
    if not filled:
        return "text"
    if all(NUMBER.fullmatch(value) for value in filled):
        return "number"
    if all(value[0] == "[" and value[-1] == "]" for value in filled):
        return "list"
    piped = [value for value in filled if "|" in value]
    return "list" if piped and len(piped) >= 0.05 * len(filled) and all(map(_is_list, piped)) else "text"


def _is_list(value: str) -> bool:
    """``Crime|Drama``, but not a title with bars in it."""
    return all(0 < len(part) <= 40 and part == part.strip() for part in value.split("|"))
