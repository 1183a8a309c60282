"""Bracketed constituency trees, as in the Penn Treebank, to Docs.

A tree takes one line or many; what stands between trees may be blank, or a comment that begins with `#`, `%`, `;` or `*`. An outer
bracket without a label is dropped. Traces (words with the tag -NONE-) are left out, and with them the constituents that hold nothing
else. In words -LRB- and its like become brackets, and `\\/` and `\\*` lose their backslash; the tag `_` stands for no tag.

Labels lose their functions and indices by default, as EVALB and the published parsers have it: NP-SBJ-1 and NP=2 are both NP. The
format `ptb-functions` keeps them. The format knows no spaces: one follows every token.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from spacy.tokens import Doc
from spacy.vocab import Vocab

from .. import brackets
from ..errors import CorpusError
from .documents import Sentence, grouped, make_doc
from .files import broken, numbered_lines

COMMENTS = ("#", "%", ";", "*")
TRACE = "-NONE-"
NO_TAG = "_"
FUNCTION = re.compile(r"(?<=.)[-=].*")
ESCAPED = re.compile(r"\\([/*])")


def read_ptb(path: str | Path, vocab: Vocab, n_sents: int = 10, function_tags: bool = False) -> Iterator[Doc]:
    """The Docs of a file of trees, one at a time, with tags, sentence starts and doc.spans["constituents"] set.

    n_sents: sentences per Doc; at least 1, recommended 1-20, 10 is our default.
    function_tags: whether NP-SBJ-1 stays what it is; else it is NP, our default.
    Raises CorpusError with file and line for malformed trees, and with the file for one without sentences.
    """
    path = Path(path)
    found = False
    for group in grouped(_sentences(path, function_tags), n_sents):
        found = True
        yield make_doc(vocab, group)
    if not found:
        raise CorpusError(f"{path}: the file holds no sentences; check that it is the right file and not truncated.")


read_ptb_functions = partial(read_ptb, function_tags=True)


def without_function(label: str) -> str:
    """`NP` of NP-SBJ-1 and of NP=2; a label that begins with a hyphen, such as -LRB-, stays what it is."""
    return FUNCTION.sub("", label) if label[:1] != "-" else label


def _sentences(path: Path, function_tags: bool) -> Iterator[Sentence]:
    """The sentences of the file, one at a time; a tree of nothing but traces is none."""
    for line, text in _trees(path):
        try:
            words, tags, spans = brackets.parse(text)
        except brackets.BracketsError as error:
            raise broken(path, line, f"the tree that begins here cannot be read: {error}") from error
        if any(not label for label, _, _ in spans):
            raise broken(path, line, "the tree that begins here has a bracket without a label inside; name the constituent.")
        if not words:
            raise broken(path, line, "the tree that begins here holds no word; remove it.")
        kept = [i for i, tag in enumerate(tags) if tag != TRACE]
        if kept:
            yield Sentence(
                words=[ESCAPED.sub(r"\1", words[i]) for i in kept],
                spaces=[True] * len(kept),
                tags=["" if tags[i] == NO_TAG else tags[i] for i in kept],
                constituents=_constituents(spans, tags, function_tags),
            )


def _constituents(spans: list[brackets.Span], tags: list[str], function_tags: bool) -> list[tuple[int, int, str]]:
    """The constituents over what remains without traces."""
    before = [0]
    for tag in tags:
        before.append(before[-1] + (tag != TRACE))
    return [
        (before[start], before[end], label if function_tags else without_function(label))
        for label, start, end in spans
        if before[start] < before[end]
    ]


def _trees(path: Path) -> Iterator[tuple[int, str]]:
    """The text of every tree, and the line on which it begins."""
    parts: list[str] = []
    depth = begins = 0
    for line, content in numbered_lines(path):
        if not depth and content.lstrip().startswith(COMMENTS):
            continue
        for part in brackets.TOKEN.findall(content):
            if not depth:
                if part != "(":
                    raise broken(path, line, f"{part!r} stands outside every tree; a tree begins with an opening bracket.")
                begins = line
            depth += (part == "(") - (part == ")")
            parts.append(part)
            if not depth:
                yield begins, " ".join(parts)
                parts = []
    if depth:
        raise broken(path, begins, f"the tree that begins here is not closed: {depth} closing brackets are missing.")
