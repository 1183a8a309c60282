"""On a conflict, the next-best label: a search through scores for encodings that have no exact one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy

from ..types import LabelTuple
from .base import Decoded

ATTEMPTS = 16
"""Labels that are tried in another one's place, at most, per structure. Our default."""


def decode_next_best(
    decode: Callable[[Sequence[Sequence[str]]], Decoded],
    scores: Sequence[numpy.ndarray],
    vocab: Sequence[Sequence[str]],
    changeable: Sequence[int],
    attempts: int = ATTEMPTS,
) -> Decoded:
    """Decodes the best labels; while that takes repairs, the labels that lose least give way to the word's second-best one.

    decode: a linearization's. scores: (n, K) log-probabilities per field; vocab: their K labels each.
    changeable: the fields whose labels may change, those that say where arcs are. attempts: labels tried at most, each one a decoding.
    A change is kept if fewer repairs are left; the search ends when none are. So a well-formed argmax costs nothing.
    repairs counts, besides those of the structure, the labels that are not the best ones.
    """
    n = len(scores[0]) if scores else 0
    best = [numpy.asarray(field).argmax(axis=1) if n else numpy.zeros(0, dtype=int) for field in scores]
    labels: list[LabelTuple] = [tuple(vocab[f][int(ids[i])] for f, ids in enumerate(best)) for i in range(n)]
    found = decode(labels)
    if not found.repairs:
        return found
    changed = 0
    for f, word, label in _alternatives(scores, vocab, changeable)[:attempts]:
        before = labels[word]
        labels[word] = (*before[:f], label, *before[f + 1 :])
        decoded = decode(labels)
        if decoded.repairs < found.repairs:
            found, changed = decoded, changed + 1
            if not found.repairs:
                break
        else:
            labels[word] = before
    return Decoded(found.structure, found.repairs + changed)


def _alternatives(scores: Sequence[numpy.ndarray], vocab: Sequence[Sequence[str]], changeable: Sequence[int]) -> list[tuple[int, int, str]]:
    """(field, word, second-best label), those that cost the least log-probability first."""
    costs: list[tuple[float, int, int, str]] = []
    for f in changeable:
        field = numpy.nan_to_num(numpy.asarray(scores[f], dtype=numpy.float64), nan=-1e9, neginf=-1e9)
        if field.shape[1] < 2:
            continue
        two = numpy.argpartition(-field, 1, axis=1)[:, :2]
        ordered = numpy.take_along_axis(field, two, axis=1)
        second = numpy.where(ordered[:, 0] < ordered[:, 1], two[:, 0], two[:, 1])
        margins = numpy.abs(ordered[:, 0] - ordered[:, 1])
        costs += [(float(margin), f, word, vocab[f][k]) for word, (margin, k) in enumerate(zip(margins, second.tolist(), strict=True))]
    return [(f, word, label) for _, f, word, label in sorted(costs)]
