"""Convolution, state space duality and gated norm of Mamba-2 by compiled loops (see `native`).

The same as `causal_convolution`, `silu`, `ssd` and `gated_rms_norm` one after the other, without padding, and without a copy of anything:
loops read their columns of what the in-projection gives, and the backward pass writes their gradients into one array. Each sequence goes
through all of it before the next one, so that what lies between stays in the cache.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from . import native
from .convolution import convolution_backward, convolution_forward, convolution_segment_by_loops, mixer_usable
from .groups import GroupedMixer
from .looped_mixer import Kept, Side
from .norm import EPSILON, GATE_BEFORE, exact, norm_backward, norm_forward
from .ssd_block import OF_BLOCK, block_backward, block_forward
from .ssd_loops import MixerProblem, SSDSizes, Streams, chunks_of, enough_sequences, longest, ssd_backward, ssd_forward


class Parameters(NamedTuple):
    """Weights (channels, taps) and biases (channels,) of the convolution; biases of the steps, log decay rates and skip, (H,) each;
    weights (inner,) of the norm."""

    conv_weight: Tensor
    conv_bias: Tensor
    step_bias: Tensor
    log_rate: Tensor
    skip: Tensor
    norm_weight: Tensor


def ssd_mixer_segment(
    projected: Tensor, parameters: Parameters, begins: Tensor, sizes: SSDSizes, before: tuple[Tensor, Tensor] | None
) -> tuple[Tensor, tuple[Tensor, Tensor]] | None:
    """The mixer over a segment of one longer sequence, and what the next segment needs to know. Without gradients.

    before: the same, as the call for the segment before returned it; None at the start.
    """
    if not mixer_usable(projected, parameters):
        return None
    gate, mixed, steps = _split(exact(projected), sizes)
    seen, start = before or (None, None)
    convolved, seen = convolution_segment_by_loops(mixed, parameters.conv_weight, parameters.conv_bias, begins, seen)
    dt, rate = functional.softplus(steps + parameters.step_bias), -parameters.log_rate.exp()
    end = dt.new_empty(1, sizes.heads, sizes.state, sizes.width)
    y, _ = ssd_forward(_streams(convolved, sizes), dt, rate, parameters.skip, begins, sizes, keep=False, start=start, end=end)
    normed, _ = norm_forward(y, gate, parameters.norm_weight, GATE_BEFORE)
    return normed, (seen, end)


@dataclass(frozen=True)
class SSDMixer(GroupedMixer):
    """What is projected is z, x, B, C and dt, (T, 2 inner + 2 N + H)."""

    kept_by_block = OF_BLOCK

    sizes: SSDSizes

    def forward(self, projected: Tensor, parameters: Sequence[Tensor], begins: Tensor, wanted: bool) -> tuple[Tensor, Kept]:
        """See LoopedMixer."""
        given = Parameters(*parameters)
        dt = functional.softplus(_split(projected, self.sizes)[2] + given.step_bias)
        problem = MixerProblem(projected, given, dt, -given.log_rate.exp(), begins, self.sizes)
        y, normed, scale, states = (_forward if enough_sequences(begins) else _forward_in_stages)(problem, wanted)
        return normed, (dt, problem.rate, y, scale, states)

    def backward(
        self, projected: Tensor, parameters: Sequence[Tensor], begins: Tensor, kept: Kept, grad: Tensor, found: Tensor
    ) -> tuple[Tensor, ...]:
        """See LoopedMixer."""
        given, (dt, rate, y, scale, states) = Parameters(*parameters), kept
        problem = MixerProblem(projected, given, dt, rate, begins, self.sizes)
        back = _backward if enough_sequences(begins) else _backward_in_stages
        grad_weight, grad_bias, grad_dt, grad_rate, grad_skip, grad_norm = back(problem, y, scale, states, grad, found)
        steps, grad_steps = _split(projected, self.sizes)[2], _split(found, self.sizes)[2]
        torch.mul(grad_dt, torch.sigmoid(steps + given.step_bias), out=grad_steps)
        return Parameters(grad_weight, grad_bias, grad_steps.sum(0), grad_rate * rate, grad_skip, grad_norm)

    def block_forward(self, x: Tensor, side: Side, begins: Tensor, wanted: bool, into: Tensor) -> Kept:
        """See GroupedMixer."""
        return block_forward(x, side, Parameters(*side.parameters), begins, self.sizes, wanted, into)

    def block_backward(self, x: Tensor, side: Side, begins: Tensor, kept: Kept, grad: Tensor, into: Tensor) -> tuple[Tensor, ...]:
        """See GroupedMixer."""
        return block_backward(x, side, Parameters(*side.parameters), begins, self.sizes, kept, grad, into)


def _forward(problem: MixerProblem[Parameters], wanted: bool) -> tuple[Tensor, ...]:
    """y (T, inner), what was normed of it (T, inner), its scales (T,) and the states before chunks: sequence by sequence.

    wanted: whether there is a backward pass.
    """
    dt, sizes = problem.dt, problem.sizes
    chunk, state_begins, chunks = chunks_of(problem.begins, sizes.chunk)
    states = dt.new_empty(chunks if wanted else 0, sizes.heads, sizes.state, sizes.width)
    y = dt.new_empty(len(dt), sizes.inner) if wanted else native.workspace("y", dt, len(dt), sizes.inner)
    normed, scale = dt.new_empty(len(dt), sizes.inner), dt.new_empty(len(dt))
    local = native.workspace("mixer", dt, torch.get_num_threads(), longest(problem.begins), problem.channels)
    kept = states if wanted else None
    native.run("ssd_mixer_forward", *problem.inputs(), state_begins, kept, y, normed, scale, local, *problem.shape(chunk), EPSILON)
    return y, normed, scale, states


def _backward(
    problem: MixerProblem[Parameters], y: Tensor, scale: Tensor, states: Tensor, grad: Tensor, found: Tensor
) -> tuple[Tensor, ...]:
    """Gradients of the convolution's weights and biases, of dt, rate and skip, and of the norm's weights; those of what was projected are
    written into `found`, but for its steps."""
    dt, sizes, channels, threads = problem.dt, problem.sizes, problem.channels, torch.get_num_threads()
    chunk, state_begins, _ = chunks_of(problem.begins, sizes.chunk)
    of_conv = dt.new_empty(threads, problem.taps, channels), dt.new_empty(threads, channels)
    of_norm, of_dt = dt.new_empty(threads, sizes.inner), torch.empty_like(dt)
    of_scan = [dt.new_empty(len(problem.begins) - 1, sizes.heads) for _ in range(2)]
    local = native.workspace("mixer", dt, threads, longest(problem.begins), 3 * channels + sizes.inner)
    results = (found, *of_conv, of_norm, of_dt, *of_scan, local)
    native.run("ssd_mixer_backward", *problem.inputs(), state_begins, states, y, scale, grad, *results, *problem.shape(chunk))
    weight, bias, norm_weight, rate, skip = (each.sum(0) for each in (*of_conv, of_norm, *of_scan))
    return weight.t(), bias, of_dt, rate, skip, norm_weight


def _forward_in_stages(problem: MixerProblem[Parameters], wanted: bool) -> tuple[Tensor, ...]:
    """`_forward` of fewer sequences than threads, which share the heads and channels of each."""
    projected, parameters, dt, rate, begins, sizes = problem
    gate, _, _ = _split(projected, sizes)
    streams = _streams(_convolved(problem), sizes)
    y, states = ssd_forward(streams, dt, rate, parameters.skip, begins, sizes, keep=wanted)
    return y, *norm_forward(y, gate, parameters.norm_weight, GATE_BEFORE), states


def _backward_in_stages(
    problem: MixerProblem[Parameters], y: Tensor, scale: Tensor, states: Tensor, grad: Tensor, found: Tensor
) -> tuple[Tensor, ...]:
    """`_backward` of fewer sequences than threads."""
    projected, parameters, dt, rate, begins, sizes = problem
    gate, mixed, _ = _split(projected, sizes)
    grad_gate, grad_mixed, _ = _split(found, sizes)
    into = native.workspace("gradient of y", y, *y.shape)
    grad_y, grad_norm = norm_backward(y, gate, parameters.norm_weight, scale, grad, grad_gate, GATE_BEFORE, into)
    convolved = _convolved(problem)
    grad_convolved = native.workspace("gradient of what was convolved", y, *convolved.shape)
    into_streams = _streams(grad_convolved, sizes)
    of_scan = ssd_backward(_streams(convolved, sizes), dt, rate, parameters.skip, begins, sizes, states, grad_y, into_streams)
    of_conv = convolution_backward(
        mixed, parameters.conv_weight, parameters.conv_bias, begins, grad_convolved, grad_mixed, ahead=0, activated=True
    )
    return *of_conv, *of_scan, grad_norm


def _convolved(problem: MixerProblem[Parameters]) -> Tensor:
    """x, B and C after the convolution, in an array that the next call writes again."""
    mixed, parameters = _split(problem.projected, problem.sizes)[1], problem.parameters
    into = native.workspace("convolved", mixed, *mixed.shape)
    return convolution_forward(mixed, parameters.conv_weight, parameters.conv_bias, problem.begins, ahead=0, activated=True, into=into)


def _split(projected: Tensor, sizes: SSDSizes) -> tuple[Tensor, Tensor, Tensor]:
    """Views of z, of x, B and C, and of dt."""
    gate, mixed, steps = projected.split([sizes.inner, sizes.inner + 2 * sizes.state, sizes.heads], -1)
    return gate, mixed, steps


def _streams(convolved: Tensor, sizes: SSDSizes) -> Streams:
    """Views of x, B and C."""
    return Streams(*convolved.split([sizes.inner, sizes.state, sizes.state], -1))
