"""Whitespace tokens in parses: they hang from their neighbours as spaCy has it, and disturb nobody."""

from __future__ import annotations

import numpy
import pytest
from spacy.tokens import Doc
from thinc.api import fix_random_seed

from spacy_emerging.pipeline.blanks import governors, settled_starts, without_starts, words_of
from spacy_emerging.pipeline.model import Unit
from spacy_emerging.registry import LINEARIZATIONS

from .cases import initialized
from .conftest import Learned

DEPENDENCY = sorted(name for name in LINEARIZATIONS if name.endswith("Dependency.v1"))
TEXT = "\n\nAnna  lives in\t\n New York  .\n\n\nShe   sees Bob .\n"

# x is a word, _ a blank; S a start, - none, ? not set.
STARTS = {"S": 1, "-": -1, "?": 0}


def tokens(pattern: str) -> numpy.ndarray:
    return numpy.array([letter == "_" for letter in pattern])


def starts(pattern: str) -> numpy.ndarray:
    return numpy.array([STARTS[letter] for letter in pattern])


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("xx", {}),
        ("x_x", {1: 0}),
        ("_x", {0: 1}),
        ("__x_x__", {0: 2, 1: 2, 3: 2, 5: 4, 6: 4}),
        ("__", {0: 0, 1: 0}),
    ],
)
def test_a_blank_hangs_from_the_word_before_it_or_else_after_it(pattern: str, expected: dict[int, int]) -> None:
    unit = Unit(0, len(pattern))

    assert governors(unit, words_of(tokens(pattern), unit)) == expected


@pytest.mark.parametrize(
    ("pattern", "given", "taught"),
    [
        ("xxx", "SS-", "?S-"),
        ("x_x", "S?S", "??S"),
        ("x_x", "SS-", "??S"),
        ("x__xx", "S-S--", "???S-"),
        ("_xx", "?SS", "??S"),
        ("_xx", "S--", "??-"),
        ("xx_", "S-S", "?-?"),
        ("__", "SS", "??"),
    ],
)
def test_a_sentence_that_starts_with_a_blank_is_taught_to_start_with_its_first_word(pattern: str, given: str, taught: str) -> None:
    assert without_starts(starts(given), tokens(pattern)).tolist() == starts(taught).tolist()


@pytest.mark.parametrize(
    ("pattern", "given", "cut"), [("xxx", "???", "-??"), ("x_x", "???", "--?"), ("_xx", "???", "--?"), ("x_x", "?S?", "-S?")]
)
def test_the_model_is_not_asked_whether_a_sentence_starts_with_a_blank(pattern: str, given: str, cut: str) -> None:
    assert settled_starts(starts(given), tokens(pattern)).tolist() == starts(cut).tolist()


@pytest.mark.parametrize("name", DEPENDENCY)
@pytest.mark.parametrize("seed", range(3))
def test_an_untrained_parser_attaches_blanks_by_rule(name: str, seed: int, case_named) -> None:
    """Given any weights, a blank hangs from a neighbour by "dep", governs nothing, and begins no sentence."""
    fix_random_seed(seed)
    nlp, _ = initialized(case_named("parser"), linearization={"@linearizations": name}, store_scores=True)

    doc = nlp(TEXT)

    blanks = [token for token in doc if token.is_space]
    assert len(blanks) > 5
    for token in blanks:
        words = [word for word in token.sent if not word.is_space]
        before = [word for word in words if word.i < token.i]
        assert (token.head, token.dep_) == (before[-1] if before else words[0], "dep")
        assert not list(token.children)
        assert token.i == 0 or not token.is_sent_start
        assert token._.label_score == 1.0
    for sentence in doc.sents:
        assert len([token for token in sentence if token.head == token]) == 1


def test_a_text_of_blanks_alone_is_one_tree(case_named, learned: Learned) -> None:
    nlp, _ = learned(case_named("parser"))

    (doc,) = nlp.pipe([Doc(nlp.vocab, words=["\n", " ", "\n\n"])])

    assert [token.head.i for token in doc] == [0, 0, 0]
    assert [token.dep_ for token in doc] == [doc[0].dep_, "dep", "dep"]


def test_given_sentences_may_begin_with_blanks(case_named, learned: Learned) -> None:
    nlp, _ = learned(case_named("parser"))

    (doc,) = nlp.pipe([Doc(nlp.vocab, words=["Hi", "\n", "Anna", "lives"], sent_starts=[True, True, False, False])])

    assert [sentence.start for sentence in doc.sents] == [0, 1]
    assert (doc[1].head.i, doc[1].dep_) == (2, "dep")
