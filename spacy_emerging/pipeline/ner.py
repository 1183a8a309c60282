"""`emerging_ner`: named entities as span tags, decoded by Viterbi over legal transitions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy
from spacy.language import Language
from spacy.scorer import get_ner_prf
from spacy.tokens import Doc, Span
from spacy.training import Example
from thinc.api import Model

from ..errors import SettingError
from ..linearizations.base import Linearization
from ..linearizations.span_tags import SpanTags, split_tag
from ..structures import Spans
from ..types import LabelTuple
from .defaults import MODEL
from .labeler import Labeler
from .task import Decision, Gold, Task, whole

SCORES = "scores"
"""Key in `doc.spans[key].attrs` of span confidences, where `store_scores` is on."""

ENTS_KEY = "ents"
"""Key in `doc.spans` that holds predicted entities with their confidences, where `store_scores` is on."""


class NERTask(Task):
    """Entities on `doc.ents`. linearization: a SpanTags. overwrite: replace entities that are set, instead of keeping them."""

    name = "ner"
    linearization: SpanTags

    def __init__(self, linearization: SpanTags, overwrite: bool) -> None:
        self.linearization = linearization
        self.overwrite = overwrite

    @property
    def user_fields(self) -> frozenset[str]:
        return frozenset(self.fields)

    def gold(self, example: Example) -> Gold:
        units = whole(example.predicted)
        if not units:
            return Gold([], [])
        entities, tags = example.get_aligned_ents_and_ner()
        spans = Spans(len(tags), tuple(sorted((span.label_, span.start, span.end) for span in entities if span.label_)))
        encoded = self.linearization.encode(spans)
        labels = [labels if tag is not None else (None,) for labels, tag in zip(encoded, tags, strict=True)]
        return Gold(units, [labels])

    def vocabulary(self, seen: dict[str, set[str]]) -> dict[str, list[str]]:
        field = self.fields[0]
        return {field: all_tags(self.linearization, types_of(self.linearization, seen[field]))}

    def labels(self, vocabulary: Mapping[str, Sequence[str]]) -> list[str]:
        return types_of(self.linearization, vocabulary.get(self.fields[0], ()))

    def user_name(self, field: str, label: str) -> str:
        return next(iter(types_of(self.linearization, [label])), label)

    def with_label(self, vocabulary: Mapping[str, Sequence[str]], label: str) -> dict[str, list[str]]:
        field = self.fields[0]
        return {field: all_tags(self.linearization, sorted({*self.labels(vocabulary), label}))}

    def spelled(self, structure: Spans) -> list[LabelTuple]:
        return self.linearization.encode(structure)

    def annotate(self, doc: Doc, decisions: Sequence[Decision]) -> None:
        kept = [] if self.overwrite else list(doc.ents)
        blocked = [] if self.overwrite else [token for token in doc if token.ent_iob == 3 and not token.ent_type]
        taken = {i for span in kept for i in range(span.start, span.end)} | {token.i for token in blocked}
        confidences: list[tuple[Span, float]] = []
        for unit, structure, confidence in decisions:
            for label, start, end in structure.spans:
                if not taken.intersection(range(unit.start + start, unit.start + end)):
                    span = Span(doc, unit.start + start, unit.start + end, label=label)
                    kept.append(span)
                    if confidence is not None:
                        confidences.append((span, float(numpy.exp(confidence[start:end].sum()))))
        doc.set_ents(kept, blocked=[doc[token.i : token.i + 1] for token in blocked], default="outside")
        if decisions and decisions[0].confidence is not None:
            doc.spans[ENTS_KEY] = [span for span, _ in confidences]
            doc.spans[ENTS_KEY].attrs[SCORES] = [score for _, score in confidences]

    def score(self, examples: Iterable[Example], **kwargs: Any) -> dict[str, Any]:
        return get_ner_prf(examples, **kwargs)


def types_of(linearization: SpanTags, tags: Iterable[str]) -> list[str]:
    """The span types of a set of tags, sorted."""
    prefixes = "BILU" if linearization.scheme == "bilou" else "BI"
    split = (split_tag(tag, prefixes) for tag in tags)
    return sorted({part[1] for part in split if part is not None and part[0] != "O"})


def all_tags(linearization: SpanTags, types: Sequence[str]) -> list[str]:
    """Every tag of the scheme for these types, O first; no types, no tags."""
    tags: dict[str, None] = {"O": None}
    for label in types:
        for n in (1, 3):
            tags.update((tag, None) for (tag,) in linearization.encode(Spans(n, ((label, 0, n),))))
    return list(tags) if types else []


def span_tags(name: str, linearization: Linearization) -> SpanTags:
    """The linearization, checked to be a SpanTags."""
    if not isinstance(linearization, SpanTags):
        raise SettingError(f"{name}: setting 'linearization' must be a spacy-emerging.SpanTags.v1, not {type(linearization).__name__}.")
    return linearization


@Language.factory(
    "emerging_ner",
    assigns=["doc.ents", "token.ent_iob", "token.ent_type"],
    default_config={
        "model": MODEL,
        "linearization": {"@linearizations": "spacy-emerging.SpanTags.v1", "scheme": "bilou"},
        "overwrite": False,
        "store_scores": False,
        "scorer": None,
    },
    default_score_weights={"ents_f": 1.0, "ents_p": 0.0, "ents_r": 0.0, "ents_per_type": None},
)
def make_ner(
    nlp: Language,
    name: str,
    model: Model,
    linearization: Linearization,
    overwrite: bool,
    store_scores: bool,
    scorer: Callable[..., dict[str, Any]] | None,
) -> Labeler:
    """A named-entity recognizer.

    model (Model): `spacy-emerging.Labeler.v1`. linearization (Linearization): `spacy-emerging.SpanTags.v1`.
    overwrite (bool): Replace entities that are already set; otherwise they and blocked tokens stay, and the rest is filled in.
    store_scores (bool): Keep the entities in `doc.spans["ents"]` with their probabilities in its `attrs["scores"]`.
    scorer (Optional[Callable]): Replaces ents_p, ents_r, ents_f, ents_per_type.
    """
    return Labeler(nlp.vocab, model, name, NERTask(span_tags(name, linearization), overwrite), store_scores=store_scores, scorer=scorer)
