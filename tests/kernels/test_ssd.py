"""The chunkwise form of state-space duality against the recurrence that defines it."""

import pytest
import torch

from spacy_emerging.kernels.ssd import ssd, ssd_reference


def sample(groups=2, batch=2, length=13, heads=3, width=4, state=5, dtype=torch.float64, seed=0):
    """Random arguments of `ssd`: x, dt, a, b, c, skip."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)

    x, dt, a = draw(groups, batch, length, heads, width), draw(groups, batch, length, heads).exp(), -draw(groups, heads).exp()
    return x, dt, a, draw(groups, batch, length, state), draw(groups, batch, length, state), draw(groups, heads)


@pytest.mark.parametrize("length", [1, 2, 13, 31])
@pytest.mark.parametrize("chunk", [1, 2, 3, 5, 8, 13, 64])
def test_any_chunk_size_gives_the_recurrence(length, chunk):
    arguments = sample(length=length)
    torch.testing.assert_close(ssd(*arguments, chunk), ssd_reference(*arguments), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("chunk", [2, 3, 8])
def test_gradients_equal_finite_differences(chunk):
    arguments = [argument.requires_grad_() for argument in sample(batch=1, length=5, heads=2, width=2, state=3)]
    assert torch.autograd.gradcheck(lambda *given: ssd(*given, chunk), arguments)


@pytest.mark.parametrize("chunk", [4, 7, 40])
def test_gradients_equal_those_of_the_recurrence(chunk):
    weighting = torch.randn(2, 2, 29, 3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    gradients = []
    for kernel in (lambda *given: ssd(*given, chunk), ssd_reference):
        arguments = [argument.requires_grad_() for argument in sample(length=29)]
        gradients.append(torch.autograd.grad((kernel(*arguments) * weighting).sum(), arguments))
    for mine, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_under_autocast_the_sums_stay_in_float32(dtype):
    arguments = sample(dtype=torch.float32, length=40)
    expected = ssd(*arguments, 8)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        result = ssd(*arguments, 8)
        from_half = ssd(*(argument.to(dtype) for argument in arguments), 8)
    assert result.dtype == from_half.dtype == torch.float32
    torch.testing.assert_close(result, expected)


def test_what_stands_after_the_end_influences_no_token():
    x, dt, a, b, c, skip = sample(length=12)
    changed = [argument.clone() for argument in (x, dt, b, c)]
    for argument in changed:
        argument[:, :, 7:] = 50.0
    result = ssd(changed[0], changed[1], a, changed[2], changed[3], skip, 5)
    torch.testing.assert_close(result[:, :, :7], ssd(x, dt, a, b, c, skip, 5)[:, :, :7], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("step", [0.0, 1e-22, 50.0])
def test_extreme_steps_and_decays_stay_finite(step):
    x, dt, a, b, c, skip = sample(length=2048, batch=1, dtype=torch.float32)
    arguments = [argument.requires_grad_() for argument in (x, torch.full_like(dt, step), a * 50, b, c, skip)]
    result = ssd(*arguments, 64)
    gradients = torch.autograd.grad(result.sum(), arguments)
    assert all(tensor.isfinite().all() for tensor in (result, *gradients))
