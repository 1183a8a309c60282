"""Projective trees as binary trees, tagged in in-order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy

from ...errors import check_choice, check_whole
from ...structures import DependencyTree
from ...types import LabelTuple
from ..base import Decoded, Linearization, needs_labels
from ..columns import columns
from ..depth_search import LEFT, RIGHT, best_legal, deepest, nearest_legal, scores_of_tags
from .pseudo_projective import check_scheme, lift, restore
from .repair import known_deprels

WORD_TAGS = ("l", "r")
GAP_TAGS = ("lL", "lR", "rL", "rR")
LAST_GAP = "end"


class HexaTagDependency(Linearization[DependencyTree]):
    """Six tags: a word is a left or right child ("l", "r"), and so is the binary node in the gap after it, which also says on which
    side it has its head ("lL", "lR", "rL", "rR"; "end" after the last word). And the word's relation (Amini, Liu & Cotterell 2023,
    acl-short.124). In the binary tree a head is joined to its left dependents first, the nearest first, then to its right ones.

    pseudo_projective: None, "head", "head+path" or "path"; how relations remember arcs that were lifted to make the tree
        projective, see `pseudo_projective.py`; with None they are lifted without a trace.
    search: how scores are decoded: "exact", the best legal tags by a dynamic programme over the depth of the stack, or "greedy",
        the best-scored tags, changed from the left wherever they are illegal.
    max_depth: greatest stack depth of the exact search, at least 1; trees that this object has encoded raise it to theirs.
        Paper: 10; our default 64 costs next to nothing, as no depth beyond half the sentence is looked at.
    Coverage: every projective tree with one root; with pseudo_projective also most others (measured, not guaranteed).
    Raises SettingError for another scheme or search, or a depth below 1.
    """

    fields = ("terminal", "fence", "deprel")

    def __init__(self, pseudo_projective: str | None = None, search: str = "exact", max_depth: int = 64) -> None:
        self.pseudo_projective = check_scheme("HexaTagDependency", pseudo_projective)
        check_choice("HexaTagDependency", "search", search, ("exact", "greedy"))
        check_whole("HexaTagDependency", "max_depth", max_depth)
        self.search = search
        self.max_depth = max_depth

    @property
    def local(self) -> frozenset[str]:  # type: ignore[override]
        """The relation, unless it may name that of another word."""
        return frozenset() if self.pseudo_projective else frozenset({"deprel"})

    def encode(self, structure: DependencyTree) -> list[LabelTuple]:
        """(tag of the word, tag of the gap after it, relation) per word."""
        tree = lift(structure, self.pseudo_projective)
        words, gaps, sides = _tags_of(tree.heads)
        self.max_depth = max(self.max_depth, deepest(words, gaps))
        word_tags = [WORD_TAGS[tag] for tag in words]
        gap_tags = [WORD_TAGS[tag] + side for tag, side in zip(gaps, sides, strict=True)] + [LAST_GAP][: len(words)]
        return list(zip(word_tags, gap_tags, tree.deprels, strict=True))

    def decode(self, labels: Sequence[Sequence[str]]) -> Decoded:
        """Follows the tags wherever they are legal, from the left; each that is not, and each unknown one, is one repair, and so is
        each lifted arc whose place is not found. An unknown gap has its head on the left."""
        (words, gaps, deprels), repairs = columns(labels, 3)
        n = len(words)
        sides = [gap[1:] if gap in GAP_TAGS else "L" for gap in gaps[: n - 1]]
        word_wishes = [WORD_TAGS.index(word) if word in WORD_TAGS else -1 for word in words]
        gap_wishes = [WORD_TAGS.index(gap[0]) if gap in GAP_TAGS else -1 for gap in gaps[: n - 1]]
        legal_words, legal_gaps, refused = nearest_legal(word_wishes, gap_wishes)
        heads = _heads_of(legal_words, legal_gaps, sides)
        tree, lost = restore(DependencyTree(tuple(heads), tuple(known_deprels(deprels, labels, 3))), self.pseudo_projective)
        strange_end = n > 0 and gaps[-1] != LAST_GAP
        return Decoded(tree, repairs + refused + strange_end + lost)

    @needs_labels
    def decode_scores(self, scores: Sequence[numpy.ndarray], vocab: Sequence[Sequence[str]]) -> Decoded:
        """The tree of the best legal tags ("exact") or of the best tags made legal ("greedy"); relations are the best-scored ones.

        scores: (n, K) log-probabilities per field; vocab: their K labels each. With "exact", repairs counts the tags that are
        not the best-scored ones, and lifted arcs whose place is not found.
        """
        n = len(scores[0])
        if self.search == "greedy" or not n:
            return super().decode_scores(scores, vocab)
        by_word = scores_of_tags(scores[0], vocab[0], WORD_TAGS)
        by_gap = scores_of_tags(scores[1], vocab[1], GAP_TAGS)[:-1]
        by_side = by_gap.reshape(n - 1, 2, 2)  # [gap, left or right child, side of the head]
        words, gaps = best_legal(by_word, by_side.max(axis=2), self.max_depth)
        side_of = by_side.argmax(axis=2)[numpy.arange(n - 1), gaps].tolist()
        tags = [GAP_TAGS[2 * gap + side] for gap, side in zip(gaps, side_of, strict=True)] + [LAST_GAP]
        relations = numpy.asarray(scores[2]).argmax(axis=1).tolist()
        decoded = self.decode([(WORD_TAGS[word], tag, vocab[2][k]) for word, tag, k in zip(words, tags, relations, strict=True)])
        changed = sum(vocab[0][k] != WORD_TAGS[word] for k, word in zip(numpy.argmax(scores[0], axis=1).tolist(), words, strict=True))
        changed += sum(vocab[1][k] != tag for k, tag in zip(numpy.argmax(scores[1], axis=1).tolist(), tags, strict=True))
        return Decoded(decoded.structure, decoded.repairs + changed)


def _tags_of(heads: Sequence[int]) -> tuple[list[int], list[int], list[str]]:
    """Tags of words and gaps, and the sides on which gaps have their heads, of a projective tree."""
    n = len(heads)
    dependents: list[list[int]] = [[] for _ in range(n + 1)]
    for word, head in enumerate(heads, 1):
        dependents[head].append(word)
    order = dependents[0][:]
    for word in order:
        order.extend(dependents[word])
    first, last = list(range(n + 1)), list(range(n + 1))  # the stretch that a word dominates
    for word in reversed(order[1:]):
        head = heads[word - 1]
        first[head], last[head] = min(first[head], first[word]), max(last[head], last[word])
    words, gaps, sides = [LEFT] * n, [LEFT] * max(n - 1, 0), [""] * max(n - 1, 0)
    for head in order:
        tags, place = words, head - 1  # what has been built around the head so far
        for dependent in reversed([word for word in dependents[head] if word < head]):
            tags[place] = RIGHT
            tags, place = gaps, last[dependent] - 1
            sides[place] = "R"
        for dependent in (word for word in dependents[head] if word > head):
            tags[place] = LEFT
            tags, place = gaps, first[dependent] - 2
            sides[place] = "L"
        tags[place] = RIGHT if 0 < heads[head - 1] < head else LEFT
    return words, gaps, sides


def _heads_of(words: Sequence[int], gaps: Sequence[int], sides: Sequence[str]) -> list[int]:
    """The heads that legal tags and sides stand for. Linear: every gap is opened and folded once."""
    heads = [0] * (len(words) + 1)
    unfinished: list[list[tuple[int, str]]] = []  # per tree, the gaps down to its open place: head of the left part, side
    for i, tag in enumerate(words):
        head = i + 1
        if tag == RIGHT:
            for left_head, side in reversed(unfinished.pop()):
                if side == "L":
                    heads[head], head = left_head, left_head
                else:
                    heads[left_head] = head
        if i < len(gaps):
            if gaps[i] == LEFT:
                unfinished.append([])
            unfinished[-1].append((head, sides[i]))
    return heads[1:]
