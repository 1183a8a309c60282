"""The one place where label strings become ids and ids become strings."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence

import numpy

from ..errors import LabelError
from ..linearizations.base import Linearization
from ..types import Field, GoldLabels, LabelTuple, UnitScores

MISSING = -1


class LabelIndex:
    """Labels of every field, in id order.

    owner: the component's name, for messages. labels: field to labels.
    user_fields: fields whose labels users give themselves (tags, relations): an unknown one is an error; a label that is
    derived from a structure (a bracket string) and was not seen at initialize only counts as not annotated, with one warning.
    user_name: what users call a label of a user field, which may be part of a tag.
    """

    def __init__(
        self,
        owner: str,
        labels: Mapping[str, Sequence[str]],
        user_fields: frozenset[str],
        user_name: Callable[[str, str], str],
    ) -> None:
        self.owner = owner
        self.fields = tuple(labels)
        self.labels = [list(labels[field]) for field in self.fields]
        self.user_fields = user_fields
        self.user_name = user_name
        self.unseen = 0
        self._ids = [{label: i for i, label in enumerate(field)} for field in self.labels]

    def to_ids(self, gold: GoldLabels) -> numpy.ndarray:
        """(n, F) int64, MISSING where a token is not annotated. Raises LabelError for an unknown user-level label."""
        ids = numpy.full((len(gold), len(self.fields)), MISSING, dtype="int64")
        for i, labels in enumerate(gold):
            for f, label in enumerate(labels):
                if label is not None:
                    ids[i, f] = self._id(f, label)
        return ids

    def _id(self, f: int, label: str) -> int:
        found = self._ids[f].get(label)
        if found is not None:
            return found
        field = self.fields[f]
        if field in self.user_fields:
            raise LabelError(
                f"{self.owner}: label {self.user_name(field, label)!r} of field '{field}' was not seen at initialize; initialize with "
                f"data or a labels file that has it."
            )
        if not self.unseen:
            warnings.warn(
                f"{self.owner}: label {label!r} of field '{field}' was not seen at initialize and counts as not annotated "
                f"(warned once; the number of such labels is in `unseen_labels`).",
                stacklevel=2,
            )
        self.unseen += 1
        return MISSING

    def confidence(self, scores: UnitScores, labels: Sequence[LabelTuple] | None) -> numpy.ndarray:
        """(n, F) log-probabilities of these labels; of the decoder's best ones where there are none or one is unknown."""
        ids = scores.best.copy()
        for i, row in enumerate(labels or ()):
            for f, label in enumerate(row):
                ids[i, f] = self._ids[f].get(label, ids[i, f])
        return numpy.stack([numpy.take_along_axis(field, ids[:, [f]], axis=1)[:, 0] for f, field in enumerate(scores.scores)], axis=1)

    def to_strings(self, ids: numpy.ndarray) -> list[LabelTuple]:
        """(n, F) ids to label tuples."""
        columns = ([known[i] for i in column] for known, column in zip(self.labels, ids.T.tolist(), strict=True))
        return list(zip(*columns, strict=True))


def checked_labels(owner: str, field: str, labels: object) -> list[str]:
    """The labels given for a field. Raises LabelError unless they are a list of different strings."""
    if isinstance(labels, list | tuple) and all(isinstance(label, str) for label in labels) and len(set(labels)) == len(labels):
        return list(labels)
    raise LabelError(f"{owner}: initialize(labels=...) has {labels!r} for the field '{field}', which must be a list of different strings.")


def fields_of(linearization: Linearization, labels: Mapping[str, Sequence[str]]) -> list[Field]:
    """What a decoder is told of each field: its labels in id order, and what the linearization knows of them."""
    result = []
    for name, known in labels.items():
        bits = [code for label in known if (code := linearization.bits(label)) is not None]
        complete = bits and len(bits) == len(known)
        result.append(Field(name, tuple(known), linearization.allowed(known), tuple(bits) if complete else None))
    return result
