"""Which arcs of a tree stand in the way of projectivity, all found at once in n log n steps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy

LEFT_END, RIGHT_END, DEPENDENT = 0, 1, 2


def cannot_stay(heads: Sequence[int], top: int) -> list[int]:
    """The words that have to be attached to `top` to make the tree projective, if nothing else may change.

    heads: of the words from 1 on, [0] is not used; a tree whose one root is `top`.
    These are the dependents of all non-projective arcs, and of all arcs over such a word, which then hangs from outside of them.
    """
    arcs = numpy.array([(min(h, d), max(h, d), d) for d, h in enumerate(heads) if h not in (0, top)], dtype=numpy.int64).reshape(-1, 3)
    in_the_way = _not_dominated(numpy.array(heads), arcs)
    loose = arcs[in_the_way, DEPENDENT].tolist()
    above, around = _nesting(len(heads), arcs[~in_the_way])
    found = set(loose)
    for word in loose:  # grows on the way
        arc = around[word]
        while arc and arc not in found:
            found.add(arc)
            loose.append(arc)
            arc = above[arc]
    return loose


def _not_dominated(heads: numpy.ndarray, arcs: numpy.ndarray) -> numpy.ndarray:
    """(A,) whether some word between the ends of an arc is not below its head. arcs: (A, 3).

    Words below a head are neighbours in depth-first order. So the least and the greatest place in that order of all words between
    the ends are enough, and they are those of two overlapping ranges whose length is a power of two.
    """
    first, last = _depth_first(heads.tolist())
    left, right = arcs[:, LEFT_END], arcs[:, RIGHT_END]
    between = right - left - 1
    head = heads[arcs[:, DEPENDENT]]
    result = numpy.zeros(len(arcs), dtype=bool)
    least = greatest = first  # of the `width` words that begin at each word
    width = 1
    while width <= between.max(initial=0):
        fits = numpy.flatnonzero((between >= width) & (between < 2 * width))
        for start in (left[fits] + 1, right[fits] - width):
            result[fits] |= (least[start] < first[head[fits]]) | (greatest[start] > last[head[fits]])
        least = numpy.minimum(least[:-width], least[width:])
        greatest = numpy.maximum(greatest[:-width], greatest[width:])
        width *= 2
    return result


def _depth_first(heads: Sequence[int]) -> tuple[numpy.ndarray, numpy.ndarray]:
    """Of each word from 0 on, the place in depth-first order, and the last place of the words below it."""
    dependents: list[list[int]] = [[] for _ in heads]
    for word in range(1, len(heads)):
        dependents[heads[word]].append(word)
    order = []
    waiting = [0]
    while waiting:
        order.append(waiting.pop())
        waiting.extend(dependents[order[-1]])
    first = numpy.empty(len(heads), dtype=numpy.int64)
    first[order] = numpy.arange(len(heads))
    last = first.tolist()
    for word in reversed(order[1:]):
        last[heads[word]] = max(last[heads[word]], last[word])
    return first, numpy.array(last)


def _nesting(n: int, arcs: numpy.ndarray) -> tuple[list[int], list[int]]:
    """Arcs that do not cross, named by their dependents: the next arc around each, and the innermost around words 0..n-1; 0: none."""
    above, around = [0] * n, [0] * n
    begun: list[list[tuple[int, int]]] = [[] for _ in range(n)]
    for left, right, dependent in arcs[numpy.argsort(-arcs[:, RIGHT_END], kind="stable")].tolist():
        begun[left].append((right, dependent))
    open_arcs: list[tuple[int, int]] = []
    for word in range(n):
        while open_arcs and open_arcs[-1][0] <= word:
            open_arcs.pop()
        around[word] = open_arcs[-1][1] if open_arcs else 0
        for right, dependent in begun[word]:
            above[dependent] = open_arcs[-1][1] if open_arcs else 0
            open_arcs.append((right, dependent))
    return above, around
