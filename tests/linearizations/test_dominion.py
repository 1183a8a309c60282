"""What is attached to the root's child where lifting one arc at a time would take too long."""

from __future__ import annotations

import pytest
from hypothesis import given

from spacy_emerging.linearizations.dependency import projective as lifting
from spacy_emerging.linearizations.dependency.dominion import cannot_stay
from spacy_emerging.structures import DependencyTree

from .strategies import all_small_trees, dependency_trees


def loose_by_definition(tree: DependencyTree) -> set[int]:
    """Attaches the dependents of non-projective arcs to the root's child until there are none, looking at every word each time."""
    heads, top = [0, *tree.heads], tree.heads.index(0) + 1

    def dominates(head: int, word: int) -> bool:
        while word and word != head:
            word = heads[word]
        return word == head

    while True:
        bad = {
            word
            for word, head in enumerate(heads)
            if head not in (0, top) and not all(dominates(head, between) for between in range(min(head, word) + 1, max(head, word)))
        }
        if not bad:
            return {word for word, head in enumerate(tree.heads, 1) if head not in (0, top) and heads[word] == top}
        for word in bad:
            heads[word] = top


def test_what_cannot_stay_in_small_trees_is_found_as_by_definition() -> None:
    for tree in all_small_trees():
        found = cannot_stay([0, *tree.heads], tree.heads.index(0) + 1)
        assert len(found) == len(set(found))
        assert set(found) == loose_by_definition(tree)


@given(tree=dependency_trees(max_size=20).filter(len))
def test_what_cannot_stay_in_larger_trees_is_found_as_by_definition(tree: DependencyTree) -> None:
    assert set(cannot_stay([0, *tree.heads], tree.heads.index(0) + 1)) == loose_by_definition(tree)


@pytest.mark.parametrize("patience", [0, 1, 3])
@given(tree=dependency_trees(several_roots=True))
def test_trees_are_projective_wherever_patience_ends(patience: int, tree: DependencyTree) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(lifting, "PATIENCE", patience)
        lifted = lifting.projective(tree)
    assert DependencyTree(tuple(lifted.heads), tree.deprels).is_projective()
    # and no arc is lifted beyond the root's child
    top = lifted.heads.index(0) + 1 if lifted.heads else 0
    assert top not in lifted.passed
