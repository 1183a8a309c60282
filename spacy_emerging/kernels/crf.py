"""Linear-chain conditional random fields (Lafferty et al. 2001): the sum over all label sequences, and its gradient.

    log Z = log sum over y of exp( sum over t of emission[t, y[t]] + transition[y[t-1], y[t]] )

Letters: T tokens in step order (see `steps.py`), B sequences by rank, K labels, G histories. In a first-order chain a state is a
label and G = 1. In a second-order chain a state is a pair of labels, of which the earlier is the history, and G = K; the last
label then stands for "before the sequence", and its emissions must be -inf.

Emissions are (T, K); what begins and ends a sequence is added to its first and last token. Transitions are (G, K, K), that is
`[history, before, next]`: (1, K, K) in a first-order chain, while in a second-order one `history` is the previous label and `before`
the one before it. -inf forbids a label at a token, or a transition. Memory is O(T G K + G K K), whatever the lengths.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from .steps import Steps

CHUNK = 2**19
"""Numbers in the largest temporary tensor of a step in log space: what stays in a processor's cache. Our default, measured."""


def log_partition(emissions: Tensor, transitions: Tensor, steps: Steps) -> Tensor:
    """(B,) log Z, in float64; -inf, and no gradient, where everything is forbidden. Exact in any range; differentiable once.

    emissions: (T, K). transitions: (G, K, K).
    """
    with torch.autocast(emissions.device.type, enabled=False):
        return _LogPartition.apply(emissions, transitions, steps)


def log_marginals(emissions: Tensor, transitions: Tensor, steps: Steps) -> Tensor:
    """(T, K) log-probabilities of each label at each token, in float64; -inf for what cannot be. Without gradient."""
    with torch.no_grad(), torch.autocast(emissions.device.type, enabled=False):
        return _chain(emissions, transitions, steps).posterior(None)[0].log()


def path_scores(emissions: Tensor, transitions: Tensor, labels: Tensor, steps: Steps) -> Tensor:
    """(B,) scores of one sequence of labels (T,) each, in float64; -inf where it is forbidden."""
    first, second_order = steps.sequences, len(transitions) > 1
    scores = widened(emissions.gather(1, labels[:, None])[:, 0])
    before = labels[steps.previous]
    if second_order:
        outside = torch.full_like(labels[:first], emissions.shape[1] - 1)
        earlier = torch.cat([outside, before])[steps.previous]
        moves = transitions[before, earlier, labels[first:]]
    else:
        moves = transitions[0, before, labels[first:]]
    return steps.sums(torch.cat([scores[:first], scores[first:] + widened(moves)]))


def widened(tensor: Tensor) -> Tensor:
    """In float64, in which sums over long sequences keep their digits; in float32 on Apple's GPUs, which have none."""
    return tensor.to(torch.float32 if tensor.device.type == "mps" else torch.float64)


class _LogPartition(torch.autograd.Function):
    """The gradient is known: of an emission, how probable its label is; of a transition, how often it is expected."""

    @staticmethod
    def forward(ctx: Any, emissions: Tensor, transitions: Tensor, steps: Steps) -> Tensor:
        ctx.chain = _chain(emissions, transitions, steps)
        ctx.dtypes = emissions.dtype, transitions.dtype
        return ctx.chain.log_z.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        chain: ScaledChain | LogChain = ctx.chain
        marginals, expected = chain.posterior(gradient)
        return (marginals * gradient[chain.steps.rank, None]).to(ctx.dtypes[0]), expected.to(ctx.dtypes[1]), None


def _chain(emissions: Tensor, transitions: Tensor, steps: Steps) -> ScaledChain | LogChain:
    inputs = widened(emissions.detach()), widened(transitions.detach())
    scaled = ScaledChain(*inputs, steps)
    return scaled if scaled.within_range else LogChain(*inputs, steps)


# In probabilities: one matrix product per step.


class Scaled(NamedTuple):
    """exp(scores - peaks), and how far the lowest finite score lies below its peak."""

    values: Tensor
    peaks: Tensor
    span: float


def scaled(scores: Tensor, dims: tuple[int, ...]) -> Scaled:
    """The largest value along `dims` becomes 1."""
    peaks = scores.amax(dims, keepdim=True)
    peaks = torch.where(peaks.isinf(), 0.0, peaks)
    below = scores - peaks
    return Scaled(below.exp(), peaks, -float(torch.where(below.isinf(), 0.0, below).amin()))


class ScaledChain:
    """Forward and backward probabilities, normalized at every token (Rabiner 1989, section V.A).

    within_range: False where scores are so far apart that a probability may have become 0, or a quotient infinite; `LogChain` is for those.
    """

    def __init__(self, emissions: Tensor, transitions: Tensor, steps: Steps) -> None:
        self.steps = steps
        factors, peaks, span = scaled(emissions, (1,))
        self.transitions, top, transitions_span = scaled(transitions, (0, 1, 2))
        self.tiny = torch.finfo(emissions.dtype).tiny
        self.forward, norms = self._forward(factors)
        self.factors = torch.where(norms > 0, factors / norms, 0.0)
        moves = torch.ones_like(norms[:, 0])
        moves[: steps.sequences] = 0
        self.log_z = steps.sums((norms.log() + peaks)[:, 0] + moves * top.flatten())
        least = torch.where(self.forward > 0, self.forward, 1.0).amin()
        self.within_range = span + transitions_span - math.log(least) < 0.45 * math.log(torch.finfo(emissions.dtype).max)

    def _forward(self, factors: Tensor) -> tuple[Tensor, Tensor]:
        """(T, G, K), summing to 1 per token, and (T, 1) what they were divided by."""
        histories, labels, _ = self.transitions.shape
        forward = factors.new_zeros((len(factors), histories, labels))
        norms = factors.new_empty((len(factors), 1, 1))
        first = slice(0, self.steps.sequences)
        forward[first, -1] = factors[first]
        self._normalize(forward, norms, first)
        spread = factors[:, None]
        for here, before in self.steps.slices():
            moved = by_history(forward[before]) @ self.transitions
            torch.mul(moved.transpose(0, 1), spread[here], out=forward[here])
            self._normalize(forward, norms, here)
        return forward, norms[:, 0]

    def _normalize(self, forward: Tensor, norms: Tensor, here: slice) -> None:
        torch.sum(forward[here], (1, 2), keepdim=True, out=norms[here])
        forward[here].div_(norms[here].clamp_min(self.tiny))

    def posterior(self, weights: Tensor | None) -> tuple[Tensor, Tensor]:
        """(T, K) probabilities of labels; and (G, K, K) expected counts of transitions, sequences taken `weights` (B,) times.

        None: only the probabilities are wanted, and the counts are empty.
        """
        backward = torch.ones_like(self.forward)
        factors, transposed = self.factors[:, None], self.transitions.transpose(1, 2)
        for here, before in reversed(self.steps.slices()):
            backward[before] = by_state((factors[here] * backward[here]).transpose(0, 1) @ transposed)
        marginals = normalized((self.forward * backward).sum(1))
        if weights is None:
            return marginals, marginals.new_empty(0)
        after = slice(self.steps.sequences, None)
        following = factors[after] * backward[after] * weights[self.steps.rank[after], None, None]
        preceding = by_history(self.forward[self.steps.previous])
        return marginals, self.transitions * (preceding.transpose(1, 2) @ following.transpose(0, 1))


# In log space: right in any range, at the price of an exponential per transition and token.


class LogChain:
    """The same as `ScaledChain`, by sums of exponentials that are taken relative to their largest term."""

    def __init__(self, emissions: Tensor, transitions: Tensor, steps: Steps) -> None:
        self.steps = steps
        self.emissions = emissions[:, None]
        self.transitions = transitions
        self.forward = emissions.new_full((len(emissions), *transitions.shape[:2]), -math.inf)
        first = slice(0, steps.sequences)
        self.forward[first, -1] = emissions[first]
        transposed = transitions.transpose(1, 2).contiguous()
        for here, before in steps.slices():
            moved = reduced(by_history(self.forward[before]), transposed, log_sum)
            self.forward[here] = moved.transpose(0, 1) + self.emissions[here]
        self.log_z = self.forward[steps.last].flatten(1).logsumexp(1)

    def posterior(self, weights: Tensor | None) -> tuple[Tensor, Tensor]:
        """As for `ScaledChain`."""
        backward = torch.zeros_like(self.forward)
        for here, before in reversed(self.steps.slices()):
            following = (self.emissions[here] + backward[here]).transpose(0, 1)
            backward[before] = by_state(reduced(following, self.transitions, log_sum))
        total = torch.where(self.log_z.isinf(), 0.0, self.log_z)[self.steps.rank, None, None]
        marginals = normalized((self.forward + backward - total).exp().sum(1))
        if weights is None:
            return marginals, marginals.new_empty(0)
        after = slice(self.steps.sequences, None)
        following = (self.emissions[after] + backward[after] - total[after]).transpose(0, 1)
        preceding = by_history(self.forward[self.steps.previous])
        return marginals, self._expected(preceding, following, weights[self.steps.rank[after]])

    def _expected(self, preceding: Tensor, following: Tensor, weights: Tensor) -> Tensor:
        rows = rows_at_once(self.transitions.numel())
        result = torch.zeros_like(self.transitions)
        parts = zip(preceding.split(rows, 1), following.split(rows, 1), weights.split(rows), strict=True)
        for before, after, weight in parts:  # (G, n, K) each, and (n,)
            counts = (before[..., None] + self.transitions[:, None] + after[:, :, None]).exp()
            result += torch.einsum("gnab,n->gab", counts, weight)
        return result


def by_history(states: Tensor) -> Tensor:
    """(n, G, K) [sequence, history, label] to (G, n, K): the label becomes the history, the history the label before it."""
    n, histories, labels = states.shape
    return states.reshape(n, labels, histories).permute(2, 0, 1)


def by_state(befores: Tensor) -> Tensor:
    """The way back: (G, n, K) to (n, G, K)."""
    histories, n, labels = befores.shape
    return befores.permute(1, 2, 0).reshape(n, histories, labels)


def reduced(states: Tensor, transitions: Tensor, reduce: Callable[[Tensor], Tensor]) -> Tensor:
    """(G, n, X) and (G, Y, X) to (G, n, Y): every sum of a state and a transition, reduced over X, a few sequences at once."""
    rows = rows_at_once(transitions.numel())
    return torch.cat([reduce(part[:, :, None] + transitions[:, None]) for part in states.split(rows, 1)], 1)


def rows_at_once(numbers: int) -> int:
    """Sequences whose temporary tensors, of so many numbers each, keep within CHUNK."""
    return max(1, CHUNK // max(numbers, 1))


def log_sum(scores: Tensor) -> Tensor:
    """Over the last dimension."""
    return scores.logsumexp(-1)


def normalized(values: Tensor) -> Tensor:
    """(T, K) summing to 1 over K; zeros stay where there is nothing else."""
    return values / values.sum(1, keepdim=True).clamp_min(torch.finfo(values.dtype).tiny)
