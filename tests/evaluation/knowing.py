"""Version 0 with heads and a rating model made by hand, so that what the engine says of them is known exactly."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from penchant.models import versions
from penchant.models.heads import Heads
from penchant.models.rating import SUMS, RatingModel
from penchant.storage.event_log import EventLog

MEAN, DAMPED = 3.0, 5.0  # stars; a person's residuals count as if there were five more of 0
WIDTH, HIDDEN = 1, 1


def number_of(folder: Path, actions: Iterable[str]) -> np.ndarray:
    """The log's numbers of actions."""
    log = EventLog(folder, read_only=True)
    try:
        return np.array([log.actions.get(name) for name in actions], np.int64)
    finally:
        log.close()


def hand_made_heads(actions: np.ndarray, likely: Iterable[float], dim: int, loudness: float = 0.0) -> Heads:
    """Of each action, the probability where nothing else speaks; ``loudness`` of what person and item add."""
    bias = np.array([np.log(p / (1 - p)) for p in likely], np.float32)
    weight = np.random.default_rng(0).normal(size=(len(actions), dim, dim)) * loudness
    return Heads(actions, weight.astype(np.float32), bias)


def hand_made_rating(of_items: list[float], limits: tuple[float, float] = (1.0, 5.0)) -> RatingModel:
    """Stars are 3 + the item's own + the person's residuals / (how many + 5), clipped."""

    def nothing(*shape: int) -> np.ndarray:
        return np.zeros(shape, np.float32)

    return RatingModel(
        mean=np.array([MEAN], np.float32),
        bias=np.array(of_items, np.float32),
        rated=nothing(len(of_items), SUMS),
        liked=nothing(len(of_items), SUMS),
        item=nothing(len(of_items), WIDTH),
        item_bias=nothing(len(of_items)),
        damp=np.ones(SUMS, np.float32),
        straight=nothing(WIDTH + 1, SUMS + 5),
        straight_bias=nothing(WIDTH + 1),
        inner=nothing(HIDDEN, SUMS + 5),
        inner_bias=nothing(HIDDEN),
        outer=nothing(WIDTH + 1, HIDDEN),
        outer_bias=nothing(WIDTH + 1),
        limits=np.array(limits, np.float32),
        actions=np.array([0]),
    )


def publish(folder: Path, likely: dict[str, float] | None, rating: RatingModel | None, loudness: float = 0.0) -> None:
    """The newest version of a closed folder once more, with heads and ratings beside it; it is used from now on."""
    path = versions.published(folder / "versions")[-1]
    manifest = versions.read_manifest(path)
    files = {name: (path / name).read_bytes() for name in manifest.files}
    if likely is not None:
        heads = hand_made_heads(number_of(folder, likely), likely.values(), manifest.dim, loudness)
        files[versions.HEADS] = heads.packed()
    if rating is not None:
        files[versions.RATING] = rating._replace(actions=number_of(folder, ["rate"])).packed()
    manifest.name = "known"
    versions.publish(folder / "versions", manifest, files)
