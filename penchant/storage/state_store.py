"""User states, as rows of arrays in memory: one row a person, at most 4,096 bytes, whatever the history.

A row holds the tensor now, the tensor at a checkpoint 32 to 64 events back, and the ring of events since; what the
events mean is the business of `pipeline.state`. The set of seen items grows with the history and is kept apart, in
`pipeline.counts`.

Snapshots of all arrays (states, counts, vectors) are one file each, complete or absent: written beside, synced,
renamed. A snapshot carries the log offset it stands at; what came after is replayed from the log.
"""

from __future__ import annotations

import io
import os
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penchant import durable
from penchant.errors import Corrupt
from penchant.kernels import Ring, new_ring

MAX_STATE_BYTES = 4096
STALE, CURRENT, OTHER_VERSION = 0, 1, 2
_FORMAT = 6
_OF_EVENTS = 6  # arrays of a ring that hold something of each event; the rest is of the person
_NAMES = ("now", "checkpoint", "sums", "fresh", "folded", "newest")  # arrays over people, next to the ring


class StateStore:
    """Arrays over people, grown by half when a new person needs room; ``size`` is the tensor's length.

    ``sums`` numbers are summed up over a person's ratings; a sum has no order, so there is no checkpoint of it.
    """

    def __init__(self, size: int, sums: int = 0) -> None:
        self.size, self.people = size, 0
        self.sums = np.zeros((0, sums), np.float32)
        self.now = np.zeros((0, size), np.float32)
        self.checkpoint = np.zeros((0, size), np.float32)
        self.fresh = np.zeros(0, np.uint8)  # CURRENT: `now` is the fold of checkpoint and ring
        self.folded = np.zeros(0, np.int64)  # the epoch of item vectors that `now` was folded with
        self.newest = np.zeros(0, np.int64)  # offset of the newest event of this person, stepped or not
        self.ring = new_ring(0)

    def ensure(self, people: int) -> None:
        """Make room for people numbered below ``people``; a new row is the empty state."""
        if people > len(self.fresh):
            room = max(people, len(self.fresh) * 3 // 2, 64)
            first = len(self.fresh)
            for name in _NAMES:
                setattr(self, name, grown(getattr(self, name), room))
            self.ring = Ring(*(grown(array, room) for array in self.ring))
            self.ring.newest[first:] = self.ring.anchor[first:] = -np.inf
            self.fresh[first:] = 1
        self.people = max(self.people, people)

    def of_other_size(self, size: int, sums: int = 0) -> StateStore:
        """An empty store for another model version; who had a state is marked, to be folded from the log again."""
        other = StateStore(size, sums)
        other.ensure(self.people)
        other.newest[: self.people] = self.newest[: self.people]
        other.fresh[other.newest > 0] = OTHER_VERSION
        return other

    def clear(self, person: int) -> None:
        """Back to the empty state, as if never seen."""
        self.now[person] = self.checkpoint[person] = 0.0
        self.sums[person] = 0.0
        self.fresh[person], self.folded[person], self.newest[person] = 1, 0, 0
        for array in self.ring:
            array[person] = 0
        self.ring.newest[person] = self.ring.anchor[person] = -np.inf

    def put(self, person: int, other: StateStore) -> None:
        """The first person of another store of the same sizes."""
        for name in _NAMES:
            getattr(self, name)[person] = getattr(other, name)[0]
        for name in Ring._fields:
            getattr(self.ring, name)[person] = getattr(other.ring, name)[0]

    def without(self, person: int, last: int) -> tuple[StateStore, NDArray[np.int64]]:
        """What would be known of a person had one event not been, as rows of a small store that are to be folded.

        Row 0 is the person as is; row k, without the k-th newest of the ``last`` events in the ring; the last row,
        without all that came before these. Also the offsets of these events, newest first.
        """
        n = int(self.ring.length[person])
        one = min(n, last)
        there = np.ones((one + 2, n), np.bool_)
        there[np.arange(1, one + 1), n - 1 - np.arange(one)] = there[-1, : n - one] = False
        kept, lengths = np.argsort(~there, axis=1, kind="stable"), there.sum(1)  # what is left out stands behind
        few = StateStore(self.size)
        few.ensure(len(there))
        for into, of in zip(few.ring[:_OF_EVENTS], self.ring[:_OF_EVENTS], strict=True):
            into[: len(there), :n] = of[person, :n][kept]
        rows = np.arange(len(there))
        few.ring.length[rows], few.fresh[rows] = lengths, STALE
        few.checkpoint[rows[:-1]], few.ring.anchor[rows[:-1]] = self.checkpoint[person], self.ring.anchor[person]
        newest = few.ring.time[rows, np.maximum(lengths, 1) - 1]
        few.ring.newest[rows] = np.where(lengths > 0, newest, few.ring.anchor[rows])
        return few, self.ring.offset[person, :n][::-1][:one].copy()

    def bytes_per_person(self) -> int:
        arrays = (self.now, self.checkpoint, self.sums, self.fresh, self.folded, self.newest, *self.ring)
        return int(sum(array[:1].nbytes for array in arrays if len(array)))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What a snapshot holds."""
        n = self.people
        plain = {f"state_{name}": getattr(self, name)[:n] for name in _NAMES}
        return plain | {f"ring_{name}": array[:n] for name, array in self.ring._asdict().items()}

    def load(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Take the arrays of a snapshot. Raises Corrupt when they are of another shape."""
        if (arrays["state_now"].shape[1], arrays["state_sums"].shape[1]) != (self.size, self.sums.shape[1]):
            raise Corrupt(
                "the snapshot's states are of another size.",
                field="snapshot",
                value=arrays["state_now"].shape,
                way_out="Delete the snapshot; it is rebuilt from the log.",
            )
        for name in _NAMES:
            setattr(self, name, arrays[f"state_{name}"])
        self.ring = Ring(*(arrays[f"ring_{name}"] for name in Ring._fields))
        self.people = len(self.fresh)


def grown(array: NDArray[Any], rows: int) -> NDArray[Any]:
    """The array with its first axis grown to ``rows`` with zeros."""
    out = np.zeros((rows, *array.shape[1:]), array.dtype)
    out[: len(array)] = array
    return out


def write_snapshot(folder: Path, offset: int, arrays: Mapping[str, NDArray[Any]], version: str) -> Path:
    """Write a snapshot, complete or absent, and forget the older ones."""
    folder.mkdir(parents=True, exist_ok=True)
    path, draft = folder / f"{offset:016d}.npz", folder / "draft"
    with open(draft, "wb") as file:
        np.savez(file, **arrays, offset=np.int64(offset), format=np.int64(_FORMAT), version=np.array(version))  # type: ignore[arg-type]
        file.flush()
        os.fsync(file.fileno())
    draft.rename(path)
    durable.sync(folder)
    drop_snapshots(folder, keep=path)
    return path


def packed(arrays: Mapping[str, NDArray[Any]], offset: int) -> bytes:
    """States of a model version, as they are published with it."""
    out = io.BytesIO()
    np.savez(out, offset=np.int64(offset), format=np.int64(_FORMAT), **arrays)  # type: ignore[arg-type]
    return out.getvalue()


def read_arrays(path: Path) -> dict[str, NDArray[Any]] | None:
    """What `packed` wrote; None where there is nothing, or of another format: states are folded from the log then."""
    try:
        with open(path, "rb") as handle, np.load(handle, allow_pickle=False) as file:
            found = {name: file[name] for name in file.files}
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile):
        return None
    return found if int(found.get("format", -1)) == _FORMAT else None


def drop_snapshots(folder: Path, keep: Path | None = None) -> None:
    for old in folder.glob("*.npz"):
        if old != keep:
            old.unlink()


def written(folder: Path) -> float | None:
    """When the newest snapshot was written, Unix seconds."""
    paths = sorted(folder.glob("*.npz"))
    try:
        return paths[-1].stat().st_mtime if paths else None
    except FileNotFoundError:  # a newer one has taken its place, this moment
        return time.time()


def read_snapshot(folder: Path) -> tuple[int, str, dict[str, NDArray[Any]]] | None:
    """(offset, version, arrays) of the newest snapshot, or None. One that cannot be read is refused by name."""
    paths = sorted(folder.glob("*.npz"))
    if not paths:
        return None
    try:
        with open(paths[-1], "rb") as handle, np.load(handle, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        offset, version, form = int(arrays.pop("offset")), str(arrays.pop("version")), int(arrays.pop("format"))
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise Corrupt(
            f"it cannot be read: {error}.",
            field="snapshot",
            value=paths[-1].name,
            way_out="Delete the file; states and counts are rebuilt from the log.",
        ) from error
    if form != _FORMAT:
        return None
    return offset, version, arrays
