"""One field's chain of labels: what a conditional random field is parametrized by, its loss, and its answers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..kernels.crf import log_marginals, log_partition, path_scores
from ..kernels.steps import Steps
from ..kernels.viterbi import best_path, n_best_paths
from ..types import Field, Transitions
from .outputs import label_output

LEAST = math.log(torch.finfo(torch.float32).tiny)
"""The log-probability of what cannot be: that of the smallest float32, so that searches and confidences see numbers."""


class Chain(nn.Module):
    """Scores of labels from token states, and of transitions between labels, which do not depend on the states.

    width: D. field: its labels, and which may begin, follow one another and end. order: 1, or 2 for transitions that also depend on
    the label before the last. Transitions start at 0, where the chain is a softmax over each token's labels.
    """

    no_weight_decay = ("between", "earlier")
    starts: Tensor | None
    follows: Tensor | None
    ends: Tensor | None

    def __init__(self, width: int, field: Field, order: int, hidden_width: int, dropout: float) -> None:
        super().__init__()
        labels = len(field.labels)
        self.output: Callable[[Tensor], Tensor] = label_output(width, hidden_width, labels, dropout)
        self.start = nn.Parameter(torch.zeros(labels))
        self.between = nn.Parameter(torch.zeros(labels, labels))  # [previous, next]
        self.end = nn.Parameter(torch.zeros(labels))
        # [previous, the one before it or none, next]
        self.earlier = nn.Parameter(torch.zeros(labels, labels + 1, labels)) if order == 2 else None
        self.limits = None if field.allowed is None else PossibleLengths(field.allowed)
        for name, allowed in zip(("starts", "follows", "ends"), field.allowed or (None,) * 3, strict=True):
            penalty = None if allowed is None else torch.zeros(allowed.shape).masked_fill(~torch.tensor(allowed), -math.inf)
            self.register_buffer(name, penalty, persistent=False)

    # Scores

    def scores(self, emissions: Tensor, steps: Steps, constrained: bool) -> tuple[Tensor, Tensor]:
        """Emissions (T, K) and transitions (G, K, K) as the kernels take them, from (T, K) label scores end to end."""
        limits = (self.starts, self.follows, self.ends)
        start, between, end = (
            scores if penalty is None or not constrained else scores + penalty
            for scores, penalty in zip((self.start, self.between, self.end), limits, strict=True)
        )
        stepwise = steps.arranged(emissions)
        stepwise = torch.cat([stepwise[: steps.sequences] + start, stepwise[steps.sequences :]])
        stepwise = stepwise.index_add(0, steps.last, end.expand(steps.sequences, -1))
        if self.earlier is None:
            return stepwise, between[None]
        transitions = functional.pad(between[:, None] + self.earlier, (0, 1, 0, 0, 0, 1))
        return functional.pad(stepwise, (0, 1), value=-math.inf), transitions

    # Loss

    def loss(self, emissions: Tensor, lengths: Tensor, ids: Tensor) -> Tensor:
        """Negative log-likelihood in nats, summed over sequences, in float64.

        emissions: (T, K) end to end. lengths: (B,). ids: (T,), -1 where not annotated: there, all labels are summed over. A sequence
        without any annotation says nothing and is left out.
        """
        sequence = torch.arange(len(lengths), device=lengths.device).repeat_interleave(lengths)
        known = torch.zeros_like(lengths).index_add(0, sequence, (ids >= 0).long())
        complete, partial = (known > 0) & (known == lengths), (known > 0) & (known < lengths)
        return sum(self._surprise(emissions, lengths, ids, chosen, constrained=True) for chosen in (complete, partial))  # type: ignore[return-value]

    def _surprise(self, emissions: Tensor, lengths: Tensor, ids: Tensor, chosen: Tensor, constrained: bool) -> Tensor:
        """Of the chosen sequences, (B,) bool, which are annotated either all in full, or all in part."""
        steps = Steps(lengths, chosen)
        if not steps.tokens:
            return emissions.new_zeros(())
        scores, transitions = self.scores(emissions, steps, constrained)
        gold = steps.arranged(ids)
        if (gold >= 0).all():
            annotated = path_scores(scores, transitions, gold, steps)
        else:
            other = (gold[:, None] >= 0) & (gold[:, None] != torch.arange(scores.shape[1], device=gold.device))
            annotated = log_partition(scores.masked_fill(other, -math.inf), transitions, steps)
        surprise = log_partition(scores, transitions, steps) - annotated
        illegal = annotated.isinf()
        if not constrained or not illegal.any():
            return surprise.sum()
        again = torch.zeros_like(chosen).index_fill(0, steps.order[illegal], True)
        return surprise[~illegal].sum() + self._surprise(emissions, lengths, ids, again, constrained=False)

    # Answers

    def best(self, emissions: Tensor, lengths: Tensor) -> Tensor:
        """(T,) ids of the best legal sequences, from (T, K) label scores end to end."""
        result = torch.zeros(len(emissions), dtype=torch.int64, device=emissions.device)
        for steps, constrained in self._runs(lengths):
            result[steps.index] = best_path(*self.scores(emissions, steps, constrained), steps)
        return result

    def log_marginals(self, emissions: Tensor, lengths: Tensor) -> Tensor:
        """(T, K) log-probabilities of each label at each token, at least LEAST."""
        result = torch.empty_like(emissions)
        for steps, constrained in self._runs(lengths):
            found = log_marginals(*self.scores(emissions, steps, constrained), steps)
            result[steps.index] = found[:, : emissions.shape[1]].clamp_min(LEAST).to(result.dtype)
        return result

    def n_best(self, emissions: Tensor, lengths: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """(T, N) ids of the N best legal sequences, and their log-probabilities (B, N), -inf where there are fewer."""
        paths = torch.zeros((len(emissions), count), dtype=torch.int64, device=emissions.device)
        surest = emissions.new_full((len(lengths), count), -math.inf)
        for steps, constrained in self._runs(lengths):
            scores, transitions = self.scores(emissions, steps, constrained)
            found, totals = n_best_paths(scores, transitions, steps, count)
            paths[steps.index] = found.clamp_max(emissions.shape[1] - 1)
            surest[steps.order] = (totals - log_partition(scores, transitions, steps)[:, None]).to(surest.dtype)
        return paths, surest

    def _runs(self, lengths: Tensor) -> Iterator[tuple[Steps, bool]]:
        """All sequences for which there is a legal answer, and those for which there is none, which are answered without constraints."""
        every = torch.ones_like(lengths, dtype=torch.bool)
        legal = every if self.limits is None else torch.tensor(self.limits.of(lengths.tolist()), dtype=torch.bool, device=lengths.device)
        for chosen, constrained in ((legal, True), (~legal, False)):
            steps = Steps(lengths, chosen)
            if steps.tokens:
                yield steps, constrained


class PossibleLengths:
    """For which lengths there is a legal sequence at all: a vocabulary without one-word spans may leave none of one word."""

    def __init__(self, allowed: Transitions) -> None:
        self._allowed = allowed
        self._reached = allowed.start
        self._possible = [True]  # by length
        self._settled = False

    def of(self, lengths: list[int]) -> list[bool]:
        """For each of these lengths."""
        while len(self._possible) <= max(lengths, default=0) and not self._settled:
            self._possible.append(bool((self._reached & self._allowed.end).any()))
            following = (self._reached[:, None] & self._allowed.between).any(0)
            self._settled = bool((following == self._reached).all())
            self._reached = following
        return [self._possible[min(length, len(self._possible) - 1)] for length in lengths]
