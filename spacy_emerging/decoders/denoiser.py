"""The network that looks through the noise: a Transformer over noisy label bits, told by every token's state and the time what to do.

The blocks are those of DiT (Peebles & Xie 2023, arXiv 2212.09748, section 3.2, adaLN-Zero), as BitDiT has them (Huang et al. 2023).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..bridge.layout import Layout
from ..errors import largest_divisor
from ..kernels.adaptive_block import GATE, Layers, Modulation, adaptive_norm, block_by_loops, block_suits_loops
from ..kernels.dropout import Dropout
from ..kernels.linear import project

LONGEST_WAVE = 10_000.0
"""Base of the frequencies of times and positions (arXiv 1706.03762, section 3.5)."""


def waves(places: Tensor, width: int) -> Tensor:
    """(N,) places to (N, width): sines in the first half, cosines in the second; width is even."""
    frequency = torch.exp(torch.arange(0, width, 2, device=places.device) * (-math.log(LONGEST_WAVE) / width))
    turns = places[:, None] * frequency
    return torch.cat([turns.sin(), turns.cos()], dim=-1)


class Condition(NamedTuple):
    """What does not change from step to step, and is computed once: per token, what its state says."""

    layout: Layout  # of the tokens of all samples
    readout: Tensor  # (T, O): a guess from the state alone
    modulation: Tensor  # (T, parts * W)
    positions: Tensor  # (T, W)


class Denoiser(nn.Module):
    """Noisy bits, token states and times to O outputs per token.

    width: D of the states. hidden: units of the layer that reads them. bits: M. outputs: O. inner: W, even. depth: blocks.
    heads: falls to the largest divisor of W. self_conditioning: also reads an earlier estimate of the bits.

    Published: adaptive LayerNorm with gates, whose weights and the output's are zero at first; fixed sinusoidal positions; a norm on the
    condition. Ours: states and times modulate separately, in a sum, so that the states' part is computed once for all steps;
    and a layer that reads the states alone is added to the output, so that before its first step the decoder is a plain tagger of two
    layers, from which the encoder learns at once.
    """

    def __init__(
        self,
        width: int,
        hidden: int,
        bits: int,
        outputs: int,
        inner: int,
        depth: int,
        heads: int,
        dropout: float,
        self_conditioning: bool,
    ) -> None:
        super().__init__()
        self.inner, self.parts = inner, PARTS * depth + 2
        self.state = nn.Linear(width, hidden)
        self.state_norm = nn.LayerNorm(hidden)
        self.readout = nn.Linear(hidden, outputs)
        self.noisy = nn.Linear(bits, inner)
        self.earlier = nn.Linear(bits, inner, bias=False) if self_conditioning else None
        self.time = nn.Sequential(nn.Linear(inner, inner), nn.SiLU(), nn.Linear(inner, inner), nn.SiLU())
        self.state_modulation = _zero(nn.Linear(hidden, self.parts * inner))
        self.time_modulation = _zero(nn.Linear(inner, self.parts * inner, bias=False))
        with torch.no_grad():  # a norm's scale is 1 at first, and what a scale is added to
            self.state_modulation.bias.view(self.parts, inner)[::3] = 1
        self.blocks = nn.ModuleList(Block(inner, heads, dropout) for _ in range(depth))
        self.output = _zero(nn.Linear(inner, outputs, bias=False))
        self.dropout = Dropout(dropout)

    def condition(self, tokens: Tensor, layout: Layout, samples: int = 1) -> Condition:
        """From (T, D) token states, end to end, of sequences that are sampled so many times."""
        hidden = self.dropout(functional.silu(self.state_norm(project(tokens, self.state))))
        positions = waves(torch.arange(layout.longest, device=tokens.device), self.inner).to(hidden.dtype)
        return Condition(
            layout if samples == 1 else Layout(layout.lengths * samples, tokens.device),
            project(hidden, self.readout),
            project(hidden, self.state_modulation),
            positions.index_select(0, layout.position),
        )

    def times(self, times: Tensor) -> Tensor:
        """(N,) times from 0 to 1,000 to (N, parts * W): what each of them does to the blocks."""
        return self.time_modulation(self.time(waves(times, self.inner).to(self.time_modulation.weight.dtype)))

    def forward(self, noisy: Tensor, earlier: Tensor | None, times: Tensor, condition: Condition) -> Tensor:
        """Noisy bits (S, T, M) of S samples, an earlier estimate or None (zeros), and `times` (T, parts * W) or (1, ...) to (S, T, O)."""
        modulation = Modulation(condition.modulation, times, self.inner)
        x = self.noisy(noisy) + condition.positions
        if self.earlier is not None and earlier is not None:
            x = x + self.earlier(earlier)
        for number, block in enumerate(self.blocks):
            x = block(x, modulation, PARTS * number, condition.layout)
        return self.output(adaptive_norm(x, modulation, PARTS * len(self.blocks))) + condition.readout


class Block(nn.Module):
    """x + gate * attention(norm(x)), then x + gate * feed-forward(norm(x)), the norms scaled and shifted from outside."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = largest_divisor(width, heads)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.up = nn.Linear(width, WIDENING * width)
        self.down = nn.Linear(WIDENING * width, width)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, modulation: Modulation, first: int, layout: Layout) -> Tensor:
        """(S, T, W) to the same; first: of the six parts of the modulation; layout: of all S * T tokens."""
        layers = Layers(self.qkv, self.out, self.up, self.down)
        if not self.training and block_suits_loops(x, modulation, layers):
            return block_by_loops(x, modulation, first, layers, self.heads, layout.begins)
        mixed = self._attention(adaptive_norm(x, modulation, first).flatten(0, 1), layout)
        x = torch.addcmul(x, modulation.part(first + GATE), self.dropout(mixed).view_as(x))
        first += PARTS // 2
        raised = functional.gelu(project(adaptive_norm(x, modulation, first).flatten(0, 1), self.up))
        return torch.addcmul(x, modulation.part(first + GATE), self.dropout(project(raised, self.down)).view_as(x))

    def _attention(self, tokens: Tensor, layout: Layout) -> Tensor:
        """(S * T, W) to the same, within sequences, in memory linear in their length."""
        padded = layout.pad(project(tokens, self.qkv)).unflatten(-1, (3, self.heads, -1))
        query, key, value = padded.permute(2, 0, 3, 1, 4)  # each (B, heads, L, P)
        mask = None if layout.even else layout.mask[:, None, None, :]
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return project(layout.unpad(mixed.transpose(1, 2)).flatten(1), self.out)


PARTS = 6
"""Of a modulation that a block takes: scale, shift and gate of attention, and those of the feed-forward part."""

WIDENING = 2
"""Width of a block's feed-forward part over its own (published: 4; ours, for speed: labels need less room than pictures)."""


def _zero(layer: nn.Linear) -> nn.Linear:
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer
