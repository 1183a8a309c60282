"""What the 4-bit and the 7-bit encoding share: four bits per plane and word, read with two stacks per plane (Gomez-Rodriguez,
Roca & Vilares 2023, arXiv 2310.14319)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

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
