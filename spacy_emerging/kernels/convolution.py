"""Depthwise convolution over time, causal or centred: every channel sees itself and a few tokens on one or both sides."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from . import native
from .norm import exact


def causal_convolution(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """(..., L, D) to (..., L, D): y[t] = bias + sum over k of weight[..., k] * x[t - (width - 1) + k], with zeros before the first token.

    x: (..., L, D). Padding belongs at the end, where nothing before it can see it.
    weight: (D, width), or with leading axes that broadcast against those of x, e.g. (G, 1, 1, D, width) for x of (G, B, L, D).
    The last column meets the token itself, as in the weights of `nn.Conv1d` with left padding.
    bias: like weight without its last axis.

    On a CPU a few multiply-adds over the whole array take a fifth of what a grouped `nn.Conv1d` takes, and its backward pass a tenth.
    Source: the convolution of Mamba (arXiv 2312.00752, section 3.4).
    """
    return _Convolution.apply(x, weight, bias, 0)


def convolution_segment(x: Tensor, weight: Tensor, bias: Tensor, before: Tensor | None) -> tuple[Tensor, Tensor]:
    """`causal_convolution` of a segment of longer sequences, and what its next segment needs to know.

    before: (..., width - 1, D), the tokens before this segment, as the call before this one returned them; None at the start.
    """
    seen = weight.shape[-1] - 1
    if before is None:
        before = x.new_zeros(*x.shape[:-2], seen, x.shape[-1])
    joined = torch.cat([before, x], -2)
    y = causal_convolution(joined, weight, bias)[..., seen:, :]
    return y, joined[..., joined.shape[-2] - seen :, :].clone()


def centred_convolution(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """(..., L, D) to (..., L, D): y[t] = bias + sum over k of weight[..., k] * x[t - width // 2 + k], with zeros on both sides.

    x: (..., L, D). Padding is seen by the tokens before it, so it has to be zero. weight, bias: as above; the middle column meets the
    token itself, and of an even number the one right of the middle. Source: the convolution of Hydra (arXiv 2407.09941, section 4).
    """
    return _Convolution.apply(x, weight, bias, (weight.shape[-1] - 1) // 2)


MOST_TAPS = 8
"""Of the compiled loops."""


def mixer_usable(projected: Tensor, parameters: Sequence[Tensor]) -> bool:
    """Whether the loops of a whole mixer, which begins with a convolution, can run on these.

    parameters: weights (channels, taps) of the convolution, and more.
    """
    return native.usable(exact(projected), *parameters) and parameters[0].shape[1] <= MOST_TAPS


def convolution_usable(x: Tensor, weight: Tensor, bias: Tensor) -> bool:
    """Whether the compiled loops run for x as it is, and weights (D, taps)."""
    return native.usable(x, weight, bias) and weight.shape[1] <= MOST_TAPS


def convolution_of_sequences(
    x: Tensor, weight: Tensor, bias: Tensor, begins: Tensor, *, ahead: int = 0, activated: bool = True
) -> Tensor | None:
    """(T, D) to (T, D): the convolution of sequences that lie end to end, and SiLU after it if `activated`.

    None where the compiled loops do not run.

    x: columns of something wider perhaps. weight: (D, taps). bias: (D,). begins: (B + 1,) int64, where the sequences begin, and T.
    ahead: how many later tokens a token sees: 0 is causal, taps // 2 is centred.
    """
    if not convolution_usable(x, weight, bias):
        return None
    return _OfSequences.apply(x, weight, bias, begins, ahead, activated)


class _OfSequences(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, begins: Tensor, ahead: int, activated: bool) -> Tensor:
        x = x if x.stride(1) == 1 else x.contiguous()
        ctx.save_for_backward(x, weight, bias, begins)
        ctx.kind = {"ahead": ahead, "activated": activated}
        return convolution_forward(x, weight, bias, begins, **ctx.kind)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, bias, begins = ctx.saved_tensors
        grad_x = grad.new_empty(grad.shape)
        found = convolution_backward(x, weight, bias, begins, grad.contiguous(), grad_x, **ctx.kind)
        return grad_x, *found, None, None, None


def convolution_forward(
    x: Tensor, weight: Tensor, bias: Tensor, begins: Tensor, *, ahead: int, activated: bool, into: Tensor | None = None
) -> Tensor:
    """(T, D), columns of something wider perhaps, to (T, D). weight: (D, taps). ahead: later tokens seen.

    activated: SiLU after it. into: the array that is written, if there is one.
    """
    tokens, channels = x.shape
    y = x.new_empty(tokens, channels) if into is None else into
    sizes = (x.stride(0), len(begins) - 1, channels, weight.shape[1], ahead, int(activated))
    native.run("convolution_forward", x, weight.t().contiguous(), bias, begins, y, *sizes, channels)
    return y


def convolution_segment_by_loops(
    x: Tensor, weight: Tensor, bias: Tensor, begins: Tensor, before: Tensor | None, *, activated: bool = True
) -> tuple[Tensor, Tensor]:
    """The causal convolution of a segment of one longer sequence, where the loops run: (S, D) to (S, D).

    activated: SiLU after it. before: what the segment sees of those before it, (taps - 1, D), as the call before this one returned it;
    None at the start. The same for the next segment is returned, too.
    """
    seen = x.new_zeros(weight.shape[1] - 1, x.shape[1]) if before is None else before
    joined = torch.cat([seen, x])
    wider = begins + begins.new_tensor([0, len(seen)])
    convolved = convolution_forward(joined, weight, bias, wider, ahead=0, activated=activated)[len(seen) :]
    return convolved, joined[len(joined) - len(seen) :].clone()


def convolution_backward(
    x: Tensor, weight: Tensor, bias: Tensor, begins: Tensor, grad: Tensor, grad_x: Tensor, *, ahead: int, activated: bool
) -> tuple[Tensor, Tensor]:
    """Writes the gradient of x, (T, D), which may be columns of something wider; gives those of weight and bias."""
    channels, taps = weight.shape
    grad_weight, grad_bias = x.new_empty(taps, channels), torch.empty_like(bias)
    sizes = (x.stride(0), len(begins) - 1, channels, taps, ahead, int(activated), grad.stride(0), grad_x.stride(0))
    native.run("convolution_backward", x, weight.t().contiguous(), bias, begins, grad, grad_x, grad_weight, grad_bias, *sizes)
    return grad_weight.t(), grad_bias


class _Convolution(torch.autograd.Function):
    """ahead: how many later tokens are seen."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, ahead: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.bias_shape, ctx.ahead = bias.shape, ahead
        taps = _taps(weight)
        y = torch.addcmul(bias, x, taps[-1 - ahead])
        for tap, seeing, seen, _ in _others(len(taps), ahead, x.shape[-2]):
            y[..., seeing, :].addcmul_(x[..., seen, :], taps[tap])
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        taps = _taps(weight)
        grad_x = grad * taps[-1 - ctx.ahead]
        grad_taps = torch.zeros(taps.shape, dtype=grad.dtype, device=grad.device)
        products = torch.mul(grad, x, out=grad.new_empty(grad.shape))
        grad_taps[-1 - ctx.ahead] = products.sum_to_size(taps.shape[1:])
        for tap, seeing, seen, blind in _others(len(taps), ctx.ahead, x.shape[-2]):
            grad_x[..., seen, :].addcmul_(grad[..., seeing, :], taps[tap])
            torch.mul(grad[..., seeing, :], x[..., seen, :], out=products[..., seeing, :])
            products[..., blind, :] = 0  # all of a contiguous array is summed up several times as fast as a part of each sequence
            grad_taps[tap] = products.sum_to_size(taps.shape[1:])
        return grad_x, grad_taps.movedim(0, -1), grad.sum_to_size(ctx.bias_shape), None


def _others(width: int, ahead: int, length: int) -> Iterator[tuple[int, slice, slice, slice]]:
    """Each tap but the one that meets the token itself: the tokens that see another through it, these others, and those that see none."""
    here = width - 1 - ahead
    for tap in range(width):
        back = here - tap
        if 0 < back < length:
            yield tap, slice(back, length), slice(0, length - back), slice(0, back)
        elif 0 < -back < length:
            yield tap, slice(0, length + back), slice(-back, length), slice(length + back, length)


def _taps(weight: Tensor) -> Tensor:
    """(width, ..., D), each tap contiguous over channels."""
    return weight.movedim(-1, 0).contiguous()


def kernel_fits(channels: int, width: int) -> bool:
    """Whether the vendors' convolution takes these sizes."""
    return channels % 8 == 0 and 2 <= width <= 4


def causal_convolution_cuda(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """(B, L, D) to (B, L, D): the same followed by SiLU, by the vendors' kernel. weight: (D, width), bias: (D,)."""
    from causal_conv1d import causal_conv1d_fn

    return causal_conv1d_fn(x.contiguous().transpose(1, 2), weight, bias, activation="silu").transpose(1, 2)
