"""Worlds to learn from: a chain, in which item k is followed by item k + 1, as arrays and as a data folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from penchant import Event
from penchant.engine import Engine
from penchant.learning.dataset import Histories
from penchant.learning.pretrain import Data
from penchant.learning.publish import publish
from penchant.learning.recipe import Recipe, derive
from penchant.learning.source import Source
from penchant.models.torch.item_encoder import ContentShape
from penchant.models.torch.scorer import Model
from penchant.models.torch.user_state import Shape
from penchant.models.versions import use_version
from tests.conftest import DAY, NOW
from tests.models.torch.towers import shake

ITEMS = 20


class One(NamedTuple):
    """One event of a history, as `Histories` has it."""

    item: int = -1
    words: int = -1
    action: int = 0
    value: float = float("nan")
    time: float = 0.0
    target: bool = True


def histories(people: Sequence[Sequence[One]], texts: int = 0) -> Histories:
    columns = list(zip(*(one for person in people for one in person), strict=True)) or [()] * 6
    kinds = (np.int64, np.int64, np.int64, np.float32, np.float64, np.bool_)
    item, words, action, value, time, target = (
        np.array(column, kind) for column, kind in zip(columns, kinds, strict=True)
    )
    start = np.cumsum([0, *map(len, people)])
    return Histories(start, item, words, action, value, time, target & (item >= 0), [f"text {k}" for k in range(texts)])


def chain(people: int = 60, items: int = ITEMS, seed: int = 0, last: int = 12) -> Histories:
    """Everybody starts somewhere and goes on from item to item, once around at most."""
    draw = np.random.default_rng(seed)
    return histories(
        [
            [
                One(int(first + k) % items, time=NOW + 100.0 * k + float(begun))
                for k in range(int(draw.integers(3, last + 1)))
            ]
            for first, begun in zip(draw.integers(0, items, people), draw.uniform(0, DAY, people), strict=True)
        ]
    )


def recipe(**changed: Any) -> Recipe:
    """Small and quick enough for a test."""
    return derive("small", **({"dim": 16, "width": 16, "state": 16, "tokens": 128, "warm_up": 10, "epochs": 4,
                              "learning_rate": 0.02, "dropout": 0.1, "average": 0.9} | changed))  # fmt: skip


def data(of: Histories, items: int = ITEMS) -> Data:
    """Items that say nothing of themselves, one action."""
    there = torch.ones(items, dtype=torch.bool)
    return Data(of, items, there, 1, None, None, torch.zeros(of.people, 1, dtype=torch.int64))


def model(of: Recipe, items: int = ITEMS) -> Model:
    torch.manual_seed(of.seed)
    shape = Shape(of.dim, of.width, of.blocks, of.state, 1, (), 0, of.since, of.dropout, of.decay)
    return Model(shape, items, ContentShape(), of.residual_dropout)


# -- as a data folder --------------------------------------------------------------------------------------------------


def item_events(items: int = ITEMS) -> list[Event]:
    turn = 2 * np.pi / items
    return [
        Event(
            kind="item",
            item=f"i{k}",
            fields={"genre": "abc"[k % 3], "year": 1990 + k},
            vectors={"v": [float(np.cos(k * turn)), float(np.sin(k * turn)), 1.0]},
            time=NOW - DAY,
        )
        for k in range(items)
    ]


def chain_events(people: int = 60, items: int = ITEMS, seed: int = 0) -> list[Event]:
    of = chain(people, items, seed)
    whose = np.repeat(np.arange(people), np.diff(of.start))
    events = [
        Event(
            user=f"u{person}",
            item=f"i{item}",
            action="buy" if item % 3 == 0 else "click",
            value=float(item % 5) if item % 2 else None,
            time=float(time),
            id=f"e{k}",
        )
        for k, (person, item, time) in enumerate(zip(whose.tolist(), of.item.tolist(), of.time.tolist(), strict=True))
    ]
    return sorted(events, key=lambda event: event.time or 0.0)


def folder(path: Path, events: Sequence[Event], items: Sequence[Event] | None = None, settings: str = "") -> Path:
    """A closed data folder without a language model."""
    path.mkdir(parents=True)
    (path / "penchant.toml").write_text(f'encoder = "none"\n{settings}', encoding="utf-8")
    with Engine.open(path) as engine:
        assert not engine.ingest(item_events() if items is None else items).refused
        engine.wait_for_items()
        assert not engine.ingest(events).refused
    return path


def shaken(source: Source, of: Recipe) -> Model:
    """A model that learned nothing, with weights that are loud enough for a mistake to be heard."""
    made = source.model(of)
    shake(made)
    return made.eval()


def published(path: Path, use: bool = True, **changed: Any) -> tuple[Path, Model]:
    """A version of such a model beside the log of a folder, and that model."""
    with Source(path) as source:
        of = recipe(**changed)
        made = shaken(source, of)
        version = publish(path / "versions", source, made, of, epochs=0, metrics={})
    if use:
        use_version(path / "versions", version.name)
    return version, made
