"""Token tags: part-of-speech, morphology, any label of a word of its own. The identity."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..errors import SettingError
from ..types import LabelTuple
from .base import Decoded, Linearization
from .columns import columns


class TokenTags(Linearization[Sequence[Sequence[str]]]):
    """The structure is a list of label tuples, one string per field, and is its own encoding.

    fields: names of the label fields, at least one, no two alike; e.g. ("tag",), or one per morphological feature.
    Coverage: every list of tuples of len(fields) strings.
    Raises SettingError for no field, or a name that is empty or used twice.
    """

    def __init__(self, fields: Sequence[str] = ("tag",)) -> None:
        names = (fields,) if isinstance(fields, str) else tuple(fields) if isinstance(fields, Iterable) else ()
        if not names or not all(isinstance(name, str) and name for name in names) or len(set(names)) < len(names):
            raise SettingError(f"TokenTags: setting 'fields' is {fields!r}, but must list at least one name and none twice.")
        self.fields = names

    @property
    def local(self) -> frozenset[str]:  # type: ignore[override]
        """Every field: a tag is the word's own."""
        return frozenset(self.fields)

    def encode(self, structure: Sequence[Sequence[str]]) -> list[LabelTuple]:
        """One label tuple per word: the structure itself. A word with a wrong number of tags is padded with "" or cut."""
        return self.decode(structure).structure

    def decode(self, labels: Sequence[Sequence[str]]) -> Decoded:
        """A list of label tuples; repairs counts words whose label has a wrong number of fields."""
        fields, malformed = columns(labels, len(self.fields))
        return Decoded(list(zip(*fields, strict=True)), malformed)
