"""Docs to segmented text, which the official scorers of the bakeoffs read, and to a character and its tag per line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from spacy.tokens import Doc, Token

from ..linearizations.segment_tags import SegmentTags
from ..structures import Segments
from .annotations import sentence_units
from .files import replacing
from .segmented import INSIDE_WORDS

WHITESPACE = re.compile(r"\s+")
LINE_END = re.compile(r"[\r\n]")
TAGS = SegmentTags("bmesx")


def write_segmented(docs: Iterable[Doc], path: str | Path) -> None:
    """Writes one sentence a line, a blank between its words, in one piece: the file appears when all is written.

    A Doc without sentence boundaries is one line. Whitespace inside words becomes `_`; tokens of whitespace are left out, and so are
    sentences without words. Where Docs begin, and whether there were blanks between words, is not written.
    """
    with replacing(Path(path)) as unfinished, unfinished.open("w", encoding="utf-8", newline="\n") as stream:
        for sentence in _sentences(docs):
            words = [WHITESPACE.sub(INSIDE_WORDS, token.text.strip()) for token in sentence if not token.text.isspace()]
            if words:
                stream.write(" ".join(words) + "\n")


def write_bmes(docs: Iterable[Doc], path: str | Path) -> None:
    """Writes a code point and its tag a line, an empty line after each sentence; in one piece: the file appears when all is written.

    A Doc without sentence boundaries is one sentence. Blanks have lines of their own; a line break, which could not be told from the
    end of a line, becomes a blank. Where Docs begin is not written.
    """
    with replacing(Path(path)) as unfinished, unfinished.open("w", encoding="utf-8", newline="\n") as stream:
        for sentence in _sentences(docs):
            text = LINE_END.sub(" ", "".join(token.text_with_ws for token in sentence))
            start = sentence[0].idx
            words = tuple(_place(token, start) for token in sentence if not token.text.isspace())
            for character, (tag,) in zip(text, TAGS.encode(Segments(len(text), words)), strict=True):
                stream.write(f"{character}\t{tag}\n")
            stream.write("\n")


def _place(token: Token, start: int) -> tuple[int, int]:
    """Where a word begins and ends in a text that begins at `start`, without whitespace at its ends."""
    at = token.idx - start
    return at + len(token.text) - len(token.text.lstrip()), at + len(token.text.rstrip())


def _sentences(docs: Iterable[Doc]) -> Iterator[list[Token]]:
    """The tokens of each sentence."""
    for doc in docs:
        for start, end in sentence_units(doc):
            yield [doc[i] for i in range(start, end)]
