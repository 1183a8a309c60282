"""Whitespace tokens, which have no place in a tree, treated as spaCy's own annotation does.

A blank hangs from the word before it, at the beginning of its sentence from the word after it, by the relation "dep", and begins no
sentence (spaCy, `training/augment.py`, `make_whitespace_variant`). Words are labelled as if blanks were not there.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy
from spacy.tokens import Doc

from .model import Unit

BLANK_DEPREL = "dep"
"""Relation of a blank to its word."""


def blanks_of(doc: Doc) -> numpy.ndarray:
    """(n,) whether each token is whitespace. By its text, since a vocabulary of no language does not know."""
    return numpy.array([token.orth_.isspace() for token in doc], dtype=bool)


def words_of(blank: numpy.ndarray, unit: Unit) -> list[int]:
    """Positions in the Doc of a unit's words."""
    return [i for i in range(unit.start, unit.end) if not blank[i]]


def governors(unit: Unit, words: Sequence[int]) -> dict[int, int]:
    """The token that each blank of a unit hangs from. Where there is no word, that is the first blank, its own one too."""
    nearest = words[0] if words else unit.start
    own, found = frozenset(words), {}
    for i in range(unit.start, unit.end):
        if i in own:
            nearest = i
        else:
            found[i] = nearest
    return found


def without_starts(starts: numpy.ndarray, blank: numpy.ndarray) -> numpy.ndarray:
    """Gold sentence starts (n,), those of blanks moved to the next word; nobody asks where the first sentence starts, so it is 0."""
    moved = numpy.where(blank, 0, starts)
    pending = False
    for i in range(first_word(blank) + 1, len(starts)):
        pending = pending or bool(blank[i] and starts[i] == 1)
        if pending and not blank[i]:
            moved[i], pending = 1, False
    moved[: first_word(blank) + 1] = 0
    return moved


def settled_starts(starts: numpy.ndarray, blank: numpy.ndarray) -> numpy.ndarray:
    """Sentence starts (n,) that are set; of those that are not (0), blanks and the first word are no starts (-1)."""
    settled = blank.copy()
    settled[: first_word(blank) + 1] = True
    return numpy.where((starts == 0) & settled, -1, starts)


def first_word(blank: numpy.ndarray) -> int:
    """Position of the first token that is no blank; where there is none, the last."""
    return int(numpy.argmin(blank)) if not blank.all() else max(len(blank) - 1, 0)
