r"""Arcs as brackets around a proper rope cover.

The label of a word holds `\^`, `>^`, `<^`, `/^` for structural arcs and `>`, `\`, `<`, `/` for auxiliary ones, in the order
`\^ >^ > \ <^ < / /^`, each followed by one star per structural arc to be skipped.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from ...errors import SettingError, check_choice
from ...structures import DependencyTree
from ...types import LabelTuple
from ..base import Decoded
from ..columns import columns
from .pseudo_projective import check_scheme, lift, restore
from .repair import known_deprels, tree_from_arcs
from .ropes import ORDER, Bracket, arcs_of, brackets_of
from .searched import SearchedTrees

BRACKET = re.compile(r"([\\></])(\^?)(\**)")


@lru_cache(maxsize=16384)
def parse_label(label: str) -> tuple[list[Bracket], int]:
    """The brackets in the order in which `encode` writes them, and how many characters are none. Not to be changed."""
    found = [Bracket(symbol, bool(caret), len(stars)) for symbol, caret, stars in BRACKET.findall(label)]
    return sorted(found, key=lambda bracket: ORDER[bracket[:2]]), len(BRACKET.sub("", label))


class HierarchicalBracketingDependency(SearchedTrees):
    """Brackets for both ends of the arcs of the proper rope cover and for one end of all others, and the word's relation (Ezquerro,
    Vilares, Yli-Jyra & Gomez-Rodriguez 2025, arXiv 2505.11693).

    variant: "projective": 12 labels, other trees are made projective first; "nonprojective": every arc is written as it is, with
        stars for the structural arcs to be skipped, so that the number of labels has no bound.
    pseudo_projective: None, "head", "head+path" or "path"; for the projective variant, how relations remember arcs that were
        lifted, see `pseudo_projective.py`; with None they are lifted without a trace.
    repair: "nearest" or "root"; what words without a head get, see `repair.py`.
    search: "next-best" or "greedy"; how scores are decoded, see `searched.py`.
    Coverage: every projective tree with one root; with "nonprojective" every tree with one root; with pseudo_projective also
        most others (measured, not guaranteed).
    Raises SettingError for another variant, scheme, rule or search, and for a scheme with the non-projective variant.
    """

    fields = ("bracket", "deprel")
    searches = ("next-best", "greedy")

    def __init__(
        self, variant: str = "projective", pseudo_projective: str | None = None, repair: str = "nearest", search: str = "next-best"
    ) -> None:
        check_choice("HierarchicalBracketingDependency", "variant", variant, ("projective", "nonprojective"))
        self.variant = variant
        self.pseudo_projective = check_scheme("HierarchicalBracketingDependency", pseudo_projective)
        super().__init__(repair, search)
        if variant == "nonprojective" and pseudo_projective is not None:
            raise SettingError(
                "HierarchicalBracketingDependency: setting 'pseudo_projective' must be null where 'variant' is 'nonprojective', "
                "which lifts no arc."
            )

    @property
    def local(self) -> frozenset[str]:  # type: ignore[override]
        """The relation, unless it may name that of another word."""
        return frozenset() if self.pseudo_projective else frozenset({"deprel"})

    def encode(self, structure: DependencyTree) -> list[LabelTuple]:
        """(brackets, relation) per word."""
        tree = lift(structure, self.pseudo_projective) if self.variant == "projective" else structure
        words = brackets_of(len(tree), [(head, word) for word, head in enumerate(tree.heads, 1)])
        texts = ["".join(symbol + "^" * is_super + "*" * skip for symbol, is_super, skip in brackets) for brackets in words[1:]]
        return list(zip(texts, tree.deprels, strict=True))

    def decode(self, labels: Sequence[Sequence[str]]) -> Decoded:
        """Closing super-brackets are matched with open ones of their direction; each auxiliary finds its end among the structural arcs over
        its word, on the left counted from the last begun, on the right from the first to end. What finds no partner is ignored, one
        repair each, and so is each lifted arc whose place is not found."""
        (texts, deprels), repairs = columns(labels, 2)
        words = [[Bracket("/", True, 0)] if texts else []]
        for text in texts:
            brackets, unknown = parse_label(text)
            words.append(brackets)
            repairs += unknown
        arcs, unmatched = arcs_of(words)
        tree, mended = tree_from_arcs(len(texts), arcs, known_deprels(deprels, labels, 2), self.repair)
        tree, lost = restore(tree, self.pseudo_projective)
        return Decoded(tree, repairs + unmatched + mended + lost)
