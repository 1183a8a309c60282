"""Entities in CoNLL-U: brackets and tags."""

import pytest

from spacy_emerging.corpus.annotations import MENTIONS_KEY


def rows(*misc: str) -> str:
    """A flat sentence, one word per MISC cell."""
    lines = [f"{i}  w{i}  w  X  X  _  {min(i - 1, 1)}  {'dep' if i > 1 else 'root'}  _  {cell}" for i, cell in enumerate(misc, start=1)]
    return "\n".join(lines) + "\n"


def entities(doc):
    return [(ent.start, ent.end, ent.label_) for ent in doc.ents]


def mentions(doc):
    return [(span.start, span.end, span.label_) for span in doc.spans[MENTIONS_KEY]]


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["Entity=(person-1)", "_"], [(0, 1, "person")]),
        (["Entity=(person-1", "Entity=person-1)"], [(0, 2, "person")]),
        (["Entity=(person", "Entity=person)"], [(0, 2, "person")]),
        (["Entity=(1-person-new-cf1", "Entity=1)"], [(0, 2, "person")]),
        (["Entity=(e12-place--1", "Entity=e12)"], [(0, 2, "place")]),
        (["Entity=(1-person)(2-place", "SpaceAfter=No|Entity=2)"], [(0, 1, "person"), (0, 2, "place")]),
        (["Entity=(1-person)", "Entity=(2-place)"], [(0, 1, "person"), (1, 2, "place")]),
        (["Entity=(work", "Entity=(work", "Entity=work)", "Entity=work)"], [(0, 4, "work"), (1, 3, "work")]),
        (["Entity=(1-work", "Entity=1)(1-work", "Entity=1)"], [(0, 2, "work"), (1, 3, "work")]),
    ],
)
def test_brackets_become_mentions(conllu, cells, expected):
    (doc,) = conllu(rows(*cells))
    assert mentions(doc) == expected


def test_doc_ents_are_the_outermost_mentions_and_spans_hold_all(conllu):
    (doc,) = conllu(rows("Entity=(1-organization", "Entity=(2-place)1)", "Entity=(3-person)"))
    assert entities(doc) == [(0, 2, "organization"), (2, 3, "person")]
    assert mentions(doc) == [(0, 2, "organization"), (1, 2, "place"), (2, 3, "person")]


def test_of_crossing_mentions_the_longer_is_the_entity(conllu):
    (doc,) = conllu(rows("Entity=(1-a", "Entity=(2-b", "Entity=1)", "_", "Entity=2)"))
    assert entities(doc) == [(1, 5, "b")]
    assert mentions(doc) == [(0, 3, "a"), (1, 5, "b")]


def test_the_header_says_where_the_type_stands(conllu):
    sentence = rows("Entity=(x-geo-loc)", "_")
    (doc,) = conllu("# global.Entity = eid-etype\n" + sentence + "\n" + sentence)
    assert entities(doc) == [(0, 1, "geo-loc"), (2, 3, "geo-loc")]


def test_words_outside_mentions_are_annotated_as_outside_where_the_file_has_entities(conllu):
    first, second = conllu(rows("_", "_") + "\n" + rows("Entity=(1-person)", "_"), n_sents=1)
    assert [token.ent_iob_ for token in first] == ["O", "O"]
    assert entities(second) == [(0, 1, "person")]


def test_mentions_without_type_and_parts_of_discontinuous_ones_are_left_out(conllu):
    (doc,) = conllu("# global.Entity = eid-etype\n" + rows("Entity=(e1-)", "Entity=(e2[1/2]-person)", "Entity=(e3-place)"))
    assert mentions(doc) == [(2, 3, "place")]


def test_brackets_on_empty_nodes_fall_to_the_words_beside_them(conllu):
    (doc,) = conllu("""
        1  a  a  X  X  _  0  root  0:root  _
        1.1  b  b  X  X  _  _  _  1:dep  Entity=(1-person(2-gap)
        2  c  c  X  X  _  1  dep  1:dep  Entity=1)
    """)
    assert mentions(doc) == [(1, 2, "person")]


@pytest.mark.parametrize("name", ["NER", "NE", "name"])
def test_tags_in_misc_are_read(conllu, name):
    (doc,) = conllu(rows(f"{name}=B-PER|SpaceAfter=No", f"{name}=I-PER", f"{name}=O"))
    assert entities(doc) == [(0, 2, "PER")]


def test_other_values_of_name_are_no_tags(conllu):
    (doc,) = conllu(rows("name=Anna", "_"))
    assert not doc.has_annotation("ENT_IOB")


def test_a_ner_column_is_read_where_the_header_names_it(conllu):
    (doc,) = conllu("# global.columns = ID FORM HEAD DEPREL MY:NER\n1  Ann  2  nsubj  B-PER\n2  left  0  root  O\n")
    assert entities(doc) == [(0, 1, "PER")]
    assert [token.dep_ for token in doc] == ["nsubj", "root"]


def test_tags_decide_doc_ents_where_a_file_has_both(conllu):
    (doc,) = conllu(rows("NER=B-PER|Entity=(1-person", "NER=O|Entity=1)"))
    assert entities(doc) == [(0, 1, "PER")]
    assert mentions(doc) == [(0, 2, "person")]
