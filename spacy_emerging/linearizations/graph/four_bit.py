"""Graphs in four bits per word and subset of arcs."""

from __future__ import annotations

from collections.abc import Sequence

from ...errors import check_whole
from ..bits import BitArcs
from ..planes import MOST, Arc, relaxed_planes
from .relations import GraphLabels

FOUR_BITS = [f"{four:04b}" for four in range(16)]


class FourBitGraph(GraphLabels):
    """The code of a word is a string of four bits per subset of arcs: it is a right dependent; it is the outermost dependent of its
    head on that side; it has left dependents; it has right dependents (Ezquerro et al. 2024, arXiv 2410.17972).

    In a subset no two arcs of one direction cross, and a word has one head; where it has none, an artificial arc from the word
    before it fills the gap, whose relation tells `decode` to leave it out.
    subsets: how many subsets are written, 1 to 256. Arcs go greedily, by left and right end, into the first that takes them; the
        largest are kept, the rest is dropped.
    Coverage: every graph without arcs from a word to itself whose arcs the greedy assignment puts into at most `subsets` subsets.
    Raises SettingError for a number of subsets out of that range.
    """

    def __init__(self, subsets: int = 4) -> None:
        check_whole("FourBitGraph", "subsets", subsets, at_most=MOST)
        self.subsets = subsets

    def _write(self, n: int, arcs: list[Arc]) -> tuple[list[str], list[list[int | None]]]:
        found = sorted(relaxed_planes(arcs, only_one=lambda arc: arc[1]), key=len, reverse=True)
        codes: list[list[str]] = []
        written: list[list[int | None]] = [[] for _ in range(n + 1)]
        for subset in [*found, *([[]] * self.subsets)][: self.subsets]:
            heads = list(range(-1, n))  # the artificial arcs, place 0 unused
            real: list[int | None] = [None] * (n + 1)
            for head, word in subset:
                heads[word] = head
                real[word] = head
            for listed, given in zip(written, real, strict=True):
                listed.append(given)
            codes.append(_codes(heads))
        return ["".join(parts) for parts in zip(*codes, strict=True)], written

    def _read(self, codes: Sequence[str]) -> tuple[list[list[int]], int]:
        n, width = len(codes), 4 * self.subsets
        valid = [code if len(code) == width and not code.strip("01") else "0" * width for code in codes]
        strangers = sum(code != read for code, read in zip(codes, valid, strict=True))
        heads: list[list[int]] = [[] for _ in range(n + 1)]
        for start in range(0, width, 4):
            bits = BitArcs(n, 1)
            for word, code in enumerate(valid, 1):
                flags = [bit == "1" for bit in code[start : start + 4]]
                bits.right_dependent[word], bits.outermost[word], bits.left_heads[0][word], bits.right_heads[0][word] = flags
            arcs, unmatched = bits.arcs()
            strangers += unmatched + n - len(arcs)
            for head, word in arcs:
                heads[word].append(head)
        return heads, strangers

    def bits(self, label: str) -> tuple[int, ...] | None:
        """The bits of a code; None for a string that is none."""
        valid = len(label) == 4 * self.subsets and not label.strip("01")
        return tuple(map(int, label)) if valid else None


def _codes(heads: Sequence[int]) -> list[str]:
    """The four bits of each word of one subset. heads: of words 1..n; place 0 is unused."""
    bits = [0] * len(heads)
    outermost_right: dict[int, int] = {}
    outermost_left: dict[int, int] = {}
    for word in range(1, len(heads)):
        head = heads[word]
        if head < word:
            bits[word] |= 8
            bits[head] |= 1
            outermost_right[head] = word
        else:
            bits[head] |= 2
            outermost_left.setdefault(head, word)
    for outermost in (outermost_right, outermost_left):
        for word in outermost.values():
            bits[word] |= 4
    return [FOUR_BITS[four] for four in bits[1:]]
