"""Tenants on disk: `DATA/tenants/NAME`, each a data folder like any other. Does not know: engines, keys, HTTP."""

from __future__ import annotations

import re
import secrets
import shutil
from pathlib import Path

from msgspec import Struct

from penchant.config import FILE
from penchant.errors import InvalidInput, NotFound
from penchant.storage.event_log import EventLog

TENANTS = "tenants"
_LOG = "events.db"
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


class Listed(Struct, kw_only=True):
    """A tenant and how much its log takes up."""

    name: str
    log_bytes: int


def has_tenants(folder: Path) -> bool:
    return (folder / TENANTS).is_dir()


def folder_of(folder: Path, name: str) -> Path:
    """The data folder of a tenant. Raises NotFound, InvalidInput for what is no name."""
    path = _path(folder, name)
    if not path.is_dir():
        raise NotFound("there is no such tenant.", field="tenant", value=name, way_out="See `penchant tenant list`.")
    return path


def create(folder: Path, name: str, settings: str) -> Path:
    """Make a tenant with the text of its settings file. Raises InvalidInput."""
    path = _path(folder, name)
    if (folder / _LOG).exists():
        raise InvalidInput(
            "this folder holds the data of one application, and no tenants.",
            field="data",
            value=str(folder),
            way_out="Name another folder with --data; this one can be moved to its tenants/NAME.",
        )
    if path.exists():
        raise InvalidInput("this tenant is there already.", field="tenant", value=name, way_out="Choose another name.")
    path.mkdir(parents=True)
    (path / FILE).write_text(settings, encoding="utf-8")
    return path


def listed(folder: Path) -> list[Listed]:
    """By name."""
    found = sorted(path for path in (folder / TENANTS).glob("*") if _NAME.fullmatch(path.name) and path.is_dir())
    return [Listed(name=path.name, log_bytes=_log_bytes(path)) for path in found]


def remove(folder: Path, name: str) -> None:
    """Delete a tenant with all its data. Raises NotFound, and Unavailable while a server has it open."""
    path = folder_of(folder, name)
    EventLog(path).close()  # nobody has it open
    gone = path.with_name(f".removed-{name}-{secrets.token_hex(4)}")
    path.rename(gone)  # from here on it is not there, however long deleting takes
    shutil.rmtree(gone)


def _path(folder: Path, name: str) -> Path:
    if not _NAME.fullmatch(name):
        way_out = "Small letters, digits and -, at most 63 of them."
        raise InvalidInput("is no name of a tenant.", field="tenant", value=name, way_out=way_out)
    return folder / TENANTS / name


def _log_bytes(path: Path) -> int:
    return sum(part.stat().st_size for part in path.glob(f"{_LOG}*"))
