"""Cutting a Doc into sentences keeps what is annotated on them."""

import pytest
from spacy.tokens import Doc, DocBin, Span, Token
from spacy.vocab import Vocab

from spacy_emerging.corpus.annotations import graph_arcs, set_graph_arcs, set_surface_ranges, surface_ranges
from spacy_emerging.corpus.sentences import cut_sentences


@pytest.fixture
def doc() -> Doc:
    """Two sentences of three words with everything annotated, and some of it across the boundary."""
    doc = Doc(
        Vocab(),
        words=["Ann", "met", "Bob", "He", "smiled", "."],
        spaces=[True, True, False, True, False, False],
        tags=["NNP", "VBD", "NNP", "PRP", "VBD", "."],
        heads=[1, 1, 1, 4, 4, 4],
        deps=["nsubj", "root", "obj", "nsubj", "root", "punct"],
        ents=["B-PER", "O", "B-PER", "B-PER", "O", "O"],
    )
    doc.spans["sc"] = [Span(doc, 0, 1, "A"), Span(doc, 4, 6, "B", kb_id="Q1"), Span(doc, 2, 4, "across")]
    doc.spans["none"] = []
    set_graph_arcs(doc, [(0, 2, "root"), (2, 1, "nsubj"), (0, 5, "root"), (5, 4, "nsubj"), (3, 4, "ref")])
    set_surface_ranges(doc, [(0, 2, "Annmet"), (4, 6, "smiled.")])
    doc.user_data["source"] = "ours"
    return doc


def test_entities_spans_graph_and_ranges_go_with_their_sentence(doc):
    first, second = cut_sentences(doc)
    assert [(ent.text, ent.label_) for ent in first.ents] == [("Ann", "PER"), ("Bob", "PER")]
    assert [(ent.text, ent.label_) for ent in second.ents] == [("He", "PER")]
    assert [(span.text, span.label_) for span in first.spans["sc"]] == [("Ann", "A")]
    assert [(span.text, span.label_, span.kb_id_) for span in second.spans["sc"]] == [("smiled.", "B", "Q1")]
    assert len(second.spans["none"]) == 0
    assert graph_arcs(first) == [(2, 1, "nsubj"), (0, 2, "root")]
    assert graph_arcs(second) == [(2, 1, "nsubj"), (0, 2, "root")]
    assert surface_ranges(first) == [(0, 2, "Annmet")]
    assert surface_ranges(second) == [(1, 3, "smiled.")]
    assert second.user_data["source"] == "ours"


def test_tokens_tree_and_text_are_those_of_the_sentence(doc):
    for piece, sentence in zip(cut_sentences(doc), doc.sents, strict=True):
        assert piece.text == sentence.text
        assert [token.tag_ for token in piece] == [token.tag_ for token in sentence]
        assert [token.head.i + sentence.start for token in piece] == [token.head.i for token in sentence]


def test_extension_values_of_tokens_are_kept(doc):
    Token.set_extension("corpus_test_mark", default=None)
    try:
        doc[4]._.corpus_test_mark = "here"
        _, second = cut_sentences(doc)
        assert [token._.corpus_test_mark for token in second] == [None, "here", None]
    finally:
        Token.remove_extension("corpus_test_mark")


def test_it_works_on_docs_that_were_saved(doc):
    # given a Doc from a .spacy file, where lists come back as tuples
    (saved,) = DocBin().from_bytes(DocBin(docs=[doc], store_user_data=True).to_bytes()).get_docs(Vocab())
    # when it is cut, then nothing is missing
    assert [graph_arcs(piece) for piece in cut_sentences(saved)] == [graph_arcs(piece) for piece in cut_sentences(doc)]
    assert [surface_ranges(piece) for piece in cut_sentences(saved)] == [surface_ranges(piece) for piece in cut_sentences(doc)]


def test_a_doc_without_graph_gets_none():
    doc = Doc(Vocab(), words=["a", "b"], sent_starts=[True, True])
    assert [graph_arcs(piece) for piece in cut_sentences(doc)] == [None, None]


def test_unknown_spaces_stay_unknown():
    doc = Doc(Vocab(), words=["a", "b"], sent_starts=[True, True])
    assert [piece.has_unknown_spaces for piece in cut_sentences(doc)] == [True, True]


def test_a_doc_without_sentence_boundaries_stays_whole():
    doc = Doc(Vocab(), words=["a", "b"])
    assert list(cut_sentences(doc)) == [doc]
