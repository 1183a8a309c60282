"""The blocks of xLSTM, with the parameter names and shapes of NX-AI's `xlstm.xLSTMBlockStack`, so that weights can be exchanged.

One or two directions go through a block side by side: token-wise layers one direction after the other, each with its own
weights, and the sequence mixers of both in one batched call. Letters beyond those of `types.py`: G directions (1 or 2),
H heads, I inner width, d width of one head. Source: Beck et al., xLSTM, arXiv 2405.04517, section 2.4 and appendix A.4.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..bridge.layout import Layout
from ..bridge.segments import AHEAD, BACK, Stage, token_wise
from ..errors import largest_divisor
from ..kernels.convolution import causal_convolution, convolution_segment
from ..kernels.dropout import Dropout
from ..kernels.linear import project
from ..kernels.mlstm import mlstm, mlstm_segment
from ..kernels.slstm import slstm, slstm_segment
from .parts import head_count
from .xlstm_cells import FeedForward, MLSTMCell, SLSTMCell
from .xlstm_loops import Reading, loops_run, mlstm_block, normed, slstm_block
from .xlstm_parts import GATES, BlockSettings, Convolution, Headwise, LayerNorm, Places, draw_output, draw_small, halves


class MLSTM(nn.Module):
    """The parameters of the mixer of an mLSTM block."""

    def __init__(self, settings: BlockSettings) -> None:
        super().__init__()
        width, inner = settings.width, settings.inner(settings.expand)
        groups = inner // largest_divisor(inner, settings.qkv_block)
        self.heads = head_count(inner, settings.heads)
        self.backend = settings.backend
        self.learnable_skip = nn.Parameter(torch.ones(inner))
        self.proj_up = nn.Linear(width, 2 * inner, bias=False)
        self.q_proj = Headwise(inner, groups)
        self.k_proj = Headwise(inner, groups)
        self.v_proj = Headwise(inner, groups)
        self.conv1d = Convolution(inner, settings.conv_width)
        self.mlstm_cell = MLSTMCell(inner, self.heads)
        self.proj_down = nn.Linear(inner, width, bias=False)
        self.dropout = Dropout(settings.dropout)
        for layer in (self.proj_up, self.q_proj, self.k_proj, self.v_proj):
            draw_small(layer.weight, width)
        draw_output(self.proj_down.weight, width, settings.blocks)

    def leave(self, mixed: Tensor, convolved: Tensor, gate: Tensor) -> Tensor:
        """(T, H, d), (T, I) and (T, I) to (T, D): norm, skip from the convolution, output gate, down-projection."""
        normed = torch.addcmul(self.mlstm_cell.outnorm.of_heads(mixed), convolved, self.learnable_skip)
        return self.down(normed * functional.silu(gate))

    def down(self, gated: Tensor) -> Tensor:
        """(T, I) to (T, D)."""
        return self.dropout(project(gated, self.proj_down))


class Block(nn.Module):
    """A residual block that reads from left to right."""

    @staticmethod
    def run(blocks: Sequence[Any], inputs: Sequence[Tensor], places: Places) -> list[Tensor]:
        """G tensors (T, D) to as many, one block for each direction."""
        raise NotImplementedError

    def by_loops(self, x: Tensor, reading: Reading) -> Tensor:
        """(T, D) to (T, D), see `xlstm_loops.py`."""
        raise NotImplementedError


class MLSTMBlock(Block):
    """x + mLSTM(norm(x)), the mLSTM between an up- and a down-projection."""

    def __init__(self, settings: BlockSettings, position: int) -> None:
        super().__init__()
        self.xlstm_norm = LayerNorm(settings.width)
        self.xlstm = MLSTM(settings)

    @staticmethod
    def run(blocks: Sequence[MLSTMBlock], inputs: Sequence[Tensor], places: Places) -> list[Tensor]:
        """See Block."""
        layers = [block.xlstm for block in blocks]
        up = [halves(block.xlstm_norm(x), block.xlstm.proj_up) for block, x in zip(blocks, inputs, strict=True)]
        plain = places.padded.pad(torch.cat([x for x, _ in up]) if len(up) > 1 else up[0][0])
        weight, bias = (torch.stack(parts)[:, None, None] for parts in zip(*(layer.conv1d.parts() for layer in layers), strict=True))
        convolved = _convolved(plain.unflatten(0, (len(layers), -1)), weight, bias, places, "convolution").flatten(0, 1)
        made = [_mlstm_inputs(*parts) for parts in zip(layers, convolved.chunk(len(up)), plain.chunk(len(up)), strict=True)]
        joined = [torch.cat(parts) if len(up) > 1 else parts[0] for parts in zip(*made, strict=True)]
        q, k, v, i, f = joined
        if places.carried is None:
            mixed = mlstm(q, k, v, i, f, backend=layers[0].backend, training=layers[0].training)  # (G B, H, L, d)
        else:
            mixed, state = mlstm_segment(q, k, v, i, f, places.before("state"))
            places.keep("state", state)
        mixed_flat, convolved = places.padded.unpad(mixed.transpose(1, 2)), places.padded.unpad(convolved)
        leaving = zip(layers, mixed_flat.chunk(len(up)), convolved.chunk(len(up)), up, strict=True)
        return [x + layer.leave(m, c, gate) for x, (layer, m, c, (_, gate)) in zip(inputs, leaving, strict=True)]

    def by_loops(self, x: Tensor, reading: Reading) -> Tensor:
        """See Block."""
        return mlstm_block(self, x, reading)


def _convolved(x: Tensor, weight: Tensor, bias: Tensor, places: Places, name: str) -> Tensor:
    """(..., L, I), convolved, then SiLU. name: under which a segment keeps what the next one sees of it."""
    if places.carried is None:
        return functional.silu(causal_convolution(x, weight, bias))
    mixed, before = convolution_segment(x, weight, bias, places.before(name))
    places.keep(name, before)
    return functional.silu(mixed)


def _mlstm_inputs(layer: MLSTM, convolved: Tensor, plain: Tensor) -> list[Tensor]:
    """Two (B, L, I) to q, k, v (B, H, L, d) and the preactivations i, f (B, H, L), of one direction."""
    shape = convolved.shape[:2]
    convolved, plain = convolved.flatten(0, 1), plain.flatten(0, 1)
    q, k, v = layer.q_proj(convolved), layer.k_proj(convolved), layer.v_proj(plain)
    gates = layer.mlstm_cell.gates(convolved, plain, layer.q_proj, layer.k_proj, layer.v_proj)
    vectors = [x.view(*shape, layer.heads, -1).transpose(1, 2) for x in (q, k, v)]
    return vectors + list(gates.view(*shape, -1).transpose(1, 2).chunk(2, 1))


class SLSTM(nn.Module):
    """The parameters of the mixer of an sLSTM block."""

    def __init__(self, settings: BlockSettings, position: int) -> None:
        super().__init__()
        width = settings.width
        self.heads = head_count(width, settings.heads)
        self.conv1d = Convolution(width, settings.conv_width)
        self.fgate = Headwise(width, self.heads)
        self.igate = Headwise(width, self.heads)
        self.zgate = Headwise(width, self.heads)
        self.ogate = Headwise(width, self.heads)
        self.slstm_cell = SLSTMCell(width, self.heads, position, settings.blocks)
        self.group_norm = LayerNorm(width)
        self.dropout = Dropout(settings.dropout)
        for name in GATES:
            draw_small(getattr(self, name).weight, width)

    def enter(self, plain: Tensor, convolved: Tensor) -> Tensor:
        """Two (T, D), z and o from the first, i and f from the second, to preactivations (H, T, 4 d)."""
        weights = [getattr(self, name).weight.transpose(1, 2) for name in GATES]
        bias = self.slstm_cell.bias().transpose(0, 1).flatten(1)[:, None]
        half = bias.shape[-1] // 2
        sources = (x.unflatten(-1, (self.heads, -1)).transpose(0, 1) for x in (plain, convolved))
        pairs = zip(sources, (weights[:2], weights[2:]), (bias[..., :half], bias[..., half:]), strict=True)
        with torch.autocast(plain.device.type, enabled=False):
            return torch.cat([torch.baddbmm(part, source.to(bias.dtype), torch.cat(pair, -1)) for source, pair, part in pairs], -1)


class SLSTMBlock(Block):
    """x + sLSTM(norm(x)), then x + feed_forward(norm(x))."""

    def __init__(self, settings: BlockSettings, position: int) -> None:
        super().__init__()
        self.xlstm_norm = LayerNorm(settings.width)
        self.xlstm = SLSTM(settings, position)
        self.ffn_norm = LayerNorm(settings.width)
        self.ffn = FeedForward(settings)

    @staticmethod
    def run(blocks: Sequence[SLSTMBlock], inputs: Sequence[Tensor], places: Places) -> list[Tensor]:
        """See Block."""
        entering = torch.cat([block.gates(x, places, side) for side, (block, x) in enumerate(zip(blocks, inputs, strict=True))])
        recurrent = torch.cat([block.xlstm.slstm_cell.recurrent() for block in blocks])
        if places.carried is None:
            mixed = slstm(entering, recurrent, places.packing)  # (G H, T, d)
        else:
            mixed, state = slstm_segment(entering, recurrent, places.before("state"))
            places.keep("state", state)
        outputs = []
        for block, x, own in zip(blocks, inputs, mixed.chunk(len(blocks)), strict=True):
            own = block.xlstm.dropout(own.transpose(0, 1).index_select(0, places.packing.inverse))
            x = x + block.xlstm.group_norm.of_heads(own)
            outputs.append(x + block.ffn(block.ffn_norm(x)))
        return outputs

    def by_loops(self, x: Tensor, reading: Reading) -> Tensor:
        """See Block."""
        return slstm_block(self, x, reading)

    def gates(self, x: Tensor, places: Places, side: int) -> Tensor:
        """(T, D) to preactivations (H, T, 4 d) in packed order. side: number of the direction."""
        normed = self.xlstm_norm(x)
        padded = _convolved(places.single.pad(normed), *self.xlstm.conv1d.parts(), places, f"convolution {side}")
        order = places.packing.order
        return self.xlstm.enter(normed.index_select(0, order), places.single.unpad(padded).index_select(0, order))


class BlockStack(nn.Module):
    """Blocks one after the other and a last norm, with the names of `xlstm.xLSTMBlockStack`. slstm_at: positions of sLSTM blocks."""

    def __init__(self, settings: BlockSettings, slstm_at: Sequence[int]) -> None:
        super().__init__()
        self.settings = settings
        kinds = [SLSTMBlock if position in slstm_at else MLSTMBlock for position in range(settings.blocks)]
        self.blocks = nn.ModuleList(kind(settings, position) for position, kind in enumerate(kinds))
        self.post_blocks_norm = LayerNorm(settings.width)

    @staticmethod
    def run(stacks: Sequence[BlockStack], inputs: Sequence[Tensor], places: Places, alternate: bool = False) -> list[Tensor]:
        """G tensors (T, D), each in its own reading order, to as many, one stack for each direction.

        alternate: whether every second block reads the other way round.
        """
        streams = list(inputs)
        for position in range(len(stacks[0].blocks)):
            blocks: list[Any] = [stack.blocks[position] for stack in stacks]
            places.block = position
            reverse = alternate and position % 2 == 1
            if reverse:
                streams = [places.single.flip(x) for x in streams]
            streams = type(blocks[0]).run(blocks, streams, places)
            if reverse:
                streams = [places.single.flip(x) for x in streams]
        return [stack.post_blocks_norm(x) for stack, x in zip(stacks, streams, strict=True)]

    def by_loops(self, x: Tensor, layout: Layout, *, reverse: bool = False, alternate: bool = False, side: int = 0) -> Tensor | None:
        """(T, D) to (T, D), one stack by compiled loops; None where they do not run.

        reverse: whether sequences are read from their ends; segments come in the order in which they are read.
        alternate: whether every second block reads the other way round. side: number of the direction, for what segments carry.
        """
        if not self.loops_run(x, layout):
            return None
        blocks: list[Any] = list(self.blocks)
        for position, block in enumerate(blocks):
            backward = reverse != (alternate and position % 2 == 1)
            x = block.by_loops(x, Reading(layout.begins, backward, layout.carried, f"{side} {position}"))
        return normed(x, self.post_blocks_norm)

    def loops_run(self, x: Tensor, layout: Layout) -> bool:
        """Whether the blocks go through compiled loops."""
        return loops_run(self, x, layout, self.settings.backend, self.settings.conv_width)

    def stages(self, alternate: bool) -> list[Stage]:
        """One stack over segments, block by block; alternate as in `run`."""
        blocks: list[Any] = list(self.blocks)
        directions = [BACK if alternate and position % 2 == 1 else AHEAD for position in range(len(blocks))]
        stages = [Stage(partial(self._segment, block), way) for block, way in zip(blocks, directions, strict=True)]
        return [*stages, token_wise(self.post_blocks_norm)]

    def _segment(self, block: Any, streams: Sequence[Tensor], layout: Layout) -> list[Tensor]:
        """One block over one segment: see Stage."""
        if self.loops_run(streams[0], layout):
            return [block.by_loops(streams[0], Reading(layout.begins, carried=layout.carried))]
        found: list[Tensor] = block.run([block], streams, Places(layout, 1))
        return found
