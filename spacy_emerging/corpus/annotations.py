"""Where a Doc keeps what spaCy has no field for; the only place that knows the keys.

All of it is plain lists of numbers and strings, so that it survives `DocBin(store_user_data=True)` and `Doc.to_bytes`.
Both give lists back as tuples at times, which is why readers go through the functions here.
"""

from __future__ import annotations

from collections.abc import Iterable

from spacy.tokens import Doc

GRAPH_KEY = "emerging_graph"
"""`doc.user_data` key of the dependency graph: [head, dependent, label], words counted from 1 through the Doc, head 0 = root."""

RANGES_KEY = "emerging_ranges"
"""`doc.user_data` key of multiword tokens: [start, end, surface form], token positions from 0, end exclusive."""

MENTIONS_KEY = "sc"
"""`doc.spans` key of all entity mentions, nested ones too: the key that spaCy's own span components use by default."""

Arc = tuple[int, int, str]
Range = tuple[int, int, str]


def graph_arcs(doc: Doc) -> list[Arc] | None:
    """The arcs of the Doc's graph as (head, dependent, label), counted from 1 with head 0 = root; None: not annotated."""
    stored = doc.user_data.get(GRAPH_KEY)
    return None if stored is None else [(int(head), int(dependent), str(label)) for head, dependent, label in stored]


def set_graph_arcs(doc: Doc, arcs: Iterable[Arc]) -> None:
    """Stores the arcs of the Doc's graph, sorted by dependent, head and label."""
    ordered = sorted(set(arcs), key=lambda arc: (arc[1], arc[0], arc[2]))
    doc.user_data[GRAPH_KEY] = [[head, dependent, label] for head, dependent, label in ordered]


def surface_ranges(doc: Doc) -> list[Range]:
    """The Doc's multiword tokens as (start, end, surface form): token positions from 0, end exclusive."""
    return [(int(start), int(end), str(form)) for start, end, form in doc.user_data.get(RANGES_KEY, ())]


def set_surface_ranges(doc: Doc, ranges: Iterable[Range]) -> None:
    """Stores the Doc's multiword tokens in textual order; a Doc without any gets no entry."""
    stored = [[start, end, form] for start, end, form in sorted(ranges)]
    if stored:
        doc.user_data[RANGES_KEY] = stored
    else:
        doc.user_data.pop(RANGES_KEY, None)
