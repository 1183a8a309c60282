"""Samples of labels that gradients pass through: Gumbel noise, and the softmax that it perturbs (arXiv 1611.01144)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

LEAST = torch.finfo(torch.float32).tiny
"""Stands for 0, whose logarithm is not finite."""


def gumbel(uniform: Tensor) -> Tensor:
    """Numbers with the standard Gumbel distribution out of such as are uniform between 0 and 1; all finite."""
    return -(-uniform.clamp_min(LEAST).log()).clamp_min(LEAST).log()


def gumbel_softmax(scores: Tensor, noise: Tensor, temperature: float, straight_through: bool) -> Tensor:
    """Relaxed samples (T, K) of labels with scores (T, K): softmax((scores + noise) / temperature).

    straight_through: the sample is the most probable label alone, zeros and a one, and the gradient that of the relaxed sample.
    """
    relaxed = ((scores + noise) / temperature).softmax(dim=-1)
    if not straight_through:
        return relaxed
    chosen = functional.one_hot(relaxed.argmax(dim=-1), relaxed.shape[-1]).to(relaxed.dtype)
    return chosen + (relaxed - relaxed.detach())
