"""Graphs in six bits per word and subset of arcs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ...errors import check_whole
from ..planes import MOST, Arc, relaxed_planes
from .relations import GraphLabels, heads_in_order

SIX_BITS = [f"{six:06b}" for six in range(64)]


class SixBitGraph(GraphLabels):
    """The code of a word is a string of six bits per subset of arcs: it has a head on the left; it is the outermost right dependent of
    that head; it has right dependents; it has a head on the right; it is the outermost left dependent of that head; it has
    left dependents (Ezquerro et al. 2024, arXiv 2410.17972).

    In a subset no two arcs of one direction cross, and a word has at most one head on either side.
    subsets: how many subsets are written, 1 to 256. Arcs go greedily, by left and right end, into the first that takes them; the
        largest are kept, the rest is dropped.
    Coverage: every graph without arcs from a word to itself whose arcs the greedy assignment puts into at most `subsets` subsets.
    Raises SettingError for a number of subsets out of that range.
    """

    def __init__(self, subsets: int = 4) -> None:
        check_whole("SixBitGraph", "subsets", subsets, at_most=MOST)
        self.subsets = subsets

    def _write(self, n: int, arcs: list[Arc]) -> tuple[list[str], list[list[int | None]]]:
        found = sorted(relaxed_planes(arcs, only_one=lambda arc: (arc[1], arc[0] < arc[1])), key=len, reverse=True)[: self.subsets]
        codes = [_codes(n, subset) for subset in [*found, *([[]] * self.subsets)][: self.subsets]]
        return ["".join(parts) for parts in zip(*codes, strict=True)], heads_in_order(n, found)

    def _read(self, codes: Sequence[str]) -> tuple[list[list[int]], int]:
        width = 6 * self.subsets
        valid = [code if len(code) == width and not code.strip("01") else "0" * width for code in codes]
        strangers = sum(code != read for code, read in zip(codes, valid, strict=True))
        heads: list[list[int]] = [[] for _ in range(len(codes) + 1)]
        for start in range(0, width, 6):
            arcs, unmatched = _arcs_of([code[start : start + 6] for code in valid])
            strangers += unmatched
            for head, word in sorted(arcs):
                heads[word].append(head)
        return heads, strangers

    def bits(self, label: str) -> tuple[int, ...] | None:
        """The bits of a code; None for a string that is none."""
        valid = len(label) == 6 * self.subsets and not label.strip("01")
        return tuple(map(int, label)) if valid else None


def _codes(n: int, arcs: Iterable[Arc]) -> list[str]:
    """The six bits of each word of one subset."""
    bits = [0] * (n + 1)
    outermost_right: dict[int, int] = {}
    outermost_left: dict[int, int] = {}
    for head, word in arcs:
        if head < word:
            bits[word] |= 32
            bits[head] |= 8
            if outermost_right.get(head, 0) < word:
                outermost_right[head] = word
        else:
            bits[word] |= 4
            bits[head] |= 1
            if outermost_left.get(head, head) > word:
                outermost_left[head] = word
    for word in outermost_right.values():
        bits[word] |= 16
    for word in outermost_left.values():
        bits[word] |= 2
    return [SIX_BITS[six] for six in bits[1:]]


def _arcs_of(codes: Sequence[str]) -> tuple[list[Arc], int]:
    """The arcs of one subset, and how many flags found no partner. Every word enters and leaves either stack at most once."""
    waiting: list[int] = []  # words with a head on the right
    offering = [0]  # words with right dependents; the root never leaves
    arcs: list[Arc] = []
    unmatched = 0
    for word, (left_head, outermost_right, has_right, right_head, _, has_left) in enumerate(map(tuple, codes), 1):
        if has_left == "1":
            closed = False
            while waiting and not closed:
                dependent = waiting.pop()
                arcs.append((word, dependent))
                closed = codes[dependent - 1][4] == "1"
            unmatched += not closed
        if left_head == "1":
            arcs.append((offering[-1], word))
            if outermost_right == "1" and len(offering) > 1:
                offering.pop()
        if has_right == "1":
            offering.append(word)
        if right_head == "1":
            waiting.append(word)
    return arcs, unmatched + len(waiting) + len(offering) - 1
