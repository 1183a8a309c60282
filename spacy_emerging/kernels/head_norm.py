"""Layer norm of each head without bias, and after it, for an mLSTM, a skip and a gate: one step of the graph, by compiled loops."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from . import native

EPSILON = 1e-5
"""Added to the variance, as in `torch.nn.LayerNorm`."""


def head_norm(x: Tensor, weight: Tensor, heads: int = 1) -> Tensor | None:
    """(T, H d) to (T, H d): every head of every row less its mean, divided by its deviation, times 1 + weight (H d).

    None where the loops do not run.
    """
    if not native.usable(x, weight):
        return None
    normed: Tensor = _HeadNorm.apply(x, weight, None, None, None, heads)
    return normed


def head_norm_skip_gate(x: Tensor, weight: Tensor, skipped: Tensor, skip: Tensor, gate: Tensor, heads: int) -> Tensor | None:
    """(T, H d) to (T, H d): (head_norm(x) + skipped * skip) * silu(gate). skipped, gate: like x. skip: like weight.

    None where the loops do not run.
    """
    if not native.usable(x, weight, skipped, skip, gate):
        return None
    gated: Tensor = _HeadNorm.apply(x, weight, skipped, skip, gate, heads)
    return gated


class _HeadNorm(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, skipped: Tensor | None, skip: Tensor | None, gate: Tensor | None, heads: int
    ) -> Tensor:
        x, skipped, gate = _in_rows(x), skipped if skipped is None else _in_rows(skipped), gate if gate is None else _in_rows(gate)
        y = x.new_empty(x.shape)
        rows = [0 if each is None else each.stride(0) for each in (x, skipped, gate)]
        ctx.sizes = (*rows, len(x), heads, x.shape[1] // heads, EPSILON)
        native.run("head_norm_forward", x, weight, skipped, skip, gate, y, *ctx.sizes)
        ctx.save_for_backward(x, weight, skipped, skip, gate)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, skipped, skip, gate = ctx.saved_tensors
        parts = torch.get_num_threads()
        d_x, d_skipped, d_gate = (None if each is None else each.new_empty(each.shape) for each in (x, skipped, gate))
        d_weight, d_skip = (None if each is None else each.new_empty(parts, len(each)) for each in (weight, skip))
        given = (x, weight, skipped, skip, gate, grad.contiguous())
        native.run("head_norm_backward", *given, d_x, d_weight, d_skipped, d_skip, d_gate, *ctx.sizes)
        sums = (None if each is None else each.sum(0) for each in (d_weight, d_skip))
        return d_x, next(sums), d_skipped, next(sums), d_gate, None


def _in_rows(x: Tensor) -> Tensor:
    return x if x.stride(1) == 1 else x.contiguous()
