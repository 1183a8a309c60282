"""Maximum spanning arborescence with exactly one root child (Chu & Liu 1965, Edmonds 1967), dense and without recursion."""

from __future__ import annotations

import numpy

from ...structures import cycles


def best_single_root_heads(scores: numpy.ndarray) -> list[int]:
    """The heads of the best tree among those with exactly one child of the root.

    scores: (n, n + 1) floats, scores[i, h] for head h of word i + 1; n >= 1. -inf and NaN stand for arcs that are used only
    where no tree is possible without them; self-loops are never used. O(n^2) time and memory.
    """
    n = len(scores)
    full = numpy.full((n + 1, n + 1), -numpy.inf)  # [dependent, head]
    full[1:] = scores
    usable = numpy.isfinite(full)
    low, high = (float(full[usable].min()), float(full[usable].max())) if usable.any() else (0.0, 0.0)
    # Larger than whatever n other arcs can make up for: such arcs, and root arcs beyond the first, come last.
    burden = (high - low + 1.0) * (n + 1)
    full[~usable] = low - burden
    full[1:, 0] -= burden * (n + 2)
    numpy.fill_diagonal(full, -numpy.inf)
    return _arborescence(full)[1:].tolist()


def _arborescence(scores: numpy.ndarray) -> numpy.ndarray:
    """(N,) head of each node, [0] meaningless, for scores (N, N) [dependent, head]; node 0 is the root. Changes `scores`.

    Each cycle of best heads is contracted into its first member, whose row and column then stand for the whole cycle. A
    contraction of m members costs O(m N) and removes m - 1 nodes. What an entry of row and column really stood for is kept
    on `undo`, and contractions are undone in reverse order.
    """
    size = len(scores)
    alive = numpy.ones(size, dtype=bool)
    best = numpy.zeros(size, dtype=numpy.int64)
    best[1:] = scores[1:].argmax(axis=1)
    everywhere = numpy.arange(size)
    undo: list[tuple[int, numpy.ndarray, numpy.ndarray, numpy.ndarray, numpy.ndarray]] = []
    while True:
        cycle = next(cycles(numpy.where(alive, best, 0)[1:].tolist()), None)
        if cycle is None:
            break
        top, members = cycle[0], numpy.array(cycle)
        into = scores[members] - scores[members, best[members]][:, None]  # (m, N): what it costs to enter through a member
        into[:, members] = -numpy.inf
        out_of = scores[:, members]  # (N, m)
        entry, leaving = into.argmax(axis=0), out_of.argmax(axis=1)
        undo.append((top, members, best[members], members[entry], members[leaving]))
        alive[members[1:]] = False
        scores[top] = into[entry, everywhere]
        scores[:, top] = out_of[everywhere, leaving]
        scores[:, members[1:]] = -numpy.inf
        scores[top, top] = -numpy.inf
        best[numpy.isin(best, members)] = top
        best[top] = scores[top].argmax()
    for top, members, inner_heads, entered_through, left_from in reversed(undo):
        outer = int(best[top])
        from_cycle = best == top
        best[from_cycle] = left_from[from_cycle]
        best[members] = inner_heads
        best[entered_through[outer]] = outer
    return best
