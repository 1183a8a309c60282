"""Chunk tags to spans: IOB1, IOB2, BILOU and BIOES alike, ill-formed sequences too."""

from __future__ import annotations

import re
from collections.abc import Iterable

Chunk = tuple[int, int, str]
"""Start, end (exclusive) and label of a span of words."""

OUTSIDE = "O"
PREFIXED = re.compile(r"([BILUES])-(.+)")
BARE = re.compile(r"[^\W\d_](?:.*\w)?")
SINGLE, LAST = frozenset("US"), frozenset("LE")


def is_chunk_tag(text: str) -> bool:
    """Whether the text is O or a prefix, a hyphen and a type."""
    return text == OUTSIDE or PREFIXED.fullmatch(text) is not None


def is_bare_tag(text: str) -> bool:
    """Whether the text can be a type without prefix; a prefix letter alone cannot."""
    return BARE.fullmatch(text) is not None and text not in "BILUESO"


def chunks(tags: Iterable[str]) -> list[Chunk]:
    """The spans that the tags of one sentence stand for.

    The rules are those of the CoNLL-2000 evaluation (Tjong Kim Sang and Buchholz 2000), which give every sequence one reading:
    B, U and S always begin a span; I, L and E begin one where no span of that type is open; L, E, U and S end theirs.
    A type without prefix is a span of one word.
    """
    found: list[Chunk] = []
    start, label = -1, ""
    for position, tag in enumerate([*tags, OUTSIDE]):
        match = PREFIXED.fullmatch(tag)
        prefix, kind = match.groups() if match else ("", "") if tag == OUTSIDE else ("U", tag)
        begins = prefix != "" and (prefix in "BUS" or start < 0 or kind != label)
        if start >= 0 and (begins or not prefix):
            found.append((start, position, label))
            start = -1
        if begins:
            start, label = position, kind
        if prefix in SINGLE or prefix in LAST:
            found.append((start, position + 1, label))
            start = -1
    return found


def iob2(n: int, spans: Iterable[Chunk]) -> list[str]:
    """The IOB2 tags of n words with these spans, which must not overlap."""
    tags = [OUTSIDE] * n
    for start, end, label in spans:
        tags[start:end] = [f"B-{label}", *[f"I-{label}"] * (end - start - 1)]
    return tags


def outermost(spans: Iterable[Chunk]) -> list[Chunk]:
    """The spans without those inside another; of two that cross, the longer; of equals, the first. In textual order."""
    kept: list[Chunk] = []
    covered: set[int] = set()
    for start, end, label in sorted(spans, key=lambda span: (span[0] - span[1], span[0])):
        if start not in covered and end - 1 not in covered:
            kept.append((start, end, label))
            covered.update(range(start, end))
    return sorted(kept)
