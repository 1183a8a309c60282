"""From the sentences that a reader found to Docs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

from spacy.tokens import Doc, Span
from spacy.vocab import Vocab

from ..errors import check_whole
from .annotations import MENTIONS_KEY, Arc, Range, set_constituents, set_graph_arcs, set_surface_ranges
from .tags import Chunk, iob2


@dataclass
class Sentence:
    """One sentence as a reader found it; None stands for what the file does not annotate. Positions count from 0.

    heads: position of each word's head, its own for the root. arcs: (head, dependent, label) from 1, head 0 = root.
    entities: spans that do not overlap. mentions: spans that may be nested. constituents: in pre-order. ranges: multiword tokens.
    """

    words: list[str]
    spaces: list[bool]
    begins_doc: bool = False
    lemmas: list[str] | None = None
    pos: list[str] | None = None
    tags: list[str] | None = None
    morphs: list[str] | None = None
    heads: list[int] | None = None
    deprels: list[str] | None = None
    arcs: list[Arc] | None = None
    entities: list[Chunk] | None = None
    mentions: list[Chunk] | None = None
    constituents: list[Chunk] | None = None
    ranges: list[Range] = field(default_factory=list)


def grouped(sentences: Iterable[Sentence], n_sents: int) -> Iterator[list[Sentence]]:
    """Sentences of one Doc each: where the file marks its documents up to the next mark, elsewhere n_sents at a time.

    n_sents: at least 1; 10 is our default, so that a parser sees sentence boundaries inside a Doc and can learn them.
    Raises SettingError for another number.
    """
    check_whole("corpus reader", "n_sents", n_sents)
    waiting: list[Sentence] = []
    marked = False
    for sentence in sentences:
        if waiting and (sentence.begins_doc or (not marked and len(waiting) == n_sents)):
            yield waiting
            waiting = []
        marked = marked or sentence.begins_doc
        waiting.append(sentence)
    if waiting:
        yield waiting


def make_doc(vocab: Vocab, sentences: Sequence[Sentence]) -> Doc:
    """One Doc of these sentences (at least one). A field is set if the first sentence has it: a file annotates it or not."""
    offsets = [0, *accumulate(len(sentence.words) for sentence in sentences)]
    first = sentences[0]

    def joined(name: str) -> list[Any] | None:
        if getattr(first, name) is None:
            return None
        return [value for sentence in sentences for value in getattr(sentence, name)]

    def shifted(name: str) -> list[Chunk]:
        parts = zip(offsets, sentences, strict=False)
        return [(at + start, at + end, label) for at, sentence in parts for start, end, label in getattr(sentence, name) or ()]

    words = joined("words") or []
    heads = None
    if first.heads is not None:
        heads = [at + head for at, sentence in zip(offsets, sentences, strict=False) for head in sentence.heads or ()]
    doc = Doc(
        vocab,
        words=words,
        spaces=joined("spaces"),
        lemmas=joined("lemmas"),
        pos=joined("pos"),
        tags=joined("tags"),
        morphs=joined("morphs"),
        heads=heads,
        deps=joined("deprels"),
        sent_starts=[i == 0 for sentence in sentences for i in range(len(sentence.words))],
        ents=None if first.entities is None else iob2(len(words), shifted("entities")),
    )
    if first.mentions is not None:
        doc.spans[MENTIONS_KEY] = [Span(doc, start, end, label) for start, end, label in shifted("mentions")]
    if first.constituents is not None:
        set_constituents(doc, [Span(doc, start, end, label) for start, end, label in shifted("constituents")])
    if any(sentence.arcs is not None for sentence in sentences):
        parts = zip(offsets, sentences, strict=False)
        arcs = [(at + head if head else 0, at + word, label) for at, sentence in parts for head, word, label in sentence.arcs or ()]
        set_graph_arcs(doc, arcs)
    set_surface_ranges(doc, shifted("ranges"))
    return doc
