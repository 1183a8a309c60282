"""The search for the best labels in which everything that opens is closed, against all sequences of labels."""

from __future__ import annotations

from itertools import product

import numpy
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from spacy_emerging.errors import SettingError
from spacy_emerging.linearizations.legal_search import best_legal_labels
from spacy_emerging.registry import linearization
from spacy_emerging.structures import DependencyTree

ENCODINGS = [
    ("BracketingDependency", {"planes": 1}),
    ("BracketingDependency", {"planes": 2}),
    ("FourBitDependency", {}),
    ("SevenBitDependency", {}),
    ("ArcEagerDependency", {}),
]
EVERYTHING = {"beam": 10**6, "choices": 10**6, "margin": float("inf")}


def trees(n: int) -> list[DependencyTree]:
    """All trees of n words with one root."""
    found = []
    for heads in product(range(n + 1), repeat=n):
        try:
            tree = DependencyTree(heads, ("dep",) * n)
        except ValueError:
            continue
        if heads.count(0) == 1:
            found.append(tree)
    return found


def labels_of(name: str, settings: dict[str, int], longest: int) -> list[str]:
    encoding = linearization(name, **settings)
    return sorted({label for n in range(1, longest + 1) for tree in trees(n) for label, _ in encoding.encode(tree)})


@pytest.mark.parametrize(("name", "settings"), ENCODINGS)
def test_legal_is_what_decodes_without_repair(name: str, settings: dict[str, int]) -> None:
    # given: all sequences of three labels that occur in trees of up to three words
    encoding = linearization(name, **settings)
    vocab = labels_of(name, settings, 3)
    legality = encoding.legality(vocab)  # type: ignore[attr-defined]
    accepted = 0
    for ids in product(range(len(vocab)), repeat=3):
        state = legality.start
        for word, label in enumerate(ids):
            state = None if state is None else legality.step(state, label, word == 2)
        legal = state is not None and legality.is_final(state)
        decoded = encoding.decode([(vocab[label], "dep") for label in ids])
        # then: what needs no repair is legal, and what is legal needs none, unless arcs of two directions close a circle
        if not decoded.repairs:
            assert legal, [vocab[label] for label in ids]
        if legal:
            accepted += 1
            in_a_circle = "<" in "".join(vocab[label] for label in ids) or "Bit" in name
            assert not decoded.repairs or in_a_circle, [vocab[label] for label in ids]
    assert accepted >= len(trees(3)) - 3  # 4 bits and arc-eager cover the projective ones only


@pytest.mark.parametrize(("name", "settings"), ENCODINGS)
@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_every_tree_of_the_coverage_is_legal(name: str, settings: dict[str, int], n: int) -> None:
    # given: a tree that comes back from its labels
    encoding = linearization(name, **settings)
    for tree in trees(n):
        labels = encoding.encode(tree)
        decoded = encoding.decode(labels)
        if decoded.structure != tree or decoded.repairs:  # a repair may put back by chance what was dropped
            continue
        # when: the labels have all the probability
        vocab = sorted({label for label, _ in labels})
        scores = numpy.log(numpy.array([[1.0 if label == known else 1e-3 for known in vocab] for label, _ in labels]))
        # then: the search finds them
        found = best_legal_labels(scores, encoding.legality(vocab))  # type: ignore[attr-defined]
        assert found is not None
        assert [vocab[label] for label in found] == [label for label, _ in labels]


@pytest.mark.parametrize(("name", "settings"), ENCODINGS)
@given(seed=st.integers(0, 10**6), n=st.integers(1, 4), size=st.integers(1, 6))
def test_an_unlimited_search_finds_the_best_of_all_legal_sequences(
    name: str, settings: dict[str, int], seed: int, n: int, size: int
) -> None:
    # given: scores of a few labels
    random = numpy.random.default_rng(seed)
    vocab = random.permutation(labels_of(name, settings, 3))[:size].tolist()
    scores = random.normal(size=(n, len(vocab)))
    legality = linearization(name, **settings).legality(vocab)  # type: ignore[attr-defined]
    # when
    found = best_legal_labels(scores, legality, **EVERYTHING)
    # then: it is the best of all that the steps let pass
    best = None
    for ids in product(range(len(vocab)), repeat=n):
        state = legality.start
        for word, label in enumerate(ids):
            state = None if state is None else legality.step(state, label, word == n - 1)
        if state is not None and legality.is_final(state):
            total = sum(scores[i, label] for i, label in enumerate(ids))
            best = total if best is None else max(best, total)
    assert (found is None) == (best is None)
    if found is not None:
        assert sum(scores[i, label] for i, label in enumerate(found)) == pytest.approx(best)


def test_a_search_that_an_encoding_does_not_have_is_named() -> None:
    with pytest.raises(SettingError, match="HierarchicalBracketingDependency.*search.*legal"):
        linearization("HierarchicalBracketingDependency", search="legal")


@given(seed=st.integers(0, 10**6), n=st.integers(1, 2))
def test_graph_codes_and_relations_are_chosen_together(seed: int, n: int) -> None:
    # given: scores of some codes and of relations for none, one and two heads
    random = numpy.random.default_rng(seed)
    encoding = linearization("BracketingGraph", planes=1, search="legal")
    vocab = [["", "/", ">", "<", "\\", ">/", "\\>", ">>"], ["", "a", "b", "a|b"]]
    scores = [random.normal(scale=0.2, size=(n, len(labels))) for labels in vocab]  # near enough for nothing to be passed over
    # when
    decoded = encoding.decode_scores(scores, vocab)
    assume("" not in {relation for _, _, relation in decoded.structure.arcs})
    # then: the labels are the best of all that decode without repair, where there are any
    best: dict[float, object] = {}
    for codes in product(range(8), repeat=n):
        for relations in product(range(4), repeat=n):
            plain = encoding.decode([(vocab[0][code], vocab[1][relation]) for code, relation in zip(codes, relations, strict=True)])
            # an arc may have the empty relation where the best labels say so, but a search never gives it one
            if not plain.repairs and "" not in {relation for _, _, relation in plain.structure.arcs}:
                total = sum(
                    scores[0][i, code] + scores[1][i, relation] for i, (code, relation) in enumerate(zip(codes, relations, strict=True))
                )
                best[total] = plain.structure
    assert decoded.structure == best[max(best)]
