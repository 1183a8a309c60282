r"""Arcs as brackets in several relaxed planes.

The label of a word holds, plane by plane: one `\` per dependent to its left, `>` if its head is to the left, `<` if its head is
to the right, one `/` per dependent to its right; plane p (from 0) writes p stars after each bracket.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...errors import check_whole
from ...structures import DependencyTree
from ...types import LabelTuple
from ..base import Decoded
from ..columns import columns
from ..legal_search import Legality
from ..plane_brackets import head_brackets, legality_of, parse_brackets, read_brackets, write_brackets
from ..planes import MOST, kept_planes, relaxed_planes
from .repair import known_deprels, tree_from_arcs
from .searched import SearchedTrees


class BracketingDependency(SearchedTrees):
    r"""Brackets for both ends of every arc, and the word's relation (Strzyz et al. 2019, N19-1077; in k planes: Strzyz et al.
    2020, coling-main.223).

    planes: how many relaxed planes (no crossing between arcs of one direction) are written, 1 to 256; 2 cover nearly every
        arc of any treebank. Arcs go greedily, by left and right end, into the first plane that takes them; the plane of the root
        arc comes first, then the largest, and arcs beyond the last plane are dropped.
    repair: "nearest" or "root"; what words without a head get, see `repair.py`.
    search: "legal", "next-best" or "greedy"; how scores are decoded, see `searched.py`.
    Coverage: every tree with one root whose arcs the greedy assignment puts into at most `planes` planes.
    Raises SettingError for a number of planes out of that range, or another rule or search.
    """

    fields = ("bracket", "deprel")
    local = frozenset({"deprel"})

    def __init__(self, planes: int = 2, repair: str = "nearest", search: str = "legal") -> None:
        check_whole("BracketingDependency", "planes", planes, at_most=MOST)
        self.planes = planes
        super().__init__(repair, search)

    def encode(self, structure: DependencyTree) -> list[LabelTuple]:
        """(brackets, relation) per word; "" for a word whose arcs are all dropped."""
        arcs = ((head, word) for word, head in enumerate(structure.heads, 1))
        brackets = write_brackets(len(structure), kept_planes(relaxed_planes(arcs), self.planes))
        return list(zip(brackets, structure.deprels, strict=True))

    def decode(self, labels: Sequence[Sequence[str]]) -> Decoded:
        r"""Per plane, two stacks: `\` takes the nearest open `<`, `>` the nearest open `/`, or the root in the first plane.
        Brackets without a partner are ignored, one repair each."""
        (texts, deprels), repairs = columns(labels, 2)
        arcs, unmatched = read_brackets(texts, self.planes, root_planes=1)
        pairs = [(head, word) for _, head, word in arcs]
        tree, mended = tree_from_arcs(len(texts), pairs, known_deprels(deprels, labels, 2), self.repair)
        return Decoded(tree, repairs + unmatched + mended)

    def legality(self, labels: Sequence[str]) -> Legality[Any]:
        """States are how many brackets are open, and whether a word has the root; every word has one head."""
        moves = [parse_brackets(label, self.planes) for label in labels]
        legal = [None if unknown or head_brackets(move) != 1 else move for move, unknown in moves]
        return legality_of(legal, self.planes, one_root=True)
