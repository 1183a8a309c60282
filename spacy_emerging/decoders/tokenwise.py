"""The plain labeler that decoders are built from: a softmax over each field's labels, every token for itself."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..kernels.dropout import Dropout
from ..types import Field, LossOutput, Prediction
from .outputs import label_output


class Softmax(nn.Module):
    """One linear layer per field over the token states, cross-entropy on annotated tokens.

    width: D of the states. fields: what is predicted.
    label_smoothing: share of probability spread over all labels. hidden_width: units of a layer before each output; 0 for none.
    """

    tokenwise = True
    """Every token is decided alone, so the bridge hands all tokens of a batch as one sequence and nothing is padded."""

    search = "linearization"

    def __init__(self, width: int, fields: Sequence[Field], label_smoothing: float, hidden_width: int, dropout: float) -> None:
        super().__init__()
        self.label_smoothing = label_smoothing
        self.dropout = Dropout(dropout)
        self.outputs = nn.ModuleList(label_output(width, hidden_width, len(field.labels), dropout) for field in fields)

    def loss(self, states: Tensor, mask: Tensor, gold: Tensor) -> LossOutput:
        """Cross-entropy in nats, summed over fields and annotated tokens.

        states (B, L, D); mask (B, L) bool; gold (B, L, F) int64, -1 where not annotated. A token counts if any field is.
        """
        tokens, ids = self.dropout(states[mask]), gold[mask]
        total = tokens.new_zeros(())
        for index, output in enumerate(self.outputs):
            known = ids[:, index] >= 0
            total = total + self.surprise(output(tokens[known]), ids[known, index])
        return LossOutput(total, int((ids >= 0).any(dim=1).sum()), {})

    def surprise(self, scores: Tensor, wanted: Tensor) -> Tensor:
        """Summed cross-entropy of (T, K) scores and (T,) ids."""
        return functional.cross_entropy(scores, wanted, reduction="sum", label_smoothing=self.label_smoothing)

    def predict(self, states: Tensor, mask: Tensor) -> Prediction:
        """Log-probabilities and argmax; states (B, L, D), mask (B, L)."""
        scores = [output(states).log_softmax(dim=-1) for output in self.outputs]
        return Prediction(scores, torch.stack([field.argmax(dim=-1) for field in scores], dim=-1))
