"""How often labels had to be repaired to make a structure, per Doc that a component has annotated."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from spacy.tokens import Doc


class Repairs(NamedTuple):
    """Of one Doc: its units, how many of them were decoded without any repair, and the number of repairs in all."""

    units: int
    well_formed: int
    repairs: int


class RepairLog:
    """Repairs by Doc, from a component's last annotation of it. An entry lives as long as its Doc."""

    def __init__(self) -> None:
        self._entries: WeakKeyDictionary[Doc, Repairs] = WeakKeyDictionary()

    def __len__(self) -> int:
        return len(self._entries)

    def __reduce__(self) -> tuple[Any, ...]:
        return RepairLog, ()  # weak references cannot be pickled, and a worker has other Docs

    def note(self, doc: Doc, repairs: Sequence[int]) -> None:
        """Remembers the repairs of each unit of a Doc."""
        self._entries[doc] = Repairs(len(repairs), sum(not count for count in repairs), sum(repairs))

    def of(self, doc: Doc) -> Repairs | None:
        """The Doc's repairs; None where this component has not annotated it."""
        return self._entries.get(doc)

    def well_formed(self, docs: Iterable[Doc]) -> float | None:
        """Share of the Docs' units that were decoded without repair; None where there are no units to tell of."""
        found = [entry for entry in map(self.of, docs) if entry is not None]
        units = sum(entry.units for entry in found)
        return sum(entry.well_formed for entry in found) / units if units else None
