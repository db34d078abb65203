"""Version 0: what a deployment runs on before anything was trained, and its fallback for ever.

A state is two decayed sums of item vectors, a fast one (its memory is three events long) and a slow one (twenty):
m' = decay * m + weight(action) * x. The query is their blend, each at length 1. That is linear, so `fold` needs no
loop: k events are one matrix product with weights decay^(events after it).

The projection g(y) is the only thing that looks at data: below `ENOUGH` items it is a fixed random rotation cut to
`DIM` columns (Johnson & Lindenstrauss 1984; seeded, so two machines agree); above, the vectors are centred and their
principal components brought nearer to equal length (partial whitening, exponent `WHITEN`), which is what makes the
difference between two films louder than what all films have in common.

The graphs are in the format that trained versions use; each declares the inputs that it reads.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

import numpy as np
from msgspec import structs
from numpy.typing import NDArray

from penchant.config import Settings
from penchant.models.fusion import COUNTED, Fusion
from penchant.models.graphs import Graph, Shapes
from penchant.models.versions import Manifest, publish

DIM = 128
ENOUGH = 256
WHITEN = 0.25
FAST, SLOW = 0.7, 0.95
FAST_SHARE = 0.2
FEATURES = ("text", *COUNTED)
LIKENESS = {"text": 1.5, "transitions": 1.0, "neighbours": 0.3, "freshness": 0.05}

Floats = NDArray[np.float32]


def fusion_of(settings: Settings) -> Fusion:
    """How version 0 makes scores under these settings. Scales were chosen on the validation window of the MovieLens-1M
    time split, see docs/log.md; never on its test window. What is alike does not depend on what a team weighs."""
    return Fusion(
        weights={name: settings.weights[name] for name in FEATURES},
        likeness=dict.fromkeys(FEATURES, 0.0) | LIKENESS,
        fresh_half_life_days=settings.fresh_half_life_days,
        transition_decay=0.7,
        transition_floor=0.001,
        neighbour_decay=0.9,
        neighbour_floor=0.01,
        neighbour_power=0.3,
    )


def default_fusion() -> Fusion:
    return fusion_of(Settings())


def default_search() -> dict[str, float]:
    return {"words": 0.35, "text": 2.0, "personal": 0.35, "popularity": 0.02}


def publish_version_0(
    folder: Path,
    encoder: tuple[str, str, int],
    actions: dict[str, float],
    vectors: Floats | None,
    created: float,
    fusion: Fusion | None = None,
) -> Path:
    """Write version 0 for an encoder (name, fingerprint, dim); ``vectors`` [n, dim] are the catalogue's so far.

    ``fusion``: how scores are made; None: `default_fusion`.
    """
    name, fingerprint, text_dim = encoder
    fitted = vectors is not None and len(vectors) >= ENOUGH
    mean, projection = fit_projection(vectors) if fitted and vectors is not None else fixed_projection(text_dim)
    manifest = Manifest(
        name="v0",
        created=created,
        encoder=name,
        encoder_fingerprint=fingerprint,
        text_dim=text_dim,
        dim=DIM,
        state_size=2 * DIM,
        actions=dict(actions),
        fitted_on=len(vectors) if fitted and vectors is not None else 0,
        fusion=fusion or default_fusion(),
        search=default_search(),
    )
    weights = np.array(list(actions.values()), np.float32)
    files = {
        "item.onnx": item_graph(mean, projection),
        "step.onnx": step_graph(weights),
        "fold.onnx": fold_graph(weights),
        "query.onnx": query_graph(),
    }
    return publish(folder, manifest, files)


def publish_again(path: Path, manifest: Manifest, fusion: Fusion) -> Path:
    """The version 0 at ``path`` with other scores: its vectors and states stay what they are."""
    files = {name: (path / name).read_bytes() for name in manifest.files}
    return publish(path.parent, structs.replace(manifest, name="v0", fusion=fusion), files)


def fixed_projection(text_dim: int, seed: int = 7461) -> tuple[Floats, Floats]:
    """(mean [text_dim] of zeros, projection [text_dim, DIM] with orthonormal columns or rows)."""
    random = np.random.Generator(np.random.PCG64(seed)).standard_normal((max(text_dim, DIM), min(text_dim, DIM)))
    rotation, triangle = np.linalg.qr(random)
    rotation = (rotation * np.sign(np.diag(triangle))).astype(np.float32)
    return np.zeros(text_dim, np.float32), rotation if text_dim >= DIM else np.ascontiguousarray(rotation.T)


def fit_projection(vectors: Floats) -> tuple[Floats, Floats]:
    """Mean and partially whitened principal components of the vectors [n, text_dim]."""
    mean = vectors.mean(0)
    centred = (vectors - mean).astype(np.float64)
    values, components = np.linalg.eigh(centred.T @ centred / len(vectors))
    values, components = values[::-1][:DIM], components[:, ::-1][:, :DIM]
    values = np.maximum(values, max(values[0] * 1e-4, 1e-12))  # no item may have text
    components *= np.sign(components[np.abs(components).argmax(0), np.arange(components.shape[1])])
    scaled = (components * (values / values[0]) ** -WHITEN).astype(np.float32)
    if scaled.shape[1] < DIM:
        scaled = np.pad(scaled, ((0, 0), (0, DIM - scaled.shape[1])))
    return mean, scaled


@lru_cache(maxsize=64)
def brought_projection(name: str, dim: int) -> Floats:
    """How a vector that the application brought (an image's, say) enters: a fixed rotation, seeded by its name."""
    seed = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little")
    return fixed_projection(dim, seed)[1]


# -- graphs ------------------------------------------------------------------------------------------------------------


def item_graph(mean: Floats, projection: Floats) -> bytes:
    g = Graph()
    projected = g("MatMul", g("Sub", "text", g.constant(mean)), g.constant(projection))
    return g.model({"text": ["n", len(mean)]}, {"vector": (g.unit(projected), ["n", DIM])})


def step_graph(weights: Floats) -> bytes:
    g = Graph()
    weight = g("Unsqueeze", g("Gather", g.constant(weights), "action"), g.constant([-1]))
    weighted = g("Mul", "x", weight)
    kept = g("Mul", "state", g.constant(_decays()))
    after = g("Add", kept, g("Concat", weighted, weighted, axis=-1))
    inputs: Shapes = {"state": ["n", 2 * DIM], "x": ["n", DIM], "action": ["n"]}
    return g.model(inputs, {"next": (after, ["n", 2 * DIM])})


def fold_graph(weights: Floats) -> bytes:
    """Event j of k contributes decay^(real events after j); the state it starts from, decay^(all real events)."""
    g = Graph()
    axis = g.constant([1])
    weight = g("Mul", g("Gather", g.constant(weights), "action"), "mask")
    total = g("ReduceSum", "mask", axis, keepdims=1)
    later = g("Sub", total, g("CumSum", "mask", g.constant(1)))

    def added(decay: float) -> str:
        power = g("Exp", g("Mul", later, g.constant(float(np.log(decay)))))
        row = g("Unsqueeze", g("Mul", power, weight), axis)
        return str(g("Squeeze", g("MatMul", row, "x"), axis))

    decay = g("Exp", g("Mul", total, g.constant(np.log(_decays()))))
    after = g("Add", g("Mul", "state", decay), g("Concat", added(FAST), added(SLOW), axis=-1))
    each: list[str | int] = ["n", "k"]
    inputs: Shapes = {"state": ["n", 2 * DIM], "x": [*each, DIM], "action": each, "mask": each}
    return g.model(inputs, {"next": (after, ["n", 2 * DIM])})


def query_graph() -> bytes:
    g = Graph()
    fast, slow = g("Split", "state", outputs=2, axis=1, num_outputs=2)
    parts = [g("Mul", g.unit(part), g.constant(share)) for part, share in ((fast, FAST_SHARE), (slow, 1 - FAST_SHARE))]
    return g.model({"state": ["n", 2 * DIM]}, {"asked": (g.unit(g("Add", *parts)), ["n", DIM])})


def _decays() -> Floats:
    return np.repeat(np.array([FAST, SLOW], np.float32), DIM)
