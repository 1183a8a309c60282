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
    convolved: Tensor, plain: Tensor, weights: Sequence[Tensor], gate_weights: Sequence[Tensor], gate_bias: Tensor
) -> Projected | None:
    """Headwise queries and keys of `convolved`, values of `plain`, and gates that are dense in both. None where the loops do not run.

    convolved, plain: (T, I), columns of something wider perhaps. weights: of q, k and v, (N, I / N, I / N) each.
    gate_weights: (G, I) for `convolved` and for `plain`. gate_bias: (G,).
    """
    if weights[0].shape[1] not in LOOPED_BLOCKS or convolved.shape[1] % LONGEST_VECTOR:
        return None
    if not native.usable(convolved, plain, *weights, *gate_weights, gate_bias):
        return None
    factors = torch.stack([_factors(weight) for weight in weights])
    return Projected(*_Projections.apply(convolved, plain, factors, torch.stack([each.t() for each in gate_weights]), gate_bias))


def _factors(weight: Tensor) -> Tensor:
    """(N, b, b) to (b, N b): row k holds for every channel of the result the factor of the channel whose number differs by xor k."""
    block = torch.arange(weight.shape[1])
    index = (block[:, None] ^ block).expand_as(weight)
    return weight.gather(2, index).permute(2, 0, 1).flatten(1)


class _Projections(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, convolved: Tensor, plain: Tensor, *weights: Tensor) -> tuple[Tensor, ...]:
        convolved, plain = (x if x.stride(1) == 1 else x.contiguous() for x in (convolved, plain))
        factors, gate_weights, gate_bias = weights = tuple(weight.contiguous() for weight in weights)
        made = [plain.new_empty(plain.shape) for _ in range(3)]
        gates = plain.new_empty(len(plain), len(gate_bias))
        ctx.sizes = (convolved.stride(0), plain.stride(0), *plain.shape, factors.shape[1], len(gate_bias))
        native.run("headwise_forward", convolved, plain, *weights, *made, gates, *ctx.sizes)
        ctx.save_for_backward(convolved, plain, *weights)
        return *made, gates

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, ...]:
        convolved, plain, *weights = ctx.saved_tensors
        parts = torch.get_num_threads()
        d_inputs = [x.new_empty(x.shape) for x in (convolved, plain)]
        d_weights = [weight.new_empty(parts, *weight.shape) for weight in weights]
        given = [grad.contiguous() for grad in grads]
        native.run("headwise_backward", convolved, plain, *weights, *given, *d_inputs, *d_weights, *ctx.sizes)
        return *d_inputs, *(each.sum(0) for each in d_weights)
