"""Words as one tag per character: where in its word a character stands."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy

from ..errors import check_choice
from ..structures import Segments
from ..types import LabelTuple, Transitions
from .base import Decoded, Linearization, needs_labels
from .columns import columns
from .legal_paths import best_legal_path, frozen

BEGIN, MIDDLE, END, SINGLE, OUTSIDE = "B", "M", "E", "S", "X"

SCHEMES = {"bmes": (BEGIN, MIDDLE, END, SINGLE), "bmesx": (BEGIN, MIDDLE, END, SINGLE, OUTSIDE)}
"""The tags of each scheme, in the order of their ids."""


class SegmentTags(Linearization[Segments]):
    """One tag per character: B (begins a word of several), M (in its middle), E (ends it), S (a word by itself), X (in no word).

    scheme: "bmes" (Xue 2003, with the names of Ng & Low 2004), for text in which every character belongs to a word, or the
        space-aware "bmesx" (Shao, Hardmeier & Nivre 2018), where blanks are characters too: between words they are X, inside a word,
        as in Vietnamese, M. Default "bmes".
    Coverage: "bmesx" every `Segments`; "bmes" those without characters outside of all segments (such a character becomes a word).
    Raises SettingError for another scheme.
    """

    fields = ("place",)
    local = frozenset({"place"})

    def __init__(self, scheme: str = "bmes") -> None:
        check_choice("SegmentTags", "scheme", scheme, SCHEMES)
        self.scheme = scheme

    @property
    def tags(self) -> tuple[str, ...]:
        """Every tag of the scheme."""
        return SCHEMES[self.scheme]

    def encode(self, structure: Segments) -> list[LabelTuple]:
        """One tag per character."""
        tags: list[LabelTuple] = [(self._outside,)] * structure.n
        for start, end in structure.segments:
            if end - start == 1:
                tags[start] = (SINGLE,)
                continue
            tags[start : end - 1] = [(BEGIN,), *[(MIDDLE,)] * (end - start - 2)]
            tags[end - 1] = (END,)
        return tags

    @property
    def _outside(self) -> str:
        """The tag of a character in no word, and what a string that is no tag counts as."""
        return self.tags[-1]

    def decode(self, labels: Sequence[Sequence[str]]) -> Decoded:
        """Words from tags of any kind: an M or E that continues nothing begins a word, and an unfinished word ends before the tag
        that does not continue it. Strings that are no tag count as S, in "bmesx" as X. Each is a repair.
        """
        (tags,), repairs = columns(labels, 1)
        known = frozenset(self.tags)
        segments: list[tuple[int, int]] = []
        start = -1
        for i, tag in enumerate(tags):
            if tag not in known:
                repairs += 1
                tag = self._outside
            continues = tag in (MIDDLE, END)
            if start < 0:
                start = i
                repairs += continues
            elif not continues:
                repairs += 1
                segments.append((start, i))
                start = i
            if tag == OUTSIDE:
                start = -1
            elif tag in (END, SINGLE):
                segments.append((start, i + 1))
                start = -1
        if start >= 0:
            repairs += 1
            segments.append((start, len(tags)))
        return Decoded(Segments(len(tags), tuple(segments)), repairs)

    def allowed(self, labels: Sequence[str]) -> Transitions:
        """Which of these tags may begin, follow one another and end. Strings that are no tag behave as `decode` reads them."""
        return legal_transitions(tuple(labels))

    @needs_labels
    def decode_scores(self, scores: Sequence[numpy.ndarray], vocab: Sequence[Sequence[str]]) -> Decoded:
        """The best legal tag sequence, by exact Viterbi search.

        scores: one (n, K) array of log-probabilities; vocab: the K tags. repairs counts the characters whose tag is not their
        best-scored one. Where no legal sequence has a finite score, the argmax is decoded as by `decode`.
        """
        if not len(scores[0]):
            return self.decode([])
        tags = list(vocab[0])
        path, changed = best_legal_path(scores[0], self.allowed(tags))
        decoded = self.decode([(tags[k],) for k in path.tolist()])
        return Decoded(decoded.structure, decoded.repairs + changed)


@lru_cache(maxsize=16)
def legal_transitions(labels: tuple[str, ...]) -> Transitions:
    """Read-only arrays over these K tags; kept, since every sentence of a pipeline asks for the same ones."""
    opens = numpy.array([label in (BEGIN, MIDDLE) for label in labels], dtype=bool)
    continues = numpy.array([label in (MIDDLE, END) for label in labels], dtype=bool)
    return frozen(Transitions(~continues, opens[:, None] == continues[None, :], ~opens))
