"""Proposed arcs become trees by two published rules; the fast code is held against the rules' own words."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spacy_emerging.linearizations.dependency.repair import tree_from_arcs
from spacy_emerging.structures import DependencyTree


def reaches(heads: dict[int, int], word: int, target: int) -> bool:
    """Whether `target` is `word` or above it."""
    while word != target and word in heads:
        word = heads[word]
    return word == target


def nearest_by_the_book(n: int, arcs: list[tuple[int, int]]) -> tuple[int, ...]:
    """The rule "nearest" as published, trying every head in turn."""
    heads: dict[int, int] = {}

    def valid(head: int, word: int) -> bool:
        return not reaches(heads, head, word) and (head != 0 or 0 not in heads.values())

    for head, word in arcs:
        if word not in heads and valid(head, word):
            heads[word] = head
    for word in range(1, n + 1):
        distances = itertools.chain.from_iterable((word - d, word + d) for d in range(1, n + 1))
        if word not in heads:
            heads[word] = next(head for head in distances if 0 <= head <= n and valid(head, word))
    return tuple(heads[word] for word in range(1, n + 1))


ONE_HEAD_EACH = st.integers(1, 12).flatmap(lambda n: st.lists(st.integers(0, n), min_size=n, max_size=n))


@given(heads=ONE_HEAD_EACH, data=st.data())
def test_nearest_is_the_published_rule(heads: list[int], data: st.DataObject) -> None:
    arcs = [(head, word) for word, head in enumerate(heads, 1) if head != word and data.draw(st.booleans())]
    arcs = data.draw(st.permutations(arcs))
    expected = nearest_by_the_book(len(heads), arcs)
    assert tree_from_arcs(len(heads), arcs, ["x"] * len(heads), "nearest").structure.heads == expected


@given(heads=ONE_HEAD_EACH, data=st.data(), rule=st.sampled_from(["nearest", "root"]))
def test_a_proposed_tree_is_kept_and_anything_else_is_counted(heads: list[int], data: st.DataObject, rule: str) -> None:
    n = len(heads)
    arcs = [(head, word) for word, head in enumerate(heads, 1)]
    tree, repairs = tree_from_arcs(n, arcs, ["x"] * n, rule)
    assert tree.heads.count(0) == 1
    self_loops = sum(head == word for head, word in arcs)
    changed = sum(head != settled for head, settled in zip(heads, tree.heads, strict=True))
    assert repairs == changed + self_loops


@pytest.mark.parametrize(
    ("case", "heads", "deprels", "expected"),
    [
        ("several roots: the first is kept", (0, 0, 2), ("x", "root", "x"), (0, 1, 2)),
        ("no root: the word called root", (3, 1, 2), ("x", "root", "x"), (3, 0, 2)),
        ("no root, none called so: word 1, and a cycle is left", (2, 3, 2), ("x", "x", "x"), (0, 1, 2)),
        ("a cycle beside the root: its leftmost word moves", (0, 3, 2), ("x", "x", "x"), (0, 1, 2)),
        ("two cycles beside the root", (2, 1, 0, 5, 4), ("x",) * 5, (3, 1, 0, 3, 4)),
    ],
)
def test_root_is_the_published_rule(case: str, heads: tuple[int, ...], deprels: tuple[str, ...], expected: tuple[int, ...]) -> None:
    arcs = [(head, word) for word, head in enumerate(heads, 1)]
    assert tree_from_arcs(len(heads), arcs, deprels, "root").structure == DependencyTree(expected, deprels), case


def test_root_attaches_headless_words_to_the_root_word() -> None:
    assert tree_from_arcs(4, [(0, 2), (1, 3)], ["x"] * 4, "root") == (DependencyTree((2, 0, 1, 2), ("x",) * 4), 2)


def adversarial_heads(n: int) -> dict[str, list[int]]:
    """Heads that would cost a naive repair n steps per word."""
    return {
        "one long cycle": [word % n + 1 for word in range(1, n + 1)],
        "pairs": [(word - 1 ^ 1) + 1 for word in range(1, n + 1)],
        "all under the last word, which is under the first": [n] * (n - 1) + [1],
        "nested pairs": [n + 1 - word for word in range(1, n + 1)],
        "interleaved halves": [(word + n // 2 - 1) % n + 1 for word in range(1, n + 1)],
        "all roots": [0] * n,
    }


@pytest.mark.parametrize("rule", ["nearest", "root"])
@pytest.mark.parametrize("case", adversarial_heads(4))
@pytest.mark.parametrize("n", [2, 100_000])
def test_adversarial_heads_are_repaired_at_any_length(n: int, case: str, rule: str) -> None:
    arcs = [(head, word) for word, head in enumerate(adversarial_heads(n)[case], 1)]
    assert tree_from_arcs(n, arcs, ["x"] * n, rule).structure.heads.count(0) == 1
