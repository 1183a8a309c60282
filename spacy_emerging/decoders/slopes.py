"""Gradients by scores that are set by hand: how far one loss may go beside another."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def shortened(slopes: Tensor, beside: Tensor, share: float) -> Tensor:
    """Slopes (T, K), each row at most `share` times as long as that of `beside` (T, K). Shorter rows stay as they are."""
    longest = share * beside.norm(dim=1, keepdim=True)
    length = slopes.norm(dim=1, keepdim=True)
    return slopes * (longest / length.clamp_min(torch.finfo(slopes.dtype).tiny)).clamp_max(1.0)


def sloped(value: Tensor, scores: Sequence[Tensor], slopes: Sequence[Tensor]) -> Tensor:
    """A number of this value, whose gradient by scores (T, K) per field is `slopes`."""
    found = value.detach()
    for field, slope in zip(scores, slopes, strict=True):
        found = found + ((field - field.detach()).to(slope) * slope).sum()  # in the precision of the slope
    return found
