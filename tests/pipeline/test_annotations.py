"""What components write on Docs, what they leave alone, and what they say of themselves."""

from __future__ import annotations

import math

import numpy
import pytest
from spacy.language import Language
from spacy.tokens import Doc, Span
from spacy.training import Example
from spacy.util import registry
from thinc.api import Model

from spacy_emerging.decoders.softmax import SoftmaxDecoder
from spacy_emerging.errors import SettingError
from spacy_emerging.pipeline.model import LabelerModel
from spacy_emerging.pipeline.tagger import TaggerTask
from spacy_emerging.registry import LINEARIZATIONS

from .cases import CASES, Case, blank, initialized, labeler_model, read_entities, read_parse
from .conftest import Learned, copied
from .corpus import EXTENSION, SPANS_KEY, bare, examples

by_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)

FIVE = "Anna lives in New York . They like green eggs . Bob saw a dog today that barked . Why bark ? Bob likes New York ."


# Trees and sentences


DEPENDENCY = sorted(name for name in LINEARIZATIONS if name.endswith("Dependency.v1"))


@pytest.mark.parametrize("name", DEPENDENCY)
@pytest.mark.parametrize("seed", range(2))
def test_an_untrained_parser_gives_valid_trees(name: str, seed: int, case_named) -> None:
    """Given random weights, every sentence has one root, every word is below it, and sentences do not overlap."""
    nlp = blank()
    data = examples(nlp.vocab)
    pipe = case_named("parser").add_to(nlp, linearization={"@linearizations": name})
    nlp.initialize(lambda: data)
    random = numpy.random.RandomState(seed)
    for block in ("decoder", "sentence_starts"):
        for parameter in pipe.model.get_ref(block).shims[0].module.parameters():
            parameter.data += parameter.data.new_tensor(random.normal(0, 2, tuple(parameter.shape)))

    doc = nlp(" ".join([FIVE] * 3))

    assert sum(len(sentence) for sentence in doc.sents) == len(doc)
    for sentence in doc.sents:
        roots = [token for token in sentence if token.head == token]
        assert len(roots) == 1
        assert roots[0].dep_ == "ROOT"
        assert {token.i for token in roots[0].subtree} == {token.i for token in sentence}
    assert doc.has_annotation("DEP") and doc.has_annotation("SENT_START")


def test_five_sentences_are_found(learned: Learned, case_named) -> None:
    nlp, _ = learned(case_named("parser"))

    assert [sentence.text for sentence in nlp(FIVE).sents] == [
        "Anna lives in New York .",
        "They like green eggs .",
        "Bob saw a dog today that barked .",
        "Why bark ?",
        "Bob likes New York .",
    ]


def test_a_crossing_arc_is_found(learned: Learned, case_named) -> None:
    nlp, _ = learned(case_named("parser"))

    doc = nlp("Bob saw a dog today that barked .")

    assert (doc[6].text, doc[6].head.text) == ("barked", "dog")


def test_all_sentence_boundaries_set_beforehand_are_kept(learned: Learned, case_named) -> None:
    """Given boundaries in unlikely places, the parser cuts there and nowhere else."""
    nlp, _ = learned(case_named("parser"))
    doc = nlp.make_doc(FIVE)
    for token in doc:
        token.is_sent_start = token.i in (0, 4, 9)

    parsed = nlp(doc)

    assert [sentence.start for sentence in parsed.sents] == [0, 4, 9]


def test_single_boundaries_set_beforehand_are_kept(learned: Learned, case_named) -> None:
    """Given one boundary that is set and one that is ruled out, the model decides about the others."""
    nlp, _ = learned(case_named("parser"))
    free = [sentence.start for sentence in nlp(FIVE).sents]
    doc = nlp.make_doc(FIVE)
    doc[2].is_sent_start = True
    doc[free[1]].is_sent_start = False

    parsed = [sentence.start for sentence in nlp(doc).sents]

    assert parsed == sorted({*free, 2} - {free[1]})


def test_a_sentencizer_before_the_parser_decides(learned: Learned, case_named) -> None:
    nlp = copied(learned(case_named("parser"))[0])
    nlp.add_pipe("sentencizer", first=True, config={"punct_chars": ["?"]})

    assert [sentence.text for sentence in nlp("They like green eggs . Why bark ? Bob likes New York .").sents] == [
        "They like green eggs . Why bark ?",
        "Bob likes New York .",
    ]


# Annotation that is there already


def test_entities_set_beforehand_are_kept(learned: Learned, case_named) -> None:
    """Given an entity that overlaps a predicted one and a blocked token, both stay, and other entities are added."""
    nlp, _ = learned(case_named("ner"))
    doc = nlp.make_doc("Anna lives in New York . Bob likes New York .")
    doc.set_ents([Span(doc, 4, 6, label="MINE", kb_id="Q1")], blocked=[doc[6:7]], default="missing")

    found = nlp(doc)

    assert read_entities(found) == [("PERSON", 0, 1), ("MINE", 4, 6), ("GPE", 8, 10)]
    assert found.ents[1].kb_id_ == "Q1"
    assert found[6].ent_iob_ == "B" and found[6].ent_type_ == ""


def test_entities_set_beforehand_are_replaced_where_asked(learned: Learned, case_named) -> None:
    case = case_named("ner")
    nlp = blank()
    case.add_to(nlp, overwrite=True)
    nlp.get_pipe("labeler").from_bytes(learned(case)[0].get_pipe("labeler").to_bytes())
    doc = nlp.make_doc("Anna lives in New York .")
    doc.set_ents([Span(doc, 4, 6, label="MINE")], blocked=[doc[0:1]], default="missing")

    assert read_entities(nlp(doc)) == [("PERSON", 0, 1), ("GPE", 3, 5)]


@pytest.mark.parametrize("overwrite", [False, True])
def test_token_attributes_set_beforehand(overwrite: bool, learned: Learned, case_named) -> None:
    case = case_named("tag+pos+morph")
    nlp = blank()
    case.add_to(nlp, overwrite=overwrite)
    nlp.get_pipe("labeler").from_bytes(learned(case)[0].get_pipe("labeler").to_bytes())
    doc = nlp.make_doc("Bob likes New York .")
    doc[0].tag_, doc[1].pos_ = "MINE", "NUM"
    doc[2].set_morph("Mine=Yes")
    doc[3].set_morph("")

    doc = nlp(doc)

    own, predicted = ("MINE", "NUM", "Mine=Yes", ""), ("NNP", "VERB", "Number=Sing", "Number=Sing")
    assert (doc[0].tag_, doc[1].pos_, str(doc[2].morph), str(doc[3].morph)) == (predicted if overwrite else own)
    assert (doc[1].tag_, doc[0].pos_) == ("VBZ", "PROPN")


def test_spans_under_other_keys_are_left_alone(learned: Learned, case_named) -> None:
    nlp, _ = learned(case_named("spans"))
    doc = nlp.make_doc("Anna lives in New York .")
    doc.spans["other"] = [Span(doc, 0, 2, label="OTHER")]

    assert [span.label_ for span in nlp(doc).spans["other"]] == ["OTHER"]


def test_spans_that_overlap_are_found_in_both_layers(learned: Learned, case_named) -> None:
    nlp, _ = learned(case_named("spans"))

    doc = nlp("Anna lives in New York .")

    assert sorted((span.label_, span.text) for span in doc.spans[SPANS_KEY]) == [
        ("CLAUSE", "Anna lives in New York"),
        ("PLACE", "New York"),
    ]


def test_gold_spans_beyond_the_layers_are_counted_and_warned_about_once(case_named) -> None:
    nlp = blank()
    data = examples(nlp.vocab)
    pipe = case_named("spans").add_to(nlp, layers=1)

    with pytest.warns(UserWarning, match="emerging_spans: more than 1 spans under 'sc' overlap") as caught:
        nlp.initialize(lambda: data)

    assert len([warning for warning in caught if "overlap" in str(warning.message)]) == 1
    assert pipe.task.dropped > 0


# Confidences


@pytest.mark.parametrize("id", ["tag", "tag+pos+morph", "morph-per-feature", "extension", "parser"])
def test_token_scores_are_probabilities(id: str, case_named) -> None:
    nlp, _ = initialized(case_named(id), store_scores=True)

    doc = nlp(FIVE)

    assert all(0.0 < token._.label_score <= 1.0 for token in doc)
    assert nlp(FIVE).to_bytes() == doc.to_bytes()


def test_a_single_fields_score_is_that_of_its_most_likely_label(case_named) -> None:
    nlp, _ = initialized(case_named("tag"), store_scores=True)
    pipe = nlp.get_pipe("labeler")
    (prediction,) = pipe.predict([nlp.make_doc(FIVE)])
    (unit,) = prediction.scores

    doc = nlp(FIVE)

    assert [token._.label_score for token in doc] == pytest.approx(numpy.exp(unit.scores[0]).max(axis=1).tolist())
    assert [token.tag_ for token in doc] == [pipe.label_data["tag"][i] for i in unit.scores[0].argmax(axis=1)]


@pytest.mark.parametrize("id, key", [("ner", "ents"), ("spans", SPANS_KEY)])
def test_span_scores_are_the_product_of_their_tags_probabilities(id: str, key: str, case_named) -> None:
    """Given a half-trained model, whose best tags are often illegal, the score is that of the tags which make up the span."""
    nlp, data = initialized(case_named(id), store_scores=True)
    optimizer = nlp.create_optimizer()
    for _ in range(25):
        nlp.update(data, sgd=optimizer)
    pipe = nlp.get_pipe("labeler")
    doc = nlp(FIVE)
    (prediction,) = pipe.predict([nlp.make_doc(FIVE)])
    (unit,) = prediction.scores
    labels = list(pipe.label_data.values())

    group = doc.spans[key]

    assert len(group) > 0 and len(group.attrs["scores"]) == len(group)
    for span, score in zip(group, group.attrs["scores"], strict=True):
        assert 0.0 < score <= 1.0
        n = len(span)
        prefixes = ["U"] if n == 1 else ["B", *["I"] * (n - 2), "L"]
        logs = [
            sum(field[span.start + i, names.index(f"{prefix}-{span.label_}")] for i, prefix in enumerate(prefixes))
            for field, names in zip(unit.scores, labels, strict=True)
        ]
        assert any(score == pytest.approx(math.exp(log), rel=1e-4) for log in logs)


@by_case
def test_confidences_survive_docbin_bytes_and_pickle(case: Case) -> None:
    nlp, _ = initialized(case, store_scores=True)
    doc = nlp(FIVE)

    loaded = Doc(nlp.vocab).from_bytes(doc.to_bytes())

    assert case.read(loaded) == case.read(doc)
    assert [token._.label_score for token in loaded] == [token._.label_score for token in doc]
    assert {key: group.attrs for key, group in loaded.spans.items()} == {key: group.attrs for key, group in doc.spans.items()}


# What components say of themselves


def test_pipe_analysis_knows_what_is_assigned(case_named) -> None:
    nlp = blank()
    for case in CASES:
        case.add_to(nlp, name=case.id)
    nlp.add_pipe("attribute_ruler")

    analysis = nlp.analyze_pipes()

    assert not any(analysis["problems"].values())
    assigned = {case.factory: set(analysis["summary"][case.id]["assigns"]) for case in CASES}
    assert assigned["emerging_tagger"] == {"token.tag", "token.pos", "token.morph"}
    assert assigned["emerging_ner"] == {"doc.ents", "token.ent_iob", "token.ent_type"}
    assert assigned["emerging_spans"] == {"doc.spans"}
    assert assigned["emerging_parser"] == {"token.dep", "token.head", "token.is_sent_start", "doc.sents"}


@by_case
def test_a_scorer_of_ones_own_replaces_the_tasks(case: Case) -> None:
    nlp, data = initialized(case, scorer={"@scorers": "test.counting_scorer.v1"})

    assert nlp.evaluate(data)["examples"] == len(data)


@registry.scorers("test.counting_scorer.v1")
def make_counting_scorer():
    return counting_scorer


def counting_scorer(examples, **kwargs):
    return {"examples": len(list(examples))}


@by_case
def test_an_error_handler_gets_the_batch_that_failed(case: Case, monkeypatch) -> None:
    """Given a text that the model cannot take, when a handler is set, the other texts are answered."""
    nlp, _ = initialized(case)
    pipe = nlp.get_pipe("labeler")
    predict, seen = pipe.predict, []

    def fails(docs):
        if any("bad" in doc.text for doc in docs):
            raise RuntimeError("a bad text")
        return predict(docs)

    class Failing(type(pipe)):
        def predict(self, docs):
            return fails(docs)

    monkeypatch.setattr(pipe, "__class__", Failing)
    nlp.set_error_handler(lambda name, proc, docs, error: seen.append((name, [doc.text for doc in docs], str(error))))

    docs = list(nlp.pipe(["Anna lives .", "bad", "Why bark ?"], batch_size=1))

    assert [doc.text for doc in docs] == ["Anna lives .", "Why bark ?"]
    assert seen == [("labeler", ["bad"], "a bad text")]


# Settings

TOKEN_TAGS = {"@linearizations": "spacy-emerging.TokenTags.v1"}


@pytest.mark.parametrize(
    "factory, setting, message",
    [
        ("emerging_tagger", {"attributes": []}, "emerging_tagger: setting 'attributes' is"),
        ("emerging_tagger", {"attributes": ["lemma"]}, "emerging_tagger: setting 'attributes' is"),
        ("emerging_tagger", {"attributes": ["tag", "tag"]}, "twice"),
        ("emerging_tagger", {"attributes": ["_."]}, "emerging_tagger: setting 'attributes' is"),
        ("emerging_spans", {"layers": 0}, "labeler: setting 'layers' is 0"),
        ("emerging_spans", {"layers": 10**9}, "labeler: setting 'layers' is 1000000000, but must be .* at most 256"),
        ("emerging_ner", {"linearization": TOKEN_TAGS}, "labeler: setting 'linearization' must be"),
        (
            "emerging_parser",
            {"linearization": {"@linearizations": "spacy-emerging.SpanTags.v1"}},
            "labeler: setting 'linearization' must be",
        ),
    ],
)
def test_settings_that_cannot_work_are_named(factory: str, setting: dict, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        blank().add_pipe(factory, name="labeler", config={"model": labeler_model(), **setting})


@pytest.mark.parametrize("attributes", [[None], [3], "tag", None])
def test_attributes_of_another_type_are_named(attributes: object) -> None:
    with pytest.raises(SettingError, match="emerging_tagger: setting 'attributes' is"):
        TaggerTask(attributes, per_feature=False, overwrite=False)


@pytest.mark.parametrize(
    ("setting", "value"),
    [("max_batch_tokens", 0), ("max_batch_tokens", "all"), ("lr_scale", -1.0), ("max_grad_norm", True), ("amp", "fp8")],
)
def test_settings_of_the_model_that_cannot_work_are_named(setting: str, value: object) -> None:
    with pytest.raises(SettingError, match=f"spacy-emerging.Labeler.v1: setting '{setting}' is {value!r}"):
        LabelerModel(Model("any", lambda model, docs, is_train: docs), SoftmaxDecoder(), **{setting: value})


def test_two_taggers_of_different_attributes_in_one_pipeline(case_named) -> None:
    nlp = blank()
    data = examples(nlp.vocab)
    case_named("tag").add_to(nlp, name="tags")
    case_named("extension").add_to(nlp, name="casing")
    nlp.initialize(lambda: data)

    doc = nlp(FIVE)

    assert all(token.tag_ and token._.get(EXTENSION) for token in doc)


def test_the_parser_agrees_with_itself_on_one_word(learned: Learned, case_named) -> None:
    nlp, _ = learned(case_named("parser"))

    (row,) = read_parse(nlp("Anna"))

    assert row[0] == 0 and row[2] is True


def test_examples_with_predictions_can_be_scored_without_gold(learned: Learned, case_named) -> None:
    """Given references without annotation, scores are None, as spaCy's are."""
    nlp, _ = learned(case_named("tag"))
    doc = Doc(nlp.vocab, words=["Why", "bark"])

    assert nlp.evaluate([Example(bare(doc), doc)])["tag_acc"] is None


def test_default_models_can_be_added_by_name() -> None:
    nlp = Language()
    for case in CASES:
        nlp.add_pipe(case.factory, name=case.id)

    assert nlp.pipe_names == [case.id for case in CASES]
