"""Penchant beside foreign recommenders from their own packages: one split, one candidate set, paired intervals.

    PENCHANT_DATA=<folder with ml-1m> TRAINED=1 make bench-peers

The time split of `bench-quality`: what came before T = 978133376 is learned, every later event is asked for after all
of its person's earlier ones, test events included once revealed; full catalogue, items already rated removed, items
with fewer than 5 ratings dropped, ties to the item first mentioned; weights stand still after T. Peers that can read a
history are handed the revealed one; BPR and the predictors of ratings know people by number, so they answer with what
they learned before T, and popularity answers for the few people they never met (`known`: share of questions whose
person they did meet, and everybody's figures there). Settings stand in `PEERS`; ``CHOOSE=1`` compares those of `tried`
on 975768446 <= t < T, so that a better one can be written there before a row is; SASRec's are those of its paper for
this data (but 64 numbers, not 50, and the softmax over all items).

Each peer runs in a process of its own, and all but EASE in an environment of its own (`make peers-env-implicit`, ...):
seconds of the fit, the process's peak memory by then, places. ``ahead_OURS_PEER``: NDCG@10 of ours less the peer's,
event by event, 95% interval by bootstrap over people. Ours: version 0, and with ``TRAINED=1`` the fused lists of
`bench-quality` without request time and ratings (events' gains are means over ``SEEDS``; fused as there). Peers learn
with one seed. Ours also count what everybody did after T, as they would in service; peers cannot.

``PEERS="ease als"`` runs those alone, ``SAMPLE=0.05`` a seeded share of the people, ``CHOOSE=1`` all of `tried` on
validation, without ours. A row is written by a whole run with ``TRAINED=1`` alone; all others print. ``OUT=FOLDER``
keeps what ended, and a later run of the same commit goes on from there. Peers get ``PEER_THREADS`` threads (all cores),
one peer at a time.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks import quality
from benchmarks.foreign.task import Task, peak_mb
from benchmarks.movielens import (
    TEST,
    VALIDATION,
    Split,
    asked,
    figures,
    fuse,
    on_each_core,
    prepared,
    some_people,
    time_split,
    trained,
)
from benchmarks.rows import commit, remembered, write_row
from penchant.evaluation import metrics
from penchant.models.fusion import Fusion
from penchant.types import Event

ROOT = Path(__file__).parent.parent
ENVIRONMENTS = ROOT / ".peers"

Places = NDArray[np.int64]
Settings = Mapping[str, Any]


class Peer(NamedTuple):
    """``home``: its environment ("": ours); ``module`` of `benchmarks.foreign`; settings, and what `CHOOSE` tries."""

    home: str
    module: str
    settings: Settings
    tried: tuple[Settings, ...]


class Found(NamedTuple):
    """Places of all test events, and what the run said of itself (`foreign.run`)."""

    places: Places
    told: Mapping[str, float]


def grid(**values: tuple[Any, ...]) -> tuple[Settings, ...]:
    """All combinations."""
    out: list[dict[str, Any]] = [{}]
    for name, its in values.items():
        out = [one | {name: value} for one in out for value in its]
    return tuple(MappingProxyType(one) for one in out)


PEERS = {
    "ease": Peer("", "ease", {"ridge": 1000.0}, grid(ridge=(50.0, 200.0, 500.0, 1000.0, 2000.0))),
    "knn": Peer("implicit", "with_implicit", {"like": "tfidf", "neighbours": 20},
                grid(like=("cosine", "tfidf", "bm25"), neighbours=(20, 100, 400))),
    "als": Peer("implicit", "with_implicit", {"factors": 128, "regularization": 50.0, "alpha": 4.0, "iterations": 15},
                grid(factors=(64, 128), regularization=(1.0, 10.0, 50.0), alpha=(1.0, 4.0, 16.0), iterations=(15,))),
    "bpr": Peer("implicit", "with_implicit",
                {"factors": 128, "learning_rate": 0.02, "regularization": 0.03, "iterations": 200},
                grid(factors=(64, 128), learning_rate=(0.02, 0.05), regularization=(0.003, 0.01, 0.03),
                     iterations=(200,))),
    "ratedknn": Peer("surprise", "with_surprise", {"neighbours": 40, "shrinkage": 100},
                     grid(neighbours=(20, 40), shrinkage=(100,))),
    "svd": Peer("surprise", "with_surprise", {"n_factors": 50, "n_epochs": 20, "reg_all": 0.05},
                grid(n_factors=(20, 50), n_epochs=(20,), reg_all=(0.02, 0.05))),
    "svdpp": Peer("surprise", "with_surprise", {"n_factors": 20, "n_epochs": 20},
                  grid(n_factors=(20,), n_epochs=(20,))),
    "sasrec": Peer("rectools", "with_rectools",
                   {"epochs": 60, "factors": 64, "blocks": 2, "heads": 1, "dropout": 0.2, "length": 200},
                   grid(epochs=(20, 60), factors=(64,), blocks=(2,), heads=(1,), dropout=(0.2,), length=(200,))),
}  # fmt: skip
OURS = ("v0", "trained")


def main() -> None:
    names, share = os.environ.get("PEERS", "").split() or list(PEERS), float(os.environ.get("SAMPLE", 1))
    check(names)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(os.environ.get("OUT", scratch)).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        if os.environ.get("CHOOSE"):
            choose(names, of_people(time_split(VALIDATION, TEST), share), folder)
            return
        split = of_people(time_split(TEST), share)
        task = task_of(split)
        found = ours(split, folder, share) | theirs(names, task, folder, share)
    row = compared(found, task)
    Console().print(shown(found, row))
    if is_whole(names, share, row):
        write_row("peers", data="MovieLens-1M", seeds=1, figures=row, protocol=PROTOCOL)
    else:
        print(json.dumps({key: round(value, 5) for key, value in row.items()}))


def is_whole(names: list[str], share: float, row: Mapping[str, float]) -> bool:
    """Whether a run was of everybody, with every peer and ours trained, so that its row is to be kept."""
    return share == 1 and set(names) == set(PEERS) and "ndcg10_trained" in row


def check(names: list[str]) -> None:
    """Stops where a peer is unknown, or its environment is not there, before anything long begins."""
    for name in names:
        if name not in PEERS:
            sys.exit(f"PEERS={name}: no such peer. Choose among {', '.join(PEERS)}.")
        home = PEERS[name].home
        if home and not interpreter(home).exists():
            sys.exit(f"PEERS={name}: its environment .peers/{home} is not there. Run make peers-env-{home} first.")


def interpreter(home: str) -> Path:
    return ENVIRONMENTS / home / "bin" / "python" if home else Path(sys.executable)


def of_people(split: Split, share: float) -> Split:
    """A seeded share of the people, and nobody else's events."""
    chosen = some_people([*split.before, *split.after], share)
    before, after = ([event for event in part if event.user in chosen] for part in split[1:])
    return Split(split.items, before, after)


def task_of(split: Split) -> Task:
    """The split in numbers; items are numbered in the order in which Penchant is told of them."""
    events = [*split.before, *split.after]
    items = {item: k for k, item in enumerate(dict.fromkeys(event.item for event in (*split.items, *events)))}
    people = {person: k for k, person in enumerate(dict.fromkeys(event.user for event in events))}
    return Task(
        np.array([people[event.user] for event in events], np.int64),
        np.array([items[event.item] for event in events], np.int64),
        np.array([event.value for event in events], np.float64),
        np.array([event.time for event in events], np.float64),
        cut=len(split.before),
        items=len(items),
    )


# -- peers -------------------------------------------------------------------------------------------------------------


def theirs(names: list[str], task: Task, folder: Path, share: float) -> dict[str, Found]:
    """Every peer with its settings, one after the other."""
    task.write(folder / "task.npz")
    out = {}
    for name in names:
        stamp = stamped(share, PEERS[name].settings)
        out[name] = kept(folder, name, stamp) or run(name, PEERS[name].settings, folder, stamp)
        say(name, out[name])
    return out


def choose(names: list[str], split: Split, folder: Path) -> None:
    """Every peer with all the settings tried, asked the validation window; the best is to be written into `PEERS`."""
    task_of(split).write(folder / "task.npz")
    for name in names:
        for settings in PEERS[name].tried:
            say(f"{name} {json.dumps(dict(settings))}", run(name, settings, folder, {}))


def run(name: str, settings: Settings, folder: Path, stamp: Settings) -> Found:
    """Fit and ask one peer in a process of its own."""
    peer, cores = PEERS[name], os.environ.get("PEER_THREADS", str(os.cpu_count() or 1))
    blas = "1" if peer.home == "implicit" else cores  # the package asks for it: its own threads do the work
    threads = {"OMP_NUM_THREADS": cores, "OPENBLAS_NUM_THREADS": blas, "MKL_NUM_THREADS": cores, "PYTHONPATH": ""}
    words = [str(interpreter(peer.home)), "-m", "foreign.run", peer.module, name, str(folder / "task.npz"), str(folder)]
    subprocess.run([*words, json.dumps(dict(settings))], check=True, cwd=ROOT / "benchmarks", env=os.environ | threads)
    told = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    return keep(folder, name, stamp, Found(np.load(folder / f"{name}.npy"), told))


# -- ours --------------------------------------------------------------------------------------------------------------


def ours(split: Split, folder: Path, share: float) -> dict[str, Found]:
    """Version 0, and all seeds of the trained score where asked for; one run a core."""
    seeds = [int(seed) for seed in os.environ.get("SEEDS", "").split()] or list(quality.SEEDS)
    names = ["v0", *(f"trained-{seed}" for seed in seeds if os.environ.get("TRAINED"))]
    out = {name: its for name in names if (its := kept(folder, name, stamped(share, {})))}
    fusion = fusion_of(share) if any(name not in out for name in names[1:]) else None
    runs = [(split, name, fusion) for name in names if name not in out]
    for (_, name, _), its in on_each_core(one, runs) if runs else ():
        out[name] = keep(folder, name, stamped(share, {}), its)
        say(name, its)
    return out


def fusion_of(share: float) -> Fusion:
    """The fusion of `bench-quality`, fitted on the validation window by a model trained on what came before it."""
    split = of_people(time_split(VALIDATION, TEST), share)
    with tempfile.TemporaryDirectory() as scratch:
        base = prepared(Path(scratch) / "data", split, encoder="none")
        return next(found for _, found in on_each_core(fitted, [(base, split.after, share)]))


def fitted(base: Path, after: Sequence[Event], share: float) -> Fusion:
    """In a process of its own."""
    return remembered(f"peers-validation-{share:g}", Fusion, lambda: quality.fit(base, after, ""))


def one(split: Split, name: str, fusion: Fusion | None) -> Found:
    """Our places; the fit of version 0 is to take all events in, that of a trained one the training alone."""
    with tempfile.TemporaryDirectory() as scratch:
        begun, seed = time.monotonic(), name.partition("-")[2]
        folder = prepared(Path(scratch) / "data", split, encoder="none" if seed else "")
        seconds = time.monotonic() - begun
        if seed:
            by = quality.recipe(False, False, int(seed))
            model, seconds = trained(folder, by, by.epochs)
            if fusion is not None:
                fuse(folder, model, by, fusion)
        memory = peak_mb()
        begun = time.monotonic()
        places = asked(folder, split.after)
        return Found(places, {"fit_s": seconds, "rss_mb": memory, "ask_s": time.monotonic() - begun})


# -- what ended, kept --------------------------------------------------------------------------------------------------


def stamped(share: float, settings: Settings) -> dict[str, Any]:
    """What must be the same for a kept result to be used."""
    return {"commit": commit(), "share": share, "settings": dict(settings)}


def keep(folder: Path, name: str, stamp: Settings, found: Found) -> Found:
    np.save(folder / f"{name}.npy", found.places)
    (folder / f"{name}.json").write_text(json.dumps({"told": dict(found.told), **stamp}), encoding="utf-8")
    return found


def kept(folder: Path, name: str, stamp: Settings) -> Found | None:
    """What an earlier run of the same clean commit left, or None."""
    path = folder / f"{name}.json"
    if not path.exists() or "dirty" in stamp["commit"]:
        return None
    left = json.loads(path.read_text(encoding="utf-8"))
    if {key: left.get(key) for key in stamp} != stamp:
        return None
    return Found(np.load(folder / f"{name}.npy"), left["told"])


# -- figures -----------------------------------------------------------------------------------------------------------


def compared(found: Mapping[str, Found], task: Task) -> dict[str, float]:
    """All figures of the row."""
    known, people = task.in_training(), task.person[task.cut :]
    row = {"known": float(known.mean()), "questions": float(task.questions)}
    gains = {name: gained(its, task) for name, its in merged(found)}
    for name, its in gains.items():
        row |= {f"ndcg10_{name}": float(its.mean()), f"ndcg10_{name}_known": float(its[known].mean())}
        row |= {f"{key}_{name}": value for key, value in means(found, name).items()}
    for mine in OURS:
        for name in [name for name in gains if mine in gains and name not in OURS]:
            row |= ahead(f"{mine}_{name}", gains[mine] - gains[name], people)
    return row


def ahead(name: str, difference: NDArray[np.float64], people: Places) -> dict[str, float]:
    """The mean of paired differences [n] and its interval over people."""
    low, high = metrics.interval(difference, people)
    return {f"ahead_{name}": float(difference.mean()), f"ahead_{name}_low": low, f"ahead_{name}_high": high}


def merged(found: Mapping[str, Found]) -> Iterator[tuple[str, list[Found]]]:
    """Runs by what they are runs of: seeds of one training are one."""
    for name in dict.fromkeys(name.partition("-")[0] for name in found):
        yield name, [its for key, its in found.items() if key.partition("-")[0] == name]


def gained(runs: list[Found], task: Task) -> NDArray[np.float64]:
    """NDCG@10 of every question, mean over runs. Raises ValueError where a run answered other questions."""
    for its in runs:
        if its.places.shape != (task.questions,):
            raise ValueError(f"places of shape {its.places.shape}: there are {task.questions} questions.")
    return np.mean([metrics.gains(its.places, 10) for its in runs], 0)


def means(found: Mapping[str, Found], name: str) -> dict[str, float]:
    """What the runs of one name said of themselves, mean over them."""
    told = [its.told for key, its in found.items() if key.partition("-")[0] == name]
    return {key: float(np.mean([one[key] for one in told])) for key in told[0]}


def shown(found: Mapping[str, Found], row: Mapping[str, float]) -> Table:
    table = Table("", "NDCG@10", "people known", "fit s", "MB", "ahead by (95%)", title="MovieLens-1M, time split")
    mine = next(name for name in reversed(OURS) if f"ndcg10_{name}" in row)
    for name, _ in merged(found):
        cells = [f"{row[f'ndcg10_{name}']:.4f}", f"{row[f'ndcg10_{name}_known']:.4f}",
                 f"{row[f'fit_s_{name}']:.1f}", f"{row[f'rss_mb_{name}']:.0f}"]  # fmt: skip
        by = [row.get(f"ahead_{mine}_{name}{end}") for end in ("", "_low", "_high")]
        table.add_row(name, *cells, "" if by[0] is None else "{:+.4f} ({:+.4f} .. {:+.4f})".format(*by))
    return table


def say(name: str, found: Found) -> None:
    hr10, ndcg10 = figures(found.places)
    told = " ".join(f"{key} {value:.4g}" for key, value in found.told.items())
    print(f"  {name}: hr10 {hr10:.4f} ndcg10 {ndcg10:.4f} {told}", flush=True)


PROTOCOL = (
    "global time split at T=978133376, successive, full catalogue, seen removed, items with fewer than 5 ratings "
    "dropped, ties to the item first mentioned; peers' settings as in benchmarks/peers.py; bpr, svd, svdpp, ratedknn: "
    "people as they were at T, popularity for people first met later; ratings ordered as predicted; fit_s and rss_mb: "
    "the fit in its own process; trained: fused lists, the fusion fitted on 975768446 <= t < T; ours go on counting "
    "everybody's events after T, peers do not; ahead: paired by event, 95% interval by bootstrap over people; one seed "
    "a peer"
)

if __name__ == "__main__":
    main()
