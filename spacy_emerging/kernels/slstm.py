"""The mixing of one scalar-memory LSTM (sLSTM): the one true recurrence of the package, as a reference loop and as a fast one.

Letters beyond those of `types.py`: S streams mixed side by side (directions x heads), d width of one head.
The recurrence, per unit of a head, with m_0 = -inf and c_0 = n_0 = h_0 = 0, is

    (z, o, i, f) = gates_t + h_{t-1} recurrent
    m_t = max(logsigmoid(f) + m_{t-1}, i)
    c_t = exp(logsigmoid(f) + m_{t-1} - m_t) c_{t-1} + exp(i - m_t) tanh(z)
    n_t = exp(logsigmoid(f) + m_{t-1} - m_t) n_{t-1} + exp(i - m_t)
    h_t = sigmoid(o) c_t / n_t

The fast loop carries two numbers instead of three: the ratio r = c / n and the logarithm of the unstabilized n. As n only ever
grows by exp(i), l_t = logaddexp(i, l_{t-1} + logsigmoid(f)), the new value's share of the ratio is exp(i - l_t), and nothing
overflows. Source: Beck et al., xLSTM, arXiv 2405.04517, section 2.2; the two-state form and its backward pass are ours.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import logsigmoid, pad

LINEAR_ABOVE = 40.0
"""Where log(1 + exp(x)) counts as x: exact in float64."""


class Packing:
    """The order in which a recurrence visits the tokens of a batch: step by step, the longest sequences first.

    Sequences that have ended leave the batch, so no step is spent on padding.
    lengths: tokens per sequence, each at least 1. device: where index tensors are made.

    order: (T,) int64, `flat[order]` is the packed form. inverse: (T,) int64, `packed[inverse]` is flat again.
    sizes: sequences still running at each step (L of them).
    previous: (T,) int64, the packed place of the token before, at a start its own.
    """

    def __init__(self, lengths: Sequence[int], device: torch.device | str = "cpu") -> None:
        length = torch.tensor(lengths, dtype=torch.int64)
        start = length.cumsum(0) - length
        length, rank = length.sort(descending=True, stable=True)
        steps = torch.arange(int(length[0]))
        running = steps[:, None] < length
        order = (start[rank] + steps[:, None])[running]
        size = running.sum(1)
        self.sizes: list[int] = size.tolist()
        behind = torch.cat([size.new_zeros(1), size[:-1]])
        place = torch.arange(len(order)) - behind.repeat_interleave(size)
        self.previous = place.clamp_(min=0).to(device)
        self.order = order.to(device)
        self.inverse = order.argsort().to(device)


class State(NamedTuple):
    """What is carried over a border, (S, 1, d) each: output, ratio, and logarithm of n."""

    output: Tensor
    ratio: Tensor
    log: Tensor


def slstm(gates: Tensor, recurrent: Tensor, packing: Packing) -> Tensor:
    """Mixes tokens along every sequence, in time and memory linear in T.

    gates: (S, T, 4 d), preactivations z, o, i, f side by side, tokens in the order of `packing`; computed in float32 at least.
    recurrent: (S, d, 4 d), from the previous output to the same four preactivations.
    Returns (S, T, d), tokens in the order of `packing`.
    """
    exact = torch.float64 if gates.dtype == torch.float64 else torch.float32
    with torch.autocast(gates.device.type, enabled=False):
        mixed: Tensor = _Loop.apply(gates.to(exact), recurrent.to(exact), packing)
    return mixed


def slstm_segment(gates: Tensor, recurrent: Tensor, before: State | None) -> tuple[Tensor, State]:
    """`slstm` of a segment of one longer sequence, and the state after it. Without gradients.

    gates: (S, L, 4 d). before: the state before the segment, as the call before this one returned it; None at the start.
    Returns (S, L, d).
    """
    exact = torch.float64 if gates.dtype == torch.float64 else torch.float32
    with torch.autocast(gates.device.type, enabled=False):
        _, outputs, ratios, log = _run_ahead(gates.to(exact), recurrent.to(exact), [1] * gates.shape[1], before)
    return outputs, State(outputs[:, -1:].clone(), ratios[:, -1:].clone(), log)


def slstm_reference(gates: Tensor, recurrent: Tensor) -> Tensor:
    """The definition, one token after the other: the oracle of the tests. gates: (S, L, 4 d), of one sequence. Returns (S, L, d)."""
    width = recurrent.shape[1]
    h = c = n = gates.new_zeros(gates.shape[0], width)
    m = torch.full_like(h, -math.inf)
    outputs = []
    for t in range(gates.shape[1]):
        z, o, i, f = (gates[:, t] + torch.einsum("sd,sde->se", h, recurrent)).split(width, -1)
        decayed = logsigmoid(f) + m
        m = torch.maximum(decayed, i)
        keep, add = (decayed - m).exp(), (i - m).exp()
        c = keep * c + add * z.tanh()
        n = keep * n + add
        h = o.sigmoid() * c / n
        outputs.append(h)
    return torch.stack(outputs, 1)


class _Loop(torch.autograd.Function):
    """`slstm`."""

    @staticmethod
    def forward(ctx: Any, gates: Tensor, recurrent: Tensor, packing: Packing) -> Tensor:
        acts, outputs, ratios, _ = _run_ahead(gates, recurrent, packing.sizes)
        ctx.save_for_backward(recurrent, acts, outputs, ratios)
        ctx.packing = packing
        return outputs

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        recurrent, acts, outputs, ratios = ctx.saved_tensors
        packing: Packing = ctx.packing
        first = packing.sizes[0]
        d_gates = _run_back(_local_derivatives(acts, ratios, packing), grad, recurrent, packing.sizes)
        earlier = outputs.index_select(1, packing.previous[first:])
        return d_gates, torch.bmm(earlier.transpose(1, 2), d_gates[:, first:]), None


def _run_ahead(gates: Tensor, recurrent: Tensor, sizes: list[int], start: State | None = None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Activations (S, T, 4 d), outputs and ratios (S, T, d), and the last log n, of sequences that run for `sizes` as in Packing.

    Every step works in place on the same few buffers, whose views are cut anew only when a sequence ends.
    """
    width = recurrent.shape[1]
    acts, outputs, ratios = torch.empty_like(gates), gates.new_empty(*gates.shape[:2], width), gates.new_empty(*gates.shape[:2], width)
    step_gates, step_acts, h, r = (tensor.split(sizes, 1) for tensor in (gates, acts, outputs, ratios))
    if start is None:
        # The first step carries nothing: the new value's share is 1, and log n is the input gate itself.
        z, o, i, _ = step_gates[0].unflatten(-1, (4, width)).unbind(2)
        log = i.clone()
        torch.tanh(z, out=r[0])
        torch.mul(o.sigmoid(), r[0], out=h[0])
        step_acts[0].copy_(torch.cat([r[0], o.sigmoid(), torch.ones_like(i), torch.zeros_like(i)], -1))
    else:
        log = start.log.clone()
    running = 0
    for t in range(0 if start else 1, len(sizes)):
        before, last = start[:2] if start and not t else (h[t - 1], r[t - 1])
        if sizes[t] != running:
            running = sizes[t]
            now = gates.new_empty(gates.shape[0], running, 4 * width)
            parts = now.unflatten(-1, (4, width))
            z, o, i, f = parts.unbind(2)
            o_and_i = parts[:, :, 1:3]
            faded = torch.empty_like(log[:, :running])
            log, before, last = log[:, :running].contiguous(), before[:, :running], last[:, :running]
        torch.baddbmm(step_gates[t], before, recurrent, out=now)
        _log_sigmoid(f, faded)
        faded.add_(log)
        torch.logaddexp(i, faded, out=log)
        i.sub_(faded)
        o_and_i.sigmoid_()
        z.tanh_()
        torch.lerp(last, z, i, out=r[t])
        torch.mul(o, r[t], out=h[t])
        step_acts[t].copy_(now)
    return acts, outputs, ratios, log


def _log_sigmoid(x: Tensor, out: Tensor) -> None:
    """A softplus with beta = -1 is log(sigmoid(x)), in one vectorized step that writes where it is told to."""
    torch._C._nn.softplus(x, -1, LINEAR_ABOVE, out=out)  # type: ignore[call-arg]  # the stubs lack `out`


def _local_derivatives(acts: Tensor, ratios: Tensor, packing: Packing) -> Tensor:
    """(S, T, 7, d): what each step multiplies gradients with, for all steps at once.

    Slots 0 to 2 meet the gradient of the ratio (to z, i and the ratio before), 3 and 4 that of the output (to the ratio and o),
    5 that of log n (to f), 6 is the new value's share.
    """
    width = ratios.shape[-1]
    z, o, share, f = acts.unflatten(-1, (4, width)).unbind(2)
    earlier = ratios.index_select(1, packing.previous)
    earlier[:, : packing.sizes[0]] = 0
    local = acts.new_empty(*ratios.shape[:2], 7, width)
    keep = torch.sub(1, share, out=local[:, :, 2])
    torch.addcmul(share, share, z * z, value=-1, out=local[:, :, 0])
    torch.mul((z - earlier).mul_(share), keep, out=local[:, :, 1])
    local[:, :, 3] = o
    torch.mul(ratios, o * (1 - o), out=local[:, :, 4])
    torch.sigmoid(-f, out=local[:, :, 5])
    local[:, :, 6] = share
    return local


def _run_back(local: Tensor, grad: Tensor, recurrent: Tensor, sizes: list[int]) -> Tensor:
    """The gradients of the preactivations (S, T, 4 d), last step first."""
    streams, tokens, _, width = local.shape
    d_gates = local.new_empty(streams, tokens, 4 * width)
    step_local, step_grad, step_gates = (tensor.split(sizes, 1) for tensor in (local, grad, d_gates))
    back = recurrent.transpose(1, 2)
    running = 0
    carried = d_log = local.new_zeros(streams, 0, width)
    d_h = step_grad[-1]
    for t in range(len(sizes) - 1, -1, -1):
        if sizes[t] != running:
            missing = (0, 0, 0, sizes[t] - running)
            running = sizes[t]
            d_h = d_h.contiguous()
            now = local.new_empty(streams, running, 7, width)
            to_z_i_r, to_r, to_o, to_f, share = now[:, :, :3], now[:, :, 3], now[:, :, 4], now[:, :, 5], now[:, :, 6]
            # Slots z, o, i, f and the ratio before: its gradient is carried to the step before in its slot.
            result = local.new_zeros(streams, running, 5, width)
            z_i_r, d_o, d_i, d_f = result[:, :, 0::2], result[:, :, 1], result[:, :, 2], result[:, :, 3]
            result[:, : carried.shape[1], 4] = carried
            carried, four = result[:, :, 4], result.flatten(2)[..., : 4 * width]
            d_log = pad(d_log, missing)
            d_r = torch.empty_like(d_log)
        now.copy_(step_local[t])
        torch.addcmul(carried, d_h, to_r, out=d_r)
        torch.mul(d_h, to_o, out=d_o)
        torch.mul(d_r[:, :, None], to_z_i_r, out=z_i_r)
        d_i.addcmul_(d_log, share)
        d_log.sub_(d_i)
        torch.mul(d_log, to_f, out=d_f)
        step_gates[t].copy_(four)
        if t:
            before = step_grad[t - 1]
            if sizes[t - 1] == running:
                d_h = torch.baddbmm(before, four, back)
            else:
                d_h = before.clone()
                d_h[:, :running].add_(torch.bmm(four, back))
    return d_gates
