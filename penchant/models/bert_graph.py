"""A BERT sentence encoder written as one ONNX graph, from its weights alone.

Notable: no torch and no exporter. Pooling by the mask and L2 normalisation are inside the graph. The operators were
chosen by measuring (ONNX Runtime 1.32, one AVX-512 core): SkipLayerNormalization, which looks like the fused choice,
costs 12 to 21% against a plain Add and LayerNormalization, so measure before fusing more. MultiHeadAttention, Attention
and attention spelled out are equally fast within the noise; the first needs the least rewriting of weights. One text
is always segment 0, so that segment's embedding is folded into the position table and there is no token_type_ids.

Does not know: runtimes other than ONNX Runtime, sentence pairs, RoBERTa's shifted positions, relative positions,
activations other than exact GELU. What is not a plain BERT is refused by name.

BERT: Devlin et al. 2019, arXiv:1810.04805. Mean pooling: Reimers and Gurevych 2019, arXiv:1908.10084.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper
from safetensors import SafetensorError
from safetensors.numpy import load_file

from penchant.errors import Corrupt, InvalidInput

FORMAT = 1  # part of the name of a cached graph: raise it whenever the graph written below changes
_OPSET, _IR = 17, 8  # the oldest with LayerNormalization
_ONLY = {"model_type": "bert", "hidden_act": "gelu", "position_embedding_type": "absolute"}

Weights = Mapping[str, npt.NDArray[np.float32]]


def bert_graph(weights: Path, config: Mapping[str, Any], pooling: str) -> bytes:
    """The encoder of a safetensors file as the bytes of an ONNX file; ``pooling`` is "mean" or "cls".

    Inputs int64 [n, length]: input_ids, attention_mask. Output float32 [n, dim]: sentence_embedding, of length 1.
    Raises InvalidInput when ``config`` is no plain BERT, Corrupt when the weights do not fit it.
    """
    _check(config)
    try:
        return bytes(_encoder(_read(weights), config, pooling).SerializeToString())
    except (KeyError, ValueError, SafetensorError) as wrong:
        raise Corrupt(
            f"these are not the weights that the config.json beside them describes ({type(wrong).__name__}: {wrong}).",
            field="weights",
            value=str(weights),
            way_out="Fetch the model again.",
        ) from wrong


def _check(config: Mapping[str, Any]) -> None:
    for key, wanted in _ONLY.items():
        if config.get(key, wanted) != wanted:
            raise InvalidInput(
                f"only {wanted!r} can be read from model.safetensors.",
                field=key,
                value=config[key],
                way_out="Put the model's ONNX export beside it as model.onnx.",
            )


def _read(path: Path) -> Weights:
    """Half precision becomes float32; the ``bert.`` that a task head leaves before each name goes."""
    return {name.removeprefix("bert."): np.asarray(value, np.float32) for name, value in load_file(path).items()}


class _Graph:
    """Nodes and constants in order; every method returns the name of the tensor it made."""

    def __init__(self, weights: Weights, eps: float) -> None:
        self.weights, self.eps = weights, eps
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def op(self, kind: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        out = f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [out], name=out, domain=domain, **attributes))
        return out

    def fused(self, kind: str, *inputs: str, **attributes: Any) -> str:
        return self.op(kind, *inputs, domain="com.microsoft", **attributes)

    def const(self, value: npt.NDArray[Any]) -> str:
        name = f"constant_{len(self.constants)}"
        # ascontiguousarray would turn a scalar into a vector
        self.constants.append(numpy_helper.from_array(np.asarray(value, order="C"), name))
        return name

    def ints(self, *values: int) -> str:
        return self.const(np.array(values, np.int64))

    def tiny(self, value: float) -> str:
        return self.const(np.array([value], np.float32))

    def weight(self, name: str) -> str:
        return self.const(self.weights[name])

    def linear(self, x: str, name: str) -> str:
        """x W without the bias; torch keeps W as [out, in], MatMul wants [in, out]."""
        return self.op("MatMul", x, self.const(self.weights[name + "weight"].T))

    def norm(self, x: str, name: str) -> str:
        scale, shift = self.weight(name + "LayerNorm.weight"), self.weight(name + "LayerNorm.bias")
        return self.op("LayerNormalization", x, scale, shift, axis=-1, epsilon=self.eps)


def _encoder(weights: Weights, config: Mapping[str, Any], pooling: str) -> onnx.ModelProto:
    g = _Graph(weights, float(config.get("layer_norm_eps", 1e-12)))
    x = _embed(g)
    mask = g.op("Cast", "attention_mask", to=TensorProto.INT32)
    for layer in range(config["num_hidden_layers"]):
        x = _attend(g, f"encoder.layer.{layer}.attention.", x, mask, config["num_attention_heads"])
        x = _feed_forward(g, f"encoder.layer.{layer}.", x)
    _normalise(g, _first(g, x) if pooling == "cls" else _mean(g, x))
    return _model(g, dim=weights["embeddings.LayerNorm.bias"].shape[0])


def _embed(g: _Graph) -> str:
    """[n, length] of ids -> [n, length, dim]."""
    segment = g.weights["embeddings.token_type_embeddings.weight"][0]
    places = g.const(g.weights["embeddings.position_embeddings.weight"] + segment)
    length = g.op("Slice", g.op("Shape", "input_ids"), g.ints(1), g.ints(2))
    here = g.op("Slice", places, g.ints(0), length, g.ints(0))
    words = g.op("Gather", g.weight("embeddings.word_embeddings.weight"), "input_ids")
    return g.norm(g.op("Add", words, here), "embeddings.")


def _attend(g: _Graph, name: str, x: str, mask: str, heads: int) -> str:
    parts = [f"{name}self.{part}." for part in ("query", "key", "value")]
    bias = g.const(np.concatenate([g.weights[part + "bias"] for part in parts]))
    mixed = g.fused("MultiHeadAttention", *(g.linear(x, part) for part in parts), bias, mask, num_heads=heads)
    return _add_and_norm(g, name + "output.", mixed, x)


def _feed_forward(g: _Graph, name: str, x: str) -> str:
    inner = name + "intermediate.dense."
    wide = g.fused("BiasGelu", g.linear(x, inner), g.weight(inner + "bias"))
    return _add_and_norm(g, name + "output.", wide, x)


def _add_and_norm(g: _Graph, name: str, x: str, residual: str) -> str:
    out = g.op("Add", g.linear(x, name + "dense."), g.weight(name + "dense.bias"))
    return g.norm(g.op("Add", out, residual), name)


def _mean(g: _Graph, x: str) -> str:
    """Mean over the real tokens, [n, length, dim] -> [n, dim], as one batched product with the mask."""
    mask = g.op("Cast", "attention_mask", to=TensorProto.FLOAT)
    total = g.op("MatMul", g.op("Unsqueeze", mask, g.ints(1)), x)
    count = g.op("Max", g.op("ReduceSum", mask, g.ints(1), keepdims=1), g.tiny(1.0))
    return g.op("Div", g.op("Squeeze", total, g.ints(1)), count)


def _first(g: _Graph, x: str) -> str:
    return g.op("Gather", x, g.const(np.array(0, np.int64)), axis=1)


def _normalise(g: _Graph, pooled: str) -> None:
    g.op("Div", pooled, g.op("Max", g.op("ReduceL2", pooled, axes=[1], keepdims=1), g.tiny(1e-12)))
    g.nodes[-1].output[0] = "sentence_embedding"


def _model(g: _Graph, dim: int) -> onnx.ModelProto:
    def info(name: str, kind: int, last: str | int) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, kind, ["n", last])

    inputs = [info(name, TensorProto.INT64, "length") for name in ("input_ids", "attention_mask")]
    output = info("sentence_embedding", TensorProto.FLOAT, dim)
    graph = helper.make_graph(g.nodes, "bert", inputs, [output], g.constants)
    opsets = [helper.make_opsetid("", _OPSET), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=_IR, producer_name="penchant")
