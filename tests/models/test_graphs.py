"""The pieces that graphs are written with compute what numpy computes."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from penchant.models.graphs import Graph


def run(graph: Graph, out: str, **given: np.ndarray) -> np.ndarray:
    model = graph.model({name: ["n", *array.shape[1:]] for name, array in given.items()}, {"out": (out, ["n", "m"])})
    session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
    result: np.ndarray = session.run(None, given)[0]
    return result


def random(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def test_a_linear_layer_is_written_as_torch_keeps_it() -> None:
    x, weight, bias = random(5, 3), random(4, 3), random(4)
    g = Graph()
    np.testing.assert_allclose(run(g, g.linear("x", weight, bias), x=x), x @ weight.T + bias, rtol=1e-5, atol=1e-5)
    g = Graph()
    np.testing.assert_allclose(run(g, g.linear("x", weight), x=x), x @ weight.T, rtol=1e-5, atol=1e-5)


def test_a_norm_brings_rows_to_mean_zero_and_variance_one() -> None:
    x, g = random(5, 8) * 3 + 1, Graph()
    out = run(g, g.norm("x", np.ones(8, np.float32), np.zeros(8, np.float32)), x=x)
    expected = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-5)
    np.testing.assert_allclose(out, expected, rtol=1e-4, atol=1e-5)


def test_silu_is_x_times_its_sigmoid() -> None:
    x, g = random(5, 8), Graph()
    np.testing.assert_allclose(run(g, g.silu("x"), x=x), x / (1 + np.exp(-x)), rtol=1e-5, atol=1e-6)


def test_rows_come_to_length_one_and_a_zero_row_stays_zero() -> None:
    x, g = random(5, 8), Graph()
    x[2] = 0.0
    lengths = np.linalg.norm(run(g, g.unit("x"), x=x), axis=1)
    np.testing.assert_allclose(lengths, [1, 1, 0, 1, 1], atol=1e-5)


def test_the_same_constant_is_kept_once_and_others_apart() -> None:
    g = Graph()
    assert g.constant([1.0, 2.0]) == g.constant(np.array([1.0, 2.0], np.float64))
    assert len({g.constant([1.0]), g.constant([1]), g.constant([[1.0]]), g.constant(1.0), g.constant([2.0])}) == 5


def test_a_graph_that_makes_no_sense_is_refused_when_it_is_written() -> None:
    g = Graph()
    with pytest.raises(onnx.checker.ValidationError):
        g.model({"x": ["n", 2]}, {"out": (g("NoSuchOperator", "x"), ["n", 2])})


def test_whole_numbers_enter_as_whole_numbers() -> None:
    g = Graph()
    model = onnx.load_from_string(
        g.model({"action": ["n"], "x": ["n", 2]}, {"out": (g("Gather", "x", "action"), ["n", 2])})
    )
    kinds = {one.name: one.type.tensor_type.elem_type for one in model.graph.input}
    assert kinds == {"action": onnx.TensorProto.INT64, "x": onnx.TensorProto.FLOAT}
