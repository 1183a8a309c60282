"""Convolution, what is selected, scan and gate of Mamba in one step of the graph, by compiled loops (see `native`).

The same as `causal_convolution`, `silu`, a linear layer and `selective_scan_of_sequences` one after the other, without a copy of anything:
each loop reads its columns of what the in-projection gives, and the backward pass writes their gradients into one array.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from . import native
from .convolution import convolution_backward, convolution_forward, convolution_segment_by_loops, mixer_usable
from .linear_loops import linear_back, linear_forward, linear_outer
from .norm import exact
from .selective_scan_loops import Parameters as ScanParameters
from .selective_scan_loops import scan_backward, scan_forward, states_of


class Parameters(NamedTuple):
    """Weights (D, taps) and biases (D,) of the convolution; weights (R + 2 N, D) of what is selected: what the steps come from, B and C;
    weights (D, R) and biases (D,) of the steps; log decay rates (D, N) and skip (D,)."""

    conv_weight: Tensor
    conv_bias: Tensor
    select_weight: Tensor
    step_weight: Tensor
    step_bias: Tensor
    log_rate: Tensor
    skip: Tensor


def selective_mixer(projected: Tensor, parameters: Parameters, begins: Tensor) -> Tensor | None:
    """What the in-projection gives, (T, 2 D): x and the gate; to (T, D), what goes into the out-projection.

    begins: (B + 1,) int64, where the sequences begin among the T tokens, and T.
    Computed in at least float32, whatever autocast says. None where the compiled loops do not run.
    """
    if not mixer_usable(projected, parameters):
        return None
    return _Mixer.apply(exact(projected), *parameters, begins, torch.is_grad_enabled())


def selective_mixer_segment(
    projected: Tensor, parameters: Parameters, begins: Tensor, before: tuple[Tensor, Tensor] | None
) -> tuple[Tensor, tuple[Tensor, Tensor]] | None:
    """`selective_mixer` of a segment of one longer sequence, and what the next segment needs to know. Without gradients.

    before: the same, as the call for the segment before returned it; None at the start.
    """
    if not mixer_usable(projected, parameters):
        return None
    parameters = Parameters(*(parameter.contiguous() for parameter in parameters))
    x, gate = exact(projected).contiguous().chunk(2, -1)
    seen, start = before or (None, None)
    convolved, seen = convolution_segment_by_loops(x, parameters.conv_weight, parameters.conv_bias, begins, seen)
    scan = _of_scan(parameters)
    end = states_of(convolved, scan, 1)
    y, _ = scan_forward(
        convolved, gate, linear_forward(convolved, parameters.select_weight), scan, begins, keep=False, start=start, end=end
    )
    return y, (seen, end)


class _Mixer(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, projected: Tensor, *rest: Any) -> Tensor:
        parameters, (begins, wanted) = Parameters(*(parameter.contiguous() for parameter in rest[:-2])), rest[-2:]
        projected = projected.contiguous()
        x, gate = projected.chunk(2, -1)
        convolved = projected.new_empty(x.shape) if wanted else native.workspace("convolved", projected, *x.shape)
        convolution_forward(x, parameters.conv_weight, parameters.conv_bias, begins, ahead=0, activated=True, into=convolved)
        selected = linear_forward(convolved, parameters.select_weight)
        scan = _of_scan(parameters)
        y, kept = scan_forward(convolved, gate, selected, scan, begins, keep=wanted)
        if wanted:
            ctx.save_for_backward(projected, *parameters, begins, convolved, selected, scan.rate, kept)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        projected, *rest, begins, convolved, selected, rate, kept = ctx.saved_tensors
        parameters, scan = Parameters(*rest), _of_scan(Parameters(*rest), rate)
        (x, gate), grad_projected = projected.chunk(2, -1), torch.empty_like(projected)
        grad_x, grad_gate = grad_projected.chunk(2, -1)
        into = native.workspace("gradient of what was convolved", convolved, *convolved.shape)
        grad_selected, *of_steps, grad_rate, grad_skip = scan_backward(
            convolved, gate, selected, scan, begins, kept, grad.contiguous(), into, grad_gate
        )
        linear_back(grad_selected, parameters.select_weight, into, add=True)
        grad_select, _ = linear_outer(grad_selected, convolved, summed=False)
        of_convolution = convolution_backward(
            x, parameters.conv_weight, parameters.conv_bias, begins, into, grad_x, ahead=0, activated=True
        )
        return grad_projected, *of_convolution, grad_select, *of_steps, grad_rate * rate, grad_skip, None, None


def _of_scan(parameters: Parameters, rate: Tensor | None = None) -> ScanParameters:
    """Those of the scan. rate: decay rates, where they are known."""
    rate = -parameters.log_rate.exp() if rate is None else rate
    return ScanParameters(parameters.step_weight, parameters.step_bias, rate, parameters.skip)
