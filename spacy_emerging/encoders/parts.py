"""Small modules that several encoders are made of."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..errors import largest_divisor
from ..kernels.dropout import Dropout
from ..kernels.feed_forward import Layers, feed_forward_of_streams
from ..kernels.norm import gated_rms_norm, rms_norm

LEAST_HEAD = 4
"""Channels that a head has at least, where the width allows. Our default: each head is normalized for itself, and of one channel
that leaves zero, of two a sign."""


def head_count(width: int, wanted: int) -> int:
    """The largest divisor of `width` that is no larger than `wanted` and leaves each head LEAST_HEAD channels."""
    return largest_divisor(width, max(1, min(wanted, width // LEAST_HEAD)))


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


class FeedForward(nn.Module):
    """x and what comes of it by a norm, `factor` times the width, GELU (arXiv 1606.08415), and back to the width.

    parts: how many modules write into the residual stream; the weights that do so are divided by its square root (GPT-2's rule).
    """

    def __init__(self, width: int, factor: float, parts: int) -> None:
        super().__init__()
        self.norm = RMSNorm(width)
        self.up = nn.Linear(width, max(1, round(factor * width)))
        self.down = nn.Linear(self.up.out_features, width)
        scale_down(self.down, parts)

    def forward(self, x: Tensor, dropout: Dropout) -> Tensor:
        """(T, D) to (T, D). dropout: on what is added to x."""
        return self.of_streams([self], x, dropout)

    @staticmethod
    def of_streams(layers: Sequence[FeedForward], x: Tensor, dropout: Dropout) -> Tensor:
        """(T, layers x D) to the same, each in columns of its own."""
        streams = [Layers(each.up, each.down, each.norm.weight) for each in layers]
        made = feed_forward_of_streams(x, streams, residual=not dropout.active)
        return x + dropout(made) if dropout.active else made


def scale_down(layer: nn.Linear, parts: int) -> None:
    """Divides weights that write into the residual stream by the square root of how many do (GPT-2's rule)."""
    with torch.no_grad():
        layer.weight /= math.sqrt(parts)
