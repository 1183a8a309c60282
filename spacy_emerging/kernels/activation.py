"""GELU, by compiled loops where they run (see `native`)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from . import native


def gelu(x: Tensor) -> Tensor:
    """(T, D) to (T, D): x times the share of a standard normal distribution below x (arXiv 1606.08415), as `torch.nn.functional.gelu`."""
    return _Gelu.apply(x) if native.usable(x) else functional.gelu(x)


def gelu_gate(x: Tensor) -> Tensor:
    """(T, 2 D) to (T, D): GELU of the left half times the right half (arXiv 2002.05202, GEGLU)."""
    if native.usable(x):
        return _GeluGate.apply(x)
    left, right = x.chunk(2, -1)
    return functional.gelu(left) * right


class _Gelu(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        x = x.contiguous()
        ctx.save_for_backward(x)
        y = torch.empty_like(x)
        native.run("gelu_forward", x, y, x.numel())
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        grad_x = torch.empty_like(x)
        native.run("gelu_backward", x, grad.contiguous(), grad_x, x.numel())
        return grad_x


class _GeluGate(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        x = x.contiguous()
        ctx.save_for_backward(x)
        y = x.new_empty(len(x), x.shape[1] // 2)
        native.run("gelu_gate_forward", x, y, *y.shape)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        grad_x = torch.empty_like(x)
        native.run("gelu_gate_backward", x, grad.contiguous(), grad_x, *grad.shape)
        return grad_x
