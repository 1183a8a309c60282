"""What linearizations encode and decode: immutable, validated, hashable structures over n words. No spaCy, no torch.

Every constructor raises StructureError (a ValueError) with the offending part in its message. n = 0 is valid everywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from numbers import Integral

from . import brackets
from .errors import EmergingError

Span = tuple[str, int, int]
"""(label, start, end): 0-based, end exclusive."""


class StructureError(EmergingError):
    """Parts that make no valid structure: a cycle, a position out of range, an overlap."""


@dataclass(frozen=True)
class DependencyTree:
    """A dependency tree over n words; it may have several roots, but every word hangs from the artificial root 0.

    heads: n ints; heads[i] is the 1-based head of word i + 1, 0 is the artificial root.
    deprels: n relation labels.
    Raises StructureError for unequal lengths, a head out of range, a word that is its own head, a cycle, no root.
    """

    heads: tuple[int, ...]
    deprels: tuple[str, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "heads", tuple(self.heads))
        object.__setattr__(self, "deprels", tuple(self.deprels))
        n = len(self.heads)
        if len(self.deprels) != n:
            raise StructureError(f"DependencyTree: {n} heads but {len(self.deprels)} deprels; give one of each per word.")
        for word, head in enumerate(self.heads, 1):
            if not isinstance(head, int | Integral) or not 0 <= head <= n or head == word:
                raise StructureError(
                    f"DependencyTree: word {word} has head {head!r}, but must have another word of 1..{n}, or 0 (the root)."
                )
        if n and 0 not in self.heads:
            raise StructureError("DependencyTree: no word has head 0; at least one must hang from the root.")
        looping = next(cycles(self.heads), [])
        if looping:
            raise StructureError(f"DependencyTree: the heads of words {', '.join(map(str, looping[:10]))} form a cycle.")

    def __len__(self) -> int:
        return len(self.heads)

    def is_projective(self) -> bool:
        """Whether no two arcs cross, the arcs from the artificial root at position 0 included."""
        arcs = sorted((min(head, word), -max(head, word)) for word, head in enumerate(self.heads, 1))
        open_ends: list[int] = []
        for left, negative_right in arcs:
            while open_ends and open_ends[-1] <= left:
                open_ends.pop()
            if open_ends and open_ends[-1] < -negative_right:
                return False
            open_ends.append(-negative_right)
        return True


def cycles(heads: Sequence[int]) -> Iterator[list[int]]:
    """Every cycle, in the order in which walks upwards from word 1, 2, ... meet them; its leftmost word first. Linear time.

    heads: heads[i] is the 1-based head of word i + 1; anything below 1 ends the walk upwards.
    """
    walk_of = [0] * (len(heads) + 1)
    for start in range(1, len(heads) + 1):
        word = start
        while word > 0 and not walk_of[word]:
            walk_of[word] = start
            word = heads[word - 1]
        if word > 0 and walk_of[word] == start:
            cycle = [word]
            while heads[cycle[-1] - 1] != word:
                cycle.append(heads[cycle[-1] - 1])
            leftmost = cycle.index(min(cycle))
            yield cycle[leftmost:] + cycle[:leftmost]


class ConstituencyTree:
    """Constituents over n words, without part-of-speech tags.

    n: number of words.
    spans: (label, start, end) triples, 0-based, end exclusive; kept in pre-order (by start, then longest first; the
        constituents of a unary chain in the order given, topmost first). Words outside every constituent are allowed.
    words, tags: None, or n strings each; kept for `to_brackets`, no part of equality or hash.
    Raises StructureError for a span that is empty or out of range, for two spans that cross, and for a wrong number of words or tags.
    """

    __slots__ = ("_n", "_spans", "_tags", "_words")

    def __init__(self, n: int, spans: Iterable[Span] = (), words: Iterable[str] | None = None, tags: Iterable[str] | None = None) -> None:
        self._n = _checked_size("ConstituencyTree", n)
        ordered = sorted(((label, start, end) for label, start, end in spans), key=lambda span: (span[1], -span[2]))
        self._spans: tuple[Span, ...] = tuple(ordered)
        self._words = None if words is None else tuple(words)
        self._tags = None if tags is None else tuple(tags)
        for name, given in (("words", self._words), ("tags", self._tags)):
            if given is not None and len(given) != n:
                raise StructureError(f"ConstituencyTree: {len(given)} {name} for {n} words; give one per word or None.")
        open_spans: list[Span] = []
        for span in self._spans:
            _check_range("ConstituencyTree", span[1], span[2], n)
            while open_spans and open_spans[-1][2] <= span[1]:
                open_spans.pop()
            if open_spans and open_spans[-1][2] < span[2]:
                raise StructureError(f"ConstituencyTree: constituents {open_spans[-1]} and {span} cross.")
            open_spans.append(span)

    n = property(lambda self: self._n, doc="Number of words.")
    words = property(lambda self: self._words, doc="The n words, or None.")
    tags = property(lambda self: self._tags, doc="The n part-of-speech tags, or None.")

    def spans(self) -> tuple[Span, ...]:
        """The constituents in pre-order."""
        return self._spans

    @classmethod
    def from_brackets(cls, text: str) -> ConstituencyTree:
        """Reads one tree such as `(S (NP (DT The) (NN cat)) (VP (VB sat)))`; an outer bracket without a label is dropped.

        Raises StructureError for unbalanced brackets or text after the tree.
        """
        try:
            words, tags, spans = brackets.parse(text)
        except brackets.BracketsError as error:
            raise StructureError(f"ConstituencyTree: {error}") from None
        return cls(len(words), spans, words, tags)

    def to_brackets(self, words: Sequence[str] | None = None, tags: Sequence[str] | None = None) -> str:
        """The tree as one line of brackets; round brackets in words become -LRB- and -RRB-, blanks in words become `_`.

        words: n strings; None: the tree's own, or `w1 w2 ...` where it has none.
        tags: n strings; None: the tree's own, or `X`.
        A tree that is not under one constituent gets an outer bracket without a label.
        """
        chosen_words = words if words is not None else self._words or [f"w{i + 1}" for i in range(self._n)]
        chosen_tags = tags if tags is not None else self._tags or ["X"] * self._n
        for name, given in (("words", chosen_words), ("tags", chosen_tags)):
            if len(given) != self._n:
                raise StructureError(f"ConstituencyTree.to_brackets: {len(given)} {name} for {self._n} words; give one per word.")
        return brackets.write(self._spans, chosen_words, chosen_tags)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ConstituencyTree):
            return NotImplemented
        return (self._n, self._spans) == (other._n, other._spans)

    def __hash__(self) -> int:
        return hash((self._n, self._spans))

    def __len__(self) -> int:
        return self._n

    def __repr__(self) -> str:
        return f"ConstituencyTree(n={self._n}, spans={self._spans!r})"

    def __reduce__(self) -> tuple[object, ...]:
        return (ConstituencyTree, (self._n, self._spans, self._words, self._tags))


@dataclass(frozen=True)
class DependencyGraph:
    """Labelled arcs over n words: words may have several heads or none, and arcs may form cycles.

    n: number of words.
    arcs: (head, dependent, label) triples, 1-based, head 0 = root; kept as a frozenset.
    Raises StructureError for an arc whose ends are out of range, and for what is no such triple.
    """

    n: int
    arcs: frozenset[tuple[int, int, str]] = field(default_factory=frozenset)

    def __post_init__(self) -> None:
        _checked_size("DependencyGraph", self.n)
        try:
            object.__setattr__(self, "arcs", frozenset((head, dependent, label) for head, dependent, label in self.arcs))
            outside = next((arc for arc in self.arcs if not (0 <= arc[0] <= self.n and 1 <= arc[1] <= self.n)), None)
        except (TypeError, ValueError) as error:
            raise StructureError(
                f"DependencyGraph: arcs must be (head, dependent, label), two whole numbers and a string ({error})."
            ) from error
        if outside is not None:
            raise StructureError(f"DependencyGraph: arc {outside!r} leaves the sentence; heads are 0..{self.n}, dependents 1..{self.n}.")

    def __len__(self) -> int:
        return self.n


@dataclass(frozen=True)
class Segments:
    """A cut of n characters into tokens; characters in no segment (such as blanks) are allowed.

    n: number of characters.
    segments: (start, end) pairs, 0-based, end exclusive, not overlapping; kept sorted.
    Raises StructureError for a segment that is empty or out of range, and for an overlap.
    """

    n: int
    segments: tuple[tuple[int, int], ...] = ()

    def __post_init__(self) -> None:
        _checked_size("Segments", self.n)
        object.__setattr__(self, "segments", tuple(sorted((start, end) for start, end in self.segments)))
        reached = 0
        for start, end in self.segments:
            _check_range("Segments", start, end, self.n)
            if start < reached:
                raise StructureError(f"Segments: segment {(start, end)} overlaps the one that ends at {reached}.")
            reached = end

    def __len__(self) -> int:
        return self.n


@dataclass(frozen=True)
class Spans:
    """Labelled spans over n words that do not overlap, such as named entities.

    n: number of words.
    spans: (label, start, end) triples, 0-based, end exclusive; kept sorted by start.
    Raises StructureError for a span that is empty or out of range, and for an overlap.
    """

    n: int
    spans: tuple[Span, ...] = ()

    def __post_init__(self) -> None:
        _checked_size("Spans", self.n)
        ordered = sorted(((label, start, end) for label, start, end in self.spans), key=lambda span: span[1])
        object.__setattr__(self, "spans", tuple(ordered))
        previous: Span | None = None
        for span in ordered:
            _check_range("Spans", span[1], span[2], self.n)
            if previous is not None and span[1] < previous[2]:
                raise StructureError(f"Spans: {previous} and {span} overlap; put overlapping spans into separate structures.")
            previous = span

    def __len__(self) -> int:
        return self.n


def _checked_size(owner: str, n: int) -> int:
    if not isinstance(n, int) or n < 0:
        raise StructureError(f"{owner}: n is {n!r}, but must be a whole number of at least 0.")
    return n


def _check_range(owner: str, start: int, end: int, n: int) -> None:
    if not 0 <= start < end <= n:
        raise StructureError(f"{owner}: span {start}..{end} is empty or leaves 0..{n}.")
