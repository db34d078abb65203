"""g(y): the vector of an item, from what it says of itself and from what people did with it.

    content  = W whitened(text) + bag of tags + W ramps(numbers) + W brought        (each part where it is there)
    content += SwiGLU(content)
    vector   = content + residual of this item                                      the last coordinate is the bias

The residual is what the item's history adds. It is dropped at random while training, so that content learns to stand
alone: a new item's residual is zero. Without content there is nothing to stand on, and nothing is dropped. The last
coordinate meets the constant 1 at the end of f(x), so an item's bias is part of its vector and of any index over it.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from penchant.models.torch.user_state import Gated, Ramps


class ContentShape(NamedTuple):
    """What the items of a catalogue bring; all empty: a catalogue of ids alone."""

    text: int = 0  # numbers in a text's vector, before whitening
    whitened: int = 0  # after it
    tags: int = 0  # ids in use, from 1
    numbers: tuple[tuple[float, ...], ...] = ()  # knots of each field
    brought: tuple[int, ...] = ()  # lengths of the brought vectors


class Content(NamedTuple):
    """What items say of themselves, [n, ...]."""

    text: Tensor  # [n, text]; a zero row: no text
    tags: Tensor  # [n, m] ids, 0 for none
    numbers: Tensor  # [n, fields]; NaN: none
    brought: Tensor  # [n, sum of brought], each part at length 1; a zero part: none

    def rows(self, items: Tensor) -> Content:
        return Content(*(part[items] for part in self))


class ItemEncoder(nn.Module):
    """See the module; ``residual_dropout`` is the share of items whose residual is left out of a batch."""

    def __init__(self, dim: int, items: int, shape: ContentShape, residual_dropout: float) -> None:
        super().__init__()
        self.shape, self.dim = shape, dim
        self.residual = nn.Embedding(items, dim)
        nn.init.normal_(self.residual.weight, std=0.05)
        with torch.no_grad():
            self.residual.weight[:, -1] = 0.0
        self.register_buffer("text_mean", torch.zeros(shape.text))
        self.register_buffer("text_whitening", torch.zeros(shape.text, shape.whitened))
        self.text = nn.Linear(shape.whitened, dim, bias=False) if shape.text else None
        self.tags = nn.EmbeddingBag(shape.tags + 1, dim, mode="sum", padding_idx=0) if shape.tags else None
        self.ramps = nn.ModuleList(Ramps(knots) for knots in shape.numbers)
        self.numbers = nn.ModuleList(nn.Linear(len(knots), dim, bias=False) for knots in shape.numbers)
        self.brought = nn.ModuleList(nn.Linear(length, dim, bias=False) for length in shape.brought)
        self.mlp = Gated(dim) if self.has_content else None
        self.residual_dropout = residual_dropout if self.has_content else 0.0
        for part in (self.text, *self.numbers, *self.brought):
            if part is not None:
                nn.init.normal_(part.weight, std=0.05 / max(part.in_features, 1) ** 0.5)
        if self.tags is not None:
            nn.init.normal_(self.tags.weight, std=0.02)
        if self.mlp is not None:
            nn.init.normal_(self.mlp.up.weight, std=0.05)
            nn.init.zeros_(self.mlp.down.weight)

    @property
    def has_content(self) -> bool:
        return bool(self.shape.text or self.shape.tags or self.shape.numbers or self.shape.brought)

    def content(self, given: Content) -> Tensor:
        """[n, dim] of what items say of themselves."""
        out = torch.zeros(len(given.text), self.dim, device=given.text.device)
        if self.text is not None:
            there = (given.text != 0).any(-1, keepdim=True)
            out = out + self.text(((given.text - self.text_mean) @ self.text_whitening) * there)
        if self.tags is not None:
            out = out + self.tags(given.tags)
        for place, (ramps, linear) in enumerate(zip(self.ramps, self.numbers, strict=True)):
            out = out + linear(ramps(given.numbers[:, place]))
        start = 0
        for linear in self.brought:
            out = out + linear(given.brought[:, start : start + linear.in_features])
            start += linear.in_features
        return out if self.mlp is None else out + self.mlp(out)

    def forward(self, items: Tensor, given: Content | None) -> Tensor:
        """Vectors [n, dim] of items, numbered as in the log; ``given``: their content."""
        vector = self.residual(items)
        if given is None or not self.has_content:
            return vector
        if self.training and self.residual_dropout:
            vector = vector * (torch.rand(len(items), 1, device=items.device) >= self.residual_dropout)
        return self.content(given) + vector
