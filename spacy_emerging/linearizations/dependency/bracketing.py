r"""Arcs as brackets in several relaxed planes.

The label of a word holds, plane by plane: one `\` per dependent to its left, `>` if its head is to the left, `<` if its head is
to the right, one `/` per dependent to its right; plane p (from 0) writes p stars after each bracket.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from ...errors import SettingError
from ...structures import DependencyTree
from ...types import LabelTuple
from ..base import Decoded, Linearization
from ..columns import columns
from .planes import kept_planes, relaxed_planes
from .repair import check_repair, known_deprels, tree_from_arcs

BRACKET = re.compile(r"([\\></])(\**)")


@lru_cache(maxsize=16384)
def parse_brackets(label: str, planes: int) -> tuple[tuple[tuple[int, int, int, int, int], ...], int]:
    r"""((plane, number of `\`, of `>`, of `<`, of `/`), ...) in the order of planes, and how many characters or brackets
    belong to no plane below `planes`. The order of brackets within a plane is taken to be the one that `encode` writes."""
    counts: dict[int, list[int]] = {}
    unknown = len(BRACKET.sub("", label))
    for symbol, stars in BRACKET.findall(label):
        if len(stars) < planes:
            counts.setdefault(len(stars), [0, 0, 0, 0])["\\></".index(symbol)] += 1
        else:
            unknown += 1
    return tuple((plane, *counts[plane]) for plane in sorted(counts)), unknown  # type: ignore[misc]


class BracketingDependency(Linearization[DependencyTree]):
    r"""Brackets for both ends of every arc, and the word's relation (Strzyz et al. 2019, N19-1077; in k planes: Strzyz et al.
    2020, coling-main.223).

    planes: how many relaxed planes (no crossing between arcs of one direction) are written, at least 1; 2 cover nearly every
        arc of any treebank. Arcs go greedily, by left and right end, into the first plane that takes them; the plane of the root
        arc comes first, then the largest, and arcs beyond the last plane are dropped.
    repair: "nearest" or "root"; what words without a head get, see `repair.py`.
    Coverage: every tree with one root whose arcs the greedy assignment puts into at most `planes` planes.
    Raises SettingError for a number of planes below 1, or another rule.
    """

    fields = ("bracket", "deprel")
    local = frozenset({"deprel"})

    def __init__(self, planes: int = 2, repair: str = "nearest") -> None:
        if not isinstance(planes, int) or planes < 1:
            raise SettingError(f"BracketingDependency: setting 'planes' is {planes!r}, but must be a whole number of at least 1.")
        self.planes = planes
        self.repair = check_repair("BracketingDependency", repair)

    def encode(self, structure: DependencyTree) -> list[LabelTuple]:
        """(brackets, relation) per word; "" for a word whose arcs are all dropped."""
        n = len(structure)
        arcs = ((head, word) for word, head in enumerate(structure.heads, 1))
        brackets = [""] * n
        for plane, members in enumerate(kept_planes(relaxed_planes(arcs), self.planes)):
            stars = "*" * plane
            left_of, right_of, incoming = [0] * (n + 1), [0] * (n + 1), [""] * (n + 1)
            for head, word in members:
                (right_of if head < word else left_of)[head] += 1
                incoming[word] = (">" if head < word else "<") + stars
            opening, closing = "/" + stars, "\\" + stars
            for word in range(1, n + 1):
                brackets[word - 1] += closing * left_of[word] + incoming[word] + opening * right_of[word]
        return list(zip(brackets, structure.deprels, strict=True))

    def decode(self, labels: Sequence[Sequence[str]]) -> Decoded:
        r"""Per plane, two stacks: `\` takes the nearest open `<`, `>` the nearest open `/`, or the root in the first plane.
        Brackets without a partner are ignored, one repair each."""
        (texts, deprels), repairs = columns(labels, 2)
        n = len(texts)
        waiting: list[list[int]] = [[] for _ in range(self.planes)]  # words with an open `<`, one list per plane
        offering: list[list[int]] = [[] for _ in range(self.planes)]  # words with an open `/`
        arcs: list[tuple[int, int]] = []
        for word, text in enumerate(texts, 1):
            parsed, unknown = parse_brackets(text, self.planes)
            repairs += unknown
            for plane, to_left, from_left, to_right, from_right in parsed:
                dependents, heads = waiting[plane], offering[plane]
                taken = min(to_left, len(dependents))
                repairs += to_left - taken
                arcs.extend((word, dependents.pop()) for _ in range(taken))
                for _ in range(from_left):
                    if heads:
                        arcs.append((heads.pop(), word))
                    elif plane == 0:
                        arcs.append((0, word))
                    else:
                        repairs += 1
                dependents.extend([word] * to_right)
                heads.extend([word] * from_right)
        repairs += sum(map(len, waiting)) + sum(map(len, offering))
        tree, mended = tree_from_arcs(n, arcs, known_deprels(deprels, labels, 2), self.repair)
        return Decoded(tree, repairs + mended)
