"""Constituents of a span, read from `doc.spans["constituents"]`: the values of the custom attributes, named as benepar names them.

The group may be in any order; in those that this package writes, each of them takes time only for what is inside the span.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import takewhile

from spacy.tokens import Span

from ..corpus.annotations import CONSTITUENTS_KEY, constituents_inside
from ..structures import ConstituencyTree


def labels(span: Span) -> tuple[str, ...]:
    """Labels of the constituents over exactly this span, topmost first; empty for a span that is no constituent."""
    here = takewhile(lambda found: found.start == span.start, constituents_inside(span))
    return tuple(found.label_ for found in here if found.end == span.end)


def constituents(span: Span) -> Iterator[Span]:
    """The constituents inside the span in pre-order, itself among them if it is one, and its single words.

    A unary chain is one Span, whose `_.labels` are the labels of the chain; a word alone has none. Nothing where the Doc is not
    annotated with constituents.
    """
    if CONSTITUENTS_KEY not in span.doc.spans:
        return
    places = [(found.start, found.end) for found in constituents_inside(span)]
    words = [(i, i + 1) for i in range(span.start, span.end)]
    for start, end in sorted({*places, *words}, key=lambda place: (place[0], -place[1])):
        yield span.doc[start:end]


def parse_string(span: Span) -> str | None:
    """The constituents inside the span as brackets with words and tags; None where the Doc is not annotated with constituents."""
    if CONSTITUENTS_KEY not in span.doc.spans:
        return None
    found = [(inner.label_, inner.start - span.start, inner.end - span.start) for inner in constituents_inside(span)]
    return ConstituencyTree(len(span), found, [token.text for token in span], [token.tag_ for token in span]).to_brackets()
