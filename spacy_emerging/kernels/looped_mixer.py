"""A mixer of Mamba, Mamba-2 or Hydra by compiled loops (see `native`): one step of the graph, or one with the block around it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from . import native
from .convolution import mixer_usable
from .linear_loops import linear_back, linear_forward, linear_outer, worth_loops
from .norm import NO_GATE, exact, norm_backward, norm_forward

Kept = tuple[Any, ...]
"""What a mixer keeps for its backward pass: tensors, and None in place of some that it need not keep."""


class LoopedMixer(ABC):
    """Both passes of a mixer over T tokens. It holds sizes, and no tensors.

    projected: what the in-projection gives, (T, ...), in rows that may be some numbers apart.
    begins: (B + 1,) int64, where the sequences begin among the T tokens, and T.
    """

    @abstractmethod
    def forward(self, projected: Tensor, parameters: Sequence[Tensor], begins: Tensor, wanted: bool) -> tuple[Tensor, Kept]:
        """To (T, inner), what goes into the out-projection, and to what `backward` is given as `kept`.

        wanted: whether there will be a backward pass.
        """

    @abstractmethod
    def backward(
        self, projected: Tensor, parameters: Sequence[Tensor], begins: Tensor, kept: Kept, grad: Tensor, found: Tensor
    ) -> tuple[Tensor, ...]:
        """Gradients of the parameters; that of what was projected is written into `found`, whose rows lie as far apart.

        grad: (T, inner), contiguous.
        """


def looped_mix(mixer: LoopedMixer, projected: Tensor, parameters: Sequence[Tensor], begins: Tensor) -> Tensor | None:
    """What the in-projection gives, (T, ...), to (T, inner), what goes into the out-projection.

    parameters: as the mixer takes them, first the weights (channels, taps) of its convolution.
    Computed in at least float32. None where the compiled loops do not run.
    """
    if not mixer_usable(projected, parameters):
        return None
    return _Mix.apply(mixer, exact(projected), begins, torch.is_grad_enabled(), *parameters)


class Side(NamedTuple):
    """What one reading direction of a block has of its own.

    in_weight: (O, D). out_weight: (D, inner). parameters: those of the mixer.
    order: (T,) int64, the tokens as the mixer reads them, its own inverse (`Layout.reverse_index`); without it, one after the other.
    """

    norm_weight: Tensor
    in_weight: Tensor
    out_weight: Tensor
    parameters: Sequence[Tensor]
    order: Tensor | None = None


def looped_block(mixer: LoopedMixer, x: Tensor, sides: Sequence[Side], begins: Tensor) -> Tensor | None:
    """`rms_norm`, in-projection, mixer and out-projection of one or two sides, each in columns of its own: (T, sides x D) to the same.

    The same as one after the other, but that what the backward pass needs for a moment lies in arrays that are kept from call to call:
    memory that the system hands out anew takes longer than the loops that fill it. None where the loops are not the fastest for all of it.
    """
    columns = x.chunk(len(sides), -1)
    if not all(_fits(own, side) for own, side in zip(columns, sides, strict=True)):
        return None
    tensors = [each for side in sides for each in (*side[:3], *side.parameters)]
    return _Block.apply(mixer, x, begins, [side.order for side in sides], torch.is_grad_enabled(), *tensors)


def _fits(x: Tensor, side: Side) -> bool:
    worth = worth_loops(x, side.in_weight, None) and worth_loops(x, side.out_weight, None)
    return worth and native.usable(x, side.norm_weight) and mixer_usable(x, side.parameters)


class _Mix(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, mixer: LoopedMixer, projected: Tensor, begins: Tensor, wanted: bool, *parameters: Tensor) -> Tensor:
        projected = projected.contiguous()
        mixed, kept = mixer.forward(projected, parameters, begins, wanted)
        if wanted:
            ctx.mixer, ctx.count = mixer, len(parameters)
            ctx.save_for_backward(projected, begins, *parameters, *kept)
        return mixed

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        projected, begins, *rest = ctx.saved_tensors
        parameters, kept, found = rest[: ctx.count], rest[ctx.count :], torch.empty_like(projected)
        of_parameters = ctx.mixer.backward(projected, parameters, begins, kept, grad.contiguous(), found)
        return None, found, None, None, *of_parameters


class _Block(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, mixer: LoopedMixer, x: Tensor, begins: Tensor, orders: list[Tensor | None], wanted: bool, *tensors: Tensor
    ) -> Tensor:
        x = x.contiguous()
        added, count = x.new_empty(x.shape), len(orders)
        kept: list[Tensor | None] = []
        for own, into, order, side in zip(x.chunk(count, 1), added.chunk(count, 1), orders, _dealt(tensors, count), strict=True):
            kept += _side_forward(mixer, own, side, begins, order, wanted, into)
        if wanted:
            ctx.mixer, ctx.sides, ctx.count = mixer, count, len(tensors)
            ctx.save_for_backward(x, begins, *orders, *tensors, *kept)
        return added

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        count = ctx.sides
        x, begins, *rest = ctx.saved_tensors
        orders, tensors, kept = rest[:count], rest[count : count + ctx.count], rest[count + ctx.count :]
        grad, grad_x = grad.contiguous(), torch.empty_like(x)
        found: list[Tensor] = []
        columns = (each.chunk(count, 1) for each in (x, grad, grad_x))
        for own, grad_own, into, order, side, kept_own in zip(*columns, orders, _dealt(tensors, count), _dealt(kept, count), strict=True):
            found += _side_backward(ctx.mixer, own, side, begins, order, kept_own, grad_own, into)
        return None, grad_x, None, None, None, *found


def _dealt(flat: Sequence[Any], count: int) -> list[Sequence[Any]]:
    """Equal shares, one after the other."""
    share = len(flat) // count
    return [flat[first : first + share] for first in range(0, len(flat), share)]


def _side_forward(
    mixer: LoopedMixer, x: Tensor, side: Sequence[Tensor], begins: Tensor, order: Tensor | None, wanted: bool, into: Tensor
) -> Kept:
    """One side of a block: writes what it adds `into` an array, in the order of x, and gives what `_side_backward` is given as `kept`."""
    norm_weight, in_weight, out_weight, *parameters = side
    normed, scales = norm_forward(x, None, norm_weight, NO_GATE, native.workspace("what is normed", x, *x.shape), order)
    projected = native.in_lines(None if wanted else "what is projected", x, len(x), len(in_weight))
    linear_forward(normed, in_weight.contiguous(), into=projected)
    mixed, kept = mixer.forward(projected, parameters, begins, wanted)
    if order is None:
        linear_forward(mixed, out_weight.contiguous(), into=into)
    else:
        read = linear_forward(mixed, out_weight.contiguous(), into=native.workspace("what is added", x, *x.shape))
        torch.index_select(read, 0, order, out=into)
    return scales, projected, mixed, *kept


def _side_backward(
    mixer: LoopedMixer,
    x: Tensor,
    side: Sequence[Tensor],
    begins: Tensor,
    order: Tensor | None,
    kept: Sequence[Any],
    grad: Tensor,
    into: Tensor,
) -> tuple[Tensor, ...]:
    """Writes the gradient of x `into` an array, and gives those of what the side has of its own."""
    (norm_weight, in_weight, out_weight, *parameters), (scales, projected, mixed, *of_mixer) = side, kept
    in_weight, out_weight = in_weight.contiguous(), out_weight.contiguous()
    if order is not None:
        grad = torch.index_select(grad, 0, order, out=native.workspace("gradient of what is added", x, *x.shape))
    grad_mixed = linear_back(grad, out_weight, native.workspace("gradient of what is mixed", x, *mixed.shape))
    grad_out, _ = linear_outer(grad, mixed, summed=False)
    grad_projected = native.in_lines("gradient of what is projected", x, *projected.shape)
    of_parameters = mixer.backward(projected, parameters, begins, tuple(of_mixer), grad_mixed, grad_projected)
    normed, _ = norm_forward(x, None, norm_weight, NO_GATE, native.workspace("what is normed", x, *x.shape), order)
    grad_in, _ = linear_outer(grad_projected, normed, summed=False)
    grad_normed = linear_back(grad_projected, in_weight, native.workspace("gradient of what is normed", x, *x.shape))
    _, grad_norm = norm_backward(x, None, norm_weight, scales, grad_normed, None, NO_GATE, into, order)
    return grad_norm, grad_in, grad_out, *of_parameters
