"""Version 0: what a deployment runs on before anything was trained, and its fallback for ever.

A state is two decayed sums of item vectors, a fast one (its memory is three events long) and a slow one (twenty):
m' = decay * m + weight(action) * x. The query is their blend, each at length 1. That is linear, so `fold` needs no
loop: k events are one matrix product with weights decay^(events after it).

The projection g(y) is the only thing that looks at data: below `ENOUGH` items it is a fixed random rotation cut to
`DIM` columns (Johnson & Lindenstrauss 1984; seeded, so two machines agree); above, the vectors are centred and their
principal components brought nearer to equal length (partial whitening, exponent `WHITEN`), which is what makes the
difference between two films louder than what all films have in common.

The graphs are written with the `onnx` package, in the format that trained versions use.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from penchant.models.versions import Fusion, Manifest, publish

DIM = 128
ENOUGH = 256
WHITEN = 0.25
FAST, SLOW = 0.7, 0.95
FAST_SHARE = 0.2
OPSET, IR = 18, 9
FEATURES = ("text", "transitions", "neighbours", "popularity", "freshness")

Floats = NDArray[np.float32]
Shapes = Mapping[str, Sequence[str | int]]


def default_fusion() -> Fusion:
    """Chosen on the validation window of the MovieLens-1M time split, see docs/log.md; never on its test window."""
    return Fusion(
        weights={"text": 1.5, "transitions": 1.0, "neighbours": 0.3, "popularity": 0.0, "freshness": 0.05},
        transition_decay=0.7,
        transition_floor=0.001,
        neighbour_decay=0.9,
        neighbour_floor=0.01,
        neighbour_power=0.3,
    )


def default_search() -> dict[str, float]:
    return {"words": 0.35, "text": 2.0, "personal": 0.35, "popularity": 0.02}


def publish_version_0(
    folder: Path,
    encoder: tuple[str, str, int],
    actions: dict[str, float],
    vectors: Floats | None,
    created: float,
) -> Path:
    """Write version 0 for an encoder (name, fingerprint, dim); ``vectors`` [n, dim] are the catalogue's so far."""
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
        fusion=default_fusion(),
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


def brought_projection(name: str, dim: int) -> Floats:
    """How a vector that the application brought (an image's, say) enters: a fixed rotation, seeded by its name."""
    seed = int.from_bytes(name.encode()[:8].ljust(8, b"\0"), "little")
    return fixed_projection(dim, seed)[1]


# -- graphs ------------------------------------------------------------------------------------------------------------


def item_graph(mean: Floats, projection: Floats) -> bytes:
    nodes = [
        helper.make_node("Sub", ["text", "mean"], ["centred"]),
        helper.make_node("MatMul", ["centred", "projection"], ["projected"]),
        *_unit("projected", "vector"),
    ]
    return _model(nodes, {"text": ["n", len(mean)]}, {"vector": ["n", DIM]}, {"mean": mean, "projection": projection})


def step_graph(weights: Floats) -> bytes:
    nodes = [
        helper.make_node("Gather", ["weights", "action"], ["weight"]),
        helper.make_node("Unsqueeze", ["weight", "last"], ["column"]),
        helper.make_node("Mul", ["x", "column"], ["weighted"]),
        helper.make_node("Concat", ["weighted", "weighted"], ["added"], axis=-1),
        helper.make_node("Mul", ["state", "decays"], ["kept"]),
        helper.make_node("Add", ["kept", "added"], ["next"]),
    ]
    inputs: Shapes = {"state": ["n", 2 * DIM], "x": ["n", DIM], "action": ["n"], "value": ["n"], "gap": ["n"]}
    return _model(
        nodes,
        inputs,
        {"next": ["n", 2 * DIM]},
        {"weights": weights, "decays": _decays(), "last": np.array([-1], np.int64)},
    )


def fold_graph(weights: Floats) -> bytes:
    """Event j of k contributes decay^(real events after j); the state it starts from, decay^(all real events)."""
    nodes = [
        helper.make_node("Gather", ["weights", "action"], ["plain"]),
        helper.make_node("Mul", ["plain", "mask"], ["weight"]),
        helper.make_node("CumSum", ["mask", "axis"], ["upto"]),
        helper.make_node("ReduceSum", ["mask", "axis_list"], ["total"], keepdims=1),
        helper.make_node("Sub", ["total", "upto"], ["after"]),
    ]
    for name in ("fast", "slow"):
        nodes += [
            helper.make_node("Mul", ["after", f"log_{name}"], [f"exponent_{name}"]),
            helper.make_node("Exp", [f"exponent_{name}"], [f"power_{name}"]),
            helper.make_node("Mul", [f"power_{name}", "weight"], [f"share_{name}"]),
            helper.make_node("Unsqueeze", [f"share_{name}", "axis_list"], [f"row_{name}"]),
            helper.make_node("MatMul", [f"row_{name}", "x"], [f"sum_{name}"]),
            helper.make_node("Squeeze", [f"sum_{name}", "axis_list"], [f"added_{name}"]),
        ]
    nodes += [
        helper.make_node("Concat", ["added_fast", "added_slow"], ["added"], axis=-1),
        helper.make_node("Mul", ["total", "log_decays"], ["exponent"]),
        helper.make_node("Exp", ["exponent"], ["decay"]),
        helper.make_node("Mul", ["state", "decay"], ["kept"]),
        helper.make_node("Add", ["kept", "added"], ["next"]),
    ]
    inputs: Shapes = {
        "state": ["n", 2 * DIM],
        "x": ["n", "k", DIM],
        "action": ["n", "k"],
        "value": ["n", "k"],
        "gap": ["n", "k"],
        "mask": ["n", "k"],
    }
    constants = {
        "weights": weights,
        "axis": np.array(1, np.int64),
        "axis_list": np.array([1], np.int64),
        "log_fast": np.log(np.float32(FAST)),
        "log_slow": np.log(np.float32(SLOW)),
        "log_decays": np.log(_decays()),
    }
    return _model(nodes, inputs, {"next": ["n", 2 * DIM]}, constants)


def query_graph() -> bytes:
    nodes = [
        helper.make_node("Split", ["state"], ["fast", "slow"], axis=1, num_outputs=2),
        *_unit("fast", "unit_fast"),
        *_unit("slow", "unit_slow"),
        helper.make_node("Mul", ["unit_fast", "fast_share"], ["part_fast"]),
        helper.make_node("Mul", ["unit_slow", "slow_share"], ["part_slow"]),
        helper.make_node("Add", ["part_fast", "part_slow"], ["blend"]),
        *_unit("blend", "asked"),
    ]
    return _model(
        nodes,
        {"state": ["n", 2 * DIM]},
        {"asked": ["n", DIM]},
        {"fast_share": np.float32(FAST_SHARE), "slow_share": np.float32(1 - FAST_SHARE)},
    )


def _decays() -> Floats:
    return np.repeat(np.array([FAST, SLOW], np.float32), DIM)


def _unit(source: str, result: str) -> list[onnx.NodeProto]:
    """Rows brought to length 1; a zero row stays zero."""
    return [
        helper.make_node("ReduceL2", [source, "unit_axis"], [f"{source}_length"], keepdims=1),
        helper.make_node("Max", [f"{source}_length", "tiny"], [f"{source}_safe"]),
        helper.make_node("Div", [source, f"{source}_safe"], [result]),
    ]


def _model(
    nodes: Sequence[onnx.NodeProto],
    inputs: Shapes,
    outputs: Shapes,
    constants: dict[str, NDArray[np.generic] | np.generic],
) -> bytes:
    constants = constants | {"unit_axis": np.array([-1], np.int64), "tiny": np.float32(1e-12)}
    used = {name for node in nodes for name in node.input}
    kinds = {name: TensorProto.INT64 if name == "action" else TensorProto.FLOAT for name in inputs}
    # A graph without a loop has inputs that version 0 does not read; the format keeps them, so they are declared.
    graph = helper.make_graph(
        list(nodes),
        "version_0",
        [helper.make_tensor_value_info(name, kinds[name], shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items() if name in used],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())
