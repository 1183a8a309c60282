"""The linear recurrence by halves and step by step, against the loop that defines it, in float64."""

import pytest
import torch

from spacy_emerging.kernels import linear_scan as kernel
from spacy_emerging.kernels.linear_scan import linear_scan, linear_scan_reference

LENGTHS = [1, 2, 3, 15, 16, 17, 18, 33, 64, 131, 1000]


def sample(length, batch=2, units=3, dtype=torch.float64, seed=0):
    """Decays between 0 and 1 (for complex numbers: in modulus), updates, and a state before the first token."""
    generator = torch.Generator().manual_seed(seed)
    draw = [torch.randn(*shape, generator=generator, dtype=dtype) for shape in ((batch, length, units),) * 2 + ((batch, units),)]
    decay = torch.sigmoid(draw[0].real + 2)
    return (decay * torch.exp(1j * draw[0].imag) if dtype.is_complex else decay), draw[1], draw[2]


@pytest.fixture(params=["by halves", "step by step"])
def way(request, monkeypatch):
    """Each of the two ways, whatever the sizes."""
    steps, worth = (1, float("inf")) if request.param == "by halves" else (0, 0)
    monkeypatch.setattr(kernel, "STEPS", steps)
    monkeypatch.setattr(kernel, "WORTH_A_STEP", worth)


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
def test_both_ways_give_the_recurrence(way, length, dtype):
    decay, update, initial = sample(length, dtype=dtype)
    torch.testing.assert_close(linear_scan(decay, update), linear_scan_reference(decay, update), rtol=1e-12, atol=1e-12)
    expected = linear_scan_reference(decay, update, initial)
    torch.testing.assert_close(linear_scan(decay, update, initial), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("length", [1, 2, 5, 6, 9])
@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
def test_gradients_equal_finite_differences(way, length, dtype):
    arguments = [argument.requires_grad_() for argument in sample(length, units=2, dtype=dtype)]
    assert torch.autograd.gradcheck(linear_scan, arguments)


@pytest.mark.parametrize("length", [17, 200])
def test_gradients_equal_those_of_the_recurrence(way, length):
    weighting = torch.randn(2, length, 3, dtype=torch.float64)
    gradients = []
    for function in (linear_scan, linear_scan_reference):
        arguments = [argument.requires_grad_() for argument in sample(length)]
        gradients.append(torch.autograd.grad((function(*arguments) * weighting).sum(), arguments))
    for mine, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("decay", [0.0, 1e-38, 1.0 - 2**-24, 1.0])
@pytest.mark.parametrize("length", [20, 3000])
def test_extreme_decays_in_float32(way, decay, length):
    """Given decays of exactly 0 or 1, or next to them: states and gradients are those of float64, to 1e-5 of the largest."""
    _, update, initial = sample(length)
    weighting = torch.randn(2, length, 3, dtype=torch.float64)
    found = []
    for dtype, function in ((torch.float32, linear_scan), (torch.float64, linear_scan_reference)):
        arguments = [tensor.to(dtype).requires_grad_() for tensor in (torch.full_like(update, decay), update, initial)]
        states = function(*arguments)
        found.append([states, *torch.autograd.grad((states * weighting.to(dtype)).sum(), arguments)])
    for mine, exact in zip(*found, strict=True):
        torch.testing.assert_close(mine.double(), exact, rtol=0, atol=1e-5 * exact.abs().max().item())


def test_a_decay_of_zero_forgets_exactly(way):
    decay, update, _ = sample(40)
    decay[:, 21] = 0.0
    changed = update.clone()
    changed[:, :21] = 1e30
    assert torch.equal(linear_scan(decay, changed)[:, 21:], linear_scan(decay, update)[:, 21:])


def test_what_stands_after_the_end_influences_no_token(way):
    decay, update, _ = sample(40)
    changed = update.clone()
    changed[:, 30:] = 1e30
    torch.testing.assert_close(linear_scan(decay, changed)[:, :30], linear_scan(decay, update)[:, :30], rtol=1e-12, atol=1e-12)


def test_one_sequence_of_100000_tokens_takes_few_calls(monkeypatch):
    """Given a long Doc: it is halved until a few steps are left, rather than visited token by token."""
    visited = []
    step_by_step = kernel._step_by_step
    monkeypatch.setattr(kernel, "_step_by_step", lambda *given: (visited.append(len(given[1])), step_by_step(*given)))
    decay, update, _ = sample(100_000, batch=1, units=1, dtype=torch.float32)
    states = linear_scan(decay, update)
    assert sum(visited) <= kernel.STEPS
    torch.testing.assert_close(states, linear_scan_reference(decay.double(), update.double()).float(), rtol=1e-4, atol=1e-5)
