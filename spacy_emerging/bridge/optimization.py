"""Thinc's Adam over many weights at once: the same numbers, one pass over memory instead of a dozen."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from thinc.api import Optimizer
from thinc.backends import get_array_ops
from thinc.util import torch2xp, xp2torch
from torch import Tensor

HAS_FUSED_ADAM: bool = hasattr(torch, "_fused_adam_")
MOST_AVERAGED = 0.9999
"""The greatest decay of Thinc's moving averages (`Ops.update_averages`)."""


class Weight(NamedTuple):
    """One array of weights, its gradient (of the same shape), its key in the optimizer, and whether it takes weight decay."""

    key: tuple[int, str]
    values: Tensor
    gradient: Tensor
    decayed: bool


def can_fuse(optimizer: Any, weights: Sequence[Weight]) -> bool:
    """Whether `fused_adam` stands for calling this optimizer: Thinc's own class, as Adam, over weights in float32."""
    is_adam = type(optimizer) is Optimizer and not optimizer.use_radam and optimizer.b1 > 0 and optimizer.b2 > 0
    return HAS_FUSED_ADAM and is_adam and all(weight.values.dtype == torch.float32 for weight in weights)


def fused_adam(optimizer: Optimizer, weights: Sequence[Weight], lr_scale: float) -> None:
    """One step, in place, as `optimizer(key, weights, gradient, lr_scale=lr_scale)` for each of them.

    Gradients are clipped per array, L2 is added to them or decays the weights, momenta, moving averages and numbers of updates stay
    where the optimizer keeps them: steps of either kind may follow one another. lr_scale: factor on the learning rate.
    """
    by_update: dict[int, list[Weight]] = defaultdict(list)
    for weight in weights:
        if weight.values.numel():
            optimizer.nr_update[weight.key] += 1
            by_update[optimizer.nr_update[weight.key]].append(weight)
    with torch.no_grad():
        for update, group in by_update.items():
            _step(optimizer, group, update, lr_scale)


def _step(optimizer: Optimizer, group: list[Weight], update: int, lr_scale: float) -> None:
    """One step over weights that have been updated equally often."""
    values = [weight.values for weight in group]
    decayed = [weight.values for weight in group if weight.decayed]
    if optimizer.L2 and not optimizer.L2_is_weight_decay:
        for weight in group:
            if weight.decayed:
                weight.gradient.add_(weight.values, alpha=optimizer.L2)
    gradients = [weight.gradient.contiguous() for weight in group]
    if optimizer.grad_clip:
        _clip(gradients, optimizer.grad_clip)
    rate = optimizer.learn_rate * lr_scale
    torch._fused_adam_(
        values,
        gradients,
        [_state(optimizer.mom1, weight) for weight in group],
        [_state(optimizer.mom2, weight) for weight in group],
        [],
        [torch.tensor(float(update), device=weight.values.device) for weight in group],
        lr=rate,
        beta1=optimizer.b1,
        beta2=optimizer.b2,
        weight_decay=0.0,
        eps=optimizer.eps / (1 - optimizer.b2**update) ** 0.5,  # Thinc adds it before the correction of the second momentum
        amsgrad=False,
        maximize=False,
    )
    if optimizer.L2 and optimizer.L2_is_weight_decay and decayed:
        torch._foreach_mul_(decayed, 1 - rate * optimizer.L2)
    if optimizer.averages is not None:
        kept = min((1 + update) / (10 + update), MOST_AVERAGED)
        torch._foreach_lerp_([_state(optimizer.averages, weight, flat=False) for weight in group], values, 1 - kept)


def _clip(gradients: list[Tensor], threshold: float) -> None:
    """Each array scaled down to a norm of at most the threshold."""
    scales = (threshold / torch.stack(torch._foreach_norm(gradients))).tolist()
    for gradient, scale in zip(gradients, scales, strict=True):
        if scale < 1:
            gradient.mul_(scale)


def _state(states: dict[Any, Any], weight: Weight, flat: bool = True) -> Tensor:
    """The optimizer's array for a weight, begun with zeros, as a tensor over the same memory."""
    array = states.get(weight.key)
    if array is None:
        values: Any = torch2xp(torch.atleast_1d(weight.values.detach()))
        shape = (values.size,) if flat else values.shape
        array = states[weight.key] = get_array_ops(values).alloc(shape, dtype="float32")
    return xp2torch(array, device=weight.values.device).view_as(weight.values)
