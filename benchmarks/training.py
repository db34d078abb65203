"""How fast training is: events a second, minutes to NDCG@10 .190 on the leave-one-out file, memory, parameters.

    PENCHANT_DATA=<folder with ml-1m> make bench-training

The recipe of `bench-loo`; after every epoch, everybody's last item is asked of the model alone (`validation.places`,
the engine's own question, see `hr10_offline` of `bench-quality`). Memory is the most that the process ever held.
"""

from __future__ import annotations

import resource
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks import loo
from benchmarks.movielens import Split, data_folder, prepared, read_events, told
from benchmarks.rows import write_row
from penchant.evaluation.trials import left_out, read_names, read_sequences
from penchant.learning import validation
from penchant.learning.dataset import Histories, Windows
from penchant.learning.pretrain import Trainer
from penchant.learning.source import Source
from penchant.models.torch.scorer import Model

GOAL = 0.190


def main() -> None:
    data = data_folder("ml-1m")
    items, _ = read_events(data)
    events = read_sequences(data / "loo_ties_by_item.txt", read_names(data / "item_map.csv"), action="rate")
    everything = [*left_out(events).learned, *left_out(events).known, *left_out(events).asked]
    with tempfile.TemporaryDirectory() as scratch:
        folder = prepared(Path(scratch) / "all", Split(items, everything, []), encoder="none")
        with Source(folder) as source:
            row = run(source)
    write_row("training", data="MovieLens-1M, loo_ties_by_item.txt", seeds=1, figures=row,
              protocol="bench-loo's recipe; minutes of training and of measuring after every epoch until NDCG@10 of "
                       "everybody's last item is .190")  # fmt: skip


def run(source: Source) -> dict[str, float]:
    recipe, histories = loo.recipe(0), source.data(source.histories, loo.recipe(0)).histories
    left = np.ones(len(histories.item), np.bool_)
    for back in (1, 2):
        left[histories.start[1:] - back] = False  # everybody in the file has at least five
    data = source.data(histories.chosen(left), recipe)
    begun, reached, curve, learning = time.monotonic(), [0.0], [], [0.0]

    def measure(model: Model) -> float:
        paused = time.monotonic()
        figure = validation.places(model, trainer.data, histories, last_of(histories)).ndcg()
        learning[0] += time.monotonic() - paused
        curve.append(figure)
        if figure >= GOAL and not reached[0]:
            reached[0] = (time.monotonic() - begun) / 60.0
        return figure

    trainer = Trainer(source.model(recipe), data, recipe, validate=measure, told=told)
    trainer.run()
    seconds = time.monotonic() - begun - learning[0]
    return {
        "events_per_s": len(data.histories.item) * len(curve) / seconds,
        "minutes_to_ndcg190_loo": reached[0],
        "minutes": (time.monotonic() - begun) / 60.0,
        "best_ndcg10": max(curve),
        "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0,
        "params": float(sum(one.numel() for one in trainer.model.parameters())),
    }


def last_of(histories: Histories) -> Windows:
    """Whole histories, of which the last event is asked for."""
    lo, hi = histories.start[:-1], histories.start[1:]
    some = hi > lo
    return Windows(lo[some], hi[some], np.ones(int(some.sum()), np.bool_), hi[some] - 1)


if __name__ == "__main__":
    main()
