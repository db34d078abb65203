"""f(x): the state of a person as a stack of gated linear recurrences, at constant cost and size for every event.

    event    e = W x + action + value + gap                    x: the item's vector, or that of typed words
    block    h' = a * h + sqrt(1 - a^2) * i * v                real-gated linear recurrence unit (De et al. 2024,
             a = exp(-8 softplus(rate) sigmoid(r))             "Griffin", RG-LRU), diagonal, so it can be scanned
             e = e + W (silu(g) * h');  e = e + SwiGLU(e)      r, i, v, g are linear in LayerNorm(e)
    query    asked = W LayerNorm(e) + MLP(e, since, profile)   what is only known at the moment of asking

What is kept of a person is the h of every block and nothing else: the residual stream of the newest event is computed
again when the person is asked for (`read`), from that event and the h, which halves the state. `scan` runs whole
histories in parallel over people and channels, `step` one event at a time; they are the same function.

Times are log1p of seconds. They and the values (stars, prices, seconds played) enter piecewise linearly: one ramp
from 0 to 1 between each two knots.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

GAP_KNOTS = tuple(math.log1p(s) for s in (0, 1, 10, 60, 300, 1800, 7200, 28_800, 86_400, 345_600, 1.2e6, 4e6, 1.6e7))


class Shape(NamedTuple):
    """What a user state is built from; ``state`` numbers a block, so that ``blocks * state`` are kept of a person."""

    dim: int  # of an item vector
    width: int  # of the residual stream
    blocks: int
    state: int
    actions: int
    value_knots: tuple[float, ...]  # empty: values are not read
    profile: int  # most ids of profile values in use; 0: none
    since: bool  # whether the time from the last event to the moment of asking is read
    dropout: float
    decay: str = "gated"  # or "fixed": learned, but the same whatever the event


class Events(NamedTuple):
    """Events, all [..., n] with time first; an ``action`` of ``Shape.actions`` is the beginning: no event at all."""

    x: Tensor  # [..., dim]
    action: Tensor
    value: Tensor  # NaN: none
    gap: Tensor


class Scan(torch.autograd.Function):
    """h[t] = a[t] * h[t-1] + b[t] over the first axis; float32. Both directions are one fused pass each."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, first: Tensor) -> Tensor:
        h = torch.empty_like(b)
        before = first
        for t in range(len(b)):
            before = torch.addcmul(b[t], a[t], before, out=h[t])
        ctx.save_for_backward(a, h, first)
        return h

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        a, h, first = ctx.saved_tensors
        through = grad.clone(memory_format=torch.contiguous_format)
        for t in range(len(a) - 2, -1, -1):
            through[t].addcmul_(a[t + 1], through[t + 1])
        rates = torch.empty_like(a)
        torch.mul(through[1:], h[:-1], out=rates[1:])
        torch.mul(through[0], first, out=rates[0])
        return rates, through, a[0] * through[0]


class Ramps(nn.Module):
    """A number as ramps between knots: [...] -> [..., knots - 1], plus a 1 where it is missing (NaN)."""

    def __init__(self, knots: tuple[float, ...]) -> None:
        super().__init__()
        ends = torch.tensor(knots, dtype=torch.float32)
        self.register_buffer("low", ends[:-1].clone())
        self.register_buffer("span", ends[1:] - ends[:-1])

    @property
    def size(self) -> int:
        return len(self.low) + 1

    def forward(self, number: Tensor) -> Tensor:
        missing = torch.isnan(number)
        ramps = ((torch.nan_to_num(number)[..., None] - self.low) / self.span).clamp(0.0, 1.0)
        return torch.cat((ramps * ~missing[..., None], missing[..., None].to(ramps.dtype)), -1)


class Recurrence(nn.Module):
    """One layer of gated linear recurrence of ``state`` channels on a stream of ``width``."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(shape.width)
        self.gates = nn.Linear(shape.width, 4 * shape.state)
        self.out = nn.Linear(shape.state, shape.width)
        memory = torch.exp(torch.linspace(math.log(1.5), math.log(400.0), shape.state))  # events, at an open gate
        self.rate = nn.Parameter(torch.log(torch.expm1(1.0 / (4.0 * memory))))
        self.fixed = shape.decay == "fixed"

    def parts(self, stream: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(a, b, g): h' = a h + b, and the output is silu(g) h'; a and b in float32."""
        v, r, i, g = self.gates(self.norm(stream)).chunk(4, -1)
        opened = torch.full_like(r, 0.5, dtype=torch.float32) if self.fixed else torch.sigmoid(r.float())
        a = torch.exp(-8.0 * functional.softplus(self.rate) * opened)
        b = torch.sqrt((1.0 - a * a).clamp(min=1e-6)) * (torch.sigmoid(i) * v).float()
        return a, b, g

    def output(self, g: Tensor, h: Tensor) -> Tensor:
        mixed: Tensor = self.out(functional.silu(g) * h.to(g.dtype))
        return mixed


class Dropout(nn.Module):
    """As torch's, in a tenth of its time on a CPU: eight bytes of one random number decide on eight places."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = round(share * 256) / 256

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or not self.share:
            return x
        if x.is_cuda:
            return functional.dropout(x, self.share)
        drawn = torch.empty((x.numel() + 7) // 8, dtype=torch.int64).random_(-(2**63), None)
        kept = drawn.view(torch.uint8)[: x.numel()].view(x.shape) >= round(self.share * 256)
        return x * kept * (1.0 / (1.0 - self.share))


class Gated(nn.Module):
    """SwiGLU (Shazeer 2020), hidden twice the width."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.up = nn.Linear(width, 4 * width)
        self.down = nn.Linear(2 * width, width)

    def forward(self, stream: Tensor) -> Tensor:
        a, b = self.up(self.norm(stream)).chunk(2, -1)
        out: Tensor = self.down(functional.silu(a) * b)
        return out


class UserState(nn.Module):
    """`scan`, `step`, `read` and `query` of one model; see the module."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.enter = nn.Linear(shape.dim, shape.width)
        self.action = nn.Embedding(shape.actions + 1, shape.width)
        self.gap_ramps = Ramps(GAP_KNOTS)
        self.gap = nn.Linear(self.gap_ramps.size, shape.width, bias=False)
        self.value_ramps = Ramps(shape.value_knots) if shape.value_knots else None
        self.value = nn.Linear(self.value_ramps.size, shape.width, bias=False) if self.value_ramps else None
        self.recurrences = nn.ModuleList(Recurrence(shape) for _ in range(shape.blocks))
        self.mlps = nn.ModuleList(Gated(shape.width) for _ in range(shape.blocks))
        self.norm = nn.LayerNorm(shape.width)
        self.profile = nn.EmbeddingBag(shape.profile + 1, shape.width, mode="sum", padding_idx=0)
        self.since = nn.Linear(self.gap_ramps.size, shape.width, bias=False)
        self.late = Gated(shape.width) if shape.since or shape.profile else None
        self.leave = nn.Linear(shape.width, shape.dim - 1)
        self.dropout = Dropout(shape.dropout)
        self._start()

    def _start(self) -> None:
        for name, module in self.named_modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02 if name.endswith(("out", "down")) else 0.05)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif isinstance(module, nn.Embedding | nn.EmbeddingBag):
                nn.init.normal_(module.weight, std=0.02)

    @property
    def size(self) -> int:
        """Numbers that are kept of a person."""
        return self.shape.blocks * self.shape.state

    def embed(self, events: Events) -> Tensor:
        stream = self.enter(events.x) + self.action(events.action) + self.gap(self.gap_ramps(events.gap))
        if self.value is not None and self.value_ramps is not None:
            stream = stream + self.value(self.value_ramps(events.value))
        out: Tensor = self.dropout(stream)
        return out

    def scan(self, events: Events) -> Tensor:
        """Whole histories from the empty state, [n, people] -> streams [n, people, width] after each event.

        The first event is the beginning: it leaves the state empty.
        """
        stream = self.embed(events)
        stepped = (events.action != self.shape.actions)[..., None]
        for recurrence, mlp in zip(self.recurrences, self.mlps, strict=True):
            a, b, g = recurrence.parts(stream)
            b = b * stepped
            h = Scan.apply(a, b, torch.zeros_like(b[0]))
            stream = stream + self.dropout(recurrence.output(g, h))
            stream = stream + self.dropout(mlp(stream))
        return stream

    def step(self, state: Tensor, event: Events) -> Tensor:
        """One event each: states [people, size] -> states."""
        stream, after = self.embed(event), []
        for recurrence, mlp, h in zip(self.recurrences, self.mlps, state.split(self.shape.state, -1), strict=True):
            a, b, g = recurrence.parts(stream)
            after.append(a * h + b)
            stream = stream + recurrence.output(g, after[-1])
            stream = stream + mlp(stream)
        return torch.cat(after, -1)

    def read(self, state: Tensor, event: Events) -> Tensor:
        """The stream [people, width] of the newest event, from that event and the states after it."""
        stream = self.embed(event)
        for recurrence, mlp, h in zip(self.recurrences, self.mlps, state.split(self.shape.state, -1), strict=True):
            _, _, g = recurrence.parts(stream)
            stream = stream + recurrence.output(g, h)
            stream = stream + mlp(stream)
        return stream

    def query(self, stream: Tensor, since: Tensor, profile: Tensor | None = None) -> Tensor:
        """f(x): streams [..., width] -> asked [..., dim], to be multiplied with item vectors; the last number is 1.

        ``since`` [...]: log1p of the seconds from the last event to now; ``profile`` [..., m]: ids, 0 for none.
        """
        if self.late is not None:
            told = stream + self.since(self.gap_ramps(since)) if self.shape.since else stream
            if self.shape.profile and profile is not None:
                flat = profile.reshape(-1, profile.shape[-1])
                told = told + self.profile(flat).reshape(stream.shape)
            stream = told + self.dropout(self.late(told))
        asked = self.leave(self.norm(stream))
        return torch.cat((asked, torch.ones_like(asked[..., :1])), -1)
