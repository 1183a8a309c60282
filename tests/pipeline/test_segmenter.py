"""What the segmenter reads, writes and refuses, beyond what all components share."""

from __future__ import annotations

import math

import pytest
import spacy
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.language import Language
from spacy.scorer import Scorer
from spacy.tokens import Doc, DocBin
from spacy.training import Corpus as StockCorpus
from spacy.training import Example
from thinc.api import Adam

from spacy_emerging.corpus.reader import Corpus
from spacy_emerging.errors import LabelError, SettingError
from spacy_emerging.linearizations.segment_tags import SegmentTags
from spacy_emerging.pipeline.characters import Characters
from spacy_emerging.pipeline.segmenter import SegmenterTask

from .cases import BLANKS, LISTENER, TOK2VEC, blank, initialized, labeler_model, train
from .conftest import Learned, copied
from .corpus import rows

TEXT = "AnnalivesinNewYork."
WORDS = ["Anna", "lives", "in", "New", "York", "."]


def words(doc: Doc) -> list[str]:
    return [token.text for token in doc]


def characters(text: str) -> Doc:
    return Characters(spacy.blank("xx").vocab)(text)


def example(text: str, *tokens: str) -> Example:
    """The characters of a text beside a reference of these tokens, each with the blank that follows it, written ␣."""
    predicted = characters(text)
    reference = Doc(predicted.vocab, words=[token.removesuffix("␣") for token in tokens], spaces=[token.endswith("␣") for token in tokens])
    assert reference.text == text
    return Example(predicted, reference)


def labels(scheme: str, example: Example) -> list[str]:
    """The gold tags of each unit as one string; ? where a character teaches nothing."""
    gold = SegmenterTask(SegmentTags(scheme)).gold(example)
    assert [unit.end - unit.start for unit in gold.units] == [len(unit) for unit in gold.labels]
    return ["".join(tag or "?" for (tag,) in unit) for unit in gold.labels]


# Gold


def test_gold_says_where_in_its_word_a_character_stands() -> None:
    assert labels("bmes", example("我喜欢北京大学。", "我", "喜欢", "北京大学", "。")) == ["SBEBMMES"]


def test_whitespace_ends_words_and_units_unless_the_scheme_knows_blanks() -> None:
    """Given blanks between words, inside a word, and more of them than one, the scheme says what they do."""
    gold = example("ở Việt Nam\n\n.", "ở␣", "Việt Nam", "\n\n", ".")

    assert labels("bmes", gold) == ["S", "BMME", "BME", "S", "S"]
    assert labels("bmesx", gold) == ["SBMMMMMEXS"]


def test_words_that_end_inside_a_character_teach_nothing() -> None:
    """Given a reference that cuts between a letter and its accent, none of the characters of both words is annotated."""
    assert labels("bmes", example("abe\u0301cd", "ab", "e", "\u0301c", "d")) == ["BE??S"]


def test_a_reference_that_does_not_know_its_blanks() -> None:
    predicted = characters("我喜欢")
    reference = Doc(predicted.vocab, words=["我", "喜欢"])

    assert labels("bmes", Example(predicted, reference)) == ["SBE"]


def test_words_instead_of_characters_are_refused() -> None:
    """Given a tokenizer that makes words, there would be nothing to learn but that every token is a word."""
    nlp = spacy.blank("en")
    nlp.add_pipe("emerging_segmenter", config={"model": labeler_model()})
    doc = nlp.make_doc("Anna lives")
    data = [Example(doc, nlp.make_doc("Anna lives"))]
    nlp.initialize(lambda: data)

    with pytest.raises(SettingError, match=r"emerging_segmenter: the token 'Anna' is longer than one character; .*CharacterTokenizer"):
        nlp.update(data)


# Words


@settings(max_examples=60)
@given(text=st.text(st.sampled_from("Anliv .\n\t\u3000我\u0301") | st.characters(exclude_categories=["Cs"]), max_size=40))
@pytest.mark.parametrize("id", ["segmenter", "segmenter-blanks"])
def test_the_text_stays_as_it_is(learned: Learned, case_named, id: str, text: str) -> None:
    nlp, _ = learned(case_named(id))

    doc = nlp(text)

    assert doc.text == text
    assert all(token.is_space or not (token.text[0].isspace() or token.text[-1].isspace()) for token in doc)


def test_whitespace_always_ends_a_word_in_the_plain_scheme(learned: Learned, case_named) -> None:
    nlp, _ = learned(case_named("segmenter"))

    for text in ("Anna livesin  New\nYork.", "A n n a", " Anna "):
        assert all(token.is_space or not set(token.text) & {" ", "\n"} for token in nlp(text))


def test_a_word_with_a_blank_is_learned_in_the_scheme_that_knows_blanks() -> None:
    """Given text in which "New York" is one word, as Vietnamese is annotated, it is found as one token."""
    nlp = blank()
    nlp.tokenizer = Characters(nlp.vocab)
    doc = Doc(nlp.vocab, words=["Anna", "likes", "New York", "."], spaces=[True, True, False, False])
    data = [Example(nlp.make_doc(doc.text), doc)]
    nlp.add_pipe("emerging_segmenter", config={"model": labeler_model(), "linearization": BLANKS})
    nlp.initialize(lambda: data)
    train(nlp, data)

    assert words(nlp("Anna likes New York.")) == ["Anna", "likes", "New York", "."]
    assert words(nlp("Anna likes New York.\n\n")) == ["Anna", "likes", "New York", ".", "\n\n"]


def test_merged_tokens_keep_blanks_vectors_and_boundaries(learned: Learned, case_named) -> None:
    """Given a Doc with shared vectors and sentence starts, there is one row per word, and sentences begin where they did."""
    nlp, _ = learned(case_named("segmenter"))
    doc = nlp.make_doc("Whybark? Whybark?")
    doc.tensor = nlp.get_pipe("labeler").model.get_ref("tok2vec").predict([doc])[0]
    for token in doc:
        token.is_sent_start = token.i in (0, 8)

    doc = nlp(doc)

    assert words(doc) == ["Why", "bark", "?", "Why", "bark", "?"]
    assert [token.whitespace_ for token in doc] == ["", "", " ", "", "", ""]
    assert len(doc.tensor) == len(doc)
    assert [sentence.text for sentence in doc.sents] == ["Whybark?", "Whybark?"]


def test_word_scores_are_the_product_of_their_characters_probabilities(case_named) -> None:
    nlp, _ = initialized(case_named("segmenter"), store_scores=True)
    pipe = nlp.get_pipe("labeler")
    (prediction,) = pipe.predict([nlp.make_doc(TEXT)])
    tags = pipe.label_data["place"]
    (unit,) = prediction.scores

    doc = nlp(TEXT)

    for token in doc:
        spelled = "S" if len(token) == 1 else "B" + "M" * (len(token) - 2) + "E"
        log = sum(unit.scores[0][token.idx + i, tags.index(tag)] for i, tag in enumerate(spelled))
        assert token._.label_score == pytest.approx(math.exp(log), rel=1e-4)


def test_a_component_after_it_needs_vectors_of_its_own(case_named) -> None:
    """Given a segmenter with vectors of its own that annotates in training, a tagger with others after it learns tags of words."""
    nlp = blank()
    nlp.tokenizer = Characters(nlp.vocab)
    table = [row for row in rows(0)]
    reference = Doc(nlp.vocab, words=[row[0] for row in table], spaces=[False] * len(table), tags=[row[1] for row in table])
    data = [Example(nlp.make_doc(reference.text), reference)]
    case_named("segmenter").add_to(nlp, name="segmenter")
    nlp.add_pipe("emerging_tok2vec", name="tok2vec", config={"model": TOK2VEC})
    case_named("tag").add_to(nlp, LISTENER, name="tagger")
    nlp.initialize(lambda: data)
    optimizer = Adam(0.03)
    for _ in range(60):
        nlp.update(data, sgd=optimizer, annotates=["segmenter"])

    doc = nlp(TEXT)

    assert [(token.text, token.tag_) for token in doc] == [(row[0], row[1]) for row in table]
    assert nlp.evaluate(data)["tag_acc"] == 1.0


# Labels and scores


def test_the_labels_are_those_of_the_scheme(case_named) -> None:
    plain, _ = initialized(case_named("segmenter"))
    blanks, _ = initialized(case_named("segmenter-blanks"))

    assert plain.get_pipe("labeler").label_data == {"place": ["B", "M", "E", "S"]}
    assert blanks.get_pipe("labeler").label_data == {"place": ["B", "M", "E", "S", "X"]}
    with pytest.raises(LabelError, match="label 'N' cannot be added; the labels are those of the scheme: B, M, E, S"):
        case_named("segmenter").add_to(blank()).add_label("N")


def test_another_linearization_is_refused() -> None:
    tags = {"@linearizations": "spacy-emerging.SpanTags.v1"}
    with pytest.raises(SettingError, match="labeler: setting 'linearization' must be a spacy-emerging.SegmentTags.v1, not SpanTags"):
        blank().add_pipe("emerging_segmenter", name="labeler", config={"model": labeler_model(), "linearization": tags})


def test_scores_are_spacys_own_and_those_of_words(case_named) -> None:
    """Given a half-trained segmenter, whose scores are neither 0 nor 1, token_f and segments_f agree where no whitespace is in words."""
    nlp, data = initialized(case_named("segmenter"))
    train(nlp, data, steps=6)
    evaluated = [Example(nlp(example.predicted.copy()), example.reference) for example in data]

    scores = nlp.get_pipe("labeler").score(evaluated)

    assert 0.0 < scores["segments_f"] < 1.0
    assert scores["segments_f"] == pytest.approx(scores["token_f"])
    stock = Scorer.score_tokenization(evaluated)
    assert {key: scores[key] for key in stock} == stock
    assert 0.0 <= scores["segments_well_formed"] <= 1.0


# Corpora


@pytest.fixture
def corpus(tmp_path):
    """A Doc of two sentences without blanks, one with blanks, and one that does not know them."""
    vocab = spacy.blank("xx").vocab
    docs = [
        Doc(vocab, words=["我", "喜欢", "你好"], spaces=[False] * 3, sent_starts=[True, False, True]),
        Doc(vocab, words=["ở", "Việt Nam"], spaces=[True, False]),
        Doc(vocab, words=["我", "喜欢"]),
    ]
    DocBin(docs=docs).to_disk(tmp_path / "corpus.spacy")
    return tmp_path


def pipeline_of_characters() -> Language:
    nlp = spacy.blank("xx")
    nlp.tokenizer = Characters(nlp.vocab)
    return nlp


def test_the_corpus_reader_gives_characters_to_a_pipeline_of_characters(corpus) -> None:
    found = [(words(example.predicted), words(example.reference)) for example in Corpus(corpus)(pipeline_of_characters())]

    assert found == [
        (["我", "喜", "欢", "你", "好"], ["我", "喜欢", "你好"]),
        (["ở", "V", "i", "ệ", "t", "N", "a", "m"], ["ở", "Việt Nam"]),
        (["我", "喜", "欢"], ["我", "喜欢"]),
    ]


def test_gold_sentences_are_characters_too(corpus) -> None:
    found = [words(example.predicted) for example in Corpus(corpus, gold_preproc=True)(pipeline_of_characters())]

    assert found[:2] == [["我", "喜", "欢"], ["你", "好"]]


def test_spacys_own_reader_gives_characters_where_the_blanks_are_known(corpus) -> None:
    found = [words(example.predicted) for example in StockCorpus(corpus)(pipeline_of_characters())]

    assert found[:2] == [["我", "喜", "欢", "你", "好"], ["ở", "V", "i", "ệ", "t", "N", "a", "m"]]


def test_what_was_found_can_be_segmented_on_after_loading(learned: Learned, case_named) -> None:
    nlp, _ = learned(case_named("segmenter"))

    assert words(copied(nlp)(TEXT)) == words(nlp(TEXT)) == WORDS
