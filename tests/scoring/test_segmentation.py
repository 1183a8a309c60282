"""Word F1 on cuts small enough to count by hand."""

import pytest
from spacy.tokens import Doc
from spacy.training import Example
from spacy.vocab import Vocab

from spacy_emerging.errors import CorpusError
from spacy_emerging.scoring.segmentation import score_segmentation, word_places


def example(gold: str, predicted: str) -> Example:
    """An Example of words that are written with bars between them."""
    vocab = Vocab()
    reference, prediction = (text.split("|") for text in (gold, predicted))
    return Example(
        Doc(vocab, words=prediction, spaces=[False] * len(prediction)), Doc(vocab, words=reference, spaces=[False] * len(reference))
    )


def test_a_word_is_right_if_it_begins_and_ends_where_a_gold_word_does():
    """Given 共同|创造|美好|的|新|世纪 and a prediction of 7 words, 3 of which are right, as the bakeoff's script counts them."""
    scores = score_segmentation([example("共同|创造|美好|的|新|世纪", "共|同|创造|美好|的|新世|纪")])
    assert scores == {"segments_p": 3 / 7, "segments_r": 3 / 6, "segments_f": pytest.approx(2 * 3 / (7 + 6))}


def test_equal_words_in_other_places_are_wrong():
    scores = score_segmentation([example("啊啊|啊", "啊|啊啊")])
    assert scores == {"segments_p": 0.0, "segments_r": 0.0, "segments_f": 0.0}


def test_docs_are_added_up():
    scores = score_segmentation([example("你好", "你|好"), example("我|来", "我|来")])
    assert (scores["segments_p"], scores["segments_r"]) == (2 / 4, 2 / 3)


def test_recall_of_words_outside_a_vocabulary():
    """Given that 2 of 5 gold words were not in the training data, one of which is found."""
    examples = [example("我|喜欢|北京|大学|。", "我|喜|欢|北京|大学。")]
    scores = score_segmentation(examples, vocabulary={"我", "大学", "。"})
    assert scores["segments_oov_rate"] == 2 / 5
    assert scores["segments_oov_r"] == 1 / 2


def test_without_unknown_words_there_is_no_recall_of_them():
    scores = score_segmentation([example("我|来", "我|来")], vocabulary={"我", "来"})
    assert (scores["segments_oov_rate"], scores["segments_oov_r"]) == (0.0, None)


def test_blanks_play_no_part():
    """Given a blank inside a word, tokens of whitespace, and a reference that does not know its blanks, places are the same."""
    assert word_places(["Việt Nam", "\n", "ở"]) == {(0, 7): "Việt Nam", (7, 8): "ở"}
    unknown = Doc(Vocab(), words=["你好", "吗"])
    assert unknown.text == "你好 吗 "
    predicted = Doc(Vocab(), words=["你好", "吗"], spaces=[False, False])
    assert score_segmentation([Example(predicted, unknown)])["segments_f"] == 1.0


def test_no_words_give_no_scores():
    empty = Doc(Vocab())
    assert score_segmentation([Example(empty, empty)]) == dict.fromkeys(("segments_p", "segments_r", "segments_f"))
    assert score_segmentation([], vocabulary=set()) == dict.fromkeys(
        ("segments_p", "segments_r", "segments_f", "segments_oov_r", "segments_oov_rate")
    )


def test_another_text_is_refused():
    with pytest.raises(CorpusError, match="segmentation: the reference is '你好', but the prediction '你们'"):
        score_segmentation([example("你好", "你们")])
