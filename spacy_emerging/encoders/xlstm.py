"""xLSTM: stacks of matrix-memory and scalar-memory LSTM blocks, in one or in both directions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from thinc.api import Model
from thinc.types import Floats2d
from torch import Tensor, nn

from ..bridge.encoder import MAX_BATCH_TOKENS, build_encoder
from ..bridge.layout import Layout
from ..bridge.segments import BOTH, Stage
from ..errors import SettingError, check_number, check_whole
from ..kernels.linear import project
from .xlstm_blocks import BlockStack
from .xlstm_parts import BlockSettings, Places

DIRECTIONS: tuple[str, ...] = ("concat", "alternate", "forward")
NAME = "spacy-emerging.XLSTMEncoder.v1"


class ConcatLayer(nn.Module):
    """One bidirectional layer: in each direction a projection from D to D / 2 and two blocks; the two results side by side.

    width: D. slstm_at: which of the two blocks (0, 1) are sLSTM blocks. shared: the other settings of the blocks.
    """

    def __init__(self, width: int, slstm_at: Sequence[int], **shared: Any) -> None:
        super().__init__()
        settings = BlockSettings(width=width // 2, blocks=2, **shared)
        self.enter_ahead, self.enter_back = (nn.Linear(width, width // 2) for _ in range(2))
        self.ahead, self.back = (BlockStack(settings, slstm_at) for _ in range(2))

    def forward(self, tokens: Tensor, places: Places) -> Tensor:
        """(T, D) to (T, D)."""
        layout = places.single
        ahead = self.ahead.by_loops(project(tokens, self.enter_ahead), layout)
        if ahead is not None:
            back = self.back.by_loops(project(tokens, self.enter_back), layout, reverse=True)
            assert back is not None
            return torch.cat([ahead, back], -1)
        streams = [project(tokens, self.enter_ahead), places.single.flip(project(tokens, self.enter_back))]
        ahead, back = BlockStack.run([self.ahead, self.back], streams, places)
        return torch.cat([ahead, places.single.flip(back)], -1)

    def segment(self, streams: Sequence[Tensor], layout: Layout) -> list[Tensor]:
        """The layer over one segment: see Stage."""
        entered = [project(x, enter) for x, enter in zip(streams, (self.enter_ahead, self.enter_back), strict=True)]
        ahead, back = (
            stack.by_loops(x, layout, side=side) for side, (stack, x) in enumerate(zip((self.ahead, self.back), entered, strict=True))
        )
        if ahead is not None and back is not None:
            return [ahead, back]
        return BlockStack.run([self.ahead, self.back], entered, Places(layout, 2))


class XLSTM(nn.Module):
    """xLSTM over the tokens of a batch; the settings are those of `XLSTMEncoder`.

    In direction "forward" and "alternate" the attribute `stack` has the parameter names and shapes of `xlstm.xLSTMBlockStack`;
    in direction "concat" every `layers[n].ahead` and `layers[n].back` has, with two blocks.
    """

    def __init__(
        self, width: int, depth: int, direction: str = "concat", dropout: float = 0.0, slstm_at: Sequence[int] | None = None, **shared: Any
    ) -> None:
        super().__init__()
        self.direction = direction
        positions = range(1, 2 * depth, 2) if slstm_at is None else slstm_at
        if direction == "concat":
            inside = [[position - 2 * layer for position in positions if position // 2 == layer] for layer in range(depth)]
            self.layers = nn.ModuleList(ConcatLayer(width, places, dropout=dropout, **shared) for places in inside)
        else:
            self.stack = BlockStack(BlockSettings(width=width, blocks=2 * depth, dropout=dropout, **shared), positions)

    def forward(self, tokens: Tensor, layout: Layout) -> Tensor:
        """(T, D) to (T, D)."""
        if self.direction == "concat":
            places = Places(layout, 2)
            for layer in self.layers:
                tokens = layer(tokens, places)
            return tokens
        alternate = self.direction == "alternate"
        looped = self.stack.by_loops(tokens, layout, alternate=alternate)
        return BlockStack.run([self.stack], [tokens], Places(layout, 1), alternate=alternate)[0] if looped is None else looped

    def stages(self) -> list[Stage]:
        """See `bridge/segments.py`."""
        if self.direction == "concat":
            layers: list[Any] = list(self.layers)
            return [Stage(layer.segment, BOTH) for layer in layers]
        return self.stack.stages(alternate=self.direction == "alternate")


def XLSTMEncoder(
    width: int,
    depth: int,
    direction: str = "concat",
    dropout: float = 0.0,
    backend: str = "auto",
    max_batch_tokens: int = MAX_BATCH_TOKENS,
    heads: int = 4,
    slstm_at: list[int] | None = None,
    conv_width: int = 4,
    qkv_block: int = 4,
    expand: float = 2.0,
    feed_forward: float = 1.3,
    lr_scale: float = 1.0,
    max_grad_norm: float = 0.0,
    amp: str | None = None,
) -> Model[list[Floats2d], list[Floats2d]]:
    """Layers of one mLSTM and one sLSTM block each [Beck et al., xLSTM, arXiv 2405.04517].

    width (int): Input and output width D. Even; recommended 128 to 512.
    depth (int): Layers of two blocks each. Recommended 1 to 4.
    direction (str): "concat": every layer runs in both directions with blocks of width D / 2, and both results feed both directions
        of the next, as the BixLSTM of Ezquerro et al. (arXiv 2509.25918). "alternate": blocks of width D, every second one reads
        backward, as in Vision-LSTM (arXiv 2406.04303). "forward": blocks of width D, left to right.
    dropout (float): Rate on the output of every mixer and feed-forward layer, until spaCy sets `training.dropout`. Recommended 0.0 to 0.3.
    backend (str): "auto", "torch" or "cuda": the latter takes the authors' kernels for the mLSTM (package mlstm_kernels).
    max_batch_tokens (int): Largest padded size of a bucket of sequences.
    heads (int): Heads of both mixers, or the largest smaller divisor of the width that leaves 4 channels to each. Recommended 4.
    slstm_at (Optional[List[int]]): Which of the 2 x depth block positions are sLSTM blocks, from 0; null: every second one.
    conv_width (int): Tokens that the causal convolutions see. Recommended 4.
    qkv_block (int): Channels that are projected together to queries, keys and values. Recommended 4.
    expand (float): Inner width of mLSTM blocks in D, rounded up to a multiple of 64. Recommended 2.
    feed_forward (float): Inner width of feed-forward layers in D, rounded up to a multiple of 64. Recommended 1.3.
    lr_scale (float): Factor on the learning rate; 0 freezes. max_grad_norm (float): Global gradient norm; 0 is off.
    amp (Optional[str]): null, "bf16" or "fp16".
    Widths, heads and factors default to those of the authors' implementation. Raises SettingError for a setting that cannot work.
    """
    settings = dict(locals())
    for size in ("heads", "conv_width", "qkv_block"):
        check_whole(NAME, size, settings[size])
    for factor in ("expand", "feed_forward"):
        check_number(NAME, factor, settings[factor], above_zero=True)
    check_whole(NAME, "depth", depth)
    _check_positions(depth, slstm_at)
    return build_encoder(NAME, XLSTM, DIRECTIONS, settings, kernels="mlstm_kernels")


def _check_positions(depth: int, slstm_at: Sequence[int] | None) -> None:
    """Raises SettingError unless these are different block positions, or None."""
    known = range(2 * depth)
    given = [] if slstm_at is None else slstm_at
    valid = isinstance(given, Sequence) and all(type(position) is int and position in known for position in given)
    if not valid or len(set(given)) < len(given):
        raise SettingError(
            f"{NAME}: setting 'slstm_at' is {slstm_at!r}, but must name different block positions from 0 to {2 * depth - 1} "
            f"(depth {depth} means {2 * depth} blocks)."
        )
