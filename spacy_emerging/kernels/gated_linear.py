"""Gated linear recurrence with a complex decay per key, controlled by the data: GateLoop (arXiv 2311.01927, section 3).

    state[t] = a[t] state[t-1] + k[t] v[t]^T        a[t] = sigmoid(magnitude[t]) exp(i phase[t]), one per key
    y[t] = Re(q[t]^T state[t])

Letters: B sequences, L tokens, H heads, N keys and P values of a head, Q tokens of a chunk (a power of 2), S = B x chunks.
Causal: padding belongs at the end, where it influences no token.

Inside a chunk y is the product of v with a matrix of scores (the paper's surrogate attention),

    score[i, j] = sum over keys of q[i] k[j] cos(turn[i] - turn[j]) decay(j, i)      for j up to i,

turn the cumulative sum of phases, decay(j, i) the product of the magnitudes after j and up to i. Turns are taken apart without
harm: q and k become pairs q (cos, sin)(turn). Decays are not, as their quotients overflow. So the matrix is filled by halves: tokens
of a right half meet those of the left half beside it through decay(j, middle) and decay(middle, i), which are products of numbers
below 1; the two halves are filled in the same way. Between chunks the states are carried.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from .linear_scan import linear_scan


def gated_linear_reference(q: Tensor, k: Tensor, v: Tensor, magnitude: Tensor, phase: Tensor) -> Tensor:
    """The recurrence token by token, in complex numbers: slow, and right in any precision. Shapes as in `gated_linear`."""
    a = torch.polar(torch.sigmoid(magnitude), phase)
    state = torch.zeros(*q[:, 0].shape, v.shape[-1], dtype=a.dtype, device=q.device)
    steps = []
    for t in range(q.shape[1]):
        state = a[:, t, ..., None] * state + k[:, t, ..., None] * v[:, t, :, None]
        steps.append((q[:, t, ..., None] * state).sum(-2).real)
    return torch.stack(steps, 1)


def gated_linear(q: Tensor, k: Tensor, v: Tensor, magnitude: Tensor, phase: Tensor, chunk: int) -> Tensor:
    """All outputs of the recurrence, in at least float32.

    q, k, magnitude, phase: (B, L, H, N). v: (B, L, H, P). chunk: tokens of a chunk, a power of 2; shorter sequences have shorter
    ones. Any changes nothing but speed and memory. Recommended 16 to 64. Returns (B, L, H, P). Time and memory are linear in L.
    """
    return _chunkwise((q, k, v, magnitude, phase), chunk)


def gated_linear_segment(
    q: Tensor, k: Tensor, v: Tensor, magnitude: Tensor, phase: Tensor, chunk: int, before: Tensor | None
) -> tuple[Tensor, Tensor]:
    """`gated_linear` of a segment of longer sequences, and the state after it. Without gradients.

    before: (B, H x N x P) complex, the state before the segment, as the call before this one returned it; None at the start.
    """
    if before is None:
        exact = torch.complex128 if v.dtype == torch.float64 else torch.complex64
        before = torch.zeros(len(v), q.shape[2] * q.shape[3] * v.shape[3], dtype=exact, device=v.device)
    states = [before]
    return _chunkwise((q, k, v, magnitude, phase), chunk, states), states[-1]


def _chunkwise(inputs: Sequence[Tensor], chunk: int, states: list[Tensor] | None = None) -> Tensor:
    """states: None, or the state before the first token, to which that after the last is added."""
    parts = [x.float() if x.dtype in (torch.float16, torch.bfloat16) else x for x in inputs]
    batch, length, heads, _ = parts[0].shape
    while chunk > 1 and chunk // 2 >= length:
        chunk //= 2
    chunks = -(-length // chunk)
    if chunks * chunk > length:
        fill = (0.0, 0.0, 0.0, math.inf, 0.0)  # tokens that are not there add nothing to the state and let nothing decay
        parts = [functional.pad(x, (0, 0, 0, 0, 0, chunks * chunk - length), value=value) for x, value in zip(parts, fill, strict=True)]
    cut = [x.reshape(batch * chunks, chunk, heads, -1) for x in parts]
    y, *ends = _Within.apply(chunks > 1 or states is not None, *cut)
    if ends:
        read, left, kept, turned = ends
        y = y + _between(read, left, kept, turned, cut[2], chunks, states)
    return y.transpose(1, 2).reshape(batch, chunks * chunk, heads, -1)[:, :length]


def _between(read: Tensor, left: Tensor, kept: Tensor, turned: Tensor, v: Tensor, chunks: int, before: list[Tensor] | None) -> Tensor:
    """(S, H, Q, P): what tokens get from all earlier chunks. States are carried as conjugates, for products of pairs.

    before: `states` of `_chunkwise`.
    """
    cut, heads, _, pairs = read.shape
    turn_back = torch.polar(torch.ones_like(turned), -turned)[..., None]  # (S, H, N, 1)
    added = torch.matmul(left.mT, v.transpose(1, 2)).unflatten(2, (2, pairs // 2))  # (S, H, 2, N, P)
    added = torch.complex(added[:, :, 0], added[:, :, 1]) * turn_back
    decay = (kept[..., None] * turn_back).expand_as(added)
    decay, added = (x.reshape(cut // chunks, chunks, -1) for x in (decay, added))
    after = linear_scan(decay, added, None if before is None else before[-1])
    states = functional.pad(torch.view_as_real(after[:, :-1]), (0, 0, 0, 0, 1, 0))
    if before is not None:
        states[:, 0] = torch.view_as_real(before[-1])
        before.append(after[:, -1].clone())
    states = states.reshape(cut, heads, pairs // 2, -1, 2)
    return torch.matmul(read, torch.cat([states[..., 0], states[..., 1]], 2))


class _Within(torch.autograd.Function):
    """What tokens of a chunk give to each other, and what `_between` needs.

    Takes q, k, v, magnitude, phase (S, Q, H, ...); gives y (S, H, Q, P) and, if `ends`, q and k as pairs, decayed from the start and to
    the end of the chunk (S, H, Q, 2 N), and the decay and the turn of the whole chunk (S, H, N).

    The gradient by the logarithm of a decay is a sum of q times its gradient minus k times its gradient, over all tokens that come
    later; it needs no division, hence magnitudes may vanish.
    """

    @staticmethod
    def forward(ctx: Any, ends: bool, q: Tensor, k: Tensor, v: Tensor, magnitude: Tensor, phase: Tensor) -> tuple[Tensor, ...]:
        turn = phase.transpose(1, 2).cumsum(2)  # (S, H, Q, N)
        cosine, sine = turn.cos(), turn.sin()
        q, k = _turned(q, cosine, sine), _turned(k, cosine, sine)
        decay = magnitude.transpose(1, 2).sigmoid()
        v = v.transpose(1, 2).contiguous()
        scores = q.new_zeros(*q.shape[:3], q.shape[2])
        scores.diagonal(dim1=-2, dim2=-1).copy_((q * k).sum(-1))
        since, until = decay.clone(memory_format=torch.contiguous_format), torch.ones_like(decay, memory_format=torch.contiguous_format)
        for half, after, before in _levels(since, until):
            right, left = _right(q, half) * after.repeat(*REPEAT), _left(k, half) * before.repeat(*REPEAT)
            _block(scores, half).copy_(torch.matmul(right, left.mT))
        ctx.save_for_backward(q, k, v, magnitude, cosine, sine, scores)
        if not ends:
            return (scores @ v,)
        twice = (1, 1, 1, 2)
        return scores @ v, q * since.repeat(*twice), k * until.repeat(*twice), since[:, :, -1].clone(), turn[:, :, -1].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, *grad_ends: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, magnitude, cosine, sine, scores = ctx.saved_tensors
        keep = magnitude.transpose(1, 2).sigmoid()
        grad_v = scores.mT @ grad
        grad_scores = grad @ v.mT
        since, until = keep.clone(memory_format=torch.contiguous_format), torch.ones_like(keep, memory_format=torch.contiguous_format)
        grad_q, grad_k = torch.zeros_like(q), torch.zeros_like(k)
        for half, after, before in _levels(since, until):
            after, before = after.repeat(*REPEAT), before.repeat(*REPEAT)
            block = _block(grad_scores, half).contiguous()
            _right(grad_q, half).addcmul_(block @ (_left(k, half) * before), after)
            _left(grad_k, half).addcmul_(block.mT @ (_right(q, half) * after), before)
        last_log = last_turn = torch.zeros_like(keep[:, :, -1])
        if grad_ends:
            grad_read, grad_left, grad_kept, last_turn = grad_ends
            grad_q.addcmul_(grad_read, since.repeat(1, 1, 1, 2))
            to_end = grad_left * until.repeat(1, 1, 1, 2)
            grad_k.add_(to_end)
            last_log = _folded((k * to_end).sum(2)).addcmul_(grad_kept, since[:, :, -1])
        by_log = _folded(q * grad_q) - _folded(k * grad_k)  # by the logarithm of the decay from before the chunk to after a token
        by_log[:, :, -1] += last_log
        on_diagonal = grad_scores.diagonal(dim1=-2, dim2=-1)[..., None]
        grad_q.addcmul_(on_diagonal, k)
        grad_k.addcmul_(on_diagonal, q)
        by_turn = _across(q, grad_q).add_(_across(k, grad_k))
        by_turn[:, :, -1] += last_turn
        found = [_turned_back(grad_q, cosine, sine), _turned_back(grad_k, cosine, sine), grad_v]
        found += [_from_the_end(by_log).mul_(1 - keep), _from_the_end(by_turn)]
        return None, *(x.transpose(1, 2) for x in found)


REPEAT = (1, 1, 1, 1, 2)


def _turned(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """(S, Q, H, N) to (S, H, Q, 2 N)."""
    x = x.transpose(1, 2)
    return torch.cat([x * cosine, x * sine], -1)


def _turned_back(grad: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    first, second = grad.chunk(2, -1)
    return (first * cosine).addcmul_(second, sine)


def _folded(pairs: Tensor) -> Tensor:
    """(..., 2 N) to (..., N): both parts of a pair added."""
    first, second = pairs.chunk(2, -1)
    return first + second


def _across(pairs: Tensor, grad: Tensor) -> Tensor:
    """(..., 2 N) to (..., N): the gradient by the angle of a pair."""
    first, second = pairs.chunk(2, -1)
    grad_first, grad_second = grad.chunk(2, -1)
    return (first * grad_second).addcmul_(second, grad_first, value=-1)


def _from_the_end(x: Tensor) -> Tensor:
    """(S, H, Q, N): sums over all tokens from each to the end."""
    return x.flip(2).cumsum(2).flip(2)


def _levels(since: Tensor, until: Tensor) -> Iterator[tuple[int, Tensor, Tensor]]:
    """The halves of a chunk, from pairs of tokens to the whole: their length, decays from the middle to after each token of a
    right half, and from after each token of a left half to the middle, both (S, H, blocks, half, N).

    since: (S, H, Q, N), the decays of single tokens; until: ones. Both are updated in place: at the end they are the decays from
    before the chunk to after a token, and from after a token to the end of the chunk.
    """
    half = 1
    while half < since.shape[2]:
        after, before = _right(since, half), _left(until, half)
        yield half, after, before
        left_whole = _left(since, half)[..., -1:, :]
        before.mul_(after[..., -1:, :])
        after.mul_(left_whole)
        half *= 2


def _left(x: Tensor, half: int) -> Tensor:
    """(S, H, Q, N) to a view (S, H, blocks, half, N): the first halves."""
    return x.unflatten(2, (-1, 2 * half))[..., :half, :]


def _right(x: Tensor, half: int) -> Tensor:
    """(S, H, Q, N) to a view (S, H, blocks, half, N): the second halves."""
    return x.unflatten(2, (-1, 2 * half))[..., half:, :]


def _block(scores: Tensor, half: int) -> Tensor:
    """(S, H, Q, Q) to a view (S, H, blocks, half, half): scores of right halves with the left halves beside them."""
    cells = scores.unflatten(3, (-1, 2 * half)).unflatten(2, (-1, 2 * half))  # (S, H, blocks, 2 half, blocks, 2 half)
    return cells.diagonal(dim1=2, dim2=4).movedim(-1, 2)[..., half:, :half]
