"""The whole block of Mamba-2 in one reading direction by one compiled loop (see `native`): norm, in-projection, mixer, out-projection.

A group of sequences goes through all of it before the next one, so that what lies between stays in the caches. Of that, the backward pass
is given what is projected, what the scan gives, and the scales of its norm; it makes the rest anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from . import native
from .groups import memory_of_groups
from .looped_mixer import Kept, Side
from .norm import EPSILON
from .ssd_loops import SSDSizes, chunks_of

if TYPE_CHECKING:
    from .ssd_mixer import Parameters

OF_BLOCK = 5
"""Arrays that a forward pass keeps."""


def block_forward(x: Tensor, side: Side, given: Parameters, begins: Tensor, sizes: SSDSizes, wanted: bool, into: Tensor) -> Kept:
    """`GroupedMixer.block_forward` of an SSDMixer."""
    chunk, state_begins, chunks = chunks_of(begins, sizes.chunk)
    projected = native.in_lines(None, x, len(x), len(side.in_weight)) if wanted else None
    y = x.new_empty(len(x), sizes.inner) if wanted else None
    states = x.new_empty(chunks, sizes.heads, sizes.state, sizes.width) if wanted else None
    rate, kept = -given.log_rate.exp(), (states, projected, y, x.new_empty(len(x)))
    row, local, numbers = _sizes(x, side, given, begins, sizes, chunk)
    rows = x.stride(0), into.stride(0), row
    native.run("ssd_block_forward", x, *_arrays(side, given, rate), begins, state_begins, *kept, into, local, *rows, *numbers)
    return rate, *kept


def block_backward(
    x: Tensor, side: Side, given: Parameters, begins: Tensor, sizes: SSDSizes, kept: Kept, grad: Tensor, into: Tensor
) -> tuple[Tensor, ...]:
    """`GroupedMixer.block_backward` of an SSDMixer."""
    chunk, state_begins, _ = chunks_of(begins, sizes.chunk)
    rate, *kept_by_loop = kept
    threads, (channels, taps), (columns, width) = torch.get_num_threads(), given.conv_weight.shape, side.in_weight.shape
    grad_in, grad_out = torch.empty_like(side.in_weight), torch.empty_like(side.out_weight)
    norm, conv, conv_bias, step_bias, mixer_norm = (
        x.new_empty(threads, *shape) for shape in ((width,), (taps, channels), (channels,), (sizes.heads,), (sizes.inner,))
    )
    of_rate, of_skip = (x.new_empty(len(begins) - 1, sizes.heads) for _ in range(2))
    partial = native.workspace("gradients of weights", x, threads * width * (columns + sizes.inner))
    row, local, numbers = _sizes(x, side, given, begins, sizes, chunk)
    results = (grad, into, norm, grad_in, conv, conv_bias, step_bias, mixer_norm, grad_out, of_rate, of_skip, partial, local)
    rows = x.stride(0), grad.stride(0), into.stride(0), row
    native.run("ssd_block_backward", x, *_arrays(side, given, rate), begins, state_begins, *kept_by_loop, *results, *rows, *numbers)
    summed = map(native.summed, (norm, conv, conv_bias, step_bias, mixer_norm))
    grad_norm, weight, bias, grad_step_bias, grad_mixer_norm = summed
    of_mixer = weight.t(), bias, grad_step_bias, of_rate.sum(0) * rate, of_skip.sum(0), grad_mixer_norm
    return grad_norm, grad_in, grad_out, *of_mixer


def _arrays(side: Side, given: Parameters, rate: Tensor) -> tuple[Tensor | None, ...]:
    """What both passes are given, as the loops take it."""
    convolution = given.conv_weight.t().contiguous(), given.conv_bias, given.step_bias
    return side.order, side.norm_weight, side.in_weight, *convolution, rate, given.skip, given.norm_weight, side.out_weight


def _sizes(
    x: Tensor, side: Side, given: Parameters, begins: Tensor, sizes: SSDSizes, chunk: int
) -> tuple[int, Tensor, tuple[int | float, ...]]:
    """Numbers from row to row of what is projected, working memory, and the numbers that both passes are told last."""
    (columns, width), channels, inner = side.in_weight.shape, len(given.conv_weight), sizes.inner
    row = native.row_of_lines(x, columns)
    per_token = 3 * (width + inner + channels) + row + 3 * sizes.heads + 1  # what `Room::take` gives, more in the backward pass
    local, most, room = memory_of_groups(x, begins, per_token, side.in_weight, side.out_weight)
    shape = (width, len(begins) - 1, *sizes[:3], chunk, given.conv_weight.shape[1])
    return row, local, (*shape, most, room, int(side.residual), EPSILON)
