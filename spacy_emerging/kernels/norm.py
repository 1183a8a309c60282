"""Root-mean-square normalisation, plain and gated, each one step of the graph with its backward pass written out."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from . import native

EPSILON = 1e-5
"""Added to the mean square, as in the authors' Mamba-2."""


def rms_norm(x: Tensor, weight: Tensor) -> Tensor:
    """(T, D) to (T, D): x / sqrt(mean(x^2) + epsilon) * weight (arXiv 1910.07467), in at least float32."""
    return _normed(x, None, weight, NO_GATE).to(x.dtype)


def gated_rms_norm(x: Tensor, gate: Tensor, weight: Tensor) -> Tensor:
    """(T, D) to (T, D): rms_norm(x * silu(gate)), the normalisation before Mamba-2's out-projection (arXiv 2405.21060, section 7.1)."""
    return _normed(x, gate, weight, GATE_BEFORE).to(x.dtype)


def norm_then_gate(x: Tensor, gate: Tensor, weight: Tensor) -> Tensor:
    """(T, D) to (T, D): rms_norm(x) * silu(gate), what stands before Hydra's out-projection (arXiv 2407.09941, the authors' code)."""
    return _normed(x, gate, weight, GATE_AFTER).to(x.dtype)


NO_GATE, GATE_BEFORE, GATE_AFTER = range(3)
"""x or x * silu(gate) is normalized, or x is and then multiplied by silu(gate): how the compiled loops tell them apart."""


def _normed(x: Tensor, gate: Tensor | None, weight: Tensor, kind: int) -> Tensor:
    x, gate = exact(x), None if gate is None else exact(gate)
    if native.usable(x, gate, weight):
        return _ByLoops.apply(x, gate, weight, kind)
    return _NormThenGate.apply(x, gate, weight) if kind == GATE_AFTER else _RMSNorm.apply(x, gate, weight)


def exact(x: Tensor) -> Tensor:
    """In at least float32."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def _scale(x: Tensor) -> Tensor:
    """(T, D) to (T, 1)."""
    mean_square = torch.linalg.vector_norm(x, dim=-1, keepdim=True).square_() / x.shape[-1]
    return torch.rsqrt(mean_square + EPSILON)


class _RMSNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, gate: Tensor | None, weight: Tensor) -> Tensor:
        opened = None if gate is None else functional.silu(gate)
        gated = x if opened is None else x * opened
        scale = _scale(gated)
        ctx.save_for_backward(x, gate, weight, opened, gated, scale)
        return (gated * scale).mul_(weight)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, gate, weight, opened, gated, scale = ctx.saved_tensors
        along = grad * gated
        grad_weight = (scale.t() @ along)[0]
        pull = (along @ weight)[:, None] * scale.pow(3) / -x.shape[-1]
        grad_gated = (grad * weight).mul_(scale).addcmul_(gated, pull)
        if gate is None:
            return grad_gated, None, grad_weight
        grad_gate = torch.ops.aten.silu_backward(grad_gated * x, gate)
        return grad_gated.mul_(opened), grad_gate, grad_weight


class _NormThenGate(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, gate: Tensor, weight: Tensor) -> Tensor:
        scale = _scale(x)
        ctx.save_for_backward(x, gate, weight, scale)
        return functional.silu(gate).mul_(x).mul_(scale).mul_(weight)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, ...]:
        x, gate, weight, scale = ctx.saved_tensors
        by_opened = grad * x
        by_normed = functional.silu(gate).mul_(grad)
        along = by_normed * x
        grad_weight = (scale.t() @ along)[0]
        pull = (along @ weight)[:, None] * scale.pow(3) / -x.shape[-1]
        grad_x = by_normed.mul_(weight).mul_(scale).addcmul_(x, pull)
        grad_gate = torch.ops.aten.silu_backward(by_opened.mul_(scale).mul_(weight), gate)
        return grad_x, grad_gate, grad_weight


class _ByLoops(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, gate: Tensor | None, weight: Tensor, kind: int) -> Tensor:
        x, gate = _in_rows(x), None if gate is None else _in_rows(gate)
        normed, scales = norm_forward(x, gate, weight, kind)
        ctx.save_for_backward(x, gate, weight, scales)
        ctx.kind = kind
        return normed

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, gate, weight, scales = ctx.saved_tensors
        grad_gate = None if gate is None else gate.new_empty(gate.shape)
        grad_x, grad_weight = norm_backward(x, gate, weight, scales, grad.contiguous(), grad_gate, ctx.kind)
        return grad_x, grad_gate, grad_weight, None


def _in_rows(x: Tensor) -> Tensor:
    return x if x.stride(1) == 1 else x.contiguous()


def norm_forward(
    x: Tensor, gate: Tensor | None, weight: Tensor, kind: int, into: Tensor | None = None, order: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """(T, D) to (T, D), `into` an array if there is one, and the scales (T,) of its rows. x, gate: columns of something wider perhaps.

    order: (T,) int64, the rows of x as they are read; without it, one after the other.
    """
    rows, width = x.shape
    y, scales = x.new_empty(rows, width) if into is None else into, x.new_empty(rows)
    native.run("norm_forward", x, gate, weight, order, y, scales, kind, x.stride(0), _row(gate), rows, width, EPSILON)
    return y, scales


def norm_backward(
    x: Tensor,
    gate: Tensor | None,
    weight: Tensor,
    scales: Tensor,
    grad: Tensor,
    grad_gate: Tensor | None,
    kind: int,
    into: Tensor | None = None,
    order: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Writes the gradient of the gate; gives those of x, which goes `into` an array if there is one, and of weight.

    order: as in the forward pass. grad: of what was read; that of x is in the order of x.
    """
    rows, width = x.shape
    grad_x = x.new_empty(rows, width) if into is None else into
    grad_weight = x.new_empty(torch.get_num_threads(), width)
    sizes = (kind, x.stride(0), _row(gate), grad_x.stride(0), _row(grad_gate), rows, width)
    native.run("norm_backward", x, gate, weight, order, scales, grad, grad_x, grad_gate, grad_weight, *sizes)
    return grad_x, native.summed(grad_weight)


def _row(x: Tensor | None) -> int:
    return 0 if x is None else x.stride(0)
