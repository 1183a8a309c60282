"""Lifting arcs until a tree is projective, and finding their places again."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spacy_emerging.errors import SettingError
from spacy_emerging.linearizations.dependency.four_bit import FourBitDependency
from spacy_emerging.linearizations.dependency.projective import projective
from spacy_emerging.linearizations.dependency.pseudo_projective import SCHEMES, escape, lift, read, restore
from spacy_emerging.structures import DependencyTree

from .strategies import all_small_trees, dependency_trees

MARKED = [scheme for scheme in SCHEMES if scheme]

# A hearing is scheduled on the issue today: "on" depends on "hearing", across the verb.
HEARING = DependencyTree((2, 3, 0, 3, 2, 7, 5, 3), ("det", "sbj", "root", "vc", "nmod", "det", "pc", "tmp"))


def dominates(heads: list[int], above: int, word: int) -> bool:
    while word and word != above:
        word = heads[word - 1]
    return word == above


def lifted_by_the_book(tree: DependencyTree) -> list[int]:
    """The published procedure, with every arc looked at anew after every lift."""
    heads = list(tree.heads)
    while True:
        bad = [
            (abs(head - word), word)
            for word, head in enumerate(heads, 1)
            if not all(dominates(heads, head, between) for between in range(min(head, word) + 1, max(head, word)))
        ]
        if not bad:
            return heads
        word = min(bad)[1]
        heads[word - 1] = heads[heads[word - 1] - 1]


def test_the_three_schemes_mark_relations_as_published() -> None:
    lifted = (2, 3, 0, 3, 3, 7, 5, 3)
    assert lift(HEARING, "head") == DependencyTree(lifted, ("det", "sbj", "root", "vc", "nmod↑sbj", "det", "pc", "tmp"))
    assert lift(HEARING, "head+path") == DependencyTree(lifted, ("det", "sbj↓", "root", "vc", "nmod↑sbj", "det", "pc", "tmp"))
    assert lift(HEARING, "path") == DependencyTree(lifted, ("det", "sbj↓", "root", "vc", "nmod↑", "det", "pc", "tmp"))
    assert lift(HEARING, None) == DependencyTree(lifted, HEARING.deprels)
    for scheme in MARKED:
        assert restore(lift(HEARING, scheme), scheme) == (HEARING, 0)


def test_small_trees_are_lifted_as_by_the_book() -> None:
    for tree in all_small_trees():
        assert projective(tree).heads == lifted_by_the_book(tree)


@given(tree=dependency_trees(max_size=12))
def test_larger_trees_are_lifted_as_by_the_book(tree: DependencyTree) -> None:
    assert projective(tree).heads == lifted_by_the_book(tree)


@given(tree=dependency_trees(several_roots=True), scheme=st.sampled_from(SCHEMES))
def test_lifting_gives_a_projective_tree_with_one_root(tree: DependencyTree, scheme: str | None) -> None:
    lifted = lift(tree, scheme)
    assert lifted.is_projective()
    assert lifted.heads.count(0) == min(len(tree), 1)


@given(tree=dependency_trees(several_roots=True), scheme=st.sampled_from(MARKED))
def test_relations_are_restored_even_where_arcs_are_not(tree: DependencyTree, scheme: str) -> None:
    assert restore(lift(tree, scheme), scheme)[0].deprels == tree.deprels


def test_small_trees_with_relations_of_their_own_are_restored() -> None:
    assert all(restore(lift(tree, "head"), "head") == (tree, 0) for tree in all_small_trees())


@given(relation=st.text("a↑↓\\", max_size=6), source=st.text("a↑↓\\", max_size=6), passed=st.booleans())
def test_marks_are_read_as_they_were_written(relation: str, source: str, passed: bool) -> None:
    arrow = "↓" if passed else ""
    assert read(escape(relation) + arrow) == (relation, None, passed)
    assert read(escape(relation) + "↑" + escape(source) + arrow) == (relation, source, passed)


@given(label=st.text("a↑↓\\"))
def test_any_relation_can_be_read(label: str) -> None:
    assert isinstance(read(label).deprel, str)


def test_a_lifted_arc_without_a_place_stays_and_is_counted() -> None:
    tree = DependencyTree((0, 1), ("root", "nmod↑nobody"))
    assert restore(tree, "head") == (DependencyTree((0, 1), ("root", "nmod")), 1)


@pytest.mark.parametrize("scheme", MARKED)
@pytest.mark.parametrize("deprel", ["x↑y", "x↑x↓", "x↑↓"])
@pytest.mark.parametrize("shape", ["flat", "chain"])
def test_adversarial_traces_are_read_at_any_length(scheme: str, deprel: str, shape: str) -> None:
    n = 20_000
    heads = tuple(range(n)) if shape == "chain" else (0,) + (1,) * (n - 1)
    tree, _ = restore(DependencyTree(heads, (deprel,) * n), scheme)
    assert set(tree.deprels) == {"x"}


def test_a_tree_of_nothing_but_crossing_arcs_becomes_projective_too() -> None:
    n, chance = 3000, random.Random(0)
    order = list(range(1, n + 1))
    chance.shuffle(order)
    heads = [0] * n
    for place in range(1, n):
        heads[order[place] - 1] = order[max(0, place - 3)]
    assert lift(DependencyTree(tuple(heads), ("x",) * n), "head").is_projective()


def test_an_unknown_scheme_is_named() -> None:
    with pytest.raises(SettingError, match="FourBitDependency: setting 'pseudo_projective' is 'tail'"):
        FourBitDependency(pseudo_projective="tail")
