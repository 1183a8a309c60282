"""Scores of graphs, each worked out by hand."""

import pytest
from spacy.tokens import Doc
from spacy.training import Example
from spacy.vocab import Vocab

from spacy_emerging.corpus.annotations import set_graph_arcs
from spacy_emerging.scoring.graph import KEYS, graph_counts, score_graphs


def graph(words, arcs, starts=None):
    """A Doc with arcs written "head>dependent:label"; None: without a graph."""
    doc = Doc(Vocab(), words=words.split(), sent_starts=starts)
    if arcs is not None:
        pairs = (arc.split(":", 1) for arc in arcs.split())
        set_graph_arcs(doc, [(*map(int, ends.split(">")), label) for ends, label in pairs])
    return doc


def example(words, predicted, gold, starts=None):
    return Example(graph(words, predicted), graph(words, gold, starts))


def test_arcs_are_counted_with_and_without_labels_and_roots_like_all_others():
    # given 4 gold arcs and 3 predicted: the root and one arc right, one with another label
    pair = example("Kim wants to sleep", "0>2:root 2>1:agent 2>4:goal", "0>2:root 2>1:agent 4>1:agent 2>4:theme")
    scores = score_graphs([pair])
    # then 2 of 3 are right with labels, 3 of 3 without; 2 of 4 are found, and 3 of 4
    assert (scores["graph_p"], scores["graph_r"]) == pytest.approx((2 / 3, 2 / 4))
    assert scores["graph_f"] == pytest.approx(2 * 2 / (3 + 4))
    assert (scores["graph_unlabeled_p"], scores["graph_unlabeled_r"]) == pytest.approx((3 / 3, 3 / 4))
    assert scores["graph_unlabeled_f"] == pytest.approx(2 * 3 / (3 + 4))
    assert scores["graph_exact_match"] == 0.0


def test_each_label_has_its_own_scores():
    pair = example("Kim wants to sleep", "0>2:root 2>1:agent 2>4:agent", "0>2:root 2>1:agent 4>1:agent 2>4:theme")
    per_type = score_graphs([pair])["graph_per_type"]
    assert per_type["root"] == {"p": 1.0, "r": 1.0, "f": 1.0}
    assert per_type["agent"] == pytest.approx({"p": 1 / 2, "r": 1 / 2, "f": 1 / 2})
    assert per_type["theme"] == {"p": 0.0, "r": 0.0, "f": 0.0}


def test_a_pair_with_two_labels_counts_once_without_labels():
    scores = score_graphs([example("a b", "1>2:x", "1>2:x 1>2:y")])
    assert scores["graph_r"] == 0.5
    assert scores["graph_unlabeled_r"] == 1.0


def test_exact_match_is_the_share_of_sentences():
    # given two sentences, the second with an arc too many
    pair = example("a b c d", "0>1:root 1>2:x 0>3:root 3>4:x 4>3:x", "0>1:root 1>2:x 0>3:root 3>4:x", starts=[True, False, True, False])
    assert score_graphs([pair])["graph_exact_match"] == 0.5
    # and sentences without any arc are right if nothing is predicted
    assert score_graphs([example("a b", "", "")])["graph_exact_match"] == 1.0


def test_counts_by_sentence_add_up_to_the_scores():
    pair = example("a b c d", "0>1:root 1>2:y 0>3:root 4>3:x", "0>1:root 1>2:x 0>3:root 3>4:x", starts=[True, False, True, False])
    assert graph_counts([pair]).tolist() == [[1, 2, 2], [1, 2, 2]]
    assert graph_counts([pair], labeled=False).tolist() == [[2, 2, 2], [1, 2, 2]]


def test_several_docs_are_counted_together():
    one, other = example("a b", "1>2:x", "1>2:x"), example("a b", "", "0>1:root 1>2:x 2>1:y")
    assert score_graphs([one, other])["graph_r"] == 1 / 4
    assert score_graphs([one, other])["graph_exact_match"] == 1 / 2


def test_arcs_between_tokens_that_are_no_words_of_the_reference_are_wrong():
    # given "can not" predicted as one token, so that the second sentence's only right arc is the root
    predicted = Doc(Vocab(), words=["It", "rains", "I", "cannot"], spaces=[True] * 4)
    gold = Doc(Vocab(), words=["It", "rains", "I", "can", "not"], spaces=[True, True, True, False, True], sent_starts=[1, 0, 1, 0, 0])
    set_graph_arcs(gold, [(0, 2, "root"), (2, 1, "x"), (0, 4, "root"), (4, 3, "x"), (4, 5, "y")])
    set_graph_arcs(predicted, [(0, 2, "root"), (2, 1, "x"), (0, 4, "root"), (4, 3, "x")])
    scores = score_graphs([Example(predicted, gold)])
    assert (scores["graph_p"], scores["graph_r"], scores["graph_exact_match"]) == (2 / 4, 2 / 5, 1 / 2)
    assert (scores["graph_unlabeled_p"], scores["graph_unlabeled_r"]) == (2 / 4, 2 / 5)
    assert graph_counts([Example(predicted, gold)]).tolist() == [[2, 2, 2], [0, 3, 2]]


def test_references_without_a_graph_are_left_out_and_missing_predictions_are_empty():
    without, missing = example("a b", "1>2:x", None), example("a b", None, "1>2:x")
    assert score_graphs([without]) == dict.fromkeys(KEYS)
    assert score_graphs([without, missing])["graph_r"] == 0.0
    assert graph_counts([without]).shape == (0, 3)
