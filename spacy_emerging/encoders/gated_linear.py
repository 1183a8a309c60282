"""GateLoop: linear recurrence whose complex decays are controlled by the data (arXiv 2311.01927)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from thinc.api import Model
from thinc.types import Floats2d
from torch import Tensor, nn
from torch.nn import functional

from ..bridge.encoder import MAX_BATCH_TOKENS, build_encoder
from ..bridge.layout import Layout
from ..errors import SettingError, check_number, check_whole
from ..kernels.dropout import Dropout
from ..kernels.gated_linear import gated_linear, gated_linear_segment
from ..kernels.linear import project
from .directions import DIRECTIONS as DIRECTIONS
from .directions import Block, Stack
from .parts import FeedForward, RMSNorm, head_count, scale_down

NAME = "spacy-emerging.GatedLinearEncoder.v1"

MAPS = 5
"""What is mixed: queries, keys, values, magnitudes and phases of the decays, each as wide as the block."""

SHORTEST, LONGEST = 2.0, 64.0
"""After how many tokens keys forget at first, 1 / (1 - sigmoid(magnitude)), geometrically spaced over a head. Our default."""


class HeadNorm(nn.Module):
    """Group norm of the channels of a token, one group per head. weight, bias: (D,)."""

    def __init__(self, heads: int, width: int) -> None:
        super().__init__()
        self.heads = heads
        self.weight, self.bias = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        """(T, D) to (T, D)."""
        by_head = x.unflatten(-1, (self.heads, -1))
        return torch.addcmul(self.bias, functional.layer_norm(by_head, by_head.shape[-1:]).flatten(1), self.weight)


class GatedLinearBlock(Block):
    """x + out(group norm(recurrence(norm(x))) * silu(gate)), then x + feed-forward(norm(x)).

    width: D. heads: falls to the largest divisor of D that leaves 4 channels to each. feed_forward: its inner width in D.
    depth: layers of the stack. dropout: rate on what each half of the block adds. chunk: tokens of a chunk.
    """

    def __init__(self, width: int, heads: int, feed_forward: float, depth: int, dropout: float, chunk: int) -> None:
        super().__init__()
        self.heads, self.chunk = head_count(width, heads), chunk
        self.norm = RMSNorm(width)
        self.enter = nn.Linear(width, MAPS * width)  # q, k, v, magnitude, phase
        self.gate = nn.Linear(width, width)
        self.group_norm = HeadNorm(self.heads, width)
        self.out = nn.Linear(width, width)
        scale_down(self.out, 2 * depth)
        self.feed_forward = FeedForward(width, feed_forward, 2 * depth)
        self.dropout = Dropout(dropout)
        with torch.no_grad():
            memory = torch.exp(torch.linspace(math.log(SHORTEST), math.log(LONGEST), width // self.heads)).repeat(self.heads)
            self.enter.bias.chunk(MAPS)[3].copy_(torch.log(memory - 1))  # sigmoid of this is 1 - 1 / memory
            self.enter.bias.chunk(MAPS)[4].zero_()

    @staticmethod
    def run(blocks: Sequence[Any], streams: Sequence[Tensor], layout: Layout) -> list[Tensor]:
        """See Block."""
        places, carried = layout.doubled() if len(blocks) == 2 else layout, layout.carried
        normed = [block.norm(stream) for block, stream in zip(blocks, streams, strict=True)]
        entered = [project(x, block.enter) for block, x in zip(blocks, normed, strict=True)]
        padded = places.pad(torch.cat(entered)).unflatten(-1, (MAPS, blocks[0].heads, -1))  # (B, L, 5, H, N)
        with torch.autocast(padded.device.type, enabled=False):
            q, k, v, magnitude, phase = padded.unbind(2)
            if carried is None:
                read = gated_linear(q, k, v, magnitude, phase, blocks[0].chunk)
            else:
                read, carried["state"] = gated_linear_segment(q, k, v, magnitude, phase, blocks[0].chunk, carried.get("state"))
            mixed = places.unpad(read).flatten(1)
        parts = zip(blocks, streams, normed, mixed.chunk(len(blocks)), strict=True)
        return [block._leave(stream, x, y) for block, stream, x, y in parts]

    def _leave(self, stream: Tensor, normed: Tensor, mixed: Tensor) -> Tensor:
        """The stream, what entered the mixer and what came out of it, all (T, D), to (T, D)."""
        gated = self.group_norm(mixed) * functional.silu(project(normed, self.gate))
        stream = stream + self.dropout(project(gated, self.out))
        return self.feed_forward(stream, self.dropout)


class GatedLinear(Stack):
    """Stacked GateLoop blocks. Settings: see GatedLinearEncoder."""

    def __init__(
        self,
        width: int,
        depth: int,
        direction: str = "concat",
        dropout: float = 0.0,
        heads: int = 4,
        feed_forward: float = 4.0,
        chunk: int = 32,
    ) -> None:
        sizes: dict[str, Any] = {"heads": heads, "feed_forward": feed_forward, "chunk": chunk}
        super().__init__(partial(GatedLinearBlock, depth=depth, dropout=dropout, **sizes), width, depth, direction)


def GatedLinearEncoder(
    width: int,
    depth: int,
    direction: str = "concat",
    dropout: float = 0.0,
    backend: str = "auto",
    max_batch_tokens: int = MAX_BATCH_TOKENS,
    heads: int = 4,
    feed_forward: float = 4.0,
    chunk: int = 32,
    lr_scale: float = 1.0,
    max_grad_norm: float = 0.0,
    amp: str | None = None,
) -> Model[list[Floats2d], list[Floats2d]]:
    """A stack of GateLoop blocks [Katsch 2023, arXiv 2311.01927], linear in the length of a Doc.

    Every key of a head has a complex decay of its own, sigmoid(linear(x)) exp(i linear(x)): the paper's general form (section 3),
    of which RetNet and gated linear attention are the cases with fixed or real decays. Queries, keys and values are real. What is
    read is normalised head by head and gated by silu(linear(x)); then comes a feed-forward layer, a norm before each.
    The paper runs its models with one key per head; heads with several keys and values hold a matrix of state for the same
    parameters, and are computed by matrix products: our default.
    width (int): Input and output width D. Even; recommended 128 to 512.
    depth (int): Layers. Recommended 1 to 4.
    direction (str): "concat" (every layer in both directions, D / 2 units each, own weights), "alternate" (blocks of width D, every
        second layer reads backward, so that it takes two layers to see both sides) or "forward".
    dropout (float): Rate on what each half of a block adds, until spaCy sets `training.dropout`. Recommended 0.1 to 0.3.
    backend (str): "auto", "torch" or "cuda": all run the same operations of torch. It has no effect, of which "cuda" warns.
    max_batch_tokens (int): Largest padded size of a bucket of sequences.
    heads (int): Heads of a direction; falls to the largest divisor of its width that leaves 4 channels to each. Recommended 2 to 8,
        our default 4.
    feed_forward (float): Inner width of the feed-forward layer, in widths of a direction. Recommended 2 to 4, our default 4.
    chunk (int): Tokens per chunk, a power of 2; changes speed and memory, not results. Recommended 16 to 64, our default 32.
    lr_scale (float): Factor on the learning rate; 0 freezes. max_grad_norm (float): Global gradient norm; 0 is off.
    amp (Optional[str]): null, "bf16" or "fp16".
    Raises SettingError for a setting that cannot work.
    """
    settings = dict(locals())
    check_whole(NAME, "heads", heads)
    check_whole(NAME, "chunk", chunk)
    if chunk & (chunk - 1):
        raise SettingError(f"{NAME}: setting 'chunk' is {chunk!r}, but must be a power of 2, such as 16, 32 or 64.")
    check_number(NAME, "feed_forward", feed_forward, above_zero=True)
    return build_encoder(NAME, GatedLinear, DIRECTIONS, settings)
