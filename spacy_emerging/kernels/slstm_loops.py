"""The sLSTM by compiled loops (see `native`): its gates and its recurrence in one step of the graph.

Letters as in `slstm.py`, with H heads and flat tensors (T, H d), in which the sequences lie end to end.
The loops hold n without exp(m), where m follows min(f, 0) instead of logsigmoid(f), and move n into m before it gets small. The ratio
and the backward pass are those of `slstm.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from . import native

SIDE_BY_SIDE = 16
"""Most sequences that go through the recurrence side by side. Our default: what is worked on fits the nearest cache for heads up to 32."""

KEPT = 5
"""Numbers that are kept of each unit and token for the backward pass."""


def slstm_of_sequences(
    plain: Tensor, convolved: Tensor, inputs: Sequence[Tensor], recurrent: Tensor, bias: Tensor, begins: Tensor, *, reverse: bool = False
) -> Tensor | None:
    """Two (T, H d) to the outputs (T, H d), each sequence from its own start. None where the compiled loops do not run.

    plain: what z and o are made of. convolved: what i and f are made of.
    inputs: of z, o, i and f, (H, d, d) each, to the second axis from a head's channels on the last.
    recurrent: (H, 4 d, d), from the previous output to i, f, z and o, as the authors store them. bias: (4 H d), in the same order.
    begins: (B + 1,) int64, where the sequences begin, and T. reverse: whether sequences are read from their ends.
    Computed in at least float32.
    """
    plain, convolved = (x.float() if x.dtype in (torch.float16, torch.bfloat16) else x for x in (plain, convolved))
    if not native.usable(plain, convolved, *inputs, recurrent, bias):
        return None
    return _Loop.apply(torch.is_grad_enabled(), plain, convolved, *inputs, recurrent, bias, begins, reverse)


def slstm_segment_by_loops(
    plain: Tensor,
    convolved: Tensor,
    inputs: Sequence[Tensor],
    recurrent: Tensor,
    bias: Tensor,
    begins: Tensor,
    before: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """`slstm_of_sequences` of a segment of one longer sequence, where the loops run, and the state after it. Without gradients.

    before: the state before the segment, (1, H, 4, d), as the call before this one returned it; None at the start.
    """
    plain, convolved = (x if x.stride(-1) == 1 else x.contiguous() for x in (plain, convolved))
    weights = [weight.contiguous() for weight in (*inputs, recurrent, bias)]
    heads, width = weights[0].shape[:2]
    out, after = plain.new_empty(plain.shape), plain.new_empty(1, heads, 4, width)
    order, sizes = begins.new_zeros(1), _sizes(plain, convolved, heads, width, 1, False)
    native.run("slstm_forward", plain, convolved, *weights, begins, order, before, after, out, None, *sizes)
    return out, after


class _Loop(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, wanted: bool, *given: Any) -> Tensor:
        *tensors, begins, reverse = given
        plain, convolved, *weights = (x if x.stride(-1) == 1 else x.contiguous() for x in tensors)
        weights = [weight.contiguous() for weight in weights]
        order = (begins[1:] - begins[:-1]).argsort(descending=True, stable=True)
        heads, width = weights[0].shape[:2]
        out = plain.new_empty(plain.shape)
        kept = plain.new_empty(len(plain), heads, KEPT, width) if wanted else None
        ctx.sizes = _sizes(plain, convolved, heads, width, len(order), reverse)
        native.run("slstm_forward", plain, convolved, *weights, begins, order, None, None, out, kept, *ctx.sizes)
        ctx.save_for_backward(plain, convolved, *weights, begins, order, out, kept)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        inputs, (recurrent, bias, _, _, out, _) = ctx.saved_tensors[2:6], ctx.saved_tensors[6:]
        made = [torch.empty_like(out), torch.empty_like(out)]
        groups = ctx.sizes[-1]
        parts = [out.new_empty(groups, *shape) for shape in ((4, *inputs[0].shape), recurrent.shape, bias.shape)]
        native.run("slstm_backward", *ctx.saved_tensors, grad.contiguous(), *made, *parts, *ctx.sizes)
        d_inputs, d_recurrent, d_bias = (part.sum(0) if groups > 1 else part[0] for part in parts)
        return None, *made, *d_inputs, d_recurrent, d_bias, None, None


def _sizes(plain: Tensor, convolved: Tensor, heads: int, width: int, sequences: int, reverse: bool) -> tuple[int, ...]:
    """How the numbers lie, how many sequences go side by side, and how many groups of such blocks are summed up for themselves."""
    threads = torch.get_num_threads()
    side_by_side = max(1, min(SIDE_BY_SIDE, -(-sequences * heads // threads)))
    blocks = max(1, -(-sequences // side_by_side))
    groups = min(blocks, threads)
    return plain.stride(0), convolved.stride(0), sequences, heads, width, int(reverse), side_by_side, groups
