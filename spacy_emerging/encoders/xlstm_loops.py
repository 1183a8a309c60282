"""The blocks of xLSTM by compiled loops: on flat tensors (T, ...), without padding, and from either end of the sequences without a copy.

The same functions as `run` of the blocks in `xlstm_blocks.py`, of one direction. Letters as there.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ..bridge.layout import Layout
from ..kernels import native
from ..kernels.backend import choose
from ..kernels.convolution import MOST_TAPS, convolution_of_sequences
from ..kernels.head_norm import head_norm, head_norm_skip_gate
from ..kernels.headwise import Projected, project_by_loops
from ..kernels.mlstm_loops import mlstm_of_sequences
from ..kernels.slstm_loops import slstm_of_sequences
from .xlstm_parts import GATES, Convolution, LayerNorm, halves


def loops_run(module: nn.Module, x: Tensor, layout: Layout, backend: str, taps: int) -> bool:
    """Whether the blocks in a module can go through the loops: not over segments, nor where the vendors' kernels are taken."""
    if layout.carried is not None or taps > MOST_TAPS or torch.is_autocast_enabled("cpu"):
        return False
    return native.usable(x, next(module.parameters())) and choose(backend, "mlstm_kernels", x, module.training) == "torch"


def mlstm_block(block: Any, x: Tensor, begins: Tensor, reverse: bool) -> Tensor:
    """(T, D) to (T, D). reverse: whether sequences are read from their ends."""
    layer = block.xlstm
    plain, gate = halves(_normed(x, block.xlstm_norm), layer.proj_up)
    convolved = _convolved(plain, layer.conv1d, begins, reverse)
    mixed = mlstm_of_sequences(*_mlstm_inputs(layer, convolved, plain), begins, reverse=reverse)
    assert mixed is not None
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


def slstm_block(block: Any, x: Tensor, begins: Tensor, reverse: bool) -> Tensor:
    """(T, D) to (T, D). reverse: whether sequences are read from their ends."""
    layer = block.xlstm
    plain = _normed(x, block.xlstm_norm)
    convolved = _convolved(plain, layer.conv1d, begins, reverse)
    cell, inputs = layer.slstm_cell, [getattr(layer, name).weight for name in GATES]
    mixed = slstm_of_sequences(plain, convolved, inputs, cell._recurrent_kernel_, cell._bias_, begins, reverse=reverse)
    assert mixed is not None
    x = x + _normed(layer.dropout(mixed), layer.group_norm, layer.heads)
    return x + block.ffn(_normed(x, block.ffn_norm))


def _normed(x: Tensor, norm: LayerNorm, heads: int = 1) -> Tensor:
    """(T, H d) to (T, H d)."""
    normed = head_norm(x, norm.weight, heads)
    assert normed is not None
    return normed


def _convolved(x: Tensor, layer: Convolution, begins: Tensor, reverse: bool) -> Tensor:
    """(T, I) to (T, I), with SiLU after it. From the end of a sequence the tokens before are those that come later."""
    weight, bias = layer.parts()
    if reverse:
        convolved = convolution_of_sequences(x, weight.flip(1), bias, begins, ahead=weight.shape[1] - 1)
    else:
        convolved = convolution_of_sequences(x, weight, bias, begins)
    assert convolved is not None
    return convolved
