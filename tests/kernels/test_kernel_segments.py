"""Every kernel that hands a state on: segments one after the other give what the whole sequence gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from spacy_emerging.kernels.convolution import causal_convolution, convolution_segment
from spacy_emerging.kernels.diagonal_ssm import diagonal_ssm, diagonal_ssm_segment
from spacy_emerging.kernels.gated_linear import gated_linear, gated_linear_segment
from spacy_emerging.kernels.mlstm import mlstm, mlstm_segment
from spacy_emerging.kernels.selective_scan import selective_scan, selective_scan_segment
from spacy_emerging.kernels.slstm import Packing, slstm, slstm_segment
from spacy_emerging.kernels.ssd import ssd, ssd_segment

LENGTH = 41
BORDERS = [[0, 1, 2, LENGTH], [0, 20, LENGTH], [0, 8, 16, LENGTH], [0, LENGTH]]


def draw(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64)


def steps(*shape: int) -> Tensor:
    return torch.rand(*shape, dtype=torch.float64)


Whole = Callable[..., Tensor]
Segment = Callable[..., tuple[Tensor, Any]]


def cases() -> dict[str, tuple[int, list[Tensor], Whole, Segment]]:
    """By kernel: the axis of tokens, what has that axis, the kernel on these, and the kernel on a part of these and a state."""
    torch.manual_seed(0)
    a, skip, rates = -steps(2, 3), draw(2, 3), -steps(2, 6, 5)
    channels, bias, taps = draw(2, 6), draw(6), draw(6, 4)
    transition, weight = torch.complex(-steps(6, 3), draw(6, 3)), torch.complex(draw(6, 3), draw(6, 3))
    recurrent = draw(4, 5, 20)
    packing = Packing([LENGTH])
    heads = [draw(2, 3, LENGTH, 4) for _ in range(3)] + [3 * draw(2, 3, LENGTH) for _ in range(2)]
    by_head = [draw(2, LENGTH, 3, 4) for _ in range(5)]
    of_ssd = [draw(2, 3, LENGTH, 3, 4), steps(2, 3, LENGTH, 3), draw(2, 3, LENGTH, 5), draw(2, 3, LENGTH, 5)]
    of_scan = [draw(2, 3, LENGTH, 6), steps(2, 3, LENGTH, 6), draw(2, 3, LENGTH, 5), draw(2, 3, LENGTH, 5)]
    return {
        "convolution": (
            1,
            [draw(2, LENGTH, 6)],
            lambda x: causal_convolution(x, taps, bias),
            lambda x, state: convolution_segment(x, taps, bias, state),
        ),
        "ssd": (
            2,
            of_ssd,
            lambda x, dt, b, c: ssd(x, dt, a, b, c, skip, 4),
            lambda x, dt, b, c, state: ssd_segment(x, dt, a, b, c, skip, 4, state),
        ),
        "selective_scan": (
            2,
            of_scan,
            lambda x, dt, b, c: selective_scan(x, dt, rates, b, c, channels),
            lambda x, dt, b, c, state: selective_scan_segment(x, dt, rates, b, c, channels, state),
        ),
        "gated_linear": (
            1,
            by_head,
            lambda *inputs: gated_linear(*inputs, 8),
            lambda *inputs: gated_linear_segment(*inputs[:-1], 8, inputs[-1]),
        ),
        "diagonal_ssm": (
            1,
            [draw(2, LENGTH, 6)],
            lambda x: diagonal_ssm(x, transition, weight, 4),
            lambda x, state: diagonal_ssm_segment(x, transition, weight, 4, state),
        ),
        "mlstm": (2, heads, lambda *inputs: mlstm(*inputs, chunk=4), lambda *inputs: mlstm_segment(*inputs, chunk=4)),
        "slstm": (
            1,
            [draw(4, LENGTH, 20)],
            lambda gates: slstm(gates, recurrent, packing),
            lambda gates, state: slstm_segment(gates, recurrent, state),
        ),
    }


CASES = cases()


@pytest.mark.parametrize("borders", BORDERS, ids=str)
@pytest.mark.parametrize("kernel", CASES)
def test_segments_give_what_the_whole_gives(kernel: str, borders: list[int]) -> None:
    axis, inputs, whole, segment = CASES[kernel]
    state, found = None, []
    for start, end in zip(borders, borders[1:], strict=False):
        y, state = segment(*(tensor.narrow(axis, start, end - start) for tensor in inputs), state)
        found.append(y)
    torch.testing.assert_close(torch.cat(found, axis), whole(*inputs), rtol=0, atol=1e-12)


@pytest.mark.parametrize("kernel", CASES)
def test_a_state_matters(kernel: str) -> None:
    """The same tokens read otherwise after others, and a state that was handed over is not changed by whoever takes it."""
    axis, inputs, _, segment = CASES[kernel]
    first, second = ([tensor.narrow(axis, start, 20) for tensor in inputs] for start in (0, 20))
    _, state = segment(*first, None)
    once, again, alone = (segment(*second, before)[0] for before in (state, state, None))
    assert torch.equal(once, again)
    assert not torch.allclose(once, alone, atol=1e-3)
