"""The selective scan in tiles and segments against the recurrence that defines it."""

import pytest
import torch

from spacy_emerging.kernels import selective_scan as kernel
from spacy_emerging.kernels.selective_scan import selective_scan, selective_scan_reference

BLOCK = kernel.BLOCK


def sample(groups=2, batch=3, length=13, width=4, state=5, dtype=torch.float64, seed=0):
    """Random arguments of `selective_scan`: x, dt, a, b, c, skip."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)

    x, dt, a = draw(groups, batch, length, width), draw(groups, batch, length, width).exp(), -draw(groups, width, state).exp()
    return x, dt, a, draw(groups, batch, length, state), draw(groups, batch, length, state), draw(groups, width)


@pytest.fixture(params=[1, 100, 100_000], ids=["tiles of one row", "tiles of two or three rows", "one tile"])
def tile(request, monkeypatch):
    """How much state goes through one step: 2 groups x 4 channels x 5 units, that is 40 numbers per row of the samples."""
    monkeypatch.setattr(kernel, "TILE", request.param)


@pytest.mark.usefixtures("tile")
@pytest.mark.parametrize("length", [1, 2, 13, BLOCK, BLOCK + 1, 3 * BLOCK + 5])
@pytest.mark.parametrize("segments", [None, 1, 2, 3, 7])
def test_tiles_and_segments_give_the_recurrence(length, segments):
    arguments = sample(length=length)
    torch.testing.assert_close(selective_scan(*arguments, segments), selective_scan_reference(*arguments), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("segments", [1, 2])
def test_gradients_equal_finite_differences(segments):
    arguments = [argument.requires_grad_() for argument in sample(batch=2, length=5, width=2, state=3)]
    assert torch.autograd.gradcheck(lambda *given: selective_scan(*given, segments), arguments)


@pytest.mark.usefixtures("tile")
@pytest.mark.parametrize("segments", [None, 1, 2, 3, 7])
def test_gradients_equal_those_of_the_recurrence(segments):
    length = 2 * BLOCK + 3
    weighting = torch.randn(2, 3, length, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    gradients = []
    for scan in (lambda *given: selective_scan(*given, segments), selective_scan_reference):
        arguments = [argument.requires_grad_() for argument in sample(length=length)]
        gradients.append(torch.autograd.grad((scan(*arguments) * weighting).sum(), arguments))
    for mine, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-9)


def test_a_long_sequence_alone_is_cut_and_a_full_batch_is_not():
    x, _, a, *_ = sample(batch=1, length=1000)
    assert kernel._segments(x, a) > 1
    assert kernel._segments(x.expand(2, 500, 1000, 4), a) == 1
    assert kernel._segments(x[:, :, :BLOCK], a) == 1


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_under_autocast_the_sums_stay_in_float32(dtype):
    arguments = sample(dtype=torch.float32, length=40)
    expected = selective_scan(*arguments)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        result = selective_scan(*arguments)
        from_half = selective_scan(*(argument.to(dtype) for argument in arguments))
    assert result.dtype == from_half.dtype == torch.float32
    torch.testing.assert_close(result, expected)


@pytest.mark.parametrize("segments", [1, 3])
def test_what_stands_after_the_end_influences_no_token(segments):
    x, dt, a, b, c, skip = sample(length=12)
    changed = [argument.clone() for argument in (x, dt, b, c)]
    for argument in changed:
        argument[:, :, 7:] = 50.0
    result = selective_scan(changed[0], changed[1], a, changed[2], changed[3], skip, segments)
    torch.testing.assert_close(result[:, :, :7], selective_scan(x, dt, a, b, c, skip)[:, :, :7], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("segments", [1, 8])
@pytest.mark.parametrize("step", [0.0, 1e-22, 50.0, 1e6])
def test_extreme_steps_and_decays_stay_finite(step, segments):
    x, dt, a, b, c, skip = sample(length=2048, batch=1, dtype=torch.float32)
    arguments = [argument.requires_grad_() for argument in (x, torch.full_like(dt, step), a * 50, b, c, skip)]
    result = selective_scan(*arguments, segments)
    gradients = torch.autograd.grad(result.sum(), arguments)
    assert all(tensor.isfinite().all() for tensor in (result, *gradients))


def test_in_float32_it_is_as_exact_as_the_recurrence():
    """Given decays from slow to fast over 500 tokens, neither strays further from float64 than a few roundings."""
    arguments = sample(length=500, dtype=torch.float64)
    exact = selective_scan_reference(*arguments)
    single = [argument.float() for argument in arguments]
    for scan in (selective_scan, selective_scan_reference):
        torch.testing.assert_close(scan(*single).double(), exact, rtol=1e-4, atol=1e-4)
