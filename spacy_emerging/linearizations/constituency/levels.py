"""Trees as one level per gap between words: the number of constituents that hold both the word before the gap and the one after it
(Gómez-Rodríguez & Vilares 2018, D18-1162). Every constituent of at least two parts has a gap between its parts, of which
it is the lowest constituent on both sides; so levels, with the label of that lowest constituent, and the chains over single words
make up the whole tree.

The sentence as a whole counts as a constituent always, level 1: where there is none, it has no label.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy

from ...structures import ConstituencyTree, Span
from ...types import LabelTuple
from ..base import Decoded, Linearization, needs_labels
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
        the one before; levels skipped; labels that differ from their node's; nodes without a label, which are dropped."""
        (texts, chains, leaves), repairs = columns(labels, 3)
        levels, misread = self._levels(texts, lambda gap, before: before or 1)
        nodes, skipped = nodes_of(levels)
        chosen = [chains[node.gaps[0]] or next(filter(None, (chains[gap] for gap in node.gaps)), NO_CHAIN) for node in nodes]
        return _labelled(nodes, chosen, chains, leaves, repairs + misread + skipped)

    @needs_labels
    def decode_scores(self, scores: Sequence[numpy.ndarray], vocab: Sequence[Sequence[str]]) -> Decoded:
        """The tree of the best-scored levels, in place of one that is no level the best-scored one that is; each node with the label
        whose scores at all of its gaps have the largest sum.

        scores: (n, K) log-probabilities per field; vocab: their K labels each. Repairs as in `decode`.
        """
        texts, chains, leaves = (
            [names[k] for k in numpy.argmax(field, axis=1).tolist()] if len(field) else []
            for field, names in zip(scores, vocab, strict=True)
        )

        def best_level(gap: int, before: int) -> int:
            read = [self._read(text, before) or 0 for text in vocab[0]]
            possible = [k for k, level in enumerate(read) if level >= 1]
            return read[max(possible, key=scores[0][gap].__getitem__)] if possible else before or 1

        levels, misread = self._levels(texts, best_level)
        nodes, skipped = nodes_of(levels)
        chosen = _best_chains(nodes, numpy.asarray(scores[1]), vocab[1], chains)
        return _labelled(nodes, chosen, chains, leaves, misread + skipped)

    def _levels(self, texts: Sequence[str], instead: Callable[[int, int], int]) -> tuple[list[int], int]:
        """The n - 1 levels, and how many of the n strings are no level, or no end.

        instead: the level at a gap without one, from the gap and the level before it (0 at the first gap).
        """
        levels: list[int] = []
        misread = before = 0
        for gap, text in enumerate(texts[:-1]):
            level = self._read(text, before)
            if level is None or level < 1:
                misread += 1
                level = instead(gap, before)
            levels.append(level)
            before = level
        return levels, misread + (len(texts) > 0 and texts[-1] != LAST_GAP)


def _best_chains(nodes: Sequence[Node], scores: numpy.ndarray, names: Sequence[str], best: Sequence[str]) -> list[str]:
    """Per node the chain with the best sum of scores at its gaps; only the whole sentence may have none.

    scores: (n, K); names: their K chains; best: the best-scored one per word.
    """
    some = [k for k, name in enumerate(names) if name]
    chosen: list[str] = []
    for start, end, gaps in nodes:
        chain = best[gaps[0]]
        whole = end - start == len(best)
        if len(gaps) > 1 and any(best[gap] != chain for gap in gaps) or not (chain or whole):
            totals = scores[gaps].sum(axis=0)
            candidates = list(range(len(names))) if whole else some
            chain = names[candidates[int(totals[candidates].argmax())]] if candidates else NO_CHAIN
        chosen.append(chain)
    return chosen


def _labelled(nodes: Sequence[Node], chosen: Sequence[str], given: Sequence[str], leaves: Sequence[str], repairs: int) -> Decoded:
    """The tree of these nodes with the chains chosen for them; one repair more per gap that was given another chain, per node
    without one and per chain that is none.

    given, leaves: n chains, at the gap after each word and over the word alone.
    """
    n = len(leaves)
    labelled: list[Span] = []
    for (start, end, gaps), chain in zip(nodes, chosen, strict=True):
        if len(gaps) > 1:
            repairs += len(gaps) - [given[gap] for gap in gaps].count(chain)
        elif given[gaps[0]] != chain:
            repairs += 1
        if chain:
            labelled.append((chain, start, end))
        elif end - start < n:
            repairs += 1
    tree, malformed = restored(n, labelled, leaves)
    return Decoded(tree, repairs + malformed)
