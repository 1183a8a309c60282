"""Trees in two planes in seven bits per word."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...structures import DependencyTree
from ...types import LabelTuple
from ..base import Decoded
from ..bits import BitArcs, WordBits, legality_of
from ..columns import columns
from ..legal_search import Legality
from ..planes import kept_planes, relaxed_planes
from .repair import known_deprels, tree_from_arcs
from .searched import SearchedTrees

LABELS = {format(number, "07b"): tuple(map(int, format(number, "07b"))) for number in range(128)}


class SevenBitDependency(SearchedTrees):
    """Seven bits per word: it is a right dependent; its arc is in the second plane; it is the outermost dependent of its head in that
    plane and on that side; it has left, right dependents in the first plane; left, right dependents in the second. And its
    relation. At most 128 labels (Gomez-Rodriguez, Roca & Vilares 2023, arXiv 2310.14319).

    Arcs go into planes as for `BracketingDependency`: no crossing between arcs of one direction, the root arc in the first.
    repair: "nearest" or "root"; what words without a head get, see `repair.py`.
    search: "legal", "next-best" or "greedy"; how scores are decoded, see `searched.py`.
    Coverage: every tree with one root whose arcs the greedy assignment puts into at most two planes. The rest is dropped.
    Raises SettingError for another rule or search.
    """

    fields = ("bits", "deprel")
    local = frozenset({"deprel"})

    def __init__(self, repair: str = "nearest", search: str = "legal") -> None:
        super().__init__(repair, search)

    def encode(self, structure: DependencyTree) -> list[LabelTuple]:
        """(bits, relation) per word."""
        planes = kept_planes(relaxed_planes((head, word) for word, head in enumerate(structure.heads, 1)), 2)
        bits = BitArcs.from_arcs(len(structure), [*planes, [], []][:2])
        incoming = (bits.right_dependent, bits.plane, bits.outermost)
        outgoing = (bits.left_heads[0], bits.right_heads[0], bits.left_heads[1], bits.right_heads[1])
        labels = ["".join("1" if bit else "0" for bit in word) for word in zip(*incoming, *outgoing, strict=True)]
        return list(zip(labels[1:], structure.deprels, strict=True))

    def decode(self, labels: Sequence[Sequence[str]]) -> Decoded:
        """Bits without a partner and strings that are no seven bits are one repair each."""
        (texts, deprels), repairs = columns(labels, 2)
        bits = BitArcs(len(texts), 2)
        for word, text in enumerate(texts, 1):
            known = LABELS.get(text)
            if known is None:
                repairs += 1
                continue
            bits.right_dependent[word], bits.plane[word], bits.outermost[word] = bool(known[0]), known[1], bool(known[2])
            for plane in (0, 1):
                bits.left_heads[plane][word] = bool(known[3 + 2 * plane])
                bits.right_heads[plane][word] = bool(known[4 + 2 * plane])
        arcs, unmatched = bits.arcs()
        tree, mended = tree_from_arcs(len(texts), arcs, known_deprels(deprels, labels, 2), self.repair)
        return Decoded(tree, repairs + unmatched + mended)

    def bits(self, label: str) -> tuple[int, ...] | None:
        """The seven bits; None for a string that is no such label."""
        return LABELS.get(label)

    def legality(self, labels: Sequence[str]) -> Legality[Any]:
        """States are the stacks of `bits.py`."""
        words = [_word(LABELS[label]) if label in LABELS else None for label in labels]
        return legality_of(words, 2)


def _word(bits: tuple[int, ...]) -> WordBits:
    right, plane, outermost, *outgoing = map(bool, bits)
    return WordBits(right, int(plane), outermost, (outgoing[0], outgoing[2]), (outgoing[1], outgoing[3]))
