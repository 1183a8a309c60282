"""Relative positions of all heads as labels."""

from __future__ import annotations

from .heads import HeadLists


class RelativeGraph(HeadLists):
    """The code of word i lists h - i for each head h, so -i for the root, as in "-2,1" (Ezquerro et al. 2024, arXiv 2410.17972).

    Coverage: every graph. Heads outside of the sentence are ignored by `decode`.
    """

    def _shift(self, word: int) -> int:
        return word
