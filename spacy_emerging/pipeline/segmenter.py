"""`emerging_segmenter`: words out of characters, as one tag per character, and the merging of the characters' tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy
from spacy.language import Language
from spacy.scorer import Scorer
from spacy.tokens import Doc
from spacy.training import Example
from thinc.api import Model

from ..errors import LabelError, SettingError
from ..linearizations.base import Linearization
from ..linearizations.segment_tags import SegmentTags
from ..scoring.segmentation import score_segmentation
from ..structures import Segments
from ..types import LabelTuple
from .characters import pieces
from .defaults import MODEL
from .extensions import LABEL_SCORE
from .labeler import Labeler
from .model import Cut, units_from_starts
from .task import Decision, Gold, Task, whole

Word = tuple[int, int]
"""Tokens from the first to before the second of a Doc of characters."""


class SegmenterTask(Task):
    """Words over the tokens of a Doc, which are characters.

    linearization: with the scheme "bmes" whitespace always ends a word, so the stretches between it are units of their own; with
    "bmesx" the Doc is one unit, and a word may hold whitespace.
    """

    name = "segmenter"
    score_prefix = "segments"
    linearization: SegmentTags

    def __init__(self, linearization: SegmentTags) -> None:
        self.linearization = linearization

    def cut(self, doc: Doc) -> Cut | None:
        if self.linearization.scheme != "bmes":
            return None
        blank = numpy.array([token.is_space for token in doc], dtype=bool)
        follows = numpy.roll(blank | doc.to_array("SPACY").astype(bool), 1)
        return Cut(numpy.where(blank | follows, 1, -1))

    def gold(self, example: Example) -> Gold:
        doc = example.predicted
        if doc is not example.reference:  # at initialize references are read without what is predicted on them
            check_characters(doc)
        cut = self.cut(doc)
        units = whole(doc) if cut is None else units_from_starts(cut.starts == 1)
        words, unknown = reference_words(example)
        borders = {unit.start for unit in units}
        parts = [part for word in words for part in _parts(word, borders)]
        labels: list[Any] = list(self.linearization.encode(Segments(len(doc), tuple(parts))))
        for i in unknown:
            labels[i] = (None,)
        return Gold(units, [labels[unit.start : unit.end] for unit in units])

    def state(self, reference: Doc) -> bytes:
        return reference.to_array(["ORTH", "SPACY"]).tobytes()

    def vocabulary(self, seen: dict[str, set[str]]) -> dict[str, list[str]]:
        return {field: list(self.linearization.tags) for field in self.fields}

    def with_label(self, vocabulary: Mapping[str, Sequence[str]], label: str) -> dict[str, list[str]]:
        tags = ", ".join(self.linearization.tags)
        raise LabelError(f"emerging_segmenter: label {label!r} cannot be added; the labels are those of the scheme: {tags}.")

    def spelled(self, structure: Segments) -> list[LabelTuple]:
        return self.linearization.encode(structure)

    def annotate(self, doc: Doc, decisions: Sequence[Decision]) -> None:
        words = [_stripped(doc, unit.start + start, unit.start + end) for unit, found, _ in decisions for start, end in found.segments]
        confidence = [decision.confidence for decision in decisions if decision.confidence is not None]
        scores: dict[int, float] = {}  # by the place in the text where a word begins, which merging does not change
        if confidence:
            sums = numpy.cumsum([0.0, *numpy.concatenate(confidence)[:, 0]])
            scores = {doc[start].idx: float(numpy.exp(sums[end] - sums[start])) for start, end in words if start < end}
        with doc.retokenize() as retokenizer:
            for start, end in words:
                if end - start > 1:
                    retokenizer.merge(doc[start:end])
        for token in doc:
            if token.idx in scores:
                token._.set(LABEL_SCORE, scores[token.idx])

    def score(self, examples: Iterable[Example], **kwargs: Any) -> dict[str, Any]:
        examples = list(examples)
        return {**Scorer.score_tokenization(examples), **score_segmentation(examples)}


def reference_words(example: Example) -> tuple[list[Word], list[int]]:
    """The reference's words over the predicted tokens, and the tokens of words that do not begin and end where tokens do.

    Tokens of whitespace in the reference are no words.
    """
    is_word = [not token.is_space for token in example.reference]
    alignment = example.alignment.x2y
    of_token = [[j for j in map(int, alignment[i]) if is_word[j]] for i in range(len(example.predicted))]
    places: dict[int, Word] = {}
    torn: set[int] = set()
    for i, words in enumerate(of_token):
        if len(words) > 1:
            torn.update(words)
        for j in words:
            places[j] = (places.get(j, (i, i))[0], i + 1)
    unknown = [i for i, words in enumerate(of_token) if not torn.isdisjoint(words)]
    return [place for j, place in places.items() if j not in torn], unknown


def check_characters(doc: Doc) -> None:
    """Raises SettingError where a token is longer than one character: words would be taken for characters, and nothing learned."""
    for token in doc:
        if len(token) > 1 and not token.is_space and len(list(pieces(token.text))) > 1:
            raise SettingError(
                f"emerging_segmenter: the token {token.text!r} is longer than one character; set '@tokenizers' in [nlp.tokenizer] to "
                f"'spacy-emerging.CharacterTokenizer.v1', and read the corpus with spacy-emerging.Corpus.v1."
            )


def _parts(word: Word, borders: set[int]) -> list[Word]:
    """A word, cut where a unit begins inside it."""
    start, end = word
    return list(pairwise([start, *(i for i in range(start + 1, end) if i in borders), end]))


def _stripped(doc: Doc, start: int, end: int) -> Word:
    """A word without tokens of whitespace at its ends."""
    while start < end and doc[start].is_space:
        start += 1
    while start < end and doc[end - 1].is_space:
        end -= 1
    return start, end


@Language.factory(
    "emerging_segmenter",
    assigns=[],
    retokenizes=True,
    default_config={
        "model": MODEL,
        "linearization": {"@linearizations": "spacy-emerging.SegmentTags.v1", "scheme": "bmes"},
        "store_scores": False,
        "scorer": None,
    },
    default_score_weights={
        "segments_f": 1.0,
        "segments_p": 0.0,
        "segments_r": 0.0,
        "segments_well_formed": None,
        "token_acc": None,
        "token_p": None,
        "token_r": None,
        "token_f": None,
    },
)
def make_segmenter(
    nlp: Language,
    name: str,
    model: Model,
    linearization: Linearization,
    store_scores: bool,
    scorer: Callable[..., dict[str, Any]] | None,
) -> Labeler:
    """A word segmenter. The pipeline's tokenizer must make tokens of characters: `spacy-emerging.CharacterTokenizer.v1`.

    model (Model): `spacy-emerging.Labeler.v1`; what embeds the characters should know where blanks are (the attribute SPACY).
    linearization (Linearization): `spacy-emerging.SegmentTags.v1`.
    store_scores (bool): Keep each word's probability in `token._.label_score`.
    scorer (Optional[Callable]): Replaces segments_p, segments_r, segments_f, segments_well_formed, token_acc, token_p, token_r, token_f.
    Raises SettingError for another linearization.
    """
    if not isinstance(linearization, SegmentTags):
        raise SettingError(f"{name}: setting 'linearization' must be a spacy-emerging.SegmentTags.v1, not {type(linearization).__name__}.")
    return Labeler(nlp.vocab, model, name, SegmenterTask(linearization), store_scores=store_scores, scorer=scorer)
