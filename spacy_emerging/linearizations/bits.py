"""What the 4-bit and the 7-bit encoding share: four bits per plane and word, read with two stacks per plane (Gomez-Rodriguez,
Roca & Vilares 2023, arXiv 2310.14319)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

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


class BitState(NamedTuple):
    """Per plane, for the left dependents that wait whether they are outermost; how many heads offer themselves; whether the root does."""

    waiting: tuple[tuple[bool, ...], ...]
    offering: tuple[int, ...]
    root: bool


def _step(state: BitState, word: WordBits) -> BitState | None:
    """The stacks after a word; None where a bit finds no partner, or where the root would keep its place for a second word."""
    waiting, offering, root = list(state.waiting), list(state.offering), state.root
    own = word.plane
    if word.right_dependent and offering[own]:
        offering[own] -= word.outermost
    elif word.right_dependent:
        if own or not root or not word.outermost:
            return None
        root = False
    for plane in range(len(waiting)):
        if word.left_heads[plane]:
            farthest = len(waiting[plane]) - 1
            while farthest >= 0 and not waiting[plane][farthest]:
                farthest -= 1
            if farthest < 0:
                return None
            waiting[plane] = waiting[plane][:farthest]
        offering[plane] += word.right_heads[plane]
    if not word.right_dependent:
        waiting[own] = (*waiting[own], word.outermost)
    return BitState(tuple(waiting), tuple(offering), root)


def _is_final(state: BitState) -> bool:
    """Whether everything has found its partner, the root included."""
    return not (state.root or any(state.waiting) or any(state.offering))


def legality_of(
    words: Sequence[WordBits | None], planes: int
) -> tuple[BitState, Callable[[BitState, int, bool], BitState | None], Callable[[BitState], bool]]:
    """Start, step and end of a search for legal bits. words: what each label says; None for a label that says nothing."""

    def step(state: BitState, label: int, last: bool) -> BitState | None:
        word = words[label]
        return None if word is None else _step(state, word)

    return BitState(((),) * planes, (0,) * planes, True), step, _is_final
