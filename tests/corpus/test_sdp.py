"""SDP 2015 columns to Docs and back."""

import pytest
from spacy.tokens import Doc
from spacy.vocab import Vocab

from spacy_emerging.corpus.annotations import graph_arcs, set_graph_arcs
from spacy_emerging.corpus.conllu import read_conllu
from spacy_emerging.corpus.conllu_writer import write_conllu
from spacy_emerging.corpus.sdp import read_sdp
from spacy_emerging.corpus.sdp_writer import write_sdp
from spacy_emerging.errors import CorpusError

# Kim is the agent of both verbs, "to" hangs from nothing; "slept" and "soundly" are two tops that govern each other.
TEXT = """
    #SDP 2015
    #20001001
    1  Kim     Kim    NNP  -  -  _          ARG1  ARG1
    2  wants   want   VBZ  +  +  v:e-i-h    _     _
    3  to      to     TO   -  -  _          _     _
    4  sleep   sleep  VB   -  +  v:e-i      ARG2  _

    #20001002
    1  Pat      Pat     NNP  -  -  _    ARG1|ARG2  _
    2  slept    sleep   VBD  +  +  v:e  _          ARG1
    3  soundly  _       RB   +  +  a:e  mod        _
    4  _        _       SYM  -  -  _    _          _

    #20002001
    1  No   no  UH  -  -  _
"""


@pytest.fixture
def sdp(write):
    """Reads inline SDP columns."""
    return lambda text, **settings: list(read_sdp(write(text, "sample.sdp"), Vocab(), **settings))


def kept(doc: Doc):
    """Everything that the columns tell about a Doc."""
    return [(token.text, token.lemma_, token.tag_, token.is_sent_start) for token in doc], graph_arcs(doc)


def test_arguments_and_tops_become_arcs(sdp):
    first, second = sdp(TEXT)
    assert graph_arcs(first) == [
        *[(2, 1, "ARG1"), (4, 1, "ARG1"), (0, 2, "root"), (2, 4, "ARG2")],
        *[(6, 5, "ARG1"), (6, 5, "ARG2"), (0, 6, "root"), (7, 6, "ARG1"), (0, 7, "root"), (6, 7, "mod")],
    ]
    # a sentence without any arc has an empty graph, which is not the same as none
    assert graph_arcs(second) == []


def test_words_lemmas_and_tags(sdp):
    first, _ = sdp(TEXT)
    assert first.text == "Kim wants to sleep Pat slept soundly _ "
    assert [token.lemma_ for token in first] == ["Kim", "want", "to", "sleep", "Pat", "sleep", "", "_"]
    assert [token.tag_ for token in first][:2] == ["NNP", "VBZ"]
    assert not first.has_annotation("DEP")


def test_the_ids_of_sentences_tell_where_documents_begin(sdp):
    assert [[sentence.text for sentence in doc.sents] for doc in sdp(TEXT)] == [["Kim wants to sleep", "Pat slept soundly _"], ["No"]]


def test_without_ids_so_many_sentences_make_a_doc(sdp):
    text = "1  No  no  UH  -  -  _\n\n"
    assert [len(doc) for doc in sdp(text * 5, n_sents=2)] == [2, 2, 1]


def test_read_write_read_keeps_everything(sdp, tmp_path):
    docs = sdp(TEXT)
    write_sdp(docs, tmp_path / "again.sdp")
    again = list(read_sdp(tmp_path / "again.sdp", Vocab()))
    assert [kept(doc) for doc in again] == [kept(doc) for doc in docs]


def test_the_columns_are_written_as_in_the_shared_task(tmp_path):
    # given a word that is its own head, and a top with a name of its own
    doc = Doc(Vocab(), words=["It", "rains"], lemmas=["it", "rain"], pos=["PRON", "VERB"])
    set_graph_arcs(doc, [(0, 2, "top"), (2, 1, "expl"), (1, 1, "self"), (2, 1, "arg")])
    # when it is written
    write_sdp([doc], tmp_path / "a.sdp")
    # then there is one argument column for each word with an outgoing arc
    assert (tmp_path / "a.sdp").read_text(encoding="utf-8") == (
        "#SDP 2015\n#20001001\n1\tIt\tit\tPRON\t-\t+\t_\tself\targ|expl\n2\trains\train\tVERB\t+\t+\t_\t_\t_\n\n"
    )


def test_arcs_from_one_sentence_to_another_are_left_out(tmp_path):
    doc = Doc(Vocab(), words=["a", "b", "c"], sent_starts=[True, False, True])
    set_graph_arcs(doc, [(1, 2, "in"), (1, 3, "out"), (0, 3, "root")])
    write_sdp([doc], tmp_path / "a.sdp")
    write_conllu([doc], tmp_path / "a.conllu")
    for (again,) in (read_sdp(tmp_path / "a.sdp", Vocab()), read_conllu(tmp_path / "a.conllu", Vocab())):
        assert graph_arcs(again) == [(1, 2, "in"), (0, 3, "root")]


def test_graphs_go_from_sdp_to_conllu_and_back(sdp, tmp_path):
    docs = sdp(TEXT)[:1]
    write_conllu(docs, tmp_path / "a.conllu")
    write_sdp(read_conllu(tmp_path / "a.conllu", Vocab()), tmp_path / "a.sdp")
    (again,) = read_sdp(tmp_path / "a.sdp", Vocab())
    assert kept(again) == kept(docs[0])


@pytest.mark.parametrize(
    ("text", "line", "telling"),
    [
        ("1  a  a  X  -  -\n", 1, "6 columns"),
        ("#20001001\n2  a  a  X  -  -  _\n", 2, "the id is '2'"),
        ("1  a  a  X  -  -  _\n2  a  a  X  0  -  _\n", 2, "the top (column 5) is '0'"),
        ("1  a  a  X  -  _  _\n", 1, "the pred (column 6) is '_'"),
        ("1  a  a  X  -  +  _\n", 1, "1 predicates and so needs 8"),
        ("1  a  a  X  -  +  _  _\n2  b  b  X  -  -  _  a|\n", 2, "an argument (column 8) is 'a|'"),
        ("1\t\ta\tX\t-\t-\t_\n", 1, "the word form (column 2) is empty"),
    ],
)
def test_the_message_names_file_line_and_fault(write, text, line, telling):
    path = write(text, "broken.sdp")
    with pytest.raises(CorpusError) as raised:
        list(read_sdp(path, Vocab()))
    assert str(raised.value).startswith(f"{path}:{line}: ")
    assert telling in str(raised.value)


@pytest.mark.parametrize("text", ["", "#SDP 2015\n", "#20001001\n\n"])
def test_a_file_without_sentences_is_refused(write, text):
    with pytest.raises(CorpusError, match="no sentences"):
        list(read_sdp(write(text, "empty.sdp"), Vocab()))


@pytest.mark.parametrize(
    ("words", "arcs", "message"),
    [
        (["a"], None, "Doc 1 has no dependency graph"),
        (["a", "\n"], [], "token 1 of Doc 1"),
        (["a", "b"], [(1, 2, "x|y")], "is 'x|y'"),
        (["a", "b"], [(1, 2, "_")], "is '_'"),
        (["a", "b"], [(1, 2, "")], "is ''"),
    ],
)
def test_what_the_columns_cannot_hold_is_refused_and_the_old_file_stays(tmp_path, words, arcs, message):
    path = tmp_path / "kept.sdp"
    path.write_text("old", encoding="utf-8")
    doc = Doc(Vocab(), words=words)
    if arcs is not None:
        set_graph_arcs(doc, arcs)
    with pytest.raises(CorpusError) as raised:
        write_sdp([doc], path)
    assert message in str(raised.value)
    assert [file.name for file in tmp_path.iterdir()] == ["kept.sdp"]
    assert path.read_text(encoding="utf-8") == "old"


@pytest.mark.parametrize("annotation", ["lemmas", "tags"])
def test_a_tab_in_a_lemma_or_tag_is_refused(tmp_path, annotation):
    doc = Doc(Vocab(), words=["a", "b"], **{annotation: ["x", "y\tz"]})
    set_graph_arcs(doc, [])
    with pytest.raises(CorpusError, match=f"the {annotation[:-1]} of token 1 of Doc 1 \\(sentence 1\\) is 'y"):
        write_sdp([doc], tmp_path / "a.sdp")
    assert not list(tmp_path.iterdir())
