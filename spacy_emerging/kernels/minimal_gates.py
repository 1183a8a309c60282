"""The gates of minGRU and minLSTM (arXiv 2410.01201, sections 3.1 and 3.2), which do not see the state.

    minGRU     z = sigmoid(z~)                           h[t] = (1 - z) h[t-1] + z g(h~)
    minLSTM    f = sigmoid(f~), i = sigmoid(i~)          h[t] = f / (f + i) h[t-1] + i / (f + i) g(h~)
    g(x) = x + 0.5 where x is at least 0, else sigmoid(x): positive, continuous and monotonic (appendix B.3)

Either state is an average of what came before and of one candidate, hence never larger than the largest candidate.
Letters: T tokens, D units.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

LEAST = 1e-35
"""Added to the sigmoids of the gates of minLSTM, so that f + i is never 0 in float32: preactivations below -80 count as -80."""


def minimal_gates(preactivations: Sequence[Tensor], units: int) -> tuple[Tensor, Tensor]:
    """Decays and updates for `linear_scan`, those of all streams one after the other.

    preactivations: per stream (T, 2 D), z~ and h~ of minGRU, or (T, 3 D), f~, i~ and h~ of minLSTM. units: D.
    Returns two (streams x T, D), in at least float32. The backward pass computes the gates anew instead of keeping them.
    """
    return _Gates.apply(units, *(x.float() if x.dtype in (torch.float16, torch.bfloat16) else x for x in preactivations))


class _Gates(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, units: int, *preactivations: Tensor) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(*preactivations)
        ctx.units = units
        shape = (len(preactivations), len(preactivations[0]), units)
        decay, update = preactivations[0].new_empty(shape), preactivations[0].new_empty(shape)
        for x, keep, add in zip(preactivations, decay, update, strict=True):
            _, share = _shares(x, units, keep)
            torch.mul(share, _candidate(x, units)[0], out=add)
        return decay.flatten(0, 1), update.flatten(0, 1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        found: list[Tensor | None] = [None]
        parts = [grad.chunk(len(ctx.saved_tensors)) for grad in grads]
        for x, grad_keep, grad_add in zip(ctx.saved_tensors, *parts, strict=True):
            found.append(_backward(ctx.units, x, grad_keep, grad_add))
        return tuple(found)


def _shares(x: Tensor, units: int, keep: Tensor) -> tuple[Tensor, Tensor]:
    """Writes the share of the state before, and returns the sigmoids of all gates (T, 1 or 2 D) and the share of the candidate."""
    if x.shape[1] == 2 * units:
        torch.neg(x[:, :units], out=keep).sigmoid_()
        share = x[:, :units].sigmoid()
        return share, share
    gates = x[:, : 2 * units].sigmoid().add_(LEAST)
    forget, enter = gates.chunk(2, 1)
    scale = torch.add(forget, enter).reciprocal_()
    torch.mul(forget, scale, out=keep)
    return gates, scale.mul_(enter)


def _candidate(x: Tensor, units: int) -> tuple[Tensor, Tensor]:
    """g(h~), and its part below 0: the sigmoid of the negative part of h~."""
    hidden = x[:, -units:]
    low = hidden.sigmoid().clamp_(max=0.5)
    return low + hidden.relu(), low


def _backward(units: int, x: Tensor, grad_keep: Tensor, grad_add: Tensor) -> Tensor:
    """The gradient of one stream's preactivations."""
    keep, grad = torch.empty_like(grad_keep), torch.empty_like(x)
    gates, share = _shares(x, units, keep)
    candidate, low = _candidate(x, units)
    along = candidate.mul_(grad_add).sub_(grad_keep).mul_(keep).mul_(share)  # by the difference of the gates' logits
    if gates.shape[1] == units:
        grad[:, :units] = along
    else:
        forget, enter = gates.chunk(2, 1)
        torch.mul(along, forget, out=grad[:, :units]).sub_(along)
        torch.addcmul(along, along, enter, value=-1, out=grad[:, units : 2 * units])
    by_candidate = share.mul_(grad_add)
    slope = torch.addcmul(low, low, low, value=-1)  # of the sigmoid; where h~ is above 0 it is 1/4, and 3/4 are missing
    upper = torch.ops.aten.threshold_backward(by_candidate, x[:, -units:], 0.0)
    torch.addcmul(upper.mul_(0.75), by_candidate, slope, out=grad[:, -units:])
    return grad
