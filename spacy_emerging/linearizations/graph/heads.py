"""What encodings share that list each word's heads by numbers: absolute and relative positions."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

from ..columns import whole_number
from ..planes import Arc
from .relations import GraphLabels, heads_in_order


class HeadLists(GraphLabels):
    """Numbers joined by commas, in ascending order; "" for a word without a head."""

    local = frozenset({"code", "relations"})
    self_loops = True

    @abstractmethod
    def _shift(self, word: int) -> int:
        """What added to a number in the code of `word` (1-based) gives the head."""

    def _write(self, n: int, arcs: list[Arc]) -> tuple[list[str], list[list[int | None]]]:
        heads = heads_in_order(n, [arcs])
        codes = [",".join(str((head or 0) - self._shift(word)) for head in heads[word]) for word in range(1, n + 1)]
        return codes, heads

    def _read(self, codes: Sequence[str]) -> tuple[list[list[int]], int]:
        result: list[list[int]] = [[]]
        strangers = 0
        for word, code in enumerate(codes, 1):
            parts = code.split(",") if code else []
            numbers = [number for number in map(whole_number, parts) if number is not None]
            strangers += len(parts) - len(numbers)
            result.append(sorted(number + self._shift(word) for number in numbers))
        return result, strangers
