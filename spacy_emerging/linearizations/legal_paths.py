"""The best sequence of labels among those that transitions allow: exact Viterbi search, shared by every tagging of segments or spans."""

from __future__ import annotations

import numpy

from ..types import Transitions


def best_legal_path(scores: numpy.ndarray, transitions: Transitions) -> tuple[numpy.ndarray, int]:
    """The (n,) label ids of the legal sequence with the largest sum of (n, K) log-probabilities, and how many differ from the argmax.

    n >= 1. The search is skipped where the argmax is legal already; where no legal sequence has a finite score, the argmax stands.
    """
    emitted = numpy.nan_to_num(numpy.asarray(scores, dtype=numpy.float64), nan=-numpy.inf, neginf=-numpy.inf)
    argmax = emitted.argmax(axis=1)
    legal = transitions.start[argmax[0]] and transitions.end[argmax[-1]] and transitions.between[argmax[:-1], argmax[1:]].all()
    path = argmax if legal else best_path(emitted, transitions)
    if path is None:
        path = argmax
    return path, int((path != argmax).sum())


def frozen(transitions: Transitions) -> Transitions:
    """The same arrays, made read-only, so that they may be kept and handed out again."""
    for array in transitions:
        array.setflags(write=False)
    return transitions


def best_path(emitted: numpy.ndarray, transitions: Transitions) -> numpy.ndarray | None:
    """The (n,) label ids of the legal sequence with the largest sum of scores (n, K), n >= 1; None where none is finite.

    One (K, K) step per word.
    """
    n, k = emitted.shape
    penalty = numpy.where(transitions.between.T, 0.0, -numpy.inf)  # (K next, K previous)
    rows = numpy.arange(k)
    back = numpy.zeros((n, k), dtype=numpy.int32)
    best = numpy.where(transitions.start, emitted[0], -numpy.inf)
    for t in range(1, n):
        candidates = penalty + best
        back[t] = candidates.argmax(axis=1)
        best = candidates[rows, back[t]] + emitted[t]
    best = numpy.where(transitions.end, best, -numpy.inf)
    last = int(best.argmax())
    if not numpy.isfinite(best[last]):
        return None
    path = numpy.empty(n, dtype=numpy.int64)
    path[-1] = last
    for t in range(n - 1, 0, -1):
        path[t - 1] = back[t, path[t]]
    return path
