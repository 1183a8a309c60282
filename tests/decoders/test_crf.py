"""CRFDecoder: likelihood by enumeration, constraints, missing gold, several best. What all decoders share is in tests/conformance."""

from __future__ import annotations

import itertools
from typing import Any

import numpy
import pytest
import torch
from torch import Tensor

from spacy_emerging.bridge.layout import Layout
from spacy_emerging.bridge.shim import undecayed
from spacy_emerging.decoders.chain import LEAST, PossibleLengths
from spacy_emerging.decoders.crf import SECOND_ORDER_LABELS, ConditionalRandomField, CRFDecoder
from spacy_emerging.errors import SettingError
from spacy_emerging.types import Field, Transitions

WIDTH = 4
each_order = pytest.mark.parametrize("order", [1, 2])

# as for BIO: nothing begins with I, and I follows no O
BIO = Transitions(numpy.array([True, True, False]), numpy.array([[1, 1, 0], [1, 1, 1], [1, 1, 1]], dtype=bool), numpy.ones(3, dtype=bool))
TAG = Field("tag", ("O", "B", "I"), BIO)
KIND = Field("kind", ("x", "y"))
# pairs only: "1" and "2" in turn, from "1" to "2", so that no sequence has an odd length
PAIR = Field("pair", ("1", "2"), Transitions(numpy.array([True, False]), ~numpy.eye(2, dtype=bool), numpy.array([False, True])))


def module(*fields: Field, **settings: Any) -> ConditionalRandomField:
    """A decoder in double precision whose transitions are drawn, too, as after training."""
    decoder = CRFDecoder(**settings)(WIDTH, fields or [TAG, KIND]).double().eval()
    for chain in decoder.chains:
        for name in ("start", "between", "end", "earlier"):
            if getattr(chain, name) is not None:
                torch.nn.init.normal_(getattr(chain, name))
    return decoder


def batch(*lengths: int) -> tuple[Tensor, Tensor]:
    mask = torch.arange(max(lengths))[None] < torch.tensor(lengths)[:, None]
    return torch.randn(*mask.shape, WIDTH, dtype=torch.float64) * mask[..., None], mask


def path_scores(decoder: ConditionalRandomField, states: Tensor, f: int = 0, constrained: bool = True) -> dict[tuple[int, ...], Tensor]:
    """Scores of all label sequences for one sequence of states (n, D), from the parameters as they are."""
    chain = decoder.chains[f]
    emissions = chain.output(states)
    labels, allowed = emissions.shape[1], (TAG, KIND)[f].allowed if constrained else None
    result = {}
    for path in itertools.product(range(labels), repeat=len(states)):
        pairs = list(itertools.pairwise(path))
        if allowed and not (allowed.start[path[0]] and allowed.end[path[-1]] and all(allowed.between[pair] for pair in pairs)):
            continue
        score = chain.start[path[0]] + chain.end[path[-1]] + sum(emissions[t, label] for t, label in enumerate(path))
        score = score + sum(chain.between[pair] for pair in pairs)
        if chain.earlier is not None:
            befores = [labels, *path]
            score = score + sum(chain.earlier[previous, befores[t], following] for t, (previous, following) in enumerate(pairs))
        result[path] = score
    return result


def surprise(scores: dict[tuple[int, ...], Tensor], gold: list[int]) -> Tensor:
    """The negative log-probability that a sequence fits gold, -1 standing for any label."""
    fitting = [score for path, score in scores.items() if all(g in (-1, label) for g, label in zip(gold, path, strict=True))]
    return torch.stack(list(scores.values())).logsumexp(0) - torch.stack(fitting).logsumexp(0)


# Loss


@each_order
def test_loss_is_the_negative_log_likelihood_of_whole_sequences(order: int) -> None:
    decoder, (states, mask) = module(order=order), batch(4, 2)
    gold = torch.tensor([[[0, 1], [1, 0], [2, 0], [0, 1]], [[1, 1], [0, 1], [0, 0], [0, 0]]])

    output = decoder.loss(states, mask, gold)

    wanted = [surprise(path_scores(decoder, states[b, :n], f), gold[b, :n, f].tolist()) for b, n in ((0, 4), (1, 2)) for f in (0, 1)]
    torch.testing.assert_close(output.total, sum(wanted))
    assert output.count == 6


@each_order
@pytest.mark.parametrize("tags", [[0, -1, 2, -1], [-1, -1, 2, 0], [-1, 1, -1, -1]])
def test_labels_that_are_not_annotated_are_summed_out(order: int, tags: list[int]) -> None:
    # given a sequence annotated in part between one that has it all and one that has nothing
    decoder, (states, mask) = module(order=order), batch(4, 4, 4)
    gold = torch.full((3, 4, 2), -1)
    gold[0, :, 0], gold[1, :, 0] = torch.tensor(tags), torch.tensor([1, 2, 2, 0])

    output = decoder.loss(states, mask, gold)

    wanted = surprise(path_scores(decoder, states[0]), tags) + surprise(path_scores(decoder, states[1]), [1, 2, 2, 0])
    torch.testing.assert_close(output.total, wanted)
    assert output.count == 4 + sum(tag >= 0 for tag in tags)


@each_order
@pytest.mark.parametrize("tags", [[2, 0, 0], [0, 2, 1], [-1, 0, 2]])
def test_gold_that_the_constraints_forbid_is_measured_without_them(order: int, tags: list[int]) -> None:
    decoder, (states, mask) = module(order=order), batch(3, 3)
    gold = torch.full((2, 3, 2), -1)
    gold[0, :, 0], gold[1, :, 0] = torch.tensor(tags), torch.tensor([0, 1, 2])
    states.requires_grad_()

    output = decoder.loss(states, mask, gold)
    output.total.backward()

    legal = surprise(path_scores(decoder, states[1]), [0, 1, 2])
    torch.testing.assert_close(output.total, surprise(path_scores(decoder, states[0], constrained=False), tags) + legal)
    assert torch.isfinite(states.grad).all()


@each_order
def test_gradient_in_finite_differences(order: int) -> None:
    # given full, partial and forbidden gold side by side
    decoder, (states, mask) = module(order=order), batch(3, 3, 3, 1)
    gold = torch.tensor([[0, 1, 2], [1, -1, 2], [2, 2, 0], [1, 0, 0]])[..., None].repeat(1, 1, 2)
    gold[..., 1] = gold[..., 1].clamp(max=1)
    names, values = zip(*decoder.named_parameters(), strict=True)

    def loss(states: Tensor, *values: Tensor) -> Tensor:
        return torch.func.functional_call(
            Loss(decoder), dict(zip([f"decoder.{n}" for n in names], values, strict=True)), (states, mask, gold)
        )

    assert torch.autograd.gradcheck(loss, (states.requires_grad_(), *values), fast_mode=True)


class Loss(torch.nn.Module):
    """`decoder.loss` as a forward pass, which is what functional_call takes."""

    def __init__(self, decoder: ConditionalRandomField) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.decoder.loss(*inputs).total


def test_mixed_precision_leaves_the_sums_alone() -> None:
    decoder, (states, mask) = module().float(), batch(30, 12)
    gold = torch.zeros(2, 30, 2, dtype=torch.int64)
    wanted = decoder.loss(states.float(), mask, gold).total
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = decoder.loss(states.float(), mask, gold).total
        scores = decoder.predict(states.float(), mask).scores
    assert found.dtype == torch.float32 and scores[0].dtype == torch.float32
    torch.testing.assert_close(found, wanted, rtol=0.02, atol=0.0)


def test_transitions_are_learned_and_take_no_weight_decay() -> None:
    decoder, (states, mask) = module(order=2), batch(5)
    decoder.loss(states, mask, torch.tensor([[[0, 0], [1, 1], [2, 0], [2, 1], [0, 0]]])).total.backward()
    assert all(parameter.grad.any() for parameter in decoder.parameters())
    assert {name.rpartition(".")[2] for name in undecayed(decoder)} == {"start", "between", "end", "earlier", "bias"}


# Answers


@each_order
def test_best_sequence_marginals_and_several_best(order: int) -> None:
    decoder, (states, mask) = module(order=order), batch(4, 1, 3)
    prediction, several = decoder.predict(states, mask), decoder.n_best(states, mask, 4)
    for b, n in enumerate(mask.sum(1).tolist()):
        for f in (0, 1):
            scores = path_scores(decoder, states[b, :n], f)
            paths = sorted(scores, key=lambda path: -scores[path].item())
            log_probabilities = torch.stack([scores[path] for path in paths]).log_softmax(0)
            assert tuple(prediction.best[b, :n, f].tolist()) == paths[0]
            # marginals
            wanted = torch.zeros_like(prediction.scores[f][b, :n])
            for path, probability in zip(paths, log_probabilities.exp(), strict=True):
                wanted[torch.arange(n), list(path)] += probability
            torch.testing.assert_close(prediction.scores[f][b, :n].exp(), wanted)
            # as many of the best as there are
            found, sureness = several[f][0][b, :n].T.tolist(), several[f][1][b]
            count = min(4, len(paths))
            assert [tuple(path) for path in found[:count]] == paths[:count]
            torch.testing.assert_close(sureness[:count], log_probabilities[:count])
            assert sureness[count:].isinf().all()


def test_forbidden_labels_are_never_predicted() -> None:
    # given states in which "I" looks best everywhere
    decoder, (states, mask) = module(TAG), batch(*[5] * 40)
    decoder.chains[0].output.bias.data[2] += 3.0
    prediction = decoder.predict(states, mask)
    paths = prediction.best[..., 0]
    assert (paths[:, 0] != 2).all() and (prediction.scores[0][:, 0, 2] == LEAST).all()
    assert BIO.between[paths[:, :-1].numpy(), paths[:, 1:].numpy()].all()
    assert (paths == 2).any()


def test_text_for_which_nothing_is_legal_is_labelled_all_the_same() -> None:
    # given two words, for which there is one legal sequence, and three, for which there is none
    decoder, (states, mask) = module(PAIR), batch(2, 3)
    prediction, [(paths, log_probabilities)] = decoder.predict(states, mask), decoder.n_best(states, mask, 2)
    assert prediction.best[0, :2, 0].tolist() == [0, 1]
    assert torch.equal(prediction.best, paths[..., :1])
    torch.testing.assert_close(prediction.scores[0][mask].exp().sum(1), torch.ones(5, dtype=torch.float64))
    assert log_probabilities[0].tolist() == [pytest.approx(0.0), -numpy.inf] and torch.isfinite(log_probabilities[1]).all()
    assert torch.isfinite(decoder.loss(states, mask, prediction.best).total)


def test_lengths_that_are_possible_are_found_once() -> None:
    assert PossibleLengths(PAIR.allowed).of([2, 3, 7, 8]) == [True, False, False, True]
    bio = PossibleLengths(BIO)
    assert bio.of([1, 100_000]) == [True, True]
    assert len(bio._possible) < 5


def test_labels_alone_are_those_of_the_prediction() -> None:
    decoder, (states, mask) = module(), batch(5, 3)
    alone = decoder.predict_tokens(states[mask], Layout([5, 3]), want_scores=False)
    assert alone.scores == [] and torch.equal(alone.best, decoder.predict(states, mask).best[mask])


@each_order
def test_untrained_transitions_make_a_softmax(order: int) -> None:
    decoder, (states, mask) = CRFDecoder(order=order)(WIDTH, [KIND]), batch(3)
    prediction = decoder.predict(states.float(), mask)
    torch.testing.assert_close(prediction.scores[0], decoder.chains[0].output(states.float()).log_softmax(-1))


def test_no_tokens() -> None:
    decoder, mask = module(), torch.zeros(0, 0, dtype=torch.bool)
    states, gold = torch.zeros(0, 0, WIDTH, dtype=torch.float64), torch.zeros(0, 0, 2, dtype=torch.int64)
    assert decoder.loss(states, mask, gold).total == 0
    assert decoder.predict(states, mask).best.shape == (0, 0, 2)


# Settings

WRONG = [
    ("order", 3),
    ("order", True),
    ("search", "beam"),
    ("hidden_width", -1),
    ("dropout", 1.0),
]


@pytest.mark.parametrize(("setting", "value"), WRONG)
def test_setting_that_cannot_work_is_named(setting: str, value: Any) -> None:
    with pytest.raises(SettingError, match=f"CRFDecoder.v1: setting '{setting}' is {value!r}"):
        CRFDecoder(**{setting: value})


def test_second_order_has_a_limit() -> None:
    labels = tuple(map(str, range(SECOND_ORDER_LABELS + 1)))
    with pytest.raises(SettingError, match="setting 'order' is 2, but field 'bracket' has 101 labels.* at most 100; set order = 1"):
        CRFDecoder(order=2)(WIDTH, [KIND, Field("bracket", labels)])


def test_number_of_best_sequences_is_checked() -> None:
    with pytest.raises(SettingError, match="setting 'count' is 0"):
        module().n_best(*batch(2), 0)
