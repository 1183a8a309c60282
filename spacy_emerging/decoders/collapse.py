"""How well a discriminator tells labels apart, and when that means that adversarial training has collapsed."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from functools import reduce
from typing import NamedTuple

WINDOW = 100
"""Updates over which the accuracy is watched. Our default."""

CHANCE, CERTAINTY = 0.505, 0.99
"""Accuracies up to which, and from which on, it counts as pinned at 0.5 and at 1.0. Our defaults."""

WORTH_TELLING = 0.05
"""Share of wrong generated labels below which chance is nothing to worry about, as there is little to tell. Our default."""


class Tally(NamedTuple):
    """Judgements of labels: how many were real (or right), and how many of those were told to be; the same of the others; and of how
    many generated labels a share was wrong."""

    real: int = 0
    real_told: int = 0
    false: int = 0
    false_told: int = 0
    generated: int = 0
    wrong: int = 0

    def plus(self, other: Tally) -> Tally:
        """Both taken together."""
        return Tally(*(one + another for one, another in zip(self, other, strict=True)))

    @property
    def accuracy(self) -> float:
        """Mean of the shares of real and of false labels that were told rightly: 0.5 for whoever always says the same."""
        shares = [told / count for told, count in ((self.real_told, self.real), (self.false_told, self.false)) if count]
        return sum(shares) / max(len(shares), 1)


class Watch:
    """The last WINDOW updates, taken together."""

    def __init__(self) -> None:
        self._recent: deque[Tally] = deque(maxlen=WINDOW)
        self.total = Tally()

    def note(self, tallies: Sequence[Tally]) -> None:
        """One more update, of one or more steps; the oldest is forgotten."""
        self._recent.append(_summed(tallies))
        self.total = _summed(self._recent)

    def collapse(self) -> str | None:
        """What has happened and what to do, in words; None while the accuracy is not pinned, or the window not full."""
        total = self.total
        if len(self._recent) < WINDOW or not (total.real and total.false):
            return None
        right = f"the discriminator was right about {total.accuracy:.1%} of the labels"
        told = f"adversarial training has collapsed: over {WINDOW} updates {right}"
        if total.accuracy >= CERTAINTY:
            advice = "lower discriminator_learn_rate or discriminator_width, raise one_sided_smoothing, or set straight_through = true"
            return f"{told}, too much for the labeler to learn from it; {advice}."
        if total.accuracy <= CHANCE and total.wrong >= WORTH_TELLING * total.generated:
            advice = "raise discriminator_learn_rate, discriminator_width or discriminator_steps, or set weight = 0"
            wrong = f"although {total.wrong / total.generated:.1%} of the generated ones were wrong"
            return f"{told}, as by chance, {wrong}, so that the labeler learns nothing from it; {advice}."
        return None


def _summed(tallies: Iterable[Tally]) -> Tally:
    return reduce(Tally.plus, tallies, Tally())
