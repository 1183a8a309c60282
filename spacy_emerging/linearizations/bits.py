"""What the 4-bit and the 7-bit encoding share: four bits per plane and word, read with two stacks per plane (Gomez-Rodriguez,
Roca & Vilares 2023, arXiv 2310.14319)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from .legal_search import Legality
from .planes import Arc


class BitArcs:
    """Arcs in `planes` planes as flags of words 1..n.

    right_dependent, plane, outermost: of the word's incoming arc: whether its head is to the left, its plane, and whether no
    dependent of that head in that plane and on that side is farther away. left_heads, right_heads: per plane, whether the word
    has dependents to its left and to its right.
    """

    __slots__ = ("left_heads", "n", "outermost", "plane", "planes", "right_dependent", "right_heads")

    def __init__(self, n: int, planes: int) -> None:
        self.n = n
        self.planes = planes
        self.right_dependent = [False] * (n + 1)
        self.plane = [0] * (n + 1)
        self.outermost = [False] * (n + 1)
        self.left_heads = [[False] * (n + 1) for _ in range(planes)]
        self.right_heads = [[False] * (n + 1) for _ in range(planes)]

    @classmethod
    def from_arcs(cls, n: int, planes: Sequence[Iterable[Arc]]) -> BitArcs:
        """The flags of arcs given plane by plane; a word without an arc reads as an inner left dependent in the first plane."""
        bits = cls(n, len(planes))
        for plane, arcs in enumerate(planes):
            farthest: dict[tuple[int, bool], int] = {}
            for head, word in arcs:
                rightwards = head < word
                bits.plane[word] = plane
                bits.right_dependent[word] = rightwards
                (bits.right_heads if rightwards else bits.left_heads)[plane][head] = True
                known = farthest.setdefault((head, rightwards), word)
                if (word > known) == rightwards:
                    farthest[head, rightwards] = word
            for word in farthest.values():
                bits.outermost[word] = True
        return bits

    def arcs(self) -> tuple[list[Arc], int]:
        """The arcs, and how many flags found no partner. Linear: every word enters and leaves a stack once per side and plane.

        Per plane, one stack of left dependents that wait for their head and one of heads that offer themselves to the right,
        at the bottom of which, in the first plane, is the root.
        """
        waiting: list[list[int]] = [[] for _ in range(self.planes)]
        offering: list[list[int]] = [[] for _ in range(self.planes)]
        found: list[Arc] = []
        unmatched = 0
        if self.n:
            offering[0].append(0)
        for word in range(1, self.n + 1):
            own = self.plane[word]
            if self.right_dependent[word] and offering[own]:
                found.append((offering[own][-1], word))
                if self.outermost[word]:
                    offering[own].pop()
            for plane in range(self.planes):
                if self.left_heads[plane][word]:
                    closed = False
                    while waiting[plane] and not closed:
                        dependent = waiting[plane].pop()
                        found.append((word, dependent))
                        closed = self.outermost[dependent]
                    unmatched += not closed
                if self.right_heads[plane][word]:
                    offering[plane].append(word)
            if not self.right_dependent[word]:
                waiting[own].append(word)
        # A word without any arc is counted where it is given a head; here only heads whose outermost dependent never came.
        return found, unmatched + sum(head > 0 for stack in offering for head in stack)


class WordBits(NamedTuple):
    """What the bits of one label say; the names are those of `BitArcs`."""

    right_dependent: bool
    plane: int
    outermost: bool
    left_heads: tuple[bool, ...]
    right_heads: tuple[bool, ...]


BitState = tuple[int, ...]
"""Per plane the left dependents that wait and how many heads offer themselves; at the end, whether the root does.

Those that wait are one number: a 1, and to the right of it a bit per dependent that says whether it is outermost, the nearest last.
"""


def legality_of(words: Sequence[WordBits | None], planes: int) -> Legality[BitState]:
    """What a search for bits that all find their partner must know; see `legal_search.py`.

    words: what each label says; None for a label that says nothing. The root takes one word.
    """
    start = (1, 0) * planes + (1,)
    end = (1, 0) * planes + (0,)

    def step(state: BitState, label: int, last: bool) -> BitState | None:
        word = words[label]
        return None if word is None else _step(state, word)

    return Legality(start, step, end.__eq__)


def _step(state: BitState, word: WordBits) -> BitState | None:
    """The stacks after a word; None where a bit finds no partner, or where the root would keep its place for a second word."""
    right_dependent, own, outermost, left_heads, right_heads = word
    stacks = list(state)
    if right_dependent and stacks[2 * own + 1]:
        stacks[2 * own + 1] -= outermost
    elif right_dependent:
        if own or not stacks[-1] or not outermost:
            return None
        stacks[-1] = 0
    for plane, has_left in enumerate(left_heads):
        if has_left:
            waiting = stacks[2 * plane]
            outermost_one = waiting & -waiting
            if outermost_one == waiting:
                return None
            stacks[2 * plane] = waiting >> outermost_one.bit_length()
        stacks[2 * plane + 1] += right_heads[plane]
    if not right_dependent:
        stacks[2 * own] = 2 * stacks[2 * own] + outermost
    return tuple(stacks)
