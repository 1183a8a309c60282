"""What the encodings of dependency graphs share: two labels per word, a code for where its heads are and its arcs' relations."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Sequence
from functools import lru_cache
from typing import ClassVar

from ...structures import DependencyGraph
from ...types import LabelTuple
from ..base import Decoded, Linearization
from ..columns import columns
from ..planes import Arc

NULL = "\\0"
"""The relation of an artificial arc; escaped relations never read so."""
UNKNOWN_RELATION = "dep"
"""The relation of an arc whose label has none: Universal Dependencies' unspecified dependency."""


class GraphLabels(Linearization[DependencyGraph]):
    r"""(code, relations) per word. A subclass says what a code is.

    Relations are joined by `|` in the order of (plane or subset, head), those of two arcs with the same ends in alphabetical
    order; in relations, `|` is written `\p` and `\` is written `\b`. Artificial arcs have the relation `\0`.
    """

    fields = ("code", "relations")
    self_loops: ClassVar[bool] = False
    """Whether an arc from a word to itself can be written."""

    @abstractmethod
    def _write(self, n: int, arcs: list[Arc]) -> tuple[list[str], list[list[int | None]]]:
        """The codes of words 1..n, and per word (from 0, unused) the heads of the arcs written, in order; None for an artificial arc."""

    @abstractmethod
    def _read(self, codes: Sequence[str]) -> tuple[list[list[int]], int]:
        """Per word (from 0, unused) its heads in order, and the number of repairs. Heads that do not exist are sorted out later."""

    def encode(self, structure: DependencyGraph) -> list[LabelTuple]:
        """(code, relations) per word."""
        known: dict[Arc, list[str]] = {}
        for head, word, relation in sorted(structure.arcs, key=lambda arc: arc[2], reverse=True):
            if head != word or self.self_loops:
                known.setdefault((head, word), []).append(relation)
        codes, written = self._write(structure.n, [arc for arc, relations in known.items() for _ in relations])
        joined = [
            "|".join(NULL if head is None else escaped(known[head, word].pop()) for head in heads)
            for word, heads in enumerate(written[1:], 1)
        ]
        return list(zip(codes, joined, strict=True))

    def decode(self, labels: Sequence[Sequence[str]]) -> Decoded:
        """The graph of all arcs that make sense. Codes or parts of them that do not, and relations too few or too many, are one
        repair each; an arc without a relation gets the unspecified one."""
        (codes, joined), repairs = columns(labels, 2)
        n = len(codes)
        found, misread = self._read(codes)
        repairs += misread
        arcs = set()
        for word in range(1, n + 1):
            heads, relations = found[word], split(joined[word - 1])
            if not heads and not joined[word - 1]:
                continue
            repairs += abs(len(heads) - len(relations))
            for place, head in enumerate(heads):
                relation = relations[place] if place < len(relations) else UNKNOWN_RELATION
                if not 0 <= head <= n or (head == word and not self.self_loops):
                    repairs += 1
                elif relation is not None:
                    arcs.add((head, word, relation))
        return Decoded(DependencyGraph(n, frozenset(arcs)), repairs)


@lru_cache(maxsize=16384)
def escaped(relation: str) -> str:
    """The relation as one part of a joined label."""
    return relation.replace("\\", "\\b").replace("|", "\\p")


@lru_cache(maxsize=16384)
def split(joined: str) -> tuple[str | None, ...]:
    """The relations of a joined label, None for that of an artificial arc."""
    return tuple(None if part == NULL else re.sub(r"\\([bp])", _plain, part) for part in joined.split("|"))


def _plain(match: re.Match[str]) -> str:
    return "\\" if match.group(1) == "b" else "|"


def heads_in_order(n: int, planes: Sequence[Sequence[Arc]]) -> list[list[int | None]]:
    """Per word (from 0, unused), the heads of its arcs by (plane, head)."""
    result: list[list[int | None]] = [[] for _ in range(n + 1)]
    for arcs in planes:
        for head, word in sorted(arcs):
            result[word].append(head)
    return result
