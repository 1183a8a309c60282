"""Where a Doc keeps what spaCy has no field for; the only place that knows the keys.

All of it is plain lists of numbers and strings, so that it survives `DocBin(store_user_data=True)` and `Doc.to_bytes`.
Both give lists back as tuples at times, which is why readers go through the functions here.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence

from spacy.tokens import Doc, Span, SpanGroup

from ..structures import ConstituencyTree

GRAPH_KEY = "emerging_graph"
"""`doc.user_data` key of the dependency graph: [head, dependent, label], words counted from 1 through the Doc, head 0 = root."""

RANGES_KEY = "emerging_ranges"
"""`doc.user_data` key of multiword tokens: [start, end, surface form], token positions from 0, end exclusive."""

MENTIONS_KEY = "sc"
"""`doc.spans` key of all entity mentions, nested ones too: the key that spaCy's own span components use by default."""

CONSTITUENTS_KEY = "constituents"
"""`doc.spans` key of constituents, in any order but that of a unary chain, whose topmost constituent comes first."""

IN_PRE_ORDER = "in_pre_order"
"""Attribute of the span group of constituents: how many spans it had when this package wrote it in pre-order."""

SENTENCE_KEY = "emerging_sentence"
"""`doc.user_data` key of predicted Docs that a corpus reader knows to be one sentence."""

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


def arcs_within(arcs: Iterable[Arc], units: Sequence[tuple[int, int]]) -> list[list[Arc]]:
    """The arcs inside each unit, in the order given, counted from 1 within it; arcs from one unit to another are left out.

    units: tokens start to end (exclusive), in order, without overlap, such as the sentences. Linear in tokens and arcs.
    """
    owner = {i: number for number, (start, end) in enumerate(units) for i in range(start, end)}
    found: list[list[Arc]] = [[] for _ in units]
    for head, dependent, label in arcs:
        number = owner.get(dependent - 1)
        if number is not None and (head == 0 or owner.get(head - 1) == number):
            at = units[number][0]
            found[number].append((head - at if head else 0, dependent - at, label))
    return found


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


def set_constituents(doc: Doc, spans: Iterable[Span]) -> None:
    """Stores constituents that are in pre-order, and notes that they are, so that those of a sentence are found without a look at all."""
    group = SpanGroup(doc, name=CONSTITUENTS_KEY, spans=list(spans))
    group.attrs[IN_PRE_ORDER] = len(group)
    doc.spans[CONSTITUENTS_KEY] = group


def constituents_inside(span: Span) -> list[Span]:
    """The constituents inside a span in pre-order, those of a unary chain as they come in the group; none where it is missing."""
    group = span.doc.spans.get(CONSTITUENTS_KEY, ())
    if group and group.attrs.get(IN_PRE_ORDER) == len(group):
        first, end = (bisect_left(group, place, key=lambda found: found.start) for place in (span.start, span.end))
        return [group[i] for i in range(first, end) if group[i].end <= span.end]
    inside = [found for found in group if span.start <= found.start and found.end <= span.end]
    return sorted(inside, key=lambda found: (found.start, -found.end))


def constituency_trees(doc: Doc, units: Iterable[tuple[int, int]]) -> list[ConstituencyTree] | None:
    """The constituents of each unit (start, end) of the Doc as a tree with words and tags; None: not annotated.

    units: tokens start to end (exclusive), in order, without overlap, such as the sentences. Constituents that cross their ends
    are left out. Raises StructureError where constituents of one unit cross each other.
    """
    if CONSTITUENTS_KEY not in doc.spans:
        return None
    units = list(units)
    owner = {i: number for number, (start, end) in enumerate(units) for i in range(start, end)}
    found: list[list[tuple[str, int, int]]] = [[] for _ in units]
    for span in doc.spans[CONSTITUENTS_KEY]:
        number = owner.get(span.start)
        if number is not None and number == owner.get(span.end - 1):
            at = units[number][0]
            found[number].append((span.label_, span.start - at, span.end - at))
    words = [token.text for token in doc]
    tags = [token.tag_ for token in doc]
    return [
        ConstituencyTree(end - start, spans, words[start:end], tags[start:end]) for (start, end), spans in zip(units, found, strict=True)
    ]


def sentence_units(doc: Doc) -> list[tuple[int, int]]:
    """Start and end of each sentence; the whole Doc where it has no sentence boundaries, nothing for an empty one."""
    if not len(doc):
        return []
    return [(sent.start, sent.end) for sent in doc.sents] if doc.has_annotation("SENT_START") else [(0, len(doc))]


def is_one_sentence(doc: Doc) -> bool:
    """Whether nobody need look for sentences in the Doc: it has no two tokens, or its reference has no second sentence."""
    return len(doc) < 2 or SENTENCE_KEY in doc.user_data


def note_one_sentence(predicted: Doc, reference: Doc) -> None:
    """Lets `is_one_sentence` know, where the reference has sentences and they are one. Predictions do not change by it."""
    if reference.has_annotation("SENT_START") and not (reference.to_array("SENT_START")[1:] == 1).any():
        predicted.user_data[SENTENCE_KEY] = True
