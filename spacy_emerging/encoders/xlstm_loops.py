"""The blocks of xLSTM by compiled loops: on flat tensors (T, ...), without padding, and from either end of the sequences without a copy.

The same functions as `run` of the blocks in `xlstm_blocks.py`, of one direction, over whole sequences or over segments. Letters as there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..bridge.layout import Carried, Layout
from ..kernels import native
from ..kernels.backend import choose
from ..kernels.convolution import MOST_TAPS, convolution_of_sequences, convolution_segment_by_loops
from ..kernels.head_norm import head_norm, head_norm_skip_gate
from ..kernels.headwise import Projected, project_by_loops
from ..kernels.mlstm_loops import mlstm_of_sequences, mlstm_segment_by_loops
from ..kernels.slstm_loops import slstm_of_sequences, slstm_segment_by_loops
from .xlstm_parts import GATES, Convolution, LayerNorm, halves


def loops_run(module: nn.Module, x: Tensor, layout: Layout, backend: str, taps: int) -> bool:
    """Whether the blocks in a module can go through the loops: not where the vendors' kernels are taken."""
    if taps > MOST_TAPS or torch.is_autocast_enabled("cpu") or not native.usable(x, next(module.parameters())):
        return False
    return layout.carried is not None or choose(backend, "mlstm_kernels", x, module.training) == "torch"


@dataclass(frozen=True)
class Reading:
    """How a block reads: where sequences begin, and whether it reads them from their ends; or one segment, in reading order.

    carried: as in Layout; None for whole sequences. name: under which the block keeps there what the next segment is to know.
    """

    begins: Tensor
    reverse: bool = False
    carried: Carried | None = None
    name: str = ""

    def convolved(self, x: Tensor, layer: Convolution) -> Tensor:
        """(T, I) to (T, I), with SiLU after it. From the end of a sequence the tokens before are those that come later."""
        weight, bias = layer.parts()
        if self.carried is not None:
            key = f"convolution {self.name}"
            convolved, self.carried[key] = convolution_segment_by_loops(x, weight, bias, self.begins, self.carried.get(key))
            return convolved
        ahead = weight.shape[1] - 1 if self.reverse else 0
        whole = convolution_of_sequences(x, weight.flip(1) if self.reverse else weight, bias, self.begins, ahead=ahead)
        assert whole is not None
        return whole

    def by_mlstm(self, made: Projected) -> Tensor:
        """To (T, I)."""
        if self.carried is not None:
            mixed, self.carried[self.name] = mlstm_segment_by_loops(*made, self.begins, self.carried.get(self.name))
            return mixed
        whole = mlstm_of_sequences(*made, self.begins, reverse=self.reverse)
        assert whole is not None
        return whole

    def by_slstm(self, plain: Tensor, convolved: Tensor, layer: Any) -> Tensor:
        """To (T, D)."""
        cell, inputs = layer.slstm_cell, [getattr(layer, name).weight for name in GATES]
        given = (plain, convolved, inputs, cell._recurrent_kernel_, cell._bias_, self.begins)
        if self.carried is not None:
            mixed, self.carried[self.name] = slstm_segment_by_loops(*given, self.carried.get(self.name))
            return mixed
        whole = slstm_of_sequences(*given, reverse=self.reverse)
        assert whole is not None
        return whole


def mlstm_block(block: Any, x: Tensor, reading: Reading) -> Tensor:
    """(T, D) to (T, D)."""
    layer = block.xlstm
    plain, gate = halves(normed(x, block.xlstm_norm), layer.proj_up)
    convolved = reading.convolved(plain, layer.conv1d)
    mixed = reading.by_mlstm(_mlstm_inputs(layer, convolved, plain))
    weight = layer.mlstm_cell.outnorm.weight
    gated = head_norm_skip_gate(mixed, weight, convolved, layer.learnable_skip, gate, layer.heads)
    assert gated is not None
    return x + layer.down(gated)


def _mlstm_inputs(layer: Any, convolved: Tensor, plain: Tensor) -> Projected:
    """Two (T, I) to q, k, v (T, I) and the preactivations of the gates (T, 2 H)."""
    three = (layer.q_proj, layer.k_proj, layer.v_proj)
    gates = (layer.mlstm_cell.igate, layer.mlstm_cell.fgate)
    weights, gate_weights, gate_biases = [each.weight for each in three], [gate.weight for gate in gates], [gate.bias for gate in gates]
    made = project_by_loops(convolved, plain, weights, gate_weights, gate_biases)
    if made is not None:
        return made
    q, k, v = (each(x) for each, x in zip(three, (convolved, convolved, plain), strict=True))
    return Projected(q, k, v, layer.mlstm_cell.gates(convolved, plain, *three))


def slstm_block(block: Any, x: Tensor, reading: Reading) -> Tensor:
    """(T, D) to (T, D)."""
    layer = block.xlstm
    plain = normed(x, block.xlstm_norm)
    mixed = reading.by_slstm(plain, reading.convolved(plain, layer.conv1d), layer)
    x = x + normed(layer.dropout(mixed), layer.group_norm, layer.heads)
    return x + block.ffn(normed(x, block.ffn_norm))


def normed(x: Tensor, norm: LayerNorm, heads: int = 1) -> Tensor:
    """(T, H d) to (T, H d), each head normalized for itself."""
    found = head_norm(x, norm.weight, heads)
    assert found is not None
    return found
