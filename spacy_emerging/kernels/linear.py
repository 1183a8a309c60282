"""Matrix products of token-wise layers, through the fastest float32 routine that the CPU build of torch holds."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from .linear_loops import linear_by_loops, worth_loops
from .quantized import QuantizedLinear

HAS_ONEDNN: bool = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")

WORTH_PREPARING = 32_000_000
"""Multiply-adds from which oneDNN is taken: it prepares code for every new shape, which costs more than it gains below."""


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """(T, I) to (T, O): x weight^T + bias, as `torch.nn.functional.linear`.

    For large products in float32 on a CPU it takes compiled loops where they are the fastest, and elsewhere calls oneDNN instead of the
    BLAS library: the same product, but twice as fast where the BLAS is Intel's and the processor is not.
    """
    if worth_loops(x, weight, bias):
        return linear_by_loops(x, weight, bias)
    large = x.dim() == 2 and len(x) * weight.numel() >= WORTH_PREPARING
    if HAS_ONEDNN and large and _plain_float32(x, weight):
        return _OneDNNLinear.apply(x, weight, bias)
    return functional.linear(x, weight, bias)


def project(x: Tensor, layer: nn.Linear | QuantizedLinear) -> Tensor:
    """(T, I) to (T, O) by an nn.Linear, or by what quantisation has put in its place."""
    if isinstance(layer, QuantizedLinear):
        result: Tensor = layer(x)
        return result
    return linear(x, layer.weight, layer.bias)


def _plain_float32(x: Tensor, weight: Tensor) -> bool:
    on_cpu = x.device.type == weight.device.type == "cpu"
    return on_cpu and x.dtype == weight.dtype == torch.float32 and not torch.is_autocast_enabled("cpu")


def _product(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")


class _OneDNNLinear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        x = x.contiguous()
        ctx.save_for_backward(x, weight)
        return _product(x, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        grad = grad.contiguous()  # the gradient of a sum is one number with strides of 0, which the routine takes many seconds for
        need_x, need_weight, need_bias = ctx.needs_input_grad
        grad_x = _product(grad, weight.t()) if need_x else None
        return grad_x, _outer(grad, x) if need_weight else None, grad.sum(0) if need_bias else None


def _outer(grad: Tensor, x: Tensor) -> Tensor:
    """(T, O) and (T, I) to (O, I): grad^T x. The narrower one goes first, since the routine copies its first factor."""
    if grad.shape[1] > x.shape[1]:
        return _product(x.t(), grad.t()).t()
    return _product(grad.t(), x.t())
