"""From proposed arcs to a tree with exactly one root, for every encoding of dependency trees. Near-linear, no recursion.

Two published rules:
"nearest" (separ, Ezquerro et al.): in the order proposed, an arc is rejected if it makes a cycle, a second head or a second
    root; then each headless word, from the left, takes the nearest valid head (1 to the left, 1 to the right, 2 to the left ...;
    the root only if it has no child yet).
"root" (dep2label, Strzyz et al. 2019): the first word under the root stays its child, the others become its dependents; without
    one, the first word with the relation "root" takes its place, else word 1; headless words, and one word of each cycle, are
    attached to that word.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ...errors import check_choice
from ...structures import DependencyTree, cycles
from ..base import Decoded

RULES = ("nearest", "root")
NO_HEAD = -1
UNKNOWN_DEPREL = "dep"
"""The relation of a word whose label has none: Universal Dependencies' unspecified dependency."""


def check_repair(owner: str, repair: str) -> str:
    """The rule itself; raises SettingError for an unknown one."""
    check_choice(owner, "repair", repair, RULES)
    return repair


def tree_from_arcs(n: int, arcs: Iterable[tuple[int, int]], deprels: Sequence[str], rule: str) -> Decoded:
    """A valid tree from any arcs.

    n: number of words. arcs: (head, dependent) pairs of any integers, in the order in which they were decoded; what leaves
    the sentence, is a self-loop or gives a word a second head is rejected. deprels: n relations. rule: "nearest" or "root".
    repairs counts rejected surplus arcs, and words whose head is not the one proposed.
    """
    heads = [NO_HEAD] * (n + 1)
    surplus = 0
    order: list[int] = []
    for head, dependent in arcs:
        if not (0 <= head <= n and 1 <= dependent <= n) or head == dependent or heads[dependent] >= 0:
            surplus += 1
        else:
            heads[dependent] = head
            order.append(dependent)
    proposed = heads[1:]
    if len(order) < n or proposed.count(0) != 1 or next(cycles(proposed), None):
        settled = _nearest(heads, order) if rule == "nearest" else _root(heads, deprels)
    else:
        settled = proposed
    changed = sum(map(int.__ne__, proposed, settled))
    return Decoded(DependencyTree(tuple(settled), tuple(deprels)), surplus + changed)


def known_deprels(deprels: Sequence[str], labels: Sequence[Sequence[str]], arity: int) -> list[str]:
    """The relations as read, and UNKNOWN_DEPREL for words whose label is too short to hold one."""
    return [
        deprel if deprel or (isinstance(label, tuple | list) and len(label) >= arity) else UNKNOWN_DEPREL
        for deprel, label in zip(deprels, labels, strict=True)
    ]


class _Sets:
    """Disjoint sets over 0..n (union by size, path halving)."""

    __slots__ = ("parent", "size")

    def __init__(self, n: int) -> None:
        self.parent = list(range(n + 1))
        self.size = [1] * (n + 1)

    def find(self, x: int) -> int:
        parent = self.parent
        while parent[x] != x:
            parent[x] = parent[parent[x]]
            x = parent[x]
        return x

    def join(self, x: int, y: int) -> bool:
        """False, and nothing done, where both are in one set already."""
        x, y = self.find(x), self.find(y)
        if x == y:
            return False
        if self.size[x] < self.size[y]:
            x, y = y, x
        self.parent[y] = x
        self.size[x] += self.size[y]
        return True


class _Runs:
    """Maximal runs of neighbouring words of one fragment, towards one side. Fragments only ever merge, so a run once joined
    stays joined, and all walks over all calls together take n steps; that keeps the search for the nearest head near-linear."""

    __slots__ = ("beyond", "fragments", "step", "target")

    def __init__(self, n: int, fragments: _Sets, step: int) -> None:
        self.fragments = fragments
        self.step = step
        self.beyond = 0 if step < 0 else n + 1
        self.target = list(range(n + 1))

    def _known_end(self, word: int) -> int:
        target = self.target
        while target[word] != word:
            target[word] = target[target[word]]
            word = target[word]
        return word

    def first_outside(self, word: int) -> int:
        """The first word on this side that is in another fragment than `word`; 0 or n + 1 where there is none."""
        own = self.fragments.find(word)
        end = self._known_end(word)
        while end + self.step != self.beyond and self.fragments.find(end + self.step) == own:
            self.target[end] = end + self.step
            end = self._known_end(end)
        return end + self.step


def _nearest(proposed: Sequence[int], order: Sequence[int]) -> list[int]:
    n = len(proposed) - 1
    fragments = _Sets(n)
    heads = [NO_HEAD] * (n + 1)
    root_used = False
    for word in order:
        head = proposed[word]
        if (head or not root_used) and fragments.join(head, word):
            heads[word] = head
            root_used = root_used or head == 0
    to_the_left, to_the_right = _Runs(n, fragments, -1), _Runs(n, fragments, +1)
    for word in range(1, n + 1):
        if heads[word] != NO_HEAD:
            continue
        left, right = to_the_left.first_outside(word), to_the_right.first_outside(word)
        left_valid, right_valid = left > 0 or not root_used, right <= n
        head = left if left_valid and (not right_valid or word - left <= right - word) else right
        heads[word] = head
        root_used = root_used or head == 0
        fragments.join(head, word)
    return heads[1:]


def _root(proposed: Sequence[int], deprels: Sequence[str]) -> list[int]:
    heads = list(proposed[1:])
    under_root = [i for i, head in enumerate(heads) if head == 0]
    if not under_root:
        under_root = [i for i, deprel in enumerate(deprels) if deprel.lower() == "root"] or [0]
    first = under_root[0]
    heads[first] = 0
    for i in under_root[1:]:
        heads[i] = first + 1
    heads = [first + 1 if head == NO_HEAD else head for head in heads]
    for cycle in list(cycles(heads)):
        heads[cycle[0] - 1] = first + 1
    return heads
