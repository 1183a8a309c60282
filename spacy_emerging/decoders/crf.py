"""Conditional random fields: a label depends on its neighbours' labels, and whole sequences are scored."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from ..bridge.layout import Layout
from ..errors import SettingError, check_choice, check_number, check_whole
from ..kernels.dropout import Dropout
from ..types import Field, LossOutput, Prediction
from .chain import Chain
from .outputs import padded, predict_padded

NAME = "spacy-emerging.CRFDecoder.v1"

SECOND_ORDER_LABELS = 100
"""The most labels of a field that order 2 takes: some 10,000 states, and a million transitions. Our default."""


class ConditionalRandomField(nn.Module):
    """One linear chain per field over the token states, trained on the likelihood of whole label sequences.

    width: D of the states. fields: what is predicted, one chain each. order, search, hidden_width, dropout: as for CRFDecoder.
    Padding takes part in nothing: masks say where sequences end, and tokens must stand at their beginning.
    Raises SettingError where a field has too many labels for order 2.
    """

    padless = True
    """Predictions pad nothing, so that sequences of any lengths may go together."""

    def __init__(self, width: int, fields: Sequence[Field], order: int, search: str, hidden_width: int, dropout: float) -> None:
        super().__init__()
        _check_states(fields, order)
        self.search = search
        self.dropout = Dropout(dropout)
        self.chains: Sequence[Chain] = nn.ModuleList(Chain(width, field, order, hidden_width, dropout) for field in fields)  # type: ignore[assignment]

    def loss(self, states: Tensor, mask: Tensor, gold: Tensor) -> LossOutput:
        """Negative log-likelihood in nats, summed over fields and sequences; tokens that are not annotated are summed out.

        states (B, L, D); mask (B, L) bool; gold (B, L, F) int64, -1 where not annotated. A token counts if any field is annotated.
        A sequence whose gold the constraints forbid is measured without them.
        """
        tokens, ids, lengths = self.dropout(states[mask]), gold[mask], mask.sum(1)
        total = tokens.new_zeros(())
        for index, (chain, emissions) in enumerate(zip(self.chains, self._emissions(tokens), strict=True)):
            total = total + chain.loss(emissions, lengths, ids[:, index]).to(total.dtype)
        return LossOutput(total, int((ids >= 0).any(dim=1).sum()), {})

    def predict(self, states: Tensor, mask: Tensor) -> Prediction:
        """Log-marginals, and the best sequences; states (B, L, D), mask (B, L)."""
        return predict_padded(self, states, mask)

    def predict_tokens(self, tokens: Tensor, layout: Layout, want_scores: bool) -> Prediction:
        """The same of (T, D) states end to end; marginals, which cost more than the best sequences, only where they are wanted."""
        lengths, answers = layout.length_tensor, list(zip(self.chains, self._emissions(tokens), strict=True))
        scores = [chain.log_marginals(field, lengths) for chain, field in answers] if want_scores else []
        return Prediction(scores, torch.stack([chain.best(field, lengths) for chain, field in answers], dim=-1))

    @torch.no_grad()
    def n_best(self, states: Tensor, mask: Tensor, count: int) -> list[tuple[Tensor, Tensor]]:
        """Per field the `count` (N) best sequences (B, L, N), the best first, and their log-probabilities (B, N).

        Where there are fewer than N, the rest have the log-probability -inf. Raises SettingError for a count below 1.
        """
        check_whole(NAME, "count", count)
        lengths, result = mask.sum(1), []
        for chain, field in zip(self.chains, self._emissions(states[mask]), strict=True):
            paths, log_probabilities = chain.n_best(field, lengths, count)
            result.append((padded(paths, mask), log_probabilities))
        return result

    def _emissions(self, tokens: Tensor) -> list[Tensor]:
        """Per field (T, K) scores of labels, in at least float32."""
        return [chain.output(tokens).to(torch.promote_types(tokens.dtype, torch.float32)) for chain in self.chains]


def _check_states(fields: Sequence[Field], order: int) -> None:
    for field in fields:
        if order == 2 and len(field.labels) > SECOND_ORDER_LABELS:
            raise SettingError(
                f"{NAME}: setting 'order' is 2, but field '{field.name}' has {len(field.labels)} labels, and a second-order chain has one "
                f"state per pair of labels: it takes at most {SECOND_ORDER_LABELS}; set order = 1."
            )


def CRFDecoder(
    order: int = 1, search: str = "decoder", hidden_width: int = 0, dropout: float = 0.0
) -> Callable[[int, Sequence[Field]], nn.Module]:
    """A linear-chain conditional random field [Lafferty et al. 2001] per field: exact likelihood, Viterbi search, marginals.

    Transitions that the linearization forbids have probability 0 in training, too [Papay et al. 2022]; a gold sequence or a text
    that they leave no way for is treated as if nothing were forbidden.

    order (int): 1, or 2 for transitions that depend on the previous two labels, of fields with at most 100 labels.
    search (str): "decoder" makes the structure of the best sequence; "linearization" lets the linearization search over the marginals.
    hidden_width (int): Units of a LeakyReLU layer before each field's output; 0 for none. Recommended 0 to the encoder's width.
    dropout (float): Rate on the token states, until spaCy sets `training.dropout`. Recommended 0 to 0.3.
    Returns the builder of the module, called once width and labels are known. Raises SettingError.
    """
    check_whole(NAME, "order", order)
    check_choice(NAME, "order", order, (1, 2))
    check_choice(NAME, "search", search, ("decoder", "linearization"))
    check_whole(NAME, "hidden_width", hidden_width, at_least=0)
    check_number(NAME, "dropout", dropout, below=1)
    return partial(ConditionalRandomField, order=order, search=search, hidden_width=hidden_width, dropout=dropout)
