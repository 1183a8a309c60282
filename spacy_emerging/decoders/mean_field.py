"""A linear chain over labels that is inferred token by token: everyone listens to what the neighbours believe, a few times."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..bridge.layout import Layout


class MeanFieldChain(nn.Module):
    """Transitions between K labels, and beliefs under them.

    A conditional random field whose labels are taken for independent in the answer (mean field), all tokens being updated at once. The
    updates are part of the network and are learned through, as in CRF-RNN (arXiv 1502.03240, section 4). Transitions start at 0,
    where the beliefs are a softmax of the scores.

    labels: K. rounds: updates.
    """

    no_weight_decay = ("between",)

    def __init__(self, labels: int, rounds: int) -> None:
        super().__init__()
        self.rounds = rounds
        self.between = nn.Parameter(torch.zeros(labels, labels))  # [previous, next]

    def log_beliefs(self, scores: Tensor, layout: Layout) -> Tensor:
        """(S, T, K) scores of S samples over the same sequences, end to end, to log-probabilities; no sequence hears another."""
        inner = (layout.position > 0).to(scores.dtype)[1:, None]  # of each token but the first: whether it has one before it
        log_beliefs = scores.log_softmax(dim=-1)
        for _ in range(self.rounds):
            beliefs = log_beliefs.exp()
            forth = functional.pad((beliefs[:, :-1] @ self.between) * inner, (0, 0, 1, 0))
            back = functional.pad((beliefs[:, 1:] @ self.between.T) * inner, (0, 0, 0, 1))
            log_beliefs = (scores + forth + back).log_softmax(dim=-1)
        return log_beliefs
