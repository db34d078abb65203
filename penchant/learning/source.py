"""From a data folder to what a model is trained on. Reads beside the engine that holds the folder, and changes nothing.

The catalogue is that of today, also where histories are cut at an earlier moment: what an item says of itself is not
what people did. What profiles say is read only as far as it is not sensitive, or named in the setting `sensitive`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from penchant.beside import Beside
from penchant.config import load_settings
from penchant.errors import InvalidInput
from penchant.learning import dataset
from penchant.learning.dataset import Histories
from penchant.learning.pretrain import Data
from penchant.learning.recipe import Recipe
from penchant.models import fields as fields_of
from penchant.models.fields import SENSITIVE, Fields, as_words
from penchant.models.runtime import Version
from penchant.models.torch.item_encoder import Content, ContentShape
from penchant.models.torch.scorer import Model
from penchant.models.torch.user_state import Shape
from penchant.parts import encoder_of
from penchant.pipeline.items import text_vectors
from penchant.pipeline.words import Words
from penchant.storage.catalogue import Catalogue
from penchant.storage.event_log import EventLog

Floats = NDArray[np.float32]

_WHITENED = 128
_VALUE_KNOTS = 6


class Stand(NamedTuple):
    """Where a log stood: the offset of its newest event, and how many items it named."""

    upto: int
    items: int


class Source:
    """A data folder, opened to learn from. Raises NotFound where there is none, InvalidInput where it holds nothing.

    ``stand``: look no further than this, so that a run that was stopped goes on with the data that it began with.
    """

    def __init__(self, folder: Path, stand: Stand | None = None) -> None:
        self.folder, self.settings = folder, load_settings(folder)
        self.log = EventLog(folder, read_only=True)
        self.catalogue = Catalogue(folder, read_only=True)
        self.encoder = encoder_of(self.settings, folder)
        self.stand = stand or Stand(self.log.end, max(len(self.log.items), 1))
        self.upto, self.items = self.stand
        self.actions = [self.log.actions.name(number) for number in range(len(self.log.actions))]
        known = self.settings.actions
        self.weights = {name: known[name].weight if name in known else 0.0 for name in self.actions}
        self.rows = [row for row in self.catalogue.rows() if row.item < self.items]  # others were sent since
        self.there = np.zeros(self.items, np.bool_)
        self.there[[row.item for row in self.rows]] = True
        self.fields: Fields = fields_of.fit([row.fields for row in self.rows], [row.vectors for row in self.rows])
        self.profile: Fields = self._profile_fields()
        self.text = self.texts([row.text for row in self.rows])
        self.histories = self._histories()

    def texts(self, texts: Sequence[str]) -> Floats:
        return text_vectors(self.encoder, self.catalogue, texts)

    @property
    def text_dim(self) -> int:
        return self.encoder.dim if self.encoder is not None else 0

    @property
    def rating_actions(self) -> NDArray[np.int64]:
        """Numbers of the actions whose values say how much the item was liked."""
        return np.array([n for n, name in enumerate(self.actions) if name in self.settings.ratings], np.int64)

    def _histories(self) -> Histories:
        positive = np.array([weight > 0 for weight in self.weights.values()], np.bool_)
        histories = dataset.read_histories(self.log, positive, self.there, self.upto)
        if not histories.target.any():
            raise InvalidInput(
                "holds no interaction with an item of the catalogue.",
                field="data",
                value=str(self.folder),
                way_out="Import items and events first.",
            )
        return histories

    def _profile_fields(self) -> Fields:
        hidden = SENSITIVE - set(self.settings.sensitive)
        return fields_of.fit([as_words(one) for one in self.catalogue.profiles().values()], hidden=hidden)

    # -- for a recipe --------------------------------------------------------------------------------------------------

    def data(self, histories: Histories, recipe: Recipe) -> Data:
        """Tensors to train on. ``histories``: these, or a part of them."""
        if recipe.hide_seen:
            first = dataset.first_meetings(histories)
            histories = histories._replace(target=histories.target & first)
        typed = torch.from_numpy(self.texts(histories.texts)) if self._reads_text(recipe) else None
        there = torch.from_numpy(self.there)
        return Data(histories, self.items, there, len(self.actions), self._content(recipe), typed, self._profiles())

    def model(
        self, recipe: Recipe, tower: Callable[[Shape], Any] | None = None, known: Histories | None = None
    ) -> Model:
        """A new model for this folder, the same for the same seed; ``tower``: another user state, to compare.

        ``known``: the histories that it may know of, where these are not all.
        """
        torch.manual_seed(recipe.seed)
        shape = Shape(
            dim=recipe.dim,
            width=recipe.width,
            blocks=recipe.blocks,
            state=recipe.state,
            actions=len(self.actions),
            value_knots=_value_knots(known or self.histories) if recipe.values else (),
            profile=self.profile.tag_ids,
            since=recipe.since,
            dropout=recipe.dropout,
            decay=recipe.decay,
        )
        content = self._content_shape(recipe)
        model = Model(shape, self.items, content, recipe.residual_dropout, tower(shape) if tower else None)
        if not recipe.ids:
            _without_ids(model)
        if content.text:
            mean, whitening = _whitened(self.text[self.text.any(1)], content.whitened)
            model.item.text_mean.copy_(torch.from_numpy(mean))
            model.item.text_whitening.copy_(torch.from_numpy(whitening))
        return model

    def beside(self, version: Version) -> Beside:
        """Item vectors and states under a version, on this log."""
        return Beside(self.log, self.catalogue, self.texts, Words(self.encoder, version, self.log.words, _unread))

    def _reads_text(self, recipe: Recipe) -> bool:
        return recipe.text and self.encoder is not None and bool(self.text.any())

    def _content_shape(self, recipe: Recipe) -> ContentShape:
        text = self.text_dim if self._reads_text(recipe) else 0
        if not recipe.fields:
            return ContentShape(text=text, whitened=min(_WHITENED, text))
        return ContentShape(
            text=text,
            whitened=min(_WHITENED, text),
            tags=self.fields.tag_ids,
            numbers=tuple(tuple(knots) for knots in self.fields.numbers.values()),
            brought=tuple(self.fields.brought.values()),
        )

    def _content(self, recipe: Recipe) -> Content | None:
        shape = self._content_shape(recipe)
        if not (shape.text or shape.tags or shape.numbers or shape.brought):
            return None
        items, rows = np.array([row.item for row in self.rows], np.int64), self.rows
        described = [row.fields for row in rows]
        tags, numbers = self.fields.tag_rows(described), self.fields.number_rows(described)
        parts = (
            (self.text if shape.text else np.zeros((len(rows), 0), np.float32), 0.0),
            (tags, 0),
            (numbers, np.nan),
            (self.fields.brought_rows([row.vectors for row in rows]), 0.0),
        )
        return Content(*(torch.from_numpy(_spread(part, items, self.items, fill)) for part, fill in parts))

    def _profiles(self) -> torch.Tensor:
        known = self.catalogue.profiles() if self.profile.tag_ids else {}
        rows = self.profile.tag_rows([as_words(known.get(person, {})) for person in range(self.histories.people)])
        return torch.from_numpy(rows)

    def close(self) -> None:
        self.catalogue.close()
        self.log.close()

    def __enter__(self) -> Source:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _value_knots(histories: Histories) -> tuple[float, ...]:
    """Where values lie: each of them if they are few, else quantiles; empty where there are none."""
    values = histories.value[np.isfinite(histories.value)]
    different = np.unique(values)
    if len(different) > 2 * _VALUE_KNOTS:
        different = np.unique(np.quantile(values, np.linspace(0.0, 1.0, _VALUE_KNOTS)).astype(np.float32))
    return tuple(map(float, different)) if len(different) > 1 else ()


def _spread(part: NDArray[Any], items: NDArray[np.int64], count: int, fill: float) -> NDArray[Any]:
    """Rows [len(items), m] at the numbers of their items, [count, m]."""
    out = np.full((count, part.shape[1]), fill, part.dtype)
    out[items] = part
    return out


def _without_ids(model: Model) -> None:
    """Items stand on their content alone. Raises InvalidInput where they have none."""
    if not model.item.has_content:
        raise InvalidInput(
            "without ids and without content, all items are alike.",
            field="ids",
            value=False,
            way_out="Leave ids on, or let texts or fields be read.",
        )
    torch.nn.init.zeros_(model.item.residual.weight)
    model.item.residual.weight.requires_grad_(False)


def _whitened(text: Floats, dims: int) -> tuple[Floats, Floats]:
    """Mean and PCA whitening [text dim, dims] of text vectors, so that every direction is equally loud."""
    mean = text.mean(0)
    centred = (text - mean).astype(np.float64)
    values, components = np.linalg.eigh(centred.T @ centred / len(text))
    values, components = values[::-1][:dims], components[:, ::-1][:, :dims]
    components = components * np.sign(components[np.abs(components).argmax(0), np.arange(dims)])
    least = max(values[0] * 1e-4, 1e-12)  # one text alone does not vary
    return mean, (components / np.sqrt(np.maximum(values, least))).astype(np.float32)


def _unread(why: str) -> None:
    raise InvalidInput(why, field="words", way_out="Correct the setting `encoder`.")
