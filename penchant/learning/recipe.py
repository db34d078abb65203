"""One dial, the rest derived: how large a model is and how it is trained."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from penchant.errors import InvalidInput, Unavailable

Size = Literal["small", "medium", "large"]
SIZES: tuple[Size, ...] = ("small", "medium", "large")
REPEATS = 0.05  # share of meetings with an item that was met before, from which on repeats count
_LEAST_TOKENS, _MOST_TOKENS, _STEPS = 256, 8192, 100  # places in a batch, and batches in an epoch
MOST_STATE = 256  # numbers of all blocks together, so that a person's state stays within 4 KB
_WIDTHS = {"small": (64, 64, 64), "medium": (128, 128, 128), "large": (128, 256, 128)}  # dim, width, state of a block


Count = Annotated[int, Meta(ge=1)]
Share = Annotated[float, Meta(ge=0, lt=1)]


class Recipe(Struct, frozen=True, kw_only=True):
    """All that decides what a training does, next to the data. Measured on MovieLens-1M: docs/log.md.

    tokens      places in a batch: events and padding
    window      events that are learned from in one go; a state served has no such end
    epochs      of the cosine schedule; training stops earlier where validation does not improve for ``patience`` epochs
    average     decay of the average of weights that is what gets published
    values      whether the values of events are read; ``since`` whether the time since the newest event is, when asked
    text        whether texts and typed words are read; ``fields`` whether tags, numbers and brought vectors are
    ids         whether items have a residual of their own; without, they stand on content alone
    hide_seen   whether what a person has met is left out of the softmax
    negatives   shared by a batch, where the catalogue is too large for the full softmax
    """

    size: Size
    dim: Count
    width: Count
    state: Count
    blocks: Count = 2
    dropout: Share = 0.3
    residual_dropout: Share = 0.1
    learning_rate: float = 4e-3
    warm_up: Count = 100
    weight_decay: float = 0.01
    clip: float = 1.0
    tokens: Count = _MOST_TOKENS
    window: Count = 600
    epochs: Count = 16
    patience: Count = 3
    average: Share = 0.999
    values: bool = True
    since: bool = True
    text: bool = True
    fields: bool = True
    ids: bool = True
    hide_seen: bool = True
    negatives: Count = 2048
    decay: Literal["gated", "fixed"] = "gated"
    seed: int = 0


def derive(size: str, *, repeats: float = 0.0, events: int | None = None, **changed: object) -> Recipe:
    """The recipe of a size for data of so many events with this share of repeated meetings.

    Few events go into small batches, so that an epoch has about a hundred steps. ``changed``: parts of the recipe, by
    name.

    Raises InvalidInput for a size or a part that there is not, or a value that cannot be.
    """
    if size not in _WIDTHS:
        raise InvalidInput("no such size.", field="size", value=size, way_out=f"Choose one of {', '.join(SIZES)}.")
    dim, width, state = _WIDTHS[size]
    blocks = changed.get("blocks", 2)
    kept = min(state, MOST_STATE // blocks) if isinstance(blocks, int) and blocks > 0 else state
    plain = {"dim": dim, "width": width, "state": kept, "hide_seen": repeats < REPEATS}
    if events is not None:
        plain["tokens"] = max(_LEAST_TOKENS, min(_MOST_TOKENS, events // _STEPS))
    for name in changed:
        if name not in Recipe.__struct_fields__:
            parts = ", ".join(Recipe.__struct_fields__)
            raise InvalidInput("no such part.", field=name, value=changed[name], way_out=f"Choose one of {parts}.")
    try:
        return msgspec.convert({"size": size, **plain, **changed}, Recipe)
    except msgspec.ValidationError as error:
        name = str(error).rpartition("$.")[2].rstrip("`")
        raise InvalidInput(f"{error}.", field=name, value=changed.get(name), way_out="Correct the value.") from None


def memory_bytes(recipe: Recipe, items: int, text_dim: int, events: int) -> int:
    """An estimate of what a training holds at once: weights and their moments, tables, activations, the data."""
    weights = items * recipe.dim + recipe.blocks * recipe.width * (16 * recipe.width + 5 * recipe.state)
    activations = recipe.tokens * recipe.blocks * (recipe.width * 100 + recipe.state * 75) * 4
    logits = 2048 * min(items, 100_000) * 2 * 4
    table = items * (recipe.dim * 8 + (text_dim + 128) * 2) * 4
    return weights * 4 * 5 + activations + logits + table + events * 120 + 600 * 2**20


def check_memory(needed: int, size: str) -> None:
    """Raises Unavailable when the machine has less than the ``needed`` bytes to give to a model of this size."""
    free = _available()
    if free is not None and needed > free:
        raise Unavailable(
            f"training needs about {needed / 2**30:.1f} GB, {free / 2**30:.1f} GB are free.",
            field="size",
            value=size,
            way_out="Choose --size small, or free memory.",
        )


def _available() -> int | None:
    info = Path("/proc/meminfo")
    if not info.exists():
        return None
    lines = dict(line.split(":", 1) for line in info.read_text(encoding="ascii").splitlines() if ":" in line)
    return int(lines["MemAvailable"].split()[0]) * 1024
