"""Two linear layers with GELU between by compiled loops (see `native`), with the norm before them and the residual where there are any.

What lies between them stays in the cache.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from . import native
from .activation import gelu
from .linear import project
from .linear_loops import worth_loops
from .norm import EPSILON, rms_norm
from .quantized import QuantizedLinear


def feed_forward(
    x: Tensor,
    up: nn.Linear | QuantizedLinear,
    down: nn.Linear | QuantizedLinear,
    norm_weight: Tensor | None = None,
    *,
    residual: bool = False,
) -> Tensor:
    """(T, D) to (T, D): down(GELU(up(x))), through the loops where they are the fastest.

    norm_weight: (D,), where `rms_norm` goes before the first layer. residual: whether x is added to what comes out of the second one.
    """
    whole = not any(isinstance(each, QuantizedLinear) or each.bias is None for each in (up, down))
    if whole and worth_loops(x, up.weight, up.bias) and native.usable(x, down.weight, down.bias, norm_weight):
        return _FeedForward.apply(torch.is_grad_enabled(), residual, x, norm_weight, up.weight, up.bias, down.weight, down.bias)
    normed = x if norm_weight is None else rms_norm(x, norm_weight)
    made = project(gelu(project(normed, up)), down)
    return x + made if residual else made


class _FeedForward(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, wanted: bool, residual: bool, x: Tensor, norm: Tensor | None, up: Tensor, up_bias: Tensor, down: Tensor, down_bias: Tensor
    ) -> Tensor:
        x, up, down = x.contiguous(), up.contiguous(), down.contiguous()
        hidden, y = x.new_empty(len(x), len(up)) if wanted else None, torch.empty_like(x)
        sizes = (*x.shape, len(up), int(residual), EPSILON)
        native.run("feed_forward_forward", x, norm, up, up_bias, down, down_bias, hidden, y, *sizes)
        if wanted:
            ctx.sizes = sizes
            ctx.save_for_backward(x, norm, up, down, hidden)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, norm, up, down, hidden = ctx.saved_tensors
        threads, (width, inner) = torch.get_num_threads(), down.shape
        grad_x, grad_up, grad_down = (torch.empty_like(each) for each in (x, up, down))
        grad_norm, grad_up_bias, grad_down_bias = (x.new_empty(threads, size) for size in (width, inner, width))
        partial = native.workspace("gradients of weights", x, 2 * threads * width * inner)
        found = (grad_x, grad_norm, grad_up, grad_up_bias, grad_down, grad_down_bias, partial)
        native.run("feed_forward_backward", x, norm, up, down, hidden, grad.contiguous(), *found, *ctx.sizes)
        of_norm, of_up, of_down = map(native.summed, (grad_norm, grad_up_bias, grad_down_bias))
        return None, None, grad_x, None if norm is None else of_norm, grad_up, of_up, grad_down, of_down
