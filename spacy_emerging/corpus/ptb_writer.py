"""Docs to bracketed trees: what EVALB reads, and what `read_ptb` reads back."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from spacy.tokens import Doc

from ..errors import CorpusError
from ..structures import StructureError
from .annotations import CONSTITUENTS_KEY, constituency_trees, sentence_units
from .files import replacing


def write_ptb(docs: Iterable[Doc], path: str | Path) -> None:
    """Writes one tree a line, in one piece: the file appears when all is written.

    Kept: words, tags, sentences and the constituents in doc.spans["constituents"]. A Doc without sentence boundaries is one sentence;
    where one Doc ends and the next begins is not written, since scorers know of no such line. Round brackets become -LRB- and -RRB-,
    blanks inside words `_`, and so does a tag that is not set.
    Raises CorpusError for a Doc that is not annotated with constituents, StructureError where they cross.
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
            for tree in trees:
                stream.write(f"{tree.to_brackets()}\n")
