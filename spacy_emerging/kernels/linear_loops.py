"""Linear layers of many rows, and pairs of them with GELU between, by compiled loops (see `native`).

Weights are small here and rows are many, so that one factor is laid out anew for every call and stays in the cache; the sums over rows
that biases need are found on the way. On one thread the backward pass takes a tenth less time than through oneDNN, and a pair of layers
does without the arrays between them.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from . import native
from .activation import gelu
from .linear import project
from .quantized import QuantizedLinear

WORTH_LAYING_OUT = 96
"""Rows from which the loops are taken: below, laying out the weights costs more than it gains. Our default."""

LARGEST = 1 << 20
"""Numbers in a weight up to which the loops are taken: of a larger one, too little stays in the cache. Our default."""

WIDE_VECTORS: bool = torch.backends.cpu.get_cpu_capability() in native.VARIANTS
"""Elsewhere the vendor's library may reach units of the processor that the loops do not."""


def project_rows(x: Tensor, layer: nn.Linear | QuantizedLinear) -> Tensor:
    """(T, I) to (T, O), as `project`, through the loops where they are the fastest. x: columns of something wider perhaps."""
    if isinstance(layer, QuantizedLinear) or not worth_loops(x, layer):
        return project(x, layer)
    return _Linear.apply(x, layer.weight, layer.bias)


def feed_forward(x: Tensor, up: nn.Linear | QuantizedLinear, down: nn.Linear | QuantizedLinear) -> Tensor:
    """(T, D) to (T, D): down(GELU(up(x))), through the loops where they are the fastest; what lies between them stays in the cache."""
    if isinstance(up, QuantizedLinear) or isinstance(down, QuantizedLinear) or not (worth_loops(x, up) and worth_loops(x, down)):
        return project(gelu(project(x, up)), down)
    return _FeedForward.apply(x, up.weight, up.bias, down.weight, down.bias)


def worth_loops(x: Tensor, layer: nn.Linear) -> bool:
    """Whether the loops can run, and are the fastest."""
    if not WIDE_VECTORS or len(x) < WORTH_LAYING_OUT or layer.weight.numel() > LARGEST or torch.is_autocast_enabled(x.device.type):
        return False
    return native.usable(x, layer.weight, layer.bias)


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        x, weight = _in_rows(x), weight.contiguous()
        ctx.save_for_backward(x, weight)
        y = x.new_empty(len(x), len(weight))
        native.run("linear_forward", x, weight, bias, y, x.stride(0), *_sizes(x, weight))
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        grad, grad_x = grad.contiguous(), None
        if ctx.needs_input_grad[0]:
            grad_x = x.new_empty(x.shape)
            native.run("linear_back", grad, weight, grad_x, *_sizes(x, weight))
        grad_weight, grad_bias = _outer(grad, x)
        return grad_x, grad_weight, grad_bias


class _FeedForward(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, up: Tensor, up_bias: Tensor, down: Tensor, down_bias: Tensor) -> Tensor:
        x, up, down = x.contiguous(), up.contiguous(), down.contiguous()
        wanted = any(ctx.needs_input_grad)
        hidden, y = x.new_empty(len(x) if wanted else 0, len(up)), torch.empty_like(x)
        native.run("feed_forward_forward", x, up, up_bias, down, down_bias, hidden if wanted else None, y, *x.shape, len(up))
        if wanted:
            ctx.save_for_backward(x, up, down, hidden)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, ...]:
        x, up, down, hidden = ctx.saved_tensors
        threads, (width, inner) = torch.get_num_threads(), down.shape
        grad_x = torch.empty_like(x)
        found = [x.new_empty(threads, *shape) for shape in ((width, inner), (inner,), (width, inner), (width,))]
        native.run("feed_forward_backward", x, up, down, hidden, grad.contiguous(), grad_x, *found, *x.shape, inner)
        grad_up, grad_up_bias, grad_down, grad_down_bias = (each.sum(0) if threads > 1 else each[0] for each in found)
        return grad_x, grad_up.t().contiguous(), grad_up_bias, grad_down, grad_down_bias


def _outer(grad: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """(T, O) and (T, I) to (O, I), grad^T x, and the sum of grad over T. The narrower one goes first: it is the one laid out slowly."""
    swapped = grad.shape[1] > x.shape[1]
    left, right = (x, grad) if swapped else (grad, x)
    found, total = x.new_empty(left.shape[1], right.shape[1]), x.new_empty(grad.shape[1])
    sums = (None, total) if swapped else (total, None)
    native.run("linear_outer", left, right, found, *sums, left.stride(0), right.stride(0), len(x), *found.shape)
    return found.t().contiguous() if swapped else found, total


def _in_rows(x: Tensor) -> Tensor:
    return x if x.stride(1) == 1 else x.contiguous()


def _sizes(x: Tensor, weight: Tensor) -> tuple[int, int, int]:
    return len(x), weight.shape[1], weight.shape[0]
