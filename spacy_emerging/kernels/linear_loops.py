"""Linear layers of many rows by compiled loops (see `native`).

Weights are small here and rows are many, so that one factor is laid out anew for every call and stays in the cache; the sums over rows
that biases need are found on the way. Taken where they were found to be faster than oneDNN, see FASTEST.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from . import native

WORTH_LAYING_OUT = 512
"""Rows from which the loops are taken: below, laying out the weights costs more than it gains. Our default."""

LARGEST = 1 << 20
"""Numbers in a weight up to which the loops are taken: of a larger one, too little stays in the cache. Our default."""

FASTEST: bool = torch.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512")
"""Whether they were measured to be faster than oneDNN on such a processor (of AMD). On others oneDNN may reach units that they do not."""


def worth_loops(x: Tensor, weight: Tensor, bias: Tensor | None) -> bool:
    """Whether the loops can run, and are the fastest."""
    if not FASTEST or x.dim() != 2 or len(x) < WORTH_LAYING_OUT or weight.numel() > LARGEST or torch.is_autocast_enabled(x.device.type):
        return False
    return native.usable(x, weight, bias)


def linear_by_loops(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """(T, I) to (T, O): x weight^T + bias. x: columns of something wider perhaps."""
    return _Linear.apply(x, weight, bias)


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        x, weight = x if x.stride(1) == 1 else x.contiguous(), weight.contiguous()
        ctx.save_for_backward(x, weight)
        ctx.has_bias = bias is not None
        return linear_forward(x, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        grad, grad_x = grad.contiguous(), None
        if ctx.needs_input_grad[0]:
            grad_x = linear_back(grad, weight, x.new_empty(x.shape))
        return grad_x, *linear_outer(grad, x, summed=ctx.has_bias)


def halves_by_loops(x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """(T, I) to two (T, O / 2), by the halves of the rows of weight (O, I), in one step of the graph: gradients meet in one array each."""
    first, second = _Halves.apply(x, weight)
    return first, second


class _Halves(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        x, weight = x.contiguous(), weight.contiguous()
        ctx.save_for_backward(x, weight)
        first, second = weight.chunk(2)
        return linear_forward(x, first), linear_forward(x, second)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor]:
        x, weight = ctx.saved_tensors
        grad_x, grad_weight = torch.empty_like(x), torch.empty_like(weight)
        parts = zip(grads, weight.chunk(2), grad_weight.chunk(2), strict=True)
        for number, (grad, half, into) in enumerate(parts):
            linear_back(grad.contiguous(), half, grad_x, add=number > 0)
            linear_outer(grad.contiguous(), x, summed=False, into=into)
        return grad_x, grad_weight


def linear_forward(x: Tensor, weight: Tensor, bias: Tensor | None = None, into: Tensor | None = None) -> Tensor:
    """(T, I) to (T, O), `into` an array if there is one; either may be columns of something wider. weight: (O, I), contiguous."""
    y = x.new_empty(len(x), len(weight)) if into is None else into
    native.run("linear_forward", x, weight, bias, y, x.stride(0), y.stride(0), *_sizes(x, weight))
    return y


def linear_back(grad: Tensor, weight: Tensor, into: Tensor, *, add: bool = False) -> Tensor:
    """(T, O), columns of something wider perhaps, to (T, I), the gradient of x, which is written, or added to what is there."""
    native.run("linear_back", grad, weight, into, grad.stride(0), *_sizes(into, weight), int(add))
    return into


def linear_outer(grad: Tensor, x: Tensor, *, summed: bool, into: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
    """(T, O) and (T, I) to (O, I), grad^T x, `into` an array if there is one, and the sum of grad over T if wanted.

    The narrower one goes first: it is laid out slowly.
    """
    swapped = grad.shape[1] > x.shape[1]
    left, right = (x, grad) if swapped else (grad, x)
    found = x.new_empty(grad.shape[1], x.shape[1]) if into is None else into
    total = x.new_empty(grad.shape[1]) if summed else None
    sums = (None, total) if swapped else (total, None)
    sizes = (len(x), left.shape[1], right.shape[1], int(swapped))
    native.run("linear_outer", left, right, found, *sums, left.stride(0), right.stride(0), *sizes)
    return found, total


def _sizes(x: Tensor, weight: Tensor) -> tuple[int, int, int]:
    return len(x), weight.shape[1], weight.shape[0]
