"""Root-mean-square normalisation, plain and gated."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

EPSILON = 1e-5
"""Added to the mean square, as in the authors' Mamba-2."""


def rms_norm(x: Tensor, weight: Tensor) -> Tensor:
    """(..., D) to (..., D): x / sqrt(mean(x^2) + epsilon) * weight (arXiv 1910.07467), in at least float32."""
    exact = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
    return (exact * torch.rsqrt(exact.square().mean(-1, keepdim=True) + EPSILON)).to(x.dtype) * weight


def gated_rms_norm(x: Tensor, gate: Tensor, weight: Tensor) -> Tensor:
    """(..., D) to (..., D): rms_norm(x * silu(gate)), the normalisation before Mamba-2's out-projection (arXiv 2405.21060, section 7.1)."""
    return rms_norm(x * functional.silu(gate), weight)
