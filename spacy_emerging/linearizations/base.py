"""What every linearization is: structure -> one label tuple per word -> structure, whatever the labels."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

import numpy

from ..types import LabelTuple, Transitions

StructureT = TypeVar("StructureT")

DECODING = frozenset({"repair", "search", "max_depth"})
"""Settings that choose how labels are decoded and not what they mean; they may change after training."""


class Decoded(NamedTuple):
    """A valid structure, and how many decisions the labels alone did not settle."""

    structure: Any
    repairs: int


def needs_labels(decode_scores: Callable[[Any, Any, Any], Decoded]) -> Callable[[Any, Any, Any], Decoded]:
    """For every `decode_scores`: where a field has no label at all, nothing can be chosen, and words without a label are decoded."""

    @wraps(decode_scores)
    def checked(linearization: Any, scores: Sequence[numpy.ndarray], vocab: Sequence[Sequence[str]]) -> Decoded:
        if all(len(names) for names in vocab):
            return decode_scores(linearization, scores, vocab)
        return linearization.decode([()] * len(scores[0]))

    return checked


class Linearization(ABC, Generic[StructureT]):
    """Casts a structure over n words as n label tuples, one string per field.

    `decode(encode(x)).structure == x` for every x in the coverage that the subclass's docstring states.
    """

    fields: tuple[str, ...]
    """The label fields that a decoder predicts."""

    local: ClassVar[frozenset[str]] = frozenset()
    """Fields whose label of a word depends on nothing but that word's own annotation: what partial gold may still teach."""

    @abstractmethod
    def encode(self, structure: StructureT) -> list[LabelTuple]:
        """One label tuple per word. Never raises on a valid structure: outside the coverage the fewest parts are dropped."""

    @abstractmethod
    def decode(self, labels: Sequence[Sequence[str]]) -> Decoded:
        """A valid structure for any strings whatever, in (quasi-)linear time and without recursion."""

    @needs_labels
    def decode_scores(self, scores: Sequence[numpy.ndarray], vocab: Sequence[Sequence[str]]) -> Decoded:
        """A valid structure from log-probabilities: one (n, K) array and one label list per field. Default: the argmax.

        Where a field's list is empty, every word counts as one without a label, a repair. An encoding with a search of its own
        overrides this under `@needs_labels`.
        """
        n = len(scores[0]) if scores else 0
        best = [numpy.asarray(field).argmax(axis=1) if n else () for field in scores]
        return self.decode([tuple(vocab[f][int(best[f][i])] for f in range(len(self.fields))) for i in range(n)])

    def description(self) -> str:
        """The class and those of its settings on which the meaning of labels depends: `BracketingDependency(planes=2)`.

        A setting is read from the attribute of its name; one that has none is left out.
        """
        names = [name for name in inspect.signature(type(self)).parameters if name not in DECODING and hasattr(self, name)]
        values = {name: getattr(self, name) for name in names}
        shown = [f"{name}={value.description() if isinstance(value, Linearization) else repr(value)}" for name, value in values.items()]
        return f"{type(self).__name__}({', '.join(shown)})"

    def allowed(self, labels: Sequence[str]) -> Transitions | None:
        """Legal transitions between these labels of the first field, for decoders that use them; None: any."""
        return None

    def bits(self, label: str) -> tuple[int, ...] | None:
        """The bits of a bit encoding's label; None for other encodings."""
        return None
