"""A copy of a data folder beside the server that works on it, and the way back. Complete or absent, with hashes.

    TO/manifest.json   when, by which program, up to which offset; bytes and sha256 of every other file
    TO/events.db       the log as it stood at one moment, by SQLite's own backup
    TO/penchant.toml, keys.json, versions/           settings, hashes of keys, versions of the model, as they are
    TO/catalogue.db, snapshots/                      derived; they spare a restored folder hours of reading and counting
    TO/tenants/NAME/                                 the same of each tenant, where the folder has tenants

Notable: the order makes it whole. The snapshot is copied first, the log last; so what is derived never knows of an
event that the log has not, and opening brings it up to the log as it does after a kill. Whatever was acknowledged
before the backup began is in it. While the log is copied its WAL cannot start over; it does when the copy is done.
Tenants are copied one after the other, each as it stood at a moment of its own; keys come before them, so that every
tenant that one of them leads to is there.

Does not know: how anything in these files is read. States that were published with a version (`states.npz`) are left
behind, and the language model with them: both are made again.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path, PurePosixPath

import msgspec
from msgspec import Struct

from penchant import __version__, durable, seeding
from penchant.config import FILE
from penchant.errors import Corrupt, InvalidInput, NotFound
from penchant.models import versions
from penchant.serving import keys, tenant_folders

FORMAT = 1
MANIFEST, LOG = "manifest.json", "events.db"
_CATALOGUE = "catalogue.db"
_TRIES = 3
_PAGES = 4_096  # copied at a time
_BLOCK = 2**20

Progress = Callable[[str, int, int], None]  # file, bytes done, bytes of it


class Kept(Struct):
    """A file of a backup."""

    bytes: int
    sha256: str


class Manifest(Struct, kw_only=True):
    """``offset``: of the newest event in it; ``created``: Unix seconds; ``files`` by their path in the folder.

    ``tenants``: the offset of each; then ``offset`` is 0, since there is no other log.
    """

    penchant: str
    created: float
    offset: int
    files: dict[str, Kept]
    tenants: dict[str, int] = {}
    format: int = FORMAT


def silent(file: str, done: int, of: int) -> None:
    """For a caller that does not want to know."""


def back_up(folder: Path, to: Path, progress: Progress = silent) -> Manifest:
    """Copy a data folder, whether or not a server has it open, to a folder ``to`` that is not there yet, or is empty.

    All its tenants as well, if it has any: the copy is complete or absent as a whole.

    Raises NotFound where there is no data, InvalidInput where there is something already, Corrupt for a broken log.
    """
    if not (folder / LOG).exists() and not tenant_folders.has_tenants(folder):
        raise NotFound("there is no log here.", field="data", value=str(folder), way_out="Name a folder with --data.")
    _refuse_used(to, "to")
    with _draft(to) as draft:
        created = time.time()
        for name in (FILE, keys.FILE):
            _copy_if_there(folder / name, draft / name, progress)
        offset = _copy_data(folder, draft, progress)
        tenants = _copy_tenants(folder, draft, progress)
        files = {str(path.relative_to(draft)): _kept(path) for path in sorted(draft.rglob("*")) if path.is_file()}
        manifest = Manifest(penchant=__version__, created=created, offset=offset, files=files, tenants=tenants)
        durable.write(draft / MANIFEST, msgspec.json.format(msgspec.json.encode(manifest), indent=2))
    return manifest


def restore(source: Path, folder: Path, progress: Progress = silent) -> Manifest:
    """Make a data folder of a backup; ``folder`` is not there yet, or is empty.

    Raises NotFound where there is no backup, InvalidInput where there is something already, Corrupt where a file is
    missing or is not the one that was backed up; then nothing is made.
    """
    manifest = _read_manifest(source)
    _refuse_used(folder, "data")
    with _draft(folder) as draft:
        for name, kept in manifest.files.items():
            path = source / name
            if not path.is_file():
                raise _damaged(source, f"{name} is missing.")
            if _copy(path, draft / name, progress) != kept.sha256:
                raise _damaged(source, f"{name} is not the file that was backed up.")
    return manifest


# -- what is copied, and how -------------------------------------------------------------------------------------------


def _copy_tenants(folder: Path, draft: Path, progress: Progress) -> dict[str, int]:
    """Every tenant, with the offset of its newest event. One that is removed meanwhile is not missed."""
    offsets: dict[str, int] = {}
    for tenant in tenant_folders.listed(folder):
        home, into = folder / tenant_folders.TENANTS / tenant.name, draft / tenant_folders.TENANTS / tenant.name
        try:
            _copy_if_there(home / FILE, into / FILE, progress)
            offsets[tenant.name] = _copy_data(home, into, progress)
        except (OSError, sqlite3.OperationalError):
            if home.exists():
                raise
        if not home.exists():
            offsets.pop(tenant.name, None)
            shutil.rmtree(into, ignore_errors=True)
    return offsets


def _copy_data(folder: Path, draft: Path, progress: Progress) -> int:
    """What one engine has; the offset of its newest event. A tenant that was never asked has nothing yet."""
    if not (folder / LOG).exists():
        return 0
    _copy_derived(folder, draft, progress)
    for name in _versions(folder):
        _copy_if_there(folder / name, draft / name, progress)
    _copy_database(folder / LOG, draft / LOG, progress)
    return _offset(draft / LOG)


def _copy_derived(folder: Path, draft: Path, progress: Progress) -> None:
    """The newest snapshot, and the catalogue, which goes back to it at opening as long as it is the newest."""
    for _ in range(_TRIES):
        snapshot = seeding.newest(folder)
        if snapshot is not None:
            _copy_if_there(snapshot, draft / "snapshots" / snapshot.name, progress)
        if (folder / _CATALOGUE).exists():
            _copy_database(folder / _CATALOGUE, draft / _CATALOGUE, progress)
        if seeding.newest(folder) == snapshot:
            return
        shutil.rmtree(draft / "snapshots")  # a restored folder replays its log, then
        (draft / _CATALOGUE).unlink()


def _versions(folder: Path) -> Iterator[str]:
    """The versions (the one that a snapshot needs is among them), then which is in use."""
    for version in versions.published(folder / "versions"):
        names = (path for path in sorted(version.iterdir()) if path.name != versions.STATES)
        yield from (str(path.relative_to(folder)) for path in names)
    yield f"versions/{versions.CURRENT}"


def _copy_if_there(source: Path, target: Path, progress: Progress) -> None:
    """A snapshot that has given way to a newer one meanwhile is not missed: it is derived."""
    try:
        _copy(source, target, progress)
    except FileNotFoundError:
        target.unlink(missing_ok=True)


def _copy(source: Path, target: Path, progress: Progress) -> str:
    """Copy a file, durably; the sha256 of what was copied."""
    digest, done, of = hashlib.sha256(), 0, source.stat().st_size
    target.parent.mkdir(parents=True, exist_ok=True)
    with open(source, "rb") as reading, open(target, "wb") as writing:
        while block := reading.read(_BLOCK):
            digest.update(block)
            writing.write(block)
            done += len(block)
            progress(source.name, done, of)
        writing.flush()
        os.fsync(writing.fileno())
    shutil.copymode(source, target)
    return digest.hexdigest()


def _copy_database(source: Path, target: Path, progress: Progress) -> None:
    """As it stands at this moment: a read transaction holds it, so that who writes meanwhile does not begin it anew."""
    uri = f"{source.resolve().as_uri()}?mode=ro"
    with (
        closing(sqlite3.connect(uri, uri=True, isolation_level=None, timeout=30.0)) as reading,
        closing(sqlite3.connect(target, isolation_level=None)) as writing,
    ):
        try:
            reading.execute("BEGIN")
            (page,) = reading.execute("PRAGMA page_size").fetchone()
            reading.execute("SELECT count(*) FROM sqlite_master").fetchone()  # from here on it stands still
            reading.backup(
                writing,
                pages=_PAGES,
                progress=lambda status, left, of: progress(source.name, (of - left) * page, of * page),
            )
            (verdict,) = writing.execute("PRAGMA quick_check(1)").fetchone()
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode not in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
                raise
            verdict = str(error)
    if verdict != "ok":
        raise Corrupt(
            f"{source.name} is damaged: {verdict}.",
            field="data",
            value=str(source),
            way_out="Stop the server and restore an older backup.",
        )


def _offset(log: Path) -> int:
    with closing(sqlite3.connect(log)) as reading:
        return int(reading.execute("SELECT coalesce(max(offset), 0) FROM events").fetchone()[0])


def _kept(path: Path) -> Kept:
    """What was written, read once more: it is on the disk when its hash is known."""
    with open(path, "rb") as file:
        os.fsync(file.fileno())
        return Kept(path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest())


# -- what is there, and what is not ------------------------------------------------------------------------------------


@contextmanager
def _draft(to: Path) -> Iterator[Path]:
    """A folder beside ``to`` that takes its place when all is in it, or leaves nothing behind."""
    to.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{to.name}-", dir=to.parent))
    try:
        yield draft
        for path in (draft, *draft.rglob("*/")):
            durable.sync(path)
        draft.rename(to)  # over an empty folder, too
        durable.sync(to.parent)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise


def _read_manifest(source: Path) -> Manifest:
    try:
        manifest = msgspec.json.decode((source / MANIFEST).read_bytes(), type=Manifest)
    except OSError:
        raise NotFound(
            "there is no backup here: it has no manifest.json.",
            field="from",
            value=str(source),
            way_out="Name the folder that `penchant backup` wrote.",
        ) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _damaged(source, f"its manifest cannot be read: {error}.") from None
    if manifest.format != FORMAT:
        raise _damaged(source, f"its format is {manifest.format}, this program reads {FORMAT}.")
    for name in manifest.files:
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise _damaged(source, f"its manifest names {name}, which lies outside of it.")
    logs = [f"{tenant_folders.TENANTS}/{name}/{LOG}" for name, offset in manifest.tenants.items() if offset]
    for log in logs if manifest.tenants else [LOG]:
        if log not in manifest.files:
            raise _damaged(source, f"its manifest does not name {log}.")
    return manifest


def _damaged(source: Path, why: str) -> Corrupt:
    return Corrupt(why, field="from", value=str(source), way_out="Use another backup; nothing was restored.")


def _refuse_used(folder: Path, field: str) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InvalidInput(
            "there is something already, and nothing is written over.",
            field=field,
            value=str(folder),
            way_out="Name a folder that is not there yet, or is empty.",
        )
