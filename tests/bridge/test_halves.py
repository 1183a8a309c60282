"""The halves of an array go to both reading directions and come back, forward and backward, as torch's own indexing says."""

from __future__ import annotations

import pytest
import torch

from spacy_emerging.bridge.layout import Layout

LENGTHS = [[], [1], [3], [2, 1, 4]]


def numbers(layout: Layout, width: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(layout.tokens, width, generator=generator, dtype=torch.float64, requires_grad=True)


def gradient(result: torch.Tensor, *inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
    weights = torch.arange(1.0, result.numel() + 1, dtype=torch.float64).view_as(result)
    return torch.autograd.grad((result * weights).sum(), inputs)


@pytest.mark.parametrize("lengths", LENGTHS)
def test_parts_are_the_left_half_and_the_right_one_reversed(lengths: list[int]) -> None:
    layout = Layout(lengths)
    x = numbers(layout, 6)
    left, right = layout.part(x)
    own_left, own_right = x[:, :3], x[:, 3:].index_select(0, layout.reverse_index)
    assert torch.equal(left, own_left) and torch.equal(right, own_right)
    assert torch.equal(*gradient(torch.stack([left, right]), x), *gradient(torch.stack([own_left, own_right]), x))


@pytest.mark.parametrize("lengths", LENGTHS)
def test_join_undoes_part(lengths: list[int]) -> None:
    layout = Layout(lengths)
    x = numbers(layout, 6)
    assert torch.equal(layout.join(*layout.part(x)), x)


@pytest.mark.parametrize("lengths", LENGTHS)
def test_gradients_of_what_is_joined_or_flipped(lengths: list[int]) -> None:
    layout = Layout(lengths)
    left, right = numbers(layout, 3), numbers(layout, 3, seed=1)
    expected = gradient(torch.cat([left, right.index_select(0, layout.reverse_index)], 1), left, right)
    for own, theirs in zip(gradient(layout.join(left, right), left, right), expected, strict=True):
        assert torch.equal(own, theirs)
    assert torch.equal(*gradient(layout.flip(left), left), *gradient(left.index_select(0, layout.reverse_index), left))


def test_gradients_by_finite_differences() -> None:
    layout = Layout([2, 3])
    assert torch.autograd.gradcheck(lambda x: layout.join(*(part**2 for part in layout.part(layout.flip(x)))), [numbers(layout, 4)])
