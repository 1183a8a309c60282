"""EVALB's rules on trees small enough to count by hand."""

import pytest
from spacy.tokens import Doc, Span
from spacy.training import Example
from spacy.vocab import Vocab

from spacy_emerging.corpus.annotations import CONSTITUENTS_KEY
from spacy_emerging.scoring.bracketing import COLLINS, score_constituents, score_trees
from spacy_emerging.structures import ConstituencyTree

GOLD = "(S (NP (DT the) (NN cat)) (VP (VBD saw) (NP (NN birds)) (PP (IN in) (NP (NNS trees)))) (. .))"


def score(gold: str, predicted: str, rules=COLLINS):
    return score_trees([ConstituencyTree.from_brackets(gold)], [ConstituencyTree.from_brackets(predicted)], rules)


def counts(found):
    """Right, wrong, missing."""
    return found.brackets.tp, found.brackets.fp, found.brackets.fn


def test_precision_and_recall_are_of_labelled_brackets():
    # given a prediction that attaches the PP to the object, 5 of whose 7 brackets are right, and a gold tree of 6 brackets
    predicted = "(S (NP (DT the) (NN cat)) (VP (VBD saw) (NP (NP (NN birds)) (PP (IN in) (NX (NNS trees))))) (. .))"
    found = score(GOLD, predicted)
    assert counts(found) == (5, 2, 1)
    assert found.brackets.precision == pytest.approx(5 / 7)
    assert found.brackets.recall == pytest.approx(5 / 6)
    assert found.complete_match == 0
    assert {label: (prf.tp, prf.fp, prf.fn) for label, prf in found.per_type.items()} == {
        "S": (1, 0, 0),
        "NP": (2, 1, 1),
        "VP": (1, 0, 0),
        "PP": (1, 0, 0),
        "NX": (0, 1, 0),
    }


def test_the_gold_tree_is_right_altogether():
    found = score(GOLD, GOLD)
    assert (counts(found), found.complete_match, found.crossing) == ((6, 0, 0), 1, 0)


def test_punctuation_is_deleted_with_the_brackets_that_hold_nothing_else():
    # given a prediction that puts the full stop below the VP and into a bracket of its own
    found = score("(S (NP (NN a)) (VP (VB b)) (. .))", "(S (NP (NN a)) (VP (VB b) (PRN (. .))))")
    assert counts(found) == (3, 0, 0)


def test_quotes_dashes_and_commas_are_punctuation_too():
    gold = "(S (`` ``) (NP (NN a)) ('' '') (, ,) (VP (VB b) (: --)))"
    assert counts(score(gold, "(S (NP (`` ``) (NN a) ('' '') (, ,)) (VP (VB b)) (: --))")) == (3, 0, 0)


@pytest.mark.parametrize("root", ["TOP", "ROOT", ""])
def test_the_bracket_around_a_tree_does_not_count(root):
    assert counts(score(f"({root} (S (NP (NN a)) (VP (VB b))))", "(S (NP (NN a)) (NP (VB b)))")) == (2, 1, 1)


def test_adverb_phrases_and_particles_are_equal():
    assert counts(score("(S (VP (VB go)) (PRT (RP up)))", "(S (VP (VB go)) (ADVP (RP up)))")) == (3, 0, 0)


def test_functions_and_indices_do_not_count_unless_they_are_asked_for():
    gold, predicted = "(S (NP-SBJ-1 (NN a)) (VP=2 (VB b)))", "(S (NP (NN a)) (VP (VB b)))"
    assert counts(score(gold, predicted)) == (3, 0, 0)
    assert counts(score(gold, predicted, COLLINS._replace(functions=True))) == (1, 2, 2)


def test_every_bracket_of_a_unary_chain_counts_once():
    # NP over NP against a single NP, and VP over S against S over VP
    assert counts(score("(NP (NP (NN a)))", "(NP (NN a))")) == (1, 0, 1)
    assert counts(score("(NP (NN a))", "(NP (NP (NP (NN a))))")) == (1, 2, 0)
    assert counts(score("(S (VP (VB a)))", "(VP (S (VB a)))")) == (2, 0, 0)


def test_a_predicted_bracket_crosses_once_however_many_it_crosses():
    gold = "(S (A (X a) (X b)) (B (X c) (X d)) (C (X e) (X f)))"
    # given brackets 1-3 and 1-4 that cross A, and 3-5 that crosses B and C
    predicted = "(S (X a) (P (Q (X b) (X c)) (X d)) (X e) (X f))"
    assert score(gold, predicted).crossing == 2
    assert score(gold, "(S (X a) (X b) (X c) (P (X d) (X e)) (X f))").crossing == 1
    # then brackets that lie inside one another or side by side do not cross
    assert score(gold, "(S (P (A (X a) (X b)) (B (X c) (X d))) (C (X e) (X f)))").crossing == 0
    # and the average is over sentences
    tree, other = ConstituencyTree.from_brackets(gold), ConstituencyTree.from_brackets(predicted)
    assert score_trees([tree, tree], [other, tree]).average_crossing == 1.0


@pytest.mark.parametrize(
    "predicted",
    [
        "(S (NP (NN a)) (VP (VB b) (RB c)))",  # one word more
        "(S (NP (NN a)) (VP (. b)))",  # a word is punctuation only here
        "(S (NP (NN a)) (VP (VB d)))",  # another word
    ],
)
def test_sentences_with_other_words_are_errors_and_count_in_nothing_else(predicted):
    gold = ConstituencyTree.from_brackets("(S (NP (NN a)) (VP (VB b)))")
    found = score_trees([gold, gold], [ConstituencyTree.from_brackets(predicted), gold])
    assert (found.errors, found.sentences, found.complete_match) == (1, 1, 1.0)
    assert counts(found) == (3, 0, 0)


def test_files_of_unequal_length_are_refused():
    with pytest.raises(ValueError, match="shorter"):
        score_trees([ConstituencyTree(0), ConstituencyTree(0)], [ConstituencyTree(0)])


def test_nothing_at_all_scores_zero():
    found = score_trees([], [])
    assert (found.brackets.fscore, found.complete_match, found.average_crossing) == (0, 0, 0)


# On Docs


def annotated(words: str, spans: list[tuple[str, int, int]] | None, starts: tuple[int, ...] = (0,), tags: str = "") -> Doc:
    texts = words.split()
    doc = Doc(Vocab(), words=texts, tags=tags.split() or None, sent_starts=[i in starts for i in range(len(texts))])
    if spans is not None:
        doc.spans[CONSTITUENTS_KEY] = [Span(doc, start, end, label) for label, start, end in spans]
    return doc


def scored(predicted: Doc, reference: Doc):
    found = score_constituents([Example(predicted, reference)])
    return found["constituents_p"], found["constituents_r"], found["constituents_f"], found["constituents_complete_match"]


def test_docs_are_scored_by_sentence_with_the_tags_of_the_reference():
    # given two sentences, the second of them wrong, and a prediction without tags
    reference = annotated("a b . c d", [("S", 0, 3), ("NP", 0, 2), ("S", 3, 5)], (0, 3), "X X . X X")
    predicted = annotated("a b . c d", [("S", 0, 2), ("NP", 0, 2), ("NP", 3, 5)], (0, 3))
    assert scored(predicted, reference) == pytest.approx((2 / 3, 2 / 3, 2 / 3, 1 / 2))


def test_constituents_on_other_tokens_or_across_sentences_are_wrong():
    # given a prediction with "b" and "c" as one token
    reference = annotated("a b c d", [("S", 0, 3), ("NP", 1, 2), ("S", 3, 4)], (0, 3))
    # when it has the first S, the impossible NP over "bc", and an S across the boundary
    predicted = annotated("a bc d", [("S", 0, 2), ("NP", 1, 2), ("S", 0, 3)])
    # then "bc" is a stretch of words too, but no NP of the reference's
    assert scored(predicted, reference) == pytest.approx((1 / 3, 1 / 3, 1 / 3, 0))
    # and constituents over parts of words are wrong
    reference = annotated("ab c", [("S", 0, 2)])
    assert scored(annotated("a b c", [("S", 0, 3), ("NP", 0, 1)]), reference) == pytest.approx((1 / 2, 1, 2 / 3, 0))


def test_what_is_not_annotated_is_not_scored():
    full = annotated("a b c", [("S", 0, 2)], (0, 2))
    assert scored(annotated("a b c", [("S", 0, 2), ("NP", 2, 3)], (0, 2)), full) == (1, 1, 1, 1)
    assert scored(full, annotated("a b c", None)) == (None,) * 4
    assert scored(annotated("a b c", None), full) == (0, 0, 0, 0)
