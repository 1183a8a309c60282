"""Half of a block of minGRU or minLSTM by one compiled loop (see `native`): norm, convolution, gates, recurrence, out-projection, residual.

A group of sequences goes through all of it before the next one. The backward pass is given preactivations and states, and makes the rest
anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from . import native
from .convolution import MOST_TAPS
from .groups import memory_of_groups, worth_groups
from .linear_loops import worth_loops
from .looped_mixer import Kept, LoopedBlock, Side
from .norm import EPSILON


class Parameters(NamedTuple):
    """Weights (D, taps) and biases (D,) of the convolution, biases (gates x inner,) of the gates and (D,) of the out-projection."""

    conv_weight: Tensor
    conv_bias: Tensor
    gates_bias: Tensor
    out_bias: Tensor


@dataclass(frozen=True)
class MinimalLoops(LoopedBlock):
    """The in-projection of a side gives the preactivations of 2 gates (minGRU) or 3 (minLSTM), (T, gates x inner)."""

    def fits(self, x: Tensor, side: Side, begins: Tensor) -> bool:
        """See LoopedBlock."""
        given = Parameters(*side.parameters)
        layers = worth_loops(x, side.in_weight, given.gates_bias) and worth_loops(x, side.out_weight, given.out_bias)
        convolution = native.usable(x, side.norm_weight, given.conv_weight, given.conv_bias) and given.conv_weight.shape[1] <= MOST_TAPS
        return layers and convolution and worth_groups(begins, side.in_weight, side.out_weight)

    def side_forward(self, x: Tensor, side: Side, begins: Tensor, wanted: bool, into: Tensor) -> Kept:
        """See LoopedBlock."""
        kept = tuple(x.new_empty(len(x), size) if wanted else None for size in (len(side.in_weight), side.out_weight.shape[1]))
        local, numbers = _sizes(x, side, begins)
        native.run("minimal_block_forward", x, *_arrays(side), begins, *kept, into, local, x.stride(0), into.stride(0), *numbers)
        return kept

    def side_backward(self, x: Tensor, side: Side, begins: Tensor, kept: Kept, grad: Tensor, into: Tensor) -> tuple[Tensor, ...]:
        """See LoopedBlock."""
        threads, width, (wide, inner) = torch.get_num_threads(), x.shape[1], (len(side.in_weight), side.out_weight.shape[1])
        taps = Parameters(*side.parameters).conv_weight.shape[1]
        grad_in, grad_out = torch.empty_like(side.in_weight), torch.empty_like(side.out_weight)
        norm, conv, conv_bias, gates_bias, out_bias = (
            x.new_empty(threads, *shape) for shape in ((width,), (taps, width), (width,), (wide,), (width,))
        )
        partial = native.workspace("gradients of weights", x, threads * width * (wide + inner))
        local, numbers = _sizes(x, side, begins)
        results = (grad, into, norm, conv, conv_bias, grad_in, gates_bias, grad_out, out_bias, partial, local)
        rows = x.stride(0), grad.stride(0), into.stride(0)
        native.run("minimal_block_backward", x, *_arrays(side), begins, *kept, *results, *rows, *numbers)
        grad_norm, grad_conv, *biases = map(native.summed, (norm, conv, conv_bias, gates_bias, out_bias))
        return grad_norm, grad_in, grad_out, grad_conv.t(), *biases


def _arrays(side: Side) -> tuple[Tensor | None, ...]:
    """What both passes are given, as the loops take it."""
    given = Parameters(*side.parameters)
    convolution = given.conv_weight.t().contiguous(), given.conv_bias
    return side.order, side.norm_weight, *convolution, side.in_weight, given.gates_bias, side.out_weight, given.out_bias


def _sizes(x: Tensor, side: Side, begins: Tensor) -> tuple[Tensor, tuple[int | float, ...]]:
    """Working memory, and the numbers that both passes are told last."""
    (wide, width), inner = side.in_weight.shape, side.out_weight.shape[1]
    per_token = 5 * width + inner + wide + 1  # what `Room::take` gives, more in the backward pass
    local, most, room = memory_of_groups(x, begins, per_token, side.in_weight, side.out_weight)
    taps = Parameters(*side.parameters).conv_weight.shape[1]
    return local, (len(begins) - 1, width, inner, wide // inner, taps, most, room, int(side.residual), EPSILON)
