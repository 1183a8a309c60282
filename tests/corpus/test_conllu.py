"""What of a CoNLL-U file goes where in a Doc."""

import conllu as independent_reader
import pytest

from spacy_emerging.corpus.annotations import graph_arcs, surface_ranges
from spacy_emerging.errors import SettingError

SENTENCE = """
    # sent_id = 1
    # text = She saw it.
    1  She  she  PRON  PRP  Case=Nom|Person=3  2  nsubj  2:nsubj  _
    2  saw  see  VERB  VBD  Tense=Past  0  root  0:root  _
    3  it  it  PRON  PRP  _  2  obj  2:obj  SpaceAfter=No
    4  .  .  PUNCT  .  _  2  punct  2:punct  _
"""

ONE_WORD = "1  Yes  yes  INTJ  UH  _  0  root  _  _\n"


def test_every_column_goes_to_its_token_attribute(conllu):
    (doc,) = conllu(SENTENCE)
    assert doc.text == "She saw it. "
    assert [token.lemma_ for token in doc] == ["she", "see", "it", "."]
    assert [token.pos_ for token in doc] == ["PRON", "VERB", "PRON", "PUNCT"]
    assert [token.tag_ for token in doc] == ["PRP", "VBD", "PRP", "."]
    assert str(doc[0].morph) == "Case=Nom|Person=3"
    assert [token.head.i for token in doc] == [1, 1, 1, 1]
    assert [token.dep_ for token in doc] == ["nsubj", "root", "obj", "punct"]


def test_columns_agree_with_an_independent_reader(conllu, write):
    (doc,) = conllu(SENTENCE)
    (sentence,) = independent_reader.parse(write(SENTENCE).read_text(encoding="utf-8"))
    for token, expected in zip(doc, sentence, strict=True):
        assert (token.text, token.lemma_, token.pos_, token.tag_, token.dep_) == tuple(
            expected[name] for name in ("form", "lemma", "upos", "xpos", "deprel")
        )
        assert token.morph.to_dict() == (expected["feats"] or {})
        assert (0 if token.head == token else token.head.i + 1) == expected["head"]


def test_an_empty_feats_cell_says_no_features_where_the_file_has_features(conllu):
    (doc,) = conllu(SENTENCE)
    assert doc.has_annotation("MORPH", require_complete=True)
    assert str(doc[2].morph) == ""


def test_columns_empty_throughout_stay_unset(conllu):
    (doc,) = conllu("1  a  _  _  _  _  _  _  _  _\n2  b  _  _  _  _  _  _  _  _\n")
    for attribute in ("LEMMA", "POS", "TAG", "MORPH", "DEP", "ENT_IOB"):
        assert not doc.has_annotation(attribute), attribute
    assert graph_arcs(doc) is None
    assert [token.is_sent_start for token in doc] == [True, False]


def test_tag_is_upos_only_where_xpos_is_empty_throughout(conllu):
    (without_xpos,) = conllu("1  a  a  DET  _  _  0  root  _  _\n2  b  b  NOUN  _  _  1  dep  _  _\n")
    assert [token.tag_ for token in without_xpos] == ["DET", "NOUN"]
    (with_xpos,) = conllu("1  a  a  DET  DT  _  0  root  _  _\n2  b  b  NOUN  _  _  1  dep  _  _\n")
    assert [token.tag_ for token in with_xpos] == ["DT", ""]


def test_the_spelling_of_the_root_relation_is_kept(conllu):
    (doc,) = conllu("1  Go  go  VERB  VB  _  0  ROOT:main  _  _\n")
    assert doc[0].dep_ == "ROOT:main"


def test_the_lemma_of_an_underscore_is_an_underscore(conllu):
    (doc,) = conllu("1  _  _  SYM  SYM  _  0  root  _  _\n2  b  _  NOUN  NN  _  1  dep  _  _\n3  c  c  NOUN  NN  _  1  dep  _  _\n")
    assert [token.lemma_ for token in doc] == ["_", "", "c"]


def test_tokens_may_hold_spaces(conllu):
    (doc,) = conllu("1  phỏng vấn  phỏng vấn  VERB  V  _  0  root  _  SpaceAfter=No\n2  .  .  PUNCT  CH  _  1  punct  _  _\n")
    assert [token.text for token in doc] == ["phỏng vấn", "."]


def test_byte_order_mark_and_windows_line_ends_are_no_part_of_the_text(tmp_path, conllu):
    text = "\ufeff" + "1  Yes  yes  INTJ  UH  _  0  root  _  _\r\n\r\n"
    (doc,) = conllu(text)
    assert [token.text for token in doc] == ["Yes"]
    assert doc[0].whitespace_ == " "


class TestDocuments:
    def test_newdoc_begins_a_doc_and_a_doc_then_has_no_other_bound(self, conllu):
        docs = conllu(f"# newdoc id = a\n{ONE_WORD}\n{ONE_WORD}\n{ONE_WORD}\n# newdoc\n{ONE_WORD}\n", n_sents=2)
        assert [len(list(doc.sents)) for doc in docs] == [3, 1]

    def test_without_newdoc_n_sents_make_a_doc(self, conllu):
        docs = conllu(f"{ONE_WORD}\n" * 5, n_sents=2)
        assert [len(list(doc.sents)) for doc in docs] == [2, 2, 1]

    def test_ten_sentences_by_default(self, conllu):
        assert [len(doc) for doc in conllu(f"{ONE_WORD}\n" * 12)] == [10, 2]

    def test_heads_and_graph_of_later_sentences_are_moved(self, conllu):
        (doc,) = conllu(SENTENCE + "\n" + SENTENCE)
        assert [token.head.i for token in doc] == [1, 1, 1, 1, 5, 5, 5, 5]
        assert graph_arcs(doc)[4:] == [(6, 5, "nsubj"), (0, 6, "root"), (6, 7, "obj"), (6, 8, "punct")]

    def test_crossing_arcs_do_not_move_sentence_boundaries(self, conllu):
        heads = [3, 4, 0, 3]
        crossing = "".join(f"{i}  w  _  X  _  _  {head}  {'dep' if head else 'root'}  _  _\n" for i, head in enumerate(heads, start=1))
        (doc,) = conllu(f"{crossing}\n" * 3)
        assert [sent.start for sent in doc.sents] == [0, 4, 8]

    def test_a_last_sentence_without_blank_line_counts(self, conllu):
        assert len(conllu(ONE_WORD.rstrip())[0]) == 1

    def test_n_sents_below_one_is_refused(self, conllu):
        with pytest.raises(SettingError, match="n_sents"):
            conllu(ONE_WORD, n_sents=0)


class TestMultiwordTokens:
    TEXT = """
        1  Vai  ir  VERB  V  _  0  root  _  _
        2-3  às  _  _  _  _  _  _  _  SpaceAfter=No
        2  a  a  ADP  P  _  4  case  _  SpaceAfter=No
        3  as  o  DET  D  _  4  det  _  _
        4  !  !  PUNCT  .  _  1  punct  _  _
    """

    def test_words_become_tokens_and_the_range_is_kept(self, conllu):
        (doc,) = conllu(self.TEXT)
        assert [token.text for token in doc] == ["Vai", "a", "as", "!"]
        assert surface_ranges(doc) == [(1, 3, "às")]

    def test_space_after_of_the_range_holds_for_its_last_word(self, conllu):
        (doc,) = conllu(self.TEXT)
        assert [token.whitespace_ for token in doc] == [" ", "", "", " "]


class TestEmptyNodes:
    TEXT = """
        1  Mary  Mary  PROPN  NNP  _  2  nsubj  2:nsubj  _
        2  won  win  VERB  VBD  _  0  root  0:root  _
        3  and  and  CCONJ  CC  _  4  cc  5.1:cc  _
        4  Sue  Sue  PROPN  NNP  _  2  conj  5.1:nsubj  _
        5  bronze  bronze  NOUN  NN  _  4  orphan  5.1:obj  _
        5.1  won  win  VERB  VBD  _  _  _  2:conj|0:root  _
    """

    def test_they_are_no_tokens(self, conllu):
        (doc,) = conllu(self.TEXT)
        assert [token.text for token in doc] == ["Mary", "won", "and", "Sue", "bronze"]

    def test_paths_through_them_are_drawn_together(self, conllu):
        (doc,) = conllu(self.TEXT)
        assert [(head, label) for head, dependent, label in graph_arcs(doc) if dependent == 4] == [(0, "root>nsubj"), (2, "conj>nsubj")]

    def test_a_circle_of_them_ends_and_a_path_back_to_the_word_is_dropped(self, conllu):
        (doc,) = conllu("""
            1  a  a  X  _  _  0  root  0:root|1.1:x  _
            1.1  b  b  X  _  _  _  _  1:y|1.2:z  _
            1.2  c  c  X  _  _  _  _  1.1:z|0:w  _
        """)
        assert graph_arcs(doc) == [(0, 1, "root"), (0, 1, "w>z>x")]


def test_a_file_annotates_graphs_of_all_its_docs_or_of_none(conllu):
    with_arcs = "1\tGo\t_\tVERB\t_\t_\t0\troot\t0:root\t_\n\n"
    without = with_arcs.replace("0:root", "_")
    assert [graph_arcs(doc) for doc in conllu(without + with_arcs, n_sents=1)] == [[], [(0, 1, "root")]]
    assert [graph_arcs(doc) for doc in conllu(without * 2, n_sents=1)] == [None, None]
    # an empty node alone can tell, too
    assert [graph_arcs(doc) for doc in conllu(without.rstrip() + "\n1.1\t_\t_\t_\t_\t_\t_\t_\t0:root\t_\n\n")] == [[]]


def test_a_word_may_have_several_heads_in_the_graph(conllu):
    (doc,) = conllu("""
        1  cats  cat  NOUN  NNS  _  0  root  0:root|2:nsubj  _
        2  sleep  sleep  VERB  VBP  _  1  acl:relcl  1:acl:relcl  _
    """)
    assert graph_arcs(doc) == [(0, 1, "root"), (2, 1, "nsubj"), (1, 2, "acl:relcl")]
    assert all(isinstance(arc, list) for arc in doc.user_data["emerging_graph"])
