"""The reference's sentences and tokens on the predicted tokens, for tasks that carry labels over from one to the other."""

from __future__ import annotations

from spacy.training import Example

from ..corpus.annotations import sentence_units
from .model import Unit, units_from_starts


def reference_units(example: Example) -> list[Unit]:
    """The reference's sentences as units of the predicted tokens; one unit where it has no sentence boundaries."""
    to_predicted = example.alignment.y2x
    starts = {int(to_predicted[start][0]) for start, _ in sentence_units(example.reference) if len(to_predicted[start])}
    return units_from_starts([i in starts for i in range(len(example.predicted))])


def counterparts(example: Example) -> list[int | None]:
    """Per predicted token the one token of the reference that is the same; None where tokens are merged or split."""
    to_reference, to_predicted = example.alignment.x2y, example.alignment.y2x
    result: list[int | None] = []
    for i in range(len(example.predicted)):
        found = to_reference[i]
        same = len(found) == 1 and len(to_predicted[int(found[0])]) == 1
        result.append(int(found[0]) if same else None)
    return result
