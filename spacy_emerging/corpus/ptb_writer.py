"""Docs to bracketed trees: what EVALB reads, and what `read_ptb` reads back."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from spacy.tokens import Doc

from ..errors import CorpusError
from ..structures import StructureError
from .annotations import CONSTITUENTS_KEY, constituency_trees, sentence_units
from .files import replacing
from .ptb import ESCAPED, TRACE


def write_ptb(docs: Iterable[Doc], path: str | Path) -> None:
    """Writes one tree a line, in one piece: the file appears when all is written.

    Kept: words, tags, sentences and the constituents in doc.spans["constituents"]. A Doc without sentence boundaries is one sentence;
    where one Doc ends and the next begins is not written, since scorers know of no such line. What `read_ptb` reads from a file, it reads
    back. The format cannot tell a round bracket from its name -LRB- or -RRB-, which is what is written and reads as a bracket in
    words; blanks inside words become `_`, and so does a tag that is not set.
    Raises CorpusError for a Doc that is not annotated with constituents and for the tag -NONE-, which marks what readers leave out,
    StructureError where constituents cross.
    """
    with replacing(Path(path)) as unfinished, unfinished.open("w", encoding="utf-8", newline="\n") as stream:
        for number, doc in enumerate(docs, start=1):
            try:
                trees = constituency_trees(doc, sentence_units(doc))
            except StructureError as error:
                raise StructureError(f"write_ptb: doc.spans[{CONSTITUENTS_KEY!r}] of Doc {number} holds no tree: {error}") from error
            if trees is None:
                raise CorpusError(
                    f"write_ptb: Doc {number} has no doc.spans[{CONSTITUENTS_KEY!r}]; write Docs from brackets or parsed with "
                    f"emerging_constituency."
                )
            trace = next((token for token in doc if token.tag_ == TRACE), None)
            if trace is not None:
                raise CorpusError(
                    f"write_ptb: token {trace.i} of Doc {number} has the tag {TRACE}, which marks traces, no words; give it another."
                )
            for tree in trees:
                words = [ESCAPED.sub(r"\\\g<0>", word) for word in tree.words or ()]
                stream.write(f"{tree.to_brackets(words)}\n")
