"""Root-mean-square normalisation against its formula and finite differences."""

import pytest
import torch
from torch.nn import functional

from spacy_emerging.kernels.norm import EPSILON, gated_rms_norm, norm_then_gate, rms_norm


def draw(*shape, dtype=torch.float64):
    return torch.randn(*shape, dtype=dtype, requires_grad=True)


def test_values_are_those_of_the_formula():
    torch.manual_seed(0)
    x, gate, weight = draw(5, 6), draw(5, 6), draw(6)
    plain = x / (x.square().mean(-1, keepdim=True) + EPSILON).sqrt() * weight
    torch.testing.assert_close(rms_norm(x, weight), plain)
    torch.testing.assert_close(gated_rms_norm(x, gate, weight), rms_norm(x * functional.silu(gate), weight))


@pytest.mark.parametrize("scale", [1.0, 1e-3])
def test_gradients_equal_finite_differences(scale):
    torch.manual_seed(0)
    x, gate, weight = (draw(3, 4) * scale).detach().requires_grad_(), draw(3, 4), draw(4)
    assert torch.autograd.gradcheck(rms_norm, (x, weight))
    assert torch.autograd.gradcheck(gated_rms_norm, (x, gate, weight))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_lower_precision_is_normalised_in_float32(dtype):
    x = torch.full((2, 8), 300.0, dtype=dtype, requires_grad=True)  # its square is beyond the largest float16
    result = rms_norm(x, torch.ones(8))
    assert result.dtype == dtype
    torch.testing.assert_close(result.float(), torch.ones(2, 8), rtol=1e-2, atol=1e-2)
    result.float().sum().backward()
    assert x.grad.isfinite().all()


def test_zeros_stay_zero():
    x, weight = torch.zeros(2, 4, requires_grad=True), torch.ones(4)
    rms_norm(x, weight).sum().backward()
    assert rms_norm(x, weight).abs().sum() == 0 and x.grad.isfinite().all()


def test_gate_after_the_norm():
    torch.manual_seed(0)
    x, gate, weight = torch.randn(7, 12), torch.randn(7, 12), torch.randn(12)
    expected = functional.rms_norm(x, (12,), weight, EPSILON) * functional.silu(gate)
    torch.testing.assert_close(norm_then_gate(x, gate, weight), expected)


def test_gradients_with_the_gate_after_the_norm_equal_finite_differences():
    torch.manual_seed(0)
    arguments = [torch.randn(*shape, dtype=torch.float64, requires_grad=True) for shape in ((5, 6), (5, 6), (6,))]
    assert torch.autograd.gradcheck(norm_then_gate, arguments)
