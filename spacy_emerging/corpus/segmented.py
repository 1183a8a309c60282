"""Segmented text, one sentence per line and blanks between its words, to Docs: the format of the SIGHAN bakeoffs (Emerson 2005).

The blanks are the annotation and not part of the text, which has none between its words. In segmented text of a language that writes
blanks, such as Vietnamese, underscores join the syllables of a word; read with `blanks`, they become blanks, and those between words stay.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from spacy.tokens import Doc
from spacy.vocab import Vocab

from ..errors import CorpusError
from .documents import Sentence, grouped, make_doc
from .files import numbered_lines

INSIDE_WORDS = "_"
"""What stands for a blank inside of a word."""


def read_segmented(path: str | Path, vocab: Vocab, n_sents: int = 10, *, blanks: bool = False) -> Iterator[Doc]:
    """The Docs of a file, one at a time, with sentence starts set.

    n_sents: sentences per Doc; at least 1, recommended 1-20, 10 is our default.
    blanks: whether the text has blanks between its words, and underscores stand for those inside words.
    Raises CorpusError with file and line for what is not UTF-8, and with the file for one without sentences.
    """
    path = Path(path)
    found = False
    for group in grouped(_sentences(path, blanks), n_sents):
        found = True
        yield make_doc(vocab, group)
    if not found:
        raise CorpusError(f"{path}: the file holds no sentences; check that it is the right file and not truncated.")


read_segmented_blanks = partial(read_segmented, blanks=True)
"""`read_segmented` for text with blanks."""


def _sentences(path: Path, blanks: bool) -> Iterator[Sentence]:
    """The sentences of the file; lines of nothing but whitespace are none."""
    for _, content in numbered_lines(path):
        words = content.split()
        if blanks:
            # An underscore at either end is a character of the text: no word begins or ends with a blank.
            words = [_with_blanks(word) for word in words]
        if words:
            yield Sentence(words=words, spaces=[blanks] * len(words))


def _with_blanks(word: str) -> str:
    inner = word.strip(INSIDE_WORDS)
    return word.replace(inner, inner.replace(INSIDE_WORDS, " "), 1) if inner else word
