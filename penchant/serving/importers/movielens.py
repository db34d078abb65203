"""MovieLens as it is handed out: 1M, 10M and 100K in their own layouts, 20M to 32M as CSV.

Notable: titles come as "Matrix, The (1999)" and leave as "The Matrix" with the year 1999, which is how people search
and how a text encoder has met them. A `plots.csv` beside `movies.dat` adds director, actors and plot.

What it does not know: the tags and genome files of the larger sets; they are left out.
"""

from __future__ import annotations

import csv
import re
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from penchant.errors import InvalidInput
from penchant.serving.importers.columns import Wish
from penchant.serving.importers.parts import FieldKind, Finish, Layout, Part, What, estimated_rows, open_bytes
from penchant.serving.importers.records import cells, file_order
from penchant.serving.importers.tables import table_part

_GENRES = (
    "Action",
    "Adventure",
    "Animation",
    "Children's",
    "Comedy",
    "Crime",
    "Documentary",
    "Drama",
    "Fantasy",
    "Film-Noir",
    "Horror",
    "Musical",
    "Mystery",
    "Romance",
    "Sci-Fi",
    "Thriller",
    "War",
    "Western",
)
_OCCUPATIONS = (
    "other",
    "academic/educator",
    "artist",
    "clerical/admin",
    "college/grad student",
    "customer service",
    "doctor/health care",
    "executive/managerial",
    "farmer",
    "homemaker",
    "K-12 student",
    "lawyer",
    "programmer",
    "retired",
    "sales/marketing",
    "scientist",
    "self-employed",
    "technician/engineer",
    "tradesman/craftsman",
    "unemployed",
    "writer",
)
_KINDS: dict[str, FieldKind] = {"genres": "list", "age": "number", **dict.fromkeys(_GENRES, "number")}
_ARTICLES = "The|A|An|Le|La|Les|L'|Il|Lo|El|Los|Las|Das|Der|Die|Det|Den|Het|Een|Un|Une|Una"
_ARTICLE = re.compile(rf"(^|\()([^()]+), ({_ARTICLES})\s*(?=$|\(|\))")
_YEAR = re.compile(r"\s*\((\d{4})(?:[-–]\d{0,4})?\)\s*$")
_CSV = {"movies.csv": b"movieId,title,genres", "ratings.csv": b"userId,movieId,rating,timestamp"}
_EXCHANGED = frozenset((".inter", ".item", ".user"))


class _Official(NamedTuple):
    what: What
    delimiter: str
    columns: tuple[str, ...]


_OFFICIAL = {
    "movies.dat": _Official("items", "::", ("MovieID", "title", "genres")),
    "u.item": _Official("items", "|", ("movie id", "title", "released", "video", "url", "unknown", *_GENRES)),
    "users.dat": _Official("users", "::", ("UserID", "gender", "age", "occupation", "zip")),
    "u.user": _Official("users", "|", ("user id", "age", "gender", "occupation", "zip")),
    "ratings.dat": _Official("events", "::", ("UserID", "MovieID", "Rating", "Timestamp")),
    "u.data": _Official("events", "\t", ("user id", "item id", "rating", "timestamp")),
}


class Movies:
    """Last touch on a movie's fields: title, year, genres, and what `plots.csv` says of it."""

    def __init__(self, plots: Path | None = None) -> None:
        self._path = plots

    def __call__(self, item: str, fields: dict[str, Any]) -> dict[str, Any]:
        title, year = title_and_year(str(fields.get("title") or fields.get("movie_title") or ""))
        genres = fields.get("genres") or fields.get("class") or [name for name in _GENRES if fields.get(name) == 1]
        tidy = {
            "title": title,
            "year": year or _year(fields.get("release_year")),
            "genres": [name for name in genres if name not in ("unknown", "(no genres listed)")],
            **self._plots.get(item, {}),
        }
        return {name: value for name, value in tidy.items() if value}

    @cached_property
    def _plots(self) -> dict[str, dict[str, Any]]:
        if self._path is None:
            return {}
        with self._path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
            return {row["movie_id"]: _plot(row) for row in csv.DictReader(file)}


def is_movielens(path: Path) -> bool:
    """By its name and, where others use the same name, by its first line."""
    if path.name in _OFFICIAL:
        return _is_cut(path, _OFFICIAL[path.name])
    if path.name in _CSV:
        with path.open("rb") as file:
            return file.readline().lstrip(b"\xef\xbb\xbf").strip() == _CSV[path.name]
    return path.suffix in _EXCHANGED


def movielens_part(path: Path, wish: Wish) -> Part:
    """Raises InvalidInput when the wish contradicts a file whose columns are known."""
    if path.name in _OFFICIAL:
        return _official_part(path, wish)
    part = table_part(path, wish)
    movies = path.name == "movies.csv" or "movie_title" in part.layout.columns
    if part.what != "items" or not movies or wish.mapping:
        return part
    return part._replace(layout=part.layout._replace(finish=Movies()))


def title_and_year(title: str) -> tuple[str, int | None]:
    """``City of Lost Children, The (Cité des enfants perdus, La) (1995)`` with its articles in front."""
    found = _YEAR.search(title)
    year = int(found[1]) if found else None
    return _ARTICLE.sub(_in_front, title[: found.start()] if found else title.strip()), year


def _in_front(match: re.Match[str]) -> str:
    opening, name, article = match.groups()
    space = "" if article.endswith("'") else " "
    end = " " if match.string[match.end() :].startswith("(") else ""
    return f"{opening}{article}{space}{name}{end}"


def _official_part(path: Path, wish: Wish) -> Part:
    what, delimiter, columns = _OFFICIAL[path.name]
    if wish.mapping or wish.what not in (None, what):
        raise InvalidInput(
            f"{path.name} is a MovieLens file of {what}, whose columns are known.",
            field="mapping" if wish.mapping else "what",
            value=dict(wish.mapping) if wish.mapping else wish.what,
            way_out="Leave it out, or rename the file.",
        )
    beside = _plots_beside(path)
    kinds = {name: _KINDS.get(name, "text") for name in columns[1:]} if what != "events" else {}
    layout = Layout(
        delimiter, columns, quoted=False, kinds=kinds, sort=wish.sort, beside=beside, finish=_finish(path.name, beside)
    )
    with open_bytes(path) as file:
        rows = estimated_rows(path, layout, list(islice(file, 1000)))
    return Part(path.name, path, what, _mapping(columns, what, wish, beside), rows, layout)


def _mapping(columns: tuple[str, ...], what: What, wish: Wish, beside: Path | None) -> dict[str, str]:
    if what == "events":
        user, item, value, time = columns
        return {
            "user": user,
            "item": item,
            "value": value,
            "time": f"{time} (seconds)",
            "action": f'"{wish.action or "rate"}"',
        }
    fields = ("title", "year", "genres") if what == "items" else columns[1:]
    more = f", director, actors, plot ({beside.name})" if beside else ""
    return {"item" if what == "items" else "user": columns[0], "fields": ", ".join(fields) + more}


def _finish(name: str, plots: Path | None) -> Finish | None:
    if name in ("movies.dat", "u.item"):
        return Movies(plots)
    return _with_occupation if name == "users.dat" else None


def _with_occupation(_: str, fields: dict[str, Any]) -> dict[str, Any]:
    """1M numbers the occupations; a number would be taken for a quantity."""
    code = str(fields.get("occupation", ""))
    if code.isdecimal() and int(code) < len(_OCCUPATIONS):
        fields["occupation"] = _OCCUPATIONS[int(code)]
    return fields


def _is_cut(path: Path, official: _Official) -> bool:
    layout = Layout(official.delimiter, quoted=False)
    with open_bytes(path) as file:
        first = next((raw for _, raw in file_order(file, layout)), b"")
    return len(cells(first, layout)) == len(official.columns)


def _plots_beside(path: Path) -> Path | None:
    plots = path.with_name("plots.csv")
    if path.name != "movies.dat" or not plots.is_file():
        return None
    with plots.open(newline="", encoding="utf-8-sig", errors="replace") as file:
        return plots if "movie_id" in next(csv.reader(file), ()) else None


def _plot(row: dict[str, str]) -> dict[str, Any]:
    told = {name: value.strip() for name in ("director", "actors", "plot") if (value := row.get(name) or "")}
    known: dict[str, Any] = {name: value for name, value in told.items() if value not in ("", "N/A")}
    if "actors" in known:
        known["actors"] = [name.strip() for name in known["actors"].split(",") if name.strip()]
    return known


def _year(value: Any) -> int | None:
    return int(value) if str(value or "").isdecimal() else None
