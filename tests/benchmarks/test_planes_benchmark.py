"""The bound on arcs that planes can keep, against all assignments of small graphs."""

from __future__ import annotations

import runpy
from itertools import combinations, product
from pathlib import Path
from random import Random

import pytest

from spacy_emerging.structures import DependencyGraph

BENCHMARK = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "planes.py"))
most_kept = BENCHMARK["most_kept"]


def fits(arcs: list[tuple[int, int, str]], one_head: bool) -> bool:
    """Whether these arcs may share a plane, by the definition."""
    for one, other in combinations(arcs, 2):
        if (one[0] < one[1]) != (other[0] < other[1]):
            continue
        (left, right), (inner, outer) = sorted((sorted(one[:2]), sorted(other[:2])))
        if left < inner < right < outer or (one_head and one[1] == other[1]):
            return False
    return True


@pytest.mark.parametrize("one_head", [False, True])
@pytest.mark.parametrize("planes", [1, 2])
def test_the_best_assignment_is_found(planes: int, one_head: bool) -> None:
    chance = Random(planes)
    every = [(head, word, "x") for head in range(8) for word in range(1, 8) if head != word]
    for _ in range(8):
        graph = DependencyGraph(7, frozenset(chance.sample(every, 8)))
        arcs = sorted(graph.arcs)
        largest = 0
        for places in product(range(planes + 1), repeat=len(arcs)):
            chosen = [[arc for arc, place in zip(arcs, places, strict=True) if place == plane] for plane in range(planes)]
            size = sum(map(len, chosen))
            if size > largest and all(fits(plane, one_head) for plane in chosen):
                largest = size
        assert most_kept(graph, planes, one_head, 60) == (largest, largest)


def test_an_arc_from_a_word_to_itself_is_in_no_plane() -> None:
    assert most_kept(DependencyGraph(2, frozenset({(1, 1, "x"), (0, 2, "y")})), 1, False, 60) == (1, 1)
