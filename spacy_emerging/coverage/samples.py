"""Corpora as the structures that linearizations encode, sentence by sentence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from spacy.tokens import Doc

from ..corpus.annotations import graph_arcs
from ..corpus.sentences import cut_sentences
from ..structures import ConstituencyTree, DependencyGraph, DependencyTree, StructureError

DEPENDENCY, CONSTITUENCY, GRAPH = "dependency", "constituency", "graph"
KINDS = (DEPENDENCY, CONSTITUENCY, GRAPH)
CONSTITUENTS_KEY = "constituents"
"""`doc.spans` key of the constituents, in pre-order."""


class Sample(NamedTuple):
    """One sentence: its structure, and its words' tags, which some encodings name."""

    structure: Any
    pos: tuple[str, ...]


Samples = dict[str, list[Sample]]
"""Kind of structure (one of KINDS) to all sentences that are annotated with it."""


def samples_of(docs: Iterable[Doc]) -> Samples:
    """The structures of every sentence, by kind. A kind that no sentence is annotated with has an empty list."""
    found: Samples = {kind: [] for kind in KINDS}
    for doc in docs:
        for sentence in cut_sentences(doc):
            pos = tuple(token.pos_ for token in sentence)
            for kind, structure in (
                (DEPENDENCY, dependency_tree(sentence)),
                (CONSTITUENCY, constituency_tree(sentence)),
                (GRAPH, dependency_graph(sentence)),
            ):
                if structure is not None:
                    found[kind].append(Sample(structure, pos))
    return found


def dependency_tree(sentence: Doc) -> DependencyTree | None:
    """The tree of one sentence; None where a word has no head or relation, or the heads make no tree."""
    if not len(sentence) or not all(token.dep and token.has_head() for token in sentence):
        return None
    heads = [0 if token.head.i == token.i else token.head.i + 1 for token in sentence]
    try:
        return DependencyTree(tuple(heads), tuple(token.dep_ for token in sentence))
    except StructureError:
        return None


def constituency_tree(sentence: Doc) -> ConstituencyTree | None:
    """The constituents of one sentence, with its words and tags; None where it is not annotated."""
    if not len(sentence) or CONSTITUENTS_KEY not in sentence.spans:
        return None
    spans = [(span.label_, span.start, span.end) for span in sentence.spans[CONSTITUENTS_KEY]]
    return ConstituencyTree(len(sentence), spans, [token.text for token in sentence], [token.tag_ or token.pos_ for token in sentence])


def dependency_graph(sentence: Doc) -> DependencyGraph | None:
    """The graph of one sentence; None where it is not annotated."""
    arcs = graph_arcs(sentence)
    return None if arcs is None or not len(sentence) else DependencyGraph(len(sentence), frozenset(arcs))


def words_in(samples: Sequence[Sample]) -> int:
    """How many words these sentences have."""
    return sum(len(sample.structure) for sample in samples)
