"""Small modules that several encoders are made of."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ..kernels.norm import gated_rms_norm, rms_norm


class RMSNorm(nn.Module):
    """Root-mean-square normalisation with a learned scale; with a gate, of x * silu(gate)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor, gate: Tensor | None = None) -> Tensor:
        """(T, D) to (T, D)."""
        return rms_norm(x, self.weight) if gate is None else gated_rms_norm(x, gate, self.weight)


class DepthwiseWeights(nn.Module):
    """Weight (D, 1, width) and bias (D,) of a depthwise convolution, named, shaped and drawn as those of `nn.Conv1d`."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        bound = 1 / math.sqrt(width)
        self.weight = nn.Parameter(torch.empty(channels, 1, width).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(channels).uniform_(-bound, bound))
