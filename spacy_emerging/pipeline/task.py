"""What a component must say of itself: which gold it reads, what it writes on a Doc, how it is scored."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy
from spacy.tokens import Doc, Token
from spacy.training import Example, validate_examples

from ..corpus.annotations import is_one_sentence
from ..linearizations.base import Linearization
from ..notices import Notices
from ..types import GoldLabels, LabelTuple
from .model import Cut, Unit

ANNOTATION: list[Any] = ["TAG", "POS", "MORPH", "HEAD", "DEP", "SENT_START", "ENT_IOB", "ENT_TYPE"]


class Gold(NamedTuple):
    """Gold of one Example, on the predicted tokens: units, label tuples per unit, and sentence starts where a task cuts.

    A label is None where it is not annotated; a start is 1, -1, or 0 where it is not annotated.
    """

    units: list[Unit]
    labels: list[GoldLabels]
    starts: Any = None


class Decision(NamedTuple):
    """What the Labeler decided for one unit: the structure, and (n, F) log-probabilities of its labels (None: not asked for)."""

    unit: Unit
    structure: Any
    confidence: numpy.ndarray | None


class Task(ABC):
    """One task of a Labeler."""

    name: ClassVar[str]
    cuts_sentences: ClassVar[bool] = False
    score_prefix: ClassVar[str] = ""
    """`<score_prefix>_well_formed` is the share of units decoded without repair; empty where that tells nothing."""
    lost_by_as_doc: ClassVar[str] = ""
    """What the task reads that `Span.as_doc()` drops; a config in which spaCy's own reader cuts sentences is refused then."""
    linearization: Linearization
    warned_of_boundaries = False
    """Set by `given_sentences`, which warns once per component."""

    @property
    def fields(self) -> tuple[str, ...]:
        """The label fields that the decoder predicts."""
        return self.linearization.fields

    @property
    def user_fields(self) -> frozenset[str]:
        """Fields whose labels are the users' own, such as tags and relations."""
        return frozenset()

    @abstractmethod
    def gold(self, example: Example) -> Gold:
        """What the reference says about the predicted tokens."""

    @abstractmethod
    def annotate(self, doc: Doc, decisions: Sequence[Decision]) -> None:
        """Writes decisions on the Doc."""

    @abstractmethod
    def score(self, examples: Iterable[Example], **kwargs: Any) -> dict[str, Any]:
        """Scores under spaCy's own keys."""

    def prepare(self, labels: Mapping[str, Sequence[str]]) -> None:  # noqa: B027 - most tasks have nothing to prepare
        """Told all labels, after initialize and after loading."""

    def read(self, example: Example) -> None:  # noqa: B027
        """Sees every example once before initialize, for tasks that learn their settings from data."""

    def vocabulary(self, seen: dict[str, set[str]]) -> dict[str, list[str]]:
        """All labels of every field, from those in the data."""
        return {field: sorted(seen[field]) for field in self.fields}

    def labels(self, vocabulary: Mapping[str, Sequence[str]]) -> list[str]:
        """The labels as users know them, without what the encoding adds."""
        return [label for field in self.fields if field in self.user_fields for label in vocabulary[field]]

    def user_name(self, field: str, label: str) -> str:
        """What users call a label of one of the `user_fields`, for messages."""
        return label

    def with_label(self, vocabulary: Mapping[str, Sequence[str]], label: str) -> dict[str, list[str]]:
        """The vocabulary with one more user-level label, for `add_label`; only tasks of a single field know how."""
        (field,) = self.fields
        return {field: [*vocabulary.get(field, ()), label]}

    def state(self, reference: Doc) -> bytes:
        """Changes whenever what the task reads of the reference does."""
        return reference.to_array(ANNOTATION).tobytes()

    def cut(self, doc: Doc) -> Cut | None:
        """Where the Doc is cut into units at prediction; None: nowhere."""
        return None

    def places(self, doc: Doc, units: Sequence[Unit]) -> list[list[int]] | None:
        """Per unit the tokens that its structure is made of, counted within it; None: all tokens of all units."""
        return None

    def spelled(self, structure: Any) -> list[LabelTuple] | None:
        """The labels whose probabilities tell how sure a structure is; None: those that the decoder thought best."""
        return None


def whole(doc: Doc) -> list[Unit]:
    """The Doc as one unit; none for an empty Doc."""
    return [Unit(0, len(doc))] if len(doc) else []


def given_sentences(doc: Doc, owner: Task) -> Cut:
    """Cuts at the Doc's sentence boundaries, for the `cut` of tasks that predict none.

    Without boundaries the Doc is one sentence, and `owner` warns of that once, unless a corpus says that it is one. An unknown
    boundary is none.
    """
    if not owner.warned_of_boundaries and not doc.has_annotation("SENT_START") and not is_one_sentence(doc):
        owner.warned_of_boundaries = True
        Notices(f"emerging_{owner.name}").once(
            "boundaries",
            "a Doc has no sentence boundaries and is treated as one sentence; add a component that sets them, such as 'senter', "
            "'sentencizer' or 'emerging_parser', before this one (warned once).",
        )
    return Cut(numpy.where(doc.to_array("SENT_START").astype("int64") == 1, 1, -1))


def aligned(example: Example, getter: Callable[[Token], str | None]) -> list[str | None]:
    """A token value of the reference per predicted token; None where tokens do not align or their values differ."""
    values = [getter(token) for token in example.reference]
    alignment = example.alignment.x2y
    result: list[str | None] = []
    for i in range(len(example.predicted)):
        found = {values[int(j)] for j in alignment[i]}
        result.append(found.pop() if len(found) == 1 else None)
    return result


def checked(examples: Iterable[Example], method: str) -> list[Example]:
    """The examples as a list. Raises spaCy's E978 where they are none; its check alone would use up a generator."""
    if isinstance(examples, Iterator):
        examples = list(examples)
    validate_examples(examples, method)
    return list(examples)
