"""Precision, recall and F1 of words, as in the word segmentation bakeoffs of SIGHAN (Sproat & Emerson 2003, Emerson 2005)."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from spacy.scorer import PRFScore
from spacy.tokens import Doc
from spacy.training import Example

from ..errors import CorpusError

KEYS = ("segments_p", "segments_r", "segments_f")
UNKNOWN_KEYS = ("segments_oov_r", "segments_oov_rate")

Place = tuple[int, int]


def score_segmentation(examples: Iterable[Example], vocabulary: Collection[str] | None = None) -> dict[str, Any]:
    """Scores of the predicted tokens against the reference's, taken as words: one is right if it begins and ends where a gold word does.

    segments_p, segments_r, segments_f: over all words of all Docs. None where the references have no words.
    vocabulary: the words of the training data, best a set. Given one, segments_oov_rate is the share of gold words that are not in it, and
        segments_oov_r the recall of these (None where there are none).

    Places are counted in characters other than whitespace, so blanks play no part: tokens of whitespace are no words, and a reference
    that does not know its blanks can be scored. Raises CorpusError where the two texts differ in more than whitespace.
    """
    score, unknown = PRFScore(), PRFScore()
    for example in examples:
        gold, predicted = word_places(token.text for token in example.reference), word_places(token.text for token in example.predicted)
        check_texts(example.reference, example.predicted)
        score.score_set(set(predicted), set(gold))
        if vocabulary is not None:
            unknown.score_set(set(predicted), {place for place, word in gold.items() if word not in vocabulary})
    words = score.tp + score.fn
    values: dict[str, Any] = dict.fromkeys(KEYS)
    if words:
        values = dict(zip(KEYS, (score.precision, score.recall, score.fscore), strict=True))
    if vocabulary is not None:
        outside = unknown.tp + unknown.fn
        values |= dict(zip(UNKNOWN_KEYS, (unknown.recall if outside else None, outside / words if words else None), strict=True))
    return values


def word_places(words: Iterable[str]) -> dict[Place, str]:
    """Where each word begins and ends, in characters other than whitespace; words of whitespace are left out."""
    places: dict[Place, str] = {}
    at = 0
    for word in words:
        end = at + len("".join(word.split()))
        if end > at:
            places[at, end] = word
        at = end
    return places


def check_texts(reference: Doc, predicted: Doc) -> None:
    """Raises CorpusError unless both Docs have the same text but for whitespace."""
    if "".join(reference.text.split()) != "".join(predicted.text.split()):
        raise CorpusError(
            f"segmentation: the reference is {reference.text[:40]!r}, but the prediction {predicted.text[:40]!r}; "
            f"score a prediction of the same text."
        )
