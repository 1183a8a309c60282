"""A mixer of Mamba, Mamba-2 or Hydra by compiled loops (see `native`): one step of the graph, or one with the block around it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

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

    projected: what the in-projection gives, (T, ...), contiguous.
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
        """Gradients of the parameters; that of what was projected is written into `found`. grad: (T, inner), contiguous."""


def looped_mix(mixer: LoopedMixer, projected: Tensor, parameters: Sequence[Tensor], begins: Tensor) -> Tensor | None:
    """What the in-projection gives, (T, ...), to (T, inner), what goes into the out-projection.

    parameters: as the mixer takes them, first the weights (channels, taps) of its convolution.
    Computed in at least float32. None where the compiled loops do not run.
    """
    if not mixer_usable(projected, parameters):
        return None
    return _Mix.apply(mixer, exact(projected), begins, torch.is_grad_enabled(), *parameters)


def looped_block(
    mixer: LoopedMixer, x: Tensor, norm_weight: Tensor, in_weight: Tensor, out_weight: Tensor, parameters: Sequence[Tensor], begins: Tensor
) -> Tensor | None:
    """`rms_norm`, in-projection (O, D), mixer and out-projection (D, inner): (T, D) to (T, D).

    The same as one after the other, but that what the backward pass needs for a moment lies in arrays that are kept from call to call:
    memory that the system hands out anew takes longer than the loops that fill it. None where the loops are not the fastest for all of it.
    """
    worth = worth_loops(x, in_weight, None) and worth_loops(x, out_weight, None)
    if not (worth and native.usable(x, norm_weight) and mixer_usable(x, parameters)):
        return None
    return _Block.apply(mixer, x, norm_weight, in_weight, out_weight, begins, torch.is_grad_enabled(), *parameters)


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
        ctx: Any,
        mixer: LoopedMixer,
        x: Tensor,
        norm_weight: Tensor,
        in_weight: Tensor,
        out_weight: Tensor,
        begins: Tensor,
        wanted: bool,
        *parameters: Tensor,
    ) -> Tensor:
        x, in_weight, out_weight = x.contiguous(), in_weight.contiguous(), out_weight.contiguous()
        normed, scales = norm_forward(x, None, norm_weight, NO_GATE, native.workspace("what is normed", x, *x.shape))
        width = len(in_weight)
        projected = x.new_empty(len(x), width) if wanted else native.workspace("what is projected", x, len(x), width)
        linear_forward(normed, in_weight, into=projected)
        mixed, kept = mixer.forward(projected, parameters, begins, wanted)
        if wanted:
            ctx.mixer, ctx.count = mixer, len(parameters)
            ctx.save_for_backward(x, norm_weight, in_weight, out_weight, scales, projected, mixed, begins, *parameters, *kept)
        return linear_forward(mixed, out_weight)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, norm_weight, in_weight, out_weight, scales, projected, mixed, begins, *rest = ctx.saved_tensors
        parameters, kept, grad = rest[: ctx.count], rest[ctx.count :], grad.contiguous()
        grad_mixed = linear_back(grad, out_weight, native.workspace("gradient of what is mixed", x, *mixed.shape))
        grad_out, _ = linear_outer(grad, mixed, summed=False)
        grad_projected = native.workspace("gradient of what is projected", x, *projected.shape)
        of_parameters = ctx.mixer.backward(projected, parameters, begins, kept, grad_mixed, grad_projected)
        normed, _ = norm_forward(x, None, norm_weight, NO_GATE, native.workspace("what is normed", x, *x.shape))
        grad_in, _ = linear_outer(grad_projected, normed, summed=False)
        grad_normed = linear_back(grad_projected, in_weight, native.workspace("gradient of what is normed", x, *x.shape))
        grad_x, grad_norm = norm_backward(x, None, norm_weight, scales, grad_normed, None, NO_GATE)
        return None, grad_x, grad_norm, grad_in, grad_out, None, None, *of_parameters
