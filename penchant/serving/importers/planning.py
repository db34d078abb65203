"""A path becomes a list of parts: items first, so that events find their items described, then users, then events.

Notable: of a folder of MovieLens or MIND only its own files are taken; of any other folder every table that is
understood, and `survey` also says what was left out and why.

What it does not know: how files of events overlap. Each is put in time order by itself; the one that starts earlier
comes first, which is right for a log cut by month. Put overlapping ones into one file.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from penchant.errors import InvalidInput, NotFound, Unavailable
from penchant.serving.importers.columns import Wish
from penchant.serving.importers.mind import is_mind, mind_part
from penchant.serving.importers.movielens import is_movielens, movielens_part
from penchant.serving.importers.parts import Part, What
from penchant.serving.importers.tables import SUFFIXES, WAY_OUT, first_time, table_part

_ORDER = {"items": 0, "users": 1, "events": 2}


def plan(
    path: Path,
    *,
    what: What | None = None,
    mapping: Mapping[str, str] | None = None,
    action: str | None = None,
    sort: bool = True,
) -> list[Part]:
    """What a file or folder will be read as; nothing is read but its beginnings.

    ``mapping`` overrides the guess with our word -> their column: user, item, words, action, value, time, id,
    context.NAME, and ``fields`` (columns of an item or user to keep, comma between them). A column "" means none;
    ``"rate"`` in double quotes means that constant; a time may name its unit, as in ``ts (milliseconds)``.
    ``action`` is that of all events where no column says it; without either: rate where there is a rating, buy where
    there is a quantity, else click. ``sort=False`` keeps the order of the file.
    Raises InvalidInput, with the way out, when it cannot be told; NotFound when there is nothing.
    """
    return survey(path, Wish(what, mapping, action, sort))[0]


def survey(path: Path, wish: Wish) -> tuple[list[Part], dict[str, str]]:
    """The plan, and the files of the folder that are left out: name -> reason."""
    if not path.exists():
        raise NotFound("there is no such file or folder.", field="path", value=str(path), way_out="Correct the path.")
    if path.is_file():
        return [_part(path, wish)], {}
    _check_folder(path, wish)
    parts, left_out = _parts(path, wish)
    if not parts:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in left_out.items())
        what = f"no file in it could be understood ({reasons})." if reasons else "no table in it."
        raise InvalidInput(what, field="path", value=path.name, way_out=WAY_OUT)
    return _ranked(parts), left_out


def _parts(folder: Path, wish: Wish) -> tuple[list[Part], dict[str, str]]:
    files = sorted(file for file in folder.iterdir() if file.is_file())
    for name, is_own in (("MovieLens", is_movielens), ("MIND", is_mind)):
        own = [file for file in files if is_own(file)]
        if own:
            others = {file.name: f"not one of the {name} files that are imported" for file in files if file not in own}
            return [_part(file, wish) for file in own], others
    parts, left_out = [], {}
    for file in files:
        if _suffix(file) not in SUFFIXES:
            continue
        try:
            parts.append(_part(file, wish))
        except (InvalidInput, Unavailable) as error:
            left_out[file.name] = f"{error.what} {error.way_out}"
    return parts, left_out


def _part(file: Path, wish: Wish) -> Part:
    if is_mind(file):
        return mind_part(file, wish)
    return movielens_part(file, wish) if is_movielens(file) else table_part(file, wish)


def _ranked(parts: list[Part]) -> list[Part]:
    several = sum(part.what == "events" for part in parts) > 1
    began = {part.name: first_time(part) for part in parts if several and part.what == "events"}
    return sorted(parts, key=lambda part: (_ORDER[part.what], began.get(part.name, 0.0), part.name))


def _suffix(file: Path) -> str:
    return Path(file.stem).suffix.lower() if file.suffix.lower() == ".gz" else file.suffix.lower()


def _check_folder(path: Path, wish: Wish) -> None:
    field = "mapping" if wish.mapping else "what" if wish.what else None
    if field:
        out = "Give one file, or import the folder's files one by one."
        raise InvalidInput("it belongs to one file, not to a folder.", field=field, value=path.name, way_out=out)
