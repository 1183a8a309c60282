"""What decoders share: the layer from token states to a field's label scores, and answers with and without padding."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor, nn

from ..bridge.layout import Layout
from ..kernels.dropout import Dropout
from ..types import Prediction


def label_output(width: int, hidden_width: int, labels: int, dropout: float) -> nn.Module:
    """(..., D) to (..., K): one linear layer, or two with a LeakyReLU of `hidden_width` units between them; 0 for none."""
    if not hidden_width:
        return nn.Linear(width, labels)
    return nn.Sequential(nn.Linear(width, hidden_width), nn.LeakyReLU(0.1), Dropout(dropout), nn.Linear(hidden_width, labels))


class AnswersEndToEnd(Protocol):
    """A decoder that needs no padding for its answers."""

    def predict_tokens(self, tokens: Tensor, layout: Layout, want_scores: bool) -> Prediction:
        """From (T, D) states end to end: (T, K) scores per field, or none where nobody wants them, (T, F) ids, and agreement (T,)."""
        ...


def predict_padded(decoder: AnswersEndToEnd, states: Tensor, mask: Tensor) -> Prediction:
    """The same of (B, L, D) states with padding, of which (B, L) is False: scores (B, L, K), ids (B, L, F), agreement (B, L)."""
    found = decoder.predict_tokens(states[mask], layout_of(mask), want_scores=True)
    agreement = None if found.agreement is None else padded(found.agreement, mask)
    return Prediction([padded(field, mask) for field in found.scores], padded(found.best, mask), agreement)


def layout_of(mask: Tensor) -> Layout:
    """Of the sequences of a mask (B, L) that are not empty."""
    return Layout([length for length in mask.sum(1).tolist() if length], mask.device)


def padded(flat: Tensor, mask: Tensor) -> Tensor:
    """(T, ...) to (B, L, ...), zeros in the padding."""
    result = flat.new_zeros((*mask.shape, *flat.shape[1:]))
    result[mask] = flat
    return result
