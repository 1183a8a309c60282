"""UAS, LAS and CLAS by the conventions of the shared tasks, each worked out by hand."""

import pytest
import spacy
from spacy.tokens import Doc
from spacy.training import Example
from spacy.util import registry
from spacy.vocab import Vocab

from spacy_emerging.scoring.attachment import attachment_counts, score_attachment

WORDS = ["The", "cat", "was", "seen", "there", "."]
HEADS, DEPS = [1, 3, 3, 3, 3, 3], ["det", "nsubj:pass", "aux:pass", "root", "advmod", "punct"]


def tree(heads, deps, words=WORDS, **settings):
    return Doc(Vocab(), words=words, heads=heads, deps=deps, **settings)


@pytest.fixture
def pair() -> Example:
    """Six words: "was" has a wrong head, "there" a wrong relation, "cat" a wrong subtype, "." a wrong head."""
    return Example(tree([1, 3, 1, 3, 3, 4], ["det", "nsubj", "aux:pass", "ROOT", "obl", "punct"]), tree(HEADS, DEPS))


@pytest.mark.parametrize(
    ("punctuation", "universal", "uas", "las"),
    [(True, True, 4 / 6, 3 / 6), (True, False, 4 / 6, 2 / 6), (False, True, 4 / 5, 3 / 5), (False, False, 4 / 5, 2 / 5)],
)
def test_with_and_without_punctuation_and_subtypes(pair, punctuation, universal, uas, las):
    scores = score_attachment([pair], punctuation=punctuation, universal=universal)
    assert (scores["dep_uas"], scores["dep_las"]) == pytest.approx((uas, las))


def test_the_content_word_score_leaves_out_function_words_and_punctuation(pair):
    # content words are cat, seen and there, on both sides; cat and seen are right
    assert score_attachment([pair])["dep_clas"] == pytest.approx(2 / 3)
    assert score_attachment([pair], universal=False)["dep_clas"] == pytest.approx(1 / 3)


def test_a_content_word_counts_on_each_side_by_its_own_relation():
    # given a function word that is predicted as content: 2 gold content words, 3 predicted, 1 right
    gold, predicted = tree([1, 1, 1], ["case", "root", "obl"], ["a", "b", "c"]), tree([1, 1, 0], ["obl", "root", "obl"], ["a", "b", "c"])
    assert score_attachment([Example(predicted, gold)])["dep_clas"] == pytest.approx(2 * 1 / (2 + 3))


def test_each_relation_has_its_own_scores(pair):
    per_type = score_attachment([pair])["dep_las_per_type"]
    assert per_type["det"] == {"p": 1.0, "r": 1.0, "f": 1.0}
    assert per_type["nsubj"] == {"p": 1.0, "r": 1.0, "f": 1.0}
    assert per_type["advmod"] == {"p": 0.0, "r": 0.0, "f": 0.0}
    assert set(score_attachment([pair], universal=False)["dep_las_per_type"]) == {*DEPS, "nsubj", "obl"}


def test_tokens_that_are_no_words_of_the_reference_are_wrong_and_counted():
    # given "can not" predicted as one token: of 3 gold and 2 predicted words, only I has a counterpart, but not its head
    gold = Doc(Vocab(), words=["I", "can", "not"], spaces=[True, False, True], heads=[1, 1, 1], deps=["nsubj", "root", "advmod"])
    predicted = Doc(Vocab(), words=["I", "cannot"], heads=[1, 1], deps=["nsubj", "root"])
    scores = score_attachment([Example(predicted, gold)])
    assert (scores["dep_uas"], scores["dep_las"]) == (0.0, 0.0)
    # and where "not" is split off elsewhere, the rest stays right: 2 * 2 / (3 + 4)
    split = Doc(
        Vocab(),
        words=["I", "can", "n", "ot"],
        spaces=[True, False, False, True],
        heads=[1, 1, 1, 1],
        deps=["nsubj", "root", "advmod", "advmod"],
    )
    assert score_attachment([Example(split, gold)])["dep_las"] == pytest.approx(2 * 2 / (3 + 4))


def test_words_without_a_gold_relation_are_left_out():
    gold = tree(HEADS, ["det", "", "aux:pass", "root", "advmod", "punct"])
    predicted = tree([1, 1, 3, 3, 3, 3], ["det", "root", "aux:pass", "root", "advmod", "punct"])
    assert score_attachment([Example(predicted, gold)])["dep_las"] == 1.0


def test_without_any_gold_there_are_no_scores():
    gold = Doc(Vocab(), words=WORDS)
    scores = score_attachment([Example(tree(HEADS, DEPS), gold)])
    assert [scores[key] for key in ("dep_uas", "dep_las", "dep_clas", "dep_las_per_type")] == [None] * 4


def test_counts_by_sentence_add_up(pair):
    two = [1, 1, 1, 3, 3, 3]
    gold = tree(two, ["det", "root", "aux", "root", "advmod", "punct"])
    predicted = tree([1, 1, 0, 3, 3, 4], ["det", "root", "aux", "root", "obl", "punct"])
    assert attachment_counts([Example(predicted, gold)]).tolist() == [[2, 3, 3], [1, 3, 3]]
    assert attachment_counts([Example(predicted, gold)], punctuation=False, labeled=False).tolist() == [[2, 3, 3], [2, 2, 2]]


def test_a_parser_can_be_scored_by_these_conventions(pair):
    # given a parser whose config chooses the scorer
    nlp = spacy.blank("en")
    scorer = {"@scorers": "spacy-emerging.attachment_scorer.v1", "punctuation": False, "universal": False}
    parser = nlp.add_pipe("emerging_parser", config={"scorer": scorer})
    # when it is scored
    scores = parser.score([pair])
    # then by them, beside spaCy's scores of sentences
    assert scores["dep_las"] == pytest.approx(2 / 5)
    assert scores["sents_f"] == 1.0


def test_the_defaults_are_those_of_the_shared_task(pair):
    scorer = registry.scorers.get("spacy-emerging.attachment_scorer.v1")()
    assert scorer([pair]) == score_attachment([pair], punctuation=True, universal=True)
