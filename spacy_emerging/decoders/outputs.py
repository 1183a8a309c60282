"""The layer from token states to a field's label scores, which decoders are built from."""

from __future__ import annotations

from torch import nn

from ..kernels.dropout import Dropout


def label_output(width: int, hidden_width: int, labels: int, dropout: float) -> nn.Module:
    """(..., D) to (..., K): one linear layer, or two with a LeakyReLU of `hidden_width` units between them; 0 for none."""
    if not hidden_width:
        return nn.Linear(width, labels)
    return nn.Sequential(nn.Linear(width, hidden_width), nn.LeakyReLU(0.1), Dropout(dropout), nn.Linear(hidden_width, labels))
