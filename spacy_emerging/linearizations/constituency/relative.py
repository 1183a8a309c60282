"""Changes in the number of common ancestors as labels."""

from __future__ import annotations

from collections.abc import Sequence

from ...errors import check_flag
from ..columns import whole_number
from .levels import LevelLabels

ROOT = "ROOT"


class RelativeConstituency(LevelLabels):
    """As AbsoluteConstituency, but a number of common ancestors is written as its difference to that of the word before, which
    is 0 for the first word (Gómez-Rodríguez & Vilares 2018, D18-1162).

    root_label: whether a word that shares nothing with the next one but the whole sentence has "ROOT" in place of a difference,
        which keeps the number of labels small: differences down to the root are large and rare (as in the paper's experiments).
    Coverage: every tree.
    Raises SettingError for another root_label.
    """

    def __init__(self, root_label: bool = True) -> None:
        check_flag("RelativeConstituency", "root_label", root_label)
        self.root_label = root_label

    def _write(self, levels: Sequence[int]) -> list[str]:
        differences = [str(level - before) for before, level in zip([0, *levels[:-1]], levels, strict=True)] if levels else []
        if self.root_label:
            return [ROOT if level == 1 else text for level, text in zip(levels, differences, strict=True)]
        return differences

    def _read(self, text: str, before: int) -> int | None:
        if text == ROOT and self.root_label:
            return 1
        difference = whole_number(text)
        return None if difference is None else before + difference
