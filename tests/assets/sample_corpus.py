"""Reading the sample corpus back, for the tests beside this file."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import conllu
from conllu.models import Token, TokenList

SAMPLE = Path(__file__).parents[2] / "assets" / "sample"
SPLITS = ("train", "dev", "test")


@cache
def sentences(split: str) -> list[TokenList]:
    return list(conllu.parse((SAMPLE / f"{split}.conllu").read_text(encoding="utf-8")))


@cache
def trees(split: str) -> list[str]:
    return (SAMPLE / f"{split}.brackets").read_text(encoding="utf-8").splitlines()


def words(sentence: TokenList) -> list[Token]:
    return [token for token in sentence if isinstance(token["id"], int)]


def everything() -> list[TokenList]:
    return [sentence for split in SPLITS for sentence in sentences(split)]


def crosses(sentence: TokenList) -> bool:
    arcs = [tuple(sorted((token["id"], token["head"]))) for token in words(sentence)]
    return any(a < c < b < d for a, b in arcs for c, d in arcs)


def enhanced(sentence: TokenList) -> list[tuple[object, str, object]]:
    """Arcs (head, relation, dependent) of the enhanced graph."""
    return [(head, label, token["id"]) for token in sentence for label, head in (token["deps"] or [])]


def constituents(tree: str) -> tuple[list[tuple[str, int, int]], list[tuple[str, str]]]:
    """Labelled spans, and (tag, word) leaves, of one tree; fails where the brackets do not balance."""
    spans: list[tuple[str, int, int]] = []
    leaves: list[tuple[str, str]] = []
    open_phrases: list[tuple[str, int]] = []
    for opening, tag, word in re.findall(r"\((\S+) (?=\()|\((\S+) ([^\s()]+)\)|\)", tree):
        if opening:
            open_phrases.append((opening, len(leaves)))
        elif word:
            leaves.append((tag, word))
        else:
            label, start = open_phrases.pop()
            spans.append((label, start, len(leaves)))
    assert not open_phrases
    return spans, leaves
