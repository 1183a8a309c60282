"""Files with a character and its tag per line to Docs: B begins a word, M stands in its middle, E ends it, S is a word by itself.

A tab separates the two, or a blank where a line has no tab; empty lines end sentences. I may stand for M. A character may be a blank or
other whitespace: X between words, M inside of one. Text without such lines has no blanks between its words.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from spacy.tokens import Doc
from spacy.vocab import Vocab

from ..errors import CorpusError
from .documents import Sentence, grouped, make_doc
from .files import broken, numbered_lines

BEGINNING, CONTINUING, ENDING = "BSX", "MIE", "ESX"
"""Tags of what cannot stand inside of an unfinished word, of what only can, and of what leaves no word unfinished."""


def read_bmes(path: str | Path, vocab: Vocab, n_sents: int = 10) -> Iterator[Doc]:
    """The Docs of a file, one at a time, with sentence starts set.

    n_sents: sentences per Doc; at least 1, recommended 1-20, 10 is our default.
    Raises CorpusError with file and line for malformed lines and for tags that make no words, and with the file for one without sentences.
    """
    path = Path(path)
    found = False
    for group in grouped(_sentences(path), n_sents):
        found = True
        yield make_doc(vocab, group)
    if not found:
        raise CorpusError(f"{path}: the file holds no sentences; check that it is the right file and not truncated.")


def _sentences(path: Path) -> Iterator[Sentence]:
    """The sentences of the file, one at a time."""
    line = 0
    words = _Words(path)
    for line, content in numbered_lines(path):
        if content.strip(" "):
            words.add(line, *_cells(path, line, content))
        elif words.found:
            yield words.finished(line)
            words = _Words(path)
    if words.found:
        yield words.finished(line)


def _cells(path: Path, line: int, content: str) -> tuple[str, str]:
    """The character and the tag of a line."""
    character, _, tag = content.rpartition("\t" if "\t" in content else " ")
    if not character:
        raise broken(path, line, "the line needs a character and its tag, separated by a tab.")
    if any(map(str.isspace, character)) and not character.isspace():
        raise broken(path, line, f"{character!r} is a character with whitespace, which needs a line and a tag of its own.")
    if len(tag) != 1 or tag not in BEGINNING + CONTINUING:
        raise broken(path, line, f"the tag is {tag!r}, but must be B, M, E, S or X (for whitespace between words).")
    return character, tag


class _Words:
    """The words of one sentence, as far as it has been read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.words: list[str] = []
        self.spaces: list[bool] = []
        self.begun = ""
        self.gap = ""

    @property
    def found(self) -> bool:
        """Whether there is anything yet."""
        return bool(self.words or self.begun or self.gap)

    def add(self, line: int, character: str, tag: str) -> None:
        """One more character. Raises CorpusError where its tag does not follow from the one before it."""
        if tag in BEGINNING and self.begun:
            raise broken(self.path, line, f"the tag is {tag}, but the word before it has not ended; its last character needs the tag E.")
        if tag in CONTINUING and not self.begun:
            raise broken(self.path, line, f"the tag is {tag}, but no word has begun; the first of several characters needs the tag B.")
        if character.isspace() and tag not in "XMI":
            raise broken(self.path, line, f"whitespace has the tag {tag}, but no word begins or ends with it; give it X, or M in a word.")
        if tag == "X":
            if not character.isspace():
                raise broken(self.path, line, f"{character!r} has the tag X, but only whitespace can be outside of words.")
            self.gap += character
            return
        self._close_gap()
        self.begun += character
        if tag in ENDING:
            self._append(self.begun)
            self.begun = ""

    def _append(self, word: str) -> None:
        self.words.append(word)
        self.spaces.append(False)

    def _close_gap(self) -> None:
        """Whitespace between words: one blank belongs to the word before it, the rest is a token, as spaCy's tokenizer has it."""
        if self.words and self.gap.startswith(" "):
            self.spaces[-1] = True
            self.gap = self.gap[1:]
        if self.gap:
            self._append(self.gap)
            self.gap = ""

    def finished(self, line: int) -> Sentence:
        """The sentence. Raises CorpusError where its last word has no end."""
        if self.begun:
            raise broken(self.path, line, "the sentence ends inside a word; its last character needs the tag E.")
        self._close_gap()
        return Sentence(words=self.words, spaces=self.spaces)
