"""Projective trees in four bits per word."""

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
from .pseudo_projective import check_scheme, lift, restore
from .repair import known_deprels, tree_from_arcs
from .searched import SearchedTrees

LABELS = {format(number, "04b"): tuple(map(int, format(number, "04b"))) for number in range(16)}


class FourBitDependency(SearchedTrees):
    """Four bits per word: it is a right dependent; it is the outermost dependent of its head on that side; it has left dependents;
    it has right dependents. And its relation. 16 labels (Gomez-Rodriguez, Roca & Vilares 2023, arXiv 2310.14319).

    pseudo_projective: None, "head", "head+path" or "path"; how relations remember arcs that were lifted to make the tree
        projective, see `pseudo_projective.py`. With None nothing is lifted; of arcs of one direction that cross, those that bracketing
        in one plane would drop are lost.
    repair: "nearest" or "root"; what words without a head get, see `repair.py`.
    search: "legal", "next-best" or "greedy"; how scores are decoded, see `searched.py`.
    Coverage: every tree with one root in which no two arcs of one direction cross, so all projective ones. With
        pseudo_projective, every projective tree, and most others (measured, not guaranteed).
    Raises SettingError for another scheme, rule or search.
    """

    fields = ("bits", "deprel")

    def __init__(self, pseudo_projective: str | None = None, repair: str = "nearest", search: str = "legal") -> None:
        self.pseudo_projective = check_scheme("FourBitDependency", pseudo_projective)
        super().__init__(repair, search)

    @property
    def local(self) -> frozenset[str]:  # type: ignore[override]
        """The relation, unless it may name that of another word."""
        return frozenset() if self.pseudo_projective else frozenset({"deprel"})

    def encode(self, structure: DependencyTree) -> list[LabelTuple]:
        """(bits, relation) per word."""
        tree = lift(structure, self.pseudo_projective) if self.pseudo_projective else structure
        n = len(tree)
        planes = kept_planes(relaxed_planes((head, word) for word, head in enumerate(tree.heads, 1)), 1)
        bits = BitArcs.from_arcs(n, planes or [[]])
        columns_of_bits = (bits.right_dependent, bits.outermost, bits.left_heads[0], bits.right_heads[0])
        labels = ["".join("1" if bit else "0" for bit in word) for word in zip(*columns_of_bits, strict=True)]
        return list(zip(labels[1:], tree.deprels, strict=True))

    def decode(self, labels: Sequence[Sequence[str]]) -> Decoded:
        """Bits without a partner, strings that are no four bits, and lifted arcs whose place is not found are one repair each."""
        (texts, deprels), repairs = columns(labels, 2)
        bits = BitArcs(len(texts), 1)
        for word, text in enumerate(texts, 1):
            right, outermost, has_left, has_right = LABELS.get(text, (0, 0, 0, 0))
            repairs += text not in LABELS
            bits.right_dependent[word] = bool(right)
            bits.outermost[word] = bool(outermost)
            bits.left_heads[0][word] = bool(has_left)
            bits.right_heads[0][word] = bool(has_right)
        arcs, unmatched = bits.arcs()
        tree, mended = tree_from_arcs(len(texts), arcs, known_deprels(deprels, labels, 2), self.repair)
        tree, lost = restore(tree, self.pseudo_projective)
        return Decoded(tree, repairs + unmatched + mended + lost)

    def bits(self, label: str) -> tuple[int, ...] | None:
        """The four bits; None for a string that is no such label."""
        return LABELS.get(label)

    def legality(self, labels: Sequence[str]) -> Legality[Any]:
        """States are the stacks of `bits.py`."""
        words = [_word(LABELS[label]) if label in LABELS else None for label in labels]
        return legality_of(words, 1)


def _word(bits: tuple[int, ...]) -> WordBits:
    right, outermost, has_left, has_right = map(bool, bits)
    return WordBits(right, 0, outermost, (has_left,), (has_right,))
