"""What is derived, copied from the process that owns a log to one that begins to follow it; it spares a long replay.

The snapshot first, then the catalogue: what is ahead of a snapshot is made up for at opening, as after a kill. Whatever
is there already stays: a follower that starts again goes on from its own.
"""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

_CATALOGUE = "catalogue.db"


def seed(home: Path, folder: Path) -> None:
    """Copy the newest snapshot and the catalogue of ``home`` to a ``folder`` that has neither."""
    (folder / "snapshots").mkdir(parents=True, exist_ok=True)
    if (folder / _CATALOGUE).exists() or not (home / _CATALOGUE).exists():
        return
    for path in sorted(home.glob("snapshots/*.npz"))[-1:]:
        try:
            shutil.copyfile(path, folder / "snapshots" / path.name)
        except FileNotFoundError:  # a newer one took its place meanwhile: then all is replayed
            (folder / "snapshots" / path.name).unlink(missing_ok=True)
    draft = folder / f"{_CATALOGUE}.part"
    draft.unlink(missing_ok=True)
    uri = f"{(home / _CATALOGUE).resolve().as_uri()}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True, timeout=30.0)) as reading, closing(sqlite3.connect(draft)) as writing:
        reading.backup(writing)
    draft.rename(folder / _CATALOGUE)
