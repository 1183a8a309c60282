"""Custom attributes that the components write."""

from __future__ import annotations

from collections.abc import Iterable

from spacy.tokens import Doc, Span, Token

from ..corpus.annotations import GRAPH_KEY, Arc, graph_arcs, set_graph_arcs
from ..structures import DependencyGraph
from . import constituents

LABEL_SCORE = "label_score"
"""`token._.label_score`: probability of the token's predicted labels, where `store_scores` is on."""

LABEL_AGREEMENT = "label_agreement"
"""`token._.label_agreement`: share of a decoder's samples that have all of the token's predicted labels, where it takes several."""

GRAPH = "graph"
"""`doc._.graph`: arcs as (head, dependent, label), words counted from 1 through the Doc, head 0 = root; None: not annotated.

Read and written through plain lists in `doc.user_data`, so it survives pickle, `Doc.to_bytes` and `DocBin(store_user_data=True)`.
"""

OF_SPANS = {"constituents": constituents.constituents, "labels": constituents.labels, "parse_string": constituents.parse_string}
"""`span._.constituents`, `span._.labels` and `span._.parse_string`, read from `doc.spans["constituents"]`."""


def ensure_extensions() -> None:
    """Registers the custom attributes, once. What another package has registered under the same name stays its own."""
    for name in (LABEL_SCORE, LABEL_AGREEMENT):
        if not Token.has_extension(name):
            Token.set_extension(name, default=None)
    if not Doc.has_extension(GRAPH):
        Doc.set_extension(GRAPH, getter=graph_arcs, setter=set_graph)
    for of_spans, getter in OF_SPANS.items():
        if not Span.has_extension(of_spans):
            Span.set_extension(of_spans, getter=getter)


def set_graph(doc: Doc, arcs: Iterable[Arc] | None) -> None:
    """Stores arcs as the Doc's graph; None takes the graph away. Raises StructureError for an arc that is none or leaves the Doc."""
    if arcs is None:
        doc.user_data.pop(GRAPH_KEY, None)
        return
    graph = DependencyGraph(len(doc), arcs)  # type: ignore[arg-type]  # any iterable of arcs is checked and frozen there
    set_graph_arcs(doc, graph.arcs)
