"""Gold as label ids, encoded once per reference."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

import numpy
from spacy.tokens import Doc
from spacy.training import Example

from .labels import MISSING, LabelIndex
from .model import DocGold
from .task import Task


class GoldCache:
    """Gold ids of examples. An entry lives as long as its reference Doc, and holds for one predicted tokenization and the
    reference's annotation as it was."""

    def __init__(self, task: Task, index: LabelIndex) -> None:
        self.task = task
        self.index = index
        self._entries: WeakKeyDictionary[Doc, tuple[bytes, DocGold]] = WeakKeyDictionary()

    def __len__(self) -> int:
        return len(self._entries)

    def __reduce__(self) -> tuple[Any, ...]:
        return GoldCache, (self.task, self.index)  # weak references cannot be pickled, and a worker has other Docs

    def encoded(self, example: Example) -> DocGold:
        """Ids per unit, and sentence starts where the task cuts."""
        key = example.predicted.to_array(["ORTH", "SPACY"]).tobytes() + self.task.state(example.reference)
        cached = self._entries.get(example.reference)
        if cached is None or cached[0] != key:
            gold = self.task.gold(example)
            ids = [self.index.to_ids(labels) for labels in gold.labels]
            starts = None if gold.starts is None else start_ids(gold.starts)
            cached = (key, DocGold(gold.units, ids, starts))
            self._entries[example.reference] = cached
        return cached[1]


def start_ids(starts: Any) -> Any:
    """(n,) of 1, -1, 0 to (n, 1) label ids of the field sent_start: START is 1, INSIDE is 0; MISSING where unknown."""
    values = numpy.asarray(starts, dtype="int64")
    return numpy.where(values == 1, 1, numpy.where(values == -1, 0, MISSING))[:, None]
