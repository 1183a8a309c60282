"""`emerging_tagger`: tags, parts of speech, morphology, or any extension attribute, one label per token and attribute."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy
from spacy.language import Language
from spacy.morphology import Morphology
from spacy.scorer import Scorer
from spacy.tokens import Doc, Token
from spacy.training import Example
from thinc.api import Model

from ..errors import LabelError, SettingError
from ..linearizations.token_tags import TokenTags
from .defaults import MODEL
from .extensions import LABEL_SCORE
from .labeler import Labeler
from .task import Decision, Gold, Task, aligned, whole

NO_FEATURE = Morphology.EMPTY_MORPH
"""Label of a token that is annotated as having no such feature."""

STOCK = ("tag", "pos", "morph")


class TaggerTask(Task):
    """Per-token labels.

    attributes: "tag", "pos", "morph", or names of custom token extensions, written "_.name".
    per_feature: one field per morphological feature instead of one joint label, where the corpus has any feature.
    overwrite: replace labels that are set.
    """

    name = "tagger"

    def __init__(self, attributes: Sequence[str], per_feature: bool, overwrite: bool) -> None:
        listed = isinstance(attributes, Sequence) and not isinstance(attributes, str)
        if not listed or not attributes or not all(_readable(attribute) for attribute in attributes):
            raise SettingError(
                f"emerging_tagger: setting 'attributes' is {attributes!r}, but must list any of 'tag', 'pos', 'morph' and custom "
                f"extensions written '_.name'."
            )
        self.attributes = list(attributes)
        self.features: list[str] | None = [] if per_feature and "morph" in attributes else None
        self.overwrite = overwrite
        self._rebuild()

    @property
    def user_fields(self) -> frozenset[str]:
        return frozenset(self.fields)

    def _rebuild(self) -> None:
        fields: list[str] = []
        for attribute in self.attributes:
            split = attribute == "morph" and self.features
            fields.extend([f"morph.{feature}" for feature in self.features or ()] if split else [attribute])
        self.linearization = TokenTags(fields)

    def read(self, example: Example) -> None:
        if self.features is not None:
            found = {feature for token in example.reference for feature in token.morph.to_dict()}
            if not found <= set(self.features):
                self.features = sorted({*self.features, *found})
                self._rebuild()

    def prepare(self, labels: Mapping[str, Sequence[str]]) -> None:
        if self.features is not None and labels:
            self.features = [field.removeprefix("morph.") for field in labels if field.startswith("morph.")]
            self._rebuild()

    def gold(self, example: Example) -> Gold:
        columns: list[Sequence[str | None]] = []
        for attribute in self.attributes:
            values = gold_values(example, attribute)
            if attribute == "morph" and self.features:
                parsed = [None if value is None else self._known(Morphology.feats_to_dict(value)) for value in values]
                columns.extend([None if feats is None else feats.get(f, NO_FEATURE) for feats in parsed] for f in self.features)
            else:
                columns.append(values)
        units = whole(example.predicted)
        return Gold(units, [list(zip(*columns, strict=True))] if units else [])

    def _known(self, named: dict[str, str]) -> dict[str, str]:
        for feature, value in named.items():
            if feature not in (self.features or ()):
                raise LabelError(
                    f"emerging_tagger: feature '{feature}={value}' was not seen at initialize; initialize with data or a labels file "
                    f"that has it."
                )
        return named

    def state(self, reference: Doc) -> bytes:
        names = [attribute[2:] for attribute in self.attributes if attribute.startswith("_.")]
        return super().state(reference) + repr([[token._.get(name) for name in names] for token in reference if names]).encode()

    def labels(self, vocabulary: Mapping[str, Sequence[str]]) -> list[str]:
        if len(vocabulary) == 1:
            return list(next(iter(vocabulary.values())))
        return [f"{field}={label}" for field, labels in vocabulary.items() for label in labels]

    def with_label(self, vocabulary: Mapping[str, Sequence[str]], label: str) -> dict[str, list[str]]:
        if self.features is not None:
            raise LabelError(
                f"emerging_tagger: with per_feature=true a label such as {label!r} does not say to which feature it belongs; use "
                f"initialize(labels=...) with a table {{'morph.<feature>': [labels]}}."
            )
        return super().with_label(vocabulary, label)

    def annotate(self, doc: Doc, decisions: Sequence[Decision]) -> None:
        for unit, labels, confidence in decisions:
            tokens = list(doc[unit.start : unit.end])
            for attribute in self.attributes:
                self._write(attribute, tokens, labels)
            if confidence is not None:
                for token, score in zip(tokens, numpy.exp(confidence.sum(1)).tolist(), strict=True):
                    token._.set(LABEL_SCORE, score)

    def _write(self, attribute: str, tokens: Sequence[Any], labels: Sequence[Sequence[str]]) -> None:
        """One attribute of all tokens, in a loop of its own: taggers are fast enough for a choice at every token to be felt."""
        overwrite = self.overwrite
        values: Iterable[Any] = map(self._features, labels) if attribute == "morph" and self.features else self._column(attribute, labels)
        if attribute == "tag":
            for token, value in zip(tokens, values, strict=True):
                if overwrite or not token.tag:
                    token.tag_ = value
        elif attribute == "pos":
            for token, value in zip(tokens, values, strict=True):
                if overwrite or not token.pos:
                    token.pos_ = value
        elif attribute == "morph":
            for token, value in zip(tokens, values, strict=True):
                if overwrite or not token.has_morph():
                    token.set_morph(value)
        else:
            for token, value in zip(tokens, values, strict=True):
                if overwrite or not token._.get(attribute[2:]):
                    token._.set(attribute[2:], value)

    def _column(self, attribute: str, labels: Sequence[Sequence[str]]) -> list[str]:
        place = self.fields.index(attribute)
        return [label[place] for label in labels]

    def _features(self, label: Sequence[str]) -> dict[str, str]:
        by_field = dict(zip(self.fields, label, strict=True))
        named = {feature: by_field[f"morph.{feature}"] for feature in self.features or ()}
        return {feature: value for feature, value in named.items() if value != NO_FEATURE}

    def score(self, examples: Iterable[Example], **kwargs: Any) -> dict[str, Any]:
        examples = list(examples)
        results: dict[str, Any] = {}
        for attribute in self.attributes:
            if attribute == "morph":
                results.update(Scorer.score_token_attr(examples, "morph", getter=_morph_key, **kwargs))
                results.update(Scorer.score_token_attr_per_feat(examples, "morph", getter=_morph_key, **kwargs))
            elif attribute.startswith("_."):
                results.update(Scorer.score_token_attr(examples, attribute[2:], getter=_extension, **kwargs))
            else:
                results.update(Scorer.score_token_attr(examples, attribute, **kwargs))
        return results


def _readable(attribute: object) -> bool:
    return attribute in STOCK or (isinstance(attribute, str) and attribute.startswith("_.") and len(attribute) > 2)


def gold_values(example: Example, attribute: str) -> list[str | None]:
    """Gold values of an attribute on the predicted tokens; None where a token is not annotated or not aligned."""
    if attribute.startswith("_."):
        return aligned(example, lambda token: _extension_label(token, attribute[2:]))
    return [value or None for value in example.get_aligned(attribute.upper(), as_string=True)]


def _extension_label(token: Token, attribute: str) -> str | None:
    value = token._.get(attribute)
    if value is not None and not isinstance(value, str):
        raise LabelError(
            f"emerging_tagger: token._.{attribute} of {token.text!r} is {value!r}, but must be a string, or None where not annotated."
        )
    return value or None


def _morph_key(token: Any, attribute: str) -> Any:
    return token.morph.key if attribute == "morph" else getattr(token, attribute)


def _extension(token: Token, attribute: str) -> Any:
    return token._.get(attribute)


@Language.factory(
    "emerging_tagger",
    assigns=["token.tag", "token.pos", "token.morph"],  # at most these: which of them, the setting `attributes` says
    default_config={
        "model": MODEL,
        "attributes": ["tag"],
        "per_feature": False,
        "overwrite": False,
        "store_scores": False,
        "scorer": None,
    },
    default_score_weights={"tag_acc": 1.0, "pos_acc": None, "morph_acc": None, "morph_per_feat": None},
)
def make_tagger(
    nlp: Language,
    name: str,
    model: Model,
    attributes: list[str],
    per_feature: bool,
    overwrite: bool,
    store_scores: bool,
    scorer: Callable[..., dict[str, Any]] | None,
) -> Labeler:
    """A tagger of one or more attributes with one decoder.

    model (Model): `spacy-emerging.Labeler.v1`.
    attributes (List[str]): "tag", "pos", "morph", "_.any_extension"; one label field each.
    per_feature (bool): One field per morphological feature; otherwise one joint label, as spaCy's morphologizer has.
    overwrite (bool): Replace values that are already set.
    store_scores (bool): Keep each token's probability in `token._.label_score`.
    scorer (Optional[Callable]): Replaces the scores tag_acc, pos_acc, morph_acc, morph_per_feat, <extension>_acc.
    """
    for attribute in attributes:
        if attribute.startswith("_.") and not Token.has_extension(attribute[2:]):
            Token.set_extension(attribute[2:], default=None)
    return Labeler(nlp.vocab, model, name, TaggerTask(attributes, per_feature, overwrite), store_scores=store_scores, scorer=scorer)
