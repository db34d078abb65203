"""How much what was learned and what is counted should each say: curves for the fusion, fitted to answered questions.

    collect    the real engine is asked before each event, and told after (prequential): what it knew of every candidate
    fit        conditional logit over the candidates of a question (McFadden 1974): curves, rising where sense says so
    weighed    shipped only where people that the curves were not fitted to get better lists by more than half a percent

Every number in an example stood in the engine before the answer was told; `tests/learning/test_fusing.py` leaks an
answer on purpose, to show that it would be seen.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from msgspec import structs
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from penchant import kernels
from penchant.engine import Engine
from penchant.evaluation import metrics
from penchant.models import cold_start
from penchant.models.fusion import COUNTED, DEPTHS, Curve, Fusion, curves_of, mixed
from penchant.types import Query

Floats = NDArray[np.float32]
Longs = NDArray[np.int64]

KEPT = 200  # candidates of a question, the best by the lines: what is far behind teaches nothing
GAIN = 0.005  # of NDCG@10, by which curves must be better than lines
LEAST, MOST = 500, 4000  # answered questions to fit curves to
FREE = {"popularity", "freshness", "context_popularity"}  # more of it may speak against an item; of all else, never
_DEPTHS = [0, 1, 4, 16, DEPTHS - 1]
_PIECES = 6
_SMOOTH = 1e-3  # how dearly slopes that differ between neighbouring pieces or depths are bought
_STEPS = 60


class Examples(NamedTuple):
    """Questions [q]: candidates ``start[q]`` to ``start[q + 1]`` with ``features`` [n, features], which of them came
    (``answer`` [q], -1: none), events known ``depth`` [q], and whose question it was, ``person`` [q]."""

    features: Floats
    start: Longs
    answer: Longs
    depth: Longs
    person: Longs

    def of(self, chosen: NDArray[np.bool_]) -> Examples:
        """These questions [q] alone."""
        sizes = np.diff(self.start)
        rows = np.repeat(chosen, sizes)
        start = np.concatenate(([0], np.cumsum(sizes[chosen])))
        return Examples(self.features[rows], start, self.answer[chosen], self.depth[chosen], self.person[chosen])


class Weighed(NamedTuple):
    """NDCG@10 by lines and by curves on the same questions, each person's by curves fitted to other people.

    ``curves`` is None where too little was answered to fit any.
    """

    lines: float
    curves: float | None

    @property
    def better(self) -> bool:
        return self.curves is not None and self.curves > self.lines * (1.0 + GAIN)

    @property
    def best(self) -> float:
        return self.curves if self.better and self.curves is not None else self.lines


def alone() -> Fusion:
    """The learned score and nothing else; items are alike as under version 0."""
    fusion = cold_start.default_fusion()
    weights = {"learned": 1.0} | dict.fromkeys(COUNTED, 0.0)
    likeness = {"learned": fusion.likeness["text"]} | {name: fusion.likeness[name] for name in COUNTED}
    return structs.replace(fusion, weights=weights, likeness=likeness)


def lines() -> Fusion:
    """Where curves start from, and what serves where none could be fitted; see docs/log.md for the weights."""
    fusion = alone()
    return structs.replace(fusion, weights=fusion.weights | {"transitions": 0.1, "recent_transitions": 0.25})


class Collector:
    """Collects examples from an engine, before it is told what came."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._features: list[Floats] = []
        self._asked: list[tuple[int, int, int]] = []

    def ask(self, query: Query, item: str, person: int) -> int:
        """Note what is known of the candidates of a question whose answer is ``item``; its place by score, or -1."""
        with self._engine.lock:
            ranked = self._engine.examine(query)
            best = kernels.best(ranked.scored.scores, ranked.items, ranked.reason, KEPT)
            number = self._engine.parts.log.items.get(item)
            found = np.flatnonzero(ranked.items[best] == number)
            self._features.append(ranked.scored.features[best])
        place = int(found[0]) if len(found) else -1
        self._asked.append((place, ranked.depth, person))
        return place

    def examples(self) -> Examples:
        """All questions so far, one at least."""
        sizes = [len(part) for part in self._features]
        answer, depth, person = (np.array(column, np.int64) for column in zip(*self._asked, strict=True))
        return Examples(np.concatenate(self._features), np.concatenate(([0], np.cumsum(sizes))), answer, depth, person)


def fused(examples: Examples, seed: int = 0) -> tuple[Fusion, Weighed]:
    """Curves where they are worth it, else the better of lines and the learned score alone; and how these did."""
    start = max((lines(), alone()), key=lambda fusion: float(gains(examples, fusion).mean()))
    by_lines, people = float(gains(examples, start).mean()), np.unique(examples.person)
    if int((examples.answer >= 0).sum()) < LEAST or len(people) < 2:
        return start, Weighed(by_lines, None)
    half = np.isin(examples.person, np.random.default_rng(seed).permutation(people)[: len(people) // 2])
    gained = np.zeros(len(examples.answer))
    for these in (half, ~half):
        gained[these] = gains(examples.of(these), fit(examples.of(~these), start))
    found = Weighed(by_lines, float(gained.mean()))
    return (fit(examples, start) if found.better else start), found


def gains(examples: Examples, fusion: Fusion) -> NDArray[np.float64]:
    """NDCG@10 of each question [q] were its candidates ordered by this fusion; ties count against it."""
    curves, places = curves_of(fusion), np.full(len(examples.answer), -1, np.int64)
    for q in np.flatnonzero(examples.answer >= 0).tolist():
        features = examples.features[examples.start[q] : examples.start[q + 1]]
        terms, scores = np.empty_like(features), np.empty(len(features), np.float32)
        heights = curves.heights[min(int(examples.depth[q]), DEPTHS - 1)]
        kernels.add_up(features, curves.low, curves.per, heights, terms, scores)
        places[q] = int((scores >= scores[examples.answer[q]]).sum()) - 1
    return metrics.gains(places, 10)


def fit(examples: Examples, lines: Fusion) -> Fusion:
    """Curves that make what came likeliest among its candidates; deterministic. What never varied says nothing."""
    answered = _thinned(examples.of(examples.answer >= 0))
    low, high = _ends(answered.features)
    ramps = torch.from_numpy(_ramps(answered.features, low, high))
    free = torch.tensor([name in FREE for name in lines.weights])
    slopes = np.array(list(lines.weights.values()), np.float32)[None, :, None]
    first = torch.from_numpy(np.broadcast_to(slopes, (len(_DEPTHS), slopes.shape[1], _PIECES)).copy())
    inner = torch.where(free[:, None], first, torch.log(torch.expm1(first.clamp(min=0.01)))).requires_grad_()
    optimizer = torch.optim.LBFGS([inner], max_iter=_STEPS, history_size=20, line_search_fn="strong_wolfe")
    sizes = np.diff(answered.start)
    at_depth = mixed(_DEPTHS)[np.minimum(answered.depth, DEPTHS - 1)].astype(np.float32)
    shares = torch.from_numpy(np.repeat(at_depth, sizes, axis=0))
    there = torch.from_numpy(np.arange(sizes.max()) < sizes[:, None])
    own = torch.from_numpy(answered.answer)

    def rises() -> Tensor:
        return torch.where(free[:, None], inner, functional.softplus(inner))

    def closure() -> Tensor:
        optimizer.zero_grad()
        scores = ((ramps @ rises().flatten(1).T) * shares).sum(1)
        loss = _surprise(scores, there, own) + _SMOOTH * _roughness(rises())
        loss.backward()
        return loss

    optimizer.step(closure)
    varied = answered.features.max(0) > answered.features.min(0)
    slopes = rises().detach().numpy() * varied[:, None]
    return structs.replace(lines, depths=list(_DEPTHS), curves=_curves(slopes, low, high, lines))


def _thinned(examples: Examples) -> Examples:
    """At most `MOST` questions, evenly spread over time."""
    count = len(examples.answer)
    if count <= MOST:
        return examples
    chosen = np.zeros(count, np.bool_)
    chosen[np.linspace(0, count - 1, MOST).astype(np.int64)] = True
    return examples.of(chosen)


def _ends(features: Floats) -> tuple[Floats, Floats]:
    """Where the knots of each feature begin and end; counts begin at 0."""
    low, high = np.quantile(features, (0.001, 0.999), axis=0)
    low = np.where(features.min(0) >= 0.0, 0.0, low)
    return low.astype(np.float32), np.maximum(high, low + 0.1).astype(np.float32)


def _ramps(features: Floats, low: Floats, high: Floats) -> Floats:
    """[n, features * pieces]: how far into each piece a feature reaches, in its own unit; straight on at both ends."""
    step = (high - low) / _PIECES
    place = (features - low) / step
    inside = np.clip(place[:, :, None] - np.arange(_PIECES, dtype=np.float32), 0.0, 1.0)
    inside[:, :, 0] = np.minimum(place, 1.0)
    inside[:, :, -1] = np.maximum(place - (_PIECES - 1), 0.0)
    return np.ascontiguousarray((inside * step[:, None]).reshape(len(features), -1), np.float32)


def _surprise(scores: Tensor, there: Tensor, own: Tensor) -> Tensor:
    """Mean of -log softmax of what came (``own`` [q]); ``there`` [q, most candidates]: where a question has some."""
    table = torch.full(there.shape, -torch.inf).masked_scatter(there, scores)
    return functional.cross_entropy(table, own)


def _roughness(slopes: Tensor) -> Tensor:
    """Sum of squared differences between neighbouring pieces, and between neighbouring depths."""
    return ((slopes[:, :, 1:] - slopes[:, :, :-1]) ** 2).sum() + ((slopes[1:] - slopes[:-1]) ** 2).sum()


def _curves(slopes: Floats, low: Floats, high: Floats, lines: Fusion) -> dict[str, Curve]:
    """Heights at the knots, shifted so that a feature of 0 says nothing."""
    out = {}
    for j, name in enumerate(lines.weights):
        step = (high[j] - low[j]) / _PIECES
        heights = np.concatenate((np.zeros((len(slopes), 1)), np.cumsum(slopes[:, j] * step, 1)), 1)
        knots = np.linspace(low[j], high[j], _PIECES + 1)
        shifted = heights - np.array([np.interp(0.0, knots, row) for row in heights])[:, None]
        out[name] = Curve(float(low[j]), float(high[j]), shifted.tolist())
    return out
