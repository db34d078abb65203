"""One factor at a time: what each part of the recipe is worth, on a fixed quarter of MovieLens-1M's people.

    PENCHANT_DATA=<folder with ml-1m> make bench-ablations

Time split, trained on t < 975768446 and measured on 975768446 <= t < 978133376, of a seeded quarter of the people;
never on the test window. The model alone (`validation.places`), full catalogue, seen removed, best of its epochs, one
seed. The GRU and the LSTM take the recurrence's place inside the same blocks, under the same training.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.movielens import TEST, VALIDATION, prepared, time_split
from benchmarks.rows import write_row
from penchant.learning import pretrain, validation
from penchant.learning.dataset import from_moment
from penchant.learning.pretrain import Trainer
from penchant.learning.recipe import derive
from penchant.learning.source import Source
from penchant.models.torch.user_state import Events, Shape, UserState

SHARE = 0.25
EPOCHS = 12
PLAIN: dict[str, Any] = {"text": False, "fields": False, "since": False, "values": False, "epochs": EPOCHS}


class Tower(UserState):
    """The same blocks around a GRU (Cho et al. 2014) or an LSTM (Hochreiter & Schmidhuber 1997) of torch."""

    def __init__(self, shape: Shape, cell: Callable[..., nn.Module]) -> None:
        super().__init__(shape)
        self.recurrences = nn.ModuleList()
        self.norms = nn.ModuleList(nn.LayerNorm(shape.width) for _ in range(shape.blocks))
        self.cells = nn.ModuleList(cell(shape.width, shape.state) for _ in range(shape.blocks))
        self.outs = nn.ModuleList(nn.Linear(shape.state, shape.width) for _ in range(shape.blocks))

    def scan(self, events: Events) -> Tensor:
        stream = self.embed(events)
        for norm, cell, out, mlp in zip(self.norms, self.cells, self.outs, self.mlps, strict=True):
            with torch.autocast(stream.device.type, enabled=False):
                h = cell(norm(stream.float()))[0]
            stream = stream + self.dropout(out(h))
            stream = stream + self.dropout(mlp(stream))
        return stream


class Run(NamedTuple):
    """What is changed of the recipe, another tower, or a loss over sampled negatives."""

    changed: Mapping[str, Any] = MappingProxyType({})
    tower: Callable[[Shape], Any] | None = None
    full: bool = True


RUNS = {
    "plain": Run(),
    "decay_fixed": Run({"decay": "fixed"}),
    "blocks_3": Run({"blocks": 3}),
    "width_256": Run({"width": 256}),
    "text": Run({"text": True}),
    "text_residual_dropout_30": Run({"text": True, "residual_dropout": 0.3}),
    "loss_256_negatives": Run({"negatives": 256}, full=False),
    "gru": Run(tower=lambda shape: Tower(shape, nn.GRU)),
    "lstm": Run(tower=lambda shape: Tower(shape, nn.LSTM)),
}


def main() -> None:
    split = time_split(TEST)
    people = sorted({event.user or "" for event in split.before})
    chosen = set(np.random.default_rng(0).permutation(people)[: int(len(people) * SHARE)].tolist())
    row: dict[str, float] = {"people": len(chosen)}
    with tempfile.TemporaryDirectory() as scratch:
        quarter = split._replace(before=[event for event in split.before if event.user in chosen])
        with Source(prepared(Path(scratch) / "quarter", quarter)) as source:
            for name, run in RUNS.items():
                begun = time.monotonic()
                row[f"ndcg10_{name}"], row[f"hr10_{name}"] = measure(source, run)
                row[f"seconds_{name}"] = time.monotonic() - begun
                print(f"{name}: {row[f'ndcg10_{name}']:.4f} in {row[f'seconds_{name}']:.0f} s", flush=True)
    write_row("ablations", data="MovieLens-1M, a seeded quarter of the people", seeds=1, figures=row,
              protocol="trained on t < 975768446, measured on 975768446 <= t < 978133376, the model alone, best of "
                       f"{EPOCHS} epochs, full catalogue, seen removed; no request time, no ratings")  # fmt: skip


def measure(source: Source, run: Run) -> tuple[float, float]:
    """(NDCG@10, HR@10) on validation."""
    recipe = derive("medium", events=len(source.histories.item), **(PLAIN | dict(run.changed)))
    everything = source.data(source.histories, recipe).histories
    windows = from_moment(everything, VALIDATION)
    best = [(0.0, 0.0)]

    def look(model: Any) -> float:
        found = validation.places(model, trainer.data, everything, windows)
        best.append((found.ndcg(), found.hit_rate()))
        return found.ndcg()

    full, pretrain.FULL = pretrain.FULL, pretrain.FULL if run.full else 0
    trainer = Trainer(
        source.model(recipe, run.tower), source.data(everything.before(VALIDATION), recipe), recipe, validate=look
    )
    trainer.run()
    pretrain.FULL = full
    return max(best)


if __name__ == "__main__":
    main()
