"""The quasiseparable matrix mixer of Hydra (arXiv 2407.09941): one state space duality on each side of a free diagonal.

    y[t] = c0[t-1]^T before[t-1] + diagonal[t] x[t] + c1[t+1]^T after[t+1]
    before[t] = exp(dt0[t] a) before[t-1] + dt0[t] b0[t] x[t]^T          after[t] = exp(dt1[t] a) after[t+1] + dt1[t] b1[t] x[t]^T

that is, y = M x, where the strict lower and the strict upper triangle of M are each of low rank under a decay.

Letters: B sequences, L tokens, H heads, P width of a head, N width of the state, Q tokens of a chunk, S = B x chunks; a leading 2
is for the two sides, before and after. Both sides are one product: no sequence is reversed. Padding belongs at the end, and its x
must be zero, since the tokens before it look at it.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from .ssd import ssd_cuda

LEAST_STEP = 1e-30
"""Smaller steps count as this one, so that they have a logarithm: with float32 values of any use they add nothing."""


def quasiseparable_reference(x: Tensor, dt: Tensor, a: Tensor, b: Tensor, c: Tensor, diagonal: Tensor) -> Tensor:
    """The recurrences token by token, as they are defined: slow, and right in any precision. Shapes as in `quasiseparable`."""
    sides = []
    for side, order in enumerate((range(x.shape[1]), reversed(range(x.shape[1])))):
        state = x.new_zeros((x.shape[0], x.shape[2], b.shape[-1], x.shape[3]))  # (B, H, N, P)
        read, found = torch.zeros_like(x[:, 0]), {}
        for t in order:
            found[t] = read
            step = dt[side, :, t, :, None, None]
            state = torch.exp(step * a[:, None, None]) * state + step * b[side, :, t, None, :, None] * x[:, t, :, None, :]
            read = torch.einsum("bn,bhnp->bhp", c[side, :, t], state)
        sides.append(torch.stack([found[t] for t in sorted(found)], 1))
    return sides[0] + diagonal[..., None] * x + sides[1]


def quasiseparable(x: Tensor, dt: Tensor, a: Tensor, b: Tensor, c: Tensor, diagonal: Tensor, chunk: int) -> Tensor:
    """The same, chunk by chunk: inside a chunk one batched matrix product, between chunks a state carried in each direction.

    x: (B, L, H, P). dt: (2, B, L, H), step sizes, at least 0. a: (H,), at most 0. b, c: (2, B, L, N). diagonal: (B, L, H).
    chunk: tokens of a chunk; a sequence of up to two goes as one. It changes speed and memory, not results. Recommended 32 to 128.
    Returns (B, L, H, P). Time and memory are linear in L. Computed in at least float32, whatever autocast says, since decays are
    differences of cumulative sums.
    """
    with torch.autocast(x.device.type, enabled=False):
        x, dt, a, b, c, diagonal = (t.float() if t.dtype in (torch.float16, torch.bfloat16) else t for t in (x, dt, a, b, c, diagonal))
        return _chunkwise(x, dt, a, b, c, diagonal, chunk)


def _chunkwise(x: Tensor, dt: Tensor, a: Tensor, b: Tensor, c: Tensor, diagonal: Tensor, chunk: int) -> Tensor:
    batch, length, heads, width = x.shape
    chunks = 1 if length <= 2 * chunk else -(-length // chunk)  # carrying states costs more than a product twice as large
    size = -(-length // chunks)
    c = torch.stack([_later(c[0]), _earlier(c[1])])  # what a token gets is read one step aside
    x, diagonal = _cut(x, 1, chunks, size), _cut(diagonal, 1, chunks, size).transpose(1, 2)
    dt, b, c = (_cut(t, 2, chunks, size) for t in (dt, b, c))
    dt = dt.transpose(2, 3)  # (2, S, H, Q)
    log_decay = dt * (a / math.log(2))[:, None]
    through = log_decay.cumsum(-1)  # log2 of the decay from before the chunk to after a token
    to = through - log_decay  # and to before it
    log_dt = dt.clamp(min=LEAST_STEP).log2()
    reading = torch.stack([to[0], -through[1]])
    giving = torch.stack([log_dt[0] - through[0], log_dt[1] + to[1]])
    y = _Within.apply(x, reading, giving, b, c, diagonal)
    if chunks > 1:
        to_end = through[..., -1:] - through
        given = dt * torch.exp2(torch.stack([to_end[0], to[1]]))
        y = y + _between(x, given, torch.stack([to[0], to_end[1]]), through[..., -1], b, c, chunks)
    return y.reshape(batch, chunks * size, heads, width)[:, :length]


def _later(x: Tensor) -> Tensor:
    """(B, L, N), every token in the place of the next one."""
    return functional.pad(x[:, :-1], (0, 0, 1, 0))


def _earlier(x: Tensor) -> Tensor:
    """(B, L, N), every token in the place of the one before."""
    return functional.pad(x[:, 1:], (0, 0, 0, 1))


def _cut(x: Tensor, axis: int, chunks: int, size: int) -> Tensor:
    """B and L, which are axis - 1 and axis, to S and Q, with zeros at the end."""
    missing = chunks * size - x.shape[axis]
    if missing:
        x = torch.cat([x, x.new_zeros((*x.shape[:axis], missing, *x.shape[axis + 1 :]))], axis)
    return x.unflatten(axis, (chunks, size)).flatten(axis - 1, axis)


class _Within(torch.autograd.Function):
    """What tokens of a chunk give to each other and to themselves: the product of x with a (S, H, Q, Q) matrix

        weights[t, j] = 2^(reading[0, t] + giving[0, j]) (c[0, t] . b[0, j])   for j < t,
        weights[t, j] = 2^(reading[1, t] + giving[1, j]) (c[1, t] . b[1, j])   for j > t, and diagonal[t] where t = j.

    x: (S, Q, H, P). reading, giving: (2, S, H, Q). b, c: (2, S, Q, N). diagonal: (S, H, Q). The backward pass is written out, since a
    graph of single steps would hold and read a dozen arrays of the size of weights.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, reading: Tensor, giving: Tensor, b: Tensor, c: Tensor, diagonal: Tensor) -> Tensor:
        size = x.shape[1]
        lower = torch.ones((size, size), dtype=torch.bool, device=x.device).tril_(-1)
        match = torch.where(lower, torch.bmm(c[0], b[0].mT), torch.bmm(c[1], b[1].mT))
        before, after = (row[..., :, None] + column[..., None, :] for row, column in zip(reading, giving, strict=True))
        decay = torch.where(lower, before, after, out=after)  # the other triangle of each may be too large for a power
        decay.diagonal(dim1=-2, dim2=-1).fill_(-torch.inf)
        decay.exp2_()
        weights = decay * match[:, None]
        weights.diagonal(dim1=-2, dim2=-1).copy_(diagonal)
        x = x.transpose(1, 2).contiguous()
        ctx.save_for_backward(x, b, c, match, decay, weights)
        return torch.matmul(weights, x).transpose(1, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, ...]:
        x, b, c, match, decay, weights = ctx.saved_tensors
        grad = grad.transpose(1, 2).contiguous()
        grad_x = torch.matmul(weights.mT, grad).transpose(1, 2)
        grad_weights = torch.matmul(grad, x.mT)
        grad_diagonal = grad_weights.diagonal(dim1=-2, dim2=-1).clone()
        per_match = grad_weights.mul_(decay)  # the diagonal is zero from here on
        grad_match = per_match.sum(1)
        per_log = per_match.mul_(match[:, None] * math.log(2))
        before = per_log.tril(-1)
        after = per_log.sub_(before)
        grad_reading = torch.stack([before.sum(-1), after.sum(-1)])
        grad_giving = torch.stack([before.sum(-2), after.sum(-2)])
        sides = (grad_match.tril(-1), grad_match.triu(1))
        grad_b = torch.stack([torch.bmm(side.mT, each) for side, each in zip(sides, c, strict=True)])
        grad_c = torch.stack([torch.bmm(side, each) for side, each in zip(sides, b, strict=True)])
        return grad_x, grad_reading, grad_giving, grad_b, grad_c, grad_diagonal


def _between(x: Tensor, giving: Tensor, reading: Tensor, total: Tensor, b: Tensor, c: Tensor, chunks: int) -> Tensor:
    """(S, Q, H, P): what tokens get from other chunks.

    giving, reading: (2, S, H, Q), the weight of a token in the state that leaves its chunk, and log2 of that of the state which
    reaches its chunk in what it reads. total: (2, S, H), log2 of the decay over a whole chunk.
    """
    size, heads, width = x.shape[1:]
    weighted = (x * each.transpose(1, 2)[..., None] for each in giving)
    added = torch.stack([torch.bmm(each.mT, part.flatten(2)) for each, part in zip(b, weighted, strict=True)])  # (2, S, N, H P)
    added = _in_order(added.unflatten(1, (-1, chunks)).unflatten(-1, (heads, width)))
    kept = _in_order(torch.exp2(total).unflatten(1, (-1, chunks)))[..., None, :, None]
    state = torch.zeros_like(added[:, :, 0])
    states = []
    for add, keep in zip(added.unbind(2), kept.unbind(2), strict=True):
        states.append(state)
        state = keep * state + add
    carried = _in_order(torch.stack(states, 2)).flatten(1, 2).flatten(-2)  # (2, S, N, H P)
    read = (torch.bmm(*each).view(-1, size, heads, width) for each in zip(c, carried, strict=True))
    before, after = (part * torch.exp2(each).transpose(1, 2)[..., None] for part, each in zip(read, reading, strict=True))
    return before + after


def _in_order(x: Tensor) -> Tensor:
    """(2, B, chunks, ...), the chunks of each side in the order in which its state visits them, and back."""
    return torch.stack([x[0], x[1].flip(1)])


def quasiseparable_cuda(x: Tensor, dt: Tensor, a: Tensor, b: Tensor, c: Tensor, diagonal: Tensor, lengths: Tensor) -> Tensor:
    """The same by the vendors' kernel for state space duality, which reads forward only. lengths: (B,), tokens of each sequence."""
    order = _reversal(lengths, x.shape[1])

    def flipped(t: Tensor) -> Tensor:
        return t.gather(1, order.view(*order.shape, *[1] * (t.dim() - 2)).expand(t.shape))

    inputs = (torch.cat([ahead, flipped(back)]) for ahead, back in ((x, x), dt, b, c))
    x_both, dt_both, b_both, c_both = inputs
    y = ssd_cuda(x_both, dt_both, a, b_both, c_both, None)
    y = functional.pad(y[:, :-1], (0, 0, 0, 0, 1, 0))  # what a state gives lies one step after the last token that it has read
    before, after = y.chunk(2)
    return before + diagonal[..., None] * x + flipped(after)


def _reversal(lengths: Tensor, length: int) -> Tensor:
    """(B, L) int64: where each place of a sequence lies when its tokens are reversed; padding stays."""
    places = torch.arange(length, device=lengths.device)
    mirrored = lengths[:, None] - 1 - places
    return torch.where(mirrored >= 0, mirrored, places)
