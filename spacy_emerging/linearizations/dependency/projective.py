"""Dependency trees made projective by lifting arcs (Nivre & Nilsson 2005, P05-1013)."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ...structures import DependencyTree
from .dominion import cannot_stay

PATIENCE = 100
"""Steps per word after which arcs are no longer lifted one head at a time; treebanks need twenty at most. Our default."""


class Lifted(NamedTuple):
    """A projective tree with one root, and what was changed to get it."""

    heads: list[int]  # heads[i] of word i + 1
    lifted: list[int]  # words whose arc was lifted
    passed: set[int]  # words whose arc another word's arc was lifted over


def with_one_root(heads: Sequence[int]) -> list[int]:
    """The first word under the root stays there, further ones become its dependents."""
    result = list(heads)
    if result.count(0) > 1:
        first = result.index(0)
        result = [first + 1 if head == 0 and i != first else head for i, head in enumerate(result)]
    return result


def projective(tree: DependencyTree) -> Lifted:
    """Lifts the shortest non-projective arc (the leftmost of equals) from its head to the head's head until none is left.

    An arc is projective if its head dominates all words between its ends. Lifting a word takes it from the dominion of its
    old head only, so apart from the new arc just the old head's other arcs have to be looked at again. Trees that take more
    than PATIENCE steps per word, which no treebank has, are finished by lifting straight to the root's child, in near-linear time.
    """
    heads = with_one_root(tree.heads)
    if heads == list(tree.heads) and tree.is_projective():
        return Lifted(heads, [], set())
    lifting = _Lifting(heads)
    lifting.run()
    lifted = [word for word, head in enumerate(heads, 1) if lifting.heads[word] != head]
    return Lifted(lifting.heads[1:], lifted, lifting.passed)


class _Lifting:
    """A tree while its arcs are lifted."""

    def __init__(self, heads: Sequence[int]) -> None:
        self.heads = [0, *heads]
        self.top = heads.index(0) + 1
        self.steps = PATIENCE * len(self.heads)
        self.passed: set[int] = set()
        self.dependents: list[dict[int, None]] = [{} for _ in self.heads]
        for word in range(1, len(self.heads)):
            self.dependents[self.heads[word]][word] = None

    def run(self) -> None:
        """Lifts until every arc is projective. Ends: every lift brings a word nearer to the root."""
        waiting: list[tuple[int, int, int]] = []  # (length, dependent, head) of arcs that are not projective
        self._collect(self._crossed(), waiting)
        while waiting and self.steps > 0:
            _, word, head = heapq.heappop(waiting)
            if self.heads[word] != head:
                continue
            higher = self.heads[head]
            del self.dependents[head][word]
            self.heads[word] = higher
            self.dependents[higher][word] = None
            self.passed.add(head)
            self._collect([word, *self.dependents[head]], waiting)  # the old head's other arcs may have lost what they need
        if self.steps <= 0:
            self._lift_to_the_top()

    def _lift_to_the_top(self) -> None:
        """Attaches to the root's child what cannot stay where it is."""
        loose = cannot_stay(self.heads, self.top)
        over: set[int] = set()
        for word in loose:
            head = self.heads[word]
            while head != self.top and head not in over:
                over.add(head)
                head = self.heads[head]
        self.passed |= over
        for word in loose:
            self.heads[word] = self.top

    def _collect(self, words: Iterable[int], waiting: list[tuple[int, int, int]]) -> None:
        for word in words:
            if self.steps <= 0:
                return
            head = self.heads[word]
            if not self._is_projective(head, word):
                heapq.heappush(waiting, (abs(head - word), word, head))

    def _is_projective(self, head: int, word: int) -> bool:
        if head in (0, self.top):
            return True  # these dominate everything
        for between in range(min(head, word) + 1, max(head, word)):
            above = between
            while above and above != head:
                above = self.heads[above]
                self.steps -= 1
            if not above:
                return False
        return True

    def _crossed(self) -> Iterable[int]:
        """The dependents of all arcs that cross another: only these can be non-projective. Stops where there are too many."""
        arcs = sorted((min(head, word), -max(head, word), word) for word, head in enumerate(self.heads) if word)
        found: set[int] = set()
        open_arcs: list[tuple[int, int]] = []  # (right end, dependent), the innermost last
        for left, negative_right, word in arcs:
            right = -negative_right
            while open_arcs and open_arcs[-1][0] <= left:
                open_arcs.pop()
            place = len(open_arcs)
            while place and open_arcs[place - 1][0] < right:
                place -= 1
                found |= {open_arcs[place][1], word}
            self.steps -= len(open_arcs) - place
            if self.steps <= 0:
                break
            open_arcs.insert(place, (right, word))
        return sorted(found)
