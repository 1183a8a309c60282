"""Numbers of common ancestors as labels."""

from __future__ import annotations

from collections.abc import Sequence

from ..columns import whole_number
from .levels import LevelLabels


class AbsoluteConstituency(LevelLabels):
    """The label of a word is the number of constituents that hold it and the next word ("end" for the last word), the label of
    the lowest of them, and the chain of constituents over the word alone (Gómez-Rodríguez & Vilares 2018, D18-1162).
    Unary chains count as one constituent, and the whole sentence as one even if it is none.

    Coverage: every tree.
    """

    def _write(self, levels: Sequence[int]) -> list[str]:
        return list(map(str, levels))

    def _read(self, text: str, before: int) -> int | None:
        return whole_number(text)
