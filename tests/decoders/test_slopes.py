"""Gradients that are set by hand."""

from __future__ import annotations

import torch

from spacy_emerging.decoders.slopes import shortened, sloped


def test_only_rows_beyond_their_share_are_shortened() -> None:
    slopes = torch.tensor([[3.0, 4.0], [0.3, 0.4], [0.0, 0.0], [3.0, 4.0]])
    beside = torch.tensor([[0.0, 2.0], [2.0, 0.0], [1.0, 1.0], [0.0, 0.0]])
    expected = torch.tensor([[0.6, 0.8], [0.3, 0.4], [0.0, 0.0], [0.0, 0.0]])
    torch.testing.assert_close(shortened(slopes, beside, 0.5), expected)


def test_value_and_gradient_are_those_given() -> None:
    scores = [torch.randn(3, 2, requires_grad=True), torch.randn(3, 4, requires_grad=True)]
    slopes = [torch.randn(3, 2), torch.randn(3, 4)]
    number = sloped(torch.tensor(7.0), scores, slopes)
    assert number.item() == 7.0
    torch.testing.assert_close(torch.autograd.grad(5 * number, scores), tuple(5 * slope for slope in slopes))


def test_small_slopes_of_scores_in_half_precision_survive_until_they_are_scaled() -> None:
    # given a slope that half precision could not hold, and the factor by which losses in half precision are multiplied
    scores, slope = torch.ones(2, 3, dtype=torch.float16, requires_grad=True), torch.full((2, 3), 3.1e-8)
    (found,) = torch.autograd.grad(65536 * sloped(torch.tensor(1.0), [scores], [slope]), scores)
    torch.testing.assert_close(found.float(), 65536 * slope, rtol=1e-3, atol=0)
