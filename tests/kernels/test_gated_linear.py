"""The gated linear recurrence by chunks and halves, against the complex recurrence that defines it, in complex128."""

import pytest
import torch

from spacy_emerging.kernels.gated_linear import gated_linear, gated_linear_reference


def sample(batch=2, length=13, heads=2, keys=3, values=4, dtype=torch.float64, seed=0):
    """Random arguments of `gated_linear`: q, k, v, magnitude, phase."""
    generator = torch.Generator().manual_seed(seed)
    widths = (keys, keys, values, keys, keys)
    return [torch.randn(batch, length, heads, width, generator=generator, dtype=torch.float64).to(dtype) for width in widths]


@pytest.mark.parametrize("length", [1, 2, 3, 13, 16, 33, 70])
@pytest.mark.parametrize("chunk", [1, 2, 8, 16, 64])
def test_any_chunk_size_gives_the_recurrence(length, chunk):
    arguments = sample(length=length)
    torch.testing.assert_close(gated_linear(*arguments, chunk), gated_linear_reference(*arguments), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("length,chunk", [(4, 4), (7, 4), (7, 8), (5, 1)])
def test_gradients_equal_finite_differences(length, chunk):
    arguments = [argument.requires_grad_() for argument in sample(batch=2, length=length, heads=1, keys=2, values=2)]
    assert torch.autograd.gradcheck(lambda *given: gated_linear(*given, chunk), arguments)


@pytest.mark.parametrize("chunk", [4, 16, 64])
def test_gradients_equal_those_of_the_recurrence(chunk):
    weighting = torch.randn(2, 45, 2, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    gradients = []
    for function in (lambda *given: gated_linear(*given, chunk), gated_linear_reference):
        arguments = [argument.requires_grad_() for argument in sample(length=45)]
        gradients.append(torch.autograd.grad((function(*arguments) * weighting).sum(), arguments))
    for mine, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-9)


def extremes(length, dtype):
    """Magnitudes of -50 and 50 among ordinary ones, so that decays vanish, stay 1, and stand side by side."""
    q, k, v, magnitude, phase = sample(length=length, dtype=dtype)
    magnitude[:, ::3] += 50
    magnitude[:, 1::7] -= 100
    return q, k, v, magnitude, 20 * phase


@pytest.mark.parametrize("chunk", [8, 64])
def test_extreme_magnitudes_in_float32_keep_the_values_of_the_recurrence(chunk):
    arguments = extremes(500, torch.float32)
    exact = gated_linear_reference(*(argument.double() for argument in arguments))
    found = gated_linear(*arguments, chunk)
    assert (found - exact).abs().max() < 1e-4 * exact.abs().max()


@pytest.mark.parametrize("magnitude", [-1e4, -50.0, 50.0, 1e4])
def test_extreme_magnitudes_stay_finite(magnitude):
    arguments = sample(length=500, dtype=torch.float32)
    arguments[3].fill_(magnitude)
    arguments = [argument.requires_grad_() for argument in arguments]
    y = gated_linear(*arguments, 32)
    gradients = torch.autograd.grad(y.sum(), arguments)
    assert y.isfinite().all() and all(gradient.isfinite().all() for gradient in gradients)


def test_a_vanishing_decay_forgets_exactly():
    q, k, v, magnitude, phase = sample(length=40, dtype=torch.float32)
    magnitude[:, 21] = -1e4
    changed = k.clone()
    changed[:, :21] *= -3.0
    found, expected = (gated_linear(q, keys, v, magnitude, phase, 16)[:, 21:] for keys in (k, changed))
    assert torch.equal(found, expected)


def test_what_stands_after_the_end_influences_no_token():
    arguments = sample(length=40)
    changed = [torch.cat([argument[:, :29], torch.full_like(argument[:, 29:], 3.0)], 1) for argument in arguments]
    found, expected = (gated_linear(*given, 8)[:, :29] for given in (changed, arguments))
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype):
    arguments = [argument.to(dtype) for argument in sample(length=20)]
    found = gated_linear(*arguments, 8)
    torch.testing.assert_close(found, gated_linear_reference(*(argument.float() for argument in arguments)), rtol=1e-4, atol=1e-4)
