"""Gaussian diffusion: how much of a signal is left after t of T noising steps, and the steps back."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

LARGEST_BETA = 0.999
"""Most noise of one step, so that something is left of the signal at every time (arXiv 2102.09672, section 3.2)."""


def _linear(times: int) -> Tensor:
    """Noise per step grows from 0.0001 to 0.02 over 1,000 steps (arXiv 2006.11239, section 4), scaled to any other number of them."""
    scale = 1000 / times
    return torch.linspace(1e-4 * scale, 0.02 * scale, times, dtype=torch.float64)


def _cosine(times: int) -> Tensor:
    """What is left falls like a squared cosine, shifted by 0.008 (arXiv 2102.09672, section 3.2)."""
    places = torch.linspace(0, 1, times + 1, dtype=torch.float64)
    return _steps_of(((places + 0.008) / 1.008 * math.pi / 2).cos() ** 2)


def _sigmoid(times: int) -> Tensor:
    """What is left falls like a sigmoid between -3 and 3 (arXiv 2212.11972, appendix B, there the default)."""
    values = torch.linspace(-3, 3, times + 1, dtype=torch.float64).sigmoid()
    return _steps_of((values[-1] - values) / (values[-1] - values[0]))


def _steps_of(left: Tensor) -> Tensor:
    """Noise per step (T,) from what is left (T + 1,)."""
    return 1 - left[1:] / left[:-1]


SCHEDULES: dict[str, Callable[[int], Tensor]] = {"linear": _linear, "cosine": _cosine, "sigmoid": _sigmoid}


def remainders(schedule: str, times: int) -> Tensor:
    """(T + 1,) float64: the share of the signal's variance that is left at times 0 to T (the papers' alpha bar), from 1 to nearly 0."""
    betas = SCHEDULES[schedule](times).clamp(max=LARGEST_BETA)
    return torch.cat([torch.ones(1, dtype=torch.float64), (1 - betas).cumprod(0)])


def noised(signal: Tensor, noise: Tensor, left: Tensor) -> Tensor:
    """The signal at a time at which `left` of its variance is left; noise is standard normal."""
    return left.sqrt() * signal + (1 - left).sqrt() * noise


def parted(noisy: Tensor, velocity: Tensor, left: Tensor) -> tuple[Tensor, Tensor]:
    """Signal and noise, from their mixture and the velocity with which it turns from noise to signal (arXiv 2202.00512, appendix D).

    The velocity is `left.sqrt() * noise - (1 - left).sqrt() * signal`. Unlike the noise, it tells the signal at every time without
    dividing by what is left of it.
    """
    return left.sqrt() * noisy - (1 - left).sqrt() * velocity, (1 - left).sqrt() * noisy + left.sqrt() * velocity


def time_grid(times: int, steps: int) -> list[int]:
    """steps + 1 times from T down to 0, evenly spaced. At most T steps."""
    return [round(times * step / steps) for step in range(steps, -1, -1)]


def step_back(noisy: Tensor, signal: Tensor, left: Tensor, target: Tensor, fresh: Tensor | None = None) -> Tensor:
    """From one time to an earlier one, given an estimate of the signal.

    left, target: what is left of the signal at both times. fresh: standard normal noise for an ancestral step (arXiv 2006.11239,
    eq. 7); without it, the step is deterministic (arXiv 2010.02502, eq. 12, with a sigma of 0; that of its eq. 16 is the ancestral one).
    """
    noise = (noisy - left.sqrt() * signal) / (1 - left).sqrt()
    if fresh is None:
        return noised(signal, noise, target)
    renewed = (1 - target) / (1 - left) * (1 - left / target)
    return target.sqrt() * signal + (1 - target - renewed).clamp_min(0).sqrt() * noise + renewed.sqrt() * fresh
