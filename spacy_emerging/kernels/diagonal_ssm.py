"""Diagonal state spaces whose transition does not depend on the data (S4D, arXiv 2206.11893; DLR, arXiv 2212.00768).

Every channel is filtered by itself, through N complex states:

    state[t] = exp(log_transition) state[t-1] + x[t]          y[t] = Re(sum over the N states of weight * state[t])

which is a convolution with the taps Re(sum of weight * exp(l log_transition)), l = 0, 1, ... Letters: B sequences, L tokens,
D channels, N complex states per channel, C chunks of Q tokens. Causal: padding belongs at the end, where it influences no token.

Up to four chunks of tokens are one convolution. Longer sequences are cut: a convolution inside a chunk, and between chunks the
states themselves are carried, so that time and memory stay linear in L and no FFT grows with the longest batch-mate.

A convolution goes by FFT; or by a product with a triangular matrix per channel, where no token may depend on later ones: an FFT
leaves traces of them in the last digits.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from .linear_scan import linear_scan

ROUNDED_TO = 32
"""FFT lengths are rounded up to a multiple of this, so that none has a large prime factor where the chunk has one."""


def diagonal_ssm_reference(x: Tensor, log_transition: Tensor, weight: Tensor) -> Tensor:
    """The recurrence token by token, as it is defined: slow, and right in any precision. Shapes as in `diagonal_ssm`."""
    transition = torch.exp(log_transition)
    state = torch.zeros(len(x), *weight.shape, dtype=weight.dtype, device=x.device)
    steps = []
    for t in range(x.shape[1]):
        state = transition * state + x[:, t, :, None]
        steps.append((weight * state).sum(-1).real)
    return torch.stack(steps, 1)


def discretised(log_step: Tensor, log_decay: Tensor, frequency: Tensor) -> tuple[Tensor, Tensor]:
    """Zero-order hold (arXiv 2206.11893, section 3.1) of state' = A state + x with A = -exp(log_decay) + i frequency.

    log_step: (D,). log_decay, frequency: (D, N). Returns the logarithm of the transition, step A, and the weight of an input,
    (exp(step A) - 1) / A, both (D, N) complex. The difference from 1 is computed without cancellation, since steps are small.
    """
    step = torch.exp(log_step)[:, None]
    a = torch.complex(-torch.exp(log_decay), frequency)
    real, imaginary = -step * torch.exp(log_decay), step * frequency
    less_one = torch.expm1(real) * torch.cos(imaginary) - 2 * torch.sin(imaginary / 2).square()
    change = torch.complex(less_one, torch.exp(real) * torch.sin(imaginary))
    return torch.complex(real, imaginary), change / a


def diagonal_ssm(x: Tensor, log_transition: Tensor, weight: Tensor, chunk: int, exactly_causal: bool = False) -> Tensor:
    """All outputs of the recurrence.

    x: (B, L, D). log_transition: (D, N) complex, real parts at most 0. weight: (D, N) complex.
    chunk: tokens of a chunk; a sequence of up to four goes as one. Any number works and changes nothing but speed and memory.
    Recommended 16 to 64.
    exactly_causal: later tokens do not change a result in its last digits either.
    Returns (B, L, D), in the precision of `weight`.
    """
    length = x.shape[1]
    chunks = 1 if length <= 4 * chunk else -(-length // chunk)
    size = -(-length // chunks)  # equal chunks leave less than one token of padding per chunk
    if chunks * size > length:
        x = functional.pad(x, (0, 0, 0, chunks * size - length))
    return _chunkwise(x, log_transition, weight, chunks, exactly_causal)[:, :length]


def diagonal_ssm_segment(
    x: Tensor, log_transition: Tensor, weight: Tensor, chunk: int, before: Tensor | None, exactly_causal: bool = False
) -> tuple[Tensor, Tensor]:
    """`diagonal_ssm` of a segment of longer sequences, and the state after it. Without gradients.

    before: (D x B, N) complex, the state before the segment, as the call before this one returned it; None at the start.
    """
    batch, length, channels = x.shape
    if before is None:
        before = weight.new_zeros(channels * batch, weight.shape[1])
    states, found = [before], []
    for part in x.split([length - length % chunk, length % chunk], 1):  # padding would decay the state
        if part.shape[1]:
            chunks = max(1, part.shape[1] // chunk)
            found.append(_chunkwise(part, log_transition, weight, chunks, exactly_causal, states))
    return torch.cat(found, 1), states[-1]


def _chunkwise(
    x: Tensor, log_transition: Tensor, weight: Tensor, chunks: int, exactly_causal: bool, states: list[Tensor] | None = None
) -> Tensor:
    """`diagonal_ssm` of sequences that `chunks` divides. states: None, or the state before the first token, to which that after the
    last one is added."""
    batch, length, channels = x.shape
    size = length // chunks
    x = x.to(weight.real.dtype).reshape(batch * chunks, size, channels).transpose(1, 2).contiguous()
    powers = _Powers.apply(log_transition, size + 1)  # (D, Q + 1, N)
    taps = torch.bmm(_as_real(powers[:, :size]), _as_real(weight.conj())[..., None]).squeeze(-1)  # (D, Q)
    y = (_ByProduct if exactly_causal else _ByFFT).apply(x, taps)
    if chunks > 1 or states is not None:
        y = y + _from_earlier_chunks(x.transpose(0, 1), powers, weight, chunks, states).transpose(0, 1)
    return y.transpose(1, 2).reshape(batch, length, channels)


def _from_earlier_chunks(x: Tensor, powers: Tensor, weight: Tensor, chunks: int, states: list[Tensor] | None) -> Tensor:
    """x (D, B x C, Q) to the same: what tokens get through the states at the ends of earlier chunks. states: see `_chunkwise`."""
    channels, cut, size = x.shape
    added = torch.bmm(x, _as_real(powers[:, :size].flip(1)))  # (D, B x C, 2 N): the state that a chunk alone leaves behind
    added = torch.view_as_complex(added.reshape(channels * cut // chunks, chunks, -1, 2))
    kept = powers[:, size].repeat_interleave(cut // chunks, 0)[:, None].expand_as(added)
    after = linear_scan(kept, added, None if states is None else states[-1])
    before = functional.pad(torch.view_as_real(after[:, :-1]).flatten(2), (0, 0, 1, 0))
    if states is not None:
        before[:, 0] = torch.view_as_real(states[-1]).flatten(1)
        states.append(after[:, -1].clone())
    read = _as_real((weight[:, None] * powers[:, 1:]).conj())  # (D, Q, 2 N)
    return torch.bmm(before.reshape(channels, cut, -1), read.mT)


def _as_real(z: Tensor) -> Tensor:
    """(..., N) complex to (..., 2 N), real and imaginary parts in turn: products of z and of w's conjugate are Re(z w)."""
    return torch.view_as_real(z.resolve_conj()).flatten(-2)


class _ByProduct(torch.autograd.Function):
    """(R, D, Q) and taps (D, Q) to (R, D, Q): each row of each channel with the taps of the channel, by matrix products.

    The matrix of a channel has constant diagonals. Rows of x are read backwards, so that these become antidiagonals and the
    matrix a view of the taps with overlapping rows.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, taps: Tensor) -> Tensor:
        backwards = x.flip(-1)
        ctx.save_for_backward(backwards, taps)
        return torch.bmm(backwards.transpose(0, 1), _matrices(taps)).transpose(0, 1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        backwards, taps = ctx.saved_tensors
        size = taps.shape[1]
        grad = grad.transpose(0, 1)
        grad_x = torch.bmm(grad, _matrices(taps).mT).transpose(0, 1).flip(-1)
        # Rows that are one number shorter than they are apart: every antidiagonal becomes a column.
        grad_matrices = functional.pad(torch.bmm(backwards.permute(1, 2, 0), grad), (0, size))
        sums = grad_matrices.flatten(1)[:, : size * (2 * size - 1)].unflatten(1, (size, -1)).sum(1)
        return grad_x, sums[:, size - 1 :]


def _matrices(taps: Tensor) -> Tensor:
    """(D, Q) to (D, Q, Q): taps[i - j] in row Q - 1 - j and column i."""
    channels, size = taps.shape
    return functional.pad(taps, (size - 1, 0)).as_strided((channels, size, size), (2 * size - 1, 1, 1))


class _ByFFT(torch.autograd.Function):
    """The same by FFT. The backward pass is written out: that of torch does not know that gradients of real numbers are real."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, taps: Tensor) -> Tensor:
        size = x.shape[-1]
        ctx.fast = -(-2 * size // ROUNDED_TO) * ROUNDED_TO
        x_spectrum, taps_spectrum = torch.fft.rfft(x, ctx.fast), torch.fft.rfft(taps, ctx.fast)
        ctx.save_for_backward(x_spectrum, taps_spectrum)
        return torch.fft.irfft(x_spectrum * taps_spectrum, ctx.fast)[..., :size]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        x_spectrum, taps_spectrum = ctx.saved_tensors
        size = grad.shape[-1]
        spectrum = torch.fft.rfft(grad, ctx.fast)
        for_taps = torch.fft.irfft((spectrum * x_spectrum.conj()).sum(0), ctx.fast)
        return torch.fft.irfft(spectrum.mul_(taps_spectrum.conj()), ctx.fast)[..., :size], for_taps[..., :size]


class _Powers(torch.autograd.Function):
    """(D, N) and a count to (D, count, N): exp(l log_transition) for l = 0, 1, ..., by doubling.

    Only one exponential per state is computed, and the error of the highest power is not that of a large angle.
    """

    @staticmethod
    def forward(ctx: Any, log_transition: Tensor, count: int) -> Tensor:
        powers = torch.ones(len(log_transition), count, log_transition.shape[1], dtype=log_transition.dtype, device=log_transition.device)
        done, step = 1, torch.exp(log_transition)[:, None]  # step = exp(done * log_transition)
        while done < count:
            new = min(done, count - done)
            torch.mul(powers[:, :new], step, out=powers[:, done : done + new])
            done, step = done + new, step.square()
        ctx.save_for_backward(powers)
        return powers

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (powers,) = ctx.saved_tensors
        exponents = torch.arange(powers.shape[1], dtype=powers.real.dtype, device=powers.device)
        along = torch.view_as_real(grad * powers.conj()).flatten(2)  # (D, count, 2 N)
        return torch.view_as_complex(torch.matmul(exponents, along).unflatten(1, (-1, 2))), None
