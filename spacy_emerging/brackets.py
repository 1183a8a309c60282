"""Bracket notation of constituency trees, as in the Penn Treebank, to and from plain lists. Without recursion."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

Span = tuple[str, int, int]

TOKEN = re.compile(r"[()]|[^\s()]+")
NAMED = re.compile(r"-[LR][RSC]B-")
READ = {"-LRB-": "(", "-RRB-": ")", "-LSB-": "[", "-RSB-": "]", "-LCB-": "{", "-RCB-": "}"}


class BracketsError(ValueError):
    """Text that is no tree."""


class _Open:
    """A bracket that is not closed yet: its label, where it starts, and what has been seen in it."""

    __slots__ = ("bare", "label", "order", "parts", "start")

    def __init__(self, start: int, order: int) -> None:
        self.label: str | None = None
        self.start = start
        self.order = order
        self.parts = 0
        self.bare = 0


def parse(text: str) -> tuple[list[str], list[str], list[Span]]:
    """Words, tags and constituents in pre-order of one tree.

    A bracket that holds one bare word and nothing else is a word with its tag; a bare word beside other parts gets the tag "".
    In words, not in tags, -LRB- and the other names of brackets become the brackets that they stand for.
    Raises BracketsError for unbalanced brackets, an empty bracket inside the tree, or text after it.
    """
    words: list[str] = []
    tags: list[str] = []
    found: dict[int, Span] = {}
    stack: list[_Open] = []
    opened = 0
    for token in TOKEN.findall(text):
        if token == "(":
            if opened and not stack:
                raise BracketsError(f"a second tree begins after word {len(words)}; give one tree at a time.")
            if stack:
                stack[-1].parts += 1
                stack[-1].label = stack[-1].label or ""
            stack.append(_Open(len(words), opened))
            opened += 1
        elif not stack:
            raise BracketsError(f"{token!r} after word {len(words)} stands outside every bracket.")
        elif token == ")":
            _close(stack, words, tags, found)
        elif stack[-1].label is None:
            stack[-1].label = token
        else:
            stack[-1].parts += 1
            stack[-1].bare += 1
            words.append(NAMED.sub(lambda name: READ[name[0]], token) if "B-" in token else token)
            tags.append("")
    if stack or not opened:
        raise BracketsError(f"{len(stack)} brackets are not closed." if stack else "the text holds no bracket.")
    return words, tags, [found[order] for order in sorted(found)]


def _close(stack: list[_Open], words: list[str], tags: list[str], found: dict[int, Span]) -> None:
    closed = stack.pop()
    if closed.parts == closed.bare == 1:
        tags[-1] = closed.label or ""
    elif closed.start == len(words):
        if stack:
            name = f"the bracket {closed.label!r}" if closed.label else "a bracket without a label"
            raise BracketsError(f"{name} after word {len(words)} is empty.")
    elif closed.label or stack:
        found[closed.order] = (closed.label or "", closed.start, len(words))


def write(spans: Sequence[Span], words: Sequence[str], tags: Sequence[str]) -> str:
    """One line of brackets. spans: constituents in pre-order; words, tags: one per word."""
    return "".join(_pieces(spans, words, tags)).strip()


def _pieces(spans: Sequence[Span], words: Sequence[str], tags: Sequence[str]) -> Iterator[str]:
    n = len(words)
    whole = bool(spans) and spans[0][1:] == (0, n)
    if not whole:
        yield "("
    ends: list[int] = []
    following = 0
    for i in range(n):
        while following < len(spans) and spans[following][1] == i:
            yield f" ({_escaped(spans[following][0])}"
            ends.append(spans[following][2])
            following += 1
        yield f" ({_escaped(tags[i])} {_escaped(words[i])})"
        while ends and ends[-1] == i + 1:
            yield ")"
            ends.pop()
    if not whole:
        yield ")"


def _escaped(text: str) -> str:
    return "_".join(text.replace("(", "-LRB-").replace(")", "-RRB-").split()) or "_"
