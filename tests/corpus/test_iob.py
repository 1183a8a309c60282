"""Token-per-line files in the shapes they come in."""

import pytest
from spacy.vocab import Vocab

from spacy_emerging.corpus.iob import read_iob, spaces_in
from spacy_emerging.errors import CorpusError


def entities(doc):
    return [(ent.text, ent.label_) for ent in doc.ents]


def test_two_columns_with_tabs(iob):
    (doc,) = iob("Ann  B-PER\nLee  I-PER\nleft  O\n\nGood  O\n")
    assert entities(doc) == [("Ann Lee", "PER")]
    assert [sent.text for sent in doc.sents] == ["Ann Lee left", "Good"]
    assert [token.ent_iob_ for token in doc] == ["B", "I", "O", "O"]


def test_columns_with_spaces_and_docstart(iob):
    docs = iob("-DOCSTART- -X- O O\n\nEU NNP I-NP I-ORG\nrejects VBZ I-VP O\n\n-DOCSTART- -X- O O\n\nPeter NNP I-NP I-PER\n")
    assert [entities(doc) for doc in docs] == [[("EU", "ORG")], [("Peter", "PER")]]


def test_universal_ner_columns_comments_and_spaces(iob):
    text = "# newdoc id = n1\n# sent_id = 1\n# text = Ann, hi\n1  Ann  B-PER  -  anno\n2  ,  O  -  anno\n3  hi  O  -  anno\n"
    first, second = iob(text + "\n" + text)
    assert first.text == "Ann, hi "
    assert entities(second) == [("Ann", "PER")]


def test_a_number_sign_may_be_a_token_or_a_comment(iob):
    (doc,) = iob("# O\n#tag O\n# a comment about the file O\n# sent_id = 3\nAnn B-PER\n")
    assert [token.text for token in doc] == ["#", "#tag", "Ann"]
    (doc,) = iob("#  O\nAnn  B-PER\n")
    assert [token.text for token in doc] == ["#", "Ann"]


def test_tokens_in_lines_with_tabs_may_hold_spaces(iob):
    (doc,) = iob("New York  U-LOC\nsleeps  O\n")
    assert entities(doc) == [("New York", "LOC")]


def test_types_without_prefix_mark_one_word_each(iob):
    (doc,) = iob("came  EVENT\nsaw  EVENT\nhere  O\n")
    assert entities(doc) == [("came", "EVENT"), ("saw", "EVENT")]


def test_n_sents_make_a_doc(iob):
    assert [len(doc) for doc in iob("a O\n\n" * 12)] == [10, 2]
    assert [len(doc) for doc in iob("a O\n\n" * 5, n_sents=2)] == [2, 2, 1]


@pytest.mark.parametrize(
    ("words", "text", "expected"),
    [
        (["a", ",", "b"], "a,  b", [False, True, True]),
        (["同样", "，"], "同样，", [False, True]),
        (["a", "b"], "a c", None),
        (["a"], "a b", None),
    ],
)
def test_spaces_come_from_a_text_that_spells_the_words(words, text, expected):
    assert spaces_in(words, text) == expected


def test_a_text_that_spells_other_words_is_passed_over(iob):
    (doc,) = iob("# text = nothing of it\na  O\nb  O\n")
    assert doc.text == "a b "


@pytest.mark.parametrize(
    ("text", "line", "telling"),
    [
        ("a\n", 1, "1 column"),
        ("a  O\n\nb  X  O\n", 3, "3 columns"),
        ("a  O\nb\n", 2, "1 columns"),
        ("a  B-PER\nb  PER\n", 2, "'PER'"),
        ("a  PER\nb  B-PER\n", 2, "prefix"),
        ("a  B-\n", 1, "'B-'"),
        ("a  _\n", 1, "'_'"),
        ("a  O\n\tO\n", 2, "empty"),
    ],
)
def test_the_message_names_file_line_and_fault(write, text, line, telling):
    path = write(text, "broken.tsv")
    with pytest.raises(CorpusError) as raised:
        list(read_iob(path, Vocab()))
    assert str(raised.value).startswith(f"{path}:{line}: ")
    assert telling in str(raised.value)


@pytest.mark.parametrize("text", ["", "\n", "-DOCSTART- O\n\n"])
def test_a_file_without_sentences_is_refused(write, text):
    with pytest.raises(CorpusError, match="no sentences"):
        list(read_iob(write(text, "empty.iob"), Vocab()))
