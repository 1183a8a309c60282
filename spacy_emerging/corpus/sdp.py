"""Semantic dependency graphs in the columns of SDP 2015 (Oepen et al. 2015, SemEval task 18) to Docs.

A line holds id, form, lemma, pos, top, pred and frame, then one column per predicate of the sentence, in textual order, that says
which argument of that predicate the word is. What goes where: form -> text; lemma -> lemma; pos -> tag; arguments and tops ->
the graph of `annotations.graph_arcs`, a top as an arc from the root with the label "root".

The rules for what a Doc or the format has no place for:
- Frames (senses) are not kept. A predicate without arguments stays a word like any other.
- Several arcs between two words stand in one cell, joined by "|". The format's own corpora never need this.
- `#20003001` above a sentence is its id: 2, then the document, then three digits for the sentence. Another document begins a new Doc;
  a file without such ids is cut every n_sents sentences. Other lines that begin with # are comments.
- The format knows no spaces: one follows every word.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from spacy.tokens import Doc
from spacy.vocab import Vocab

from ..errors import CorpusError
from .annotations import Arc
from .documents import Sentence, grouped, make_doc
from .files import broken, numbered_lines

FORM, LEMMA, POS, TOP, PRED, FRAME, FIRST_ARGUMENT = range(1, 8)
YES, NO, MISSING = "+", "-", "_"
TOP_LABEL = "root"
"""Label of the arc from the root that stands for a top: Universal Dependencies' name for it."""
BETWEEN_LABELS = "|"
SENTENCE_ID = re.compile(r"#2(\d+)\d{3}\s*")


class Row(NamedTuple):
    """One word: its line in the file, and its columns."""

    line: int
    cells: list[str]


def read_sdp(path: str | Path, vocab: Vocab, n_sents: int = 10) -> Iterator[Doc]:
    """The Docs of a file in SDP 2015 columns, one at a time, with a graph and sentence starts.

    n_sents: sentences per Doc where the file does not mark its documents; at least 1, recommended 1-20, 10 is our default.
    Raises CorpusError with file and line for malformed lines, and with the file for one without sentences.
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
    rows: list[Row] = []
    document: str | None = None
    begins_doc = False
    for line, text in numbered_lines(path):
        if not text.strip():
            if rows:
                yield _sentence(path, rows, begins_doc)
                rows, begins_doc = [], False
        elif text.startswith("#"):
            named = SENTENCE_ID.fullmatch(text)
            if named and named[1] != document:
                document, begins_doc = named[1], True
        else:
            rows.append(Row(line, text.split("\t")))
    if rows:
        yield _sentence(path, rows, begins_doc)


def _sentence(path: Path, rows: list[Row], begins_doc: bool) -> Sentence:
    predicates = _predicates(path, rows)
    arcs: list[Arc] = []
    for word, row in enumerate(rows, 1):
        if row.cells[TOP] == YES:
            arcs.append((0, word, TOP_LABEL))
        for predicate, cell in zip(predicates, row.cells[FIRST_ARGUMENT:], strict=True):
            if cell != MISSING:
                arcs += [(predicate, word, label) for label in cell.split(BETWEEN_LABELS)]
    return Sentence(
        words=[row.cells[FORM] for row in rows],
        spaces=[True] * len(rows),
        begins_doc=begins_doc,
        # A lemma "_" is the lemma of the word "_", and else missing.
        lemmas=["" if row.cells[LEMMA] == MISSING != row.cells[FORM] else row.cells[LEMMA] for row in rows],
        tags=["" if row.cells[POS] == MISSING else row.cells[POS] for row in rows],
        arcs=arcs,
    )


def _predicates(path: Path, rows: list[Row]) -> list[int]:
    """The predicates of a sentence, counted from 1. Raises CorpusError for the first line that is malformed."""
    for number, (line, cells) in enumerate(rows, 1):
        if len(cells) < FIRST_ARGUMENT:
            raise broken(path, line, f"the line has {len(cells)} columns, but at least {FIRST_ARGUMENT} separated by tabs are needed.")
        if cells[0] != str(number):
            raise broken(path, line, f"the id is {cells[0]!r}, but {number} comes next in this sentence.")
        if not cells[FORM]:
            raise broken(path, line, "the word form (column 2) is empty; write the word.")
        for column, name in ((TOP, "top"), (PRED, "pred")):
            if cells[column] not in (YES, NO):
                raise broken(path, line, f"the {name} (column {column + 1}) is {cells[column]!r}, but must be + or -.")
    predicates = [number for number, row in enumerate(rows, 1) if row.cells[PRED] == YES]
    width = FIRST_ARGUMENT + len(predicates)
    for line, cells in rows:
        if len(cells) != width:
            raise broken(
                path, line, f"the line has {len(cells)} columns, but the sentence has {len(predicates)} predicates and so needs {width}."
            )
        for column in range(FIRST_ARGUMENT, width):
            if "" in cells[column].split(BETWEEN_LABELS):
                raise broken(path, line, f"an argument (column {column + 1}) is {cells[column]!r}, but must be a label, or _ for none.")
    return predicates
