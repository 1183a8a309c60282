"""The selective scan with its step sizes and its gate in one step of the graph, by compiled loops (see `native`).

The same as what `selective_scan` computes, with softplus before it and the gate after it, without padding. The loops keep one state in
BLOCK tokens, and lay out no others. Letters as in `selective_scan.py`, and T tokens, and R units that the step sizes come from.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from . import native

BLOCK = 16
"""Tokens of a block, as in selective_scan.cpp."""

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
    with torch.autocast(x.device.type, enabled=False):
        x, gate, selected = (t.float() if t.dtype in (torch.float16, torch.bfloat16) else t for t in (x, gate, selected))
        return _Scan.apply(x, gate, selected, *parameters, begins) if native.usable(x, gate, selected, *parameters) else None


class _Scan(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, gate: Tensor, selected: Tensor, *rest: Tensor) -> Tensor:
        parameters, begins = Parameters(*rest[:-1]), rest[-1]
        x, selected = x.contiguous(), selected.contiguous()
        gate = gate if gate.stride(1) == 1 else gate.contiguous()
        wanted = any(ctx.needs_input_grad)
        low, b, c = _split(selected, parameters)
        steps = low @ parameters.step_weight.t()
        places, blocks = _blocks(begins)
        kept = x.new_empty(blocks if wanted else 0, b.shape[1] * (x.shape[1] + MOST_LANES))
        y = torch.empty_like(x)
        tensors = (x, steps, b, c, gate, *_in_rows(parameters), begins, places)
        native.run("selective_scan_forward", *tensors, kept if wanted else None, y, *_sizes(tensors, begins))
        if wanted:
            ctx.save_for_backward(x, gate, selected, *parameters, begins, steps, kept)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, gate, selected, *saved = ctx.saved_tensors
        parameters, (begins, steps, kept) = Parameters(*saved[:4]), saved[4:]
        low, b, c = _split(selected, parameters)
        grad_x, grad_steps, grad_selected = torch.empty_like(x), torch.empty_like(steps), torch.empty_like(selected)
        grad_gate = gate.new_empty(gate.shape)
        grad_low, grad_b, grad_c = _split(grad_selected, parameters)
        threads, parts = torch.get_num_threads(), _parts(len(begins) - 1)
        in_parts = [b.new_empty(parts, *b.shape) for _ in range(2)] if parts > 1 else [grad_b, grad_c]
        of_threads = [parameter.new_empty(threads, *parameter.shape) for parameter in parameters[1:]]
        tensors = (x, steps, b, c, gate, *_in_rows(parameters), begins, _blocks(begins)[0])
        results = (grad_x, grad_steps, *in_parts, grad_gate, *of_threads)
        rows = (in_parts[0].stride(-2), b.numel(), grad_gate.stride(0))
        native.run("selective_scan_backward", *tensors, kept, grad.contiguous(), *results, *_sizes(tensors, begins), *rows)
        if parts > 1:
            torch.sum(in_parts[0], 0, out=grad_b)
            torch.sum(in_parts[1], 0, out=grad_c)
        torch.mm(grad_steps, parameters.step_weight, out=grad_low)
        return grad_x, grad_gate, grad_selected, grad_steps.t() @ low, *(each.sum(0) for each in of_threads), None


def _split(selected: Tensor, parameters: Parameters) -> tuple[Tensor, Tensor, Tensor]:
    """Views of what the step sizes come from, of B and of C."""
    state = parameters.rate.shape[1]
    low, b, c = selected.split([parameters.step_weight.shape[1], state, state], -1)
    return low, b, c


def _in_rows(parameters: Parameters) -> tuple[Tensor, ...]:
    return tuple(parameter.contiguous() for parameter in parameters[1:])


def _sizes(tensors: tuple[Tensor, ...], begins: Tensor) -> tuple[int, ...]:
    x, _, b, _, gate, *_ = tensors
    return b.stride(0), gate.stride(0), len(begins) - 1, x.shape[1], b.shape[1]


def _blocks(begins: Tensor) -> tuple[Tensor, int]:
    """Of each sequence the place of its blocks among all that are not the first of a sequence, and how many there are of these."""
    blocks = (begins[1:] - begins[:-1] - 1).div_(BLOCK, rounding_mode="floor")
    return blocks.cumsum(0) - blocks, int(blocks.sum())


def _parts(sequences: int) -> int:
    """Ranges of channels that the loops work on, as in units.h."""
    threads = torch.get_num_threads()
    return 1 if sequences >= threads else -(-threads // max(sequences, 1))
