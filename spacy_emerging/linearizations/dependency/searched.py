"""What encodings of trees share whose labels may contradict one another: a repair rule, and a search for labels that do not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy

from ...errors import check_choice
from ...structures import DependencyTree
from ..base import Decoded, Linearization
from ..next_best import decode_next_best
from .repair import check_repair

SEARCHES = ("next-best", "greedy")


class SearchedTrees(Linearization[DependencyTree]):
    """repair: "nearest" or "root"; what words without a head get, see `repair.py`.
    search: how scores are decoded: "next-best", where labels that take repairs give way to the next-best ones, see `next_best.py`,
        or "greedy", the best-scored labels and nothing else.
    Raises SettingError for another rule or search.
    """

    def __init__(self, repair: str, search: str) -> None:
        self.repair = check_repair(type(self).__name__, repair)
        check_choice(type(self).__name__, "search", search, SEARCHES)
        self.search = search

    def decode_scores(self, scores: Sequence[numpy.ndarray], vocab: Sequence[Sequence[str]]) -> Decoded:
        """The tree of the best-scored labels, or, where they take repairs and the search is "next-best", of labels close to them.

        scores: (n, K) log-probabilities per field; vocab: their K labels each. Relations are always the best-scored ones.
        """
        if self.search == "greedy":
            return super().decode_scores(scores, vocab)
        changeable = [f for f, field in enumerate(self.fields) if field != "deprel"]
        return decode_next_best(self.decode, scores, vocab, changeable)
