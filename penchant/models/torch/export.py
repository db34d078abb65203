"""A trained model as the ONNX graphs that the engine runs.

`fold` is a scan over at most 64 events by doubling (Hillis & Steele 1986): after round j, each place holds the
composition of the 2^j updates that end there, so six rounds of wide multiplications take the place of a loop. A place
that is masked composes as the identity. The residual of an item is not in the graph: it is a row of the version.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from penchant.models.graphs import Graph
from penchant.models.torch.item_encoder import ItemEncoder
from penchant.models.torch.user_state import Ramps, Recurrence, UserState

_ROUNDS = 6  # 2^6 = 64 events, the length of a ring


def item_graph(encoder: ItemEncoder) -> bytes:
    """Content -> vectors; see `models.versions` for the inputs."""
    g, shape = Graph(), encoder.shape
    parts = [g("Mul", g("ReduceSum", "text", g.constant([-1]), keepdims=1), g.constant(0.0))]
    if encoder.text is not None:
        there = g("ReduceMax", g("Abs", "text"), g.constant([-1]), keepdims=1)
        centred = g(
            "MatMul", g("Sub", "text", g.constant(_n(encoder.text_mean))), g.constant(_n(encoder.text_whitening))
        )
        here = g("Cast", g("Greater", there, g.constant(0.0)), to=1)
        parts.append(g.linear(g("Mul", centred, here), _n(encoder.text.weight)))
    if encoder.tags is not None:
        weights = _n(encoder.tags.weight).copy()
        weights[0] = 0.0
        parts.append(g("ReduceSum", g("Gather", g.constant(weights), "tags"), g.constant([1]), keepdims=0))
    for place, (ramps, linear) in enumerate(zip(encoder.ramps, encoder.numbers, strict=True)):
        column = g("Gather", "numbers", g.constant(place), axis=1)
        parts.append(g.linear(_ramps(g, ramps, column), _n(linear.weight)))
    start = 0
    for linear in encoder.brought:
        ends = g.constant([start]), g.constant([start + linear.in_features])
        parts.append(g.linear(g("Slice", "brought", *ends, g.constant([1])), _n(linear.weight)))
        start += linear.in_features
    out = parts[0]
    for part in parts[1:]:
        out = g("Add", out, part)
    if encoder.mlp is not None:
        out = g("Add", out, _gated(g, encoder.mlp, out))
    if not encoder.has_content:
        out = g("Expand", out, g.constant([1, encoder.dim]))
    inputs: dict[str, list[str | int]] = {"text": ["n", shape.text or "unread"]}
    inputs |= {"tags": ["n", "m"]} if shape.tags else {}
    inputs |= {"numbers": ["n", len(shape.numbers)]} if shape.numbers else {}
    inputs |= {"brought": ["n", sum(shape.brought)]} if shape.brought else {}
    return g.model(inputs, {"vector": (out, ["n", encoder.dim])})


def step_graph(user: UserState) -> bytes:
    """One event each."""
    g = Graph()
    stream, after = _embed(g, user, []), []
    for place, (recurrence, mlp) in enumerate(zip(user.recurrences, user.mlps, strict=True)):
        h = _state(g, user, place)
        a, b, gate = _parts(g, recurrence, stream)
        after.append(g("Add", g("Mul", a, h), b))
        if place < user.shape.blocks - 1:  # what comes after the last state is only read
            stream = _leave_block(g, recurrence, mlp, stream, gate, after[-1])
    return g.model(_event_inputs(user, []), {"next": (g("Concat", *after, axis=-1), ["n", user.size])})


def fold_graph(user: UserState) -> bytes:
    """Up to 64 events each, masked at the end."""
    g = Graph()
    stream, last = _embed(g, user, ["k"]), []
    mask = g("Unsqueeze", "mask", g.constant([-1]))
    for place, (recurrence, mlp) in enumerate(zip(user.recurrences, user.mlps, strict=True)):
        a, b, gate = _parts(g, recurrence, stream)
        a = g("Add", g("Mul", a, mask), g("Sub", g.constant(1.0), mask))
        a, b = _scan(g, a, g("Mul", b, mask))
        h = g("Add", g("Mul", a, g("Unsqueeze", _state(g, user, place), g.constant([1]))), b)
        ends = g.constant([-1]), g.constant([2**31]), g.constant([1])
        last.append(g("Squeeze", g("Slice", h, *ends), g.constant([1])))
        if place < user.shape.blocks - 1:
            stream = _leave_block(g, recurrence, mlp, stream, gate, h)
    inputs = _event_inputs(user, ["k"]) | {"mask": ["n", "k"]}
    return g.model(inputs, {"next": (g("Concat", *last, axis=-1), ["n", user.size])})


def query_graph(user: UserState) -> bytes:
    """f(x) from the state, the newest event, and what is known at the moment of asking."""
    g, shape = Graph(), user.shape
    stream = _embed(g, user, [])
    for place, (recurrence, mlp) in enumerate(zip(user.recurrences, user.mlps, strict=True)):
        _, _, gate = _parts(g, recurrence, stream)
        stream = _leave_block(g, recurrence, mlp, stream, gate, _state(g, user, place))
    inputs = _event_inputs(user, [])
    if user.late is not None:
        if shape.since:
            inputs |= {"since": ["n"]}
            stream = g("Add", stream, g.linear(_ramps(g, user.gap_ramps, "since"), _n(user.since.weight)))
        if shape.profile:
            inputs |= {"profile": ["n", "m"]}
            weights = _n(user.profile.weight).copy()
            weights[0] = 0.0
            told = g("ReduceSum", g("Gather", g.constant(weights), "profile"), g.constant([1]), keepdims=0)
            stream = g("Add", stream, told)
        stream = g("Add", stream, _gated(g, user.late, stream))
    asked = g.linear(_norm(g, user.norm, stream), _n(user.leave.weight), _n(user.leave.bias))
    one = g("Add", g("Mul", g("Slice", asked, g.constant([0]), g.constant([1]), g.constant([1])), g.constant(0.0)),
            g.constant(1.0))  # fmt: skip
    return g.model(inputs, {"asked": (g("Concat", asked, one, axis=-1), ["n", shape.dim])})


# -- pieces ------------------------------------------------------------------------------------------------------------


def _event_inputs(user: UserState, more: list[str | int]) -> dict[str, list[str | int]]:
    each: list[str | int] = ["n", *more]
    out: dict[str, list[str | int]] = {"state": ["n", user.size], "x": [*each, user.shape.dim], "action": each}
    return out | ({"value": each} if user.value is not None else {}) | {"gap": each}


def _embed(g: Graph, user: UserState, more: list[str]) -> str:
    stream = g.linear("x", _n(user.enter.weight), _n(user.enter.bias))
    stream = g("Add", stream, g("Gather", g.constant(_n(user.action.weight)), "action"))
    stream = g("Add", stream, g.linear(_ramps(g, user.gap_ramps, "gap"), _n(user.gap.weight)))
    if user.value is not None and user.value_ramps is not None:
        stream = g("Add", stream, g.linear(_ramps(g, user.value_ramps, "value"), _n(user.value.weight)))
    return str(stream)


def _ramps(g: Graph, ramps: Ramps, number: str) -> str:
    column = g("Unsqueeze", number, g.constant([-1]))
    missing = g("Cast", g("IsNaN", column), to=1)
    known = g("Where", g("IsNaN", column), g.constant(0.0), column)
    ramp = g("Clip", g("Div", g("Sub", known, g.constant(_n(ramps.low))), g.constant(_n(ramps.span))),
             g.constant(0.0), g.constant(1.0))  # fmt: skip
    return str(g("Concat", g("Mul", ramp, g("Sub", g.constant(1.0), missing)), missing, axis=-1))


def _state(g: Graph, user: UserState, place: int) -> str:
    size = user.shape.state
    ends = g.constant([place * size]), g.constant([(place + 1) * size])
    return str(g("Slice", "state", *ends, g.constant([-1])))


def _parts(g: Graph, recurrence: Recurrence, stream: str) -> tuple[str, str, str]:
    linear = recurrence.gates
    v, r, i, gate = g("Split", g.linear(_norm(g, recurrence.norm, stream), _n(linear.weight), _n(linear.bias)),
                      outputs=4, axis=-1, num_outputs=4)  # fmt: skip
    rate = -8.0 * np.logaddexp(0.0, _n(recurrence.rate).astype(np.float64))
    opened = g("Add", g("Mul", r, g.constant(0.0)), g.constant(0.5)) if recurrence.fixed else g("Sigmoid", r)
    a = g("Exp", g("Mul", opened, g.constant(rate)))
    rest = g("Max", g("Sub", g.constant(1.0), g("Mul", a, a)), g.constant(1e-6))
    return a, g("Mul", g("Sqrt", rest), g("Mul", g("Sigmoid", i), v)), gate


def _scan(g: Graph, a: str, b: str) -> tuple[str, str]:
    """Inclusive scan of h' = a h + b along axis 1, as (product of a, h from an empty state)."""
    for j in range(_ROUNDS):
        before_a, before_b = _shift(g, a, 2**j, 1.0), _shift(g, b, 2**j, 0.0)
        a, b = g("Mul", a, before_a), g("Add", g("Mul", a, before_b), b)
    return a, b


def _shift(g: Graph, x: str, by: int, fill: float) -> str:
    """x moved ``by`` places along axis 1; what comes in from before the first is ``fill``."""
    padded = g("Pad", x, g.constant([0, by, 0, 0, 0, 0]), g.constant(fill))
    return str(g("Slice", padded, g.constant([0]), g.constant([-by]), g.constant([1])))


def _leave_block(g: Graph, recurrence: Recurrence, mlp: nn.Module, stream: str, gate: str, h: str) -> str:
    out = g.linear(g("Mul", g.silu(gate), h), _n(recurrence.out.weight), _n(recurrence.out.bias))
    stream = g("Add", stream, out)
    return str(g("Add", stream, _gated(g, mlp, stream)))


def _gated(g: Graph, mlp: Any, stream: str) -> str:
    up = g.linear(_norm(g, mlp.norm, stream), _n(mlp.up.weight), _n(mlp.up.bias))
    a, b = g("Split", up, outputs=2, axis=-1, num_outputs=2)
    return g.linear(g("Mul", g.silu(a), b), _n(mlp.down.weight), _n(mlp.down.bias))


def _norm(g: Graph, norm: nn.LayerNorm, stream: str) -> str:
    return g.norm(stream, _n(norm.weight), _n(norm.bias))


def _n(tensor: Tensor) -> NDArray[Any]:
    array: NDArray[Any] = tensor.detach().cpu().numpy()
    return array
