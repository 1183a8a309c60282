"""Dropout that takes 16 random bits for a number, where torch takes a random number of its own, which takes longer on a CPU."""

from __future__ import annotations

import torch
from torch import Tensor, nn

STEPS = 1 << 16
"""Rates are rounded to whole steps of one: what 16 bits can tell apart."""


class Dropout(nn.Dropout):
    """As `nn.Dropout`, with random bits of the same generator. p: rate, 0 to 1."""

    @property
    def active(self) -> bool:
        """Whether it changes anything."""
        return self.training and self.p > 0

    def forward(self, x: Tensor) -> Tensor:
        """(...) to (...): zeros at the rate, and the rest scaled up, so that the mean stays."""
        dropped = round(self.p * STEPS)
        if not self.training or not 0 < dropped < STEPS or x.device.type != "cpu":
            return super().forward(x)
        drawn = torch.empty((x.numel() + 3) // 4, dtype=torch.int64, device=x.device).random_(-(2**63), None)
        kept = drawn.view(torch.int16)[: x.numel()].view(x.shape) >= dropped - STEPS // 2
        return x * kept.to(x.dtype).mul_(STEPS / (STEPS - dropped))
