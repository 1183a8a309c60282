"""Constituents from scores: exact search over tags against all binary trees, and what scores settle in the other encodings."""

from __future__ import annotations

import itertools

import numpy
import pytest

from spacy_emerging.errors import SettingError
from spacy_emerging.linearizations.constituency.absolute import AbsoluteConstituency
from spacy_emerging.linearizations.constituency.juxtaposed import JuxtaposedConstituency
from spacy_emerging.linearizations.constituency.relative import RelativeConstituency
from spacy_emerging.linearizations.constituency.tetra_tag import GAP_TAGS, LAST_GAP, WORD_TAGS, TetraTagConstituency
from spacy_emerging.structures import ConstituencyTree, Span

TETRA_VOCABULARY = [list(WORD_TAGS), [*GAP_TAGS, LAST_GAP], ["X"], [""]]


def binary_trees(start: int, end: int) -> list[list[Span]]:
    """Every binary tree over the words start..end - 1, each node labelled X."""
    if end - start == 1:
        return [[]]
    return [
        [("X", start, end), *left, *right]
        for middle in range(start + 1, end)
        for left, right in itertools.product(binary_trees(start, middle), binary_trees(middle, end))
    ]


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 6])
def test_exact_search_finds_the_best_of_all_binary_trees(n: int) -> None:
    trees = [ConstituencyTree(n, spans) for spans in binary_trees(0, n)]
    assert len(trees) == [1, 1, 2, 5, 14, 42][n - 1]  # Catalan numbers
    labels = [TetraTagConstituency().encode(tree) for tree in trees]
    for seed in range(20):
        chance = numpy.random.default_rng(seed)
        scores = [chance.normal(size=(n, len(names))) for names in TETRA_VOCABULARY]
        totals = [sum(scores[f][i, TETRA_VOCABULARY[f].index(label[f])] for i, label in enumerate(tags) for f in (0, 1)) for tags in labels]
        assert TetraTagConstituency().decode_scores(scores, TETRA_VOCABULARY).structure == trees[int(numpy.argmax(totals))]


def test_greedy_search_decides_from_the_left() -> None:
    # Word 2 is a left child by a hair, after which the gap after it would have to be a right child, which it hardly is.
    by_word = numpy.log([[0.9, 0.1], [0.51, 0.49], [0.1, 0.9]])
    by_gap = numpy.log([[0.9, 0.05, 0.05], [0.9, 0.05, 0.05], [0.05, 0.05, 0.9]])
    scores = [by_word, by_gap, numpy.zeros((3, 1)), numpy.zeros((3, 1))]
    right, left = ConstituencyTree(3, [("X", 0, 3), ("X", 1, 3)]), ConstituencyTree(3, [("X", 0, 3), ("X", 0, 2)])
    assert TetraTagConstituency("greedy").decode_scores(scores, TETRA_VOCABULARY) == (right, 1)
    assert TetraTagConstituency("exact").decode_scores(scores, TETRA_VOCABULARY) == (left, 1)


def test_trees_deeper_than_the_setting_raise_it() -> None:
    # given a tree whose words wait for their right neighbours ever longer: each but the last begins a right part of a left part
    n = 40
    spans = [("X", i, n - i) for i in range(n // 2)]
    linearization = TetraTagConstituency(max_depth=1)
    tree = ConstituencyTree(n, spans)
    # when it is encoded
    labels = linearization.encode(tree)
    # then the search reaches its depth
    assert linearization.max_depth > 10
    vocab = [sorted({label[f] for label in labels}) for f in range(4)]
    scores = [numpy.array([[0.0 if label[f] == name else -9.0 for name in vocab[f]] for label in labels]) for f in range(4)]
    assert linearization.decode_scores(scores, vocab) == (tree, 0)


def test_settings_that_cannot_work_are_named() -> None:
    with pytest.raises(SettingError, match="TetraTagConstituency: setting 'max_depth' is 0"):
        TetraTagConstituency(max_depth=0)
    with pytest.raises(SettingError, match="TetraTagConstituency: setting 'search' is 'beam'"):
        TetraTagConstituency(search="beam")
    with pytest.raises(SettingError, match="RelativeConstituency: setting 'root_label' is 'no'"):
        RelativeConstituency(root_label="no")


def test_all_gaps_of_a_node_vote_on_its_label_with_their_scores() -> None:
    # given a flat tree whose first gap hardly prefers VP, and whose second gap is sure of S
    vocab = [["1", "end"], ["S", "VP", ""], [""]]
    levels = numpy.log([[0.9, 0.1], [0.9, 0.1], [0.1, 0.9]])
    names = numpy.log([[0.49, 0.5, 0.01], [0.9, 0.05, 0.05], [0.1, 0.1, 0.8]])
    scores = [levels, names, numpy.zeros((3, 1))]
    # when it is decoded from scores, then S wins, and the first gap is a repair; from labels, the first would win
    assert AbsoluteConstituency().decode_scores(scores, vocab) == (ConstituencyTree(3, [("S", 0, 3)]), 1)
    assert AbsoluteConstituency().decode([("1", "VP", ""), ("1", "S", ""), ("end", "", "")]) == (ConstituencyTree(3, [("VP", 0, 3)]), 1)


def test_a_constituent_below_the_whole_gets_its_best_label_even_if_none_scores_higher() -> None:
    vocab = [["1", "2", "end"], ["", "S", "NP"], [""]]
    levels = numpy.log([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]])
    names = numpy.log([[0.1, 0.8, 0.1], [0.6, 0.1, 0.3], [0.8, 0.1, 0.1]])
    decoded = AbsoluteConstituency().decode_scores([levels, names, numpy.zeros((3, 1))], vocab)
    assert decoded == (ConstituencyTree(3, [("S", 0, 3), ("NP", 1, 3)]), 1)


def test_in_place_of_an_impossible_level_stands_the_best_possible_one() -> None:
    # given level 1, and then a fall by 3 with a rise by 1 as second choice
    vocab = [["-3", "0", "1", "end"], ["S", "NP"], [""]]
    levels = numpy.log([[0.1, 0.1, 0.7, 0.1], [0.5, 0.1, 0.3, 0.1], [0.1, 0.1, 0.1, 0.7]])
    names = numpy.log([[0.9, 0.1], [0.1, 0.9], [0.5, 0.5]])
    decoded = RelativeConstituency().decode_scores([levels, names, numpy.zeros((3, 1))], vocab)
    assert decoded == (ConstituencyTree(3, [("S", 0, 3), ("NP", 1, 3)]), 1)


def test_in_place_of_an_impossible_depth_stands_the_best_possible_one() -> None:
    # given one constituent S, and a second word that would best be attached to a node 5, and rather to the whole than to S
    vocab = [["5", "1", "0"], ["S", ""], [""]]
    depths = numpy.log([[0.1, 0.1, 0.8], [0.6, 0.1, 0.3]])
    parents = numpy.log([[0.9, 0.1], [0.1, 0.9]])
    decoded = JuxtaposedConstituency().decode_scores([depths, parents, numpy.zeros((2, 1))], vocab)
    assert decoded == (ConstituencyTree(2, [("S", 0, 1)]), 1)


@pytest.mark.parametrize("linearization", [AbsoluteConstituency(), RelativeConstituency(), JuxtaposedConstituency()])
def test_a_vocabulary_without_anything_possible_still_gives_a_tree(linearization) -> None:
    vocab = [["what", "99999999999999999999", "-99999999999999999999"], [""], [""]]
    scores = [numpy.zeros((4, len(names))) for names in vocab]
    assert linearization.decode_scores(scores, vocab).structure == ConstituencyTree(4)
