"""Words as tags of their characters: against hand-made tags, all cuts, and all label sequences."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spacy_emerging.errors import SettingError
from spacy_emerging.linearizations.segment_tags import SCHEMES, SegmentTags
from spacy_emerging.structures import Segments

by_scheme = pytest.mark.parametrize("scheme", SCHEMES)
small = pytest.mark.parametrize("n", [1, 2, 3, 4, 5])


def one_field(tags: str) -> list[tuple[str, ...]]:
    return [(tag,) for tag in tags]


def every_cut(n: int, gaps: bool) -> Iterator[Segments]:
    """Every Segments over n characters: between any two characters a word may go on, or end; and words may be left out."""
    for ends in itertools.product([False, True], repeat=max(n - 1, 0)):
        borders = [0, *(i for i, end in enumerate(ends, 1) if end), n]
        words = [pair for pair in itertools.pairwise(borders) if pair[0] < pair[1]]
        for kept in itertools.product([True, False] if gaps else [True], repeat=len(words)):
            yield Segments(n, tuple(word for word, keep in zip(words, kept, strict=True) if keep))


def legal_by_the_book(scheme: str, tags: tuple[str, ...]) -> bool:
    """Whether the tags are what `encode` writes for some words: the definition of a legal sequence."""
    linearization = SegmentTags(scheme)
    return linearization.encode(linearization.decode(one_field("".join(tags))).structure) == one_field("".join(tags))


def test_the_tags_everybody_knows() -> None:
    """Given 我 | 喜欢 | 北京大学 | 。, every character says where in its word it stands."""
    words = Segments(8, ((0, 1), (1, 3), (3, 7), (7, 8)))
    assert SegmentTags().encode(words) == one_field("SBEBMMES")


def test_blanks_lie_between_words_and_inside() -> None:
    """Given "ở Việt Nam", where the second word has a blank inside, only the blank between the words is outside of both."""
    text = "ở Việt Nam"
    words = Segments(len(text), ((0, 1), (2, 10)))
    assert SegmentTags("bmesx").encode(words) == one_field("SXBMMMMMME")


def test_without_a_tag_for_blanks_they_become_words() -> None:
    decoded = SegmentTags("bmes").decode(SegmentTags("bmes").encode(Segments(4, ((0, 1), (2, 4)))))
    assert decoded == (Segments(4, ((0, 1), (1, 2), (2, 4))), 0)


@by_scheme
@pytest.mark.parametrize("n", range(8))
def test_every_cut_of_up_to_seven_characters_comes_back(scheme: str, n: int) -> None:
    linearization = SegmentTags(scheme)
    for words in every_cut(n, gaps=scheme == "bmesx"):
        assert linearization.decode(linearization.encode(words)) == (words, 0)


@pytest.mark.parametrize(
    ("scheme", "tags", "words", "repairs"),
    [
        ("bmes", "BB", [(0, 1), (1, 2)], 2),
        ("bmes", "BS", [(0, 1), (1, 2)], 1),
        ("bmes", "EM", [(0, 1), (1, 2)], 3),
        ("bmes", "MME", [(0, 3)], 1),
        ("bmes", "BM?", [(0, 2), (2, 3)], 2),
        ("bmes", "X", [(0, 1)], 1),
        ("bmesx", "BX", [(0, 1)], 1),
        ("bmesx", "?XE", [(2, 3)], 2),
    ],
)
def test_illegal_tags_are_read_leniently(scheme: str, tags: str, words: list[tuple[int, int]], repairs: int) -> None:
    assert SegmentTags(scheme).decode(one_field(tags)) == (Segments(len(tags), tuple(words)), repairs)


@by_scheme
@given(tags=st.text("BMESX?", max_size=20))
def test_only_illegal_sequences_are_repaired(scheme: str, tags: str) -> None:
    decoded = SegmentTags(scheme).decode(one_field(tags))
    assert (decoded.repairs == 0) == legal_by_the_book(scheme, tuple(tags))
    if scheme == "bmes":
        assert sum(end - start for start, end in decoded.structure.segments) == len(tags)


@by_scheme
@small
def test_transitions_allow_exactly_the_legal_sequences(scheme: str, n: int) -> None:
    vocab = SCHEMES[scheme]
    start, between, end = SegmentTags(scheme).allowed(vocab)
    for ids in itertools.product(range(len(vocab)), repeat=n):
        allowed = start[ids[0]] and end[ids[-1]] and all(between[a, b] for a, b in itertools.pairwise(ids))
        assert allowed == legal_by_the_book(scheme, tuple(vocab[k] for k in ids))


@by_scheme
@small
def test_scores_give_the_best_of_all_legal_sequences(scheme: str, n: int) -> None:
    vocab = SCHEMES[scheme]
    legal = [ids for ids in itertools.product(range(len(vocab)), repeat=n) if legal_by_the_book(scheme, tuple(vocab[k] for k in ids))]
    for seed in range(20):
        scores = numpy.random.default_rng(seed).normal(size=(n, len(vocab)))
        best = max(legal, key=lambda ids: sum(scores[i, k] for i, k in enumerate(ids)))
        decoded = SegmentTags(scheme).decode_scores([scores], [vocab])
        assert decoded.structure == SegmentTags(scheme).decode(one_field("".join(vocab[k] for k in best))).structure
        assert decoded.repairs == (scores.argmax(axis=1) != best).sum()


def test_a_vocabulary_without_legal_sequences_falls_back_to_the_best_tags() -> None:
    assert SegmentTags().decode_scores([numpy.zeros((2, 1))], [["B"]]) == (Segments(2, ((0, 1), (1, 2))), 2)


def test_another_scheme_is_refused() -> None:
    with pytest.raises(SettingError, match="SegmentTags: setting 'scheme' is 'bilou', but must be one of 'bmes', 'bmesx'"):
        SegmentTags("bilou")
