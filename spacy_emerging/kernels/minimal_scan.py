"""The recurrences of minGRU and minLSTM in one pass over flat tensors, by compiled loops (see `native`).

The same as `minimal_gates` and `linear_scan` one after the other, without padding, and without gates that are laid out in memory.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from . import native
from .linear import project
from .linear_loops import worth_loops
from .quantized import QuantizedLinear


def minimal_scan(preactivations: Tensor, units: int, begins: Tensor, start: Tensor | None = None) -> Tensor | None:
    """All states (T, D) of sequences that lie end to end. None where the compiled loops do not run.

    preactivations: (T, 2 D), z~ and h~ of minGRU, or (T, 3 D), f~, i~ and h~ of minLSTM. units: D.
    begins: (B + 1,) int64, where the sequences begin, and T. Computed in at least float32.
    start: (B, D), the states before the first tokens, where there are any: of segments, without gradients.
    """
    x = preactivations.float() if preactivations.dtype in (torch.float16, torch.bfloat16) else preactivations
    return _Scan.apply(x, units, begins, start) if native.usable(x) else None


def minimal_layer(x: Tensor, gates: nn.Linear | QuantizedLinear, units: int, begins: Tensor, start: Tensor | None = None) -> Tensor | None:
    """`minimal_scan` of what a linear layer makes of x (T, I), together where that is the fastest; to (T, D).

    Then a block of preactivations is read while it is in the cache, and their gradients are never laid out as a whole. Threads
    share the sequences, so that there have to be enough of them.
    """
    if isinstance(gates, QuantizedLinear) or not worth_loops(x, gates.weight, gates.bias) or len(begins) - 1 < torch.get_num_threads():
        return minimal_scan(project(x, gates), units, begins, start)
    return _Layer.apply(torch.is_grad_enabled(), x, gates.weight, gates.bias, units, begins, start)


class _Scan(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, units: int, begins: Tensor, start: Tensor | None) -> Tensor:
        x = x.contiguous()
        states = x.new_empty(len(x), units)
        ctx.sizes = (len(begins) - 1, units, x.shape[1] // units)
        native.run("minimal_forward", x, begins, start, states, *ctx.sizes)
        ctx.save_for_backward(x, begins, states)
        return states

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, begins, states = ctx.saved_tensors
        grad_x = torch.empty_like(x)
        native.run("minimal_backward", x, begins, states, grad.contiguous(), grad_x, *ctx.sizes)
        return grad_x, None, None, None


class _Layer(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, wanted: bool, x: Tensor, weight: Tensor, bias: Tensor, units: int, begins: Tensor, start: Tensor | None
    ) -> Tensor:
        x, weight = x.contiguous(), weight.contiguous()
        inside, states = x.new_empty(len(x) if wanted else 0, len(weight)), x.new_empty(len(x), units)
        ctx.sizes = (len(begins) - 1, x.shape[1], units, len(weight) // units)
        native.run("minimal_layer_forward", x, weight, bias, begins, start, inside if wanted else None, states, *ctx.sizes)
        if wanted:
            ctx.save_for_backward(x, weight, begins, inside, states)
        return states

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, begins, inside, states = ctx.saved_tensors
        threads = torch.get_num_threads()
        grad_x, grad_weight, grad_bias = torch.empty_like(x), torch.empty_like(weight), x.new_empty(threads, len(weight))
        results = (grad_x, grad_weight, grad_bias, native.workspace("gradients of weights", x, threads * weight.numel()))
        native.run("minimal_layer_backward", x, weight, begins, inside, states, grad.contiguous(), *results, *ctx.sizes)
        return None, grad_x, grad_weight, native.summed(grad_bias), None, None, None
