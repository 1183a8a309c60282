"""The best sequence of labels in which every bracket finds its partner: a beam search over what a decoder's stacks hold."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

import numpy

State = TypeVar("State", bound=Hashable)

BEAM = 16
"""States kept per word. Our default."""

CHOICES = 12
"""Best-scored labels that are tried per word. Our default."""

MARGIN = 6.0
"""Labels and states that many nats below the best one are not tried, so that sure words cost one step. Our default."""


def best_legal_labels(
    scores: numpy.ndarray,
    start: State,
    step: Callable[[State, int, bool], State | None],
    is_final: Callable[[State], bool],
    beam: int = BEAM,
    choices: int = CHOICES,
    margin: float = MARGIN,
) -> list[int] | None:
    """The ids of the labels with the greatest sum of scores among the legal sequences found; None where none was found.

    scores: (n, K) log-probabilities, n >= 1. start: what holds before the first word. step: (state, label id, whether this is the
    last word) to the state after it, None where the label is illegal there. is_final: whether a sequence may end so.
    beam: states kept per word. choices: labels tried per word. margin: nats by which a label may be worse than the word's best one,
    and a state than the best one after the same word.
    States stand for everything that legality depends on, so of two ways into one state the better one is kept, and with an
    unlimited beam the search is exact.
    """
    n, k = scores.shape
    ordered = numpy.argsort(-scores, axis=1, kind="stable")[:, :choices]
    tried = numpy.take_along_axis(scores, ordered, axis=1)
    tried = tried - tried[:, :1]
    counts = (tried >= -margin).sum(axis=1).tolist()
    ids, losses = ordered.tolist(), tried.tolist()
    reached: dict[Any, tuple[float, Any]] = {start: (0.0, None)}
    for word in range(n):
        last = word == n - 1
        options = list(zip(ids[word][: counts[word]], losses[word], strict=False))
        found: dict[Any, tuple[float, Any]] = {}
        floor = -math.inf
        for state, (score, path) in reached.items():  # the best state first, so that the floor rises early
            for label, loss in options:
                if score + loss < floor:
                    break
                after = step(state, label, last)
                if after is None or (last and not is_final(after)):
                    continue
                if after not in found or found[after][0] < score + loss:
                    found[after] = (score + loss, (path, label))
                    floor = max(floor, score + loss - margin)
        if not found:
            return None
        reached = dict(sorted(found.items(), key=lambda item: -item[1][0])[:beam])
    path = max(reached.values(), key=lambda way: way[0])[1]
    labels: list[int] = []
    while path is not None:
        path, label = path
        labels.append(label)
    return labels[::-1]
