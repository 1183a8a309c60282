"""Constituents as labels: one sentence worked by hand, the papers' definitions, every small tree, and what strange labels give."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spacy_emerging.linearizations.base import Linearization
from spacy_emerging.linearizations.constituency.absolute import AbsoluteConstituency
from spacy_emerging.linearizations.constituency.dynamic import DynamicConstituency
from spacy_emerging.linearizations.constituency.juxtaposed import JuxtaposedConstituency
from spacy_emerging.linearizations.constituency.relative import RelativeConstituency
from spacy_emerging.linearizations.constituency.tetra_tag import TetraTagConstituency
from spacy_emerging.registry import linearization as by_name
from spacy_emerging.structures import ConstituencyTree

from ..strategies import small_constituency_trees
from .references import common_ancestors, juxtaposed_actions, tetra_tags

KIM = ConstituencyTree.from_brackets(
    "(S (NP (NNP Kim)) (VP (VBZ likes) (S (VP (VBG reading) (NP (DT the) (JJ old) (NNS letters))))) (. .))",
)
LEVELS = ["1", "2", "3", "4", "4", "1", "end"]
LABELS = ["S", "VP", "S+VP", "NP", "NP", "S", ""]
UNARY = ["NP", "", "", "", "", "", ""]

MAKERS = [
    AbsoluteConstituency,
    RelativeConstituency,
    lambda: RelativeConstituency(root_label=False),
    DynamicConstituency,
    TetraTagConstituency,
    JuxtaposedConstituency,
]
every_encoding = pytest.mark.parametrize("make", MAKERS, ids=["absolute", "relative", "relative-plain", "dynamic", "tetra", "juxtaposed"])
SMALL = [tree for n in range(5) for tree in small_constituency_trees(n)]


@st.composite
def plain_trees(draw: st.DrawFn) -> ConstituencyTree:
    """Trees with labels that need no escape, for the references."""
    n = draw(st.integers(1, 14))
    spans, stretches = [], [(0, n)]
    while stretches:
        start, end = stretches.pop()
        spans += [(label, start, end) for label in draw(st.lists(st.sampled_from("XYZ"), max_size=2))]
        if end - start > 1:
            middle = draw(st.integers(start + 1, end - 1))
            stretches += [(start, middle), (middle, end)]
    return ConstituencyTree(n, spans)


@pytest.mark.parametrize(
    ("linearization", "levels"),
    [
        (AbsoluteConstituency(), LEVELS),
        (RelativeConstituency(), ["ROOT", "1", "1", "1", "0", "ROOT", "end"]),
        (RelativeConstituency(root_label=False), ["1", "1", "1", "1", "0", "-3", "end"]),
        (DynamicConstituency(), ["1", "1", "1", "1", "0", "=1", "end"]),
    ],
    ids=["absolute", "relative", "relative-plain", "dynamic"],
)
def test_levels_of_a_sentence_count_what_a_word_shares_with_the_next(linearization: Linearization, levels: list[str]) -> None:
    assert linearization.encode(KIM) == list(zip(levels, LABELS, UNARY, strict=True))


def test_a_level_is_absolute_where_two_constituents_close_and_it_is_one_of_the_topmost_three() -> None:
    # given levels 1 2 3 4 5 6, then a fall by two to 4 (not topmost), by two to 2, by one to 1
    levels = [1, 2, 3, 4, 5, 6, 4, 2, 1]
    tree = AbsoluteConstituency().decode([(str(level), f"X{level}", "") for level in levels] + [("end", "", "")]).structure
    # when it is encoded, then only the fall to 2 is absolute
    assert [level for level, _, _ in DynamicConstituency().encode(tree)] == ["1"] * 6 + ["-2", "=2", "-1", "end"]


def test_tetra_tags_of_a_sentence_are_those_of_its_binary_tree() -> None:
    # (Kim ((likes (reading (the (old letters)))) .), with labels S, none, VP, S+VP, NP, none from the outside
    assert TetraTagConstituency().encode(KIM) == [
        ("l", "L", "S", "NP"),
        ("l", "L", "VP", ""),
        ("l", "R", "S+VP", ""),
        ("l", "R", "NP", ""),
        ("l", "R", "", ""),
        ("r", "R", "", ""),
        ("r", "end", "", ""),
    ]


def test_juxtaposed_actions_of_a_sentence_build_it_word_by_word() -> None:
    assert JuxtaposedConstituency().encode(KIM) == [
        ("0", "NP", ""),  # (NP Kim)
        ("1", "VP", "S"),  # (S (NP Kim) (VP likes)): the S takes the place of the NP
        ("2", "S+VP", ""),  # ... (VP likes (S+VP reading))
        ("3", "NP", ""),  # ... (S+VP reading (NP the))
        ("4", "", ""),
        ("4", "", ""),
        ("1", "", ""),
    ]


def test_words_outside_of_every_constituent_hang_from_the_whole_sentence() -> None:
    tree = ConstituencyTree(4, [("NP", 1, 3)])
    assert AbsoluteConstituency().encode(tree) == [("1", "", ""), ("2", "NP", ""), ("1", "", ""), ("end", "", "")]
    assert JuxtaposedConstituency().encode(tree) == [("0", "", ""), ("0", "NP", ""), ("1", "", ""), ("0", "", "")]


def test_every_small_tree_is_among_the_small_trees() -> None:
    # Stretches of several words: (1 + 5k + 5k²)(1 + k) ways for four words and k chains; single words: 1 + k each. Here k = 2.
    assert [len(small_constituency_trees(n)) for n in range(5)] == [1, 3, 3 * 9, (1 + 2 * 2) * 3 * 27, (1 + 10 + 20) * 3 * 81]


@every_encoding
def test_every_small_tree_survives(make: type[Linearization]) -> None:
    linearization = make()
    assert [tree for tree in SMALL if linearization.decode(linearization.encode(tree)) != (tree, 0)] == []


@every_encoding
def test_different_trees_have_different_labels(make: type[Linearization]) -> None:
    trees = small_constituency_trees(4)
    assert len({tuple(make().encode(tree)) for tree in trees}) == len(trees)


@given(tree=plain_trees())
def test_levels_are_the_numbers_of_common_ancestors(tree: ConstituencyTree) -> None:
    expected = [(str(number), label) for number, label in common_ancestors(tree)] + [("end", "")]
    assert [(level, label) for level, label, _ in AbsoluteConstituency().encode(tree)] == expected


@given(tree=plain_trees())
def test_tetra_tags_are_those_of_the_binary_tree_in_in_order(tree: ConstituencyTree) -> None:
    assert [label[:3] for label in TetraTagConstituency().encode(tree)] == tetra_tags(tree)


@given(tree=plain_trees())
def test_actions_are_those_found_by_taking_them_back(tree: ConstituencyTree) -> None:
    assert JuxtaposedConstituency().encode(tree) == juxtaposed_actions(tree)


def test_references_agree_on_every_small_tree() -> None:
    for tree in SMALL[1:]:
        assert [label[:3] for label in TetraTagConstituency().encode(tree)] == tetra_tags(tree)
        assert JuxtaposedConstituency().encode(tree) == juxtaposed_actions(tree)


def long_trees(n: int) -> dict[str, ConstituencyTree]:
    """Trees that are as deep as they are long, and a flat one."""
    return {
        "left-branching": ConstituencyTree(n, [("X", 0, end) for end in range(2, n + 1)]),
        "right-branching": ConstituencyTree(n, [("X", start, n) for start in range(n - 1)]),
        "nested around the middle": ConstituencyTree(n, [("X", i, n - i) for i in range(n // 2)]),
        "flat": ConstituencyTree(n, [("X", 0, n), *(("Y", i, i + 1) for i in range(n))]),
        "no constituent": ConstituencyTree(n),
        "one chain": ConstituencyTree(n, [("X", 0, n)] * n),
    }


@every_encoding
@pytest.mark.parametrize("shape", long_trees(2))
def test_five_thousand_words_of_any_shape_survive(make: type[Linearization], shape: str) -> None:
    tree = long_trees(5000)[shape]
    linearization = make()
    assert linearization.decode(linearization.encode(tree)) == (tree, 0)


@every_encoding
def test_labels_of_any_characters_come_back(make: type[Linearization]) -> None:
    for label in ("+", "++", "a+b", "\\", "\\p", "\\e", "", "end", "ROOT", "a\\+b", "(", " "):
        tree = ConstituencyTree(3, [(label, 0, 3), ("+", 0, 3), (label, 0, 2), ("", 1, 2), (label, 1, 2)])
        assert make().decode(make().encode(tree)) == (tree, 0)


@pytest.mark.parametrize(
    ("name", "labels", "spans", "repairs"),
    [
        # The first label of a node wins; a second one is a repair.
        ("Absolute", ["1 S", "1 VP", "end"], [("S", 0, 3)], 1),
        # A node without a label, below the whole, is not there.
        ("Absolute", ["1 S", "2", "end"], [("S", 0, 3)], 1),
        # A node takes its label from any of its gaps.
        ("Absolute", ["1 S", "2", "2 NP", "end"], [("S", 0, 4), ("NP", 1, 4)], 1),
        # Level 2 is skipped: no node of one part.
        ("Absolute", ["1 S", "3 NP", "end"], [("S", 0, 3), ("NP", 1, 3)], 1),
        # No level at all, and one below the whole: both count as the one before.
        ("Absolute", ["1 S", "2 NP", "what NP", "0 NP", "end"], [("S", 0, 5), ("NP", 1, 5)], 2),
        ("Absolute", ["x S", "end"], [("S", 0, 2)], 1),
        # What follows the last word is no level.
        ("Absolute", ["1 S", "1 S"], [("S", 0, 2)], 1),
        ("Relative", ["ROOT S", "1 NP", "-1 S", "end"], [("S", 0, 4), ("NP", 1, 3)], 0),
        ("Relative", ["ROOT S", "1 NP", "-2 NP", "end"], [("S", 0, 4), ("NP", 1, 4)], 1),
        ("Dynamic", ["1 S", "1 NP", "=1 S", "=x S", "end"], [("S", 0, 5), ("NP", 1, 3)], 1),
        # The fence after word 2 cannot be a right child: nothing is open. Nor can word 3 be a left one: nothing would close it.
        ("TetraTag", ["l L S", "r R X", "l end"], [("X", 0, 3), ("S", 0, 2)], 2),
        # A left child without a label is not there; the whole may have none.
        ("TetraTag", ["l L S", "l L", "r R", "r end"], [("S", 0, 4)], 1),
        ("TetraTag", ["l L", "r end"], [], 0),
        # What follows the last word is no gap.
        ("TetraTag", ["l L S", "r L"], [("S", 0, 2)], 1),
        # The rightmost chain has no node 7; nor is there anything to juxtapose to word 1.
        ("Juxtaposed", ["0 NP", "7"], [("NP", 0, 2)], 1),
        ("Juxtaposed", ["0 NP S", "1 VP S"], [("NP", 0, 1), ("VP", 1, 2), ("S", 0, 2)], 1),
        ("Juxtaposed", ["0 NP", "0 VP S"], [("NP", 0, 1), ("VP", 1, 2), ("S", 0, 2)], 1),
        ("Juxtaposed", ["0 NP", "x", "-1"], [("NP", 0, 3)], 2),
    ],
)
def test_labels_that_make_no_tree_are_repaired_by_the_rules(name: str, labels: list[str], spans: list, repairs: int) -> None:
    linearization = by_name(f"{name}Constituency")
    arity = len(linearization.fields)
    tuples = [tuple((label.split(" ") + [""] * arity)[:arity]) for label in labels]
    assert linearization.decode(tuples) == (ConstituencyTree(len(labels), spans), repairs)


@every_encoding
def test_a_chain_that_nobody_writes_is_read_and_counted(make: type[Linearization]) -> None:
    linearization = make()
    labels = linearization.encode(ConstituencyTree(2, [("A", 0, 2)]))
    strange = [tuple("B++\\x" if value == "A" else value for value in label) for label in labels]
    expected = ConstituencyTree(2, [("B", 0, 2), ("", 0, 2), ("\\x", 0, 2)])
    assert linearization.decode(strange) == (expected, 1)
