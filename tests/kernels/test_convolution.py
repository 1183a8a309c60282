"""Causal depthwise convolution against torch's grouped convolution and finite differences."""

import pytest
import torch
from torch.nn import functional

from spacy_emerging.kernels.convolution import causal_convolution, centred_convolution, kernel_fits


@pytest.mark.parametrize("length", [1, 2, 3, 4, 9])
@pytest.mark.parametrize("width", [1, 2, 4, 7])
def test_equals_a_grouped_convolution_with_left_padding(length, width):
    torch.manual_seed(0)
    x, weight, bias = torch.randn(2, length, 5), torch.randn(5, width), torch.randn(5)
    expected = functional.conv1d(x.transpose(1, 2), weight[:, None], bias, padding=width - 1, groups=5)[..., :length].transpose(1, 2)
    torch.testing.assert_close(causal_convolution(x, weight, bias), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("length", [1, 2, 6])
def test_gradients_equal_finite_differences(length):
    torch.manual_seed(0)
    x, weight, bias = (torch.randn(*shape, dtype=torch.float64, requires_grad=True) for shape in ((2, length, 3), (3, 4), (3,)))
    assert torch.autograd.gradcheck(causal_convolution, (x, weight, bias))


def test_groups_have_weights_of_their_own():
    torch.manual_seed(0)
    x, weight, bias = torch.randn(2, 3, 6, 5), torch.randn(2, 5, 4), torch.randn(2, 5)
    together = causal_convolution(x, weight[:, None, None], bias[:, None, None])
    for group in range(2):
        torch.testing.assert_close(together[group], causal_convolution(x[group], weight[group], bias[group]))


def test_grouped_gradients_equal_finite_differences():
    torch.manual_seed(0)
    shapes = ((2, 2, 5, 3), (2, 1, 1, 3, 4), (2, 1, 1, 3))
    assert torch.autograd.gradcheck(causal_convolution, [torch.randn(*shape, dtype=torch.float64, requires_grad=True) for shape in shapes])


def test_no_token_sees_a_later_one():
    torch.manual_seed(0)
    x, weight, bias = torch.randn(1, 8, 3), torch.randn(3, 4), torch.randn(3)
    changed = x.clone()
    changed[:, 5:] = 100.0
    torch.testing.assert_close(causal_convolution(changed, weight, bias)[:, :5], causal_convolution(x, weight, bias)[:, :5])


def test_sizes_that_the_vendors_kernel_takes():
    assert kernel_fits(640, 4)
    assert not kernel_fits(636, 4)
    assert not kernel_fits(640, 7)


@pytest.mark.parametrize("length", [1, 2, 3, 4, 9])
@pytest.mark.parametrize("width", [1, 2, 3, 4, 7])
def test_centred_equals_a_grouped_convolution_with_padding_on_both_sides(length, width):
    torch.manual_seed(0)
    x, weight, bias = torch.randn(2, length, 5), torch.randn(5, width), torch.randn(5)
    expected = functional.conv1d(x.transpose(1, 2), weight[:, None], bias, padding=width // 2, groups=5)[..., :length].transpose(1, 2)
    torch.testing.assert_close(centred_convolution(x, weight, bias), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("length", [1, 2, 6])
@pytest.mark.parametrize("width", [4, 7])
def test_centred_gradients_equal_finite_differences(length, width):
    torch.manual_seed(0)
    shapes = ((2, length, 3), (3, width), (3,))
    assert torch.autograd.gradcheck(centred_convolution, [torch.randn(*shape, dtype=torch.float64, requires_grad=True) for shape in shapes])
