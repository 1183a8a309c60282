"""Structures to test linearizations with: hypothesis strategies, and every small tree."""

from __future__ import annotations

import itertools
from functools import cache

from hypothesis import strategies as st

from spacy_emerging.structures import ConstituencyTree, DependencyGraph, DependencyTree, Segments, Spans, StructureError

LABELS = st.text(min_size=1, max_size=4) | st.text("a-,+↑↓\\", min_size=1, max_size=5)
"""Labels of any characters, so that no encoding relies on separators being absent."""


@cache
def single_root_trees(n: int) -> tuple[DependencyTree, ...]:
    """Every tree with one root over n words, found by trying all (n + 1) ** n head vectors."""
    found = []
    for heads in itertools.product(range(n + 1), repeat=n):
        if heads.count(0) == 1:
            try:
                found.append(DependencyTree(heads, tuple(f"r{i}" for i in range(n))))
            except StructureError:
                continue
    return tuple(found)


def all_small_trees() -> list[DependencyTree]:
    """The 1 + 2 + 9 + 64 + 625 trees (Cayley) of one to five words."""
    return [tree for n in range(1, 6) for tree in single_root_trees(n)]


@cache
def projective_trees_up_to(n: int) -> tuple[DependencyTree, ...]:
    """Every projective tree with one root over one to n words."""
    return tuple(tree for size in range(1, n + 1) for tree in single_root_trees(size) if tree.is_projective())


@st.composite
def dependency_trees(draw: st.DrawFn, max_size: int = 25, several_roots: bool = False) -> DependencyTree:
    """Any tree: words in random order, each attached to an earlier one of that order."""
    n = draw(st.integers(0, max_size))
    order = draw(st.permutations(range(1, n + 1)))
    heads = [0] * n
    for place, word in enumerate(order[1:], 1):
        above = draw(st.integers(-1 if several_roots else 0, place - 1))
        heads[word - 1] = 0 if above < 0 else order[above]
    return DependencyTree(tuple(heads), tuple(draw(st.lists(LABELS, min_size=n, max_size=n))))


@st.composite
def projective_trees(draw: st.DrawFn, max_size: int = 25) -> DependencyTree:
    """Projective trees with one root, built top down: every stretch of words takes one of them as head."""
    n = draw(st.integers(0, max_size))
    heads = [0] * n
    stretches = [(0, n, 0)]
    while stretches:
        start, end, head = stretches.pop()
        while start < end:
            # Below the artificial root the whole sentence is one stretch, elsewhere siblings share the words.
            stop = end if head == 0 else draw(st.integers(start + 1, end))
            word = draw(st.integers(start + 1, stop))
            heads[word - 1] = head
            stretches += [(start, word - 1, word), (word, stop, word)]
            start = stop
    return DependencyTree(tuple(heads), tuple(draw(st.lists(LABELS, min_size=n, max_size=n))))


@st.composite
def constituency_trees(draw: st.DrawFn, max_size: int = 12) -> ConstituencyTree:
    """Any constituents: unary chains, flat and deep ones, words outside of all, several at the top, none."""
    n = draw(st.integers(0, max_size))
    found: list[tuple[str, int, int]] = []
    stretches = [(0, n)]
    while stretches:
        start, end = stretches.pop()
        chain = draw(st.lists(LABELS | st.just(""), max_size=3))
        found += [(label, start, end) for label in chain if start < end]
        if end - start > 1:
            cuts = sorted(draw(st.sets(st.integers(start + 1, end - 1), min_size=1)))
            stretches += itertools.pairwise([start, *cuts, end])
    return ConstituencyTree(n, found)


@cache
def small_constituency_trees(n: int) -> tuple[ConstituencyTree, ...]:
    """Every set of constituents over n words with the chains A and A above B, found by trying all sets of stretches."""
    stretches = [(start, end) for start in range(n) for end in range(start + 1, n + 1)]
    found = []
    for chosen in itertools.product((False, True), repeat=len(stretches)):
        nodes = list(itertools.compress(stretches, chosen))
        try:
            ConstituencyTree(n, [("A", start, end) for start, end in nodes])
        except StructureError:
            continue
        for chains in itertools.product(("A", "AB"), repeat=len(nodes)):
            found.append(ConstituencyTree(n, [(label, *node) for node, chain in zip(nodes, chains, strict=True) for label in chain]))
    return tuple(found)


@st.composite
def dependency_graphs(draw: st.DrawFn, max_size: int = 8, self_loops: bool = True) -> DependencyGraph:
    """Any graph: re-entrancies, cycles, several arcs between two words, words without arcs."""
    n = draw(st.integers(0, max_size))
    arcs = st.tuples(st.integers(0, n), st.integers(1, max(n, 1)), LABELS | st.just(""))
    drawn = draw(st.frozensets(arcs, max_size=3 * n)) if n else frozenset()
    return DependencyGraph(n, frozenset(arc for arc in drawn if self_loops or arc[0] != arc[1]))


@st.composite
def spans(draw: st.DrawFn, max_size: int = 15) -> Spans:
    """Any spans that do not overlap."""
    n = draw(st.integers(0, max_size))
    cuts = sorted(draw(st.sets(st.integers(0, n), max_size=n + 1)))
    pairs = [(start, end) for start, end in itertools.pairwise(cuts) if draw(st.booleans())]
    return Spans(n, tuple((draw(LABELS), start, end) for start, end in pairs))


@st.composite
def segments(draw: st.DrawFn, max_size: int = 15, gaps: bool = True) -> Segments:
    """Any cut into words; without gaps every character is in one."""
    n = draw(st.integers(0, max_size))
    cuts = sorted({0, n, *draw(st.sets(st.integers(0, n), max_size=n + 1))})
    return Segments(n, tuple(pair for pair in itertools.pairwise(cuts) if not gaps or draw(st.booleans())))


TAGS = st.lists(st.tuples(st.text(max_size=4), st.text(max_size=4)), max_size=15)
