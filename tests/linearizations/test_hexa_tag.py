"""Binary-tree tags: legality, exact search and hexatags, against every sequence of tags of short sentences."""

from __future__ import annotations

import itertools

import numpy
import pytest

from spacy_emerging.errors import SettingError
from spacy_emerging.linearizations.dependency.hexa_tag import GAP_TAGS, LAST_GAP, WORD_TAGS, HexaTagDependency
from spacy_emerging.linearizations.depth_search import LEFT, RIGHT, best_legal, deepest, nearest_legal
from spacy_emerging.structures import DependencyTree

from .strategies import projective_trees_up_to

SENTENCE = DependencyTree((2, 3, 0, 5, 3), ("det", "nsubj", "root", "det", "obj"))  # the cat saw a dog
Tags = tuple[tuple[int, ...], tuple[int, ...]]


def binary_trees(start: int, end: int, side: int) -> list[dict[str, int]]:
    """All binary trees over words start..end - 1, each as the side of every word ("w0") and of the node in every gap ("g0")."""
    if end - start == 1:
        return [{f"w{start}": side}]
    return [
        {**left, **right, f"g{gap}": side}
        for gap in range(start, end - 1)
        for left in binary_trees(start, gap + 1, LEFT)
        for right in binary_trees(gap + 1, end, RIGHT)
    ]


def legal_by_the_book(n: int) -> list[Tags]:
    """The tags of every binary tree over n words."""
    trees = binary_trees(0, n, LEFT)
    return [(tuple(tree[f"w{i}"] for i in range(n)), tuple(tree[f"g{i}"] for i in range(n - 1))) for tree in trees]


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 6])
def test_wishes_are_followed_exactly_where_they_are_legal(n: int) -> None:
    legal = set(legal_by_the_book(n))
    assert len(legal) == [1, 1, 2, 5, 14, 42][n - 1]  # Catalan numbers
    for tags in itertools.product((LEFT, RIGHT, -1), repeat=min(2 * n - 1, 9)):
        words, gaps = tags[:n], (tags[n:] + (-1,) * n)[: n - 1]
        legal_words, legal_gaps, refused = nearest_legal(words, gaps)
        result = (tuple(legal_words), tuple(legal_gaps))
        assert result in legal
        assert (refused == 0) == ((words, gaps) in legal)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 6])
@pytest.mark.parametrize("max_depth", [1, 2, 10])
def test_the_search_finds_the_best_of_all_legal_tags_within_its_depth(n: int, max_depth: int) -> None:
    legal = [(words, gaps) for words, gaps in legal_by_the_book(n) if deepest(words, gaps) <= max_depth]
    for seed in range(20):
        chance = numpy.random.default_rng(seed)
        by_word, by_gap = chance.normal(size=(n, 2)), chance.normal(size=(n - 1, 2))

        def score(tags: Tags, by_word: numpy.ndarray = by_word, by_gap: numpy.ndarray = by_gap) -> float:
            return float(by_word[range(n), list(tags[0])].sum() + by_gap[range(n - 1), list(tags[1])].sum())

        words, gaps = best_legal(by_word, by_gap, max_depth)
        assert (tuple(words), tuple(gaps)) == max(legal, key=score)


def test_hexatags_of_a_small_sentence_are_those_of_its_binary_tree() -> None:
    # ((the cat) saw) (a dog): the verb is joined to its subject first, then to its object.
    expected = [("l", "lR"), ("r", "lR"), ("r", "lL"), ("l", "rR"), ("r", "end")]
    assert [(word, gap) for word, gap, _ in HexaTagDependency().encode(SENTENCE)] == expected


def test_hexatags_cover_the_911_projective_trees_up_to_six_words() -> None:
    trees = projective_trees_up_to(6)
    assert sum(HexaTagDependency().decode(HexaTagDependency().encode(tree)) == (tree, 0) for tree in trees) == 911


def test_every_sequence_of_tags_gives_a_projective_tree() -> None:
    for tags in itertools.product(itertools.product(WORD_TAGS, GAP_TAGS), repeat=4):
        tree = HexaTagDependency().decode([(word, gap, "x") for word, gap in tags]).structure
        assert tree.is_projective() and tree.heads.count(0) == 1


def test_exact_search_weighs_what_greedy_search_decides_from_the_left() -> None:
    vocab = [list(WORD_TAGS), ["lL", "rL", LAST_GAP], ["x"]]
    # Word 2 is a left child by a hair, after which gap 2 would have to be a right child, which it hardly is.
    by_word = numpy.log([[0.9, 0.1], [0.51, 0.49], [0.1, 0.9]])
    by_gap = numpy.log([[0.9, 0.05, 0.05], [0.9, 0.05, 0.05], [0.05, 0.05, 0.9]])
    scores = [by_word, by_gap, numpy.zeros((3, 1))]
    assert HexaTagDependency(search="greedy").decode_scores(scores, vocab) == (DependencyTree((0, 1, 2), ("x",) * 3), 1)
    assert HexaTagDependency(search="exact").decode_scores(scores, vocab) == (DependencyTree((0, 1, 1), ("x",) * 3), 1)


def test_trees_deeper_than_the_setting_raise_it() -> None:
    # Every word has its head to the right, so many words wait: ever deeper for pairs nested around the middle.
    n = 40
    heads = tuple(n - i if i < n // 2 else n - i - 1 for i in range(n))
    tree = DependencyTree(heads, ("x",) * n)
    assert tree.is_projective()
    linearization = HexaTagDependency(max_depth=1)
    labels = linearization.encode(tree)
    assert linearization.max_depth > 10
    vocab = [list(WORD_TAGS), [*GAP_TAGS, LAST_GAP], ["x"]]
    scores = [numpy.array([[0.0 if label[f] == name else -9.0 for name in vocab[f]] for label in labels]) for f in range(3)]
    assert linearization.decode_scores(scores, vocab) == (tree, 0)


def test_settings_that_cannot_work_are_named() -> None:
    with pytest.raises(SettingError, match="HexaTagDependency: setting 'max_depth' is 0"):
        HexaTagDependency(max_depth=0)
    with pytest.raises(SettingError, match="HexaTagDependency: setting 'search' is 'beam'"):
        HexaTagDependency(search="beam")
