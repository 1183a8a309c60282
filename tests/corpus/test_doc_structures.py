"""From Docs to the structures of their sentences."""

from __future__ import annotations

from spacy.tokens import Doc, Span
from spacy.vocab import Vocab

from spacy_emerging.corpus.annotations import CONSTITUENTS_KEY, set_graph_arcs
from spacy_emerging.corpus.structures import annotated_sentences
from spacy_emerging.structures import ConstituencyTree, DependencyGraph, DependencyTree


def two_sentences(**annotation) -> Doc:
    return Doc(Vocab(), words=["Ann", "left", ".", "Go", "home"], **annotation)


def test_trees_count_from_the_start_of_their_sentence():
    doc = two_sentences(heads=[1, 1, 1, 3, 3], deps=["nsubj", "root", "punct", "root", "advmod"], sent_starts=[1, 0, 0, 1, 0])
    first, second = annotated_sentences(doc)
    assert first.words == ("Ann", "left", ".")
    assert first.tree == DependencyTree((2, 0, 2), ("nsubj", "root", "punct"))
    assert second.tree == DependencyTree((0, 1), ("root", "advmod"))
    assert (first.graph, first.constituents, first.tags) == (None, None, ("", "", ""))


def test_a_word_without_a_relation_makes_no_tree():
    doc = two_sentences(heads=[1, 1, 1, 3, 3], deps=["nsubj", "root", "punct", "root", ""], sent_starts=[1, 0, 0, 1, 0])
    first, second = annotated_sentences(doc)
    assert first.tree is not None and second.tree is None


def test_graphs_and_constituents_go_to_their_sentences():
    doc = two_sentences(sent_starts=[1, 0, 0, 1, 0], tags=["NNP", "VBD", ".", "VB", "RB"], pos=["PROPN", "VERB", "PUNCT", "VERB", "ADV"])
    set_graph_arcs(doc, [(0, 2, "root"), (2, 1, "nsubj"), (4, 5, "advmod"), (2, 4, "across")])
    doc.spans[CONSTITUENTS_KEY] = [Span(doc, 0, 3, "S"), Span(doc, 0, 1, "NP"), Span(doc, 3, 5, "S")]
    first, second = annotated_sentences(doc)
    assert first.graph == DependencyGraph(3, frozenset({(0, 2, "root"), (2, 1, "nsubj")}))
    assert second.graph == DependencyGraph(2, frozenset({(1, 2, "advmod")}))
    assert first.constituents == ConstituencyTree(3, [("S", 0, 3), ("NP", 0, 1)])
    assert second.constituents == ConstituencyTree(2, [("S", 0, 2)])
    assert (second.tags, second.pos) == (("VB", "RB"), ("VERB", "ADV"))


def test_a_doc_without_sentences_is_one_and_an_empty_one_none():
    assert [sentence.words for sentence in annotated_sentences(Doc(Vocab(), words=["a", "b"]))] == [("a", "b")]
    assert list(annotated_sentences(Doc(Vocab()))) == []
