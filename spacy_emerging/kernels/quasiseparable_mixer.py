"""Convolution, quasiseparable mixer and gated norm of Hydra by compiled loops (see `native`).

The same as `centred_convolution`, `silu`, `quasiseparable` and `norm_then_gate` one after the other, without padding and without a copy of
anything. Each side is a state space duality, read from the token beside. Each sequence goes through all of it before the next one, as in
`ssd_mixer.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from . import native
from .convolution import convolution_backward, convolution_forward
from .groups import GroupedMixer
from .looped_mixer import Kept, Side
from .norm import EPSILON, GATE_AFTER, norm_backward, norm_forward
from .quasiseparable_block import OF_BLOCK, block_backward, block_forward
from .ssd_loops import MixerProblem, SSDSizes, Streams, chunks_of, enough_sequences, longest, ssd_backward, ssd_forward

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


@dataclass(frozen=True)
class QuasiseparableMixer(GroupedMixer):
    """What is projected is z, x, B and C of either side, and dt of either side, (T, 2 inner + 4 N + 2 H)."""

    kept_by_block = OF_BLOCK

    sizes: SSDSizes

    def forward(self, projected: Tensor, parameters: Sequence[Tensor], begins: Tensor, wanted: bool) -> tuple[Tensor, Kept]:
        """See LoopedMixer."""
        given = Parameters(*parameters)
        steps = _split(projected, self.sizes)[2]
        dt = functional.softplus(steps + given.step_bias.repeat(2)).unflatten(1, (2, -1)).transpose(0, 1).contiguous()
        problem = MixerProblem(projected, given, dt, -given.log_rate.exp(), begins, self.sizes)
        with torch.autocast("cpu", enabled=False):  # the diagonal is as exact as in the loops
            found = (_forward if enough_sequences(begins) else _forward_in_stages)(problem, wanted)
        return found.normed, (dt, problem.rate, found.diagonal, found.y, found.scale, found.states)

    def backward(
        self, projected: Tensor, parameters: Sequence[Tensor], begins: Tensor, kept: Kept, grad: Tensor, found: Tensor
    ) -> tuple[Tensor, ...]:
        """See LoopedMixer."""
        given, (dt, rate, *rest) = Parameters(*parameters), kept
        problem = MixerProblem(projected, given, dt, rate, begins, self.sizes)
        back = _backward if enough_sequences(begins) else _backward_in_stages
        with torch.autocast("cpu", enabled=False):
            gradients = back(problem, _Forward(grad, *rest), grad, found)
        steps, grad_steps = _split(projected, self.sizes)[2], _split(found, self.sizes)[2]
        torch.mul(gradients.step_bias.transpose(0, 1).flatten(1), torch.sigmoid(steps + given.step_bias.repeat(2)), out=grad_steps)
        by_bias = grad_steps.sum(0).view(2, -1).sum(0)
        return gradients._replace(step_bias=by_bias, log_rate=gradients.log_rate * rate)

    def block_forward(self, x: Tensor, side: Side, begins: Tensor, wanted: bool, into: Tensor) -> Kept:
        """See GroupedMixer."""
        return block_forward(x, side, Parameters(*side.parameters), begins, self.sizes, wanted, into)

    def block_backward(self, x: Tensor, side: Side, begins: Tensor, kept: Kept, grad: Tensor, into: Tensor) -> tuple[Tensor, ...]:
        """See GroupedMixer."""
        return block_backward(x, side, Parameters(*side.parameters), begins, self.sizes, kept, grad, into)


class _Forward(NamedTuple):
    """What went into the out-projection (T, inner), the diagonal (T, H), y (T, inner), the scales of its rows (T,) and the states before
    chunks (2, chunks, H, N, P)."""

    normed: Tensor
    diagonal: Tensor
    y: Tensor
    scale: Tensor
    states: Tensor


def _forward(problem: MixerProblem[Parameters], wanted: bool) -> _Forward:
    """Sequence by sequence. wanted: whether there is a backward pass."""
    dt, sizes, tokens = problem.dt, problem.sizes, problem.dt.shape[1]
    chunk, state_begins, chunks = chunks_of(problem.begins, sizes.chunk)
    states = dt.new_empty(2, chunks if wanted else 0, sizes.heads, sizes.state, sizes.width)
    y = dt.new_empty(tokens, sizes.inner) if wanted else native.workspace("y", dt, tokens, sizes.inner)
    found = _Forward(dt.new_empty(tokens, sizes.inner), dt.new_empty(tokens, sizes.heads), y, dt.new_empty(tokens), states)
    local = native.workspace("mixer", dt, torch.get_num_threads(), longest(problem.begins), native.spread_row(dt, problem.channels))
    written = (states if wanted else None, found.diagonal, y, found.normed, found.scale, local)
    arguments = (*problem.inputs(), state_begins, *written, *problem.shape(chunk), chunks, EPSILON)
    native.run("quasiseparable_mixer_forward", *arguments)
    return found


def _backward(problem: MixerProblem[Parameters], kept: _Forward, grad: Tensor, into: Tensor) -> Parameters:
    """Gradients of the parameters, but those of the steps (2, T, H) and of the rate (H,) instead of the bias and the log rate; those of
    what was projected are written `into` an array, but for its steps."""
    dt, sizes, channels, threads = problem.dt, problem.sizes, problem.channels, torch.get_num_threads()
    chunk, state_begins, chunks = chunks_of(problem.begins, sizes.chunk)
    shapes = [(problem.taps, channels), (channels,), (sizes.heads, sizes.inner), (sizes.heads,), (sizes.inner,)]
    of_weights, of_dt = [dt.new_empty(threads, *shape) for shape in shapes], torch.empty_like(dt)
    of_rate, of_skip = (dt.new_empty(2, len(problem.begins) - 1, sizes.heads) for _ in range(2))
    per_token = 3 * native.spread_row(dt, channels) + sizes.inner
    local = native.workspace("mixer", dt, threads, longest(problem.begins), per_token)
    results = (into, *of_weights, of_dt, of_rate, of_skip, local)
    given = (*problem.inputs(), state_begins, kept.states, kept.diagonal, kept.y, kept.scale, grad)
    native.run("quasiseparable_mixer_backward", *given, *results, *problem.shape(chunk), chunks)
    weight, bias, diagonal_weight, diagonal_bias, norm_weight = (each.sum(0) for each in of_weights)
    return Parameters(weight.t(), bias, of_dt, of_rate.sum((0, 1)), diagonal_weight, diagonal_bias, norm_weight)


def _forward_in_stages(problem: MixerProblem[Parameters], wanted: bool) -> _Forward:
    """`_forward` of fewer sequences than threads, which share the heads and channels of each."""
    projected, parameters, dt, rate, begins, sizes = problem
    convolved = _convolved(problem)
    x = convolved[:, : sizes.inner]
    diagonal = functional.linear(x, parameters.diagonal_weight, parameters.diagonal_bias)
    y, states = (_by_head(x, sizes) * diagonal[..., None]).flatten(1), []
    for side, own, streams in zip(SIDES, dt, _streams(convolved, sizes), strict=True):
        _, kept = ssd_forward(streams, own, rate, None, begins, sizes, keep=wanted, side=side, add_to=y)
        states.append(kept)
    normed, scale = norm_forward(y, _split(projected, sizes)[0], parameters.norm_weight, GATE_AFTER)
    return _Forward(normed, diagonal, y, scale, torch.stack(states))


def _backward_in_stages(problem: MixerProblem[Parameters], kept: _Forward, grad: Tensor, into: Tensor) -> Parameters:
    """`_backward` of fewer sequences than threads."""
    projected, parameters, dt, rate, begins, sizes = problem
    gate, mixed, _ = _split(projected, sizes)
    grad_gate, grad_mixed, _ = _split(into, sizes)
    place = native.workspace("gradient of y", kept.y, *kept.y.shape)
    grad_y, grad_norm = norm_backward(kept.y, gate, parameters.norm_weight, kept.scale, grad, grad_gate, GATE_AFTER, place)
    convolved = _convolved(problem)
    grad_convolved = native.workspace("gradient of what was convolved", kept.y, *convolved.shape)
    x, grad_x = convolved[:, : sizes.inner], grad_convolved[:, : sizes.inner]
    grad_diagonal = torch.einsum("thp,thp->th", _by_head(grad_y, sizes), _by_head(x, sizes))
    torch.mul(_by_head(grad_y, sizes), kept.diagonal[..., None], out=_by_head(grad_x, sizes))
    grad_x.addmm_(grad_diagonal, parameters.diagonal_weight)
    grad_rate, grad_dt = torch.zeros_like(rate), []
    parts = zip(SIDES, dt, _streams(convolved, sizes), _streams(grad_convolved, sizes), kept.states, strict=True)
    for side, own, streams, found, states in parts:
        by_step, by_rate, _ = ssd_backward(streams, own, rate, None, begins, sizes, states, grad_y, found, side=side, add=True)
        grad_rate += by_rate
        grad_dt.append(by_step)
    found_in = (mixed, parameters.conv_weight, parameters.conv_bias, begins, grad_convolved, grad_mixed)
    of_conv = convolution_backward(*found_in, ahead=problem.taps // 2, activated=True)
    of_diagonal = (grad_diagonal.t() @ x, grad_diagonal.sum(0))
    return Parameters(*of_conv, torch.stack(grad_dt), grad_rate, *of_diagonal, grad_norm)


def _convolved(problem: MixerProblem[Parameters]) -> Tensor:
    """x, and B and C of either side after the convolution, in an array that the next call writes again."""
    mixed, parameters = _split(problem.projected, problem.sizes)[1], problem.parameters
    into, found_in = native.workspace("convolved", mixed, *mixed.shape), (mixed, parameters.conv_weight, parameters.conv_bias)
    return convolution_forward(*found_in, problem.begins, ahead=problem.taps // 2, activated=True, into=into)


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
