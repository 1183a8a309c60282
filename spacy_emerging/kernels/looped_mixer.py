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


Reading = tuple[Tensor | None, bool]
"""The last two of a Side."""


class Side(NamedTuple):
    """What one reading direction of a block has of its own.

    in_weight: (O, D). out_weight: (D, inner). parameters: those of the mixer.
    order: (T,) int64, the tokens as the mixer reads them, its own inverse (`Layout.reverse_index`); without it, one after the other.
    residual: whether x itself is added to what the block makes of it.
    """

    norm_weight: Tensor
    in_weight: Tensor
    out_weight: Tensor
    parameters: Sequence[Tensor]
    order: Tensor | None = None
    residual: bool = False


class LoopedBlock(ABC):
    """Both passes of a block over T tokens. It holds sizes, and no tensors."""

    @abstractmethod
    def fits(self, x: Tensor, side: Side, begins: Tensor) -> bool:
        """Whether the loops run on a side, and are the fastest for all of it."""

    @abstractmethod
    def side_forward(self, x: Tensor, side: Side, begins: Tensor, wanted: bool, into: Tensor) -> Kept:
        """One side of a block: writes what it makes of x `into` an array, in the order of x; gives what `side_backward` gets as `kept`.

        begins: (B + 1,) int64, where the sequences begin among the T tokens, and T. wanted: whether there will be a backward pass.
        """

    @abstractmethod
    def side_backward(self, x: Tensor, side: Side, begins: Tensor, kept: Kept, grad: Tensor, into: Tensor) -> tuple[Tensor, ...]:
        """Writes the gradient of x `into` an array, and gives those of what the side has of its own, in the order of `Side`."""


class LoopedMixer(LoopedBlock):
    """Both passes of a mixer over T tokens, and of the block around it.

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

    def fits(self, x: Tensor, side: Side, begins: Tensor) -> bool:
        """See LoopedBlock."""
        worth = worth_loops(x, side.in_weight, None) and worth_loops(x, side.out_weight, None)
        return worth and native.usable(x, side.norm_weight) and mixer_usable(x, side.parameters)

    def side_forward(self, x: Tensor, side: Side, begins: Tensor, wanted: bool, into: Tensor) -> Kept:
        """See LoopedBlock."""
        normed, scales = norm_forward(x, None, side.norm_weight, NO_GATE, native.workspace("what is normed", x, *x.shape), side.order)
        projected = native.in_lines(None if wanted else "what is projected", x, len(x), len(side.in_weight))
        linear_forward(normed, side.in_weight, into=projected)
        mixed, kept = self.forward(projected, side.parameters, begins, wanted)
        if side.order is None:
            linear_forward(mixed, side.out_weight, into=into)
        else:
            read = linear_forward(mixed, side.out_weight, into=native.workspace("what is added", x, *x.shape))
            torch.index_select(read, 0, side.order, out=into)
        if side.residual:
            into += x
        return scales, projected, mixed, *kept

    def side_backward(self, x: Tensor, side: Side, begins: Tensor, kept: Kept, grad: Tensor, into: Tensor) -> tuple[Tensor, ...]:
        """See LoopedBlock."""
        (scales, projected, mixed, *of_mixer), grad_of_all = kept, grad
        if side.order is not None:
            grad = torch.index_select(grad, 0, side.order, out=native.workspace("gradient of what is added", x, *x.shape))
        grad_mixed = linear_back(grad, side.out_weight, native.workspace("gradient of what is mixed", x, *mixed.shape))
        grad_out, _ = linear_outer(grad, mixed, summed=False)
        grad_projected = native.in_lines("gradient of what is projected", x, *projected.shape)
        of_parameters = self.backward(projected, side.parameters, begins, tuple(of_mixer), grad_mixed, grad_projected)
        place = native.workspace("what is normed", x, *x.shape)
        normed, _ = norm_forward(x, None, side.norm_weight, NO_GATE, place, side.order)
        grad_in, _ = linear_outer(grad_projected, normed, summed=False)
        grad_normed = linear_back(grad_projected, side.in_weight, native.workspace("gradient of what is normed", x, *x.shape))
        _, grad_norm = norm_backward(x, None, side.norm_weight, scales, grad_normed, None, NO_GATE, into, side.order)
        if side.residual:
            into += grad_of_all
        return grad_norm, grad_in, grad_out, *of_parameters


def looped_mix(mixer: LoopedMixer, projected: Tensor, parameters: Sequence[Tensor], begins: Tensor) -> Tensor | None:
    """What the in-projection gives, (T, ...), to (T, inner), what goes into the out-projection.

    parameters: as the mixer takes them, first the weights (channels, taps) of its convolution.
    Computed in at least float32. None where the compiled loops do not run.
    """
    if not mixer_usable(projected, parameters):
        return None
    return _Mix.apply(mixer, exact(projected), begins, torch.is_grad_enabled(), *parameters)


def looped_block(block: LoopedBlock, x: Tensor, sides: Sequence[Side], begins: Tensor) -> Tensor | None:
    """`rms_norm`, in-projection, mixer, out-projection and perhaps the residual of one or two sides, each in columns of its own.

    (T, sides x D) to the same.

    The same as one after the other, but that what the backward pass needs for a moment lies in arrays that are kept from call to call:
    memory that the system hands out anew takes longer than the loops that fill it. None where the loops are not the fastest for all of it.
    """
    columns = x.chunk(len(sides), -1)
    if not all(block.fits(own, side, begins) for own, side in zip(columns, sides, strict=True)):
        return None
    tensors = [each for side in sides for each in (*side[:3], *side.parameters)]
    return _Block.apply(block, x, begins, [side[4:] for side in sides], torch.is_grad_enabled(), *tensors)


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
    def forward(ctx: Any, block: LoopedBlock, x: Tensor, begins: Tensor, readings: list[Reading], wanted: bool, *tensors: Tensor) -> Tensor:
        x = x.contiguous()
        made, count = x.new_empty(x.shape), len(readings)
        kept: list[Tensor | None] = []
        for own, into, side in zip(x.chunk(count, 1), made.chunk(count, 1), _sides(tensors, readings), strict=True):
            kept += block.side_forward(own, side, begins, wanted, into)
        if wanted:
            ctx.block, ctx.residual, ctx.count = block, [residual for _, residual in readings], len(tensors)
            ctx.save_for_backward(x, begins, *(order for order, _ in readings), *tensors, *kept)
        return made

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        count = len(ctx.residual)
        x, begins, *rest = ctx.saved_tensors
        readings, kept = list(zip(rest[:count], ctx.residual, strict=True)), rest[count + ctx.count :]
        grad, grad_x = grad.contiguous(), torch.empty_like(x)
        found: list[Tensor] = []
        columns = (each.chunk(count, 1) for each in (x, grad, grad_x))
        sides = _sides(rest[count : count + ctx.count], readings)
        for own, grad_own, into, side, of_side in zip(*columns, sides, _dealt(kept, count), strict=True):
            found += ctx.block.side_backward(own, side, begins, tuple(of_side), grad_own, into)
        return None, grad_x, None, None, None, *found


def _sides(tensors: Sequence[Tensor], readings: Sequence[Reading]) -> list[Side]:
    dealt = zip(_dealt(tensors, len(readings)), readings, strict=True)
    return [Side(norm, into.contiguous(), out.contiguous(), parameters, *reading) for (norm, into, out, *parameters), reading in dealt]


def _dealt(flat: Sequence[Any], count: int) -> list[Sequence[Any]]:
    """Equal shares, one after the other."""
    share = len(flat) // count
    return [flat[first : first + share] for first in range(0, len(flat), share)]
