"""`spacy-emerging.CharacterTokenizer.v1`: every character a token, for components that find the words themselves."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from spacy.language import Language
from spacy.tokens import Doc
from spacy.vocab import Vocab

JOINER = "\u200d"
SKIN_TONES = range(0x1F3FB, 0x1F400)


def CharacterTokenizer() -> Callable[[Language], Characters]:
    """The tokenizer below `emerging_segmenter`. It has no settings, and nothing that would have to be saved."""
    return lambda nlp: Characters(nlp.vocab)


class Characters:
    """Cuts a text into its characters; `doc.text` is the text, whatever it holds.

    A character is a code point and what is drawn onto it: combining marks and variation selectors (Unicode's category M), skin tones,
    and whatever a zero-width joiner joins. No word ends inside such a cluster, so none of these is a token of its own. Letters of
    Hangul and of Indic scripts count one by one.

    Whitespace is treated as by spaCy's own tokenizer: one blank after a character is kept in `whitespace_`; the rest of a run of
    whitespace, and one at the beginning, is one token.
    """

    def __init__(self, vocab: Vocab) -> None:
        self.vocab = vocab

    def __call__(self, text: str) -> Doc:
        """The Doc of the text's characters."""
        words: list[str] = []
        spaces: list[bool] = []
        for piece in pieces(text):
            if piece.isspace():
                if words and piece[0] == " ":
                    spaces[-1] = True
                    piece = piece[1:]
                if not piece:
                    continue
            words.append(piece)
            spaces.append(False)
        return Doc(self.vocab, words=words, spaces=spaces)

    def pipe(self, texts: Iterable[str], **_: Any) -> Iterator[Doc]:
        """One Doc per text."""
        yield from map(self, texts)

    def to_bytes(self, **_: Any) -> bytes:
        """Nothing: there is nothing to save."""
        return b""

    def from_bytes(self, data: bytes, **_: Any) -> Characters:
        """The tokenizer as it is."""
        return self

    def to_disk(self, path: str | Path, **_: Any) -> None:
        """Writes nothing: there is nothing to save."""

    def from_disk(self, path: str | Path, **_: Any) -> Characters:
        """The tokenizer as it is."""
        return self


def pieces(text: str) -> Iterator[str]:
    """The characters of a text, and its runs of whitespace in one piece each. Linear."""
    start = 0
    previous = ""
    for at, code_point in enumerate(text):
        if at and not _continues(previous, code_point):
            yield text[start:at]
            start = at
        previous = code_point
    if text:
        yield text[start:]


def _continues(previous: str, code_point: str) -> bool:
    """Whether a code point belongs to the same piece as the one before it."""
    if previous.isspace() or code_point.isspace():
        return previous.isspace() and code_point.isspace()
    return previous == JOINER or _is_drawn_on(code_point)


@lru_cache(maxsize=2**16)
def _is_drawn_on(code_point: str) -> bool:
    return code_point == JOINER or ord(code_point) in SKIN_TONES or unicodedata.category(code_point)[0] == "M"
