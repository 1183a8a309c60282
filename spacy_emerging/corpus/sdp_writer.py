"""Docs to the columns of SDP 2015: what the official scorer reads, and what `read_sdp` reads back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from spacy.tokens import Doc, Span

from ..errors import CorpusError
from .annotations import Arc, arcs_within, graph_arcs, sentence_units
from .files import replacing
from .sdp import BETWEEN_LABELS, MISSING, NO, YES

HEADER = "#SDP 2015"


def write_sdp(docs: Iterable[Doc], path: str | Path) -> None:
    """Writes Docs in SDP 2015 columns, in one piece: the file appears when all is written.

    Kept: words, lemmas, tags, the graph, sentences, and Docs by the ids of sentences (a Doc of more than 999 sentences is cut on reading).
    An arc from the root is written as a top, whatever its label. Arcs between sentences and spaces are lost, and so are the
    names of root arcs other than "root". Words with an outgoing arc are predicates. A Doc without sentence boundaries is one sentence.
    Raises CorpusError for a Doc without a graph, for a token that is white space, for a tab or line break in a token, lemma or tag, and
    for a label that the format cannot hold: it is empty, is "_", or contains "|", a tab or a line break.
    """
    with replacing(Path(path)) as unfinished, unfinished.open("w", encoding="utf-8", newline="\n") as stream:
        stream.write(f"{HEADER}\n")
        for number, doc in enumerate(docs, start=1):
            for text in _sentences(doc, number):
                stream.write(text)


def _sentences(doc: Doc, number: int) -> Iterator[str]:
    """The sentences of a Doc, each with its id. number: of the Doc in the file, from 1."""
    arcs = graph_arcs(doc)
    if arcs is None:
        raise CorpusError(
            f"write_sdp: Doc {number} has no dependency graph; annotate it with emerging_graph, or read it from a corpus with graphs."
        )
    units = sentence_units(doc)
    for i, ((start, end), inside) in enumerate(zip(units, arcs_within(arcs, units), strict=True), start=1):
        rows = _rows(doc[start:end], inside, f"Doc {number} (sentence {i})")
        yield "\n".join([f"#2{number:04}{i:03}", *rows]) + "\n\n"


def _rows(sentence: Span, arcs: list[Arc], where: str) -> Iterator[str]:
    tops = {dependent for head, dependent, _ in arcs if head == 0}
    predicates = sorted({head for head, _, _ in arcs if head})
    cells: dict[tuple[int, int], list[str]] = {}
    for head, dependent, label in arcs:
        if head:
            _check_label(label, where)
            cells.setdefault((head, dependent), []).append(label)
    for word, token in enumerate(sentence, 1):
        if not token.text.strip() or any(mark in token.text for mark in "\t\n\r"):
            raise CorpusError(
                f"write_sdp: token {token.i} of {where} is {token.text!r}, which SDP columns cannot hold; make the Docs from text without "
                f"extra white space."
            )
        fixed = [str(word), token.text, token.lemma_ or MISSING, token.tag_ or token.pos_ or MISSING]
        for name, cell in zip(("lemma", "tag"), fixed[2:], strict=True):
            if any(mark in cell for mark in "\t\n\r"):
                raise CorpusError(
                    f"write_sdp: the {name} of token {token.i} of {where} is {cell!r}, which SDP columns cannot hold; rename it."
                )
        flags = [YES if word in tops else NO, YES if word in predicates else NO, MISSING]
        arguments = [BETWEEN_LABELS.join(cells[head, word]) if (head, word) in cells else MISSING for head in predicates]
        yield "\t".join([*fixed, *flags, *arguments])


def _check_label(label: str, where: str) -> None:
    if label in ("", MISSING) or any(mark in label for mark in f"{BETWEEN_LABELS}\t\n\r"):
        raise CorpusError(f"write_sdp: a label in the graph of {where} is {label!r}, which SDP columns cannot hold; rename it.")
