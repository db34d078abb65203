"""From an item's fields to its vector: template, language model, vectors brought by the application.

One low-priority thread reads texts. What was sent alone goes before what was sent in bulk, and a batch is small, so a
single new item is in the index within a second of being sent even during an import, and answers are never held up.
A text is read once: its vector is cached on disk under a hash of encoder and text.

An item's vector is the mean of its parts (text, each brought vector), every part brought to length 1 first.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penchant.errors import InvalidInput
from penchant.models.text_encoder import TextEncoder
from penchant.storage.catalogue import Catalogue, Row, text_key
from penchant.threads import lower_priority

Floats = NDArray[np.float32]

BATCH = 16
ALONE = 16  # sent together up to so many, items count as sent alone
UNREADABLE = 0.2
_SAMPLE = 1000
_log = logging.getLogger("penchant")


def render(template: str, fields: dict[str, Any]) -> str:
    """The text of an item. Without a template: every field that holds text, in the order sent, ". " between.

    Raises InvalidInput when the template itself is broken; a field that an item lacks is left empty.
    """
    if not template:
        return ". ".join(text for value in fields.values() if (text := _as_text(value)))
    try:
        return template.format_map(_Shown(fields)).strip()
    except (ValueError, IndexError, AttributeError, KeyError, TypeError) as error:
        raise InvalidInput(
            f"it cannot be filled in: {error}.",
            field="template",
            value=template,
            way_out='Write it like "{title}. {genres}".',
        ) from None


class _Shown(dict[str, Any]):
    def __init__(self, fields: dict[str, Any]) -> None:
        super().__init__({name: _as_shown(value) for name, value in fields.items()})

    def __missing__(self, name: str) -> str:
        return ""


def _as_shown(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _as_text(value: Any) -> str:
    """Text and lists of text; numbers speak as numbers, not as words."""
    if isinstance(value, str):
        return value.strip()
    return ", ".join(one for one in value if isinstance(one, str)) if isinstance(value, list) else ""


def text_vectors(encoder: TextEncoder | None, catalogue: Catalogue, texts: Sequence[str]) -> Floats:
    """Vectors of texts [n, text dim] from the cache or the model; zero where a text is empty."""
    if encoder is None:
        return np.zeros((len(texts), 1), np.float32)
    keys = [text_key(encoder.fingerprint, text) for text in texts]
    known = catalogue.vectors(list(dict.fromkeys(keys)))
    missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in known and text}
    if missing:
        fresh = dict(zip(missing, encoder.encode(list(missing.values())), strict=True))
        if not catalogue.read_only:
            catalogue.put_vectors(fresh.items())
        known.update(fresh)
    zero = np.zeros(encoder.dim, np.float32)
    return np.stack([known.get(key, zero) for key in keys]) if texts else np.zeros((0, len(zero)), np.float32)


class ItemTexts:
    """Reads texts of items in the background and hands vectors to ``place(rows, text vectors)``."""

    def __init__(
        self, encoder: TextEncoder | None, catalogue: Catalogue, place: Callable[[list[Row], Floats], None]
    ) -> None:
        self._encoder, self._catalogue, self._place = encoder, catalogue, place
        self._waiting = OrderedDict[int, Row]()  # in bulk; the newest version of each item
        self._urgent = OrderedDict[int, Row]()
        self._reading: dict[int, Row] = {}  # by the thread, at this moment
        self._changed = threading.Condition()
        self._closing = False
        self._sampled: list[str] = []
        self.warning: str | None = None
        self.failure: str | None = None
        self._thread = threading.Thread(target=self._loop, name="penchant-texts", daemon=True)
        self._thread.start()

    def submit(self, rows: Sequence[Row]) -> None:
        with self._changed:
            self._withdraw([row.item for row in rows])  # an older version must not be read after this one
            (self._urgent if len(rows) <= ALONE else self._waiting).update({row.item: row for row in rows})
            self._changed.notify_all()

    def pending(self, items: Sequence[int]) -> list[Row]:
        """Take the rows of these items out of the queue, to be read at once by the caller."""
        with self._changed:
            return self._withdraw(items)

    def still_wanted(self, rows: Sequence[Row]) -> list[int]:
        """Places of the rows being read that nobody sent again or took in the meantime."""
        with self._changed:
            return [place for place, row in enumerate(rows) if self._reading.get(row.item) is row]

    def _withdraw(self, items: Sequence[int]) -> list[Row]:
        queues: tuple[dict[int, Row], ...] = (self._waiting, self._urgent, self._reading)
        return [row for item in items for queue in queues if (row := queue.pop(item, None)) is not None]

    def unread(self) -> list[int]:
        """Items whose newest text has no vector yet."""
        with self._changed:
            return [*self._waiting, *self._urgent, *self._reading]

    @property
    def backlog(self) -> int:
        with self._changed:
            return self.waiting + len(self._reading)

    @property
    def waiting(self) -> int:
        return len(self._waiting) + len(self._urgent)

    def wait(self, progress: Callable[[int], None] | None = None) -> None:
        """Until every text sent so far is read; ``progress(left)`` now and then."""
        while True:
            with self._changed:
                if not self.backlog or self.failure:
                    return
                self._changed.wait(0.2)
            if progress:
                progress(self.backlog)

    def vectors(self, texts: Sequence[str]) -> Floats:
        """Vectors of texts [n, text dim] from the cache or the model; zero where a text is empty."""
        return text_vectors(self._encoder, self._catalogue, texts)

    def close(self) -> None:
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join()

    def _loop(self) -> None:
        lower_priority()
        while rows := self._next():
            try:
                self._check_readable(rows)
                self._place(rows, self.vectors([row.text for row in rows]))
            except Exception as error:  # the thread outlives a bad batch: it is named, and the next one read
                self.failed(rows, error)
            with self._changed:
                self._reading = {}
                self._changed.notify_all()

    def _next(self) -> list[Row]:
        with self._changed:
            while not (self._urgent or self._waiting or self._closing):
                self._changed.wait()
            if self._closing:
                return []
            queue = self._urgent or self._waiting
            rows = [queue.popitem(last=False)[1] for _ in range(min(BATCH, len(queue)))]
            self._reading = {row.item: row for row in rows}
            return rows

    def failed(self, rows: Sequence[Row], error: Exception) -> None:
        self.failure = f"texts of {len(rows)} items could not be read: {error}"
        _log.error("texts of items could not be read", extra={"items": len(rows)}, exc_info=error)

    def _check_readable(self, rows: Sequence[Row]) -> None:
        """Warn once when the encoder cannot read what the catalogue is written in."""
        if self._encoder is None or self.warning or len(self._sampled) >= _SAMPLE:
            return
        self._sampled += [row.text for row in rows if row.text]
        share = self._encoder.unknown_share(self._sampled)
        if share > UNREADABLE:
            self.warning = (
                f"{share:.0%} of the characters in item texts are unknown to the encoder {self._encoder.name}; "
                "set `encoder` in penchant.toml to a model that reads this language (a folder or a hub name, "
                "bge-small-zh-v1.5 for Chinese, say) and import the items again."
            )
            _log.warning(self.warning)
