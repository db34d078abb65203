"""Words that a person typed, as vectors in the space of items. A search moves the state as an item does.

Such words are personal: their vectors are kept in memory only, and are read from the log again where they are missed,
so that an erasure has nothing left to find.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penchant.models.runtime import Version
from penchant.models.text_encoder import TextEncoder

Floats = NDArray[np.float32]

_KEPT = 50_000
_log = logging.getLogger("penchant")


class Words:
    """``words_of(offset)`` reads the words of an event from the log, None where it has none.

    Where the language model fails, ``failed`` is told why, and the words count as unread: a zero vector.
    """

    def __init__(
        self,
        encoder: TextEncoder | None,
        version: Version,
        words_of: Callable[[int], str | None],
        failed: Callable[[str], None],
    ) -> None:
        self._encoder, self.version, self._words_of, self._failed = encoder, version, words_of, failed
        self._texts: OrderedDict[str, Floats] = OrderedDict()
        self._offsets: OrderedDict[int, str] = OrderedDict()

    def read(self, texts: Iterable[str]) -> None:
        """Let the language model read texts now, outside any lock, so that `of` finds them ready."""
        missing = [text for text in dict.fromkeys(texts) if text not in self._texts]
        if not missing or self._encoder is None:
            return
        try:
            vectors = self._encoder.encode(missing)
        except Exception as error:  # whatever the runtime raises: an event is taken and a list is given without it
            self._failed(f"words could not be read: {error}")
            _log.exception("words could not be read")
            return
        for text, vector in zip(missing, vectors, strict=True):
            _keep(self._texts, text, vector)

    def of(self, text: str) -> Floats:
        """The vector [dim] of a text under the present version; zero where nothing can be read."""
        if self._encoder is None or not text.strip():
            return np.zeros(self.version.manifest.dim, np.float32)
        self.read([text])
        read = self._texts.get(text)
        if read is None:
            return np.zeros(self.version.manifest.dim, np.float32)
        vector: Floats = self.version.words(read[None])[0]
        return vector

    def at(self, offsets: Sequence[int]) -> Floats:
        """Vectors [n, dim] of the words of events."""
        return np.stack([self.of(self._text(offset)) for offset in offsets])

    def note(self, offset: int, text: str) -> None:
        _keep(self._offsets, offset, text)

    def forget(self, offsets: Iterable[int]) -> None:
        for offset in offsets:
            text = self._offsets.pop(offset, None)
            if text is not None:
                self._texts.pop(text, None)

    def _text(self, offset: int) -> str:
        if offset not in self._offsets:
            self.note(offset, self._words_of(offset) or "")
        return self._offsets[offset]


def _keep(kept: OrderedDict[Any, Any], key: object, value: object) -> None:
    kept[key] = value
    if len(kept) > _KEPT:
        kept.popitem(last=False)
