"""The sentences of a Doc with the structures that are annotated on them: what is measured and drawn, apart from any pipeline."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from spacy.tokens import Doc

from ..structures import ConstituencyTree, DependencyGraph, DependencyTree, StructureError
from .annotations import arcs_within, constituency_trees, graph_arcs, sentence_units


@dataclass(frozen=True)
class AnnotatedSentence:
    """The words of one sentence, their fine-grained and universal tags ("" where there are none), and each structure, None where it
    is not annotated."""

    words: tuple[str, ...]
    tags: tuple[str, ...]
    pos: tuple[str, ...]
    tree: DependencyTree | None
    constituents: ConstituencyTree | None
    graph: DependencyGraph | None


def annotated_sentences(doc: Doc) -> Iterator[AnnotatedSentence]:
    """The sentences of a Doc in order; the whole Doc where it has no sentence boundaries.

    A tree is there if every word has a head and a relation; what hangs from another sentence hangs from the root.
    """
    units = sentence_units(doc)
    arcs = graph_arcs(doc)
    graphs = None if arcs is None else arcs_within(arcs, units)
    constituents = constituency_trees(doc, units)
    for number, (start, end) in enumerate(units):
        sentence = doc[start:end]
        yield AnnotatedSentence(
            words=tuple(token.text for token in sentence),
            tags=tuple(token.tag_ for token in sentence),
            pos=tuple(token.pos_ for token in sentence),
            tree=_tree(doc, start, end),
            constituents=None if constituents is None else constituents[number],
            graph=None if graphs is None else DependencyGraph(end - start, frozenset(graphs[number])),
        )


def _tree(doc: Doc, start: int, end: int) -> DependencyTree | None:
    tokens = doc[start:end]
    if not all(token.dep and token.has_head() for token in tokens):
        return None
    heads = [token.head.i for token in tokens]
    local = [head - start + 1 if start <= head < end and head != i else 0 for i, head in enumerate(heads, start)]
    try:
        return DependencyTree(tuple(local), tuple(token.dep_ for token in tokens))
    except StructureError:
        return None
