"""State space duality by compiled loops (see `native`): the passes forward and backward as functions of tensors.

Letters as in `ssd.py`, and T tokens, whose sequences begin at `begins`, (B + 1,) int64, the last number of which is T.
"""

from __future__ import annotations

from operator import sub
from typing import Generic, NamedTuple, TypeVar

import torch
from torch import Tensor

from . import native

P = TypeVar("P", bound=tuple[Tensor, ...])


class SSDSizes(NamedTuple):
    """H heads of width P, N units of state, Q tokens of a chunk."""

    heads: int
    width: int
    state: int
    chunk: int

    @property
    def inner(self) -> int:
        return self.heads * self.width


class Streams(NamedTuple):
    """x (T, inner), B and C (T, N), each of them columns of one wider array."""

    x: Tensor
    b: Tensor
    c: Tensor


def ssd_forward(
    streams: Streams,
    dt: Tensor,
    rate: Tensor,
    skip: Tensor | None,
    begins: Tensor,
    sizes: SSDSizes,
    *,
    keep: bool,
    side: int = 0,
    add_to: Tensor | None = None,
    start: Tensor | None = None,
    end: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """To y (T, inner), and to the states before chunks.

    dt: (T, H). rate, skip: (H,). keep: whether the states are wanted, for the backward pass.
    side: 0 for y of `ssd`; 1 or -1 for what a token gets from those before it or after it alone, read from what stands beside it,
    as Hydra has it. add_to: the array that y is added to; a side needs one.
    start, end: (B, H, N, P), the states before the first tokens, and where those after the last ones are written.
    """
    tokens, sequences = len(dt), len(begins) - 1
    y = dt.new_empty(tokens, sizes.inner) if add_to is None else add_to
    chunk, state_begins, chunks = chunks_of(begins, sizes.chunk)
    states = dt.new_empty(chunks if keep else 0, sizes.heads, sizes.state, sizes.width)
    shape = (streams.x.stride(0), sequences, *sizes[:3], chunk, int(side < 0), abs(side), _groups(sequences, sizes.heads))
    places = (begins, state_begins, states if keep else None, start, end, y)
    native.run("ssd_forward", *streams, dt, rate, skip, *places, *shape, y.stride(0), int(add_to is not None))
    return y, states


def ssd_backward(
    streams: Streams,
    dt: Tensor,
    rate: Tensor,
    skip: Tensor | None,
    begins: Tensor,
    sizes: SSDSizes,
    states: Tensor,
    grad: Tensor,
    found: Streams,
    *,
    side: int = 0,
    add: bool = False,
) -> tuple[Tensor, Tensor, Tensor]:
    """Writes the gradients of x, B and C where `found` says (if `add`, that of x is added), and gives those of dt, rate and skip.

    states: from the forward pass. grad: of y, (T, inner).
    """
    sequences, groups = len(begins) - 1, _groups(len(begins) - 1, sizes.heads)
    chunk, state_begins, _ = chunks_of(begins, sizes.chunk)
    grad_dt, grad_rate = torch.empty_like(dt), dt.new_empty(sequences, sizes.heads)
    grad_skip = torch.empty_like(grad_rate)
    parts = [dt.new_empty(groups, len(dt), sizes.state) for _ in range(2)] if groups > 1 else [found.b, found.c]
    shape = (streams.x.stride(0), sequences, *sizes[:3], chunk, int(side < 0), abs(side), groups)
    rows = (grad.stride(0), found.x.stride(0), len(dt) * sizes.state, int(add))
    gradients = (grad, found.x, *parts, grad_dt, grad_rate, grad_skip)
    native.run("ssd_backward", *streams, dt, rate, skip, begins, state_begins, states, *gradients, *shape, *rows)
    if groups > 1:
        found.b.copy_(parts[0].sum(0))
        found.c.copy_(parts[1].sum(0))
    return grad_dt, grad_rate.sum(0), grad_skip.sum(0)


class MixerProblem(NamedTuple, Generic[P]):
    """What both passes of a whole mixer are given.

    projected: what the in-projection gives. parameters: weights (channels, taps) and biases of the convolution, biases of the steps, log
    decay rates, and what else the loops take, in their order. dt: steps. rate: (H,).
    """

    projected: Tensor
    parameters: P
    dt: Tensor
    rate: Tensor
    begins: Tensor
    sizes: SSDSizes

    @property
    def channels(self) -> int:
        """Of the convolution."""
        return len(self.parameters[0])

    @property
    def taps(self) -> int:
        """Of the convolution."""
        return self.parameters[0].shape[1]

    def inputs(self) -> tuple[Tensor, ...]:
        """The arrays, as the loops take them."""
        weight, bias, _, _, *others = self.parameters
        rest = (other.contiguous() for other in others)
        return self.projected, weight.t().contiguous(), bias, self.dt, self.rate, *rest, self.begins

    def shape(self, chunk: int) -> tuple[int, ...]:
        """The numbers, as the loops take them."""
        return self.projected.stride(0), len(self.begins) - 1, *self.sizes[:3], chunk, self.taps, longest(self.begins)


def chunks_of(begins: Tensor, chunk: int) -> tuple[int, Tensor, int]:
    """Tokens of a chunk, which are more where that spares states; where the states before chunks begin, by sequence; and their number."""
    most = longest(begins)
    chunk = most if most <= 2 * chunk else chunk
    if most <= chunk:
        return chunk, begins, 0
    counts = (begins.diff() + chunk - 1) // chunk
    ends = counts.cumsum(0)
    return chunk, ends - counts, int(ends[-1])


def longest(begins: Tensor) -> int:
    """Tokens of the longest sequence."""
    places = begins.tolist()  # an operation of torch on so few numbers takes longer
    return max(map(sub, places[1:], places), default=0)


def enough_sequences(begins: Tensor) -> bool:
    """Whether there are whole sequences for every thread."""
    return len(begins) > torch.get_num_threads()


def _groups(sequences: int, heads: int) -> int:
    threads = torch.get_num_threads()
    return 1 if sequences >= threads else min(heads, -(-threads // max(sequences, 1)))
