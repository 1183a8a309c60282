"""Trees as binary trees, tagged in in-order."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy

from ...errors import check_choice, check_whole
from ...structures import ConstituencyTree, Span
from ...types import LabelTuple
from ..base import Decoded, Linearization, needs_labels
from ..columns import columns
from ..depth_search import LEFT, RIGHT, best_legal, deepest, nearest_legal, scores_of_tags
from .chains import NO_CHAIN, restored
from .levels import Gaps

WORD_TAGS = ("l", "r")
GAP_TAGS = ("L", "R")
LAST_GAP = "end"
_TAG_OF = {tag: number for tags in (WORD_TAGS, GAP_TAGS) for number, tag in enumerate(tags)}


class TetraTagConstituency(Linearization[ConstituencyTree]):
    """Four tags: a word is a left or right child ("l", "r") in a binary tree, and so is the binary node in the gap after it ("L",
    "R"; "end" after the last word). And the label of that node and the chain of constituents over the word alone (Kitaev & Klein
    2020, acl-main.557). A constituent of more than two parts is its first part and, without a label, the rest of them; the whole
    sentence is a node without a label where it is no constituent.

    search: how scores are decoded: "exact", the best legal tags by a dynamic programme over the depth of the stack, or "greedy",
        the best-scored tags, changed from the left wherever they are illegal.
    max_depth: greatest stack depth of the exact search, at least 1; trees that this object has encoded raise it to theirs.
        Paper: 12; our default 64 costs next to nothing, as no depth beyond half the sentence is looked at.
    Coverage: every tree.
    Raises SettingError for another search, or a depth below 1.
    """

    fields = ("terminal", "fence", "label", "unary")
    local = frozenset({"unary"})

    def __init__(self, search: str = "exact", max_depth: int = 64) -> None:
        check_choice("TetraTagConstituency", "search", search, ("exact", "greedy"))
        check_whole("TetraTagConstituency", "max_depth", max_depth)
        self.search = search
        self.max_depth = max_depth

    def encode(self, structure: ConstituencyTree) -> list[LabelTuple]:
        """(tag of the word, tag of the gap after it, label of the gap's node, chain over the word alone) per word."""
        levels, chains, leaves = Gaps.of(structure)
        if not leaves:
            return []
        words, gaps, first = _tags_of(levels)
        self.max_depth = max(self.max_depth, deepest(words, gaps))
        word_tags = [WORD_TAGS[tag] for tag in words]
        gap_tags = [GAP_TAGS[tag] for tag in gaps]
        labels = [chain if is_first else NO_CHAIN for chain, is_first in zip(chains, first, strict=True)]
        return list(zip(word_tags, [*gap_tags, LAST_GAP], [*labels, NO_CHAIN], leaves, strict=True))

    def decode(self, labels: Sequence[Sequence[str]]) -> Decoded:
        """Follows the tags wherever they are legal, from the left; each that is not, and each unknown one, is one repair. So is each
        node without a label that is a left child, which is not there."""
        (words, gaps, chains, leaves), repairs = columns(labels, 4)
        n = len(words)
        word_wishes = [_TAG_OF[word] if word in WORD_TAGS else -1 for word in words]
        gap_wishes = [_TAG_OF[gap] if gap in GAP_TAGS else -1 for gap in gaps[: n - 1]]
        legal_words, legal_gaps, refused = nearest_legal(word_wishes, gap_wishes)
        nodes = _nodes_of(legal_words, legal_gaps, chains)
        unlabelled = sum(tag == LEFT and not chain for tag, chain in zip(legal_gaps, chains, strict=False))
        unlabelled -= n > 1 and not any(end - start == n for _, start, end in nodes)
        tree, malformed = restored(n, nodes, leaves)
        strange_end = n > 0 and gaps[-1] != LAST_GAP
        return Decoded(tree, repairs + refused + unlabelled + malformed + strange_end)

    @needs_labels
    def decode_scores(self, scores: Sequence[numpy.ndarray], vocab: Sequence[Sequence[str]]) -> Decoded:
        """The tree of the best legal tags ("exact") or of the best tags made legal ("greedy"); labels are the best-scored ones.

        scores: (n, K) log-probabilities per field; vocab: their K labels each. With "exact", repairs also counts the tags that
        are not the best-scored ones.
        """
        n = len(scores[0])
        if self.search == "greedy" or not n:
            return super().decode_scores(scores, vocab)
        by_word = scores_of_tags(scores[0], vocab[0], WORD_TAGS)
        by_gap = scores_of_tags(scores[1], vocab[1], GAP_TAGS)[:-1]
        words, gaps = best_legal(by_word, by_gap, self.max_depth)
        tags = [WORD_TAGS[tag] for tag in words], [*(GAP_TAGS[tag] for tag in gaps), LAST_GAP]
        best = [[names[k] for k in numpy.argmax(by_label, axis=1).tolist()] for by_label, names in zip(scores, vocab, strict=True)]
        decoded = self.decode(list(zip(*tags, best[2], best[3], strict=True)))
        changed = sum(tag != other for f in (0, 1) for tag, other in zip(tags[f], best[f], strict=True))
        return Decoded(decoded.structure, decoded.repairs + changed)


def _tags_of(levels: Sequence[int]) -> tuple[list[int], list[int], list[bool]]:
    """Tags of the n words and of the n - 1 gaps of the binary tree, and whether a gap is the first of its node's.

    The binary node in a gap is above that in another if its level is smaller or, at one level, if it is further left. What lies
    between two gaps is a right child if the lower of them is the left one.
    """
    size = len(levels)
    words = [LEFT] + [RIGHT if before > after else LEFT for before, after in pairwise(levels)] + [RIGHT] * (size > 0)
    gaps = [LEFT] * size
    first = [True] * size
    unfinished: list[int] = []  # gaps whose right part is open, with levels that never fall
    for gap, level in enumerate(levels):
        while unfinished and levels[unfinished[-1]] > level:
            finished = unfinished.pop()
            if unfinished and levels[unfinished[-1]] > level:
                gaps[finished] = RIGHT
        first[gap] = not unfinished or levels[unfinished[-1]] < level
        unfinished.append(gap)
    for gap in unfinished[1:]:
        gaps[gap] = RIGHT
    return words, gaps, first


def _nodes_of(words: Sequence[int], gaps: Sequence[int], chains: Sequence[str]) -> list[Span]:
    """(chain, start, end) per gap with a chain, of the binary tree that legal tags stand for. Linear: every gap is opened and
    finished once."""
    nodes: list[Span] = []
    unfinished: list[list[tuple[str, int]]] = []  # per tree, the nodes down to its open place: chain, start
    for i, tag in enumerate(words):
        start = i
        if tag == RIGHT:
            finished = unfinished.pop()
            start = finished[0][1]
            nodes += [(chain, begun, i + 1) for chain, begun in finished if chain]
        if i < len(gaps):
            if gaps[i] == LEFT:
                unfinished.append([])
            unfinished[-1].append((chains[i], start))
    return nodes
