"""The mixing of one matrix-memory LSTM (mLSTM): recurrent, parallel and chunkwise form of the same function.

Letters beyond those of `types.py`: H heads, d width of one head, N = B * H, C tokens of a chunk, J chunks.
With log f_t = logsigmoid of the forget preactivation and m_0 = -inf, the recurrence of one head is

    m_t = max(log f_t + m_{t-1}, i_t)
    memory_t = exp(log f_t + m_{t-1} - m_t) memory_{t-1} + exp(i_t - m_t) (k_t / sqrt(d)) v_t'
    counter_t = exp(log f_t + m_{t-1} - m_t) counter_{t-1} + exp(i_t - m_t) k_t / sqrt(d)
    h_t = memory_t' q_t / (max(|counter_t . q_t|, exp(-m_t)) + epsilon)

Source: Beck et al., xLSTM, arXiv 2405.04517, section 2.3 and appendix A.3; the chunkwise derivation and its backward pass are ours.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import logsigmoid, pad

from .backend import choose

EPSILON = 1e-6
"""Added to the normalizer, as in the authors' implementation."""

CHUNK = 64
"""Tokens of a chunk (16 to 256). Our default: near the optimum on CPU for heads of width 64 to 256."""

VENDOR_KERNEL = "chunkwise--triton_xl_chunk"
"""The kernel of the package mlstm_kernels that the "cuda" backend calls."""


class State(NamedTuple):
    """What is carried over a border: memory (N, d, d) and counter (N, d), both divided by exp(largest); largest (N,), m above."""

    memory: Tensor
    counter: Tensor
    largest: Tensor


def mlstm(
    q: Tensor, k: Tensor, v: Tensor, i: Tensor, f: Tensor, *, backend: str = "auto", training: bool = False, chunk: int = CHUNK
) -> Tensor:
    """Mixes tokens along L, in time and memory linear in L, by whichever backend is chosen.

    q, k, v: (B, H, L, d). i, f: (B, H, L), preactivations of the input and forget gates; computed in float32 at least.
    backend: "torch", "cuda" or "auto". training: whether gradients are wanted (decides whether missing kernels are an error).
    chunk: tokens of a chunk; sequences of up to two chunks are mixed in one.
    Returns (B, H, L, d) in the type of v.
    """
    if choose(backend, "mlstm_kernels", q, training) == "cuda":
        return _vendor(q, k, v, i, f)
    exact = torch.float64 if v.dtype == torch.float64 else torch.float32
    with torch.autocast(v.device.type, enabled=False):
        mixed = mlstm_chunkwise(q.to(exact), k.to(exact), v.to(exact), i.to(exact), f.to(exact), chunk)
    return mixed.to(v.dtype)


def mlstm_segment(
    q: Tensor, k: Tensor, v: Tensor, i: Tensor, f: Tensor, before: State | None, *, chunk: int = CHUNK
) -> tuple[Tensor, State]:
    """`mlstm` of a segment of longer sequences, and the state after it. Without gradients.

    before: the state before the segment, as the call before this one returned it; None at the start.
    """
    exact = torch.float64 if v.dtype == torch.float64 else torch.float32
    batch, heads, length, width = v.shape
    size = min(length, chunk)
    missing = -length % size
    with torch.autocast(v.device.type, enabled=False):
        q, k, v, i, f = (tensor.to(exact) for tensor in (q, k, v, i, f))
        if before is None:
            empty = v.new_zeros(batch * heads, width, width)
            before = State(empty, empty[:, 0], empty.new_full((batch * heads,), -math.inf))
        if missing:  # tokens that are not there write nothing and let nothing fade
            q, k, v = (pad(tensor, (0, 0, 0, missing)) for tensor in (q, k, v))
            i, f = pad(i, (0, missing), value=-math.inf), pad(f, (0, missing), value=math.inf)
        mixed, _, after = _forward(q, k, v, i, f, size, before)
    assert after is not None
    return mixed[:, :, :length], after


def mlstm_recurrent(q: Tensor, k: Tensor, v: Tensor, i: Tensor, f: Tensor) -> Tensor:
    """The definition, one token after the other: the oracle of the tests. Shapes as in `mlstm`."""
    scale = 1 / math.sqrt(q.shape[-1])
    memory = q.new_zeros(*q.shape[:2], q.shape[-1], v.shape[-1])
    counter = q.new_zeros(*q.shape[:2], q.shape[-1])
    largest = i.new_full(i.shape[:2], -math.inf)
    outputs = []
    for t in range(q.shape[2]):
        decayed = logsigmoid(f[..., t]) + largest
        largest = torch.maximum(decayed, i[..., t])
        keep, add = (decayed - largest).exp(), (i[..., t] - largest).exp()
        key = k[:, :, t] * scale
        memory = keep[..., None, None] * memory + add[..., None, None] * key[..., :, None] * v[:, :, t, None, :]
        counter = keep[..., None] * counter + add[..., None] * key
        read = torch.einsum("bhd,bhde->bhe", q[:, :, t], memory)
        seen = (counter * q[:, :, t]).sum(-1)
        outputs.append(read / (torch.maximum(seen.abs(), (-largest).exp()) + EPSILON)[..., None])
    return torch.stack(outputs, 2)


def mlstm_parallel(q: Tensor, k: Tensor, v: Tensor, i: Tensor, f: Tensor) -> Tensor:
    """The same by one L x L matrix of decays, in quadratic memory: a second oracle. Shapes as in `mlstm`."""
    length = q.shape[2]
    total = logsigmoid(f).cumsum(-1)
    causal = torch.ones(length, length, dtype=torch.bool, device=q.device).tril()
    log_decay = (total[..., :, None] - total[..., None, :] + i[..., None, :]).masked_fill(~causal, -math.inf)
    largest = log_decay.amax(-1, keepdim=True)
    weights = (q @ k.transpose(-1, -2)) / math.sqrt(q.shape[-1]) * (log_decay - largest).exp()
    normalizer = torch.maximum(weights.sum(-1, keepdim=True).abs(), (-largest).exp()) + EPSILON
    return (weights @ v) / normalizer


def mlstm_chunkwise(q: Tensor, k: Tensor, v: Tensor, i: Tensor, f: Tensor, chunk: int = CHUNK) -> Tensor:
    """The same, chunk by chunk: quadratic within a chunk, a carried state between chunks. Shapes as in `mlstm`."""
    length = q.shape[2]
    size = length if length <= 2 * chunk else chunk
    missing = -length % size
    if missing:
        q, k, v = (pad(tensor, (0, 0, 0, missing)) for tensor in (q, k, v))
        i, f = pad(i, (0, missing)), pad(f, (0, missing))
    mixed: Tensor = _Chunkwise.apply(q, k, v, i, f, size)
    return mixed[:, :, :length] if missing else mixed


class _Chunkwise(torch.autograd.Function):
    """Hand-written backward. The stabilizer m cancels out of h but for epsilon, so it counts as a constant in the gradient."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, i: Tensor, f: Tensor, size: int) -> Tensor:
        ctx.shape = q.shape
        mixed, parts, _ = _forward(q, k, v, i, f, size)
        ctx.save_for_backward(*parts)
        return mixed

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, f, decay, weights, seen, floor, normalizer, mixed, *carried = ctx.saved_tensors
        scale = 1 / math.sqrt(q.shape[-1])
        grad = grad.reshape(q.shape)
        along = (grad * mixed).sum(-1)
        d_read = grad / normalizer[..., None]
        d_seen = torch.where(seen.abs() >= floor, -along / normalizer * seen.sign(), torch.zeros_like(along))
        d_scores = torch.baddbmm(d_seen[..., None].expand_as(decay), d_read, v.transpose(1, 2)).mul_(decay)
        d_q = torch.baddbmm(q, d_scores, k, beta=0, alpha=scale)
        d_k = torch.baddbmm(k, d_scores.transpose(1, 2), q, beta=0, alpha=scale)
        d_v = torch.bmm(weights.transpose(1, 2), d_read)
        if carried:
            _carry_backward((q, k, v), (d_q, d_k, d_v), decay, carried, d_read, d_seen, scale)
        # Whatever row t reads scales with exp(sum of log f up to t), and whatever token j writes with exp(i_j) k_j; so the
        # gates' gradients are inner products of what is already there.
        d_i = (k * d_k).sum(-1)
        spread = (along + d_seen * seen - d_i).view(f.shape)
        d_f = spread.flip(-1).cumsum(-1).flip(-1) * torch.sigmoid(-f)
        return d_q.view(ctx.shape), d_k.view(ctx.shape), d_v.view(ctx.shape), d_i.view(f.shape), d_f, None


def _forward(
    q: Tensor, k: Tensor, v: Tensor, i: Tensor, f: Tensor, size: int, start: State | None = None
) -> tuple[Tensor, tuple[Tensor, ...], State | None]:
    """The result, what the backward pass needs, and, given the state before the first token, that after the last."""
    batch, heads, length, width = q.shape
    rows, chunks, scale = batch * heads, length // size, 1 / math.sqrt(width)
    q, k, v = (tensor.reshape(rows * chunks, size, width) for tensor in (q, k, v))
    f = f.contiguous()
    total = logsigmoid(f).view(rows, chunks, size).cumsum(-1)
    above = i.contiguous().view(rows, chunks, size) - total
    before, bound = _stabilize(total, above, start)
    decay = (above[..., None, :] - bound[..., :, None]).exp_().tril_().view(rows * chunks, size, size)
    weights = torch.baddbmm(decay, q, k.transpose(1, 2), beta=0, alpha=scale).mul_(decay)
    read = torch.bmm(weights, v)
    seen = weights.sum(-1)
    carried: Sequence[Tensor] = ()
    after = None
    if chunks > 1 or start is not None:
        *carried, memory, counter = _carry_forward(q, k, v, decay, before, bound, read, seen, scale, start)
        after = State(memory, counter, total[:, -1, -1] + bound[:, -1, -1])
    floor = (total + bound).neg_().exp_().view(rows * chunks, size)
    normalizer = torch.maximum(seen.abs(), floor).add_(EPSILON)
    mixed = read.div_(normalizer[..., None])
    parts = (q, k, v, f, decay, weights, seen, floor, normalizer, mixed, *carried)
    return mixed.view(batch, heads, length, width), parts, after


def _stabilize(total: Tensor, above: Tensor, start: State | None) -> tuple[Tensor, Tensor]:
    """The running maxima: of the state before each chunk (N, J), and of each token less its decay within the chunk (N, J, C)."""
    running = above.cummax(-1).values
    before = [torch.full_like(running[:, 0, 0], -math.inf) if start is None else start.largest]
    for chunk in range(total.shape[1] - 1):
        before.append(total[:, chunk, -1] + torch.maximum(before[-1], running[:, chunk, -1]))
    entering = torch.stack(before, 1)
    return entering, torch.maximum(entering[..., None], running)


def _carry_forward(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    decay: Tensor,
    before: Tensor,
    bound: Tensor,
    read: Tensor,
    seen: Tensor,
    scale: float,
    start: State | None,
) -> tuple[Tensor, ...]:
    """Adds to `read` and `seen` what earlier chunks left; gives memories and counters before each chunk, their decays, and memory
    and counter after the last chunk."""
    rows, chunks = before.shape
    width = q.shape[-1]
    fade = (before[..., None] - bound).exp_()  # (N, J, C): how much of the entering state is left at each token
    memory = q.new_zeros(rows, chunks, width, width)
    counter = q.new_zeros(rows, chunks, width)
    written = k * decay[:, -1, :, None]
    added = torch.baddbmm(memory.view(-1, width, width), written.transpose(1, 2), v, beta=0, alpha=scale).view_as(memory)
    counted = (written.sum(1) * scale).view_as(counter)
    if start is not None:
        memory[:, 0], counter[:, 0] = start.memory, start.counter
    for chunk in range(1, chunks):
        kept = fade[:, chunk - 1, -1]
        torch.addcmul(added[:, chunk - 1], memory[:, chunk - 1], kept[:, None, None], out=memory[:, chunk])
        torch.addcmul(counted[:, chunk - 1], counter[:, chunk - 1], kept[:, None], out=counter[:, chunk])
    kept = fade[:, -1, -1]
    last = (
        torch.addcmul(added[:, -1], memory[:, -1], kept[:, None, None]),
        torch.addcmul(counted[:, -1], counter[:, -1], kept[:, None]),
    )
    memory, counter = memory.view(-1, width, width), counter.view(-1, width, 1)
    left = fade.view(-1, fade.shape[-1])
    read.addcmul_(torch.bmm(q, memory), left[..., None])
    seen.addcmul_(torch.bmm(q, counter).squeeze(-1), left)
    return memory, counter, fade, *last


def _carry_backward(
    inputs: tuple[Tensor, ...],
    gradients: tuple[Tensor, ...],
    decay: Tensor,
    carried: list[Tensor],
    d_read: Tensor,
    d_seen: Tensor,
    scale: float,
) -> None:
    """Adds to the gradients of q, k and v what flows through the states between chunks."""
    (q, k, v), (d_q, d_k, d_v) = inputs, gradients
    memory, counter, fade = carried
    rows, chunks, size = fade.shape
    width = q.shape[-1]
    faded_read = d_read * fade.view(-1, size, 1)
    faded_seen = (d_seen * fade.view(-1, size))[..., None]
    d_q.baddbmm_(faded_read, memory.transpose(1, 2))
    d_q.baddbmm_(faded_seen, counter.transpose(1, 2))
    d_memory = torch.bmm(q.transpose(1, 2), faded_read).view(rows, chunks, width, width)
    d_counter = torch.bmm(q.transpose(1, 2), faded_seen).view(rows, chunks, width)
    # From the gradient of the state before each chunk to that of the state after it.
    for chunk in range(chunks - 2, 0, -1):
        kept = fade[:, chunk, -1]
        d_memory[:, chunk].addcmul_(d_memory[:, chunk + 1], kept[:, None, None])
        d_counter[:, chunk].addcmul_(d_counter[:, chunk + 1], kept[:, None])
    after, counted_after = torch.zeros_like(d_memory), torch.zeros_like(d_counter)
    after[:, :-1], counted_after[:, :-1] = d_memory[:, 1:], d_counter[:, 1:]
    after = after.view(-1, width, width)
    kept_share = decay[:, -1, :, None] * scale
    d_v.addcmul_(torch.bmm(k, after), kept_share)
    d_k.addcmul_(torch.bmm(v, after.transpose(1, 2)).add_(counted_after.view(-1, 1, width)), kept_share)


def _vendor(q: Tensor, k: Tensor, v: Tensor, i: Tensor, f: Tensor) -> Tensor:
    """The same by the Triton kernels of the authors' package mlstm_kernels.

    Their blocks fit heads whose width is a power of two from 16 up, so others are filled up with zeros, which change nothing but
    the scale. Their backward pass leaves out the normalizer, whose gradient a norm over each head cancels: one has to follow.
    """
    from mlstm_kernels.torch.backend_module import mLSTMBackend, mLSTMBackendConfig

    width = v.shape[-1]
    fitting = max(16, 1 << (width - 1).bit_length())
    kernel_type = v.dtype if v.dtype in (torch.bfloat16, torch.float16) else torch.float32
    config = mLSTMBackendConfig(
        chunkwise_kernel=VENDOR_KERNEL,
        mode="train_with_padding",
        return_last_states=False,
        chunk_size=CHUNK,
        eps=EPSILON,
        autocast_kernel_dtype=str(kernel_type).removeprefix("torch."),
    )
    q, k, v = (pad(tensor.to(kernel_type), (0, fitting - width)) for tensor in (q * math.sqrt(fitting / width), k, v))
    with torch.autocast(v.device.type, enabled=False):
        mixed: Tensor = mLSTMBackend(config)(q, k, v, i.float(), f.float())
    return mixed[..., :width]
