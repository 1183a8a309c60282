"""Where the arcs of one side of a sentence go: ends on words, levels, and labels, without pixels of any format.

Lengths are in pixels from the left; a sentence that is read from the right is laid out like any other and mirrored in the end.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

PORT = 9.0
"""Distance of two ends of arcs on one word."""
PADDING = 7.0
"""Least length of line on either side of a label."""


@dataclass
class DrawnArc:
    """An arc while it is laid out; words are counted from 1, head 0 is the root.

    width: of its label. begin, end: where it meets the head and the dependent. level: of its line over the words, from 1.
    label_at: middle of its label.
    """

    head: int
    dependent: int
    label: str
    width: float
    begin: float = 0.0
    end: float = 0.0
    level: int = 0
    label_at: float = 0.0

    @property
    def first(self) -> int:
        return min(self.head, self.dependent) if self.head else self.dependent

    @property
    def last(self) -> int:
        return max(self.head, self.dependent)

    @property
    def is_root(self) -> bool:
        return self.head == 0

    @property
    def stretch(self) -> tuple[float, float]:
        """From where to where its line and label reach."""
        half = self.width / 2 + PADDING / 2 if self.is_root else 0.0
        return min(self.begin, self.end) - half, max(self.begin, self.end) + half


@dataclass
class Side:
    """The arcs above or below, with offsets of their ends from the middles of the words."""

    arcs: list[DrawnArc]
    offsets: dict[tuple[int, int], float] = field(default_factory=dict)  # (arc, word or -word for a loop's second end)
    half_widths: dict[int, float] = field(default_factory=dict)  # of what a word needs for its ends

    def __post_init__(self) -> None:
        at: dict[int, list[int]] = defaultdict(list)
        for number, arc in enumerate(self.arcs):
            at[arc.dependent].append(number)
            if arc.head not in (0, arc.dependent):
                at[arc.head].append(number)
        for word, numbers in at.items():
            self._spread(word, numbers)

    def _spread(self, word: int, numbers: Sequence[int]) -> None:
        """Ends on one word: shorter arcs outside, longer ones inside, those to the root and to itself in the middle."""
        arcs = self.arcs
        to_left = sorted((n for n in numbers if arcs[n].first < word), key=lambda n: (arcs[n].last - arcs[n].first, n))
        to_right = sorted((n for n in numbers if arcs[n].last > word), key=lambda n: (arcs[n].first - arcs[n].last, -n))
        middle = [n for n in numbers if arcs[n].first == arcs[n].last == word]
        place = 0.0
        places: list[tuple[tuple[int, int], float]] = []
        for n in [*to_left, *middle, *to_right]:
            places.append(((n, word), place))
            if n in middle and not arcs[n].is_root:
                place += arcs[n].width + 2 * PADDING
                places.append(((n, -word), place))
            place += PORT
        shift = (place - PORT) / 2
        self.offsets.update((key, x - shift) for key, x in places)
        self.half_widths[word] = shift + PORT / 2

    def reach(self, number: int) -> tuple[float, float]:
        """Offsets of an arc's two ends, on its first and on its last word."""
        arc = self.arcs[number]
        if arc.first == arc.last:
            return self.offsets[number, arc.first], self.offsets.get((number, -arc.first), self.offsets[number, arc.first])
        return self.offsets[number, arc.first], self.offsets[number, arc.last]


def columns(widths: Sequence[float], sides: Iterable[Side], gap: float) -> list[float]:
    """The middles of words 1..n ([0] is not used), as close as words, ends of arcs, and labels allow.

    widths: of the words; gap: between two of them.
    """
    sides = list(sides)
    halves = [0.0] + [max(width / 2, *(side.half_widths.get(word, 0.0) for side in sides), 0.0) for word, width in enumerate(widths, 1)]
    ending: dict[int, list[tuple[int, float]]] = defaultdict(list)  # by last word: first word, and the distance that a label needs
    for side in sides:
        for number, arc in enumerate(side.arcs):
            if arc.first != arc.last:
                first, last = side.reach(number)
                ending[arc.last].append((arc.first, arc.width + 2 * PADDING + first - last))
    middles = [0.0]
    for word in range(1, len(widths) + 1):
        least = middles[-1] + halves[word - 1] + halves[word] + gap if word > 1 else halves[word]
        middles.append(max([least, *(middles[first] + distance for first, distance in ending[word])]))
    return middles


def lay_out(side: Side, middles: Sequence[float]) -> int:
    """Gives every arc its ends, its level and the place of its label; returns the highest level.

    Arcs over the same stretch are on different levels, shorter ones below, those to the root on top. A label stands in the middle of its
    line, or where no end of a higher arc runs through it.
    """
    for number, arc in enumerate(side.arcs):
        first, last = side.reach(number)
        left, right = middles[arc.first] + first, middles[arc.last] + last
        arc.begin, arc.end = (left, right) if arc.head <= arc.dependent and arc.head else (right, left)
    placed: list[DrawnArc] = []
    for arc in sorted(side.arcs, key=lambda arc: (arc.is_root, arc.stretch[1] - arc.stretch[0], arc.first)):
        begin, end = arc.stretch
        arc.level = 1 + max((other.level for other in placed if other.stretch[0] < end and begin < other.stretch[1]), default=0)
        placed.append(arc)
    for arc in placed:
        arc.label_at = arc.end if arc.is_root else _free_place(arc, placed)
    return max((arc.level for arc in placed), default=0)


def _free_place(arc: DrawnArc, arcs: Iterable[DrawnArc]) -> float:
    """The middle of the label: as near to the middle of the line as the ends of higher arcs allow."""
    begin, end = arc.stretch
    ends = {x for other in arcs if other.level > arc.level for x in (other.begin, other.end) if begin < x < end}
    cuts = [begin, *sorted(ends), end]
    room = arc.width + PADDING
    middle = (begin + end) / 2
    gaps = [(left, right) for left, right in zip(cuts, cuts[1:], strict=False) if right - left >= room]
    if not gaps:
        return middle
    nearest = [min(max(middle, left + room / 2), right - room / 2) for left, right in gaps]
    return min(nearest, key=lambda x: abs(x - middle))
