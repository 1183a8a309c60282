"""The whole block of Hydra by one compiled loop (see `native`): norm, in-projection, mixer, out-projection.

A group of sequences goes through all of it before the next one, as in `ssd_block.py`. Of what lies between, the backward pass is given what
is projected, the diagonal, the scans' result, and the scales of its norm; it makes the rest anew.
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
    from .quasiseparable_mixer import Parameters

OF_BLOCK = 6
"""Arrays that a forward pass keeps."""


def block_forward(x: Tensor, side: Side, given: Parameters, begins: Tensor, sizes: SSDSizes, wanted: bool, into: Tensor) -> Kept:
    """`GroupedMixer.block_forward` of a QuasiseparableMixer."""
    chunk, state_begins, chunks = chunks_of(begins, sizes.chunk)
    projected = native.in_lines(None, x, len(x), len(side.in_weight)) if wanted else None
    diagonal, y = (x.new_empty(len(x), columns) if wanted else None for columns in (sizes.heads, sizes.inner))
    states = x.new_empty(2, chunks, sizes.heads, sizes.state, sizes.width) if wanted else None
    rate, kept = -given.log_rate.exp(), (states, projected, diagonal, y, x.new_empty(len(x)))
    row, local, numbers = _sizes(x, side, given, begins, sizes, (chunk, chunks))
    rows = x.stride(0), into.stride(0), row
    arrays = _arrays(side, given, rate)
    native.run("quasiseparable_block_forward", x, *arrays, begins, state_begins, *kept, into, local, *rows, *numbers)
    return rate, *kept


def block_backward(
    x: Tensor, side: Side, given: Parameters, begins: Tensor, sizes: SSDSizes, kept: Kept, grad: Tensor, into: Tensor
) -> tuple[Tensor, ...]:
    """`GroupedMixer.block_backward` of a QuasiseparableMixer."""
    chunk, state_begins, chunks = chunks_of(begins, sizes.chunk)
    rate, *kept_by_loop = kept
    threads, (channels, taps), (columns, width) = torch.get_num_threads(), given.conv_weight.shape, side.in_weight.shape
    grad_in, grad_out = torch.empty_like(side.in_weight), torch.empty_like(side.out_weight)
    heads, inner = sizes.heads, sizes.inner
    shapes = (width,), (taps, channels), (channels,), (heads,), (heads, inner), (heads,), (inner,)
    norm, *of_mixer = (x.new_empty(threads, *shape) for shape in shapes)
    of_rate, of_skip = (x.new_empty(2, len(begins) - 1, heads) for _ in range(2))
    partial = native.workspace("gradients of weights", x, threads * width * (columns + inner))
    row, local, numbers = _sizes(x, side, given, begins, sizes, (chunk, chunks))
    results = (grad, into, norm, grad_in, *of_mixer, grad_out, of_rate, of_skip, partial, local)
    rows, arrays = (x.stride(0), grad.stride(0), into.stride(0), row), _arrays(side, given, rate)
    native.run("quasiseparable_block_backward", x, *arrays, begins, state_begins, *kept_by_loop, *results, *rows, *numbers)
    weight, bias, step_bias, *of_others = map(native.summed, of_mixer)
    return native.summed(norm), grad_in, grad_out, weight.t(), bias, step_bias, of_rate.sum((0, 1)) * rate, *of_others


def _arrays(side: Side, given: Parameters, rate: Tensor) -> tuple[Tensor | None, ...]:
    """What both passes are given, as the loops take it."""
    convolution, diagonal = (given.conv_weight.t().contiguous(), given.conv_bias), given.diagonal_weight.contiguous()
    mixer = *convolution, given.step_bias, rate, diagonal, given.diagonal_bias, given.norm_weight
    return side.order, side.norm_weight, side.in_weight, *mixer, side.out_weight


def _sizes(
    x: Tensor, side: Side, given: Parameters, begins: Tensor, sizes: SSDSizes, chunks: tuple[int, int]
) -> tuple[int, Tensor, tuple[int | float, ...]]:
    """Numbers from row to row of what is projected, working memory, and the numbers that both passes are told last.

    chunks: tokens of one, and how many they are.
    """
    (columns, width), (channels, taps) = side.in_weight.shape, given.conv_weight.shape
    row, local_row = native.row_of_lines(x, columns), native.spread_row(x, channels)
    per_token = 3 * (width + sizes.inner + local_row) + row + 6 * sizes.heads + 1  # what `Room::take` gives, more in the backward pass
    local, most, room = memory_of_groups(x, begins, per_token, side.in_weight, side.out_weight)
    shape = (width, len(begins) - 1, *sizes[:3], chunks[0], taps, chunks[1])
    return row, local, (*shape, most, room, int(side.residual), EPSILON)
