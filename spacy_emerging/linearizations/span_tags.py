"""Labelled spans as BIO or BILOU tags, decoded exactly by a Viterbi search over legal transitions."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy

from ..errors import check_choice
from ..structures import Spans
from ..types import LabelTuple, Transitions
from .base import Decoded, Linearization, needs_labels
from .columns import columns
from .legal_paths import best_legal_path, frozen

PREFIXES = {"bio": "BI", "bilou": "BILU"}


@lru_cache(maxsize=65536)
def split_tag(tag: str, prefixes: str) -> tuple[str, str] | None:
    """(prefix, span label); ("O", "") outside of spans; None for a string that is no tag of the scheme.

    Only the first hyphen separates, so span labels may hold any characters.
    """
    if tag == "O":
        return "O", ""
    if len(tag) >= 2 and tag[1] == "-" and tag[0] in prefixes:
        return tag[0], tag[2:]
    return None


class SpanTags(Linearization[Spans]):
    """One tag per word: O, or B-, I-, L- (last), U- (unit, a span of one word) and the span's label.

    scheme: "bio" (Ramshaw & Marcus 1995, in the variant where every span begins with B) or
        "bilou" (Ratinov & Roth 2009), which has the more exact transitions. Default "bilou", as in spaCy's own entity recognizer.
    Coverage: every `Spans`.
    Raises SettingError for another scheme.
    """

    fields = ("tag",)
    local = frozenset({"tag"})

    def __init__(self, scheme: str = "bilou") -> None:
        check_choice("SpanTags", "scheme", scheme, PREFIXES)
        self.scheme = scheme

    def encode(self, structure: Spans) -> list[LabelTuple]:
        """One tag per word."""
        tags: list[LabelTuple] = [("O",)] * structure.n
        first, last, only = ("B-", "L-", "U-") if self.scheme == "bilou" else ("B-", "I-", "B-")
        for label, start, end in structure.spans:
            tags[start] = ((only if end - start == 1 else first) + label,)
            if end - start > 1:
                tags[start + 1 : end - 1] = [("I-" + label,)] * (end - start - 2)
                tags[end - 1] = (last + label,)
        return tags

    def decode(self, labels: Sequence[Sequence[str]]) -> Decoded:
        """Spans from tags of any kind: an inside tag that continues nothing begins a span, as conlleval reads it, and an
        unfinished span ends before the tag that does not continue it. Strings that are no tag count as O. Each is a repair.
        """
        (tags,), repairs = columns(labels, 1)
        bilou = self.scheme == "bilou"
        spans: list[tuple[str, int, int]] = []
        start, open_label = -1, ""
        for i, tag in enumerate(tags):
            parsed = split_tag(tag, PREFIXES[self.scheme])
            repairs += parsed is None
            prefix, label = parsed or ("O", "")
            continues = prefix in "IL" and start >= 0 and label == open_label
            if start >= 0 and not continues:
                repairs += bilou
                spans.append((open_label, start, i))
                start = -1
            if prefix == "O":
                continue
            if not continues:
                repairs += prefix in "IL"
                start, open_label = i, label
            if prefix in "LU":
                spans.append((label, start, i + 1))
                start = -1
        if start >= 0:
            repairs += bilou
            spans.append((open_label, start, len(tags)))
        return Decoded(Spans(len(tags), tuple(spans)), repairs)

    def allowed(self, labels: Sequence[str]) -> Transitions:
        """Which of these tags may begin, follow one another and end. Strings that are no tag behave as O."""
        return legal_transitions(self.scheme, tuple(labels))

    @needs_labels
    def decode_scores(self, scores: Sequence[numpy.ndarray], vocab: Sequence[Sequence[str]]) -> Decoded:
        """The best legal tag sequence: exact Viterbi search, skipped where the argmax is legal.

        scores: one (n, K) array of log-probabilities; vocab: the K tags. repairs counts the words whose tag is not their
        best-scored one. Where no legal sequence has a finite score, the argmax is decoded as by `decode`.
        """
        if not len(scores[0]):
            return self.decode([])
        tags = list(vocab[0])
        path, changed = best_legal_path(scores[0], self.allowed(tags))
        decoded = self.decode([(tags[k],) for k in path.tolist()])
        return Decoded(decoded.structure, decoded.repairs + changed)


@lru_cache(maxsize=16)
def legal_transitions(scheme: str, labels: tuple[str, ...]) -> Transitions:
    """Read-only arrays over these K tags; kept, since every sentence of a pipeline asks for the same ones."""
    parsed = [split_tag(label, PREFIXES[scheme]) or ("O", "") for label in labels]
    types = {label: number for number, (_, label) in enumerate(parsed)}
    type_of = numpy.array([types[label] for _, label in parsed], dtype=numpy.int64)
    opens = numpy.array([prefix in "BI" for prefix, _ in parsed], dtype=bool)
    continues = numpy.array([prefix in "IL" for prefix, _ in parsed], dtype=bool)
    follows = opens[:, None] & continues[None, :] & (type_of[:, None] == type_of[None, :])
    must_continue = opens if scheme == "bilou" else numpy.zeros_like(opens)
    return frozen(Transitions(~continues, follows | (~must_continue[:, None] & ~continues[None, :]), ~must_continue))
