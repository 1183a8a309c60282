"""Heads named by their part-of-speech tag and how many words with that tag lie between."""

from __future__ import annotations

from collections.abc import Sequence

from ...structures import DependencyTree, StructureError
from ...types import LabelTuple
from ..base import Decoded
from ..columns import columns, whole_number
from .repair import known_deprels, tree_from_arcs
from .searched import SearchedTrees

ROOT_LABEL = "0"


class PosRelativeDependency(SearchedTrees):
    """The label of a word is its own tag, "o,p" for a head that is the o-th word with tag p to its right (o > 0) or left (o < 0),
    "0" under the root, and its relation (Strzyz et al. 2019, N19-1077). Tags may hold any characters.

    repair: "nearest" or "root"; what words without a head get, see `repair.py`.
    search: "next-best" or "greedy"; how scores are decoded, see `searched.py`.
    Coverage: every tree with one root. Of several roots `decode` keeps the first.
    Raises SettingError for another rule or search.
    """

    fields = ("pos", "offset", "deprel")
    searches = ("next-best", "greedy")
    local = frozenset({"pos", "deprel"})

    def __init__(self, repair: str = "nearest", search: str = "next-best") -> None:
        super().__init__(repair, search)

    def encode(self, structure: DependencyTree, pos: Sequence[str] | None = None) -> list[LabelTuple]:
        """(own tag, offset, relation) per word. pos: the n words' tags; None: they all have the tag "".

        Raises StructureError for a wrong number of tags.
        """
        n = len(structure)
        tags = [""] * n if pos is None else list(pos)
        if len(tags) != n:
            raise StructureError(f"PosRelativeDependency.encode: {len(tags)} tags for {n} words; give one per word.")
        rank: list[int] = []  # of each word among those with its tag
        seen: dict[str, int] = {}
        for tag in tags:
            rank.append(seen.get(tag, 0))
            seen[tag] = rank[-1] + 1
        labels: list[LabelTuple] = []
        before: dict[str, int] = {}
        for i, (head, deprel) in enumerate(zip(structure.heads, structure.deprels, strict=True)):
            offset = ROOT_LABEL
            if head:
                tag = tags[head - 1]
                to_skip = before.get(tag, 0)
                if head - 1 > i:
                    to_skip += (tag == tags[i]) - 1  # so that the nearest word to the right counts as 1
                offset = f"{rank[head - 1] - to_skip},{tag}"
            labels.append((tags[i], offset, deprel))
            before[tags[i]] = before.get(tags[i], 0) + 1
        return labels

    def decode(self, labels: Sequence[Sequence[str]]) -> Decoded:
        """Where there are fewer words with the tag than asked for, the farthest one is the head (as in separ): one repair.
        Other strings, and tags that no word on that side has, leave the word to the repair rule."""
        (tags, offsets, deprels), repairs = columns(labels, 3)
        places: dict[str, list[int]] = {}
        for word, tag in enumerate(tags, 1):
            places.setdefault(tag, []).append(word)
        before: dict[str, int] = {}
        arcs = []
        for word, (own, label) in enumerate(zip(tags, offsets, strict=True), 1):
            text, comma, tag = label.partition(",")
            offset = whole_number(text)
            if label == ROOT_LABEL:
                arcs.append((0, word))
            elif comma and offset and tag in places:
                candidates, left = places[tag], before.get(tag, 0)
                first_right = left + (tag == own)
                index = left + offset if offset < 0 else first_right + offset - 1
                farthest = max(index, 0) if offset < 0 else min(index, len(candidates) - 1)
                if (offset < 0 and left) or (offset > 0 and first_right < len(candidates)):
                    repairs += farthest != index
                    arcs.append((candidates[farthest], word))
            before[own] = before.get(own, 0) + 1
        tree, mended = tree_from_arcs(len(tags), arcs, known_deprels(deprels, labels, 3), self.repair)
        return Decoded(tree, repairs + mended)
