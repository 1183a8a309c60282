"""What encodings share that name each word's head by a number of its own: absolute and relative positions."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import numpy

from ...structures import DependencyTree
from ...types import LabelTuple
from ..base import Decoded, Linearization, needs_labels
from ..columns import columns, whole_number
from .arborescence import best_single_root_heads
from .repair import check_repair, known_deprels, tree_from_arcs

LONGEST_SEARCH = 300
"""Words up to which conflicting heads are settled by a spanning arborescence over the scores, O(n^2). Our default."""

SUREST = 1e9
"""Stands for a score of +inf, which no log-probability is, so that sums of scores stay finite."""


class HeadLabels(Linearization[DependencyTree]):
    """One number and one relation per word; `_shift` says what separates the number from the head's position.

    repair: "nearest" or "root", see `repair.py`.
    Raises SettingError for another rule.
    """

    def __init__(self, repair: str = "nearest") -> None:
        self.repair = check_repair(type(self).__name__, repair)

    @abstractmethod
    def _shift(self, word: int) -> int:
        """What added to the number in the label of `word` (1-based) gives its head."""

    def encode(self, structure: DependencyTree) -> list[LabelTuple]:
        """(number, relation) per word."""
        shift = self._shift
        words = zip(structure.heads, structure.deprels, strict=True)
        return [(str(head - shift(word)), deprel) for word, (head, deprel) in enumerate(words, 1)]

    def decode(self, labels: Sequence[Sequence[str]]) -> Decoded:
        """The tree of the heads that make sense, the rest repaired: strings that are no number, heads outside of the sentence,
        self-loops, cycles and surplus roots are one repair per word."""
        (numbers, deprels), malformed = columns(labels, 2)
        n = len(numbers)
        arcs = []
        for word, text in enumerate(numbers, 1):
            number = whole_number(text)
            if number is not None:
                head = number + self._shift(word)
                if 0 <= head <= n and head != word:
                    arcs.append((head, word))
        tree, repairs = tree_from_arcs(n, arcs, known_deprels(deprels, labels, 2), self.repair)
        return Decoded(tree, repairs + malformed)

    @needs_labels
    def decode_scores(self, scores: Sequence[numpy.ndarray], vocab: Sequence[Sequence[str]]) -> Decoded:
        """The best tree with one root under the scores of the heads: the argmax where that is a tree, else, up to 300 words, the
        maximum spanning arborescence; longer sentences with conflicts are decoded from the argmax, in linear time.

        scores: (n, K) log-probabilities of the numbers and of the relations; vocab: their K labels each.
        repairs counts the words whose head is not the best-scored one.
        """
        plain = super().decode_scores(scores, vocab)
        n = len(scores[0]) if scores else 0
        if not plain.repairs or n > LONGEST_SEARCH:
            return plain
        by_head = self._scores_by_head(numpy.asarray(scores[0], dtype=numpy.float64), vocab[0])
        heads = best_single_root_heads(by_head)
        best = by_head.argmax(axis=1)
        settled = (best == heads) & numpy.isfinite(by_head.max(axis=1))
        return Decoded(DependencyTree(tuple(heads), plain.structure.deprels), int(n - settled.sum()))

    def _scores_by_head(self, scores: numpy.ndarray, labels: Sequence[str]) -> numpy.ndarray:
        """(n, n + 1) from (n, K): the best score of a label that stands for the head; -inf where there is none."""
        n = len(scores)
        shifts = numpy.array([self._shift(word) for word in range(1, n + 1)])
        result = numpy.full((n, n + 1), -numpy.inf)
        for k, label in enumerate(labels):
            number = whole_number(label)
            if number is None or abs(number) > n:
                continue
            heads = shifts + number
            words = numpy.flatnonzero((heads >= 0) & (heads <= n) & (heads != numpy.arange(1, n + 1)))
            column = numpy.nan_to_num(scores[words, k], nan=-numpy.inf, posinf=SUREST, neginf=-numpy.inf)
            result[words, heads[words]] = numpy.maximum(result[words, heads[words]], column)
        return result
