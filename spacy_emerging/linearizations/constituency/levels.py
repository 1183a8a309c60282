"""Trees as one level per gap between words: the number of constituents that hold both the word before the gap and the one after it
(Gómez-Rodríguez & Vilares 2018, D18-1162). Every constituent of at least two parts has a gap between its parts, of which
it is the lowest constituent on both sides; so levels, with the label of that lowest constituent, and the chains over single words
make up the whole tree.

The sentence as a whole counts as a constituent always, level 1: where there is none, it has no label.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

from ...structures import ConstituencyTree, Span
from ...types import LabelTuple
from ..base import Decoded, Linearization
from ..columns import columns
from .chains import NO_CHAIN, collapsed, restored

LAST_GAP = "end"
"""The level of the last word, which no gap follows."""


class Gaps(NamedTuple):
    """A tree over n words: level and chain of the lowest node around each of the n - 1 gaps, and n chains over single words."""

    levels: list[int]
    chains: list[str]
    leaves: list[str]

    @classmethod
    def of(cls, tree: ConstituencyTree) -> Gaps:
        """The levels and chains of a tree."""
        n = tree.n
        levels: list[int] = []
        chains: list[str] = []
        leaves = [NO_CHAIN] * n
        open_chains, open_ends = [NO_CHAIN], [n]
        gap = 0
        behind = (NO_CHAIN, n - 1, n + 1)  # nobody's node, which has the gaps before the last word written
        for chain, start, end in [*collapsed(tree), behind]:
            while gap < start:
                gap += 1
                while open_ends[-1] <= gap:
                    open_ends.pop()
                    open_chains.pop()
                levels.append(len(open_ends))
                chains.append(open_chains[-1])
            if end == start + 1:
                leaves[start] = chain
            elif end - start == n:
                open_chains[0] = chain
            else:
                open_ends.append(end)
                open_chains.append(chain)
        return cls(levels, chains, leaves)


class Node(NamedTuple):
    """A stretch of at least two words, and the gaps between its parts."""

    start: int
    end: int
    gaps: list[int]


def nodes_of(levels: Sequence[int]) -> tuple[list[Node], int]:
    """The nodes that levels of at least 1 stand for, the whole last; and how many are not one level below the node around them.

    A level that is skipped would be a node with a single part, which is not there. Linear time.
    """
    nodes: list[Node] = []
    skipped = 0
    open_levels: list[int] = [0]
    open_starts: list[int] = [0]
    open_gaps: list[list[int]] = [[]]
    for gap, level in enumerate([*levels, 0]):
        start = gap
        while open_levels[-1] > level:
            lower = open_levels.pop()
            start = open_starts.pop()
            nodes.append(Node(start, gap + 1, open_gaps.pop()))
            skipped += lower != max(open_levels[-1], level) + 1
        if open_levels[-1] == level:
            open_gaps[-1].append(gap)
        else:
            open_levels.append(level)
            open_starts.append(start)
            open_gaps.append([gap])
    return nodes, skipped


class LevelLabels(Linearization[ConstituencyTree]):
    """(level, label of the lowest node around the gap after the word, chain over the word alone) per word.

    A subclass says how a level is written.
    """

    fields = ("level", "label", "unary")
    local = frozenset({"unary"})

    @abstractmethod
    def _write(self, levels: Sequence[int]) -> list[str]:
        """One string per level."""

    @abstractmethod
    def _read(self, text: str, before: int) -> int | None:
        """The level that a string stands for after one of `before` (0 at the first gap), None for a string that is none."""

    def encode(self, structure: ConstituencyTree) -> list[LabelTuple]:
        """(level, label, unary) per word."""
        levels, chains, leaves = Gaps.of(structure)
        if not leaves:
            return []
        return list(zip([*self._write(levels), LAST_GAP], [*chains, NO_CHAIN], leaves, strict=True))

    def decode(self, labels: Sequence[Sequence[str]]) -> Decoded:
        """The tree of the levels, each node with the first label given to it. Repairs: levels that are no level, which count as
        the one before; levels skipped; labels that differ from an earlier one of their node; nodes without a label, which are
        dropped."""
        (texts, chains, leaves), repairs = columns(labels, 3)
        levels, misread = self._levels(texts)
        nodes, skipped = nodes_of(levels)
        labelled: list[Span] = []
        conflicts = 0
        for start, end, gaps in nodes:
            chain = chains[gaps[0]]
            if len(gaps) > 1:
                given = [chains[gap] for gap in gaps]
                chain = chain or next(filter(None, given), NO_CHAIN)
                conflicts += len(gaps) - given.count(chain)
            if chain:
                labelled.append((chain, start, end))
            else:
                conflicts += end - start < len(texts)
        tree, malformed = restored(len(texts), labelled, leaves)
        return Decoded(tree, repairs + misread + skipped + conflicts + malformed)

    def _levels(self, texts: Sequence[str]) -> tuple[list[int], int]:
        """The n - 1 levels, and how many of the n strings are no level, or no end."""
        levels: list[int] = []
        misread = 0
        before = 0
        for text in texts[:-1]:
            level = self._read(text, before)
            if level is None or level < 1:
                misread += 1
                level = before or 1
            levels.append(level)
            before = level
        return levels, misread + (len(texts) > 0 and texts[-1] != LAST_GAP)
