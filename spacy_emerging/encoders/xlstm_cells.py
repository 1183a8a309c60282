"""The cells of both kinds of xLSTM blocks, and the feed-forward layer after an sLSTM.

Letters as in `xlstm_blocks.py`. Source: Beck et al., xLSTM, arXiv 2405.04517, appendix A.4, and the authors' implementation.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from ..kernels.activation import gelu_gate
from ..kernels.dropout import Dropout
from ..kernels.linear import linear, project
from .xlstm_parts import BlockSettings, Headwise, LayerNorm, draw_output, draw_small

STORED_AS = (2, 3, 0, 1)
"""Where z, o, i, f stand in the stored recurrent weights and biases, whose order is i, f, z, o."""


class MLSTMCell(nn.Module):
    """The gate projections (3 I to H each) and the norm of an mLSTM."""

    def __init__(self, inner: int, heads: int) -> None:
        super().__init__()
        self.igate = nn.Linear(3 * inner, heads)
        self.fgate = nn.Linear(3 * inner, heads)
        self.outnorm = LayerNorm(inner)
        nn.init.zeros_(self.igate.weight)
        nn.init.normal_(self.igate.bias, std=0.1)
        nn.init.zeros_(self.fgate.weight)
        with torch.no_grad():
            self.fgate.bias.copy_(torch.linspace(3.0, 6.0, heads))

    def gates(self, convolved: Tensor, plain: Tensor, q: Headwise, k: Headwise, v: Headwise) -> Tensor:
        """(T, I) and (T, I) to (T, 2 H), the preactivations of the input and forget gates.

        The gates are linear in q, k and v, which are linear in what they are made from; the two products are joined.
        """
        weight = torch.cat([self.igate.weight, self.fgate.weight]).unflatten(1, (3, -1))
        from_q, from_k, from_v = (
            torch.einsum("gno,noi->gni", weight[:, place].unflatten(1, (len(layer.weight), -1)), layer.weight).flatten(1)
            for place, layer in enumerate((q, k, v))
        )
        bias = torch.cat([self.igate.bias, self.fgate.bias])
        with torch.autocast(plain.device.type, enabled=False):
            exact = bias.dtype
            return linear(convolved.to(exact), (from_q + from_k).to(exact), bias) + linear(plain.to(exact), from_v.to(exact))


class SLSTMCell(nn.Module):
    """Recurrent weights (H, 4 d, d) and biases (4 H d) of an sLSTM, gates in the order i, f, z, o.

    Drawn as by the authors: no recurrence at first; forget biases fall from 5 to -7 within a head, the faster the earlier the block.
    """

    no_weight_decay: ClassVar[frozenset[str]] = frozenset({"_bias_"})

    def __init__(self, width: int, heads: int, position: int, blocks: int) -> None:
        super().__init__()
        head = width // heads
        self._recurrent_kernel_ = nn.Parameter(torch.zeros(heads, 4 * head, head))
        bias = torch.zeros(4, heads, head)
        depth = position / (blocks - 1) if blocks > 1 else 0.0
        bias[1] = 5.0 - 12.0 * (torch.arange(head) / max(head - 1, 1)) ** (0.3 + 1.3 * depth)
        self._bias_ = nn.Parameter(bias.flatten())

    def recurrent(self) -> Tensor:
        """(H, d, 4 d), gates in the order z, o, i, f."""
        heads, _, head = self._recurrent_kernel_.shape
        return self._recurrent_kernel_.view(heads, 4, head, head)[:, STORED_AS].flatten(1, 2).transpose(1, 2)

    def bias(self) -> Tensor:
        """(4, H, d), gates in the order z, o, i, f."""
        heads, _, head = self._recurrent_kernel_.shape
        return self._bias_.view(4, heads, head)[(STORED_AS,)]


class FeedForward(nn.Module):
    """Gated feed-forward layer with GELU."""

    def __init__(self, settings: BlockSettings) -> None:
        super().__init__()
        width, inner = settings.width, settings.inner(settings.feed_forward)
        self.proj_up = nn.Linear(width, 2 * inner, bias=False)
        self.proj_down = nn.Linear(inner, width, bias=False)
        self.dropout = Dropout(settings.dropout)
        draw_small(self.proj_up.weight, width)
        draw_output(self.proj_down.weight, width, settings.blocks)

    def forward(self, x: Tensor) -> Tensor:
        """(T, D) to (T, D)."""
        return self.dropout(project(gelu_gate(project(x, self.proj_up)), self.proj_down))
