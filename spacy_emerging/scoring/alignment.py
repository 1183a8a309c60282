"""Predicted tokens beside those of the reference: which are the same, and which sentence each belongs to."""

from __future__ import annotations

from typing import NamedTuple

from spacy.training import Example

from ..corpus.annotations import sentence_units


def counterparts(example: Example) -> list[int | None]:
    """Per predicted token the one token of the reference that is the same; None where tokens are merged or split."""
    to_reference, to_predicted = example.alignment.x2y, example.alignment.y2x
    result: list[int | None] = []
    for i in range(len(example.predicted)):
        found = to_reference[i]
        same = len(found) == 1 and len(to_predicted[int(found[0])]) == 1
        result.append(int(found[0]) if same else None)
    return result


class Sentences(NamedTuple):
    """The reference's sentences, counted from 0: how many, and the one of each token of either Doc."""

    total: int
    of_reference: list[int]
    of_predicted: list[int]


def sentences(example: Example) -> Sentences:
    """The reference's sentences (the Doc is one where it has no boundaries). A predicted token belongs to that of the first token of
    the reference which it is made of; one that is made of none goes with the token before it."""
    units = sentence_units(example.reference)
    of_reference = [number for number, (start, end) in enumerate(units) for _ in range(start, end)]
    to_reference = example.alignment.x2y
    of_predicted: list[int] = []
    current = 0
    for i in range(len(example.predicted)):
        found = to_reference[i]
        current = of_reference[int(found[0])] if len(found) else current
        of_predicted.append(current)
    return Sentences(len(units), of_reference, of_predicted)
