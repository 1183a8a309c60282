"""The transitions of an arc-eager parser, cut into one label per word."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...structures import DependencyTree
from ...types import LabelTuple
from ..base import Decoded
from ..columns import columns
from ..legal_search import Legality
from .projective import projective
from .repair import known_deprels, tree_from_arcs
from .searched import SearchedTrees

SHIFT, RIGHT, LEFT, REDUCE = "SH", "RA", "LA", "RE"


class ArcEagerDependency(SearchedTrees):
    """The label of a word is the transition that reads it, SH or RA, and all LA and RE up to the next one, as in "SH_LA_LA"; and its
    relation (Gomez-Rodriguez, Strzyz & Vilares 2020, arXiv 2011.00584; the system: Nivre 2003).

    On a stack that begins with the root, RA attaches the word to the top and pushes it, SH only pushes it; before the next
    word is read, LA attaches the top to that word and removes it, RE removes it.
    repair: "nearest" or "root"; what words without a head get, see `repair.py`.
    search: "legal", "next-best" or "greedy"; how scores are decoded, see `searched.py`.
    Coverage: every projective tree with one root. Others are made projective by lifting arcs.
    Raises SettingError for another rule or search.
    """

    fields = ("transitions", "deprel")
    local = frozenset({"deprel"})

    def __init__(self, repair: str = "nearest", search: str = "legal") -> None:
        super().__init__(repair, search)

    def encode(self, structure: DependencyTree) -> list[LabelTuple]:
        """(transitions, relation) per word: those of the oracle that removes a word from the stack as late as possible."""
        n = len(structure)
        heads = [0, *projective(structure).heads]
        # The leftmost word that a word is linked to, or itself: the stack has to be cleared down to there before it is read.
        reach = list(range(n + 1))
        for word in range(1, n + 1):
            reach[word] = min(reach[word], heads[word])
            reach[heads[word]] = min(reach[heads[word]], word)
        transitions: list[list[str]] = [[] for _ in range(n + 1)]
        stack = [0]
        for word in range(1, n + 1):
            while stack[-1] > reach[word] or heads[stack[-1]] == word and stack[-1]:
                transitions[word - 1].append(LEFT if heads[stack[-1]] == word else REDUCE)
                stack.pop()
            transitions[word].append(RIGHT if heads[word] == stack[-1] else SHIFT)
            stack.append(word)
        return [("_".join(actions), deprel) for actions, deprel in zip(transitions[1:], structure.deprels, strict=True)]

    def decode(self, labels: Sequence[Sequence[str]]) -> Decoded:
        """Runs the transitions. Those that are impossible (LA of a word with a head or before no word, RE of a word without one, either
        of the root) are skipped, and unknown ones too: one repair each. A label that does not read its word counts as SH."""
        (texts, deprels), repairs = columns(labels, 2)
        n = len(texts)
        has_head = [False] * (n + 1)
        stack = [0]
        arcs: list[tuple[int, int]] = []
        for word, text in enumerate(texts, 1):
            reading, *others = text.split("_")
            if reading == RIGHT:
                arcs.append((stack[-1], word))
                has_head[word] = True
            elif reading != SHIFT:
                repairs += 1
            stack.append(word)
            for action in others:
                top = stack[-1]
                if action == LEFT and top and not has_head[top] and word < n:
                    arcs.append((word + 1, top))
                    stack.pop()
                elif action == REDUCE and top and has_head[top]:
                    stack.pop()
                else:
                    repairs += 1
        tree, mended = tree_from_arcs(n, arcs, known_deprels(deprels, labels, 2), self.repair)
        return Decoded(tree, repairs + mended)

    def legality(self, labels: Sequence[str]) -> Legality[Any]:
        """States are the stack, as whether each word on it has a head, and whether a word has the root."""
        actions = [label.split("_") for label in labels]

        def step(state: tuple[tuple[bool, ...], bool], label: int, last: bool) -> tuple[tuple[bool, ...], bool] | None:
            stack, rooted = state
            reading, *others = actions[label]
            if reading not in (RIGHT, SHIFT) or (reading == RIGHT and not stack and rooted):
                return None
            rooted = rooted or (reading == RIGHT and not stack)
            stack = (*stack, reading == RIGHT)
            for action in others:
                # A word leaves the stack by the arc from the next word that gives it a head, or by REDUCE once it has one.
                if not stack or action != (REDUCE if stack[-1] else LEFT) or (last and action == LEFT):
                    return None
                stack = stack[:-1]
            return stack, rooted

        return Legality(((), False), step, lambda state: all(state[0]) and state[1])
