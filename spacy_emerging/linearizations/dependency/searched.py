"""What encodings of trees share whose labels may contradict one another: a repair rule, and a search for labels that do not."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, ClassVar

import numpy

from ...errors import check_choice
from ...structures import DependencyTree
from ..base import Decoded, Linearization, needs_labels
from ..legal_search import Legality, best_legal_labels
from ..next_best import decode_next_best
from .repair import check_repair


class SearchedTrees(Linearization[DependencyTree]):
    """repair: "nearest" or "root"; what words without a head get, see `repair.py`.
    search: how scores are decoded. "legal": the best labels among those in which everything that opens is closed and one word has
        the root, see `legal_search.py`; only for encodings that have a `legality`. "next-best": labels that take repairs give way to
        the next-best ones, see `next_best.py`. "greedy": the best-scored labels and nothing else.
    Raises SettingError for another rule or search.
    """

    searches: ClassVar[tuple[str, ...]] = ("legal", "next-best", "greedy")

    def __init__(self, repair: str, search: str) -> None:
        self.repair = check_repair(type(self).__name__, repair)
        check_choice(type(self).__name__, "search", search, self.searches)
        self.search = search

    def legality(self, labels: Sequence[str]) -> Legality[Any] | None:
        """Which of these labels of the first field may follow one another; None where an encoding has no search "legal"."""
        return None

    @needs_labels
    def decode_scores(self, scores: Sequence[numpy.ndarray], vocab: Sequence[Sequence[str]]) -> Decoded:
        """The tree of the best-scored labels, or, where they take repairs, of those that the search finds.

        scores: (n, K) log-probabilities per field; vocab: their K labels each. Relations are always the best-scored ones.
        repairs counts, besides those of the structure, the labels that are not the best-scored ones.
        """
        plain = super().decode_scores(scores, vocab)
        if self.search == "greedy" or not plain.repairs or not len(scores[0]):
            return plain
        if self.search == "legal":
            found = self._decode_legal(scores, vocab)
            if found is not None:
                return found
        changeable = [f for f, field in enumerate(self.fields) if field != "deprel"]
        return decode_next_best(self.decode, scores, vocab, changeable)

    def _decode_legal(self, scores: Sequence[numpy.ndarray], vocab: Sequence[Sequence[str]]) -> Decoded | None:
        first = numpy.nan_to_num(numpy.asarray(scores[0], dtype=numpy.float64), nan=-1e9, neginf=-1e9)
        legality = _legality(self, tuple(vocab[0]))
        labels = best_legal_labels(first, legality) if legality is not None else None
        if labels is None:
            return None
        relations = numpy.asarray(scores[1]).argmax(axis=1).tolist()
        decoded = self.decode([(vocab[0][label], vocab[1][relation]) for label, relation in zip(labels, relations, strict=True)])
        changed = int((first.argmax(axis=1) != labels).sum())
        return Decoded(decoded.structure, decoded.repairs + changed)


@lru_cache(maxsize=8)
def _legality(encoding: SearchedTrees, labels: tuple[str, ...]) -> Legality[Any] | None:
    """The legality of these labels, worked out once and not for every sentence."""
    return encoding.legality(labels)
