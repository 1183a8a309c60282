"""Chunk tags of every scheme, well-formed or not, to spans."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spacy_emerging.corpus.tags import chunks, iob2, outermost

X = [(0, 2, "X")]


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ("B-X I-X O", X),
        ("I-X I-X O", X),
        ("B-X L-X O", X),
        ("B-X E-X O", X),
        ("B-X B-X", [(0, 1, "X"), (1, 2, "X")]),
        ("I-X B-X", [(0, 1, "X"), (1, 2, "X")]),
        ("I-X I-Y", [(0, 1, "X"), (1, 2, "Y")]),
        ("U-X U-X", [(0, 1, "X"), (1, 2, "X")]),
        ("S-X I-X", [(0, 1, "X"), (1, 2, "X")]),
        ("B-X L-X I-X", [(0, 2, "X"), (2, 3, "X")]),
        ("O L-X", [(1, 2, "X")]),
        ("B-X E-Y", [(0, 1, "X"), (1, 2, "Y")]),
        ("B-X I-X", X),
        ("EVENT EVENT O", [(0, 1, "EVENT"), (1, 2, "EVENT")]),
        ("B-geo-loc I-geo-loc", [(0, 2, "geo-loc")]),
        ("", []),
    ],
)
def test_schemes_and_ill_formed_sequences(tags, expected):
    assert chunks(tags.split()) == expected


@given(st.lists(st.sampled_from(["O"] + [f"{prefix}-{kind}" for prefix in "BILUES" for kind in "XY"]), max_size=12))
def test_any_sequence_gives_spans_that_iob2_spells_back(tags):
    spans = chunks(tags)
    assert all(start < end for start, end, _ in spans)
    assert chunks(iob2(len(tags), spans)) == spans
    covered = {i for start, end, _ in spans for i in range(start, end)}
    assert covered == {i for i, tag in enumerate(tags) if tag != "O"}


def test_outermost_keeps_what_is_in_nothing_else():
    assert outermost([(0, 1, "a"), (0, 3, "b"), (2, 3, "c"), (4, 5, "d"), (4, 5, "e")]) == [(0, 3, "b"), (4, 5, "d")]
