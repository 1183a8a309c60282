"""Token-per-line files with chunk tags (CoNLL-2003, WNUT, BioNLP TSV, Universal NER) to Docs.

A line holds a token and, in its last column, its tag; tabs separate columns, or spaces where a line has no tab. Universal NER files
(five columns with tabs: number, token, tag, two more) are known by their first line. Blank lines end sentences; `-DOCSTART-` lines and
`# newdoc` comments begin Docs. IOB1, IOB2, BILOU and BIOES are read by one rule, `tags.chunks`. A file of types without prefix, such
as the event triggers of LitBank, marks one word each.

The format knows no spaces: a `# text = ...` comment that spells the same words tells them, else a space follows every token.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from spacy.tokens import Doc
from spacy.vocab import Vocab

from ..errors import CorpusError
from .documents import Sentence, grouped, make_doc
from .files import broken, numbered_lines
from .tags import OUTSIDE, chunks, is_bare_tag, is_chunk_tag

METADATA = re.compile(r"# [\w.]+(?: id)? =|# (?:newdoc|newpar)\b")
NEW_DOC = re.compile(r"# newdoc\b")
TEXT = re.compile(r"# text = ?(.*)")
SPACES = re.compile(r" +")
DOC_START = "-DOCSTART-"
NUMBERED_COLUMNS = 5


def read_iob(path: str | Path, vocab: Vocab, n_sents: int = 10) -> Iterator[Doc]:
    """The Docs of a token-per-line file, one at a time, with doc.ents and sentence starts set.

    n_sents: sentences per Doc where the file does not mark its documents; at least 1, recommended 1-20, 10 is our default.
    Raises CorpusError with file and line for malformed lines or tags, and with the file for one without sentences.
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
    columns = _Columns(path)
    words: list[str] = []
    tags: list[str] = []
    text: str | None = None
    begins_doc = False
    for line, content in numbered_lines(path):
        starts_doc = content.startswith(DOC_START)
        if starts_doc or not content.strip(" \t"):
            if words:
                yield _sentence(words, tags, text, begins_doc)
                words, tags, text, begins_doc = [], [], None, False
            begins_doc = begins_doc or starts_doc
        elif columns.is_comment(content):
            spelled = TEXT.match(content)
            text = spelled[1] if spelled else text
            begins_doc = begins_doc or NEW_DOC.match(content) is not None
        else:
            word, tag = columns.read(line, content)
            words.append(word)
            tags.append(tag)
    if words:
        yield _sentence(words, tags, text, begins_doc)


def _sentence(words: list[str], tags: list[str], text: str | None, begins_doc: bool) -> Sentence:
    spaces = spaces_in(words, text) if text is not None else None
    return Sentence(words=words, spaces=spaces or [True] * len(words), begins_doc=begins_doc, entities=chunks(tags))


def spaces_in(words: list[str], text: str) -> list[bool] | None:
    """Whether a space follows each word in the text (at its end: yes); None where the text does not spell these words."""
    spaces = []
    at = len(text) - len(text.lstrip())
    for word in words:
        if not text.startswith(word, at):
            return None
        at += len(word)
        rest = len(text) - at - len(text[at:].lstrip()) if at < len(text) and text[at].isspace() else 0
        spaces.append(rest > 0 or at == len(text))
        at += rest
    return spaces if at == len(text) else None


class _Columns:
    """What the first token line of a file settles: how many columns there are, where token and tag stand, how tags look."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.width = 0
        self.token = 0
        self.tag = -1
        self.prefixed: bool | None = None

    def is_comment(self, content: str) -> bool:
        """Whether a line that begins with "# " is a comment: "#" may also be a token."""
        if METADATA.match(content):
            return True
        if not content.startswith("# ") or "\t" in content:
            return False
        cells = _cells(content)
        return len(cells) != (self.width or 2) or not is_chunk_tag(cells[-1])

    def read(self, line: int, content: str) -> tuple[str, str]:
        """The token and the tag of a line. Raises CorpusError with file and line."""
        cells = _cells(content)
        if not self.width:
            self._settle(line, cells)
        if len(cells) != self.width:
            raise broken(self.path, line, f"the line has {len(cells)} columns, but the lines before it have {self.width}.")
        word, tag = cells[self.token], cells[self.tag]
        if not word:
            raise broken(self.path, line, "the token is empty; write the word, or remove the line.")
        self._check(line, tag)
        return word, tag

    def _settle(self, line: int, cells: list[str]) -> None:
        if len(cells) < 2:
            raise broken(self.path, line, "the line has 1 column, but a token and its tag are needed, separated by a tab or space.")
        self.width = len(cells)
        if self.width == NUMBERED_COLUMNS and cells[0] == "1" and is_chunk_tag(cells[2]) and not is_chunk_tag(cells[-1]):
            self.token, self.tag = 1, 2

    def _check(self, line: int, tag: str) -> None:
        if tag == OUTSIDE:
            return
        prefixed = is_chunk_tag(tag)
        if not prefixed and not (is_bare_tag(tag) and self.prefixed is not True):
            raise broken(self.path, line, f"the tag is {tag!r}, but must be O or a letter of BILUES, a hyphen and a type.")
        if prefixed and self.prefixed is False:
            raise broken(self.path, line, f"the tag {tag!r} has a prefix, but tags before it have none; write all in one way.")
        self.prefixed = prefixed


def _cells(content: str) -> list[str]:
    """The columns of a line. Spaces inside a line with tabs belong to its tokens."""
    if "\t" in content:
        return [cell.strip(" ") for cell in content.split("\t")]
    return SPACES.split(content.strip(" "))
