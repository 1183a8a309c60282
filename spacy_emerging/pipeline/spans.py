"""`emerging_spans`: labelled spans in `doc.spans`, which may overlap, as several layers of span tags."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy
from spacy.language import Language
from spacy.scorer import Scorer
from spacy.tokens import Doc, Span
from spacy.training import Example
from thinc.api import Model

from ..errors import check_whole
from ..linearizations.base import Decoded, Linearization
from ..linearizations.span_tags import SpanTags
from ..structures import Spans
from ..types import LabelTuple, Transitions
from .defaults import MODEL
from .labeler import Labeler
from .ner import SCORES, all_tags, span_tags, types_of
from .task import Decision, Gold, Task, aligned, whole

MOST_LAYERS = 256
"""More than any corpus overlaps; every layer is a field of labels with weights of its own. Our default."""


class LayeredSpanTags(Linearization[Sequence[Spans]]):
    """One SpanTags field per layer; the structure is one Spans per layer, so spans of different layers may overlap."""

    def __init__(self, tags: SpanTags, layers: int) -> None:
        self.tags = tags
        self.fields = tuple(f"layer_{i + 1}" for i in range(layers))

    @property
    def local(self) -> frozenset[str]:  # type: ignore[override]
        return frozenset(self.fields)

    def encode(self, structure: Sequence[Spans]) -> list[LabelTuple]:
        """One tag per layer and word."""
        return [tuple(tag for (tag,) in row) for row in zip(*(self.tags.encode(layer) for layer in structure), strict=True)]

    def decode(self, labels: Sequence[Sequence[str]]) -> Decoded:
        """Every layer on its own."""
        decoded = [self.tags.decode([row[i : i + 1] for row in labels]) for i in range(len(self.fields))]
        return Decoded([layer.structure for layer in decoded], sum(layer.repairs for layer in decoded))

    def decode_scores(self, scores: Sequence[numpy.ndarray], vocab: Sequence[Sequence[str]]) -> Decoded:
        """Viterbi in every layer."""
        decoded = [self.tags.decode_scores([field], [labels]) for field, labels in zip(scores, vocab, strict=True)]
        return Decoded([layer.structure for layer in decoded], sum(layer.repairs for layer in decoded))

    def allowed(self, labels: Sequence[str]) -> Transitions | None:
        """Legal transitions within a layer."""
        return self.tags.allowed(labels)


class SpansTask(Task):
    """Spans under one key of `doc.spans`. layers: how many overlapping spans at most cover one token."""

    name = "spans"

    def __init__(self, tags: SpanTags, key: str, layers: int) -> None:
        self.tags = tags
        self.key = key
        self.linearization = LayeredSpanTags(tags, layers)
        self.dropped = 0

    @property
    def user_fields(self) -> frozenset[str]:
        return frozenset(self.fields)

    def gold(self, example: Example) -> Gold:
        units = whole(example.predicted)
        reference = example.reference
        if not units:
            return Gold([], [])
        n = len(example.predicted)
        if self.key not in reference.spans:
            return Gold(units, [[(None,) * len(self.fields)] * n])
        spans = example.get_aligned_spans_y2x(reference.spans[self.key], allow_overlap=True)
        layers = self._layers(sorted({(span.label_, span.start, span.end) for span in spans}, key=lambda s: (s[1], -s[2], s[0])), n)
        encoded = self.linearization.encode(layers)
        known = aligned(example, lambda token: "")  # a span that crosses token boundaries teaches nothing about its tokens
        unaligned = self._unaligned(example, {(span.start_char, span.end_char) for span in spans})
        nothing = (None,) * len(self.fields)
        return Gold(units, [[nothing if known[i] is None or i in unaligned else row for i, row in enumerate(encoded)]])

    def _unaligned(self, example: Example, found: set[tuple[int, int]]) -> set[int]:
        """Predicted tokens below a gold span that has no counterpart in the predicted tokenization."""
        lost = [span for span in example.reference.spans[self.key] if (span.start_char, span.end_char) not in found]
        to_predicted = example.alignment.y2x
        return {int(i) for span in lost for token in span for i in to_predicted[token.i]}

    def _layers(self, spans: list[tuple[str, int, int]], n: int) -> list[Spans]:
        layers: list[list[tuple[str, int, int]]] = [[] for _ in self.fields]
        for span in spans:
            free = next((layer for layer in layers if not layer or layer[-1][2] <= span[1]), None)
            if free is not None:
                free.append(span)
                continue
            if not self.dropped:
                warnings.warn(
                    f"emerging_spans: more than {len(layers)} spans under {self.key!r} overlap in one place; raise the setting 'layers' "
                    f"to learn them all (warned once).",
                    stacklevel=2,
                )
            self.dropped += 1
        return [Spans(n, tuple(layer)) for layer in layers]

    def state(self, reference: Doc) -> bytes:
        spans = [(span.start, span.end, span.label) for span in reference.spans.get(self.key, ())]
        return repr((self.key in reference.spans, spans)).encode()

    def vocabulary(self, seen: dict[str, set[str]]) -> dict[str, list[str]]:
        types = types_of(self.tags, {tag for tags in seen.values() for tag in tags})
        return {field: all_tags(self.tags, types) for field in self.fields}

    def labels(self, vocabulary: Mapping[str, Sequence[str]]) -> list[str]:
        return types_of(self.tags, {tag for tags in vocabulary.values() for tag in tags})

    def user_name(self, field: str, label: str) -> str:
        return next(iter(types_of(self.tags, [label])), label)

    def with_label(self, vocabulary: Mapping[str, Sequence[str]], label: str) -> dict[str, list[str]]:
        return self.vocabulary({field: {*vocabulary.get(field, ()), *all_tags(self.tags, [label])} for field in self.fields})

    def spelled(self, structure: Sequence[Spans]) -> list[LabelTuple]:
        return self.linearization.encode(structure)

    def annotate(self, doc: Doc, decisions: Sequence[Decision]) -> None:
        found: dict[tuple[int, int, str], float] = {}
        for unit, layers, confidence in decisions:
            for f, layer in enumerate(layers):
                for label, start, end in layer.spans:
                    key = (unit.start + start, unit.start + end, label)
                    score = 0.0 if confidence is None else float(numpy.exp(confidence[start:end, f].sum()))
                    found[key] = max(found.get(key, 0.0), score)
        ordered = sorted(found, key=lambda span: (span[0], -span[1], span[2]))
        doc.spans[self.key] = [Span(doc, start, end, label=label) for start, end, label in ordered]
        if decisions and decisions[0].confidence is not None:
            doc.spans[self.key].attrs[SCORES] = [found[span] for span in ordered]

    def score(self, examples: Iterable[Example], **kwargs: Any) -> dict[str, Any]:
        key = self.key
        kwargs = {"attr": f"spans_{key}", "allow_overlap": True, "labeled": True, **kwargs}
        kwargs.setdefault("getter", lambda doc, attr: doc.spans.get(key, []))
        kwargs.setdefault("has_annotation", lambda doc: key in doc.spans)
        return Scorer.score_spans(list(examples), **kwargs)


@Language.factory(
    "emerging_spans",
    assigns=["doc.spans"],
    default_config={
        "model": MODEL,
        "linearization": {"@linearizations": "spacy-emerging.SpanTags.v1", "scheme": "bilou"},
        "spans_key": "sc",
        "layers": 2,
        "store_scores": False,
        "scorer": None,
    },
    default_score_weights={"spans_sc_f": 1.0, "spans_sc_p": 0.0, "spans_sc_r": 0.0},
)
def make_spans(
    nlp: Language,
    name: str,
    model: Model,
    linearization: Linearization,
    spans_key: str,
    layers: int,
    store_scores: bool,
    scorer: Callable[..., dict[str, Any]] | None,
) -> Labeler:
    """A recognizer of labelled spans that may overlap.

    model (Model): `spacy-emerging.Labeler.v1`. linearization (Linearization): `spacy-emerging.SpanTags.v1`.
    spans_key (str): Key of `doc.spans` that is read and written.
    layers (int): Overlapping spans at most over one token; gold spans beyond are counted and warned about. Recommended 1 to 3.
    store_scores (bool): Keep the spans' probabilities in `doc.spans[key].attrs["scores"]`.
    scorer (Optional[Callable]): Replaces spans_<key>_p, _r, _f and _per_type. Raises SettingError for less than one layer or more than
    256.
    """
    check_whole(name, "layers", layers, at_most=MOST_LAYERS)
    task = SpansTask(span_tags(name, linearization), spans_key, layers)
    return Labeler(nlp.vocab, model, name, task, store_scores=store_scores, scorer=scorer)
