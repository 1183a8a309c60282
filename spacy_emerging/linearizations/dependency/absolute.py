"""Absolute heads as labels."""

from __future__ import annotations

from .heads import HeadLabels


class AbsoluteDependency(HeadLabels):
    """The label of a word is the position of its head, 0 for the root, and its relation (Strzyz et al. 2019, N19-1077).

    repair: "nearest" or "root"; how heads that make no tree are repaired, see `repair.py`.
    Coverage: every tree with one root. Of several roots `decode` keeps the first.
    Raises SettingError for another rule.
    """

    fields = ("head", "deprel")
    local = frozenset(fields)

    def _shift(self, word: int) -> int:
        return 0
