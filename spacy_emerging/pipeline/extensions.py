"""Custom attributes that the components write."""

from __future__ import annotations

from collections.abc import Iterable

from spacy.tokens import Doc, Token

from ..corpus.annotations import GRAPH_KEY, Arc, graph_arcs, set_graph_arcs
from ..structures import DependencyGraph

LABEL_SCORE = "label_score"
"""`token._.label_score`: probability of the token's predicted labels, where `store_scores` is on."""

GRAPH = "graph"
"""`doc._.graph`: arcs as (head, dependent, label), words counted from 1 through the Doc, head 0 = root; None: not annotated.

Read and written through plain lists in `doc.user_data`, so it survives pickle, `Doc.to_bytes` and `DocBin(store_user_data=True)`.
"""


def ensure_extensions() -> None:
    """Registers the custom attributes, once."""
    if not Token.has_extension(LABEL_SCORE):
        Token.set_extension(LABEL_SCORE, default=None)
    if not Doc.has_extension(GRAPH):
        Doc.set_extension(GRAPH, getter=graph_arcs, setter=set_graph)


def set_graph(doc: Doc, arcs: Iterable[Arc] | None) -> None:
    """Stores arcs as the Doc's graph; None takes the graph away. Raises StructureError for an arc that leaves the Doc."""
    if arcs is None:
        doc.user_data.pop(GRAPH_KEY, None)
        return
    graph = DependencyGraph(len(doc), frozenset((head, dependent, label) for head, dependent, label in arcs))
    set_graph_arcs(doc, graph.arcs)
