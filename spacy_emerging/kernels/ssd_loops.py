"""State space duality by compiled loops (see `native`): the passes forward and backward as functions of tensors.

Letters as in `ssd.py`, and T tokens, whose sequences begin at `begins`, (B + 1,) int64, the last number of which is T.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from . import native


class SSDSizes(NamedTuple):
    """H heads of width P, N units of state, Q tokens of a chunk."""

    heads: int
    width: int
    state: int
    chunk: int

    @property
    def inner(self) -> int:
        return self.heads * self.width


def ssd_forward(
    mixed: Tensor, dt: Tensor, rate: Tensor, skip: Tensor, begins: Tensor, sizes: SSDSizes, *, keep: bool
) -> tuple[Tensor, Tensor]:
    """x, B and C side by side, (T, inner + 2 N), to y (T, inner), and to the states before chunks.

    dt: (T, H). rate, skip: (H,). keep: whether the states are wanted, for the backward pass.
    """
    inner, state = sizes.inner, sizes.state
    x, b, c = mixed.split([inner, state, state], -1)
    y = x.new_empty(len(x), inner)
    chunk, state_begins, chunks = _chunks(begins, sizes.chunk)
    states = x.new_empty(chunks if keep else 0, sizes.heads, state, sizes.width)
    groups = _groups(len(begins) - 1, sizes.heads)
    numbers = (mixed.stride(0), len(begins) - 1, sizes.heads, sizes.width, state, chunk, 0, 0, groups, inner, 0)
    native.run("ssd_forward", x, b, c, dt, rate, skip, begins, state_begins, states if keep else None, y, *numbers)
    return y, states


def ssd_backward(
    mixed: Tensor, dt: Tensor, rate: Tensor, skip: Tensor, begins: Tensor, sizes: SSDSizes, states: Tensor, grad: Tensor, grad_mixed: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Writes the gradients of x, B and C, and gives those of dt, rate and skip. states: from the forward pass. grad: of y."""
    inner, state = sizes.inner, sizes.state
    x, b, c = mixed.split([inner, state, state], -1)
    dx, db, dc = grad_mixed.split([inner, state, state], -1)
    chunk, state_begins, _ = _chunks(begins, sizes.chunk)
    sequences = len(begins) - 1
    groups = _groups(sequences, sizes.heads)
    ddt, da, dskip = torch.empty_like(dt), x.new_empty(sequences, sizes.heads), x.new_empty(sequences, sizes.heads)
    parts = [x.new_empty(groups, len(x), state) for _ in range(2)] if groups > 1 else [db, dc]
    numbers = (mixed.stride(0), sequences, sizes.heads, sizes.width, state, chunk, 0, 0, groups, inner, mixed.stride(0), len(x) * state, 0)
    native.run("ssd_backward", x, b, c, dt, rate, skip, begins, state_begins, states, grad, dx, *parts, ddt, da, dskip, *numbers)
    if groups > 1:
        torch.sum(parts[0], 0, out=db)
        torch.sum(parts[1], 0, out=dc)
    return ddt, da.sum(0), dskip.sum(0)


def _chunks(begins: Tensor, chunk: int) -> tuple[int, Tensor, int]:
    lengths = begins[1:] - begins[:-1]
    longest = int(lengths.max()) if len(lengths) else 0
    chunk = longest if longest <= 2 * chunk else chunk
    counts = (lengths + chunk - 1) // max(chunk, 1)
    if longest <= chunk:
        return chunk, begins, 0
    ends = counts.cumsum(0)
    return chunk, ends - counts, int(ends[-1])


def _groups(sequences: int, heads: int) -> int:
    threads = torch.get_num_threads()
    return 1 if sequences >= threads else min(heads, -(-threads // max(sequences, 1)))
