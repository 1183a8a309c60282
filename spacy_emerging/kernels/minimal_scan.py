"""The recurrences of minGRU and minLSTM in one pass over flat tensors, by compiled loops (see `native`).

The same as `minimal_gates` and `linear_scan` one after the other, without padding, and without gates that are laid out in memory.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from . import native


def minimal_scan(preactivations: Tensor, units: int, begins: Tensor) -> Tensor | None:
    """All states (T, D) of sequences that lie end to end. None where the compiled loops do not run.

    preactivations: (T, 2 D), z~ and h~ of minGRU, or (T, 3 D), f~, i~ and h~ of minLSTM. units: D.
    begins: (B + 1,) int64, where the sequences begin, and T. Computed in at least float32.
    """
    x = preactivations.float() if preactivations.dtype in (torch.float16, torch.bfloat16) else preactivations
    return _Scan.apply(x, units, begins) if native.usable(x) else None


class _Scan(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, units: int, begins: Tensor) -> Tensor:
        x = x.contiguous()
        states = x.new_empty(len(x), units)
        ctx.sizes = (len(begins) - 1, units, x.shape[1] // units)
        native.run("minimal_forward", x, begins, states, *ctx.sizes)
        ctx.save_for_backward(x, begins, states)
        return states

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, begins, states = ctx.saved_tensors
        grad_x = torch.empty_like(x)
        native.run("minimal_backward", x, begins, states, grad.contiguous(), grad_x, *ctx.sizes)
        return grad_x, None, None
