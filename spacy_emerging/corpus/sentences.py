"""One sentence of a Doc as a Doc of its own, with everything that was annotated on it.

`Span.as_doc()` drops doc.spans and copies user data without moving its positions; here both come along, moved and cut.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from spacy.tokens import Doc, Span, SpanGroup

from .annotations import GRAPH_KEY, RANGES_KEY, graph_arcs, set_graph_arcs, set_surface_ranges, surface_ranges

EXTENSION = "._."


def cut_sentences(doc: Doc) -> Iterator[Doc]:
    """The sentences of a Doc as Docs, in order; the Doc itself where it has no sentence boundaries. Linear in the Doc.

    Entities, span groups, multiword tokens and graph arcs that lie inside one sentence go with it, arcs from the artificial root
    too; what crosses a boundary is dropped. Extension values of tokens, spans and the Doc are kept, and so is other user data.
    """
    if not doc.has_annotation("SENT_START"):
        yield doc
        return
    sentences = list(doc.sents)
    parts = _Parts(doc, sentences)
    # Given to as_doc, so that it does not make an array of the whole Doc for each sentence.
    attributes = list(doc._get_array_attrs())
    array = doc.to_array(attributes)
    for number, sentence in enumerate(sentences):
        piece = sentence.as_doc(array_head=attributes, array=array)  # type: ignore[call-arg]  # missing in spaCy's stubs
        piece.has_unknown_spaces = doc.has_unknown_spaces
        parts.copy(number, sentence, piece)
        yield piece


class _Parts:
    """What is annotated on the words of each sentence, sorted by sentence once, so that cutting stays linear."""

    def __init__(self, doc: Doc, sentences: list[Span]) -> None:
        self.doc = doc
        self.has_graph = graph_arcs(doc) is not None
        self.owner = [number for number, sentence in enumerate(sentences) for _ in sentence]
        self.arcs: dict[int, list[tuple[int, int, str]]] = defaultdict(list)
        self.ranges: dict[int, list[tuple[int, int, str]]] = defaultdict(list)
        self.spans: dict[tuple[int, str], list[Span]] = defaultdict(list)
        self.extensions: dict[int, list[tuple[tuple[Any, ...], Any]]] = defaultdict(list)
        self.shared: dict[Any, Any] = {}
        for head, dependent, label in graph_arcs(doc) or ():
            number = self.owner[dependent - 1]
            if head == 0 or self.owner[head - 1] == number:
                self.arcs[number].append((head, dependent, label))
        for start, end, form in surface_ranges(doc):
            if self.owner[start] == self.owner[end - 1]:
                self.ranges[self.owner[start]].append((start, end, form))
        for name, group in doc.spans.items():
            for span in group:
                if len(span) and self.owner[span.start] == self.owner[span.end - 1]:
                    self.spans[self.owner[span.start], name].append(span)
        self._sort_user_data()

    def _sort_user_data(self) -> None:
        """User data that has a place in the text goes to its sentence, the rest to all."""
        at_character = {token.idx: token.i for token in self.doc}
        for key, value in self.doc.user_data.items():
            if key in (GRAPH_KEY, RANGES_KEY):
                continue
            if isinstance(key, tuple) and len(key) == 4 and key[0] == EXTENSION and key[2] is not None:
                if key[2] in at_character:
                    self.extensions[self.owner[at_character[key[2]]]].append((key, value))
            else:
                self.shared[key] = value

    def copy(self, number: int, sentence: Span, piece: Doc) -> None:
        """Writes what belongs to a sentence to the Doc cut from it."""
        piece.user_data.update(self.shared)
        for (marker, name, start, end), value in self.extensions[number]:
            if end is None or end <= sentence.end_char:
                moved: Any = (marker, name, start - sentence.start_char, None if end is None else end - sentence.start_char)
                piece.user_data[moved] = value
        at = sentence.start
        if self.has_graph:
            set_graph_arcs(piece, [(head - at if head else 0, word - at, label) for head, word, label in self.arcs[number]])
        set_surface_ranges(piece, [(start - at, end - at, form) for start, end, form in self.ranges[number]])
        for name in self.doc.spans:
            moved_spans = [
                Span(piece, span.start - at, span.end - at, span.label, kb_id=span.kb_id, span_id=span.id)
                for span in self.spans[number, name]
            ]
            piece.spans[name] = SpanGroup(piece, name=name, spans=moved_spans)
