"""Numbers of common ancestors as labels, absolute or relative, whichever is easier to learn."""

from __future__ import annotations

from collections.abc import Sequence

from ..columns import whole_number
from .levels import LevelLabels

HIGHEST_ABSOLUTE = 3
STEEPEST_RELATIVE = -2
ABSOLUTE = "="
"""Before a number that is absolute."""


class DynamicConstituency(LevelLabels):
    """As RelativeConstituency, but where the tree closes at least two constituents at once and comes out at one of its three
    topmost levels, that level is written itself, as `=1`, `=2` or `=3` (Vilares, Abdou & Søgaard 2019, N19-1341).

    Coverage: every tree.
    """

    def _write(self, levels: Sequence[int]) -> list[str]:
        texts: list[str] = []
        before = 0
        for level in levels:
            absolute = level <= HIGHEST_ABSOLUTE and level - before <= STEEPEST_RELATIVE
            texts.append(f"{ABSOLUTE}{level}" if absolute else str(level - before))
            before = level
        return texts

    def _read(self, text: str, before: int) -> int | None:
        if text.startswith(ABSOLUTE):
            return whole_number(text[len(ABSOLUTE) :])
        difference = whole_number(text)
        return None if difference is None else before + difference
