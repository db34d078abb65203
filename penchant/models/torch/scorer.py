"""People and items together: `f(x)^T g(y)` for what comes next. A model is one `Model`; it is trained as a whole."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from penchant.models.torch.item_encoder import Content, ContentShape, ItemEncoder
from penchant.models.torch.user_state import Events, Shape, UserState


class Told(NamedTuple):
    """A batch as tensors, [time, windows] each; see `learning.dataset.Batch`. ``profile`` is [windows, ids]."""

    item: Tensor
    words: Tensor
    action: Tensor
    value: Tensor
    gap: Tensor
    since: Tensor
    target: Tensor
    profile: Tensor


class Model(nn.Module):
    """``content``: what the items say of themselves, or None; ``words``: text vectors of what was typed."""

    def __init__(
        self, shape: Shape, items: int, content: ContentShape, residual_dropout: float, tower: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.item = ItemEncoder(shape.dim, items, content, residual_dropout)
        self.user = UserState(shape) if tower is None else tower

    def table(self, items: Tensor, content: Content | None) -> Tensor:
        """Vectors [n, dim] of items."""
        vectors: Tensor = self.item(items, content)
        return vectors

    def typed(self, words: Tensor) -> Tensor:
        """Vectors [n, dim] of typed words from their text vectors; zero where the text vector is."""
        n, shape = len(words), self.item.shape
        content = Content(
            words,
            torch.zeros(n, 1, dtype=torch.int64, device=words.device),
            torch.full((n, len(shape.numbers)), torch.nan, device=words.device),
            torch.zeros(n, sum(shape.brought), device=words.device),
        )
        return self.item.content(content) * (words != 0).any(-1, keepdim=True)

    def inputs(self, told: Told, table: Tensor, typed: Tensor | None) -> Events:
        """What the state is stepped by; ``table`` and ``typed`` are indexed by ``told.item`` and ``told.words``."""
        x = functional.embedding(told.item.clamp(min=0), table) * (told.item >= 0)[..., None]
        if typed is not None and len(typed):
            of_words = functional.embedding(told.words.clamp(min=0), typed) * (told.words >= 0)[..., None]
            both = ((told.item >= 0) & (told.words >= 0) & of_words.any(-1) & x.any(-1))[..., None]
            x = torch.where(both, (x + of_words) / 2.0, x + of_words)
        return Events(x, told.action, told.value, told.gap)

    def asked(self, told: Told, table: Tensor, typed: Tensor | None) -> Tensor:
        """f(x) [predicted, dim] at every place with a target, window by window."""
        streams = self.user.scan(self.inputs(told, table, typed)).transpose(0, 1)
        counted = told.target.T >= 0
        profile = told.profile[:, None].expand(-1, told.target.shape[0], -1)
        asked: Tensor = self.user.query(streams[counted], told.since.T[counted], profile[counted])
        return asked
