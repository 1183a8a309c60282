"""Linear chains against the enumeration of all label sequences, and against other libraries where they are installed."""

from __future__ import annotations

import itertools
import math
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from spacy_emerging.kernels import native
from spacy_emerging.kernels.crf import LogChain, ScaledChain, log_marginals, log_partition, path_scores
from spacy_emerging.kernels.steps import Steps
from spacy_emerging.kernels.viterbi import best_path, n_best_paths

LENGTHS = (3, 1, 4, 2)
needs_loops = pytest.mark.skipif(not native.available(), reason="the loops were not compiled here")
each_order = pytest.mark.parametrize("order", [1, 2])
each_scale = pytest.mark.parametrize("scale", [1.0, 400.0], ids=["usual-scores", "extreme-scores"])


class Drawn(NamedTuple):
    """Random scores of sequences of LENGTHS, tokens in step order; one transition is forbidden."""

    emissions: Tensor
    transitions: Tensor
    steps: Steps


def draw(order: int, scale: float = 1.0, labels: int = 3, lengths: tuple[int, ...] = LENGTHS) -> Drawn:
    steps = Steps(torch.tensor(lengths))
    ids = labels + (order == 2)
    emissions = torch.randn(sum(lengths), ids, dtype=torch.float64) * scale
    transitions = torch.randn(ids if order == 2 else 1, ids, ids, dtype=torch.float64) * scale
    transitions[:, 1:2, 2:3] = -math.inf
    if order == 2:
        emissions[:, -1] = -math.inf  # the label that stands before the sequence
    return Drawn(emissions.requires_grad_(), transitions.requires_grad_(), steps)


def every_path(drawn: Drawn, rank: int) -> list[tuple[Tensor, tuple[int, ...]]]:
    """(score, labels) of all label sequences of one sequence."""
    emissions, transitions, steps = drawn
    own = emissions[steps.rank == rank]
    second_order = len(transitions) > 1
    labels, outside = own.shape[1] - second_order, own.shape[1] - 1
    result = []
    for path in itertools.product(range(labels), repeat=len(own)):
        score = sum((own[t, label] for t, label in enumerate(path)), torch.zeros((), dtype=torch.float64))
        for t in range(1, len(own)):
            if second_order:
                score = score + transitions[path[t - 1], path[t - 2] if t > 1 else outside, path[t]]
            else:
                score = score + transitions[0, path[t - 1], path[t]]
        result.append((score, path))
    return result


def enumerated_partition(drawn: Drawn) -> Tensor:
    return torch.stack([torch.stack([score for score, _ in every_path(drawn, rank)]).logsumexp(0) for rank in range(len(LENGTHS))])


# The sum over all sequences


@each_order
@each_scale
def test_partition_and_gradient_are_those_of_all_sequences(order: int, scale: float) -> None:
    drawn = draw(order, scale)
    weights = torch.randn(len(LENGTHS), dtype=torch.float64)

    found, wanted = log_partition(*drawn), enumerated_partition(drawn)

    torch.testing.assert_close(found, wanted)
    gradients = torch.autograd.grad((found * weights).sum(), drawn[:2])
    enumerated = torch.autograd.grad((wanted * weights).sum(), drawn[:2])
    for one, other in zip(gradients, enumerated, strict=True):
        torch.testing.assert_close(one, other.nan_to_num())


@each_order
def test_gradient_in_finite_differences(order: int) -> None:
    drawn = draw(order)
    finite = drawn.transitions.detach().nan_to_num(neginf=-1.0).requires_grad_()
    outside = torch.zeros_like(drawn.emissions).masked_fill(drawn.emissions.isinf(), -math.inf)
    emissions = drawn.emissions.detach().nan_to_num(neginf=0.0).requires_grad_()

    assert torch.autograd.gradcheck(lambda e, t: log_partition(e + outside, t, drawn.steps), (emissions, finite))


@each_order
def test_both_ways_of_computing_agree(order: int) -> None:
    emissions, transitions, steps = draw(order)
    weights = torch.rand(len(LENGTHS), dtype=torch.float64)

    scaled, logarithmic = (kind(emissions.detach(), transitions.detach(), steps) for kind in (ScaledChain, LogChain))

    assert scaled.within_range
    torch.testing.assert_close(scaled.log_z, logarithmic.log_z)
    for one, other in zip(scaled.posterior(weights), logarithmic.posterior(weights), strict=True):
        torch.testing.assert_close(one, other)


def test_scores_too_far_apart_for_probabilities_are_noticed() -> None:
    # given a label that only pays off later, 2000 nats below the other one before: exp(-2000) is 0 in any precision
    steps = Steps(torch.tensor([2]))
    emissions = torch.tensor([[0.0, -2000.0], [0.0, 3000.0]], dtype=torch.float64)
    transitions = torch.tensor([[[0.0, -math.inf], [0.0, 0.0]]], dtype=torch.float64)

    assert not ScaledChain(emissions, transitions, steps).within_range
    torch.testing.assert_close(log_partition(emissions, transitions, steps), torch.tensor([1000.0], dtype=torch.float64))
    torch.testing.assert_close(log_marginals(emissions, transitions, steps).exp()[:, 1], torch.ones(2, dtype=torch.float64))


@each_order
@each_scale
def test_marginals_are_those_of_all_sequences(order: int, scale: float) -> None:
    drawn = draw(order, scale)
    marginals = log_marginals(*drawn).exp()
    for rank in range(len(LENGTHS)):
        paths = every_path(drawn, rank)
        probabilities = torch.stack([score for score, _ in paths]).softmax(0)
        wanted = torch.zeros_like(marginals[drawn.steps.rank == rank])
        for probability, (_, path) in zip(probabilities, paths, strict=True):
            wanted[torch.arange(len(path)), list(path)] += probability
        torch.testing.assert_close(marginals[drawn.steps.rank == rank], wanted)


def test_long_sequence_loses_no_digits() -> None:
    # given scores that are all 0 but one, there are 3^n sequences of the same weight at every other token
    n = 20_000
    steps, emissions = Steps(torch.tensor([n])), torch.zeros(n, 3)
    emissions[n // 2, 1] = 5.0

    found = log_partition(emissions, torch.zeros(1, 3, 3), steps)

    assert found.item() == pytest.approx((n - 1) * math.log(3) + math.log(2 + math.exp(5.0)), rel=1e-12)


@pytest.mark.parametrize("kind", [ScaledChain, LogChain])
def test_where_everything_is_forbidden_there_is_no_gradient(kind: type) -> None:
    # given two sequences of two tokens, of which the second may begin with nothing
    steps = Steps(torch.tensor([2, 2]))
    emissions = torch.zeros(4, 2, dtype=torch.float64)
    emissions[1] = -math.inf

    chain = kind(emissions, torch.zeros(1, 2, 2, dtype=torch.float64), steps)
    marginals, expected = chain.posterior(torch.tensor([1.0, 0.0], dtype=torch.float64))

    assert chain.log_z.tolist() == [pytest.approx(math.log(4)), -math.inf]
    assert marginals.tolist() == [[0.5, 0.5], [0.0, 0.0]] * 2
    assert expected.flatten().tolist() == [pytest.approx(0.25)] * 4


def test_half_precision_is_widened() -> None:
    emissions, transitions, steps = draw(1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = log_partition(emissions.float(), transitions.float(), steps)
    torch.testing.assert_close(found, log_partition(emissions, transitions, steps), atol=1e-5, rtol=1e-5)


def test_many_labels_need_no_table_per_token() -> None:
    # given 300 labels and 400 tokens: one table of transitions per token would be 36 million numbers, 288 MB
    steps = Steps(torch.tensor([100] * 4))
    emissions, transitions = torch.randn(400, 300).requires_grad_(), torch.randn(1, 300, 300).requires_grad_()
    found = log_partition(emissions, transitions, steps)
    kept = sum(value.numel() for value in vars(found.grad_fn.chain).values() if isinstance(value, Tensor))
    assert 0 < kept <= 5 * (400 * 300 + 300 * 300)
    found.sum().backward()
    torch.testing.assert_close(emissions.grad.sum(1), torch.ones(400))


# Sequences


@each_order
@each_scale
def test_best_paths_are_those_of_all_sequences(order: int, scale: float) -> None:
    drawn = draw(order, scale)
    best = best_path(*drawn)
    with native.switched_off():
        assert best.equal(best_path(*drawn))
    several, scores = n_best_paths(*drawn, 5)
    for rank in range(len(LENGTHS)):
        own = drawn.steps.rank == rank
        ranked = sorted(((score.item(), path) for score, path in every_path(drawn, rank)), reverse=True)[:5]
        assert tuple(best[own].tolist()) == ranked[0][1]
        assert [tuple(path) for path in several[own].T.tolist()][: len(ranked)] == [path for _, path in ranked]
        assert scores[rank].tolist() == pytest.approx([score for score, _ in ranked] + [-math.inf] * (5 - len(ranked)))


@needs_loops
@each_order
@each_scale
@pytest.mark.parametrize("labels", [1, 2, 9, 50])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_loop_of_best_paths_agrees_with_torch(
    order: int, scale: float, labels: int, dtype: torch.dtype, two_threads: None, loop_calls: list[Any]
) -> None:
    emissions, transitions, steps = draw(order, scale, labels, lengths=(20, 1, 7, 7, 33, 2))
    # given scores that are whole numbers, so that many ways are equally good, and a label that nothing may follow
    emissions, transitions = (each.detach().round().to(dtype) for each in (emissions, transitions))
    transitions[:, 0] = -math.inf
    found = best_path(emissions, transitions, steps)
    with native.switched_off():
        wanted = best_path(emissions, transitions, steps)
    assert found.equal(wanted)
    assert [name for name, _ in loop_calls] == ["viterbi_forward"]


@needs_loops
@each_order
def test_best_path_where_everything_is_forbidden_holds_labels(order: int) -> None:
    emissions, transitions, steps = draw(order)
    best = best_path(emissions.detach(), torch.full_like(transitions, -math.inf).detach(), steps)
    assert ((best >= 0) & (best < emissions.shape[1])).all()


def test_best_path_of_a_long_sequence_loses_no_digits() -> None:
    # given 20,000 tokens in single precision, whose scores come to many thousands
    steps = Steps(torch.tensor([20_000]))
    emissions, transitions = 3 * torch.randn(20_000, 9), torch.randn(1, 9, 9)
    exact = best_path(emissions.double(), transitions.double(), steps)
    assert best_path(emissions, transitions, steps).equal(exact)


@each_order
def test_score_of_a_path(order: int) -> None:
    drawn = draw(order)
    for pick in (0, -1, 1):
        labels = torch.zeros(sum(LENGTHS), dtype=torch.int64)
        wanted = []
        for rank in range(len(LENGTHS)):
            score, path = every_path(drawn, rank)[pick]
            labels[drawn.steps.rank == rank] = torch.tensor(path)
            wanted.append(score)
        torch.testing.assert_close(path_scores(drawn.emissions, drawn.transitions, labels, drawn.steps), torch.stack(wanted))


def test_temporary_tensors_may_be_cut_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = draw(1, scale=400.0)
    wanted = log_partition(*drawn), best_path(*drawn), *n_best_paths(*drawn, 3)
    monkeypatch.setattr("spacy_emerging.kernels.crf.CHUNK", 1)
    for one, other in zip((log_partition(*drawn), best_path(*drawn), *n_best_paths(*drawn, 3)), wanted, strict=True):
        torch.testing.assert_close(one, other)


# Other libraries


def padded(stepwise: Tensor, steps: Steps) -> tuple[Tensor, Tensor]:
    """(T, K) in step order to (B, L, K) by rank, and its mask (B, L)."""
    mask = torch.stack([torch.arange(len(steps.sizes)) < (steps.rank == rank).sum() for rank in range(steps.sequences)])
    result = stepwise.new_zeros((*mask.shape, stepwise.shape[1]))
    for rank in range(steps.sequences):
        result[rank, mask[rank]] = stepwise[steps.rank == rank]
    return result, mask


@pytest.mark.slow
def test_agrees_with_pytorch_crf() -> None:
    torchcrf = pytest.importorskip("torchcrf")
    emissions, transitions, steps = draw(1)
    transitions = transitions.detach().nan_to_num(neginf=-3.0)[0].requires_grad_()
    peer = torchcrf.CRF(3, batch_first=True).double()
    with torch.no_grad():
        for parameter, value in ((peer.transitions, transitions), (peer.start_transitions, 0.0), (peer.end_transitions, 0.0)):
            parameter.copy_(torch.as_tensor(value).expand_as(parameter))
    tags = torch.randint(3, (steps.tokens,))
    states, mask = padded(emissions, steps)

    theirs = peer(states, padded(tags[:, None], steps)[0][..., 0], mask=mask, reduction="none")
    ours = path_scores(emissions, transitions[None], tags, steps) - log_partition(emissions, transitions[None], steps)

    torch.testing.assert_close(ours, theirs)
    one = torch.autograd.grad(ours.sum(), (emissions, transitions))
    other = torch.autograd.grad(theirs.sum(), (emissions, peer.transitions))
    for mine, yours in zip(one, other, strict=True):
        torch.testing.assert_close(mine, yours)
    best = best_path(emissions, transitions[None], steps)
    assert [best[steps.rank == rank].tolist() for rank in range(steps.sequences)] == peer.decode(states, mask=mask)


@pytest.mark.slow
def test_agrees_with_torch_struct() -> None:
    torch_struct = pytest.importorskip("torch_struct")
    emissions, transitions, steps = draw(1)
    transitions = transitions.detach().nan_to_num(neginf=-3.0)
    states, mask = padded(emissions.detach(), steps)
    longest = mask.sum(1) > 1  # theirs begins with a transition
    potentials = states[:, 1:, :, None] + transitions[0].T  # [batch, step, next, previous]
    potentials[:, 0] += states[:, 0, None, :]

    peer = torch_struct.LinearChainCRF(potentials[longest], lengths=mask.sum(1)[longest])

    torch.testing.assert_close(log_partition(emissions, transitions, steps)[longest], peer.partition)
    marginals, theirs = log_marginals(emissions, transitions, steps).exp(), peer.marginals.sum(2)  # of the previous label
    for rank in longest.nonzero()[:, 0].tolist():
        own = marginals[steps.rank == rank]
        torch.testing.assert_close(own[:-1], theirs[rank, : len(own) - 1])
