"""Brackets around the proper rope cover: against the cover's definition, and the published numbers of labels and trees."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given

from spacy_emerging.errors import SettingError
from spacy_emerging.linearizations.dependency.hierarchical_bracketing import HierarchicalBracketingDependency
from spacy_emerging.linearizations.dependency.ropes import brackets_of
from spacy_emerging.structures import DependencyTree

from .strategies import all_small_trees, dependency_trees, projective_trees_up_to

SENTENCE = DependencyTree((2, 3, 0, 5, 3), ("det", "nsubj", "root", "det", "obj"))  # the cat saw a dog


def leans(arc: tuple[int, int], rope: tuple[int, int]) -> bool:
    """Whether an arc lies under another one with which it shares an end."""
    inside = min(rope) <= min(arc) and max(arc) <= max(rope) and arc != rope
    return inside and (min(rope) == min(arc) or max(rope) == max(arc))


def structural_arcs(tree: DependencyTree) -> set[tuple[int, int]]:
    """The arcs that have a super-bracket at both of their ends."""
    arcs = [(head, word) for word, head in enumerate(tree.heads, 1)]
    brackets = brackets_of(len(tree), arcs)
    supers = {word: {bracket.symbol for bracket in found if bracket.super} for word, found in enumerate(brackets)}
    opens = {(head, word) for head, word in arcs if ("/" if head < word else "<") in supers[min(head, word)]}
    return {(head, word) for head, word in opens if (">" if head < word else "\\") in supers[max(head, word)]}


def test_brackets_of_a_small_sentence() -> None:
    # root-saw, the-cat and saw-dog are structural; cat-saw leans on the first, a-dog on the last.
    labels = [brackets for brackets, _ in HierarchicalBracketingDependency().encode(SENTENCE)]
    assert labels == ["<^", "\\^<", ">^/^", "<", ">^"]


def test_projective_trees_have_a_rope_cover() -> None:
    for tree in projective_trees_up_to(5):
        arcs = {(head, word) for word, head in enumerate(tree.heads, 1)}
        # The cover by its definition: the only set of arcs that do not lean on one another, but on one of which each other arc leans.
        covers = [
            set(chosen)
            for size in range(1, len(arcs) + 1)
            for chosen in itertools.combinations(sorted(arcs), size)
            if not any(leans(one, other) for one, other in itertools.permutations(chosen, 2))
            and all(any(leans(arc, rope) for rope in chosen) for arc in arcs - set(chosen))
        ]
        assert covers == [structural_arcs(tree)]


def test_twelve_labels_cover_the_911_projective_trees_up_to_six_words() -> None:
    linearization = HierarchicalBracketingDependency("projective")
    trees = projective_trees_up_to(6)
    assert sum(linearization.decode(linearization.encode(tree)) == (tree, 0) for tree in trees) == 911
    assert len({brackets for tree in trees for brackets, _ in linearization.encode(tree)}) == 12


def test_the_nonprojective_variant_covers_every_small_tree() -> None:
    linearization = HierarchicalBracketingDependency("nonprojective")
    for tree in all_small_trees():
        assert linearization.decode(linearization.encode(tree)) == (tree, 0)


def test_both_variants_write_projective_trees_alike() -> None:
    for tree in projective_trees_up_to(5):
        assert HierarchicalBracketingDependency("nonprojective").encode(tree) == HierarchicalBracketingDependency().encode(tree)


@given(tree=dependency_trees())
def test_the_projective_variant_uses_no_stars(tree: DependencyTree) -> None:
    assert not any("*" in brackets for brackets, _ in HierarchicalBracketingDependency().encode(tree))


def test_brackets_without_a_partner_are_ignored_and_counted() -> None:
    decoded = HierarchicalBracketingDependency().decode([("\\^>^", "root"), (">**!", "x")])
    assert decoded.structure == DependencyTree((0, 1), ("root", "x"))
    assert decoded.repairs == 1 + 1 + 1 + 1  # `\^`, what is no bracket, an auxiliary that skips too many, and the word it leaves


def test_settings_that_cannot_work_are_named() -> None:
    with pytest.raises(SettingError, match="setting 'variant' is 'flat'"):
        HierarchicalBracketingDependency("flat")
    with pytest.raises(SettingError, match="'pseudo_projective' must be null"):
        HierarchicalBracketingDependency("nonprojective", "head")
