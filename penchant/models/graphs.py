"""Writing ONNX graphs by hand: a short way to say them, for the graphs that a version consists of.

Written with the `onnx` package rather than exported from a framework: version 0 has no framework to be exported from,
and a recurrence exported from torch is either unrolled to a fixed length or a loop of tiny kernels, where `fold` wants
a scan of log2(64) wide steps (see `models.torch.export`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

OPSET, IR = 18, 9

Shapes = Mapping[str, Sequence[str | int]]
_LONGS = {"action", "tags", "profile"}  # inputs of whole numbers; all others are float32


class Graph:
    """Nodes are added by calling: ``y = g("MatMul", x, g.constant(w))`` adds a node and returns its output's name."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, NDArray[Any]] = {}

    def __call__(self, operator: str, *inputs: str, outputs: int = 1, **attributes: Any) -> Any:
        names = [f"{operator.lower()}_{len(self._nodes)}_{k}" for k in range(outputs)]
        self._nodes.append(helper.make_node(operator, list(inputs), names, **attributes))
        return names[0] if outputs == 1 else names

    def constant(self, value: Any) -> str:
        """The name of a constant; floats become float32, whole numbers int64."""
        array = np.asarray(value)
        array = array.astype(np.float32 if array.dtype.kind == "f" else np.int64)
        for name, known in self._constants.items():
            if known.dtype == array.dtype and known.shape == array.shape and np.array_equal(known, array):
                return name
        name = f"constant_{len(self._constants)}"
        self._constants[name] = array
        return name

    def linear(self, x: str, weight: NDArray[Any], bias: NDArray[Any] | None = None) -> str:
        """x @ weight.T + bias, torch's layout."""
        out: str = self("MatMul", x, self.constant(np.ascontiguousarray(weight.T)))
        return out if bias is None else str(self("Add", out, self.constant(bias)))

    def norm(self, x: str, weight: NDArray[Any], bias: NDArray[Any]) -> str:
        """Layer normalisation over the last axis (Ba et al. 2016), epsilon as torch's."""
        out: str = self("LayerNormalization", x, self.constant(weight), self.constant(bias), axis=-1, epsilon=1e-5)
        return out

    def silu(self, x: str) -> str:
        out: str = self("Mul", x, self("Sigmoid", x))
        return out

    def unit(self, x: str) -> str:
        """Rows brought to length 1; a zero row stays zero."""
        length = self("ReduceL2", x, self.constant([-1]), keepdims=1)
        out: str = self("Div", x, self("Max", length, self.constant(1e-12)))
        return out

    def model(self, inputs: Shapes, outputs: Mapping[str, tuple[str, Sequence[str | int]]]) -> bytes:
        """The graph, checked and serialised; ``outputs``: what each is called, the node output it is, its shape."""
        for name, (source, _) in outputs.items():
            self._nodes.append(helper.make_node("Identity", [source], [name]))
        kinds = {name: TensorProto.INT64 if name in _LONGS else TensorProto.FLOAT for name in inputs}
        graph = helper.make_graph(
            self._nodes,
            "penchant",
            [helper.make_tensor_value_info(name, kinds[name], shape) for name, shape in inputs.items()],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, (_, shape) in outputs.items()],
            [numpy_helper.from_array(value, name) for name, value in self._constants.items()],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)
        onnx.checker.check_model(model)
        return bytes(model.SerializeToString())
