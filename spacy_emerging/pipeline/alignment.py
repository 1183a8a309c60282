"""The reference's sentences on the predicted tokens, for tasks that carry labels over from one to the other."""

from __future__ import annotations

from spacy.training import Example

from ..corpus.annotations import sentence_units
from .model import Unit, units_from_starts


def reference_units(example: Example) -> list[Unit]:
    """The reference's sentences as units of the predicted tokens; one unit where it has no sentence boundaries."""
    to_predicted = example.alignment.y2x
    starts = {int(to_predicted[start][0]) for start, _ in sentence_units(example.reference) if len(to_predicted[start])}
    return units_from_starts([i in starts for i in range(len(example.predicted))])
