"""Seeded choices that give the same answers on every platform and Python version."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Chance:
    """Draws built on `random.Random.random` alone, the one method whose sequence the standard library promises to keep."""

    def __init__(self, seed: int) -> None:
        self._source = random.Random(seed)

    def maybe(self, probability: float) -> bool:
        """True with the given probability (0 to 1)."""
        return self._source.random() < probability

    def below(self, limit: int) -> int:
        """A whole number in [0, limit)."""
        return int(self._source.random() * limit)

    def pick(self, items: Sequence[T]) -> T:
        """One item, all equally likely."""
        return items[self.below(len(items))]

    def weighted(self, weights: dict[T, float]) -> T:
        """One key, as likely as its weight says."""
        point = self._source.random() * sum(weights.values())
        for item, weight in weights.items():
            point -= weight
            if point < 0:
                return item
        return next(reversed(weights))

    def several(self, items: Sequence[T], count: int) -> list[T]:
        """`count` different items (all of them if there are fewer), in drawn order."""
        left = list(items)
        return [left.pop(self.below(len(left))) for _ in range(min(count, len(left)))]
