"""Structures are valid or are not there at all."""

from __future__ import annotations

import copy
import itertools
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spacy_emerging.structures import ConstituencyTree, DependencyGraph, DependencyTree, Segments, Spans, StructureError

EXAMPLES = [
    DependencyTree((2, 0), ("nsubj", "root")),
    DependencyTree((), ()),
    ConstituencyTree(2, [("S", 0, 2), ("NP", 0, 1)], ["It", "works"], ["PRP", "VBZ"]),
    DependencyGraph(2, frozenset({(2, 1, "a"), (1, 2, "b"), (2, 2, "c")})),
    Segments(5, ((0, 2), (3, 5))),
    Spans(3, (("PER", 0, 1), ("GPE", 1, 3))),
    Spans(0),
]


@pytest.mark.parametrize("structure", EXAMPLES, ids=lambda structure: type(structure).__name__)
def test_structures_are_immutable_hashable_and_can_be_copied(structure: object) -> None:
    assert pickle.loads(pickle.dumps(structure)) == structure
    assert copy.deepcopy(structure) == structure
    assert len({structure, pickle.loads(pickle.dumps(structure))}) == 1
    with pytest.raises(AttributeError):
        structure.n = 7  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("heads", "deprels", "message"),
    [
        ((2, 1), ("a", "b"), "no word has head 0"),
        ((0, 3, 2), ("a", "b", "c"), "words 2, 3 form a cycle"),
        ((0, 2), ("a", "b"), "word 2 has head 2"),
        ((0, 3), ("a", "b"), "word 2 has head 3"),
        ((0, -1), ("a", "b"), "word 2 has head -1"),
        ((0, 1), ("a",), "2 heads but 1 deprels"),
        ((0, None), ("a", "b"), "word 2 has head None"),
        ((0, "1"), ("a", "b"), "word 2 has head '1'"),
        ((0, 1.0), ("a", "b"), "word 2 has head 1.0"),
    ],
)
def test_heads_that_are_no_tree_are_refused(heads: tuple[int, ...], deprels: tuple[str, ...], message: str) -> None:
    with pytest.raises(StructureError, match=message):
        DependencyTree(heads, deprels)


def is_tree_by_the_book(heads: tuple[int, ...]) -> bool:
    """Whether every word reaches the root within n steps."""
    for word in range(1, len(heads) + 1):
        for _ in range(len(heads)):
            word = heads[word - 1] if word else 0
        if word:
            return False
    return True


def test_exactly_the_trees_are_accepted_among_all_head_vectors() -> None:
    for n in range(1, 6):
        for heads in itertools.product(range(n + 1), repeat=n):
            try:
                DependencyTree(heads, ("x",) * n)
                accepted = True
            except StructureError:
                accepted = False
            assert accepted == is_tree_by_the_book(heads)


def test_projectivity_counts_arcs_from_the_root() -> None:
    def crosses(heads: tuple[int, ...]) -> bool:
        arcs = [(min(head, word), max(head, word)) for word, head in enumerate(heads, 1)]
        return any(a < c < b < d for (a, b), (c, d) in itertools.permutations(arcs, 2))

    projective = 0
    for n in range(1, 6):
        for heads in itertools.product(range(n + 1), repeat=n):
            if is_tree_by_the_book(heads):
                tree = DependencyTree(heads, ("x",) * n)
                assert tree.is_projective() == (not crosses(heads))
                projective += tree.is_projective() and heads.count(0) == 1
    assert projective == 1 + 2 + 7 + 30 + 143  # known counts of projective trees with one root


def test_a_chain_of_many_words_needs_no_recursion() -> None:
    assert DependencyTree(tuple(range(100_000)), ("x",) * 100_000).is_projective()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Spans(3, (("a", 0, 2), ("b", 1, 3))), "overlap"),
        (lambda: Spans(3, (("a", 2, 2),)), "span 2..2 is empty"),
        (lambda: Spans(3, (("a", 2, 4),)), "leaves 0..3"),
        (lambda: Spans(-1), "n is -1"),
        (lambda: Segments(3, ((0, 2), (1, 3))), "overlaps"),
        (lambda: DependencyGraph(2, frozenset({(3, 1, "a")})), "leaves the sentence"),
        (lambda: DependencyGraph(2, frozenset({(1, 0, "a")})), "leaves the sentence"),
        (lambda: DependencyGraph(2, frozenset({(1, 2)})), "arcs must be"),
        (lambda: DependencyGraph(2, frozenset({("0", "1", "a")})), "arcs must be"),
        (lambda: ConstituencyTree(3, [("A", 0, 2), ("B", 1, 3)]), "cross"),
        (lambda: ConstituencyTree(3, [("A", 1, 1)]), "empty"),
        (lambda: ConstituencyTree(3, [], words=["one"]), "1 words for 3 words"),
        (lambda: ConstituencyTree.from_brackets("(S (NN a)"), "not closed"),
        (lambda: ConstituencyTree.from_brackets("(S (NN a)) (S (NN b))"), "a second tree begins after word 1"),
        (lambda: ConstituencyTree.from_brackets("(S (NN a)))"), "outside every bracket"),
        (lambda: ConstituencyTree.from_brackets(""), "no bracket"),
        (lambda: ConstituencyTree.from_brackets("(S (NP) (NN a))"), "empty"),
        (lambda: ConstituencyTree(1).to_brackets(words=["a", "b"]), "2 words for 1 words"),
    ],
)
def test_parts_that_make_no_structure_are_named(make: object, message: str) -> None:
    with pytest.raises(StructureError, match=message):
        make()  # type: ignore[operator]


def test_spans_and_segments_are_sorted() -> None:
    assert Spans(4, (("b", 2, 3), ("a", 0, 1))).spans == (("a", 0, 1), ("b", 2, 3))
    assert Segments(4, ((2, 3), (0, 1))).segments == ((0, 1), (2, 3))


def test_brackets_are_read_with_words_and_tags() -> None:
    tree = ConstituencyTree.from_brackets("( (S\n (NP (DT The) (NN cat)) (VP (VBD sat) (-LRB- -LRB-)) (. .)))")
    assert tree.spans() == (("S", 0, 5), ("NP", 0, 2), ("VP", 2, 4))
    assert (tree.words, tree.tags) == (("The", "cat", "sat", "(", "."), ("DT", "NN", "VBD", "-LRB-", "."))
    assert tree.to_brackets() == "(S (NP (DT The) (NN cat)) (VP (VBD sat) (-LRB- -LRB-)) (. .))"
    assert tree == ConstituencyTree(5, [("NP", 0, 2), ("VP", 2, 4), ("S", 0, 5)])


def test_unary_chains_keep_their_order() -> None:
    assert ConstituencyTree.from_brackets("(S (VP (VB go)))").spans() == (("S", 0, 1), ("VP", 0, 1))
    assert ConstituencyTree(1, [("VP", 0, 1), ("S", 0, 1)]).to_brackets(["go"], ["VB"]) == "(VP (S (VB go)))"


def test_words_outside_of_constituents_get_an_outer_bracket_without_a_label() -> None:
    text = ConstituencyTree(3, [("NP", 1, 3)]).to_brackets(["so", "a", "cat"])
    assert text == "( (X so) (NP (X a) (X cat)))"
    assert ConstituencyTree.from_brackets(text) == ConstituencyTree(3, [("NP", 1, 3)])


@st.composite
def constituency_trees(draw: st.DrawFn) -> ConstituencyTree:
    """Any tree: stretches of words cut at random, each of them labelled never, once or more often."""
    n = draw(st.integers(0, 12))
    spans, stretches = [], [(0, n)]
    while stretches:
        start, end = stretches.pop()
        if start < end:
            labels = draw(st.lists(st.sampled_from(["S", "NP-SBJ", "X=1"]), max_size=2))
            spans += [(label, start, end) for label in labels]
            if end - start > 1:
                middle = draw(st.integers(start + 1, end - 1))
                stretches += [(start, middle), (middle, end)]
    return ConstituencyTree(n, spans)


@given(tree=constituency_trees())
def test_brackets_give_back_every_tree(tree: ConstituencyTree) -> None:
    assert ConstituencyTree.from_brackets(tree.to_brackets()) == tree


def test_deep_brackets_need_no_recursion() -> None:
    deep = ConstituencyTree(1, [("S", 0, 1)] * 20_000)
    assert ConstituencyTree.from_brackets(deep.to_brackets()) == deep
