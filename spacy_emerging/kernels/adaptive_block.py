"""Norms and Transformer blocks that are told token by token how to scale, to shift and to gate (arXiv 2212.09748, adaLN-Zero).

In prediction a whole block is one compiled loop where they run (see `native`): its layers are so narrow that torch's steps between them
take longer than the layers. Training is plain torch.
"""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from . import native
from .quantized import QuantizedLinear

EPSILON = 1e-5
"""Added to the variance, as in `torch.nn.LayerNorm`."""

SCALE, SHIFT, GATE = range(3)
"""The parts of a modulation that a layer takes, in this order; a norm without a layer takes two."""


class Modulation:
    """Parts of so many numbers per token: those of the tokens' states, plus those of the time.

    tokens: (T, parts * W). times: the same, or (1, parts * W).
    """

    def __init__(self, tokens: Tensor, times: Tensor, width: int) -> None:
        self.tokens, self.times, self.width = tokens, times, width

    @cached_property
    def _sums(self) -> Tensor:
        return (self.tokens + self.times).unflatten(-1, (-1, self.width))

    def part(self, number: int) -> Tensor:
        """(T, W)."""
        return self._sums[:, number]

    def suits_loops(self, x: Tensor) -> bool:
        """Whether this is prediction, and compiled loops can run on x and on all parts."""
        if torch.is_grad_enabled() or len(self.times) > 1 or not native.usable(x, self.tokens, self.times):
            return False
        in_rows = self.tokens.stride(-1) == self.times.stride(-1) == 1
        return in_rows and not torch.is_autocast_enabled(x.device.type)

    def from_part(self, number: int) -> tuple[Tensor, Tensor]:
        """What stands from a part on, of tokens and times, for loops."""
        return self.tokens[:, number * self.width :], self.times[:, number * self.width :]


def adaptive_norm(x: Tensor, modulation: Modulation, first: int) -> Tensor:
    """(S, T, W) to the same: layer norm, times a part of the modulation, plus the next one."""
    if not modulation.suits_loops(x):
        normed = functional.layer_norm(x, x.shape[-1:], eps=EPSILON)
        return torch.addcmul(modulation.part(first + SHIFT), normed, modulation.part(first + SCALE))
    x, y = x.contiguous(), x.new_empty(x.shape)
    tokens, times = modulation.from_part(first)
    rows, width = x.numel() // x.shape[-1], x.shape[-1]
    native.run("adaptive_norm_forward", x, tokens, times, y, tokens.stride(0), len(tokens), rows, width, EPSILON)
    return y


class Layers(NamedTuple):
    """Of a block of width W with a feed-forward part of width U."""

    qkv: nn.Linear | QuantizedLinear  # W to 3 W
    out: nn.Linear | QuantizedLinear  # W to W
    up: nn.Linear | QuantizedLinear  # W to U
    down: nn.Linear | QuantizedLinear  # U to W


def block_suits_loops(x: Tensor, modulation: Modulation, layers: Layers) -> bool:
    """Whether `block_by_loops` can take it."""
    if not modulation.suits_loops(x) or any(isinstance(layer, QuantizedLinear) for layer in layers):
        return False
    return native.usable(x, *(tensor for layer in layers for tensor in (layer.weight, layer.bias)))


def block_by_loops(x: Tensor, modulation: Modulation, first: int, layers: Layers, heads: int, begins: Tensor) -> Tensor:
    """(S, T, W) to the same: x + gate * attention(norm(x)), then x + gate * feed-forward(norm(x)).

    first: of the six parts of the modulation. begins (B + 1,): of each of the sequences in all S * T tokens, and the end of the last.
    """
    x = x.clone(memory_format=torch.contiguous_format)  # it is changed in place
    tokens, times = modulation.from_part(first)
    weights = [None if tensor is None else tensor.contiguous() for layer in layers for tensor in (layer.weight, layer.bias)]
    sizes = (tokens.stride(0), len(tokens), len(begins) - 1, x.shape[-1], len(layers.up.weight), heads)
    native.run("adaptive_block_forward", x, tokens, times, *weights, begins, *sizes, EPSILON)
    return x
