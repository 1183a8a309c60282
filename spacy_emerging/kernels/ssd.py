"""State-space duality, the sequence mixer of Mamba-2 (arXiv 2405.21060): a linear recurrence with one decay per head.

    state[t] = exp(dt[t] a) state[t-1] + dt[t] b[t] x[t]^T          y[t] = c[t]^T state[t] + skip x[t]

Letters: G groups of sequences with parameters of their own (the two directions), B sequences per group, L tokens, H heads,
P width of a head, N width of the state, Q tokens of a chunk, S = G x B x chunks. Causal: padding belongs at the end, where it
influences no token.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional


def ssd_reference(x: Tensor, dt: Tensor, a: Tensor, b: Tensor, c: Tensor, skip: Tensor) -> Tensor:
    """The recurrence token by token, as it is defined: slow, and right in any precision. Shapes as in `ssd`."""
    decay = torch.exp(dt * a[:, None, None])
    state = x.new_zeros((*x.shape[:2], x.shape[3], b.shape[-1], x.shape[4]))  # (G, B, H, N, P)
    steps = []
    for t in range(x.shape[2]):
        scaled = dt[:, :, t, :, None] * x[:, :, t]  # (G, B, H, P)
        state = decay[:, :, t, :, None, None] * state + b[:, :, t, None, :, None] * scaled[..., None, :]
        steps.append(torch.einsum("gbn,gbhnp->gbhp", c[:, :, t], state))
    return torch.stack(steps, 2) + skip[:, None, None, :, None] * x


def ssd(x: Tensor, dt: Tensor, a: Tensor, b: Tensor, c: Tensor, skip: Tensor, chunk: int) -> Tensor:
    """The same, chunk by chunk: inside a chunk one batched matrix product, between chunks a carried state.

    x: (G, B, L, H, P). dt: (G, B, L, H), step sizes, at least 0. a: (G, H), at most 0. b, c: (G, B, L, N). skip: (G, H).
    chunk: tokens of a chunk; a sequence of up to two goes as one. Any number works and changes nothing but speed and memory.
    Recommended 32 to 128.
    Returns (G, B, L, H, P). Time and memory are linear in L. Computed in at least float32, whatever autocast says, since decays
    are differences of cumulative sums.
    """
    with torch.autocast(x.device.type, enabled=False):
        x, dt, a, b, c, skip = (t.float() if t.dtype in (torch.float16, torch.bfloat16) else t for t in (x, dt, a, b, c, skip))
        return _chunkwise(x, dt, a, b, c, skip, chunk)


def ssd_segment(
    x: Tensor, dt: Tensor, a: Tensor, b: Tensor, c: Tensor, skip: Tensor, chunk: int, before: Tensor | None
) -> tuple[Tensor, Tensor]:
    """`ssd` of a segment of longer sequences, and the state after it. Without gradients.

    before: (G x B, N, H, P), the state before the segment, as the call before this one returned it; None at the start.
    """
    with torch.autocast(x.device.type, enabled=False):
        x, dt, a, b, c, skip = (t.float() if t.dtype in (torch.float16, torch.bfloat16) else t for t in (x, dt, a, b, c, skip))
        if before is None:
            before = x.new_zeros(x.shape[0] * x.shape[1], b.shape[-1], *x.shape[3:])
        states = [before]
        return _chunkwise(x, dt, a, b, c, skip, chunk, states), states[-1]


def _chunkwise(
    x: Tensor, dt: Tensor, a: Tensor, b: Tensor, c: Tensor, skip: Tensor, chunk: int, states: list[Tensor] | None = None
) -> Tensor:
    """states: None, or the state before the first token, to which those after each chunk are added."""
    groups, batch, length, heads, width = x.shape
    chunks = 1 if length <= 2 * chunk else -(-length // chunk)  # carrying one state costs more than a product twice as large
    size = -(-length // chunks)  # equal chunks leave less than one token of padding per chunk
    missing = chunks * size - length
    if missing:
        x, dt, b, c = (functional.pad(t, (0, 0) * (t.dim() - 3) + (0, missing)) for t in (x, dt, b, c))
    cut = groups * batch * chunks
    x = x.reshape(cut, size, heads, width)
    b, c = b.reshape(cut, size, -1), c.reshape(cut, size, -1)
    log_decay = (dt * a[:, None, None]).reshape(cut, size, heads).transpose(1, 2)
    decayed = log_decay.cumsum(-1)  # (S, H, Q): log of the decay from before the chunk to after token i
    dt = dt.reshape(cut, size, heads).transpose(1, 2)
    skip = skip[:, None].expand(groups, batch * chunks, heads).reshape(cut, heads)
    y = _Within.apply(x, decayed, dt, b, c, skip)
    if chunks > 1 or states is not None:
        y = y + _between(x, decayed, dt, b, c, chunks, states)
    return y.reshape(groups, batch, chunks * size, heads, width)[:, :, :length]


class _Within(torch.autograd.Function):
    """What tokens of a chunk give to each other and to themselves: the product of x with a (S, H, Q, Q) matrix

        weights[i, j] = exp(decayed[i] - decayed[j]) dt[j] (c[i] . b[j])   for j up to i, plus skip where i = j.

    The backward pass is written out, since a graph of single steps would hold and read a dozen arrays of that size.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, decayed: Tensor, dt: Tensor, b: Tensor, c: Tensor, skip: Tensor) -> Tensor:
        size = x.shape[1]
        match = torch.bmm(c, b.mT)
        future = torch.full((size, size), -torch.inf, dtype=x.dtype, device=x.device).triu_(1)
        decay = (decayed[..., :, None] - decayed[..., None, :]).add_(future).exp_()
        weights = (decay * match[:, None]).mul_(dt[..., None, :])
        weights.diagonal(dim1=-2, dim2=-1).add_(skip[..., None])
        x = x.transpose(1, 2).contiguous()
        ctx.save_for_backward(x, dt, b, c, match, decay, weights)
        return torch.matmul(weights, x).transpose(1, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, ...]:
        x, dt, b, c, match, decay, weights = ctx.saved_tensors
        grad = grad.transpose(1, 2).contiguous()
        grad_x = torch.matmul(weights.mT, grad).transpose(1, 2)
        grad_weights = torch.matmul(grad, x.mT)
        grad_skip = grad_weights.diagonal(dim1=-2, dim2=-1).sum(-1)
        per_match = grad_weights.mul_(decay)
        per_step = per_match * match[:, None]
        grad_dt = per_step.sum(-2)
        grad_decayed = torch.matmul(per_step, dt[..., None])[..., 0] - grad_dt * dt
        grad_match = per_match.mul_(dt[..., None, :]).sum(1)
        return grad_x, grad_decayed, grad_dt, torch.bmm(grad_match.mT, c), torch.bmm(grad_match, b), grad_skip


def _between(x: Tensor, decayed: Tensor, dt: Tensor, b: Tensor, c: Tensor, chunks: int, states: list[Tensor] | None) -> Tensor:
    """(S, Q, H, P): what tokens get from all earlier chunks. states: see `_chunkwise`."""
    cut, size, heads, width = x.shape
    to_end = (torch.exp(decayed[..., -1:] - decayed) * dt).transpose(1, 2)  # (S, Q, H)
    added = torch.bmm(b.mT, (x * to_end[..., None]).flatten(2))  # (S, N, H * P)
    added = added.reshape(-1, chunks, added.shape[1], heads, width)
    kept = torch.exp(decayed[..., -1]).reshape(-1, chunks, 1, heads, 1)
    states = [torch.zeros_like(added[:, 0])] if states is None else states
    for add, keep in zip(added.unbind(1), kept.unbind(1), strict=True):
        states.append(keep * states[-1] + add)
    carried = torch.stack(states[:-1], 1).reshape(cut, -1, heads * width)
    read = torch.bmm(c, carried).reshape(cut, size, heads, width)
    return read * torch.exp(decayed).transpose(1, 2)[..., None]


def ssd_cuda(x: Tensor, dt: Tensor, a: Tensor, b: Tensor, c: Tensor, skip: Tensor | None) -> Tensor:
    """The same for one group, by the vendors' kernel: x (B, L, H, P), dt (B, L, H), a and skip (H,) or no skip, b and c (B, L, N)."""
    from mamba_ssm.ops.triton.ssd_combined import mamba_chunk_scan_combined

    return mamba_chunk_scan_combined(x, dt, a, b[:, :, None], c[:, :, None], VENDOR_CHUNK, D=skip)


VENDOR_CHUNK = 256
"""Tokens per chunk on a GPU: the vendors' default."""
