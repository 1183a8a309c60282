"""How many arcs of graphs any assignment to planes or subsets could keep, beside what the greedy one keeps.

    python benchmarks/planes.py TREEBANK --planes 2 3 --subsets 4 8

TREEBANK is a folder of CoNLL-U files with enhanced dependencies. Arcs of the two directions never stand in each other's way, so per
graph and direction this is the largest part of a conflict graph that so many colours suffice for. An integer programme solves it, in
what is left of the conflict graph without arcs that always find a place; where the time is not enough, it gives the best
assignment found and a bound that none exceeds.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import numpy
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_matrix

from spacy_emerging.corpus.convert import read_corpus, vocabulary
from spacy_emerging.coverage.samples import GRAPH, samples_of
from spacy_emerging.linearizations.graph.bracketing import BracketingGraph
from spacy_emerging.linearizations.graph.six_bit import SixBitGraph
from spacy_emerging.structures import DependencyGraph

Arc = tuple[int, int, str]
Conflicts = dict[Arc, set[Arc]]


class Kept(NamedTuple):
    """Arcs that the best assignment found keeps, and how many none can exceed."""

    found: int
    bound: int


def most_kept(graph: DependencyGraph, planes: int, one_head: bool, seconds: float) -> Kept:
    """Of the arcs of a graph, those to planes of which no two arcs of one direction cross.

    one_head: whether two arcs of one direction in a plane must also have different dependents, as in the subsets of `SixBitGraph`.
    seconds: for the integer programme of each connected part of the conflict graph.
    """
    found = bound = 0
    for rightwards in (True, False):
        arcs = sorted(arc for arc in graph.arcs if arc[0] != arc[1] and (arc[0] < arc[1]) == rightwards)
        conflicts = _conflicts(arcs, one_head)
        hard = _core(conflicts, planes)
        found += len(arcs) - len(hard)
        bound += len(arcs) - len(hard)
        for part in _connected(hard):
            kept = _solved(part, planes, seconds)
            found += kept.found
            bound += kept.bound
    return Kept(found, bound)


def _conflicts(arcs: Iterable[Arc], one_head: bool) -> Conflicts:
    result: Conflicts = {arc: set() for arc in arcs}
    for one, other in combinations(result, 2):
        (left, right), (inner, outer) = sorted((sorted(one[:2]), sorted(other[:2])))
        if left < inner < right < outer or (one_head and one[1] == other[1]):
            result[one].add(other)
            result[other].add(one)
    return result


def _core(conflicts: Conflicts, planes: int) -> Conflicts:
    """What is left when arcs with fewer conflicts than there are planes go, one after the other: these find a place at the end."""
    degree = {arc: len(others) for arc, others in conflicts.items()}
    easy = [arc for arc in conflicts if degree[arc] < planes]
    gone = set(easy)
    for arc in easy:  # grows on the way
        for other in conflicts[arc] - gone:
            degree[other] -= 1
            if degree[other] < planes:
                gone.add(other)
                easy.append(other)
    return {arc: others - gone for arc, others in conflicts.items() if arc not in gone}


def _connected(conflicts: Conflicts) -> Iterator[Conflicts]:
    waiting = dict.fromkeys(conflicts)
    while waiting:
        part = [waiting.popitem()[0]]
        for arc in part:  # grows on the way
            for other in conflicts[arc]:
                if other in waiting:
                    del waiting[other]
                    part.append(other)
        yield {arc: conflicts[arc] for arc in sorted(part)}


def _solved(part: Conflicts, planes: int, seconds: float) -> Kept:
    """Maximizes the arcs kept: one variable per arc and plane, at most one arc of a clique per plane, at most one plane per arc."""
    alike: dict[frozenset[Arc], list[Arc]] = {}
    for arc, others in part.items():
        alike.setdefault(frozenset(others), []).append(arc)
    weights = {arcs[0]: len(arcs) for arcs in alike.values()}  # arcs with the same conflicts share a plane in some best assignment
    place = {arc: i * planes for i, arc in enumerate(weights)}
    cliques = list(_cliques({arc: part[arc] & weights.keys() for arc in weights}))
    rows = [[place[arc] + plane for arc in clique] for clique in cliques for plane in range(planes)]
    rows += [[start + plane for plane in range(planes)] for start in place.values()]
    columns = numpy.concatenate([numpy.array(row) for row in rows])
    starts = numpy.cumsum([0, *map(len, rows)])
    matrix = csr_matrix((numpy.ones(len(columns)), columns, starts), shape=(len(rows), len(place) * planes))
    highest = numpy.ones(len(place) * planes)
    for first, arc in enumerate(max(cliques, key=len)[:planes]):  # planes are interchangeable
        highest[place[arc] + first + 1 : place[arc] + planes] = 0
    result = milp(
        -numpy.repeat(numpy.array(list(weights.values())), planes),
        constraints=LinearConstraint(matrix, -numpy.inf, 1),
        integrality=numpy.ones(len(highest)),
        bounds=Bounds(0, highest),
        options={"time_limit": seconds},
    )
    found = 0 if result.x is None else round(-result.fun)
    bound = len(part) if result.mip_dual_bound is None else int(-result.mip_dual_bound + 1e-6)
    return Kept(found, bound)


def _cliques(conflicts: Conflicts) -> Iterator[list[Arc]]:
    """Cliques that hold every conflict between them."""
    left = {pair for arc, others in conflicts.items() for other in others if (pair := (arc, other))[0] < other}
    while left:
        clique = list(min(left))
        common = conflicts[clique[0]] & conflicts[clique[1]]
        while common:
            chosen = max(
                sorted(common), key=lambda arc: (sum(tuple(sorted((arc, other))) in left for other in clique), len(conflicts[arc] & common))
            )
            clique.append(chosen)
            common = common & conflicts[chosen]
        left -= set(combinations(sorted(clique), 2))
        yield clique


def main() -> None:
    """Prints one line per encoding."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--planes", type=int, nargs="*", default=[2, 3])
    parser.add_argument("--subsets", type=int, nargs="*", default=[4, 8])
    parser.add_argument("--seconds", type=float, default=60, help="for each part of a graph that is hard")
    chosen = parser.parse_args()
    vocab = vocabulary("xx")
    graphs = [
        sample.structure for file in sorted(chosen.folder.rglob("*.conllu")) for sample in samples_of(read_corpus(file, vocab))[GRAPH]
    ]
    total = sum(len(graph.arcs) for graph in graphs)
    print(f"{len(graphs):,} graphs, {total:,} arcs; % kept: by the encoding, by the best assignment found, by any at most")
    for encoding, size in [*((BracketingGraph, k) for k in chosen.planes), *((SixBitGraph, k) for k in chosen.subsets)]:
        ours = sum(len(encoding(size).decode(encoding(size).encode(graph)).structure.arcs & graph.arcs) for graph in graphs)
        best = [most_kept(graph, size, encoding is SixBitGraph, chosen.seconds) for graph in graphs]
        numbers = (ours, sum(kept.found for kept in best), sum(kept.bound for kept in best))
        print(f"{encoding.__name__}({size})", *(f"{100 * number / total:.2f}" for number in numbers), flush=True)


if __name__ == "__main__":
    main()
