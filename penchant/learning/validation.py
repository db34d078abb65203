"""How good a model is on targets that it did not learn from: the full catalogue, in one pass over whole histories.

The same question that `evaluation.replay` asks of the engine, without the engine: states go on with every event, the
weights stand still. What the person has met is taken out, but where repeats are asked for; items that are not in the
catalogue are not ranked.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from penchant.evaluation import metrics
from penchant.evaluation.labels import done_within
from penchant.learning import dataset
from penchant.learning.dataset import Batch, Histories, Windows
from penchant.learning.heads import Examples
from penchant.learning.pretrain import Data, as_told, autocast
from penchant.models.torch.scorer import Model

Longs = NDArray[np.int64]

_TOKENS = 16_384
_CHUNK = 2048
_MOST = 60_000  # targets looked at after each epoch


class Places(NamedTuple):
    """Where each target stood (from 0), whose it was, and which event of the histories it is; all [n]."""

    place: Longs
    person: Longs
    event: Longs

    def ndcg(self, k: int = 10) -> float:
        return float(metrics.gains(self.place, k).mean()) if len(self.place) else 0.0

    def hit_rate(self, k: int = 10) -> float:
        return float(metrics.hits(self.place, k).mean()) if len(self.place) else 0.0


class Answers(NamedTuple):
    """A batch, and f(x) [n, dim] at its counted places, window by window; ``event`` [n]: which event came next."""

    batch: Batch
    asked: Tensor
    event: Longs


def places(
    model: Model,
    data: Data,
    histories: Histories,
    windows: Windows,
    allowed: Tensor | None = None,
    hide_seen: bool = True,
) -> Places:
    """Places of all counted targets of the windows. ``allowed`` [items]: what may be ranked; None: the catalogue."""
    found: list[Places] = []
    table, shown = _table(model, data), data.there if allowed is None else allowed
    for batch, asked, event in _answers(model, data, histories, windows, table):
        counted = batch.target.T >= 0
        target = torch.from_numpy(batch.target.T[counted]).to(asked.device)
        seen = dataset.seen_pairs(batch) if hide_seen else (np.zeros(0, np.int64),) * 2
        person = np.broadcast_to(batch.person[:, None], counted.shape)[counted]
        found.append(Places(_places(asked, table, target, seen, shown), person, event))
    empty = np.zeros(0, np.int64)
    columns = (np.concatenate([empty, *column]) for column in zip(*found, strict=True)) if found else (empty,) * 3
    return Places(*columns)


@torch.no_grad()
def _table(model: Model, data: Data) -> Tensor:
    """Vectors [items, dim] of everything, as they are served."""
    model.eval()
    device = next(model.parameters()).device
    with autocast(device):
        return model.table(torch.arange(data.items, device=device), data.content).float()


def _answers(model: Model, data: Data, histories: Histories, windows: Windows, table: Tensor) -> Iterator[Answers]:
    """f(x) at every counted place of the windows, a batch at a time."""
    gaps = histories.gaps()
    for rows in dataset.batches(windows, _TOKENS, None):
        batch = dataset.collate(histories, gaps, windows.rows(rows), data.beginning)
        with torch.no_grad(), autocast(table.device):
            typed = model.typed(data.typed) if data.typed is not None and len(data.typed) else None
            asked = model.asked(as_told(batch, data.profile, table.device), table, typed).float()
        yield Answers(batch, asked, batch.event.T[batch.target.T >= 0])


def some(windows: Windows, histories: Histories, seed: int = 0) -> Windows:
    """Windows of enough people, drawn once, to measure after every epoch."""
    targets = windows.last - windows.counted
    order = np.random.default_rng(seed).permutation(windows.size)
    enough = int(np.searchsorted(np.cumsum(targets[order]), _MOST)) + 1
    return windows.rows(np.sort(order[:enough]))


@torch.no_grad()
def _places(asked: Tensor, table: Tensor, target: Tensor, seen: tuple[Longs, Longs], allowed: Tensor) -> Longs:
    """Ties go to the smaller number, as the engine's do."""
    out = np.zeros(len(asked), np.int64)
    row, item = (torch.from_numpy(part).to(asked.device) for part in seen)
    numbers = torch.arange(len(table), device=asked.device)
    with torch.autocast(asked.device.type, enabled=False):
        for start in range(0, len(asked), _CHUNK):
            scores = asked[start : start + _CHUNK] @ table.T
            own_item = target[start : start + _CHUNK, None]
            own = scores.gather(1, own_item)
            scores[:, ~allowed] = float("-inf")
            ends = torch.searchsorted(row, torch.tensor([start, start + _CHUNK], device=row.device))
            pairs = slice(int(ends[0]), int(ends[1]))
            scores[row[pairs] - start, item[pairs]] = float("-inf")
            before = (scores > own) | ((scores == own) & (numbers < own_item))
            out[start : start + _CHUNK] = before.sum(1).cpu().numpy()
    return out


def examples(
    model: Model, data: Data, histories: Histories, *, since: float = float("-inf"), most: int = 200_000
) -> Examples:
    """Every interaction with an item at or after a moment, with f(x) just before it; ``most``: the latest ones."""
    asked_of = histories._replace(target=(histories.item >= 0) & (histories.item < data.items))
    times = np.sort(histories.time[asked_of.target & (histories.time >= since)])
    since = max(since, float(times[-most])) if len(times) > most else since
    table = _table(model, data)
    asked, events = [np.zeros((0, model.item.dim), np.float32)], [np.zeros(0, np.int64)]
    for answers in _answers(model, data, asked_of, dataset.from_moment(asked_of, since), table):
        asked.append(answers.asked.cpu().numpy())
        events.append(answers.event)
    event = np.concatenate(events)
    in_time = np.argsort(histories.time[event], kind="stable")[-most:]
    event = event[in_time]
    people = np.repeat(np.arange(histories.people), np.diff(histories.start))
    done = done_within(people, histories.item, histories.action, histories.time, data.beginning)
    vectors: NDArray[np.float32] = table.cpu().numpy()[histories.item[event]]
    return Examples(np.concatenate(asked)[in_time], vectors, done[event])
