"""The fast float32 product gives what torch's own linear layer gives."""

import pytest
import torch
from torch.nn import functional

from spacy_emerging.kernels import linear as module
from spacy_emerging.kernels.linear import HAS_ONEDNN, WORTH_PREPARING, _OneDNNLinear, linear


@pytest.fixture(autouse=True)
def small_products_count_as_large(monkeypatch):
    monkeypatch.setattr(module, "WORTH_PREPARING", 1)


@pytest.mark.parametrize("tokens,width,units", [(1, 1, 1), (7, 12, 5), (300, 64, 290)])
@pytest.mark.parametrize("with_bias", [True, False])
def test_values_and_gradients_equal_those_of_torch(tokens, width, units, with_bias):
    torch.manual_seed(0)
    inputs = [torch.randn(tokens, width), torch.randn(units, width)] + ([torch.randn(units)] if with_bias else [])
    wanted = [t.clone().requires_grad_() for t in inputs]
    given = [t.clone().requires_grad_() for t in inputs]
    weighting = torch.randn(tokens, units)
    expected, result = functional.linear(*wanted), linear(*given)
    (expected * weighting).sum().backward()
    (result * weighting).sum().backward()
    torch.testing.assert_close(result, expected, rtol=1e-4, atol=1e-4)
    for mine, theirs in zip(given, wanted, strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad, rtol=1e-4, atol=1e-3)


def test_a_slice_of_a_wider_array_is_read_by_its_strides():
    torch.manual_seed(0)
    wide, weight = torch.randn(9, 20), torch.randn(4, 6)
    torch.testing.assert_close(linear(wide[:, 3:9], weight), wide[:, 3:9] @ weight.t(), rtol=1e-5, atol=1e-5)


def test_gradients_only_where_they_are_needed():
    x, weight = torch.randn(3, 4), torch.randn(2, 4, requires_grad=True)
    linear(x, weight).sum().backward()
    assert x.grad is None and weight.grad.shape == weight.shape


@pytest.mark.skipif(not HAS_ONEDNN, reason="this build of torch has no oneDNN")
def test_only_flat_float32_on_a_cpu_takes_the_fast_product(monkeypatch):
    def refuse(*arguments):
        raise AssertionError("took the fast product")

    monkeypatch.setattr(_OneDNNLinear, "apply", refuse)
    weight = torch.randn(2, 4)
    assert linear(torch.randn(3, 4, dtype=torch.float64), weight.double()).dtype == torch.float64
    assert linear(torch.randn(2, 3, 4), weight).shape == (2, 3, 2)
    assert linear(torch.randn(0, 4), weight).shape == (0, 2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert linear(torch.randn(3, 4), weight).dtype == torch.bfloat16
    with pytest.raises(AssertionError, match="fast product"):
        linear(torch.randn(3, 4), weight)
    monkeypatch.setattr(module, "WORTH_PREPARING", WORTH_PREPARING)
    assert linear(torch.randn(3, 4), weight).shape == (3, 2)


def test_the_gradient_of_a_bare_sum_is_that_of_torch():
    torch.manual_seed(0)
    x, weight = torch.randn(300, 64), torch.randn(290, 64, requires_grad=True)
    linear(x, weight).sum().backward()
    torch.testing.assert_close(weight.grad, x.sum(0).expand(290, 64), rtol=1e-4, atol=1e-4)
