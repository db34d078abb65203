"""What is derived, copied from the process that owns a log to one that begins to follow it; it spares a long replay.

The snapshot first, then the catalogue, which goes back to it at opening, as after a kill; so no newer snapshot may have
been written between the two. Whatever is there already stays: a follower that starts again goes on from its own.
"""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

_CATALOGUE, _DRAFT = "catalogue.db", "catalogue.db.part"
_TRIES = 3  # a snapshot is seldom written; where none stands still, the log is replayed


def seed(home: Path, folder: Path) -> None:
    """Copy the newest snapshot and the catalogue of ``home`` to a ``folder`` that has neither."""
    (folder / "snapshots").mkdir(parents=True, exist_ok=True)
    if (folder / _CATALOGUE).exists() or not (home / _CATALOGUE).exists():
        return
    for _ in range(_TRIES):
        snapshot = newest(home)
        if snapshot is not None and _copied(snapshot, folder) and newest(home) == snapshot:
            (folder / _DRAFT).rename(folder / _CATALOGUE)
            return
        for path in (folder / _DRAFT, *folder.glob("snapshots/*.npz")):
            path.unlink(missing_ok=True)


def newest(home: Path) -> Path | None:
    """The newest snapshot. A catalogue that was copied while it was this one can go back to it, and to no older one."""
    return next(iter(sorted(home.glob("snapshots/*.npz"), reverse=True)), None)


def _copied(snapshot: Path, folder: Path) -> bool:
    """Whether the snapshot was still there to be copied; then the catalogue was, too."""
    try:
        shutil.copyfile(snapshot, folder / "snapshots" / snapshot.name)
    except FileNotFoundError:
        return False
    uri = f"{(snapshot.parent.parent / _CATALOGUE).resolve().as_uri()}?mode=ro"
    with (
        closing(sqlite3.connect(uri, uri=True, timeout=30.0)) as reading,
        closing(sqlite3.connect(folder / _DRAFT)) as writing,
    ):
        reading.backup(writing)
    return True
