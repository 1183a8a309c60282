"""Gaussian diffusion: schedules against their formulas, the forward process' marginals, and steps back."""

from __future__ import annotations

import math

import pytest
import torch

from spacy_emerging.kernels.diffusion import SCHEDULES, noised, parted, remainders, step_back, time_grid

each_schedule = pytest.mark.parametrize("schedule", SCHEDULES)


def normal(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


# Schedules


@each_schedule
@pytest.mark.parametrize("times", [2, 10, 1000])
def test_what_is_left_falls_from_all_to_nearly_nothing(schedule: str, times: int) -> None:
    left = remainders(schedule, times)
    assert left.shape == (times + 1,) and left.dtype == torch.float64
    assert left[0] == 1 and (left[1:] < left[:-1]).all() and 0 < left[-1] < 0.02


def test_linear_schedule() -> None:
    left, product = remainders("linear", 1000), 1.0
    for t in range(1000):
        product *= 1 - (1e-4 + (0.02 - 1e-4) * t / 999)
        assert left[t + 1].item() == pytest.approx(product)


def test_cosine_schedule() -> None:
    left = remainders("cosine", 1000)
    for t in (1, 250, 500, 900):
        wanted = math.cos((t / 1000 + 0.008) / 1.008 * math.pi / 2) ** 2 / math.cos(0.008 / 1.008 * math.pi / 2) ** 2
        assert left[t].item() == pytest.approx(wanted)


def test_sigmoid_schedule() -> None:
    left = remainders("sigmoid", 1000)
    sigmoid = lambda x: 1 / (1 + math.exp(-x))  # noqa: E731
    for t in (1, 250, 500, 900):
        assert left[t].item() == pytest.approx((sigmoid(3) - sigmoid(6 * t / 1000 - 3)) / (sigmoid(3) - sigmoid(-3)))


@pytest.mark.parametrize(("times", "steps", "wanted"), [(1000, 1, [1000, 0]), (10, 4, [10, 8, 5, 2, 0]), (3, 3, [3, 2, 1, 0])])
def test_times_of_steps(times: int, steps: int, wanted: list[int]) -> None:
    assert time_grid(times, steps) == wanted


# Forward


@each_schedule
@pytest.mark.parametrize("t", [1, 300, 1000])
def test_marginals_of_the_forward_process(schedule: str, t: int) -> None:
    # given a signal of 0.5, and 200,000 draws of noise
    left = remainders(schedule, 1000)[t]
    drawn = noised(torch.full((200_000,), 0.5, dtype=torch.float64), normal(200_000), left)
    assert drawn.mean().item() == pytest.approx(0.5 * math.sqrt(left), abs=0.01)
    assert drawn.var().item() == pytest.approx(1 - left.item(), abs=0.01)


@each_schedule
def test_one_jump_has_the_variance_of_many_steps(schedule: str) -> None:
    # noise of single steps, added up, is that of the closed form
    left, variance = remainders(schedule, 100), 0.0
    for before, after in zip(left[:-1], left[1:], strict=True):
        kept = (after / before).item()
        variance = kept * variance + (1 - kept)
        assert variance == pytest.approx(1 - after.item())


@each_schedule
def test_velocity_parts_signal_and_noise_at_every_time(schedule: str) -> None:
    left, signal, noise = remainders(schedule, 100), normal(50), normal(2, 50)[1]
    for t in range(101):
        velocity = left[t].sqrt() * noise - (1 - left[t]).sqrt() * signal
        found = parted(noised(signal, noise, left[t]), velocity, left[t])
        torch.testing.assert_close(found, (signal, noise))


# Backward


@each_schedule
@pytest.mark.parametrize("steps", [1, 2, 7, 50])
def test_deterministic_steps_with_a_perfect_estimate_end_at_the_signal(schedule: str, steps: int) -> None:
    left, signal = remainders(schedule, 50), normal(30)
    noise = x = normal(2, 30)[1]
    grid = time_grid(50, steps)
    x = noised(signal, noise, left[50])
    for t, s in zip(grid[:-1], grid[1:], strict=True):
        x = step_back(x, signal, left[t], left[s])
        # the path is that of the same noise, fading out
        torch.testing.assert_close(x, noised(signal, noise, left[s]))
    torch.testing.assert_close(x, signal)


@each_schedule
def test_ancestral_step_keeps_the_marginals(schedule: str) -> None:
    left, draws = remainders(schedule, 100), normal(2, 200_000)
    signal = torch.full((200_000,), 0.5, dtype=torch.float64)
    for t, s in ((100, 60), (60, 1), (1, 0)):
        x = step_back(noised(signal, draws[0], left[t]), signal, left[t], left[s], draws[1])
        assert x.mean().item() == pytest.approx(0.5 * math.sqrt(left[s]), abs=0.01)
        assert x.var().item() == pytest.approx(1 - left[s].item(), abs=0.01)


def test_ancestral_step_has_the_variance_of_the_posterior() -> None:
    # of Ho et al. 2020, eq. 7, from one time to the one before
    left, t = remainders("linear", 1000), 400
    x = step_back(torch.zeros(1), torch.zeros(1), left[t], left[t - 1], torch.ones(1, dtype=torch.float64))
    beta = 1 - left[t] / left[t - 1]
    assert x.item() ** 2 == pytest.approx(((1 - left[t - 1]) / (1 - left[t]) * beta).item())
