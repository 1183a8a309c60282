"""Absolute positions of all heads as labels."""

from __future__ import annotations

from .heads import HeadLists


class AbsoluteGraph(HeadLists):
    """The code of a word lists the positions of its heads, 0 for the root, as in "0,3" (Ezquerro et al. 2024, arXiv 2410.17972).

    Coverage: every graph. Heads outside of the sentence are ignored by `decode`.
    """

    def _shift(self, word: int) -> int:
        return 0
