"""A version as the engine runs it: four ONNX sessions, one thread each, no torch.

All calls are batched over people or items; a call costs tens of microseconds whatever the graph, so callers put what
is waiting into one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from penchant.models.versions import GRAPHS, Manifest, read_manifest

Floats = NDArray[np.float32]


class Version:
    """A loaded version directory; raises Corrupt by `read_manifest` when it is incomplete or foreign."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.manifest: Manifest = read_manifest(path)
        self._item, self._step, self._fold, self._query = (_session(path / name) for name in GRAPHS)

    @property
    def name(self) -> str:
        return self.manifest.name

    def items(self, text: Floats) -> Floats:
        """Text vectors [n, text_dim] -> item vectors [n, dim]; a zero row (no text) stays zero."""
        out: Floats = self._item.run(None, {"text": text})[0]
        out[~text.any(1)] = 0.0
        return out

    def step(self, state: Floats, x: Floats, action: NDArray[np.int64], value: Floats, gap: Floats) -> Floats:
        """One event each: states [n, size], x [n, dim], action, value, gap [n] -> states [n, size]."""
        feed = {"state": state, "x": x, "action": action, "value": value, "gap": gap}
        out: Floats = self._step.run(None, feed)[0]
        return out

    def fold(
        self, state: Floats, x: Floats, action: NDArray[np.int64], value: Floats, gap: Floats, mask: Floats
    ) -> Floats:
        """k events each, padding where mask is 0: x [n, k, dim], the others [n, k] -> states [n, size]."""
        feed = {"state": state, "x": x, "action": action, "value": value, "gap": gap, "mask": mask}
        out: Floats = self._fold.run(None, feed)[0]
        return out

    def query(self, state: Floats) -> Floats:
        """States [n, size] -> f(x) [n, dim], to be multiplied with item vectors."""
        out: Floats = self._query.run(None, {"state": state})[0]
        return out


def _session(path: Path) -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3  # graphs may declare inputs that they do not read
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
