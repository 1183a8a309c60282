"""Corpora as the structures that linearizations encode, sentence by sentence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from spacy.tokens import Doc

from ..corpus.structures import annotated_sentences

DEPENDENCY, CONSTITUENCY, GRAPH = "dependency", "constituency", "graph"
KINDS = (DEPENDENCY, CONSTITUENCY, GRAPH)


class Sample(NamedTuple):
    """One sentence: its structure, and its words' universal tags, which some encodings name."""

    structure: Any
    pos: tuple[str, ...]


Samples = dict[str, list[Sample]]
"""Kind of structure (one of KINDS) to all sentences that are annotated with it."""


def samples_of(docs: Iterable[Doc]) -> Samples:
    """The structures of every sentence, by kind. A kind that no sentence is annotated with has an empty list."""
    found: Samples = {kind: [] for kind in KINDS}
    for doc in docs:
        for sentence in annotated_sentences(doc):
            structures = {DEPENDENCY: sentence.tree, CONSTITUENCY: sentence.constituents, GRAPH: sentence.graph}
            for kind, structure in structures.items():
                if structure is not None:
                    found[kind].append(Sample(structure, sentence.pos))
    return found


def words_in(samples: Sequence[Sample]) -> int:
    """How many words these sentences have."""
    return sum(len(sample.structure) for sample in samples)
