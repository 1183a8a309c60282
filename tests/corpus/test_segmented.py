"""Segmented text and tags of characters, read and written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from spacy.tokens import Doc
from spacy.vocab import Vocab

from spacy_emerging.corpus.bmes import read_bmes
from spacy_emerging.corpus.convert import convert, read_corpus
from spacy_emerging.corpus.segmented import read_segmented, read_segmented_blanks
from spacy_emerging.corpus.segmented_writer import write_bmes, write_segmented
from spacy_emerging.errors import CorpusError


@pytest.fixture
def file(tmp_path):
    def file(text: str, name: str = "sample.seg"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8", newline="")
        return path

    return file


def words(doc):
    return [token.text for token in doc]


# Segmented text


def test_blanks_between_words_are_not_part_of_the_text(file):
    """Given two lines as in the bakeoffs' training files, the sentences are joined without blanks."""
    (doc,) = read_segmented(file("我  喜欢  北京　。\r\n\n你 好\n"), Vocab())
    assert doc.text == "我喜欢北京。你好"
    assert [words(sent) for sent in doc.sents] == [["我", "喜欢", "北京", "。"], ["你", "好"]]


def test_underscores_join_the_syllables_of_text_with_blanks(file):
    path = file("ở Việt_Nam , _ a_\n")
    (doc,) = read_segmented_blanks(path, Vocab())
    assert doc.text == "ở Việt Nam , _ a_ "
    assert words(doc) == ["ở", "Việt Nam", ",", "_", "a_"]
    (doc,) = read_segmented(path, Vocab())
    assert words(doc)[1] == "Việt_Nam"


def test_n_sents_make_a_doc(file):
    assert [len(doc) for doc in read_segmented(file("你 好\n" * 12), Vocab())] == [20, 4]
    assert [len(doc) for doc in read_segmented(file("你 好\n" * 3), Vocab(), n_sents=2)] == [4, 2]


def test_a_byte_that_is_not_utf8_is_named_with_its_line(file, tmp_path):
    path = tmp_path / "gbk.utf8"
    path.write_bytes("你 好\n".encode() + "你 好\n".encode("gbk"))
    with pytest.raises(CorpusError, match=f"^{path}:2: byte 1 of the line is not UTF-8"):
        list(read_segmented(path, Vocab()))


@pytest.mark.parametrize("reader", [read_segmented, read_segmented_blanks, read_bmes])
def test_a_file_without_sentences_is_refused(file, reader):
    with pytest.raises(CorpusError, match="no sentences"):
        list(reader(file("\n  \n\n"), Vocab()))


# Tags of characters


def test_tags_of_characters_make_words(file):
    """Given tabs, blanks and I for M, the words are those the tags spell."""
    (doc,) = read_bmes(file("我\tS\n北 B\n京 I\n大\tM\n学\tE\n\n\n你\tB\n好\tE"), Vocab())
    assert doc.text == "我北京大学你好"
    assert [words(sent) for sent in doc.sents] == [["我", "北京大学"], ["你好"]]


def test_whitespace_is_between_words_or_inside(file):
    """Given lines of blanks, one after a word belongs to it, more of them are a token, and those tagged M are part of a word."""
    (doc,) = read_bmes(file("ở\tS\n \tX\nV\tB\n \tM\nN\tE\n \tX\n \tX\n.\tS\n \tX\n"), Vocab())
    assert doc.text == "ở V N  . "
    assert words(doc) == ["ở", "V N", " ", "."]


@pytest.mark.parametrize(
    ("text", "line", "telling"),
    [
        ("我\tS\n你\n", 2, "a character and its tag"),
        ("\tB\n", 1, "a character and its tag"),
        ("我\tQ\n", 1, "the tag is 'Q'"),
        ("我\tB-NOUN\n", 1, "the tag is 'B-NOUN'"),
        ("我\t\n", 1, "the tag is ''"),
        ("我\tS\n你\tBS\n", 2, "the tag is 'BS'"),
        ("我\tB\n你\tB\n", 2, "has not ended"),
        ("我\tB\n\n你\tS\n", 2, "ends inside a word"),
        ("我\tB\n你\tM", 2, "ends inside a word"),
        ("我\tS\n你\tE\n", 2, "no word has begun"),
        ("我\tX\n", 1, "only whitespace"),
        (" \tB\n", 1, "no word begins or ends with it"),
        ("我\tB\n你\t\tE\n", 2, "a character with whitespace"),
        ("a b\tS\n", 1, "a character with whitespace"),
    ],
)
def test_the_message_names_file_line_and_fault(file, text, line, telling):
    path = file(text, "broken.bmes")
    with pytest.raises(CorpusError) as raised:
        list(read_bmes(path, Vocab()))
    assert str(raised.value).startswith(f"{path}:{line}: ")
    assert telling in str(raised.value)


# Writers


def doc_of(*tokens: str, sent_starts=None) -> Doc:
    """A Doc of tokens, each with the blank that follows it."""
    return Doc(
        Vocab(),
        words=[token.removesuffix("␣") for token in tokens],
        spaces=[token.endswith("␣") for token in tokens],
        sent_starts=sent_starts,
    )


def test_segmented_text_has_a_line_per_sentence(tmp_path):
    docs = [doc_of("我", "喜欢", "\n", "你␣", "好", sent_starts=[1, 0, 0, 1, 0]), doc_of("ở␣", "Việt Nam"), doc_of("\n"), doc_of()]
    write_segmented(docs, tmp_path / "out.seg")
    assert (tmp_path / "out.seg").read_text(encoding="utf-8") == "我 喜欢\n你 好\nở Việt_Nam\n"


def test_every_character_has_a_line(tmp_path):
    write_bmes([doc_of("我␣", "喜欢"), doc_of("V N", "\n")], tmp_path / "out.bmes")
    assert (tmp_path / "out.bmes").read_text(encoding="utf-8") == "我\tS\n \tX\n喜\tB\n欢\tE\n\nV\tB\n \tM\nN\tE\n \tX\n\n"


WORDS = st.text(st.characters(exclude_categories=["Cs", "Cc", "Z"]), min_size=1, max_size=5)


@given(st.lists(st.lists(st.tuples(WORDS | st.just("a b"), st.booleans()), min_size=1, max_size=6), min_size=1, max_size=4))
def test_what_is_written_is_read_again(tmp_path_factory, sentences):
    path = tmp_path_factory.mktemp("written") / "out.bmes"
    docs = [Doc(Vocab(), words=[word for word, _ in words], spaces=[space for _, space in words]) for words in sentences]
    write_bmes(docs, path)
    again = list(read_bmes(path, Vocab(), n_sents=1))
    assert [[(token.text, token.whitespace_) for token in doc] for doc in again] == [
        [(token.text, token.whitespace_) for token in doc] for doc in docs
    ]


def test_formats_go_by_their_extensions(file, tmp_path):
    """Given a bakeoff's file, it is converted to Docs, to tags, and back to what it was."""
    text = "我 喜欢 北京\n你 好\n"
    convert(file(text, "pku_training.utf8"), tmp_path / "corpus.spacy", Vocab())
    convert(tmp_path / "corpus.spacy", tmp_path / "corpus.bmes", Vocab())
    convert(tmp_path / "corpus.bmes", tmp_path / "again.seg", Vocab())
    assert (tmp_path / "again.seg").read_text(encoding="utf-8") == text
    assert [words(doc) for doc in read_corpus(file("a_b c", "a.txt"), Vocab(), format="segmented-blanks")] == [["a b", "c"]]


def test_nothing_is_written_where_writing_fails(tmp_path):
    def broken():
        yield doc_of("我")
        raise CorpusError("broken")

    for write in (write_segmented, write_bmes):
        with pytest.raises(CorpusError):
            write(broken(), tmp_path / "out")
        assert list(tmp_path.iterdir()) == []
