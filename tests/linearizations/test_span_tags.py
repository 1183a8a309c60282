"""Spans as tags: against hand-made tags, all label sequences, and seqeval."""

from __future__ import annotations

import itertools
from typing import Any

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spacy_emerging.errors import SettingError
from spacy_emerging.linearizations.span_tags import SpanTags
from spacy_emerging.linearizations.token_tags import TokenTags
from spacy_emerging.structures import Spans

TWO = Spans(6, (("GPE-x", 1, 2), ("PER", 2, 5)))


def one_field(*tags: str) -> list[tuple[str, ...]]:
    return [(tag,) for tag in tags]


def legal_by_the_book(scheme: str, tags: tuple[str, ...]) -> bool:
    """Whether the tags are what `encode` writes for some spans: the definition of a legal sequence."""
    linearization = SpanTags(scheme)
    return linearization.encode(linearization.decode(one_field(*tags)).structure) == one_field(*tags)


def test_both_schemes_write_the_tags_everybody_knows() -> None:
    assert SpanTags("bio").encode(TWO) == one_field("O", "B-GPE-x", "B-PER", "I-PER", "I-PER", "O")
    assert SpanTags("bilou").encode(TWO) == one_field("O", "U-GPE-x", "B-PER", "I-PER", "L-PER", "O")


@pytest.mark.parametrize(
    ("scheme", "tags", "spans", "repairs"),
    [
        ("bio", ["I-a", "I-a", "I-b"], [("a", 0, 2), ("b", 2, 3)], 2),
        ("bio", ["B-a", "B-a", "what", "B"], [("a", 0, 1), ("a", 1, 2)], 2),
        ("bilou", ["B-a", "O"], [("a", 0, 1)], 1),
        ("bilou", ["B-a", "I-a"], [("a", 0, 2)], 1),
        ("bilou", ["L-a", "L-a"], [("a", 0, 1), ("a", 1, 2)], 2),
        ("bilou", ["B-a", "L-b"], [("a", 0, 1), ("b", 1, 2)], 2),
        ("bilou", ["B-", "L-"], [("", 0, 2)], 0),
        ("bilou", ["U-a-b-c"], [("a-b-c", 0, 1)], 0),
    ],
)
def test_illegal_tags_are_read_leniently(scheme: str, tags: list[str], spans: list[tuple[str, int, int]], repairs: int) -> None:
    assert SpanTags(scheme).decode(one_field(*tags)) == (Spans(len(tags), tuple(spans)), repairs)


@given(tags=st.lists(st.sampled_from(["O", "B-a", "I-a", "B-b", "I-b"]), max_size=12))
def test_bio_is_read_as_seqeval_reads_it(tags: list[str]) -> None:
    entities = pytest.importorskip("seqeval.metrics.sequence_labeling").get_entities(tags)
    expected = Spans(len(tags), tuple((label, start, last + 1) for label, start, last in entities))
    assert SpanTags("bio").decode(one_field(*tags)).structure == expected


VOCABULARIES = {
    "bio": ["O", "B-a", "I-a", "I-b-c", "B-b-c"],
    "bilou": ["I-a", "O", "B-a", "U-a", "L-a"],
}


@pytest.mark.parametrize("scheme", VOCABULARIES)
@pytest.mark.parametrize("n", [1, 2, 3, 4, 5])
def test_transitions_allow_exactly_the_legal_sequences(scheme: str, n: int) -> None:
    vocab = VOCABULARIES[scheme]
    start, between, end = SpanTags(scheme).allowed(vocab)
    for ids in itertools.product(range(len(vocab)), repeat=n):
        allowed = start[ids[0]] and end[ids[-1]] and all(between[a, b] for a, b in itertools.pairwise(ids))
        assert allowed == legal_by_the_book(scheme, tuple(vocab[k] for k in ids))


@pytest.mark.parametrize("scheme", VOCABULARIES)
@pytest.mark.parametrize("n", [1, 2, 3, 4, 5])
def test_scores_give_the_best_of_all_legal_sequences(scheme: str, n: int) -> None:
    vocab = VOCABULARIES[scheme]
    legal = [ids for ids in itertools.product(range(len(vocab)), repeat=n) if legal_by_the_book(scheme, tuple(vocab[k] for k in ids))]
    for seed in range(20):
        scores = numpy.random.default_rng(seed).normal(size=(n, len(vocab)))
        best = max(legal, key=lambda ids: sum(scores[i, k] for i, k in enumerate(ids)))
        decoded = SpanTags(scheme).decode_scores([scores], [vocab])
        assert decoded.structure == SpanTags(scheme).decode(one_field(*(vocab[k] for k in best))).structure
        assert decoded.repairs == (scores.argmax(axis=1) != best).sum()


def test_a_vocabulary_without_legal_sequences_falls_back_to_the_best_tags() -> None:
    assert SpanTags().decode_scores([numpy.zeros((2, 1))], [["I-a"]]).structure == Spans(2, (("a", 0, 2),))


def test_another_scheme_is_refused() -> None:
    with pytest.raises(SettingError, match="SpanTags: setting 'scheme' is 'bmes'"):
        SpanTags("bmes")


def test_token_tags_are_padded_or_cut_to_their_fields() -> None:
    decoded = TokenTags(["pos", "morph"]).decode([("NOUN", "Case=Nom"), ("X",), ("A", "B", "C")])
    assert decoded == ([("NOUN", "Case=Nom"), ("X", ""), ("A", "B")], 2)


def test_a_bare_string_is_one_field_and_what_is_no_string_is_a_repair() -> None:
    assert TokenTags().decode(["NOUN", ("VERB",), (None,)]) == ([("NOUN",), ("VERB",), ("",)], 1)  # type: ignore[list-item]


@pytest.mark.parametrize("fields", [[], ["tag", "tag"], [""], 0, None, [1], [["tag"]]])
def test_token_tags_need_names_of_their_own(fields: Any) -> None:
    with pytest.raises(SettingError, match="TokenTags: setting 'fields'"):
        TokenTags(fields)
