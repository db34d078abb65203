"""Random user states and histories for the tests of what is computed from them, and ONNX graphs run from memory."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnxruntime as ort
import torch
from hypothesis import strategies as st

from penchant.models.torch.user_state import Events, Shape, UserState

ACTIONS = 4

shapes = st.builds(
    Shape,
    dim=st.just(6),
    width=st.just(10),
    blocks=st.integers(1, 3),
    state=st.just(5),
    actions=st.just(ACTIONS),
    value_knots=st.sampled_from(((), (1.0, 5.0), (-2.0, 0.0, 0.5, 30.0))),
    profile=st.sampled_from((0, 7)),
    since=st.booleans(),
    dropout=st.just(0.3),
    decay=st.sampled_from(("gated", "fixed")),
)


def tower(shape: Shape, seed: int) -> UserState:
    """A user state with weights that are loud enough for a mistake to be heard."""
    torch.manual_seed(seed)
    user = UserState(shape)
    shake(user)
    return user.eval()


def shake(module: torch.nn.Module) -> None:
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if name.endswith("rate"):
                parameter.uniform_(-6.0, 0.0)  # memories of one event to hundreds
            else:
                parameter.normal_(0.0, 0.5 if parameter.dim() < 2 else 0.7 / parameter.shape[-1] ** 0.5)


def history(draw: np.random.Generator, events: int, people: int, shape: Shape) -> Events:
    """Events [events, people]: of items and of nothing known, with values and without, at any distance in time."""
    x = draw.standard_normal((events, people, shape.dim)) * (draw.random((events, people, 1)) < 0.8)
    value = np.where(draw.random((events, people)) < 0.7, draw.normal(2.0, 4.0, (events, people)), np.nan)
    return Events(
        torch.from_numpy(x.astype(np.float32)),
        torch.from_numpy(draw.integers(0, shape.actions, (events, people))),
        torch.from_numpy(value.astype(np.float32)),
        torch.from_numpy(draw.uniform(0.0, 17.0, (events, people)).astype(np.float32)),
    )


def beginning(people: int, shape: Shape) -> Events:
    """What stands before everybody's first event, [1, people]."""
    return Events(
        torch.zeros(1, people, shape.dim),
        torch.full((1, people), shape.actions),
        torch.full((1, people), torch.nan),
        torch.zeros(1, people),
    )


def joined(one: Events, other: Events) -> Events:
    return Events(*(torch.cat(parts) for parts in zip(one, other, strict=True)))


def at(events: Events, time: int) -> Events:
    return Events(*(part[time] for part in events))


def runs(graph: bytes) -> Callable[..., np.ndarray]:
    """A graph as a function of named arrays, of which it is fed those that it reads."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    reads = [one.name for one in session.get_inputs()]

    def run(**given: np.ndarray) -> np.ndarray:
        out: np.ndarray = session.run(None, {name: given[name] for name in reads})[0]
        return out

    return run
