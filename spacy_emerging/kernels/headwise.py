"""Block-diagonal projections: every head, or every small group of channels, is projected by a matrix of its own."""

from __future__ import annotations

import torch
from torch import Tensor

DENSE = 16
"""Smaller blocks are joined to blocks of about this width. Our default: the zeros cost less than products of 4 x 4 matrices."""


def headwise(x: Tensor, weight: Tensor) -> Tensor:
    """(T, I) to (T, O): channel group n of x (I / N channels) times the transpose of weight[n].

    weight: (N, O / N, I / N), as in the xLSTM authors' implementation.
    """
    weight = joined(weight)
    groups = x.unflatten(-1, (len(weight), -1)).transpose(0, 1)
    return torch.bmm(groups, weight.transpose(1, 2)).transpose(0, 1).flatten(1)


def joined(weight: Tensor) -> Tensor:
    """(N, o, i) to (N / r, r o, r i), neighbouring blocks set along the diagonals of larger ones, r as DENSE allows."""
    count, outputs, inputs = weight.shape
    together = next(r for r in range(max(1, DENSE // inputs), 0, -1) if count % r == 0)
    if together == 1:
        return weight
    parts = weight.view(-1, together, outputs, inputs).permute(0, 2, 3, 1)
    return torch.diag_embed(parts).permute(0, 3, 1, 4, 2).reshape(-1, together * outputs, together * inputs)
