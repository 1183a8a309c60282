"""Decoding where a label gives way to the word's next-best one."""

from __future__ import annotations

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spacy_emerging.linearizations.base import Decoded
from spacy_emerging.linearizations.next_best import decode_next_best
from spacy_emerging.registry import linearization

TREES = ["BracketingDependency", "FourBitDependency", "SevenBitDependency", "HierarchicalBracketingDependency", "ArcEagerDependency"]


def scores_of(rows: list[dict[str, float]], vocab: list[str]) -> numpy.ndarray:
    return numpy.log(numpy.array([[row.get(label, 1e-9) for label in vocab] for row in rows]))


def test_a_bracket_without_a_partner_gives_way_to_the_second_best() -> None:
    # given: word 2 opens a bracket to the right that nobody closes, but it almost closed the one that word 1 opens
    brackets = [">/", "/", ">"]
    scores = [scores_of([{">/": 0.9, "/": 0.1}, {"/": 0.51, ">": 0.49}], brackets), numpy.zeros((2, 1))]
    encoding = linearization("BracketingDependency", planes=1)
    # when: labels may give way
    decoded = decode_next_best(encoding.decode, scores, [brackets, ["dep"]], changeable=[0])
    # then: word 2 hangs from word 1, and the one label that changed is counted
    assert decoded.structure.heads == (0, 1)
    assert decoded.repairs == 1


def test_a_well_formed_argmax_is_decoded_once() -> None:
    # given: labels that are a tree
    brackets = [">/", ">"]
    scores = [scores_of([{">/": 0.9}, {">": 0.6, ">/": 0.4}], brackets), numpy.zeros((2, 1))]
    encoding = linearization("BracketingDependency", planes=1)
    calls = []

    def decode(labels: object) -> Decoded:
        calls.append(labels)
        return encoding.decode(labels)  # type: ignore[arg-type]

    # when, then
    assert decode_next_best(decode, scores, [brackets, ["dep"]], changeable=[0]) == Decoded(decoded_tree(encoding), 0)
    assert len(calls) == 1


def decoded_tree(encoding: object) -> object:
    return encoding.decode([(">/", "dep"), (">", "dep")]).structure  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", TREES)
@given(data=st.data())
def test_never_more_repairs_than_the_best_labels_need(name: str, data: st.DataObject) -> None:
    # given: any scores over the labels of some trees
    encoding = linearization(name, search="next-best")
    vocab = data.draw(st.lists(st.sampled_from(labels_of(name)), min_size=1, max_size=6, unique=True))
    n = data.draw(st.integers(0, 6))
    seed = data.draw(st.integers(0, 10**6))
    scores = [numpy.random.default_rng(seed).normal(size=(n, len(vocab))), numpy.zeros((n, 1))]
    # when
    plain = encoding.decode([(vocab[k], "dep") for k in (scores[0].argmax(axis=1) if n else ())])
    decoded = encoding.decode_scores(scores, [vocab, ["dep"]])
    # then: a valid tree, and no more repairs in all
    assert len(decoded.structure) == n
    assert decoded.repairs <= plain.repairs


def labels_of(name: str) -> list[str]:
    """First-field labels of a few trees."""
    from spacy_emerging.structures import DependencyTree

    encoding = linearization(name)
    heads = [(0,), (0, 1), (2, 0), (2, 0, 2), (3, 1, 0), (2, 3, 0, 3), (0, 1, 2, 1), (0, 4, 1, 1)]
    return sorted({label for each in heads for label, *_ in encoding.encode(DependencyTree(each, ("dep",) * len(each)))})
