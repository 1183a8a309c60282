"""The discriminator of adversarial tagging: which labels of a sequence are real, or right, given the states of its tokens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..kernels.dropout import Dropout


class Discriminator(nn.Module):
    """Judges every token by its state and its labels, and by those of its neighbours. The architecture is our own.

    width: D of the states. labels: K of each field. hidden_width: H. window: neighbours that are seen on either side.
    Its parameters take no gradient but within `learning`, so that whoever is trained on its judgement does not train it.
    """

    def __init__(self, width: int, labels: Sequence[int], hidden_width: int, window: int, dropout: float) -> None:
        super().__init__()
        self.of_states = nn.Linear(width, hidden_width)
        self.of_labels = nn.ModuleList(nn.Embedding(count, hidden_width) for count in labels)
        self.around = nn.Conv1d(hidden_width, hidden_width, 2 * window + 1, padding=window)
        self.verdict = nn.Linear(hidden_width, 1)
        self.dropout = Dropout(dropout)
        self.requires_grad_(False)

    def forward(self, tokens: Tensor, labels: Sequence[Tensor], mask: Tensor) -> Tensor:
        """(T,) log-odds that a token's labels are real (or right).

        tokens: (T, D). labels: per field (T, K) shares that add up to 1, or zeros where a token has no label. mask: (B, L), where
        the T tokens stand in their sequences. States are normalized, so that their scale does not matter.
        """
        hidden = self.of_states(functional.layer_norm(tokens, tokens.shape[1:]))
        for embedding, shares in zip(self.of_labels, labels, strict=True):
            hidden = hidden + shares @ cast(nn.Embedding, embedding).weight
        hidden = self.dropout(functional.leaky_relu(hidden, 0.2))
        padded = hidden.new_zeros((*mask.shape, hidden.shape[1]))
        padded[mask] = hidden
        hidden = self.around(padded.mT).mT[mask]
        return self.verdict(self.dropout(functional.leaky_relu(hidden, 0.2))).squeeze(1)

    @contextmanager
    def learning(self) -> Iterator[list[nn.Parameter]]:
        """Within, the parameters take gradients; gives them."""
        try:
            self.requires_grad_(True)
            with torch.enable_grad():
                yield list(self.parameters())
        finally:
            self.requires_grad_(False)
