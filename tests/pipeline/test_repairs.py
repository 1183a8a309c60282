"""What a component tells of labels that had to be repaired, and where tasks that cut nothing themselves are cut."""

from __future__ import annotations

import gc
import pickle
import warnings

import numpy
import pytest
from spacy.tokens import Doc, DocBin
from spacy.training import Example

from spacy_emerging.corpus.reader import Corpus
from spacy_emerging.pipeline.model import DocPrediction
from spacy_emerging.pipeline.task import given_sentences
from spacy_emerging.types import UnitScores

from .cases import CASES, blank, initialized
from .conftest import Learned, copied
from .corpus import bare


def predicted_labels(pipe, prediction: DocPrediction, rows: dict[int, dict[str, str]]) -> DocPrediction:
    """The prediction with other labels for some words of its first unit, the decoder being sure of them."""
    scores = [numpy.full_like(field, -20.0) for field in prediction.scores[0].scores]
    best = prediction.scores[0].best.copy()
    for i, row in rows.items():
        for f, field in enumerate(pipe.task.fields):
            if field in row:
                best[i, f] = pipe.label_data[field].index(row[field])
    for f, field_scores in enumerate(scores):
        numpy.put_along_axis(field_scores, best[:, [f]], 0.0, axis=1)
    return DocPrediction(prediction.units, [UnitScores(scores, best), *prediction.scores[1:]])


def test_a_parser_counts_the_sentences_whose_labels_it_repaired(case_named, learned: Learned) -> None:
    """Given two sentences, one of whose words all claim to be roots, half of the sentences are well formed."""
    nlp, data = learned(case_named("parser"))
    nlp = copied(nlp)
    pipe = nlp.get_pipe("labeler")
    reference = data[1].reference
    doc = bare(reference)
    prediction = pipe.predict([doc])[0]
    assert len(prediction.units) == 2
    field = pipe.task.fields[0]
    broken = predicted_labels(pipe, prediction, {i: {field: pipe.label_data[field][-1]} for i in range(prediction.units[0].end)})

    pipe.set_annotations([doc], [broken])

    counts = pipe.repairs.of(doc)
    assert (counts.units, counts.well_formed) == (2, 1) and counts.repairs >= 1
    assert pipe.score([Example(doc, reference)])["dep_well_formed"] == 0.5


def test_what_was_learned_by_heart_needs_no_repair(case_named, learned: Learned) -> None:
    nlp, data = learned(case_named("parser"))

    examples = [Example(nlp(bare(example.reference)), example.reference) for example in data]

    assert nlp.get_pipe("labeler").score(examples)["dep_well_formed"] == 1.0
    assert nlp.evaluate([Example(bare(example.reference), example.reference) for example in data])["dep_well_formed"] == 1.0


def test_docs_that_others_annotated_tell_nothing(case_named, learned: Learned) -> None:
    nlp, data = learned(case_named("parser"))
    pipe = nlp.get_pipe("labeler")
    gold = [Example(example.reference.copy(), example.reference) for example in data]

    assert pipe.repairs.of(gold[0].predicted) is None
    assert pipe.score(gold)["dep_well_formed"] is None
    assert pipe.score([*gold, Example(nlp(bare(data[0].reference)), data[0].reference)])["dep_well_formed"] == 1.0


WITH_PREFIX = ("emerging_parser", "emerging_graph", "emerging_constituency", "emerging_segmenter")


@pytest.mark.parametrize("case", [case for case in CASES if case.factory not in WITH_PREFIX], ids=lambda case: case.id)
def test_tasks_without_a_prefix_have_spacys_keys_alone(case, learned: Learned) -> None:
    nlp, data = learned(case)

    scores = nlp.get_pipe("labeler").score([Example(nlp(bare(example.reference)), example.reference) for example in data])

    assert not [key for key in scores if "well_formed" in key]
    assert nlp.get_pipe("labeler").repairs.of(nlp("Anna lives .")).units == 1


def test_counts_go_with_their_doc_and_are_not_pickled(case_named) -> None:
    nlp, _ = initialized(case_named("parser"))
    pipe = nlp.get_pipe("labeler")
    doc = nlp("Anna lives .")
    assert len(pipe.repairs) == 1

    assert len(pickle.loads(pickle.dumps(pipe)).repairs) == 0

    del doc
    gc.collect()
    assert len(pipe.repairs) == 0


# Given boundaries


def test_given_boundaries_cut_and_unknown_ones_do_not(case_named) -> None:
    task = case_named("parser").add_to(blank()).task
    doc = Doc(blank().vocab, words=["a", "b", "c", "d"], sent_starts=[True, None, True, False])

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert given_sentences(doc, task).starts.tolist() == [1, -1, 1, -1]


def test_without_boundaries_a_doc_is_one_sentence_and_each_component_warns_once(case_named) -> None:
    nlp = blank()
    for name in ("one", "other"):
        task = case_named("parser").add_to(nlp, name=name).task
        with pytest.warns(UserWarning, match="emerging_parser: a Doc has no sentence boundaries") as caught:
            for _ in range(2):
                assert (given_sentences(nlp.make_doc("a b c"), task).starts[1:] == -1).all()
        assert len(caught) == 1


@pytest.mark.parametrize("text", ["", "one"])
def test_docs_that_can_have_no_boundary_need_none(text: str, case_named) -> None:
    nlp = blank()
    task = case_named("parser").add_to(nlp).task

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(given_sentences(nlp.make_doc(text), task).starts) == len(text.split())


@pytest.mark.parametrize(("n_sents", "warned"), [(1, False), (2, True)])
def test_a_corpus_of_sentences_needs_no_boundaries(n_sents: int, warned: bool, case_named, tmp_path) -> None:
    """Given references of one sentence each, a component that looks for none is right to take the Doc for one, and says nothing."""
    nlp = blank()
    task = case_named("graph").add_to(nlp).task
    starts = [True, False, n_sents == 2, False]
    DocBin(docs=[Doc(nlp.vocab, words=["a", "b", "c", "d"], sent_starts=starts)]).to_disk(tmp_path / "corpus.spacy")
    (example,) = Corpus(tmp_path / "corpus.spacy")(nlp)

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert given_sentences(example.predicted.copy(), task).starts[1:].tolist() == [-1, -1, -1]

    assert bool(caught) == warned


def test_gold_sentences_need_no_boundaries(case_named, tmp_path) -> None:
    nlp = blank()
    task = case_named("graph").add_to(nlp).task
    DocBin(docs=[Doc(nlp.vocab, words=["a", "b", "c", "d"], sent_starts=[True, False, True, False])]).to_disk(tmp_path / "corpus.spacy")

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for example in Corpus(tmp_path / "corpus.spacy", gold_preproc=True)(nlp):
            assert given_sentences(example.predicted, task).starts[1:].tolist() == [-1]
