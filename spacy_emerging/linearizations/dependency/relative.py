"""Heads relative to the word as labels."""

from __future__ import annotations

from .heads import HeadLabels


class RelativeDependency(HeadLabels):
    """The label of word i with head h is h - i, so -i under the root, and its relation (Strzyz et al. 2019, N19-1077).

    repair: "nearest" or "root"; how heads that make no tree are repaired, see `repair.py`.
    Coverage: every tree with one root. Of several roots `decode` keeps the first.
    Raises SettingError for another rule.
    """

    fields = ("offset", "deprel")
    local = frozenset(fields)

    def _shift(self, word: int) -> int:
        return word
