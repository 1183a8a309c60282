"""Diagonal state spaces by FFT and carried states, against the recurrence and against the convolution written out."""

import math

import pytest
import torch

from spacy_emerging.kernels.diagonal_ssm import diagonal_ssm, diagonal_ssm_reference, discretised


def sample(batch=2, length=13, channels=3, states=4, dtype=torch.float64, seed=0):
    """Random arguments of `diagonal_ssm`: x, log_transition, weight."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)

    log_transition = torch.complex(-draw(channels, states).exp() / 10, 3 * draw(channels, states))
    return draw(batch, length, channels), log_transition, torch.complex(draw(channels, states), draw(channels, states))


exactly_or_not = pytest.mark.parametrize("exactly", [False, True], ids=["by FFT", "by products"])


@exactly_or_not
@pytest.mark.parametrize("length", [1, 2, 13, 31, 97])
@pytest.mark.parametrize("chunk", [1, 2, 3, 5, 8, 13, 64])
def test_any_chunk_size_gives_the_recurrence(length, chunk, exactly):
    arguments = sample(length=length)
    torch.testing.assert_close(diagonal_ssm(*arguments, chunk, exactly), diagonal_ssm_reference(*arguments), rtol=1e-9, atol=1e-9)


def test_it_is_the_convolution_with_the_kernel_of_the_paper():
    """Given the taps 2 Re(sum of C B A^l) of arXiv 2206.11893, section 3.3, every output is their sum with the tokens so far."""
    torch.manual_seed(0)
    length, step = 20, torch.tensor([0.3, 0.02], dtype=torch.float64)
    a = torch.complex(torch.full((2, 3), -0.5, dtype=torch.float64), math.pi * torch.arange(3.0).double().expand(2, 3))
    c, x = torch.randn(2, 3, dtype=torch.complex128), torch.randn(1, length, 2, dtype=torch.float64)
    a_bar = torch.exp(step[:, None] * a)
    b_bar = (a_bar - 1) / a
    taps = [2 * (c * b_bar * a_bar**lag).sum(1).real for lag in range(length)]
    expected = torch.stack([sum(taps[t - s] * x[0, s] for s in range(t + 1)) for t in range(length)])[None]
    log_transition, entering = discretised(step.log(), torch.full((2, 3), 0.5).double().log(), a.imag)
    for chunk in (4, 64):
        torch.testing.assert_close(diagonal_ssm(x, log_transition, 2 * c * entering, chunk), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("chunk", [8, 64])
def test_exactly_causal_results_do_not_know_later_tokens(chunk):
    x, log_transition, weight = sample(length=50, dtype=torch.float32)
    changed = x.clone()
    changed[:, 30:] += 100.0
    found, expected = (diagonal_ssm(given, log_transition, weight, chunk, True)[:, :30] for given in (changed, x))
    assert torch.equal(found, expected)


@exactly_or_not
@pytest.mark.parametrize("chunk", [1, 2, 8])
def test_gradients_equal_finite_differences(chunk, exactly):
    arguments = [argument.requires_grad_() for argument in sample(batch=2, length=7, channels=2, states=2)]
    assert torch.autograd.gradcheck(lambda *given: diagonal_ssm(*given, chunk, exactly), arguments)


def test_gradients_of_the_discretisation_equal_finite_differences():
    arguments = [torch.randn(*shape, dtype=torch.float64, requires_grad=True) for shape in ((2,), (2, 3), (2, 3))]
    assert torch.autograd.gradcheck(discretised, arguments)


@exactly_or_not
@pytest.mark.parametrize("chunk", [1, 4, 40])
def test_gradients_equal_those_of_the_recurrence(chunk, exactly):
    weighting = torch.randn(2, 29, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    gradients = []
    for function in (lambda *given: diagonal_ssm(*given, chunk, exactly), diagonal_ssm_reference):
        arguments = [argument.requires_grad_() for argument in sample(length=29)]
        gradients.append(torch.autograd.grad((function(*arguments) * weighting).sum(), arguments))
    for mine, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("log_step", [math.log(0.001), math.log(0.1)])
def test_float32_at_the_steps_that_layers_start_with(log_step):
    """Given 32 states as S4D-Lin lays them out and 2,000 tokens: float32 beside the float64 recurrence.

    States that live for 2,000 tokens multiply the rounding of their transition as often, whichever way they are computed.
    """
    x = torch.randn(1, 2000, 1, dtype=torch.float64)
    given = (torch.full((1,), log_step), torch.full((1, 32), math.log(0.5)), math.pi * torch.arange(32.0)[None])
    log_transition, entering = discretised(*given)
    weight = torch.randn(1, 32, dtype=torch.complex64) * entering
    exact = diagonal_ssm_reference(x, *(tensor.to(torch.complex128) for tensor in (log_transition, weight)))
    found = diagonal_ssm(x.float(), log_transition, weight, 64)
    assert (found - exact).abs().max() < 1e-4 * exact.abs().max()


def test_longer_batch_mates_change_nothing_beyond_rounding():
    x, log_transition, weight = sample(batch=1, length=50, dtype=torch.float32)
    padded = torch.nn.functional.pad(x, (0, 0, 0, 5000))
    found = diagonal_ssm(padded, log_transition, weight, 64)[:, :50]
    torch.testing.assert_close(found, diagonal_ssm(x, log_transition, weight, 64), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("log_step", [-50.0, 50.0])
@pytest.mark.parametrize("log_decay", [-50.0, 20.0])
def test_extreme_steps_and_decays_stay_finite(log_step, log_decay):
    given = [torch.full((2,), log_step), torch.full((2, 3), log_decay), torch.ones(2, 3)]
    given = [tensor.requires_grad_() for tensor in given]
    log_transition, entering = discretised(*given)
    y = diagonal_ssm(torch.randn(1, 500, 2), log_transition, entering, 64)
    gradients = torch.autograd.grad(y.sum(), given)
    assert y.isfinite().all() and all(gradient.isfinite().all() for gradient in gradients)


def test_what_stands_after_the_end_influences_no_token():
    x, log_transition, weight = sample(length=12)
    changed = x.clone()
    changed[:, 7:] = 50.0
    found, expected = (diagonal_ssm(given, log_transition, weight, 3)[:, :7] for given in (changed, x))
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)
