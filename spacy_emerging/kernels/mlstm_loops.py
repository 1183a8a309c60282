"""The mixing of the mLSTM by compiled loops (see `native`), over flat tensors in which the sequences lie end to end.

Letters as in `mlstm.py`, with flat tensors (T, H d).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from . import native
from .mlstm import CHUNK, EPSILON


def mlstm_of_sequences(
    q: Tensor, k: Tensor, v: Tensor, gates: Tensor, begins: Tensor, *, reverse: bool = False, chunk: int = CHUNK
) -> Tensor | None:
    """(T, H d) three times to (T, H d), each sequence from its own start. None where the compiled loops do not run.

    q, k, v: columns of something wider perhaps. gates: (T, 2 H), preactivations of the input gates, then of the forget gates.
    begins: (B + 1,) int64, where the sequences begin, and T. reverse: whether sequences are read from their ends.
    chunk: as in `mlstm`. Computed in at least float32, and returned in the type of v.
    """
    exact = [x.float() if x.dtype in (torch.float16, torch.bfloat16) else x for x in (q, k, v, gates)]
    if not native.usable(*exact):
        return None
    mixed: Tensor = _Loops.apply(torch.is_grad_enabled(), *exact, begins, reverse, chunk)
    return mixed.to(v.dtype)


class Memory(NamedTuple):
    """What the loops know of a sequence: memory and counter (1, H, d, P) side by side, and their m (1, H)."""

    memory: Tensor
    largest: Tensor


def mlstm_segment_by_loops(
    q: Tensor, k: Tensor, v: Tensor, gates: Tensor, begins: Tensor, before: Memory | None, *, chunk: int = CHUNK
) -> tuple[Tensor, Memory]:
    """`mlstm_of_sequences` of a segment of one longer sequence, where the loops run, and the state after it. Without gradients.

    before: the state before the segment, as the call before this one returned it; None at the start.
    """
    heads, width = gates.shape[1] // 2, v.shape[1] // (gates.shape[1] // 2)
    after = Memory(v.new_empty(1, heads, width, padded_columns(width)), v.new_empty(1, heads))
    q, k, v = (x if x.stride(1) == 1 else x.contiguous() for x in (q, k, v))
    size, state_begins, _ = _chunks(begins, chunk)
    mixed, seen = v.new_empty(v.shape), v.new_empty(len(v), heads)
    sizes = (q.stride(0), k.stride(0), v.stride(0), 1, heads, width, size, 0, EPSILON)
    states = (None, None, *(before or (None, None)), *after)
    native.run("mlstm_forward", q, k, v, gates.contiguous(), begins, state_begins, *states, mixed, seen, *sizes)
    return mixed, after


class _Loops(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, wanted: bool, q: Tensor, k: Tensor, v: Tensor, gates: Tensor, begins: Tensor, reverse: bool, chunk: int
    ) -> Tensor:
        q, k, v = (x if x.stride(1) == 1 else x.contiguous() for x in (q, k, v))
        gates = gates.contiguous()
        heads = gates.shape[1] // 2
        width = v.shape[1] // heads
        size, state_begins, chunks = _chunks(begins, chunk)
        columns = padded_columns(width)
        states = v.new_empty(chunks if wanted else 0, heads, width, columns)
        largest = v.new_empty(len(states), heads)
        mixed, seen = v.new_empty(v.shape), v.new_empty(len(v), heads)
        ctx.sizes = (q.stride(0), k.stride(0), v.stride(0), len(begins) - 1, heads, width, size, int(reverse), EPSILON)
        kept = (states, largest) if wanted else (None, None)
        native.run("mlstm_forward", q, k, v, gates, begins, state_begins, *kept, *[None] * 4, mixed, seen, *ctx.sizes)
        ctx.save_for_backward(q, k, v, gates, begins, state_begins, states, largest, mixed, seen)
        return mixed

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        gates, mixed = ctx.saved_tensors[3], ctx.saved_tensors[8]
        made = [*(torch.empty_like(mixed) for _ in range(3)), torch.empty_like(gates)]
        native.run("mlstm_backward", *ctx.saved_tensors, grad.contiguous(), *made, *ctx.sizes)
        return None, *made, None, None, None


def padded_columns(width: int) -> int:
    """Room for a row of the memory and its counter, filled up to the longest vectors of any processor."""
    return -(-(width + 1) // 16) * 16


def _chunks(begins: Tensor, chunk: int) -> tuple[int, Tensor, int]:
    """Tokens of a chunk, where each sequence begins among all chunks, and how many chunks keep a state."""
    lengths = begins[1:] - begins[:-1]
    longest = int(lengths.max()) if len(lengths) else 0
    if longest <= 2 * chunk:
        return max(longest, 1), begins, 0
    counts = (lengths + chunk - 1) // chunk
    ends = counts.cumsum(0)
    return chunk, ends - counts, int(ends[-1])
