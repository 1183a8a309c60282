"""One derivation, read in two ways: its bracketing is the phrase structure, its heads are the dependencies.

A phrase has one head part; the other parts depend on the head's lexical head, under the relation written on the part.
A displaced part (a fronted object, an extraposed clause, a stranded preposition) names another governor, and that is
the only source of crossing dependencies. So the two readings cannot disagree.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias


@dataclass(eq=False)
class Word:
    """A leaf: one syntactic word with its annotation."""

    form: str
    lemma: str
    upos: str
    xpos: str
    feats: dict[str, str] = field(default_factory=dict)
    entity: str = "O"
    glued: bool = False  # no space between this word and the next
    fused: bool = False  # makes one multiword token with the next word
    refers: bool = False  # a relative pronoun: in the enhanced graph its antecedent takes its place


@dataclass(eq=False)
class Part:
    """A child in a phrase. No relation: the head. No governor: the phrase's head governs it."""

    child: Word | Phrase
    relation: str | None = None
    governor: Word | None = None


@dataclass(eq=False)
class Arc:
    """An arc of the enhanced graph that is not in the tree."""

    governor: Word
    dependent: Word
    relation: str


@dataclass(eq=False)
class Ellipsis:
    """A word left out: a copy of `copied`, standing after `after`, governed by `copied` as a conjunct."""

    copied: Word
    after: Word
    relation: str
    dependents: list[tuple[Word, str]]


@dataclass(eq=False)
class Phrase:
    """A constituent, with what the enhanced graph has to know of it."""

    label: str
    parts: list[Part]
    arcs: list[Arc] = field(default_factory=list)
    ellipses: list[Ellipsis] = field(default_factory=list)

    @property
    def head(self) -> Word:
        """The lexical head."""
        child = next(part.child for part in self.parts if part.relation is None)
        return child if isinstance(child, Word) else child.head


Item: TypeAlias = Word | Phrase | tuple[Word | Phrase, str] | tuple[Word | Phrase, str, Word]


def node(label: str, *items: Item) -> Phrase:
    """A phrase from its parts in order: a bare item is the head, `(child, relation[, governor])` a dependent.

    Raises:
        ValueError: not exactly one item is bare.
    """
    parts = [Part(*item) if isinstance(item, tuple) else Part(item) for item in items]
    if sum(part.relation is None for part in parts) != 1:
        raise ValueError(f"a phrase needs exactly one head, {label} was given {sum(part.relation is None for part in parts)}")
    return Phrase(label, parts)


def phrases(phrase: Phrase) -> Iterator[Phrase]:
    """The phrase and all phrases in it, in pre-order."""
    yield phrase
    for part in phrase.parts:
        if isinstance(part.child, Phrase):
            yield from phrases(part.child)


def leaves(phrase: Phrase) -> Iterator[Word]:
    """The words of a phrase from left to right."""
    for part in phrase.parts:
        if isinstance(part.child, Word):
            yield part.child
        else:
            yield from leaves(part.child)


def governors(phrase: Phrase) -> dict[Word, tuple[Word, str]]:
    """Every word but the head of the whole phrase -> (its governor, its relation)."""
    found: dict[Word, tuple[Word, str]] = {}
    for inner in phrases(phrase):
        head = inner.head
        for part in inner.parts:
            if part.relation is not None:
                dependent = part.child if isinstance(part.child, Word) else part.child.head
                found[dependent] = (part.governor or head, part.relation)
    return found


def brackets(phrase: Phrase) -> str:
    """The phrase in Penn Treebank notation, part-of-speech tags as preterminals."""
    inner = [f"({part.child.xpos} {part.child.form})" if isinstance(part.child, Word) else brackets(part.child) for part in phrase.parts]
    return f"({phrase.label} {' '.join(inner)})"
