"""The block of minGRU and minLSTM, which differ in their gates alone (arXiv 2410.01201)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ..bridge.layout import Carried, Layout
from ..kernels.convolution import (
    causal_convolution,
    convolution_of_sequences,
    convolution_segment,
    convolution_segment_by_loops,
    convolution_usable,
)
from ..kernels.dropout import Dropout
from ..kernels.linear import project
from ..kernels.linear_scan import linear_scan
from ..kernels.looped_mixer import Side, looped_block
from ..kernels.minimal_block import MinimalLoops, Parameters
from ..kernels.minimal_gates import minimal_gates
from ..kernels.minimal_scan import minimal_layer
from ..kernels.quantized import is_quantized
from .directions import Block, Stack
from .parts import DepthwiseWeights, FeedForward, RMSNorm, scale_down


class MinimalBlock(Block):
    """x + out(recurrence(convolution(norm(x)))), then x + feed-forward(norm(x)).

    width: D. gates: linear maps of the recurrence, 2 for minGRU (update gate, candidate), 3 for minLSTM (forget gate, input gate,
    candidate). expand: inner width in D. conv_width: tokens that the convolution sees; 0 for none. feed_forward: its inner width
    in D. depth: layers of the stack. dropout: rate on what each half of the block adds.
    """

    def __init__(self, width: int, gates: int, expand: float, conv_width: int, feed_forward: float, depth: int, dropout: float) -> None:
        super().__init__()
        self.inner = max(1, round(expand * width))
        self.norm = RMSNorm(width)
        if conv_width:
            self.conv = DepthwiseWeights(width, conv_width)
        self.gates = nn.Linear(width, gates * self.inner)
        self.out = nn.Linear(self.inner, width)
        scale_down(self.out, 2 * depth)
        self.feed_forward = FeedForward(width, feed_forward, 2 * depth)
        self.dropout = Dropout(dropout)

    @staticmethod
    def run(blocks: Sequence[MinimalBlock], streams: Sequence[Tensor], layout: Layout) -> list[Tensor]:
        """See Block."""
        made = MinimalBlock.run_in_columns(blocks, streams[0], layout) if len(blocks) == 1 else None
        if made is not None:
            return [made]
        places, carried = layout.doubled() if len(blocks) == 2 else layout, layout.carried
        normed = [block.norm(stream) for block, stream in zip(blocks, streams, strict=True)]
        looped = [block._by_loops(x, layout, f"side {side}") for side, (block, x) in enumerate(zip(blocks, normed, strict=True))]
        done = [each for each in looped if each is not None]
        if len(done) == len(blocks):
            return [block._leave(stream, state) for block, stream, state in zip(blocks, streams, done, strict=True)]
        if hasattr(blocks[0], "conv"):
            normed = _convolved([block.conv for block in blocks], normed, places, carried)
        preactivations = [project(x, block.gates) for block, x in zip(blocks, normed, strict=True)]
        with torch.autocast(streams[0].device.type, enabled=False):
            decay, update = minimal_gates(preactivations, blocks[0].inner)
            before = None if carried is None else carried.get("state")
            padded = linear_scan(places.pad(decay), places.pad(update), before)
            if carried is not None:
                carried["state"] = padded[:, -1].clone()
            states = places.unpad(padded)
        parts = zip(blocks, streams, states.chunk(len(blocks)), strict=True)
        return [block._leave(stream, state) for block, stream, state in parts]

    @staticmethod
    def run_in_columns(blocks: Sequence[MinimalBlock], tokens: Tensor, layout: Layout) -> Tensor | None:
        """See Block."""
        if layout.carried is not None or not hasattr(blocks[0], "conv") or any(map(is_quantized, blocks)):
            return None
        dropout, orders = blocks[0].dropout, (None, layout.reverse_index if len(blocks) == 2 else None)
        sides = [block._side(order, residual=not dropout.active) for block, order in zip(blocks, orders, strict=False)]
        made = looped_block(MinimalLoops(), tokens, sides, layout.begins)
        if made is None:
            return None
        tokens = tokens + dropout(made) if dropout.active else made
        return FeedForward.of_streams([block.feed_forward for block in blocks], tokens, dropout)

    def _side(self, order: Tensor | None, residual: bool) -> Side:
        """What the first half of the block gives the loops."""
        given = Parameters(self.conv.weight.squeeze(1), self.conv.bias, self.gates.bias, self.out.bias)
        return Side(self.norm.weight, self.gates.weight, self.out.weight, given, order, residual)

    def _by_loops(self, normed: Tensor, layout: Layout, name: str) -> Tensor | None:
        """The states (T, inner) given the normalized stream (T, D), by compiled loops; None where they do not run.

        name: under which a segment keeps what the next one is to know.
        """
        x: Tensor | None = normed
        carried = layout.carried
        seen, start = (carried or {}).get(name, (None, None))
        if hasattr(self, "conv"):
            given = (normed, self.conv.weight.squeeze(1), self.conv.bias)
            if carried is None:
                x = convolution_of_sequences(*given, layout.begins, activated=False)
            elif convolution_usable(*given):
                x, seen = convolution_segment_by_loops(*given, layout.begins, seen, activated=False)
            else:
                x = None
        states = None if x is None else minimal_layer(x, self.gates, self.inner, layout.begins, start)
        if carried is not None and states is not None:
            carried[name] = seen, states[-1:].clone()
        return states

    def _leave(self, stream: Tensor, states: Tensor) -> Tensor:
        """The stream (T, D) and the states (T, inner) of its recurrence, to (T, D)."""
        stream = stream + self.dropout(project(states, self.out))
        return self.feed_forward(stream, self.dropout)


def _convolved(convs: Sequence[DepthwiseWeights], streams: Sequence[Tensor], places: Layout, carried: Carried | None) -> list[Tensor]:
    """Per stream (T, D) to (T, D); tokens see none of a later place and none of another sequence. carried: see Layout."""
    weight = torch.stack([conv.weight.squeeze(1) for conv in convs])[:, None, None]
    bias = torch.stack([conv.bias for conv in convs])[:, None, None]
    padded = places.pad(torch.cat(list(streams)) if len(streams) > 1 else streams[0])
    if carried is None:
        mixed = causal_convolution(padded.unflatten(0, (len(convs), -1)), weight, bias)
    else:
        x = padded.unflatten(0, (len(convs), -1))
        mixed, carried["convolution"] = convolution_segment(x, weight, bias, carried.get("convolution"))
    return list(places.unpad(mixed.flatten(0, 1)).chunk(len(convs)))


class MinimalStack(Stack):
    """Stacked blocks; what an encoder adds is how many linear `maps` of an input its recurrence has. Settings: see the encoders."""

    maps: ClassVar[int]

    def __init__(
        self,
        width: int,
        depth: int,
        direction: str = "concat",
        dropout: float = 0.0,
        expand: float = 2.0,
        conv_width: int = 4,
        feed_forward: float = 4.0,
    ) -> None:
        sizes: dict[str, Any] = {"expand": expand, "conv_width": conv_width, "feed_forward": feed_forward}
        super().__init__(partial(MinimalBlock, gates=self.maps, depth=depth, dropout=dropout, **sizes), width, depth, direction)
