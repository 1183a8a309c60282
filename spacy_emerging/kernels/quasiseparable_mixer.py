"""Convolution, quasiseparable mixer and gated norm of Hydra in one step of the graph, by compiled loops (see `native`).

The same as `centred_convolution`, `silu`, `quasiseparable` and `norm_then_gate` one after the other, without padding and without a copy of
anything. Each side is a state space duality, read from the token beside.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from . import native
from .convolution import MOST_TAPS, convolution_backward, convolution_forward
from .norm import GATE_AFTER, norm_backward, norm_forward
from .ssd_loops import SSDSizes, Streams, ssd_backward, ssd_forward

SIDES = (1, -1)


class Parameters(NamedTuple):
    """Weights (channels, taps) and biases (channels,) of the convolution; biases of the steps and log decay rates, (H,) each;
    weights (H, inner) and biases (H,) of the diagonal; weights (inner,) of the norm."""

    conv_weight: Tensor
    conv_bias: Tensor
    step_bias: Tensor
    log_rate: Tensor
    diagonal_weight: Tensor
    diagonal_bias: Tensor
    norm_weight: Tensor


def quasiseparable_mixer(projected: Tensor, parameters: Parameters, begins: Tensor, sizes: SSDSizes) -> Tensor | None:
    """What the in-projection gives, (T, 2 inner + 4 N + 2 H): z, x, B and C of either side, dt of either side; to (T, inner).

    begins: (B + 1,) int64, where the sequences begin among the T tokens, and T.
    Computed in at least float32. None where the compiled loops do not run.
    """
    projected = projected.float() if projected.dtype in (torch.float16, torch.bfloat16) else projected
    if not native.usable(projected, *parameters) or parameters.conv_weight.shape[1] > MOST_TAPS:
        return None
    return _Mixer.apply(projected, *parameters, begins, sizes, torch.is_grad_enabled())


class _Mixer(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, projected: Tensor, *rest: Any) -> Tensor:
        parameters, (begins, sizes, wanted) = Parameters(*rest[:-3]), rest[-3:]
        projected = projected.contiguous()
        gate, mixed, steps = _split(projected, sizes)
        ahead = parameters.conv_weight.shape[1] // 2
        convolved = projected.new_empty(mixed.shape) if wanted else native.workspace("convolved", projected, *mixed.shape)
        convolution_forward(mixed, parameters.conv_weight, parameters.conv_bias, begins, ahead=ahead, activated=True, into=convolved)
        dt = functional.softplus(steps + parameters.step_bias.repeat(2)).unflatten(1, (2, -1)).transpose(0, 1).contiguous()
        rate = -parameters.log_rate.exp()
        x = convolved[:, : sizes.inner]
        diagonal = functional.linear(x, parameters.diagonal_weight, parameters.diagonal_bias)
        y = (_by_head(x, sizes) * diagonal[..., None]).flatten(1)
        states = []
        for side, steps_of_side, streams in zip(SIDES, dt, _streams(convolved, sizes), strict=True):
            _, kept = ssd_forward(streams, steps_of_side, rate, None, begins, sizes, keep=wanted, side=side, add_to=y)
            states.append(kept)
        normed, scale = norm_forward(y, gate, parameters.norm_weight, GATE_AFTER)
        if wanted:
            ctx.sizes = sizes
            ctx.save_for_backward(projected, *parameters, begins, convolved, dt, rate, diagonal, y, scale, *states)
        return normed

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        projected, *saved = ctx.saved_tensors
        parameters, sizes = Parameters(*saved[:7]), ctx.sizes
        begins, convolved, dt, rate, diagonal, y, scale, *states = saved[7:]
        gate, mixed, steps = _split(projected, sizes)
        grad_projected = torch.empty_like(projected)
        grad_convolved = native.workspace("gradient of what was convolved", y, *convolved.shape)
        grad_gate, grad_mixed, grad_steps = _split(grad_projected, sizes)
        into = native.workspace("gradient of y", y, *y.shape)
        grad_y, grad_norm = norm_backward(y, gate, parameters.norm_weight, scale, grad.contiguous(), grad_gate, GATE_AFTER, into)
        x, grad_x = convolved[:, : sizes.inner], grad_convolved[:, : sizes.inner]
        grad_diagonal = torch.einsum("thp,thp->th", _by_head(grad_y, sizes), _by_head(x, sizes))
        torch.mul(_by_head(grad_y, sizes), diagonal[..., None], out=_by_head(grad_x, sizes))
        grad_x.addmm_(grad_diagonal, parameters.diagonal_weight)
        grad_rate, grad_dt = torch.zeros_like(rate), []
        parts = zip(SIDES, dt, _streams(convolved, sizes), _streams(grad_convolved, sizes), states, strict=True)
        for side, own, streams, found, kept in parts:
            by_step, by_rate, _ = ssd_backward(streams, own, rate, None, begins, sizes, kept, grad_y, found, side=side, add=True)
            grad_rate += by_rate
            grad_dt.append(by_step)
        ahead = parameters.conv_weight.shape[1] // 2
        found_in = (mixed, parameters.conv_weight, parameters.conv_bias, begins, grad_convolved, grad_mixed)
        grad_weight, grad_bias = convolution_backward(*found_in, ahead=ahead, activated=True)
        torch.mul(torch.cat(grad_dt, 1), torch.sigmoid(steps + parameters.step_bias.repeat(2)), out=grad_steps)
        by_bias = grad_steps.sum(0).view(2, -1).sum(0)
        of_diagonal = (grad_diagonal.t() @ x, grad_diagonal.sum(0))
        return grad_projected, grad_weight, grad_bias, by_bias, grad_rate * rate, *of_diagonal, grad_norm, None, None, None


def _split(projected: Tensor, sizes: SSDSizes) -> tuple[Tensor, Tensor, Tensor]:
    """Views of z, of x with B and C of both sides, and of dt of both sides."""
    gate, mixed, steps = projected.split([sizes.inner, sizes.inner + 4 * sizes.state, 2 * sizes.heads], -1)
    return gate, mixed, steps


def _streams(convolved: Tensor, sizes: SSDSizes) -> tuple[Streams, Streams]:
    """Views of x, B and C, of either side."""
    x, b, c, b_after, c_after = convolved.split([sizes.inner, *[sizes.state] * 4], -1)
    return Streams(x, b, c), Streams(x, b_after, c_after)


def _by_head(x: Tensor, sizes: SSDSizes) -> Tensor:
    """(T, inner) to (T, H, P)."""
    return x.unflatten(1, (sizes.heads, sizes.width))
