"""Block-diagonal projections: every head, or every small group of channels, is projected by a matrix of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from . import native

DENSE = 16
"""Smaller blocks are joined to blocks of about this width. Our default: the zeros cost less than products of 4 x 4 matrices."""

LOOPED_BLOCKS = (1, 2, 4)
"""Channels of a block that the compiled loops know."""

LONGEST_VECTOR = 16
"""Numbers in a vector of the processors that have the longest ones."""


def headwise(x: Tensor, weight: Tensor) -> Tensor:
    """(T, I) to (T, O): channel group n of x (I / N channels) times the transpose of weight[n].

    weight: (N, O / N, I / N), as in the xLSTM authors' implementation.
    """
    weight = joined(weight)
    groups = x.unflatten(-1, (len(weight), -1)).transpose(0, 1)
    return torch.bmm(groups, weight.transpose(1, 2)).transpose(0, 1).flatten(1)


def joined(weight: Tensor) -> Tensor:
    """(N, o, i) to (N / r, r o, r i), neighbouring blocks set along the diagonals of larger ones, r as DENSE allows."""
    count, outputs, inputs = weight.shape
    together = next(r for r in range(max(1, DENSE // inputs), 0, -1) if count % r == 0)
    if together == 1:
        return weight
    parts = weight.view(-1, together, outputs, inputs).permute(0, 2, 3, 1)
    return torch.diag_embed(parts).permute(0, 3, 1, 4, 2).reshape(-1, together * outputs, together * inputs)


class Projected(NamedTuple):
    """What goes into an mLSTM: q, k, v (T, I), and the preactivations of its gates (T, G)."""

    q: Tensor
    k: Tensor
    v: Tensor
    gates: Tensor


def project_by_loops(
    convolved: Tensor, plain: Tensor, weights: Sequence[Tensor], gate_weights: Sequence[Tensor], gate_biases: Sequence[Tensor]
) -> Projected | None:
    """Headwise queries and keys of `convolved`, values of `plain`, and of all three the gates. None where the loops do not run.

    convolved, plain: (T, I), columns of something wider perhaps. weights: of q, k and v, (N, I / N, I / N) each.
    gate_weights: (H, 3 I), of the input gates and of the forget gates. gate_biases: (H,) each.
    """
    if weights[0].shape[1] not in LOOPED_BLOCKS or convolved.shape[1] % LONGEST_VECTOR:
        return None
    if not native.usable(convolved, plain, *weights, *gate_weights, *gate_biases):
        return None
    return Projected(*_Projections.apply(convolved, plain, *weights, *gate_weights, *gate_biases))


class _Projections(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, convolved: Tensor, plain: Tensor, *weights: Tensor) -> tuple[Tensor, ...]:
        convolved, plain = (x if x.stride(1) == 1 else x.contiguous() for x in (convolved, plain))
        weights = tuple(weight.contiguous() for weight in weights)
        made = [plain.new_empty(plain.shape) for _ in range(3)]
        gates = plain.new_empty(len(plain), 2 * len(weights[-1]))
        ctx.sizes = (convolved.stride(0), plain.stride(0), *plain.shape, weights[0].shape[1], gates.shape[1])
        native.run("headwise_forward", convolved, plain, *weights, *made, gates, *ctx.sizes)
        ctx.save_for_backward(convolved, plain, *weights, *made)
        return *made, gates

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, ...]:
        convolved, plain, of_q, _, _, of_gate, _, bias, *_ = ctx.saved_tensors
        threads = torch.get_num_threads()
        d_inputs = [x.new_empty(x.shape) for x in (convolved, plain)]
        shapes = ((3, *of_q.shape), (2, *of_gate.shape), (2, *bias.shape))
        parts = [plain.new_empty(threads, *shape) for shape in shapes]
        native.run("headwise_backward", *ctx.saved_tensors, *(grad.contiguous() for grad in grads), *d_inputs, *parts, *ctx.sizes)
        d_weights = (each.unbind() for each in (part.sum(0) if threads > 1 else part[0] for part in parts))
        return *d_inputs, *(weight for group in d_weights for weight in group)
