"""Training the state and the item encoder together, on windows of histories, to predict the item that comes next.

    every epoch   histories are cut into windows at other places, windows of a length go into one batch
    every batch   table = g(all items); asked = f(scan(windows)); softmax of asked . table against what came next
    after each    the average of the weights is measured on validation; what was best is kept

The order of batches follows from (seed, epoch), all else that is random from torch's generator, which a checkpoint
holds: a run that was killed goes on bit for bit as if it had not been. Matrix products are bfloat16, on a CPU too;
sums and the recurrence are float32.
"""

from __future__ import annotations

import copy
import ctypes
import hashlib
import math
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from penchant.learning import dataset
from penchant.learning.dataset import Batch, Histories, Windows
from penchant.learning.recipe import Recipe
from penchant.models.torch.item_encoder import Content
from penchant.models.torch.losses import FULL, full_softmax, sampled_softmax
from penchant.models.torch.scorer import Model, Told

Longs = NDArray[np.int64]

CHECKPOINT_S = 60.0
_TRIMMED = 50  # batches after which freed memory is given back: getting it anew costs page faults


class Data(NamedTuple):
    """What a model is trained on. ``content`` and ``typed`` are tensors; ``profile`` [people, ids].

    ``there`` [items]: whether an item is in the catalogue.
    """

    histories: Histories
    items: int
    there: Tensor
    beginning: int
    content: Content | None
    typed: Tensor | None
    profile: Tensor


class Report(NamedTuple):
    """Where a training stands; ``validation`` after each epoch: (epoch, NDCG@10), ``best``: of them."""

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    events_per_s: float
    validation: list[tuple[int, float]]


class Trainer:
    """One training. ``validate(model)`` gives the figure to be large; without it, all epochs are run.

    ``checkpoint``: a file to go on from where there is one of the same recipe and data, written every minute and after
    every epoch.
    """

    def __init__(
        self,
        model: Model,
        data: Data,
        recipe: Recipe,
        *,
        validate: Callable[[Model], float] | None = None,
        told: Callable[[Report], None] | None = None,
        checkpoint: Path | None = None,
    ) -> None:
        self.recipe, self.data = recipe, data
        torch.set_num_threads(threads())
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._met = np.unique(data.histories.item[data.histories.item >= 0])
        _without_history(model, self._met)
        self.model, self.averaged = model.to(self.device), copy.deepcopy(model).to(self.device)
        self.data = Data(*(_moved(part, self.device) for part in data))
        self._validate, self._told, self._file = validate, told, checkpoint
        self._optimizer = _optimizer(self.model, recipe)
        self._gaps = data.histories.gaps()
        self.epoch = self.batch = self.step = 0
        self.curve: list[tuple[int, float]] = []
        self.losses: list[float] = []
        self._loss = self._predicted = 0.0
        self._best: dict[str, Tensor] = {}
        self._of = f"{recipe!r} {_fingerprint(data, model) if checkpoint else ''}"
        self._resume()

    def run(self, epochs: int | None = None) -> Model:
        """Train up to ``epochs`` (or as the recipe says), and give the average of weights that was best."""
        saved = time.monotonic()
        while self.epoch < (epochs or self.recipe.epochs):
            windows, batches = self._plan(self.epoch)
            begun, done = time.monotonic(), 0
            while self.batch < len(batches):
                done += self._learn(windows.rows(batches[self.batch]), len(batches))
                self.batch += 1
                if self.batch % _TRIMMED == 0:
                    _give_back()
                self._tell(len(batches), done / max(time.monotonic() - begun, 1e-9))
                if time.monotonic() - saved > CHECKPOINT_S and self.batch < len(batches):
                    self._save()
                    saved = time.monotonic()
            self.losses.append(self._loss / max(self._predicted, 1.0))
            self._loss = self._predicted = 0.0
            self.batch = 0
            if self._is_over():
                break
            self.epoch += 1
            self._save()
            saved = time.monotonic()
        if self._best:
            self.averaged.load_state_dict(self._best)
        return self.averaged.eval()

    @property
    def best_epoch(self) -> int:
        """The number of epochs after which validation was best."""
        return max(self.curve, key=lambda point: point[1])[0] if self.curve else len(self.losses)

    def _plan(self, epoch: int) -> tuple[Windows, list[Longs]]:
        random = np.random.default_rng((self.recipe.seed, epoch))
        windows = dataset.cut(self.data.histories, self.recipe.window, random)
        return windows, dataset.batches(windows, self.recipe.tokens, random)

    def _learn(self, windows: Windows, batches: int) -> int:
        batch = dataset.collate(self.data.histories, self._gaps, windows, self.data.beginning)
        predicted = int((batch.target >= 0).sum())
        if not predicted:
            return 0
        self.model.train()
        for group in self._optimizer.param_groups:
            group["lr"] = self._rate(batches)
        self._optimizer.zero_grad()
        loss = self._loss_of(batch)
        (loss / predicted).backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.clip)
        self._optimizer.step()
        self.step += 1
        self._average()
        self._loss, self._predicted = self._loss + loss.item(), self._predicted + predicted
        return predicted

    def _loss_of(self, batch: Batch) -> Tensor:
        batch, used = _words_of(batch)
        with autocast(self.device):
            typed = self.model.typed(self.data.typed[used]) if self.data.typed is not None and len(used) else None
            if len(self._met) > FULL:
                return self._sampled_loss(batch, typed)
            local, told, table = self._encoded(batch, self._met)
            asked = self.model.asked(told, table, typed).to(torch.bfloat16)
            hidden = _tensors(dataset.seen_pairs(local), self.device) if self.recipe.hide_seen else None
            return full_softmax(asked, table, told.target.T[told.target.T >= 0], hidden)

    def _sampled_loss(self, batch: Batch, typed: Tensor | None) -> Tensor:
        """Only the items of the batch and the negatives are encoded."""
        drawn = self._met[torch.randint(len(self._met), (self.recipe.negatives,)).numpy()]
        used = np.unique(np.concatenate((batch.item[batch.item >= 0], batch.target[batch.target >= 0], drawn)))
        _, told, table = self._encoded(batch, used)
        asked = self.model.asked(told, table, typed)
        negatives = torch.from_numpy(np.searchsorted(used, drawn)).to(self.device)
        return sampled_softmax(asked, table, told.target.T[told.target.T >= 0], negatives, len(self._met))

    def _encoded(self, batch: Batch, used: Longs) -> tuple[Batch, Told, Tensor]:
        """The batch with its items numbered among those ``used`` [m], as tensors, and the vectors [m, dim] of those."""
        local = batch._replace(
            item=np.where(batch.item >= 0, np.searchsorted(used, batch.item), -1),
            target=np.where(batch.target >= 0, np.searchsorted(used, batch.target), -1),
        )
        items = torch.from_numpy(used).to(self.device)
        content = self.data.content.rows(items) if self.data.content is not None else None
        return local, as_told(local, self.data.profile, self.device), self.model.table(items, content)

    def _rate(self, batches: int) -> float:
        done = min(1.0, (self.epoch * batches + self.batch) / (batches * self.recipe.epochs))
        cosine = 0.02 + 0.98 * 0.5 * (1.0 + math.cos(math.pi * done))
        return self.recipe.learning_rate * min(1.0, (self.step + 1) / self.recipe.warm_up) * cosine

    @torch.no_grad()
    def _average(self) -> None:
        kept = min(self.recipe.average, (1 + self.step) / (10 + self.step))
        for averaged, now in zip(self.averaged.state_dict().values(), self.model.state_dict().values(), strict=True):
            averaged.lerp_(now, 1.0 - kept)

    def _is_over(self) -> bool:
        """After an epoch: measure it, keep the best, and say whether there was no better one for long enough."""
        if self._validate is None:
            return False
        figure = self._validate(self.averaged.eval())
        self.curve.append((self.epoch + 1, figure))
        if self.best_epoch == self.epoch + 1:
            self._best = {name: value.clone() for name, value in self.averaged.state_dict().items()}
        self._tell(1, 0.0)
        return self.epoch + 1 - self.best_epoch >= self.recipe.patience

    def _tell(self, batches: int, events_per_s: float) -> None:
        if self._told:
            loss = self._loss / self._predicted if self._predicted else (self.losses or [0.0])[-1]
            self._told(
                Report(self.epoch, self.recipe.epochs, self.batch, batches, loss, events_per_s, list(self.curve))
            )

    # -- checkpoints ---------------------------------------------------------------------------------------------------

    def _save(self) -> None:
        if self._file is None:
            return
        content = {
            "of": self._of,
            "model": self.model.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "random": torch.get_rng_state(),
            "best": self._best,
            "where": [self.epoch, self.batch, self.step],
            "sums": [self._loss, self._predicted],
            "curve": self.curve,
            "losses": self.losses,
        }
        draft = self._file.with_suffix(".draft")
        with open(draft, "wb") as file:
            torch.save(content, file)
            file.flush()
            os.fsync(file.fileno())
        draft.rename(self._file)

    def _resume(self) -> None:
        if self._file is None or not self._file.exists():
            return
        content: dict[str, Any] = torch.load(self._file, map_location=self.device, weights_only=True)
        if content.get("of") != self._of:
            return
        self.model.load_state_dict(content["model"])
        self.averaged.load_state_dict(content["averaged"])
        self._optimizer.load_state_dict(content["optimizer"])
        torch.set_rng_state(content["random"].cpu())
        self._best = content["best"]
        self.epoch, self.batch, self.step = content["where"]
        self._loss, self._predicted = content["sums"]
        self.curve = [(int(epoch), float(figure)) for epoch, figure in content["curve"]]
        self.losses = content["losses"]


def _give_back() -> None:
    """To the system: batches differ in shape, and glibc keeps pieces that none of them fits, gigabytes in the end."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


@torch.no_grad()
def _without_history(model: Model, met: Longs) -> None:
    """An item that nobody has met stands on its content alone, and is no negative: it cannot have been chosen."""
    unmet = torch.ones(model.item.residual.num_embeddings, dtype=torch.bool)
    unmet[torch.from_numpy(met)] = False
    model.item.residual.weight[unmet.to(model.item.residual.weight.device)] = 0.0


def threads() -> int:
    """Cores that a training uses: all that this process may, or PENCHANT_TRAINING_THREADS."""
    return int(os.environ.get("PENCHANT_TRAINING_THREADS", 0)) or len(os.sched_getaffinity(0))


def as_told(batch: Batch, profile: Tensor, device: torch.device) -> Told:
    """A batch as the model takes it."""
    item, words, action, value, gap, since, target = _tensors(batch[:7], device)
    whose = torch.from_numpy(batch.person).to(profile.device)
    return Told(item, words, action, value, gap, since, target, profile[whose])


def _fingerprint(data: Data, model: nn.Module) -> str:
    """Of all that a training learns from: weights from other events, or of other fields, are not gone on with."""
    digest = hashlib.sha256(repr([(name, tuple(one.shape)) for name, one in model.state_dict().items()]).encode())
    tensors = [part for part in (*(data.content or ()), data.there, data.typed, data.profile) if part is not None]
    for array in (*data.histories[:-1], *(tensor.cpu().numpy() for tensor in tensors)):
        digest.update(repr((array.shape, array.dtype)).encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _words_of(batch: Batch) -> tuple[Batch, Longs]:
    """The batch with its words numbered among themselves, and which they are of all."""
    typed = batch.words >= 0
    used, places = np.unique(batch.words[typed], return_inverse=True)
    words = np.full_like(batch.words, -1)
    words[typed] = places
    return batch._replace(words=words), used


def autocast(device: torch.device) -> Any:
    return torch.autocast(device.type, torch.bfloat16)


def _tensors(arrays: tuple[NDArray[Any], ...], device: torch.device) -> tuple[Tensor, ...]:
    return tuple(torch.from_numpy(np.ascontiguousarray(array)).to(device, non_blocking=True) for array in arrays)


def _moved(part: Any, device: torch.device) -> Any:
    if isinstance(part, Content):
        return Content(*(tensor.to(device) for tensor in part))
    return part.to(device) if isinstance(part, Tensor) else part


def _optimizer(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """AdamW (Loshchilov & Hutter 2019); what is a vector (biases, norms, rates) does not decay."""
    parameters = list(model.parameters())
    groups = [
        {"params": [one for one in parameters if one.dim() > 1], "weight_decay": recipe.weight_decay},
        {"params": [one for one in parameters if one.dim() <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=(0.9, 0.98))
