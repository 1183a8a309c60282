"""Two linear layers with GELU between by compiled loops (see `native`), with the norm before them and the residual where there are any.

What lies between them stays in the cache.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

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
    if _worth(x, up, down, norm_weight):
        return _FeedForward.apply(torch.is_grad_enabled(), residual, x, norm_weight, up.weight, up.bias, down.weight, down.bias)
    normed = x if norm_weight is None else rms_norm(x, norm_weight)
    made = project(gelu(project(normed, up)), down)
    return x + made if residual else made


class Layers(NamedTuple):
    """What `feed_forward` is given of one stream."""

    up: nn.Linear | QuantizedLinear
    down: nn.Linear | QuantizedLinear
    norm_weight: Tensor


def feed_forward_of_streams(x: Tensor, streams: Sequence[Layers], *, residual: bool = False) -> Tensor:
    """(T, streams x D) to the same: `feed_forward` of each in columns of its own."""
    parts = list(zip(x.chunk(len(streams), 1), streams, strict=True))
    if not all(_worth(part, *layers) for part, layers in parts):
        return torch.cat([feed_forward(part, *layers, residual=residual) for part, layers in parts], 1)
    weights = [each for up, down, norm in streams for each in (norm, up.weight, up.bias, down.weight, down.bias)]
    return _FeedForward.apply(torch.is_grad_enabled(), residual, x, *weights)


def _worth(x: Tensor, up: nn.Linear | QuantizedLinear, down: nn.Linear | QuantizedLinear, norm_weight: Tensor | None) -> bool:
    """Whether the loops can run on all of it, and are the fastest."""
    whole = not any(isinstance(each, QuantizedLinear) or each.bias is None for each in (up, down))
    return whole and worth_loops(x, up.weight, up.bias) and native.usable(x, down.weight, down.bias, norm_weight)


class _FeedForward(torch.autograd.Function):
    """given: per stream the weights of the norm, if any, and weight and bias of either layer."""

    @staticmethod
    def forward(ctx: Any, wanted: bool, residual: bool, x: Tensor, *given: Tensor | None) -> Tensor:
        x, ctx.count, ctx.numbers = x.contiguous(), len(given) // OF_STREAM, (int(residual), EPSILON)
        y, hidden, streams = torch.empty_like(x), [], _streams(given)
        for part, into, (norm, up, up_bias, down, down_bias) in zip(x.chunk(ctx.count, 1), y.chunk(ctx.count, 1), streams, strict=True):
            hidden.append(x.new_empty(len(x), len(up)) if wanted else None)
            sizes = (part.stride(0), into.stride(0), *part.shape, len(up), *ctx.numbers)
            native.run("feed_forward_forward", part, norm, up, up_bias, down, down_bias, hidden[-1], into, *sizes)
        if wanted:
            ctx.save_for_backward(x, *hidden, *(each for stream in streams for each in stream))
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, *kept = ctx.saved_tensors
        grad, grad_x = grad.contiguous(), torch.empty_like(x)
        found: list[Tensor | None] = []
        parts = (each.chunk(ctx.count, 1) for each in (x, grad, grad_x))
        for part, of_part, into, hidden, stream in zip(*parts, kept[: ctx.count], _streams(kept[ctx.count :]), strict=True):
            found += _back(part, hidden, of_part, into, stream, ctx.numbers)
        return None, None, grad_x, *found


OF_STREAM = 5
"""Tensors that each stream gives `_FeedForward`."""


def _streams(given: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Norm, and contiguous weight and bias of either layer, per stream."""
    dealt = (given[first : first + OF_STREAM] for first in range(0, len(given), OF_STREAM))
    return [(norm, up.contiguous(), up_bias, down.contiguous(), down_bias) for norm, up, up_bias, down, down_bias in dealt]


def _back(
    x: Tensor, hidden: Tensor, grad: Tensor, into: Tensor, stream: tuple[Any, ...], numbers: tuple[int, float]
) -> tuple[Tensor | None, ...]:
    """Writes the gradient of one stream `into` an array, and gives those of what `stream` holds."""
    norm, up, _, down, _ = stream
    threads, (width, inner) = torch.get_num_threads(), down.shape
    grad_up, grad_down = torch.empty_like(up), torch.empty_like(down)
    grad_norm, grad_up_bias, grad_down_bias = (x.new_empty(threads, size) for size in (width, inner, width))
    partial = native.workspace("gradients of weights", x, 2 * threads * width * inner)
    found = (into, grad_norm, grad_up, grad_up_bias, grad_down, grad_down_bias, partial)
    sizes = (x.stride(0), grad.stride(0), into.stride(0), *x.shape, inner, *numbers)
    native.run("feed_forward_backward", x, norm, up, down, hidden, grad, *found, *sizes)
    of_norm, of_up, of_down = map(native.summed, (grad_norm, grad_up_bias, grad_down_bias))
    return None if norm is None else of_norm, grad_up, of_up, grad_down, of_down
