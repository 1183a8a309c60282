"""What goes into an mLSTM and how its heads are normalized, by compiled loops, against plain torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from spacy_emerging.kernels import native
from spacy_emerging.kernels.head_norm import head_norm, head_norm_skip_gate
from spacy_emerging.kernels.headwise import headwise, project_by_loops

pytestmark = pytest.mark.skipif(not native.available(), reason="no compiled loops")
Function = Callable[..., Sequence[Tensor]]


def draw(*shapes: tuple[int, ...], dtype: torch.dtype = torch.float64) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(*shape, generator=generator, dtype=dtype).requires_grad_() for shape in shapes]


def check(ours: Function, theirs: Function, tensors: list[Tensor]) -> None:
    """Both functions have the same values and the same gradients."""
    found = [function(*tensors) for function in (ours, theirs)]
    wanted = [torch.randn_like(each) for each in found[0]]
    gradients = [torch.autograd.grad(sum((x * w).sum() for x, w in zip(each, wanted, strict=True)), tensors) for each in found]  # type: ignore[arg-type]
    for mine, other in zip((*found[0], *gradients[0]), (*found[1], *gradients[1]), strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-10, atol=1e-10)


def by_loops(*given: Tensor) -> Sequence[Tensor]:
    made = project_by_loops(given[0], given[1], given[2:5], given[5:7], given[7:])
    assert made is not None
    return made


def by_torch(*given: Tensor) -> Sequence[Tensor]:
    convolved, plain, to_q, to_k, to_v, *gates = given
    q, k, v = headwise(convolved, to_q), headwise(convolved, to_k), headwise(plain, to_v)
    joined = torch.cat([q, k, v], -1)
    return q, k, v, torch.cat([functional.linear(joined, gates[0], gates[2]), functional.linear(joined, gates[1], gates[3])], -1)


def shapes(tokens: int, width: int, block: int, heads: int) -> list[tuple[int, ...]]:
    return [(tokens, width)] * 2 + [(width // block, block, block)] * 3 + [(heads, 3 * width)] * 2 + [(heads,)] * 2


@pytest.mark.parametrize("block", [1, 2, 4])
@pytest.mark.parametrize(("tokens", "width", "heads"), [(1, 64, 4), (100, 32, 3), (48, 16, 8)])
def test_projections_equal_plain_torch(block: int, tokens: int, width: int, heads: int) -> None:
    check(by_loops, by_torch, draw(*shapes(tokens, width, block, heads)))


@pytest.mark.usefixtures("two_threads")
def test_projections_by_two_threads() -> None:
    check(by_loops, by_torch, draw(*shapes(130, 32, 4, 4)))


def test_projections_of_other_blocks_are_left_to_torch() -> None:
    given = draw(*shapes(5, 48, 3, 2))
    assert project_by_loops(given[0], given[1], given[2:5], given[5:7], given[7:]) is None


def norm_by_torch(x: Tensor, weight: Tensor, heads: int) -> Tensor:
    heads_apart = x.unflatten(1, (heads, -1))
    return functional.layer_norm(heads_apart, heads_apart.shape[-1:]).flatten(1) * (1 + weight)


@pytest.mark.parametrize(("tokens", "heads", "width"), [(1, 1, 8), (9, 3, 5), (20, 2, 16), (7, 1, 70)])
def test_norm_of_heads_equals_plain_torch(tokens: int, heads: int, width: int) -> None:
    """Also with a mean far from zero, and with two threads."""
    tensors = draw((tokens, heads * width), (heads * width,))
    shifted = [tensors[0].detach().add(5).requires_grad_(), tensors[1]]
    for given in (tensors, shifted):
        check(lambda *x: [head_norm(*x, heads)], lambda *x: [norm_by_torch(*x, heads)], given)  # type: ignore[list-item]


@pytest.mark.parametrize(("tokens", "heads", "width"), [(1, 1, 8), (9, 3, 5), (20, 2, 16)])
def test_norm_with_skip_and_gate_equals_plain_torch(tokens: int, heads: int, width: int) -> None:
    inner = heads * width

    def plain(x: Tensor, weight: Tensor, skipped: Tensor, skip: Tensor, gate: Tensor) -> list[Tensor]:
        return [(norm_by_torch(x, weight, heads) + skipped * skip) * functional.silu(gate)]

    tensors = draw((tokens, inner), (inner,), (tokens, inner), (inner,), (tokens, inner))
    check(lambda *given: [head_norm_skip_gate(*given, heads)], plain, tensors)  # type: ignore[list-item]


@pytest.mark.usefixtures("two_threads")
def test_norm_by_two_threads() -> None:
    check(lambda *x: [head_norm(*x, 2)], lambda *x: [norm_by_torch(*x, 2)], draw((33, 12), (12,)))  # type: ignore[list-item]
