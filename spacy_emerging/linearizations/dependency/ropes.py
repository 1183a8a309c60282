"""Arcs cut into a proper rope cover and the arcs that lean on it (Ezquerro et al. 2025, arXiv 2505.11693).

A structural arc stands for itself by brackets at both ends. Every other arc, an auxiliary, lies under a structural arc and shares an
end with it, so that a bracket at its other end and the number of structural arcs to skip are enough.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable
from typing import NamedTuple

from ..planes import Arc


class Bracket(NamedTuple):
    r"""One bracket of a word.

    symbol: "<" the word has its head, "/" a dependent on the other side of an arc to the right; ">" its head, "\" a dependent to the left.
    super: whether the arc is structural. skip: how many structural arcs that could be meant are not.
    """

    symbol: str
    super: bool
    skip: int


ORDER = {
    ("\\", True): 0,
    (">", True): 1,
    (">", False): 2,
    ("\\", False): 3,
    ("<", True): 4,
    ("<", False): 5,
    ("/", False): 6,
    ("/", True): 7,
}
"""Brackets within a word: what closes before what opens."""


class _Open:
    """The structural arcs over the place that a sweep from the left has reached, by their ends."""

    def __init__(self) -> None:
        self.lefts: list[int] = []  # sorted
        self.rights: list[int] = []  # sorted

    # Taking out of the middle of a list moves memory, but needs no step per element; that keeps the sweep quick at any length.
    def close(self, left: int, right: int) -> None:
        del self.lefts[bisect_left(self.lefts, left)]
        del self.rights[bisect_left(self.rights, right)]

    def open(self, left: int, right: int) -> None:
        self.lefts.append(left)
        insort(self.rights, right)


def brackets_of(n: int, arcs: Iterable[Arc]) -> list[list[Bracket]]:
    """The brackets of words 0..n, those of a word in ORDER. Any arcs with distinct pairs of ends and none from a word to itself."""
    structural, auxiliary = _rope_cover(arcs)
    found: list[list[Bracket]] = [[] for _ in range(n + 1)]
    starting = {left: (right, rightwards) for left, right, rightwards in structural}
    ending = {right: (left, rightwards) for left, right, rightwards in structural}
    now = _Open()
    unclosed: dict[bool, list[int]] = {True: [], False: []}  # left ends by direction, sorted
    for word in range(n + 1):
        if word in ending:
            left, rightwards = ending[word]
            place = bisect_left(unclosed[rightwards], left)
            found[word].append(Bracket(">" if rightwards else "\\", True, len(unclosed[rightwards]) - 1 - place))
            del unclosed[rightwards][place]
            now.close(left, word)
        for other, symbol in auxiliary.get(word, ()):
            shares_left = other < word
            skip = len(now.lefts) - 1 - bisect_left(now.lefts, other) if shares_left else bisect_left(now.rights, other)
            found[word].append(Bracket(symbol, False, skip))
        if word in starting:
            right, rightwards = starting[word]
            found[word].append(Bracket("/" if rightwards else "<", True, 0))
            unclosed[rightwards].append(word)
            now.open(word, right)
        found[word].sort(key=lambda bracket: (ORDER[bracket[:2]], bracket.skip))
    return found


def _rope_cover(arcs: Iterable[Arc]) -> tuple[list[tuple[int, int, bool]], dict[int, list[tuple[int, str]]]]:
    """Structural arcs as (left, right, whether the head is left), and auxiliaries by their free end as (shared end, symbol).

    From the left, longest first: an arc under a structural arc with which it shares an end leans on it, any other is structural.
    So no position begins or ends more than one structural arc.
    """
    structural: list[tuple[int, int, bool]] = []
    auxiliary: dict[int, list[tuple[int, str]]] = {}
    starts: set[int] = set()
    ends: set[int] = set()
    for head, dependent in sorted(arcs, key=lambda arc: (min(arc), -max(arc))):
        rightwards = head < dependent
        left, right = (head, dependent) if rightwards else (dependent, head)
        if right in ends:
            auxiliary.setdefault(left, []).append((right, "/" if rightwards else "<"))
        elif left in starts:
            auxiliary.setdefault(right, []).append((left, ">" if rightwards else "\\"))
        else:
            structural.append((left, right, rightwards))
            starts.add(left)
            ends.add(right)
    return structural, auxiliary


def arcs_of(words: list[list[Bracket]]) -> tuple[list[Arc], int]:
    """The arcs of the brackets of words 0..n, structural ones first, and how many brackets find no partner. Any brackets are read."""
    unclosed: dict[bool, list[int]] = {True: [], False: []}
    ending: list[list[int]] = [[] for _ in words]  # left ends of structural arcs by their right end
    starting: list[list[int]] = [[] for _ in words]
    arcs: list[Arc] = []
    unmatched = 0
    for word, brackets in enumerate(words):
        for symbol, is_super, skip in brackets:
            rightwards = symbol in ">/"
            if is_super and symbol in "\\>":
                if skip < len(unclosed[rightwards]):
                    left = unclosed[rightwards].pop(-1 - skip)
                    arcs.append((left, word) if rightwards else (word, left))
                    ending[word].append(left)
                    starting[left].append(word)
                else:
                    unmatched += 1
            elif is_super:
                unclosed[rightwards].append(word)
    now = _Open()
    for word, brackets in enumerate(words):
        for left in ending[word]:
            now.close(left, word)
        for symbol, is_super, skip in brackets:
            if is_super:
                continue
            ends = now.lefts if symbol in "\\>" else now.rights
            if skip >= len(ends):
                unmatched += 1
                continue
            other = ends[-1 - skip] if symbol in "\\>" else ends[skip]
            arcs.append((other, word) if symbol in "<>" else (word, other))
        for right in starting[word]:
            now.open(word, right)
    return arcs, unmatched + len(unclosed[True]) + len(unclosed[False])
