"""What a partly annotated, differently tokenized tree teaches about the labels of each word."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from spacy.training import Example

from ..linearizations.base import Linearization
from ..linearizations.dependency.pos_relative import PosRelativeDependency
from ..structures import DependencyTree
from ..types import GoldLabels, LabelTuple
from .blanks import blanks_of
from .model import Unit
from .task import aligned

MISSING_DEPREL = "dep"
"""Relation that stands for an unknown one while a partly annotated tree is encoded; it is masked afterwards."""

TAG_FIELD = "pos"
"""The label field of encodings that name heads by their tags."""


@dataclass(frozen=True)
class Parse:
    """Gold per predicted token of a Doc or a sentence; None where it is not annotated or not aligned.

    heads: of a Doc, token indices, a root being its own head; of a sentence, 1-based within it, 0 for its root.
    blank: whether a token is whitespace, which no tree has a place for.
    """

    heads: list[int | None]
    deprels: list[str | None]
    tags: list[str | None]
    blank: list[bool]

    @classmethod
    def of(cls, example: Example) -> Parse:
        """The reference's parse on the predicted tokens; tags are `token.pos_`, or `token.tag_` where there are none."""
        heads, deprels = example.get_aligned_parse(projectivize=False)
        with_head = example.get_aligned("HEAD")
        annotated = {i for i, token in enumerate(example.reference) if token.has_head()}
        sources = example.alignment.x2y
        for i, head in enumerate(heads):
            if head is not None and (with_head[i] is None or not annotated.issuperset(int(j) for j in sources[i])):
                heads[i] = None
        blank = blanks_of(example.predicted).tolist()
        heads = [None if head is None or blank[head] else head for head in heads]
        tags = [tag or None for tag in aligned(example, lambda token: token.pos_ or token.tag_)]
        return cls(heads, [deprel or None for deprel in deprels], tags, blank)

    def sentence(self, unit: Unit) -> Parse:
        """One sentence of a Doc. Heads outside of it are unknown."""
        part = slice(unit.start, unit.end)
        heads = [_local_head(self.heads[i], i, unit) for i in range(unit.start, unit.end)]
        return Parse(heads, self.deprels[part], self.tags[part], self.blank[part])

    def without_blanks(self) -> Parse:
        """A sentence of the words alone."""
        if not any(self.blank):
            return self
        words = [i for i, blank in enumerate(self.blank) if not blank]
        place = {0: 0, **{old + 1: new for new, old in enumerate(words, 1)}}
        heads = [None if head is None else place[head] for head in (self.heads[i] for i in words)]
        return Parse(heads, [self.deprels[i] for i in words], [self.tags[i] for i in words], [False] * len(words))


def sentence_labels(linearization: Linearization[DependencyTree], sentence: Parse) -> GoldLabels:
    """Labels of a sentence's words; None where the gold does not tell.

    A word without head, relation or tag teaches only what does not depend on it. Blanks teach nothing, and nothing depends on them:
    labels are those of the words alone.
    """
    result: list[Sequence[str | None]] = [(None,) * len(linearization.fields)] * len(sentence.heads)
    words = sentence.without_blanks()
    silent = all(head is None for head in words.heads) and not any(words.deprels)
    made = None if silent else _encoded(linearization, words)
    if made is None:
        return result
    known = [_known(linearization, field, words) for field in linearization.fields]
    for word, i in enumerate(i for i, blank in enumerate(sentence.blank) if not blank):
        result[i] = tuple(label if known[f][word] else None for f, label in enumerate(made[word]))
    return result


def _known(linearization: Linearization, field: str, words: Parse) -> list[bool]:
    """Per word, whether the gold settles its label of this field."""
    if field == "deprel":
        return [deprel is not None for deprel in words.deprels]
    if field == TAG_FIELD:
        return [tag is not None for tag in words.tags]
    if field in linearization.local:
        return [head is not None for head in words.heads]
    whole = None not in words.heads and (TAG_FIELD not in linearization.fields or None not in words.tags)
    return [whole] * len(words.heads)


def _encoded(linearization: Linearization[DependencyTree], sentence: Parse) -> list[LabelTuple] | None:
    """Labels of the tree that agrees with the known heads, the other words hanging from the root; None where there is a cycle."""
    heads = tuple(0 if head is None else head for head in sentence.heads)
    try:
        tree = DependencyTree(heads, tuple(deprel or MISSING_DEPREL for deprel in sentence.deprels))
    except ValueError:
        return None
    if isinstance(linearization, PosRelativeDependency):
        return linearization.encode(tree, [tag or "" for tag in sentence.tags])
    return linearization.encode(tree)


def _local_head(head: int | None, i: int, unit: Unit) -> int | None:
    """1-based head within the unit, 0 for its root, None where unknown or outside."""
    if head is None or not unit.start <= head < unit.end:
        return None
    return 0 if head == i else head - unit.start + 1
