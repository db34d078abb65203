"""A version as the engine runs it: four ONNX sessions, one thread each, no torch.

All calls are batched over people or items; a call costs tens of microseconds whatever the graph, so callers put what
is waiting into one. Version 0 and trained versions answer the same calls; what differs is said here, in one place:

                        version 0                              trained
    item vector         mean of text and brought vectors,      content graph + residual of the item,
                        at length 1                            the last coordinate is its bias
    an item and words   their mean, at length 1                their mean
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from penchant.models.cold_start import brought_projection
from penchant.models.fields import as_words
from penchant.models.heads import Heads
from penchant.models.rating import SIZE, RatingModel
from penchant.models.versions import GRAPHS, HEADS, RATING, Manifest, read_manifest

Floats = NDArray[np.float32]
Longs = NDArray[np.int64]


class Described(Protocol):
    """What an item says of itself; `storage.catalogue.Row` is one."""

    item: int
    fields: dict[str, Any]
    vectors: dict[str, list[float]]


class LastEvents(NamedTuple):
    """The newest event of each of n people: x [n, dim], action, value, gap [n]; nobody's is the beginning."""

    x: Floats
    action: Longs
    value: Floats
    gap: Floats


class Version:
    """A loaded version directory; raises Corrupt by `read_manifest` when it is incomplete or foreign."""

    beginning = 256  # stands where a person's newest action would, when there is none; no action has this number

    def __init__(self, path: Path) -> None:
        self.path = path
        self.manifest: Manifest = read_manifest(path)
        self._item, self._step, self._fold, self._query = (_Graph(path / name) for name in GRAPHS)
        self.trained = self.manifest.training is not None
        self._reads_text = self._item.reads("text")
        self.reads_last = self._query.reads("x")  # version 0 asks by the state alone
        self.heads = Heads.load(path / HEADS) if HEADS in self.manifest.files else None
        self.rating = RatingModel.load(path / RATING) if RATING in self.manifest.files else None
        self._residual: Floats = np.load(path / "residual.npy") if self.trained else np.zeros((0, 0), np.float32)

    @property
    def name(self) -> str:
        return self.manifest.name

    @property
    def sums(self) -> int:
        """Numbers that are summed up over a person's ratings."""
        return SIZE if self.rating is not None else 0

    def published_vectors(self) -> Floats:
        """Item vectors [items, dim] as of the publication; none for version 0."""
        path = self.path / "vectors.npy"
        out: Floats = np.load(path) if path.exists() else np.zeros((0, self.manifest.dim), np.float32)
        return out

    def items(self, rows: Sequence[Described], text: Floats) -> Floats:
        """Item vectors [n, dim] from text vectors [n, text_dim], fields, brought vectors, and, if trained, history."""
        if not self.trained:
            return self._blended(rows, text)
        out = self._content([row.fields for row in rows], [row.vectors for row in rows], text)
        numbers = np.array([row.item for row in rows], np.int64)
        known = numbers < len(self._residual)
        out[known] += self._residual[numbers[known]]
        return out

    def words(self, text: Floats) -> Floats:
        """Vectors [n, dim] of typed words from text vectors [n, text_dim]; zero where the text vector is."""
        if not self.trained:
            return self._texts(text)
        if not self._reads_text:
            return np.zeros((len(text), self.manifest.dim), np.float32)
        out = self._content([{}] * len(text), [{}] * len(text), text)
        out[~text.any(1)] = 0.0
        return out

    def joined(self, item: Floats, words: Floats) -> Floats:
        """x [n, dim] of events that hold an item (or a zero vector) and words."""
        if self.trained:
            both = item.any(1, keepdims=True) & words.any(1, keepdims=True)
            return np.where(both, (item + words) / np.float32(2.0), item + words)
        return _unit(item + words)

    def likeness(self, vectors: Floats) -> Floats:
        """Item vectors [n, dim] as questions for items like them: no bias, length 1."""
        if not self.trained:
            return vectors
        asked = vectors.copy()
        asked[:, -1] = 0.0
        return _unit(asked)

    def step(self, state: Floats, x: Floats, action: Longs, value: Floats, gap: Floats) -> Floats:
        """One event each: states [n, size], x [n, dim], action, value, gap [n] -> states [n, size]."""
        return self._step(state=state, x=x, action=self._known(action), value=value, gap=gap)

    def fold(self, state: Floats, x: Floats, action: Longs, value: Floats, gap: Floats, mask: Floats) -> Floats:
        """k events each, padding where mask is 0: x [n, k, dim], the others [n, k] -> states [n, size]."""
        return self._fold(state=state, x=x, action=self._known(action), value=value, gap=gap, mask=mask)

    def query(
        self, state: Floats, last: LastEvents | None = None, since: Floats | None = None, profile: Longs | None = None
    ) -> Floats:
        """States [n, size] -> f(x) [n, dim], to be multiplied with item vectors.

        ``since`` [n]: log1p of the seconds since the newest event; ``profile`` [n, m]: ids of profile values. The state
        alone is enough where the version does not read the newest event (`reads_last`).
        """
        if last is None or since is None or profile is None:
            return self._query(state=state)
        return self._query(
            state=state, x=last.x, action=self._known(last.action), value=last.value, gap=last.gap, since=since,
            profile=profile,
        )  # fmt: skip

    def profiles(self, fields: Sequence[Mapping[str, Any]]) -> Longs:
        """Ids [n, m] of what the profiles of n people say, as far as this version reads profiles."""
        return self.manifest.profile.tag_rows([as_words(one) for one in fields])

    def _known(self, action: Longs) -> Longs:
        """Actions as the graphs number them; what was named after the training is read as its first action."""
        known = len(self.manifest.actions)
        return np.where(action == self.beginning, known, np.where(action < known, action, 0))

    def _content(self, fields: Sequence[dict[str, Any]], vectors: Sequence[Any], text: Floats) -> Floats:
        read = self.manifest.fields
        return self._item(
            text=text,
            tags=read.tag_rows(fields),
            numbers=read.number_rows(fields),
            brought=read.brought_rows(vectors),
        ).copy()

    def _texts(self, text: Floats) -> Floats:
        out = self._item(text=text).copy()
        out[~text.any(1)] = 0.0
        return out

    def _blended(self, rows: Sequence[Described], text: Floats) -> Floats:
        out = self._texts(text)
        alike: dict[tuple[str, int], list[int]] = {}
        for place, row in enumerate(rows):
            for name, brought in row.vectors.items():
                alike.setdefault((name, len(brought)), []).append(place)
        for (name, length), places in alike.items():
            together = np.array([rows[place].vectors[name] for place in places], np.float32)
            out[places] += _unit(together @ brought_projection(name, length))
        return _unit(out)


class _Graph:
    """An ONNX session that is fed those of the named arrays that it reads."""

    def __init__(self, path: Path) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        self._session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self._reads = [one.name for one in self._session.get_inputs()]

    def reads(self, name: str) -> bool:
        """Whether an input is read, and not only counted: then it has a width."""
        widths = [one.shape[-1] for one in self._session.get_inputs() if one.name == name]
        return bool(widths) and isinstance(widths[0], int)

    def __call__(self, **given: NDArray[Any]) -> Floats:
        out: Floats = self._session.run(None, {name: given[name] for name in self._reads})[0]
        return out


def _unit(rows: Floats) -> Floats:
    """Rows at length 1; a zero row stays zero."""
    out: Floats = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    return out
