"""Docs to CoNLL-U and back."""

import conllu as independent_reader
import pytest
from spacy.tokens import Doc
from spacy.vocab import Vocab

from spacy_emerging.corpus.annotations import MENTIONS_KEY, graph_arcs, set_graph_arcs, surface_ranges
from spacy_emerging.corpus.conllu import read_conllu
from spacy_emerging.corpus.conllu_writer import write_conllu
from spacy_emerging.errors import CorpusError

TEXT = """
    # newdoc
    # text = João vai às compras.
    1  João  João  PROPN  NNP  _  2  nsubj  2:nsubj  Entity=(1-person)
    2  vai  ir  VERB  V  Mood=Ind|Tense=Pres  0  root  0:root  _
    3-4  às  _  _  _  _  _  _  _  _
    3  a  a  ADP  P  _  5  case  5:case  _
    4  as  o  DET  D  Definite=Def  5  det  5:det  _
    5  compras  compra  NOUN  NN  _  2  obl  2:obl:a|5.1:obj  Entity=(2-event(3-geo%28x%29)2)|SpaceAfter=No
    5.1  fazer  fazer  VERB  V  _  _  _  2:xcomp  _
    6  .  .  PUNCT  .  _  2  punct  2:punct  _

    # text = phỏng vấn ông
    1  phỏng vấn  phỏng vấn  VERB  V  _  0  root  0:root  _
    2  ông  ông  NOUN  N  _  1  obj  1:obj  SpaceAfter=No

    # newdoc
    # text = Sim
    1  Sim  sim  INTJ  UH  _  0  root  0:root  _
"""


def kept(doc: Doc):
    """Everything that a CoNLL-U file tells about a Doc."""
    tokens = [
        (token.text, token.whitespace_, token.lemma_, token.pos_, token.tag_, str(token.morph), token.head.i, token.dep_)
        + (token.is_sent_start, token.ent_iob_, token.ent_type_)
        for token in doc
    ]
    spans = {key: [(span.start, span.end, span.label_) for span in group] for key, group in doc.spans.items()}
    return tokens, graph_arcs(doc), surface_ranges(doc), spans


def test_read_write_read_keeps_everything(conllu, tmp_path):
    # given Docs that were read, with multiword token, graph, nested mentions and two documents
    docs = conllu(TEXT)
    # when they are written and read again
    write_conllu(docs, tmp_path / "again.conllu")
    again = list(read_conllu(tmp_path / "again.conllu", Vocab()))
    # then nothing has changed
    assert [kept(doc) for doc in again] == [kept(doc) for doc in docs]
    assert surface_ranges(again[0]) and graph_arcs(again[0]) and again[0].spans[MENTIONS_KEY]


def test_the_text_comment_is_the_surface_text(conllu, write, tmp_path):
    docs = conllu(TEXT)
    write_conllu(docs, tmp_path / "again.conllu")
    sentences = independent_reader.parse((tmp_path / "again.conllu").read_text(encoding="utf-8"))
    assert [sentence.metadata["text"] for sentence in sentences] == ["João vai às compras.", "phỏng vấn ông", "Sim"]
    assert len({sentence.metadata["sent_id"] for sentence in sentences}) == 3


def test_space_after_stands_on_the_range_and_not_on_its_words(conllu, tmp_path):
    docs = conllu("""
        1-2  às  _  _  _  _  _  _  _  SpaceAfter=No
        1  a  a  ADP  P  _  3  case  _  _
        2  as  o  DET  D  _  3  det  _  _
        3  ?  ?  PUNCT  .  _  0  root  _  _
    """)
    write_conllu(docs, tmp_path / "again.conllu")
    rows = [line for line in (tmp_path / "again.conllu").read_text(encoding="utf-8").splitlines() if line[:1].isdigit()]
    assert [row.split("\t")[9] for row in rows] == ["SpaceAfter=No", "_", "_", "_"]


def test_heads_in_the_graph_are_counted_within_the_sentence(conllu, tmp_path):
    write_conllu(conllu(TEXT), tmp_path / "again.conllu")
    second = independent_reader.parse((tmp_path / "again.conllu").read_text(encoding="utf-8"))[1]
    assert [token["deps"] for token in second] == [[("root", 0)], [("obj", 1)]]


def test_paths_through_empty_nodes_are_written_as_labels(conllu, tmp_path):
    # given "compras", which depends on the empty node 5.1, which depends on "vai"
    docs = conllu(TEXT)
    # when the graph is written
    write_conllu(docs, tmp_path / "again.conllu")
    first = independent_reader.parse((tmp_path / "again.conllu").read_text(encoding="utf-8"))[0]
    # then the path is one arc, and no empty node is needed
    assert first[5]["form"] == "compras" and first[5]["deps"] == [("obl:a", 2), ("xcomp>obj", 2)]
    assert all(isinstance(token["id"], int) or token["id"][1] == "-" for token in first)


def test_arcs_from_a_word_to_itself_are_left_out(tmp_path):
    doc = Doc(Vocab(), words=["a", "b"])
    set_graph_arcs(doc, [(0, 1, "root"), (1, 2, "dep"), (2, 2, "self")])
    write_conllu([doc], tmp_path / "a.conllu")
    (again,) = read_conllu(tmp_path / "a.conllu", Vocab())
    assert graph_arcs(again) == [(0, 1, "root"), (1, 2, "dep")]


def test_a_graph_without_arcs_comes_back_where_another_doc_of_the_file_has_some(tmp_path):
    docs = [Doc(Vocab(), words=["Go"], sent_starts=[True]) for _ in range(2)]
    set_graph_arcs(docs[0], [])
    for arcs, expected in (([(0, 1, "root")], [[], [(0, 1, "root")]]), ([], [None, None])):
        set_graph_arcs(docs[1], arcs)
        write_conllu(docs, tmp_path / "a.conllu")
        assert [graph_arcs(doc) for doc in read_conllu(tmp_path / "a.conllu", Vocab())] == expected


@pytest.mark.parametrize("label", ["", "a|b", "a b"])
def test_a_label_of_the_graph_that_the_format_cannot_hold_is_refused(tmp_path, label):
    doc = Doc(Vocab(), words=["a", "b"])
    set_graph_arcs(doc, [(1, 2, label)])
    with pytest.raises(CorpusError, match="a label in the graph of Doc 1"):
        write_conllu([doc], tmp_path / "a.conllu")


def test_entities_without_mentions_are_written_as_tags(conllu, tmp_path):
    doc = Doc(Vocab(), words=["New", "York", "sleeps"], ents=["B-geo-loc", "I-geo-loc", "O"], sent_starts=[True, False, False])
    write_conllu([doc], tmp_path / "ents.conllu")
    (again,) = read_conllu(tmp_path / "ents.conllu", Vocab())
    assert kept(again) == kept(doc)


def test_a_doc_without_annotation_gets_none(tmp_path):
    write_conllu([Doc(Vocab(), words=["a", "b"])], tmp_path / "bare.conllu")
    (again,) = read_conllu(tmp_path / "bare.conllu", Vocab())
    assert not any(again.has_annotation(name) for name in ("LEMMA", "POS", "TAG", "MORPH", "DEP", "ENT_IOB"))


def test_the_root_relation_of_spacys_parser_is_written_as_root(tmp_path):
    doc = Doc(Vocab(), words=["He", "left"], heads=[1, 1], deps=["nsubj", "ROOT"])
    write_conllu([doc], tmp_path / "root.conllu")
    (again,) = read_conllu(tmp_path / "root.conllu", Vocab())
    assert again[1].dep_ == "root"


@pytest.mark.parametrize("word", ["\n", " ", "a\tb"])
def test_a_token_that_the_format_cannot_hold_is_refused_and_the_old_file_stays(tmp_path, word):
    path = tmp_path / "kept.conllu"
    path.write_text("old", encoding="utf-8")
    with pytest.raises(CorpusError, match="token 1 of Doc 1"):
        write_conllu([Doc(Vocab(), words=["a", word])], path)
    assert [file.name for file in tmp_path.iterdir()] == ["kept.conllu"]
    assert path.read_text(encoding="utf-8") == "old"


@pytest.mark.parametrize(
    ("annotation", "message"),
    [
        ({"lemmas": ["a", "b\tc"]}, r"the lemma of token 1 of Doc 1 \(sentence 1\) is 'b\\tc'"),
        ({"tags": ["a", "b\nc"]}, r"the tag of token 1 of Doc 1 \(sentence 1\) is 'b\\nc'"),
        ({"heads": [0, 0], "deps": ["root", "b\rc"]}, r"the relation of token 1 of Doc 1 \(sentence 1\) is 'b\\rc'"),
        ({"heads": [0, 0], "deps": ["root", "_"]}, r"the relation of token 1 of Doc 1 \(sentence 1\) is '_'"),
    ],
)
def test_an_annotation_that_the_format_cannot_hold_is_refused(tmp_path, annotation, message):
    with pytest.raises(CorpusError, match=message):
        write_conllu([Doc(Vocab(), words=["a", "b"], **annotation)], tmp_path / "a.conllu")
    assert list(tmp_path.iterdir()) == []
