"""Pseudo-projectivity: lifted arcs leave a trace in relations, by which they are found again (Nivre & Nilsson 2005, P05-1013).

The three schemes of that paper, for a word with relation d lifted from a head with relation h:
"head"       d↑h on the word
"head+path"  d↑h on the word, and p↓ on every word with relation p over which an arc was lifted
"path"       d↑ on the word, and p↓ likewise
Arrows and backslashes that are part of a relation are escaped by a backslash.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from ...errors import check_choice
from ...structures import DependencyTree
from .projective import projective

SCHEMES = (None, "head", "head+path", "path")
STEPS, STEPS_PER_WORD = 5000, 5
"""Words looked at in search of lost heads, in any sentence and per word: a bound on what adversarial relations cost. Our default."""

PARTS = re.compile(r"((?:[^\\↑↓]|\\.|\\$)*)(↑((?:[^\\↑↓]|\\.|\\$)*))?(↓)?", re.DOTALL)


class Trace(NamedTuple):
    """A relation as read: what it was, whether its arc was lifted (and from a head with which relation), whether one was lifted over it."""

    deprel: str
    lifted_from: str | None
    passed: bool


def check_scheme(owner: str, scheme: str | None) -> str | None:
    """The scheme itself; raises SettingError for an unknown one."""
    check_choice(owner, "pseudo_projective", scheme, SCHEMES)  # type: ignore[arg-type]
    return scheme


def lift(tree: DependencyTree, scheme: str | None) -> DependencyTree:
    """The projective tree with one root, with traces in its relations; with scheme None only lifted."""
    heads, lifted, passed = projective(tree)
    if scheme is None:
        return tree if tuple(heads) == tree.heads else DependencyTree(tuple(heads), tree.deprels)
    plain = [escape(deprel) for deprel in tree.deprels]
    marked = list(plain)
    for word in lifted:
        # A second root that was only moved under the first has no head whose relation could be named.
        if tree.heads[word - 1]:
            marked[word - 1] += "↑" + ("" if scheme == "path" else plain[tree.heads[word - 1] - 1])
    if scheme != "head":
        for word in passed:
            marked[word - 1] += "↓"
    return DependencyTree(tuple(heads), tuple(marked))


def restore(tree: DependencyTree, scheme: str | None) -> tuple[DependencyTree, int]:
    """The tree with lifted arcs put back and traces removed, and how many of the former found no head.

    From the top down and left to right, each lifted word looks for its head below its present one, breadth first and left to right,
    never below itself: with "head" the first word with the relation named; with "path" the last word of a chain of words
    marked ↓, the nearest first; with "head+path" the first word with the relation among those marked, else among all. Words that
    find none look once more at the end.
    """
    if scheme is None:
        return tree, 0
    traces = [read(deprel) for deprel in tree.deprels]
    deprels = tuple(trace.deprel for trace in traces)
    if all(trace.lifted_from is None for trace in traces):
        return DependencyTree(tree.heads, deprels), 0
    search = _Search(tree.heads, traces, scheme)
    waiting = [word for word in search.from_the_top() if traces[word - 1].lifted_from is not None]
    lost = [word for word in waiting if not search.put_back(word)]
    if len(lost) < len(waiting):  # their heads may only now be back below them
        lost = [word for word in lost if not search.put_back(word)]
    return DependencyTree(tuple(search.heads[1:]), deprels), len(lost)


class _Search:
    """The tree while arcs are put back into it."""

    def __init__(self, heads: Sequence[int], traces: Sequence[Trace], scheme: str) -> None:
        self.heads = [0, *heads]
        self.traces = traces
        self.scheme = scheme
        self.steps = STEPS + STEPS_PER_WORD * len(heads)
        self.dependents: list[dict[int, None]] = [{} for _ in self.heads]
        for word in range(1, len(self.heads)):
            self.dependents[self.heads[word]][word] = None

    def from_the_top(self) -> list[int]:
        """All words, breadth first."""
        order = [0]
        for word in order:
            order.extend(self.dependents[word])
        return order[1:]

    def put_back(self, word: int) -> bool:
        """Attaches a lifted word to the head it was lifted from; False, and nothing done, where none is found."""
        if self.scheme == "path":
            head = self._end_of_path(word)
        else:
            head = self._with_relation(word, marked_only=True) if self.scheme == "head+path" else 0
            head = head or self._with_relation(word, marked_only=False)
        if not head:
            return False
        del self.dependents[self.heads[word]][word]
        self.dependents[head][word] = None
        self.heads[word] = head
        return True

    def _with_relation(self, word: int, marked_only: bool) -> int:
        wanted = self.traces[word - 1].lifted_from
        queue = deque(self._below(self.heads[word], word))
        while queue:
            candidate = queue.popleft()
            trace = self.traces[candidate - 1]
            if marked_only and not trace.passed:
                continue
            if trace.deprel == wanted:
                return candidate
            queue.extend(self._below(candidate, word))
        return 0

    def _end_of_path(self, word: int) -> int:
        found, head = 0, self.heads[word]
        while head >= 0:
            found = head if head != self.heads[word] else found
            head = next((c for c in self._below(head, word) if self.traces[c - 1].passed), -1)
        return found

    def _below(self, head: int, word: int) -> list[int]:
        if self.steps <= 0:
            return []
        self.steps -= len(self.dependents[head])
        return sorted(dependent for dependent in self.dependents[head] if dependent != word)


@lru_cache(maxsize=16384)
def escape(deprel: str) -> str:
    """The relation with arrows and backslashes escaped."""
    return re.sub(r"([\\↑↓])", r"\\\1", deprel)


@lru_cache(maxsize=16384)
def read(label: str) -> Trace:
    """What a marked relation says. Strings that `lift` would not write are read as far as they make sense."""
    match = PARTS.match(label)
    assert match is not None  # every part of the pattern may be empty
    deprel, arrow, source, passed = match.groups()
    if match.end() != len(label):
        return Trace(label, None, False)
    return Trace(_unescaped(deprel), _unescaped(source) if arrow else None, bool(passed))


def _unescaped(text: str) -> str:
    return re.sub(r"\\([\\↑↓])", r"\1", text)
