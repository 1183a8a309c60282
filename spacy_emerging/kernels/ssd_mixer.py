"""Convolution, state space duality and gated norm of Mamba-2 in one step of the graph, by compiled loops (see `native`).

The same as `causal_convolution`, `silu`, `ssd` and `gated_rms_norm` one after the other, without padding, and without a copy of anything:
each loop reads its columns of what the in-projection gives, and the backward pass writes their gradients into one array.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from . import native
from .convolution import MOST_TAPS, convolution_backward, convolution_forward
from .norm import GATE_BEFORE, norm_backward, norm_forward
from .ssd_loops import SSDSizes, Streams, ssd_backward, ssd_forward


class Parameters(NamedTuple):
    """Weights (channels, taps) and biases (channels,) of the convolution; biases of the steps, log decay rates and skip, (H,) each;
    weights (inner,) of the norm."""

    conv_weight: Tensor
    conv_bias: Tensor
    step_bias: Tensor
    log_rate: Tensor
    skip: Tensor
    norm_weight: Tensor


def ssd_mixer(projected: Tensor, parameters: Parameters, begins: Tensor, sizes: SSDSizes) -> Tensor | None:
    """What the in-projection gives, (T, 2 inner + 2 N + H): z, x, B, C, dt; to (T, inner), what goes into the out-projection.

    begins: (B + 1,) int64, where the sequences begin among the T tokens, and T.
    Computed in at least float32. None where the compiled loops do not run.
    """
    projected = projected.float() if projected.dtype in (torch.float16, torch.bfloat16) else projected
    if not native.usable(projected, *parameters) or parameters.conv_weight.shape[1] > MOST_TAPS:
        return None
    return _Mixer.apply(projected, *parameters, begins, sizes, torch.is_grad_enabled())


def ssd_mixer_segment(
    projected: Tensor, parameters: Parameters, begins: Tensor, sizes: SSDSizes, before: tuple[Tensor, Tensor] | None
) -> tuple[Tensor, tuple[Tensor, Tensor]] | None:
    """`ssd_mixer` of a segment of one longer sequence, and what the next segment needs to know. Without gradients.

    before: the same, as the call for the segment before returned it; None at the start.
    """
    projected = projected.float() if projected.dtype in (torch.float16, torch.bfloat16) else projected
    taps = parameters.conv_weight.shape[1]
    if not native.usable(projected, *parameters) or taps > MOST_TAPS:
        return None
    gate, mixed, steps = _split(projected, sizes)
    seen, start = before or (mixed.new_zeros(taps - 1, mixed.shape[1]), None)
    joined = torch.cat([seen, mixed])
    wider = begins + begins.new_tensor([0, len(seen)])
    convolved = convolution_forward(joined, parameters.conv_weight, parameters.conv_bias, wider, ahead=0, activated=True)[len(seen) :]
    dt, rate = functional.softplus(steps + parameters.step_bias), -parameters.log_rate.exp()
    end = dt.new_empty(1, sizes.heads, sizes.state, sizes.width)
    y, _ = ssd_forward(_streams(convolved, sizes), dt, rate, parameters.skip, begins, sizes, keep=False, start=start, end=end)
    normed, _ = norm_forward(y, gate, parameters.norm_weight, GATE_BEFORE)
    return normed, (joined[len(joined) - len(seen) :].clone(), end)


class _Mixer(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, projected: Tensor, *rest: Any) -> Tensor:
        parameters, (begins, sizes, wanted) = Parameters(*rest[:-3]), rest[-3:]
        projected = projected.contiguous()
        gate, mixed, steps = _split(projected, sizes)
        convolved = projected.new_empty(mixed.shape) if wanted else native.workspace("convolved", projected, *mixed.shape)
        convolution_forward(mixed, parameters.conv_weight, parameters.conv_bias, begins, ahead=0, activated=True, into=convolved)
        dt = functional.softplus(steps + parameters.step_bias)
        rate = -parameters.log_rate.exp()
        y, states = ssd_forward(_streams(convolved, sizes), dt, rate, parameters.skip, begins, sizes, keep=wanted)
        normed, scale = norm_forward(y, gate, parameters.norm_weight, GATE_BEFORE)
        if wanted:
            ctx.sizes = sizes
            ctx.save_for_backward(projected, *parameters, begins, convolved, dt, rate, y, states, scale)
        return normed

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        projected, *saved = ctx.saved_tensors
        parameters = Parameters(*saved[:6])
        begins, convolved, dt, rate, y, states, scale = saved[6:]
        gate, mixed, steps = _split(projected, ctx.sizes)
        grad_projected = torch.empty_like(projected)
        grad_gate, grad_mixed, grad_steps = _split(grad_projected, ctx.sizes)
        into = native.workspace("gradient of y", y, *y.shape)
        grad_y, grad_norm = norm_backward(y, gate, parameters.norm_weight, scale, grad.contiguous(), grad_gate, GATE_BEFORE, into)
        grad_convolved = native.workspace("gradient of what was convolved", y, *convolved.shape)
        streams, found = _streams(convolved, ctx.sizes), _streams(grad_convolved, ctx.sizes)
        grad_dt, grad_rate, grad_skip = ssd_backward(streams, dt, rate, parameters.skip, begins, ctx.sizes, states, grad_y, found)
        grad_weight, grad_bias = convolution_backward(
            mixed, parameters.conv_weight, parameters.conv_bias, begins, grad_convolved, grad_mixed, ahead=0, activated=True
        )
        torch.mul(grad_dt, torch.sigmoid(steps + parameters.step_bias), out=grad_steps)
        found_for = (grad_weight, grad_bias, grad_steps.sum(0), grad_rate * rate, grad_skip, grad_norm)
        return grad_projected, *found_for, None, None, None


def _split(projected: Tensor, sizes: SSDSizes) -> tuple[Tensor, Tensor, Tensor]:
    """Views of z, of x, B and C, and of dt."""
    gate, mixed, steps = projected.split([sizes.inner, sizes.inner + 2 * sizes.state, sizes.heads], -1)
    return gate, mixed, steps


def _streams(convolved: Tensor, sizes: SSDSizes) -> Streams:
    """Views of x, B and C."""
    return Streams(*convolved.split([sizes.inner, sizes.state, sizes.state], -1))
