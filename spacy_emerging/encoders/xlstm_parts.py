"""What the blocks of xLSTM are made of: sizes, where the tokens lie, norms, small projections, initial weights."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..bridge.layout import Layout
from ..kernels.headwise import headwise
from ..kernels.linear import linear, project
from ..kernels.linear_loops import halves_by_loops, worth_loops
from ..kernels.quantized import QuantizedLinear
from ..kernels.slstm import Packing

ROUNDED_TO = 64
"""Inner widths are rounded up to a multiple of this, as by the authors."""

GATES = ("zgate", "ogate", "fgate", "igate")
"""The projections that feed the preactivations z, o, i, f of an sLSTM. The authors' code feeds the input gate from the layer
that it calls `fgate` and the forget gate from `igate`; exchangeable weights need the same."""


@dataclass(frozen=True)
class BlockSettings:
    """What all blocks of a stack share; see `XLSTMEncoder` for the meanings."""

    width: int
    blocks: int
    heads: int = 4
    conv_width: int = 4
    qkv_block: int = 4
    expand: float = 2.0
    feed_forward: float = 1.3
    dropout: float = 0.0
    backend: str = "auto"

    def inner(self, factor: float) -> int:
        """`factor` x width, rounded up."""
        return math.ceil(factor * self.width / ROUNDED_TO) * ROUNDED_TO


class Places:
    """Where the tokens of G directions lie: padded for an mLSTM, packed for an sLSTM.

    carried: as in Layout. block: position of the block that is at work, whose states `before` and `keep` stand for.
    """

    def __init__(self, layout: Layout, directions: int) -> None:
        self.single = layout
        self.padded = layout.doubled() if directions == 2 else layout
        self.carried = layout.carried
        self.block = 0

    def before(self, name: str) -> Any:
        """What a mixer of this block has kept under this name at the end of the segment before; None at the start."""
        return (self.carried or {}).get(f"{self.block} {name}")

    def keep(self, name: str, state: Any) -> None:
        """Keeps a state for the next segment."""
        if self.carried is not None:
            self.carried[f"{self.block} {name}"] = state

    @cached_property
    def packing(self) -> Packing:
        """Of one direction; all have sequences of the same lengths."""
        return Packing(self.single.lengths, self.single.device)


class LayerNorm(nn.Module):
    """Layer norm without bias, its weight stored as the difference from 1. weight: (D,)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        """(T, D) to (T, D)."""
        return functional.layer_norm(x, (x.shape[-1],), 1 + self.weight)

    def of_heads(self, x: Tensor) -> Tensor:
        """(T, H, d) to (T, H d), each head normalized for itself."""
        return functional.layer_norm(x, (x.shape[-1],)).flatten(1) * (1 + self.weight)


class Headwise(nn.Module):
    """Block-diagonal projection. weight: (N, I / N, I / N)."""

    def __init__(self, width: int, count: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(count, width // count, width // count))

    def forward(self, x: Tensor) -> Tensor:
        """(T, I) to (T, I)."""
        return headwise(x, self.weight)


class Convolution(nn.Module):
    """A causal depthwise convolution over `taps` tokens, under the name `conv`."""

    def __init__(self, width: int, taps: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(width, width, taps, groups=width)

    def parts(self) -> tuple[Tensor, Tensor]:
        """Weight (I, taps) and bias (I,)."""
        assert self.conv.bias is not None
        return self.conv.weight.squeeze(1), self.conv.bias


def halves(x: Tensor, layer: nn.Linear | QuantizedLinear) -> tuple[Tensor, Tensor]:
    """(T, D) to two (T, I), by a projection to 2 I: as two products, so that neither result is a view with gaps."""
    if isinstance(layer, QuantizedLinear):
        ahead, behind = project(x, layer).chunk(2, -1)
        return ahead.contiguous(), behind.contiguous()
    if worth_loops(x, layer.weight, None):
        return halves_by_loops(x, layer.weight)
    first, second = layer.weight.chunk(2)
    return linear(x, first), linear(x, second)


def draw_small(weight: Tensor, width: int) -> None:
    """Normal with variance 2 / (5 D) [Nguyen and Salazar 2019]."""
    nn.init.normal_(weight, std=math.sqrt(2 / (5 * width)))


def draw_output(weight: Tensor, width: int, blocks: int) -> None:
    """Normal with deviation 2 / (blocks sqrt(D)), so that deep stacks start close to the identity."""
    nn.init.normal_(weight, std=2 / blocks / math.sqrt(width))
