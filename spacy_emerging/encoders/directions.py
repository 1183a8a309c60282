"""Stacks of blocks that read from left to right, wired so that a token sees both sides."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from torch import Tensor, nn

from ..bridge.layout import Layout
from ..bridge.segments import AHEAD, BACK, BOTH, Stage, token_wise
from ..kernels.linear import linear, project
from .parts import RMSNorm

DIRECTIONS: tuple[str, ...] = ("concat", "alternate", "forward")


class Block(nn.Module):
    """A residual block that reads from left to right."""

    @staticmethod
    def run(blocks: Sequence[Any], streams: Sequence[Tensor], layout: Layout) -> list[Tensor]:
        """Per block its stream (T, D) in its own reading order, to (T, D): the blocks of both directions mix tokens in one call.

        layout: where the tokens of each stream lie; of a segment, what is carried into it and on to the next one.
        """
        raise NotImplementedError

    @staticmethod
    def run_in_columns(blocks: Sequence[Any], tokens: Tensor, layout: Layout) -> Tensor | None:
        """The same of streams side by side, (T, blocks x D), all in the order of the tokens; the second one is read from its end.

        None where that is not faster.
        """
        return None


class ConcatLayer(nn.Module):
    """Each direction maps D to D / 2 and runs one block of its own there; the halves are concatenated (see Stack)."""

    def __init__(self, block: Callable[[int], Block], width: int) -> None:
        super().__init__()
        self.enter = nn.Linear(width, width)  # the maps of both directions, one above the other
        self.forward_block, self.backward_block = block(width // 2), block(width // 2)

    def forward(self, tokens: Tensor, layout: Layout) -> Tensor:
        """(T, D) to (T, D)."""
        blocks = [self.forward_block, self.backward_block]
        entered = project(tokens, self.enter)
        made = self.forward_block.run_in_columns(blocks, entered, layout)
        return layout.join(*self.forward_block.run(blocks, layout.part(entered), layout)) if made is None else made

    def stage(self) -> Stage:
        """The layer over segments."""
        return Stage(self._sides, BOTH)

    def _sides(self, streams: Sequence[Tensor], layout: Layout) -> list[Tensor]:
        maps = zip(streams, self.enter.weight.chunk(2), self.enter.bias.chunk(2), strict=True)
        return self.forward_block.run([self.forward_block, self.backward_block], [linear(*parts) for parts in maps], layout)


class FullLayer(nn.Module):
    """One block of the full width, which reads from left to right or, `backward`, each sequence from its end."""

    def __init__(self, block: Callable[[int], Block], width: int, backward: bool) -> None:
        super().__init__()
        self.block, self.backward = block(width), backward

    def forward(self, tokens: Tensor, layout: Layout) -> Tensor:
        """(T, D) to (T, D)."""
        if not self.backward:
            return self.block.run([self.block], [tokens], layout)[0]
        return layout.flip(self.block.run([self.block], [layout.flip(tokens)], layout)[0])

    def stage(self) -> Stage:
        """The layer over segments."""
        return Stage(partial(self.block.run, [self.block]), BACK if self.backward else AHEAD)


class Stack(nn.Module):
    """Layers of blocks, and a final norm.

    block: makes one for a width; blocks of one kind run together. width: D, even. depth: layers.
    direction: "concat": both directions of a layer feed both of the next, the wiring of a stacked BiLSTM and of the BixLSTM of
    arXiv 2509.25918. "alternate": one block of width D per layer, every second one reads backward, as in Vision-LSTM
    (arXiv 2406.04303). "forward": left to right only.
    """

    def __init__(self, block: Callable[[int], Block], width: int, depth: int, direction: str) -> None:
        super().__init__()
        if direction == "concat":
            layers: list[nn.Module] = [ConcatLayer(block, width) for _ in range(depth)]
        else:
            layers = [FullLayer(block, width, backward=direction == "alternate" and layer % 2 == 1) for layer in range(depth)]
        self.layers = nn.ModuleList(layers)
        self.norm = RMSNorm(width)

    def forward(self, tokens: Tensor, layout: Layout) -> Tensor:
        """(T, D) to (T, D)."""
        for layer in self.layers:
            tokens = layer(tokens, layout)
        return self.norm(tokens)

    def stages(self) -> list[Stage]:
        """See `bridge/segments.py`."""
        layers: list[Any] = list(self.layers)
        return [*(layer.stage() for layer in layers), token_wise(self.norm)]
