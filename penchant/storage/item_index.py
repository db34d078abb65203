"""Item vectors, and finding the ones nearest to a question.

Up to `EXACT` items the answer is an exact product. Beyond, a faiss index (inverted lists of 4-bit product codes, fast
scan; André, Kermarrec & Le Scouarnec 2015) is built in the background over a copy of the vectors and never changed:
items that came or changed since stand in an exact buffer beside it, and when the buffer is full they are added to a
copy of the index, swapped in by one reference, since faiss does not support adding while another thread searches. At
100,000 items that is 6 ms of work, and a new index 1.5 s; so a new one is trained only when as many were added as half
of what it was trained on. Its answer is a list of candidates only: scores are computed from the vectors themselves, so
its error is in what it misses, never in a score.

Arrays are indexed by the log's item number; `ready` says which numbers may be shown.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import faiss
import numpy as np
from numpy.typing import NDArray

from penchant.storage.state_store import grown
from penchant.threads import lower_priority

Floats = NDArray[np.float32]
Longs = NDArray[np.int64]

EXACT = 8_192
BUFFER = 1_024
_TRAIN = 20_000
_WORN = 2  # a new index once this part of what it was built on was added: cells and codes are of the catalogue then
_CELL = 400  # items in an inverted list; a twentieth of the lists is looked at
_SUBSPACES = 64  # of 4 bits: 32 bytes an item


class ItemIndex:
    """``vector`` [items, dim]; ``epoch`` counts changes of a vector, so that a state knows when to fold again."""

    def __init__(self, dim: int) -> None:
        faiss.omp_set_num_threads(1)
        self.dim, self.items, self.clock = dim, 0, 0
        self.vector = np.zeros((0, dim), np.float32)
        self.epoch = np.zeros(0, np.int64)
        self.known = np.zeros(0, np.uint8)  # sent as an item, not only mentioned by an event
        self.ready = np.zeros(0, np.uint8)  # known, available, not removed
        self.created = np.zeros(0)
        self._view = self._viewed(None, np.zeros(0, np.int64))  # read as one, so that a swap is one
        self._generation = 0  # of vectors; another one with every version
        self._mutex = threading.Lock()
        self._building: threading.Thread | None = None

    def ensure(self, items: int) -> None:
        if items > len(self.ready):
            room = max(items, len(self.ready) * 3 // 2, 256)
            first = len(self.created)
            for name in ("vector", "epoch", "known", "ready", "created"):
                setattr(self, name, grown(getattr(self, name), room))
            self.created[first:] = -np.inf
        self.items = max(self.items, items)

    def place(self, items: Longs, vectors: Floats) -> None:
        """Set vectors [n, dim] of items; searchable from the next call on. One that stands already is no change."""
        other = (self.epoch[items] == 0) | (self.vector[items] != vectors).any(1)
        items, vectors = items[other], vectors[other]
        with self._mutex:
            self.clock += 1
            self.vector[items], self.epoch[items] = vectors, self.clock
            self._view = self._viewed(self._view.built, np.union1d(self._view.buffer, items))
        if self.items > EXACT and len(self._view.buffer) > BUFFER:
            self._build()

    def _viewed(self, built: Built | None, buffer: Longs) -> _View:
        """The vectors of the buffer lie together, since gathering them for each question takes five times as long."""
        return _View(built, buffer, self.vector[buffer] if built is not None else self.vector[:0])

    def nearest(self, asked: Floats, limit: int) -> Longs:
        """The items nearest to one question [dim], in no order, about ``limit`` of them; not filtered by `ready`.

        One may be named twice: where it stood when the index was built, and where it stands now.
        """
        built, buffer, vectors = self._view
        if built is None:
            return _largest(self.vector[: self.items] @ asked, limit)
        found: Longs = built.index.search(asked[None], limit)[1][0]
        found = found[found >= 0]
        if not len(buffer):
            return found
        return np.concatenate((buffer[_largest(vectors @ asked, limit)], found))

    def fill(self, vectors: Floats, differing: Longs, built: Built | None) -> None:
        """All vectors [n, dim] at once, into an empty index; ``differing`` ones are not as they were published.

        ``built``: the large index over them as they were published, used where few of them differ. What was published
        stands at epoch 1, what differs at 2.
        """
        self.ensure(len(vectors))
        self.vector[: len(vectors)], self.epoch[: len(vectors)] = vectors, 1
        self.epoch[differing], self.clock = 2, 2
        if len(vectors) > EXACT:
            usable = built is not None and len(differing) <= BUFFER
            self._view = self._viewed(*((built, differing) if usable else (Built(vectors), np.zeros(0, np.int64))))

    def adopt(self, other: ItemIndex) -> None:
        """Take over vectors, epochs and the large index of another one, built beside this one under another version.

        What is known and ready stays. ``other`` is not used any more.
        """
        other.ensure(self.items)
        room = len(self.ready)
        with self._mutex:
            self.dim = other.dim
            self.vector, self.epoch = other.vector[:room], other.epoch[:room]
            if len(self.vector) < room:
                self.vector, self.epoch = grown(self.vector, room), grown(self.epoch, room)
            self.clock = other.clock
            self._generation += 1
            self._view = other._view

    def rebuild(self) -> None:
        """Build the large index now, in this thread, if the catalogue needs one."""
        if self.items > EXACT:
            self._swap(Built(self.vector[: self.items].copy()), self.clock, self._generation)

    def wait(self) -> None:
        """Wait for a build in the background."""
        if self._building is not None:
            self._building.join()

    def _build(self) -> None:
        """In the background. What changes from here on stays in the buffer, even while it is read."""
        if self._building is not None and self._building.is_alive():
            return
        with self._mutex:
            view, vectors, begun, generation = self._view, self.vector[: self.items], self.clock, self._generation

        def build() -> None:
            lower_priority()
            old = view.built
            built = Built(vectors.copy()) if old is None or old.is_worn else old.joined(view.buffer, view.vectors)
            self._swap(built, begun, generation)

        self._building = threading.Thread(target=build, name="penchant-index", daemon=True)
        self._building.start()

    def _swap(self, built: Built, begun: int, generation: int) -> None:
        """From one index to the next; what changed since ``begun`` stays in the buffer."""
        with self._mutex:
            if generation != self._generation:
                return  # built over vectors of another version
            buffer = self._view.buffer
            self._view = self._viewed(built, buffer[self.epoch[buffer] > begun])

    def arrays(self) -> dict[str, NDArray[Any]]:
        names = ("vector", "epoch", "known", "ready", "created")
        return {f"item_{name}": getattr(self, name)[: self.items] for name in names} | {
            "item_clock": np.array(self.clock)
        }

    def load(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        for name in ("vector", "epoch", "known", "ready", "created"):
            setattr(self, name, arrays[f"item_{name}"])
        self.clock, self.items = int(arrays["item_clock"]), len(self.ready)
        self._view = self._viewed(None, np.zeros(0, np.int64))
        self.rebuild()


def _largest(scores: Floats, limit: int) -> Longs:
    if len(scores) <= limit:
        return np.arange(len(scores))
    return np.argpartition(scores, len(scores) - limit)[len(scores) - limit :]


class _View(NamedTuple):
    built: Built | None
    buffer: Longs  # items that are not in it as they are now
    vectors: Floats  # theirs, where there is an index


class Built:
    """An immutable faiss index over the vectors of items 0..n-1, and of those that were added since."""

    def __init__(self, vectors: Floats) -> None:
        dim, cells = vectors.shape[1], max(16, len(vectors) // _CELL)
        self._coarse = faiss.IndexFlatIP(dim)  # referred to by the index, so it must live as long
        index = faiss.IndexIVFPQFastScan(self._coarse, dim, cells, _SUBSPACES, 4, faiss.METRIC_INNER_PRODUCT)
        index.by_residual, index.nprobe = False, _looked_at(cells)
        index.cp.min_points_per_centroid = 1  # few are enough to cut the space up; more cost minutes
        rows = np.random.default_rng(0).permutation(len(vectors))[:_TRAIN]
        index.train(vectors[rows])
        index.add(vectors)
        self.index: Any = index
        self._built_on = len(vectors)

    def joined(self, items: Longs, vectors: Floats) -> Built:
        """Another one, in which these stand too; one that stood already is found where it was as well."""
        other = Built.__new__(Built)
        other.index, other._built_on = faiss.clone_index(self.index), self._built_on
        other.index.add_with_ids(vectors, items)
        return other

    @property
    def is_worn(self) -> bool:
        return bool((self.index.ntotal - self._built_on) * _WORN >= self._built_on)

    def serialised(self) -> bytes:
        return bytes(faiss.serialize_index(self.index).tobytes())

    @classmethod
    def read(cls, path: Path) -> Built:
        """An index that was published with a version."""
        self = cls.__new__(cls)
        self.index = faiss.deserialize_index(np.fromfile(path, np.uint8))
        self.index.nprobe = _looked_at(self.index.nlist)
        self._built_on = self.index.ntotal
        return self


def _looked_at(cells: int) -> int:
    return max(8, cells // 20)
