"""Two linear layers with GELU between by compiled loops (see `native`): what lies between them stays in the cache."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from . import native
from .activation import gelu
from .linear import project
from .linear_loops import worth_loops
from .quantized import QuantizedLinear


def feed_forward(x: Tensor, up: nn.Linear | QuantizedLinear, down: nn.Linear | QuantizedLinear) -> Tensor:
    """(T, D) to (T, D): down(GELU(up(x))), through the loops where they are the fastest."""
    whole = not isinstance(up, QuantizedLinear) and not isinstance(down, QuantizedLinear)
    if not whole or not worth_loops(x, up.weight, up.bias) or not native.usable(x, down.weight, down.bias):
        return project(gelu(project(x, up)), down)
    return _FeedForward.apply(torch.is_grad_enabled(), x, up.weight, up.bias, down.weight, down.bias)


class _FeedForward(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, wanted: bool, x: Tensor, up: Tensor, up_bias: Tensor, down: Tensor, down_bias: Tensor) -> Tensor:
        x, up, down = x.contiguous(), up.contiguous(), down.contiguous()
        hidden, y = x.new_empty(len(x) if wanted else 0, len(up)), torch.empty_like(x)
        native.run("feed_forward_forward", x, up, up_bias, down, down_bias, hidden if wanted else None, y, *x.shape, len(up))
        if wanted:
            ctx.save_for_backward(x, up, down, hidden)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, up, down, hidden = ctx.saved_tensors
        threads, (width, inner) = torch.get_num_threads(), down.shape
        grad_x = torch.empty_like(x)
        found = [x.new_empty(threads, *shape) for shape in ((width, inner), (inner,), (width, inner), (width,))]
        native.run("feed_forward_backward", x, up, down, hidden, grad.contiguous(), grad_x, *found, *x.shape, inner)
        grad_up, grad_up_bias, grad_down, grad_down_bias = (each.sum(0) if threads > 1 else each[0] for each in found)
        return None, grad_x, grad_up.t().contiguous(), grad_up_bias, grad_down, grad_down_bias
