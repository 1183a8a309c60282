"""The linear recurrence with a decay per unit: what minGRU, minLSTM and gated linear layers share.

    h[t] = decay[t] h[t-1] + update[t]          h[-1] = initial, or 0

Letters: B sequences, L tokens, D units. Causal: padding belongs at the end, where it influences no token.

Computed in linear space, which is as stable as the log space of Feng et al. (arXiv 2410.01201, appendix B) and keeps signs and
exact zeros: decays of at most 1 in modulus are only ever multiplied with each other and with states, so nothing can overflow, and
a product that underflows to 0 stands for one that is smaller than any float.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

STEPS = 16
"""Tokens that are visited one after the other at most, unless a single step holds enough work."""

WORTH_A_STEP = 6000
"""Numbers in one step (B x D) from which visiting tokens one after the other is the fastest: calls then cost less than the detour."""


def linear_scan_reference(decay: Tensor, update: Tensor, initial: Tensor | None = None) -> Tensor:
    """The definition, one token after the other: the oracle of the tests. Shapes as in `linear_scan`."""
    state = torch.zeros_like(update[:, 0]) if initial is None else initial
    states = []
    for t in range(update.shape[1]):
        state = decay[:, t] * state + update[:, t]
        states.append(state)
    return torch.stack(states, 1)


def linear_scan(decay: Tensor, update: Tensor, initial: Tensor | None = None) -> Tensor:
    """All states of the recurrence, in time and memory linear in L.

    decay: (B, L, D), of at most 1 in modulus; real or complex. update: (B, L, D). initial: (B, D), or None for zeros.
    Returns (B, L, D). In float32 errors are those of the plain loop or smaller.

    The backward pass is the same recurrence from right to left, with conjugate decays; it keeps decays and states, nothing else.
    """
    if initial is not None:
        first = (update[:, 0] + decay[:, 0] * initial)[:, None]
        update = torch.cat([first, update[:, 1:]], 1)
    return _LinearScan.apply(decay, update)


class _LinearScan(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, decay: Tensor, update: Tensor) -> Tensor:
        states = torch.empty_like(update, memory_format=torch.contiguous_format)
        run(decay[:, 1:], update, states)
        ctx.save_for_backward(decay, states)
        return states

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        decay, states = ctx.saved_tensors
        grad_update = torch.empty_like(states)
        run(decay[:, 1:].conj().resolve_conj(), grad, grad_update, reverse=True)
        grad_decay = torch.empty_like(states)
        grad_decay[:, :1].zero_()
        torch.mul(grad_update[:, 1:], states[:, :-1].conj(), out=grad_decay[:, 1:])
        return grad_decay, grad_update


def run(links: Tensor, updates: Tensor, states: Tensor, reverse: bool = False) -> None:
    """Writes states: from left to right states[t] = updates[t] + links[t-1] states[t-1]; in reverse, links[t] and states[t+1].

    links: (B, L - 1, D), links[t] lies between token t and token t + 1. updates, states: (B, L, D). No gradients.

    Either token by token, or by halves: two neighbouring tokens are merged into one, the states of all even tokens come from the
    recurrence of half the length, those of the odd ones from their even neighbours (odd-even reduction: Blelloch 1990, "Prefix
    sums and their applications"). That is three times the work in a number of calls that grows with log L.
    """
    length = updates.shape[1]
    if length <= STEPS or updates[:, 0].numel() >= WORTH_A_STEP:
        _step_by_step(links.unbind(1), updates.unbind(1), states.unbind(1), reverse)
        return
    even, odd = slice(0, None, 2), slice(1, None, 2)
    left, right = links[:, even], links[:, odd]  # of an odd token: the link to its even neighbour before, and to that after it
    merged = updates[:, even].clone(memory_format=torch.contiguous_format)
    between = right.shape[1]  # odd tokens that have both neighbours
    if reverse:
        merged[:, : left.shape[1]].addcmul_(left, updates[:, odd])
    else:
        merged[:, 1:].addcmul_(right, updates[:, odd][:, :between])
    run(left[:, :between] * right, merged, states[:, even], reverse)
    if reverse:
        states[:, odd] = updates[:, odd]
        states[:, odd][:, :between].addcmul_(right, states[:, even][:, 1:])
    else:
        torch.addcmul(updates[:, odd], left, states[:, even][:, : left.shape[1]], out=states[:, odd])


def _step_by_step(links: Sequence[Tensor], updates: Sequence[Tensor], states: Sequence[Tensor], reverse: bool) -> None:
    order = range(len(updates))[:: -1 if reverse else 1]
    states[order[0]].copy_(updates[order[0]])
    for before, t in zip(order, order[1:], strict=False):
        torch.addcmul(updates[t], links[min(before, t)], states[before], out=states[t])
