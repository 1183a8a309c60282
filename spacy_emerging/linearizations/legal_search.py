"""The best sequence of labels in which every bracket finds its partner: a beam search over what a decoder's stacks hold."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable
from heapq import nlargest
from operator import itemgetter
from typing import Any, Generic, TypeVar

import numpy

State = TypeVar("State", bound=Hashable)

REMEMBERED = 50_000
"""States whose steps are kept in memory; with more, the memory is begun anew. Our default."""


class Legality(Generic[State]):
    """Which labels may follow one another, with a memory: the same few states meet the same labels in every sentence.

    start: what holds before the first word. step: (state, label id, whether this is the last word) to the state after it, None
    where the label is illegal there. is_final: whether a sequence may end so. States stand for everything that legality depends on.
    """

    def __init__(self, start: State, step: Callable[[State, int, bool], State | None], is_final: Callable[[State], bool]) -> None:
        self.start = start
        self.step = step
        self.is_final = is_final
        self._steps: tuple[dict[State, dict[int, State | None]], dict[State, dict[int, State | None]]] = ({}, {})

    def steps_from(self, state: State, last: bool) -> dict[int, State | None]:
        """The steps from a state that are known so far, by label; whoever takes another one adds it. The last ones only lead to ends."""
        known = self._steps[last]
        steps = known.get(state)
        if steps is None:
            if len(known) >= REMEMBERED:
                known.clear()
            steps = known[state] = {}
        return steps

    def after(self, state: State, label: int, last: bool) -> State | None:
        """The state after a label; None where the label is illegal, or nothing may end so."""
        found = self.step(state, label, last)
        return None if found is None or (last and not self.is_final(found)) else found


BEAM = 16
"""States kept per word. Our default."""

CHOICES = 12
"""Best-scored labels that are tried per word. Our default."""

MARGIN = 6.0
"""Labels and states that many nats below the best one are not tried, so that sure words cost one step. Our default."""


def best_legal_labels(
    scores: numpy.ndarray,
    legality: Legality[Any],
    beam: int = BEAM,
    choices: int = CHOICES,
    margin: float = MARGIN,
) -> list[int] | None:
    """The ids of the labels with the greatest sum of scores among the legal sequences found; None where none was found.

    scores: (n, K) log-probabilities, n >= 1. legality: which of the K labels may follow one another.
    beam: states kept per word. choices: labels tried per word. margin: nats by which a label may be worse than the word's best one,
    and a state than the best one after the same word.
    Of two ways into one state the better one is kept, so with an unlimited beam the search is exact.
    """
    n, k = scores.shape
    ordered = numpy.argsort(-scores, axis=1, kind="stable")[:, :choices]
    tried = numpy.take_along_axis(scores, ordered, axis=1)
    tried = tried - tried[:, :1]
    counts = (tried >= -margin).sum(axis=1).tolist()
    ids, losses = ordered.tolist(), tried.tolist()
    reached: dict[Any, tuple[float, Any]] = {legality.start: (0.0, None)}
    for word in range(n):
        last = word == n - 1
        options = list(zip(ids[word][: counts[word]], losses[word], strict=False))
        found: dict[Any, tuple[float, Any]] = {}
        floor = -math.inf
        for state, (score, path) in reached.items():  # the best state first, so that the floor rises early
            steps = legality.steps_from(state, last)
            for label, loss in options:
                total = score + loss
                if total < floor:
                    break
                if label not in steps:
                    steps[label] = legality.after(state, label, last)
                after = steps[label]
                if after is not None and (after not in found or found[after][0] < total):
                    found[after] = (total, (path, label))
                    if total - margin > floor:
                        floor = total - margin
        if not found:
            return None
        near = [(way[0], state) for state, way in found.items() if way[0] >= floor]
        reached = {state: found[state] for _, state in nlargest(beam, near, key=itemgetter(0))}
    path = max(reached.values(), key=lambda way: way[0])[1]
    labels: list[int] = []
    while path is not None:
        path, label = path
        labels.append(label)
    return labels[::-1]
