"""Each component learns a small corpus, keeps it through saving and loading, and gives the same answers however it is asked."""

from __future__ import annotations

import pytest
import spacy
from spacy.pipeline.dep_parser import parser_score
from spacy.pipeline.morphologizer import morphologizer_score
from spacy.pipeline.spancat import spancat_score
from spacy.pipeline.tagger import tagger_score
from spacy.scorer import get_ner_prf
from spacy.training import Example
from thinc.api import Adam

from .cases import CASES, Case, initialized, train
from .conftest import Learned, copied
from .corpus import DOCS, bare, rows

pytestmark = pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)

TEXTS = [" ".join(row[0] for sentence in sentences for row in rows(sentence)) for sentences in DOCS]
MORE_TEXTS = [*TEXTS, "", "Anna likes green eggs .", "?", "New York " * 30, "   ", "Why today ?"]


def test_learns_its_corpus_by_heart(case: Case, learned: Learned) -> None:
    nlp, data = learned(case)

    for example in data:
        assert case.read(nlp(bare(example.reference))) == case.read(example.reference)


def test_scores_are_full_on_what_was_learned(case: Case, learned: Learned) -> None:
    nlp, data = learned(case)

    scores = nlp.evaluate([Example(bare(example.reference), example.reference) for example in data])

    assert {key: scores[key] for key in case.scores} == dict.fromkeys(case.scores, 1.0)


def test_answers_are_the_same_after_saving_and_loading(case: Case, learned: Learned, tmp_path) -> None:
    nlp, _ = learned(case)
    expected = [case.read(doc) for doc in nlp.pipe(MORE_TEXTS)]

    nlp.to_disk(tmp_path / "model")
    from_disk = spacy.load(tmp_path / "model")
    from_bytes = copied(nlp)

    assert [case.read(doc) for doc in from_disk.pipe(MORE_TEXTS)] == expected
    assert [case.read(doc) for doc in from_bytes.pipe(MORE_TEXTS)] == expected
    assert from_disk.get_pipe("labeler").to_bytes() == nlp.get_pipe("labeler").to_bytes()


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_pipe_keeps_the_order_and_agrees_with_call(case: Case, learned: Learned, batch_size: int) -> None:
    nlp, _ = learned(case)

    docs = list(nlp.pipe(MORE_TEXTS, batch_size=batch_size))

    assert [doc.text for doc in docs] == MORE_TEXTS
    assert [case.read(doc) for doc in docs] == [case.read(nlp(text)) for text in MORE_TEXTS]


def test_training_goes_on_after_loading(case: Case, learned: Learned) -> None:
    nlp, data = learned(case)
    loaded = copied(nlp)
    before = loaded.get_pipe("labeler").to_bytes()

    losses = train(loaded, [Example(bare(example.reference), example.reference) for example in data], steps=3, learn_rate=0.001)

    assert losses["labeler"] < 0.1
    assert loaded.get_pipe("labeler").to_bytes() != before


def test_two_seeded_trainings_give_the_same_weights(case: Case) -> None:
    weights = []
    for _ in range(2):
        nlp, data = initialized(case)
        train(nlp, data, steps=3)
        weights.append(nlp.get_pipe("labeler").model.to_bytes())

    assert weights[0] == weights[1]


def test_initialize_again_draws_fresh_weights_under_the_seed(case: Case) -> None:
    nlp, data = initialized(case)
    first = nlp.get_pipe("labeler").model.to_bytes()
    train(nlp, data, steps=3)
    assert nlp.get_pipe("labeler").model.to_bytes() != first

    again, _ = initialized(case)

    assert again.get_pipe("labeler").model.to_bytes() == first


STOCK_SCORERS = {
    "tag": [tagger_score],
    "tag+pos+morph": [tagger_score, morphologizer_score],
    "ner": [get_ner_prf],
    "spans": [lambda examples: spancat_score(examples, spans_key="sc", allow_overlap=True)],
    "parser": [parser_score],
}


def test_scores_are_those_of_the_stock_component(case: Case) -> None:
    """Given a half-trained component, so that no score is 0 or 1 by chance, when spaCy's scorer sees the same Docs."""
    if case.id not in STOCK_SCORERS:
        pytest.skip("spaCy has no component with these scores")
    nlp, data = initialized(case)
    train(nlp, data, steps=12)
    evaluated = [Example(nlp(bare(example.reference)), example.reference) for example in data]

    ours = nlp.get_pipe("labeler").score(evaluated)

    for scorer in STOCK_SCORERS[case.id]:
        theirs = scorer(evaluated)
        assert theirs and {key: ours[key] for key in theirs} == theirs


def test_score_weights_name_scores_that_are_given(case: Case, learned: Learned) -> None:
    nlp, data = learned(case)
    weights = nlp.get_pipe_meta("labeler").default_score_weights

    scores = nlp.get_pipe("labeler").score([Example(nlp(bare(example.reference)), example.reference) for example in data])

    weighted = {key for key, weight in weights.items() if weight}
    if case.settings.get("attributes", ["tag"])[0] == "tag":
        assert weighted <= set(scores)
    assert set(case.scores) <= set(scores)


def test_averages_are_used_and_put_back(case: Case) -> None:
    """Given an optimizer that averages, predictions inside of `use_params` come from other weights, which leave no trace."""
    nlp, data = initialized(case)
    optimizer = Adam(0.01, use_averages=True)
    for _ in range(3):
        nlp.update(data, sgd=optimizer)
    pipe = nlp.get_pipe("labeler")
    own = pipe.model.to_bytes()

    with nlp.use_params(optimizer.averages):
        assert pipe.model.to_bytes() != own

    assert pipe.model.to_bytes() == own
