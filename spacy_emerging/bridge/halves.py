"""Both directions of a layer out of one array, and back into one, each in one pass over memory.

order: (T,) int64, the tokens in reverse by sequence (`Layout.reverse_index`). It is its own inverse, so that gradients are read in the
same order, where those of torch's own indexing are added up one by one.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def flipped(x: Tensor, order: Tensor) -> Tensor:
    """(T, ...) to (T, ...) in the other reading order."""
    result: Tensor = _Flipped.apply(x, order)
    return result


def parted(x: Tensor, order: Tensor) -> tuple[Tensor, Tensor]:
    """(T, 2 D) to two (T, D): the left half as it is, the right one in the other reading order."""
    left, right = _Parted.apply(x, order)
    return left, right


def joined(left: Tensor, right: Tensor, order: Tensor) -> Tensor:
    """Two (T, D), the right one in the other reading order, to (T, 2 D): the inverse of `parted`."""
    result: Tensor = _Joined.apply(left, right, order)
    return result


def _part(x: Tensor, order: Tensor) -> tuple[Tensor, Tensor]:
    left, right = x.chunk(2, 1)
    return left.contiguous(), right.index_select(0, order)


def _join(left: Tensor, right: Tensor, order: Tensor) -> Tensor:
    whole = left.new_empty(len(left), 2 * left.shape[1])
    into, into_right = whole.chunk(2, 1)
    into.copy_(left)
    torch.index_select(right, 0, order, out=into_right)
    return whole


class _Flipped(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, order: Tensor) -> Tensor:
        ctx.save_for_backward(order)
        return x.index_select(0, order)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return grad.index_select(0, *ctx.saved_tensors), None


class _Parted(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, order: Tensor) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(order)
        return _part(x, order)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, left: Tensor, right: Tensor) -> tuple[Tensor, None]:
        return _join(left, right, *ctx.saved_tensors), None


class _Joined(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, left: Tensor, right: Tensor, order: Tensor) -> Tensor:
        ctx.save_for_backward(order)
        return _join(left, right, order)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:
        return *_part(grad, *ctx.saved_tensors), None
