r"""Unary chains as single labels: what all encodings of constituents share.

The constituents over one stretch of words become one node, whose label joins theirs, topmost first: `S+VP` for an S that holds
nothing but a VP. In labels, `+` is written `\p`, `\` is written `\b`, and the empty label `\e`, so that labels of any characters
come back as they were; a chain of no labels is the empty string.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from ...structures import ConstituencyTree, Span

JOINER = "+"
NO_CHAIN = ""
_PLAIN = {"p": JOINER, "b": "\\", "e": ""}


@lru_cache(maxsize=65536)
def escaped(label: str) -> str:
    """The label as one part of a chain."""
    return label.replace("\\", "\\b").replace(JOINER, "\\p") or "\\e"


@lru_cache(maxsize=65536)
def labels_of(chain: str) -> tuple[tuple[str, ...], bool]:
    """The labels that a chain joins, topmost first, and whether it is written as this module writes it."""
    labels = tuple(re.sub(r"\\([pbe])", _plain, part) for part in chain.split(JOINER)) if chain else ()
    return labels, chain == JOINER.join(map(escaped, labels))


def _plain(match: re.Match[str]) -> str:
    return _PLAIN[match.group(1)]


def collapsed(tree: ConstituencyTree) -> list[Span]:
    """(chain, start, end) per stretch of words that is a constituent, in pre-order."""
    nodes: list[Span] = []
    chain: list[str] = []
    last_start = last_end = -1
    for label, start, end in tree.spans():
        if start != last_start or end != last_end:
            if chain:
                nodes.append((JOINER.join(chain), last_start, last_end))
            chain, last_start, last_end = [], start, end
        chain.append(escaped(label))
    if chain:
        nodes.append((JOINER.join(chain), last_start, last_end))
    return nodes


def restored(n: int, nodes: Iterable[Span], leaves: Iterable[str]) -> tuple[ConstituencyTree, int]:
    """The tree of these nodes, and how many of their chains are not written as `collapsed` writes them.

    nodes: (chain, start, end), no two over the same stretch, none over a single word. leaves: n chains over single words.
    """
    spans: list[Span] = []
    malformed = 0
    for chain, start, end in nodes:
        labels, well_formed = labels_of(chain)
        malformed += not well_formed
        spans += [(label, start, end) for label in labels]
    for i, chain in enumerate(leaves):
        if chain:
            labels, well_formed = labels_of(chain)
            malformed += not well_formed
            spans += [(label, i, i + 1) for label in labels]
    return ConstituencyTree(n, spans), malformed
