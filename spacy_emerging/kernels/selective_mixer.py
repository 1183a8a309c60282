"""Convolution, what is selected, scan and gate of Mamba by compiled loops (see `native`).

The same as `causal_convolution`, `silu`, a linear layer and `selective_scan_of_sequences` one after the other, without a copy of anything:
each loop reads its columns of what the in-projection gives, and the backward pass writes their gradients into one array.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor

from . import native
from .convolution import convolution_backward, convolution_forward, convolution_segment_by_loops, mixer_usable
from .linear_loops import linear_back, linear_forward, linear_outer
from .looped_mixer import Kept, LoopedMixer
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


def selective_mixer_segment(
    projected: Tensor, parameters: Parameters, begins: Tensor, before: tuple[Tensor, Tensor] | None
) -> tuple[Tensor, tuple[Tensor, Tensor]] | None:
    """The mixer over a segment of one longer sequence, and what the next segment needs to know. Without gradients.

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


class SelectiveMixer(LoopedMixer):
    """What is projected is x and the gate, (T, 2 D)."""

    def forward(self, projected: Tensor, parameters: Sequence[Tensor], begins: Tensor, wanted: bool) -> tuple[Tensor, Kept]:
        """See LoopedMixer."""
        given = Parameters(*(parameter.contiguous() for parameter in parameters))
        x, gate = projected.chunk(2, -1)
        convolved = projected.new_empty(x.shape) if wanted else native.workspace("convolved", projected, *x.shape)
        convolution_forward(x, given.conv_weight, given.conv_bias, begins, ahead=0, activated=True, into=convolved)
        selected, scan = linear_forward(convolved, given.select_weight), _of_scan(given)
        y, kept = scan_forward(convolved, gate, selected, scan, begins, keep=wanted)
        return y, (convolved, selected, scan.rate, kept)

    def backward(
        self, projected: Tensor, parameters: Sequence[Tensor], begins: Tensor, kept: Kept, grad: Tensor, found: Tensor
    ) -> tuple[Tensor, ...]:
        """See LoopedMixer."""
        given, (convolved, selected, rate, states) = Parameters(*(parameter.contiguous() for parameter in parameters)), kept
        (x, gate), (grad_x, grad_gate) = projected.chunk(2, -1), found.chunk(2, -1)
        into, scan = native.workspace("gradient of what was convolved", convolved, *convolved.shape), _of_scan(given, rate)
        grad_selected, *of_steps, grad_rate, grad_skip = scan_backward(
            convolved, gate, selected, scan, begins, states, grad, into, grad_gate
        )
        linear_back(grad_selected, given.select_weight, into, add=True)
        grad_select, _ = linear_outer(grad_selected, convolved, summed=False)
        of_convolution = convolution_backward(x, given.conv_weight, given.conv_bias, begins, into, grad_x, ahead=0, activated=True)
        return *of_convolution, grad_select, *of_steps, grad_rate * rate, grad_skip


def _of_scan(parameters: Parameters, rate: Tensor | None = None) -> ScanParameters:
    """Those of the scan. rate: decay rates, where they are known."""
    rate = -parameters.log_rate.exp() if rate is None else rate
    return ScanParameters(parameters.step_weight, parameters.step_bias, rate, parameters.skip)
