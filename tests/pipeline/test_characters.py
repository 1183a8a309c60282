"""The tokenizer that makes a token of every character: the text stays as it is."""

from __future__ import annotations

import pickle

import pytest
import spacy
from hypothesis import given
from hypothesis import strategies as st
from spacy.language import Language

from spacy_emerging.pipeline.characters import Characters

CONFIG = {"nlp": {"tokenizer": {"@tokenizers": "spacy-emerging.CharacterTokenizer.v1"}}}


@pytest.fixture(scope="module")
def nlp() -> Language:
    return spacy.blank("xx", config=CONFIG)


TEXT = st.text(st.sampled_from("a我.é\u0301\u200d👩🏽 \t\n\r\u3000\u00a0\ufe0f") | st.characters(exclude_categories=["Cs"]), max_size=30)


@given(text=TEXT)
def test_the_text_stays_as_it_is(nlp: Language, text: str) -> None:
    doc = nlp(text)
    assert doc.text == text
    assert "".join(token.text_with_ws for token in doc) == text


@given(text=TEXT)
def test_whitespace_is_where_spacys_own_tokenizer_has_it(nlp: Language, text: str) -> None:
    ours = [(token.idx, token.text) for token in nlp(text) if token.text.isspace()]
    theirs = [(token.idx, token.text) for token in spacy.blank("xx")(text) if token.text.isspace()]
    assert ours == theirs


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", []),
        ("我喜欢 it.", ["我", "喜", "欢", "i", "t", "."]),
        ("a   b", ["a", "  ", "b"]),
        ("  a\n\n b ", ["  ", "a", "\n\n ", "b"]),
        ("e\u0301a\u0308\u0304", ["e\u0301", "a\u0308\u0304"]),
        ("कि", ["कि"]),
        ("ที่", ["ที่"]),
        ("👩🏽👨‍👩‍👧❤️", ["👩🏽", "👨‍👩‍👧", "❤️"]),
        ("한국", ["한", "국"]),
        ("a \u0301b", ["a", "\u0301", "b"]),
    ],
)
def test_a_character_is_what_is_drawn_in_one_place(nlp: Language, text: str, tokens: list[str]) -> None:
    assert [token.text for token in nlp(text)] == tokens


def test_it_is_saved_with_its_pipeline(nlp: Language, tmp_path) -> None:
    text = "我  喜欢"
    nlp.to_disk(tmp_path)
    loaded = [spacy.load(tmp_path), spacy.blank("xx").from_config(nlp.config).from_bytes(nlp.to_bytes())]

    for other in loaded:
        assert isinstance(other.tokenizer, Characters)
        assert [token.text for token in other(text)] == [token.text for token in nlp(text)]
    assert pickle.loads(pickle.dumps(nlp.tokenizer))(text).text == text
    assert [doc.text for doc in nlp.pipe([text, "", "b"])] == [text, "", "b"]
    assert [doc.text for doc in nlp.tokenizer.pipe([text, ""])] == [text, ""]


@pytest.mark.parametrize("lang", ["zh", "ja", "th", "vi", "ko"])
def test_languages_that_need_a_tokenizer_of_their_own_do_without(lang: str) -> None:
    """Given languages whose own tokenizers want further packages, none is asked for."""
    assert [token.text for token in spacy.blank(lang, config=CONFIG)("ab")] == ["a", "b"]
