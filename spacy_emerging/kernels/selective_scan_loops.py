"""The selective scan with its step sizes and its gate, by compiled loops (see `native`).

The same as what `selective_scan` computes, with softplus before it and the gate after it, without padding. The loops keep one state in
BLOCK tokens, and lay out no others. Letters as in `selective_scan.py`, and T tokens, and R units that the step sizes come from.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from . import native

BLOCK = 32
"""Tokens of a block, as in selective_scan.h."""

MOST_LANES = 16
"""Numbers in a vector of the loops at most: what is kept of the states has room for whole ones."""


class Parameters(NamedTuple):
    """Weights (D, R) and biases (D,) of the step sizes, decay rates (D, N), which are at most 0, and skip (D,)."""

    step_weight: Tensor
    step_bias: Tensor
    rate: Tensor
    skip: Tensor


def selective_scan_of_sequences(x: Tensor, gate: Tensor, selected: Tensor, parameters: Parameters, begins: Tensor) -> Tensor | None:
    """x, (T, D), through the scan and times silu(gate), to (T, D). None where the compiled loops do not run.

    gate: (T, D), columns of something wider perhaps. selected: (T, R + 2 N), what the step sizes are computed from, B and C.
    begins: (B + 1,) int64, where the sequences begin, and T. Computed in at least float32, whatever autocast says.
    """
    x, gate, selected = (t.float() if t.dtype in (torch.float16, torch.bfloat16) else t for t in (x, gate, selected))
    if not native.usable(x, gate, selected, *parameters):
        return None
    return _Scan.apply(x, gate, selected, *parameters, begins, torch.is_grad_enabled())


class _Scan(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, gate: Tensor, selected: Tensor, *rest: Any) -> Tensor:
        parameters, (begins, wanted) = Parameters(*(parameter.contiguous() for parameter in rest[:-2])), rest[-2:]
        x, selected = x.contiguous(), selected.contiguous()
        gate = gate if gate.stride(1) == 1 else gate.contiguous()
        y, kept = scan_forward(x, gate, selected, parameters, begins, keep=wanted)
        if wanted:
            ctx.save_for_backward(x, gate, selected, *parameters, begins, kept)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, gate, selected, *rest, begins, kept = ctx.saved_tensors
        grad_x, grad_gate = torch.empty_like(x), gate.new_empty(gate.shape)
        found = scan_backward(x, gate, selected, Parameters(*rest), begins, kept, grad.contiguous(), grad_x, grad_gate)
        return grad_x, grad_gate, *found, None, None


def scan_forward(
    x: Tensor,
    gate: Tensor,
    selected: Tensor,
    parameters: Parameters,
    begins: Tensor,
    *,
    keep: bool,
    start: Tensor | None = None,
    end: Tensor | None = None,
) -> tuple[Tensor, Tensor | None]:
    """To y, (T, D), and what the backward pass needs of the states, if that is wanted. x, selected, parameters: contiguous.

    start, end: the states before the first tokens, and where those after the last ones are written, as from `states_of`.
    """
    places, blocks = _blocks(begins)
    kept = states_of(x, parameters, blocks) if keep else None
    y, room = torch.empty_like(x), states_of(x, parameters, 0).shape[1]
    given = (x, selected, gate, *parameters, begins, places, kept, start, end, y, room)
    native.run("selective_scan_forward", *given, *_sizes(gate, parameters, begins))
    return y, kept


def states_of(x: Tensor, parameters: Parameters, count: int) -> Tensor:
    """Room for so many states of all channels, in the order of the loops."""
    return x.new_empty(count, parameters.rate.shape[1] * (x.shape[1] + MOST_LANES))


def scan_backward(
    x: Tensor,
    gate: Tensor,
    selected: Tensor,
    parameters: Parameters,
    begins: Tensor,
    kept: Tensor,
    grad: Tensor,
    grad_x: Tensor,
    grad_gate: Tensor,
) -> tuple[Tensor, ...]:
    """Writes the gradients of x and of the gate, which may be columns of something wider; gives those of `selected` and the parameters."""
    parts = _parts(len(begins) - 1)
    grad_selected = selected.new_empty(parts, *selected.shape)
    of_threads = [parameter.new_empty(torch.get_num_threads(), *parameter.shape) for parameter in parameters]
    given = (x, selected, gate, *parameters, begins, _blocks(begins)[0], kept, grad)
    sizes = (*_sizes(gate, parameters, begins), grad_gate.stride(0))
    native.run("selective_scan_backward", *given, grad_x, grad_selected, grad_gate, *of_threads, *sizes)
    return tuple(each[0] if len(each) == 1 else each.sum(0) for each in (grad_selected, *of_threads))


def _sizes(gate: Tensor, parameters: Parameters, begins: Tensor) -> tuple[int, ...]:
    """Numbers from row to row of the gate, B, D, N and R."""
    return gate.stride(0), len(begins) - 1, *parameters.rate.shape, parameters.step_weight.shape[1]


def _blocks(begins: Tensor) -> tuple[Tensor, int]:
    """Of each sequence the place of its blocks among all that are not the first of a sequence, and how many there are of these."""
    blocks = (begins[1:] - begins[:-1] - 1).clamp_(min=0).div_(BLOCK, rounding_mode="floor")
    return blocks.cumsum(0) - blocks, int(blocks.sum())


def _parts(sequences: int) -> int:
    """Ranges of channels that the loops work on, as in units.h."""
    threads = torch.get_num_threads()
    return 1 if sequences >= threads else -(-threads // max(sequences, 1))
