"""Attachment scores of dependency trees by the conventions of the shared tasks on Universal Dependencies."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy
from spacy.pipeline.dep_parser import parser_score
from spacy.scorer import PRFScore
from spacy.tokens import Token
from spacy.training import Example

from .alignment import counterparts, sentences

FUNCTIONAL = frozenset({"aux", "cop", "mark", "det", "clf", "case", "cc", "punct"})
"""Universal relations of function words and punctuation, which CLAS leaves out (Nivre and Fang 2017); all others are content."""


class Word(NamedTuple):
    """One word as it is scored: its sentence, head (a word of the reference; None: no such word) and relation."""

    sentence: int
    head: int | None
    deprel: str


class Pair(NamedTuple):
    """A word of the reference, of the prediction, or both where they are the same word."""

    gold: Word | None
    predicted: Word | None

    @property
    def head_is_right(self) -> bool:
        return self.gold is not None and self.predicted is not None and self.gold.head == self.predicted.head

    @property
    def is_right(self) -> bool:
        return self.head_is_right and self.gold.deprel == self.predicted.deprel  # type: ignore[union-attr]


def attachment_scorer(punctuation: bool = True, universal: bool = True) -> Callable[..., dict[str, Any]]:
    """`spacy-emerging.attachment_scorer.v1`: scores a parser by `score_attachment` instead of by spaCy's own conventions.

    punctuation (bool): Whether punctuation counts.
    universal (bool): Whether relations are compared without their subtypes.
    The defaults are those of the CoNLL 2018 shared task.
    """
    return partial(score_attachment, punctuation=punctuation, universal=universal)


def score_attachment(examples: Iterable[Example], punctuation: bool = True, universal: bool = True, **kwargs: Any) -> dict[str, Any]:
    """dep_uas, dep_las, dep_clas and dep_las_per_type as defined by the CoNLL 2018 shared task (Zeman et al. 2018), and spaCy's sents_*.

    UAS and LAS are F1 over words: right ones against those of the reference and those predicted, which differ in number only if tokens do.
    dep_clas: F1 of words with the relation of a content word, counted on either side by its own relation; head and relation must be right.
    dep_las_per_type: {relation: {p, r, f}}.

    punctuation: whether tokens count that are made of Unicode punctuation alone (as in CoNLL 2006 to 2018, true since 2017).
    universal: whether relations are compared without their subtypes (`nsubj:pass` as `nsubj`). Case never matters: spaCy's ROOT is root.
    Words without a gold relation are left out on both sides. The dep_* are None where there is none in any reference.
    """
    examples = list(examples)
    stock = parser_score(examples, **kwargs)
    others = {key: value for key, value in stock.items() if not key.startswith("dep_")}
    pairs = [pair for example in examples for pair in _pairs(example, punctuation, universal)]
    if not pairs:
        return {**others, **dict.fromkeys(("dep_uas", "dep_las", "dep_clas", "dep_las_per_type"))}
    return {
        **others,
        "dep_uas": _score(pairs, lambda pair: pair.head_is_right).fscore,
        "dep_las": _score(pairs, lambda pair: pair.is_right).fscore,
        "dep_clas": _score(pairs, lambda pair: pair.is_right, lambda word: word.deprel.partition(":")[0] not in FUNCTIONAL).fscore,
        "dep_las_per_type": _per_type(pairs),
    }


def attachment_counts(examples: Iterable[Example], punctuation: bool = True, universal: bool = True, labeled: bool = True) -> numpy.ndarray:
    """(S, 3) numbers of right, gold and predicted words per sentence of the references: what `significance.compare` takes."""
    counts: list[numpy.ndarray] = [numpy.zeros((0, 3), dtype="int64")]
    for example in examples:
        table = numpy.zeros((sentences(example).total, 3), dtype="int64")
        for pair in _pairs(example, punctuation, universal):
            if pair.gold is not None:
                table[pair.gold.sentence, 0] += pair.is_right if labeled else pair.head_is_right
                table[pair.gold.sentence, 1] += 1
            if pair.predicted is not None:
                table[pair.predicted.sentence, 2] += 1
        counts.append(table)
    return numpy.concatenate(counts)


def _pairs(example: Example, punctuation: bool, universal: bool) -> Iterator[Pair]:
    """The words of both sides that count."""
    same = counterparts(example)
    _, of_reference, of_predicted = sentences(example)
    unannotated = {token.i for token in example.reference if not token.dep}
    if len(unannotated) == len(example.reference):
        return
    partner = {word: example.predicted[i] for i, word in enumerate(same) if word is not None}

    def predicted_word(token: Token) -> Word:
        return Word(of_predicted[token.i], same[token.head.i], _relation(token, universal))

    for token in example.reference:
        if token.dep and _counts(token, punctuation):
            other = partner.get(token.i)
            gold = Word(of_reference[token.i], token.head.i, _relation(token, universal))
            yield Pair(gold, None if other is None else predicted_word(other))
    for token in example.predicted:
        parts = {int(i) for i in example.alignment.x2y[token.i]}
        if same[token.i] is None and _counts(token, punctuation) and not (parts and parts <= unannotated):
            yield Pair(None, predicted_word(token))


def _counts(token: Token, punctuation: bool) -> bool:
    return not token.is_space and (punctuation or not all(unicodedata.category(letter).startswith("P") for letter in token.text))


def _relation(token: Token, universal: bool) -> str:
    relation = token.dep_.lower()
    return relation.partition(":")[0] if universal else relation


def _score(pairs: Iterable[Pair], right: Callable[[Pair], bool], counts: Callable[[Word], bool] = lambda word: True) -> PRFScore:
    """Right words among those of the reference and among those predicted, each of which only count where `counts` says so."""
    score = PRFScore()
    for pair in pairs:
        in_gold = pair.gold is not None and counts(pair.gold)
        in_predicted = pair.predicted is not None and counts(pair.predicted)
        is_right = in_gold and right(pair)
        score.tp += is_right
        score.fn += in_gold and not is_right
        score.fp += in_predicted and not is_right
    return score


def _per_type(pairs: Iterable[Pair]) -> dict[str, dict[str, float]]:
    scores: dict[str, PRFScore] = {}
    for pair in pairs:
        for word, wrong in ((pair.gold, "fn"), (pair.predicted, "fp")):
            if word is not None and not pair.is_right:
                score = scores.setdefault(word.deprel, PRFScore())
                setattr(score, wrong, getattr(score, wrong) + 1)
        if pair.is_right and pair.gold is not None:
            scores.setdefault(pair.gold.deprel, PRFScore()).tp += 1
    return {relation: scores[relation].to_dict() for relation in sorted(scores)}
