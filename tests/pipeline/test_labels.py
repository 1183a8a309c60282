"""Where labels come from: the corpus, add_label, or files that `spacy init labels` wrote; and what happens to unknown ones."""

from __future__ import annotations

import warnings

import pytest
import spacy
import srsly
from spacy.cli._util import app
from spacy.tokens import Doc, DocBin, Span, Token
from spacy.training import Example
from spacy.training.initialize import init_nlp
from typer.testing import CliRunner

from spacy_emerging.errors import LabelError

from .cases import CASES, Case, blank, initialized, train
from .conftest import Learned
from .corpus import EXTENSION, SPANS_KEY, bare, examples

by_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)

ONE_FIELD = ["tag", "extension", "ner"]


# label_data and labels


@by_case
def test_label_data_has_every_field_of_the_decoder(case: Case, learned: Learned) -> None:
    nlp, _ = learned(case)
    pipe = nlp.get_pipe("labeler")

    assert tuple(pipe.label_data) == pipe.task.fields
    assert pipe.model.get_dim("nO") == sum(len(labels) for labels in pipe.label_data.values())
    assert all(label in nlp.pipe_labels["labeler"] for label in pipe.labels)


def test_labels_are_what_users_call_them(learned: Learned, case_named) -> None:
    labels = {id: learned(case_named(id))[0].get_pipe("labeler").labels for id in ["tag", "morph-per-feature", "ner", "spans", "parser"]}

    assert {"NNP", "VBZ"} <= set(labels["tag"])
    assert {"morph.Number=Sing", "morph.Tense=Past"} <= set(labels["morph-per-feature"])
    assert labels["ner"] == ("GPE", "PERSON")
    assert labels["spans"] == ("CLAUSE", "PLACE")
    assert {"nsubj", "ROOT"} <= set(labels["parser"])


@by_case
def test_initialize_from_label_data_learns_the_same(case: Case, learned: Learned) -> None:
    """Given the labels of one pipeline, when another is initialized from them without reading the corpus, it learns the corpus."""
    label_data = learned(case)[0].get_pipe("labeler").label_data
    nlp = blank()
    data = case.examples(nlp.vocab)
    pipe = case.add_to(nlp)

    unannotated = [Example(bare(example.reference), bare(example.reference)) for example in data]
    pipe.initialize(lambda: unannotated, nlp=nlp, labels=label_data)
    first = train(nlp, data, steps=1)

    assert pipe.label_data == label_data
    assert train(nlp, data, steps=10)["labeler"] < first["labeler"]


@by_case
def test_a_labels_file_with_a_missing_field_is_an_error(case: Case, learned: Learned) -> None:
    label_data = learned(case)[0].get_pipe("labeler").label_data
    first = next(iter(label_data))
    if case.id == "morph-per-feature":
        pytest.skip("its fields are whatever features the file has")
    nlp = blank()
    pipe = case.add_to(nlp)
    without_first = {field: labels for field, labels in label_data.items() if field != first}

    with pytest.raises(LabelError, match=f"labeler: initialize.labels=.*lacks the field '{first}'"):
        pipe.initialize(lambda: case.examples(nlp.vocab), nlp=nlp, labels=without_first)


@pytest.mark.parametrize("id", ONE_FIELD)
def test_a_plain_list_of_labels_will_do_for_one_field(id: str, learned: Learned, case_named) -> None:
    labels = learned(case_named(id))[0].get_pipe("labeler").labels
    nlp = blank()
    pipe = case_named(id).add_to(nlp)

    pipe.initialize(lambda: examples(nlp.vocab), nlp=nlp, labels=list(labels))

    assert pipe.labels == labels


@pytest.mark.parametrize("wrong", ["abc", [1, 2], ["A", "A"], None], ids=repr)
def test_given_labels_are_lists_of_different_strings(wrong: object, case_named) -> None:
    nlp = blank()
    pipe = case_named("tag").add_to(nlp)

    with pytest.raises(LabelError, match="labeler: initialize.*for the field 'tag', which must be a list of different strings"):
        pipe.initialize(lambda: examples(nlp.vocab), nlp=nlp, labels={"tag": wrong})


def test_a_plain_list_will_not_do_for_several_fields(case_named) -> None:
    nlp = blank()
    pipe = case_named("parser").add_to(nlp)

    with pytest.raises(LabelError, match=f"needs a table with the fields {', '.join(pipe.task.fields)}, not a list"):
        pipe.initialize(lambda: examples(nlp.vocab), nlp=nlp, labels=["nsubj"])


@by_case
def test_the_cli_writes_label_files_that_a_config_reads(case: Case, learned: Learned, tmp_path) -> None:
    """`spacy init labels config.cfg DIR`, then `[initialize.components.labeler.labels]` with `spacy.read_labels.v1`."""
    nlp, data = learned(case)
    corpus = tmp_path / "train.spacy"
    DocBin(docs=[example.reference for example in data], store_user_data=True).to_disk(corpus)
    config = nlp.config.copy()
    config["corpora"]["train"]["path"] = config["corpora"]["dev"]["path"] = str(corpus)
    config["paths"] = {"train": None, "dev": None, "vectors": None, "init_tok2vec": None}
    config.to_disk(tmp_path / "config.cfg")

    done = CliRunner().invoke(app, ["init", "labels", str(tmp_path / "config.cfg"), str(tmp_path / "labels")])
    assert done.exit_code == 0, done.output
    written = srsly.read_json(tmp_path / "labels" / "labeler.json")
    reader = {"@readers": "spacy.read_labels.v1", "path": str(tmp_path / "labels" / "labeler.json")}
    config["initialize"]["components"] = {"labeler": {"labels": reader}}
    again = init_nlp(config)

    assert written == nlp.get_pipe("labeler").label_data
    assert again.get_pipe("labeler").label_data == written


# add_label


@pytest.mark.parametrize("id", ONE_FIELD)
def test_add_label_before_initialize(id: str, case_named) -> None:
    nlp = blank()
    pipe = case_named(id).add_to(nlp)

    assert pipe.add_label("NEW") == 1
    assert pipe.add_label("NEW") == 0
    nlp.initialize()

    assert pipe.labels == ("NEW",)
    assert nlp("Anna lives .") is not None


@pytest.mark.parametrize("id", ONE_FIELD)
def test_added_labels_stand_beside_those_of_the_corpus(id: str, case_named, learned: Learned) -> None:
    nlp = blank()
    pipe = case_named(id).add_to(nlp)
    pipe.add_label("NEW")

    nlp.initialize(lambda: examples(nlp.vocab))

    assert set(pipe.labels) == {"NEW", *learned(case_named(id))[0].get_pipe("labeler").labels}


@pytest.mark.parametrize("id", ONE_FIELD)
def test_add_label_after_initialize_is_refused(id: str, case_named, learned: Learned) -> None:
    pipe = learned(case_named(id))[0].get_pipe("labeler")

    size = len(pipe.label_data[pipe.task.fields[0]])
    with pytest.raises(ValueError, match=f"E922.*output dimension of {size} "):
        pipe.add_label("NEW")
    assert pipe.model.get_dim("nO") == size
    assert pipe.add_label(pipe.labels[0]) == 0
    with pytest.raises(ValueError, match="E187"):
        pipe.add_label(9)


@pytest.mark.parametrize("id", ["tag+pos+morph", "spans", "parser", "morph-per-feature"])
def test_add_label_to_several_fields_is_refused(id: str, case_named) -> None:
    pipe = case_named(id).add_to(blank())

    with pytest.raises(LabelError, match=r"use initialize\(labels=...\)"):
        pipe.add_label("NEW")


# Unknown labels


@pytest.mark.parametrize("id", ["tag", "tag+pos+morph", "morph-per-feature", "extension", "ner", "spans", "parser"])
def test_an_unknown_label_of_the_users_is_an_error_that_names_it(id: str, case_named) -> None:
    nlp, _ = initialized(case_named(id))
    heads, deps = [1, 1], ["UNKNOWN", "ROOT"]
    doc = Doc(nlp.vocab, words=["Anna", "lives"], tags=["UNKNOWN", "VBZ"], morphs=["Number=Unknown", "_"], heads=heads, deps=deps)
    doc.set_ents([doc.char_span(0, 4, label="UNKNOWN")])
    doc.spans["sc"] = [doc.char_span(0, 4, label="UNKNOWN")]
    doc[0]._.set(EXTENSION, "UNKNOWN")

    with pytest.raises(LabelError, match="(?i)labeler: label '[^']*unknown' of field .* was not seen at initialize"):
        nlp.update([Example(bare(doc), doc)])


@pytest.mark.parametrize("id", ["ner", "spans"])
def test_an_unknown_span_type_is_named_without_its_prefix(id: str, case_named) -> None:
    """Given an entity of one word, whose tag would be U-NEW, the message names what stands in the corpus."""
    nlp, _ = initialized(case_named(id))
    doc = Doc(nlp.vocab, words=["Anna", "lives"])
    doc.set_ents([Span(doc, 0, 1, label="NEW")])
    doc.spans["sc"] = [Span(doc, 0, 1, label="NEW")]

    with pytest.raises(LabelError, match="labeler: label 'NEW' of field"):
        nlp.update([Example(bare(doc), doc)])


def test_an_unknown_derived_label_counts_as_not_annotated_and_warns_once(case_named) -> None:
    """Given a tree with a bracket string that the corpus lacks, the word teaches its relation only."""
    nlp, _ = initialized(case_named("parser"), linearization={"@linearizations": "spacy-emerging.BracketingDependency.v1"})
    pipe = nlp.get_pipe("labeler")
    words = ["Bob", "saw", "Bob", "New", "York", "eggs", "."]
    deps = ["nsubj", "ROOT", "obj", "obj", "obj", "obj", "punct"]

    def unusual() -> Example:
        doc = Doc(nlp.vocab, words=words, heads=[1] * 7, deps=deps)
        return Example(bare(doc), doc)

    with pytest.warns(UserWarning, match="labeler: label .* of field 'bracket' was not seen"):
        nlp.update([unusual()])
    assert pipe.unseen_labels == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        nlp.update([unusual()])
    assert pipe.unseen_labels == 2


# Tagger


def test_per_feature_without_any_feature_in_the_corpus(case_named) -> None:
    """Given annotation that says of every word that it has no features, there is one label, and it is predicted."""
    nlp = blank()
    docs = [Doc(nlp.vocab, words=["Why", "bark"], morphs=["_", "_"]) for _ in range(2)]
    data = [Example(bare(doc), doc) for doc in docs]
    pipe = case_named("morph-per-feature").add_to(nlp)
    nlp.initialize(lambda: data)
    train(nlp, data, steps=2)

    doc = nlp("Why bark")

    assert pipe.label_data == {"morph": ["_"]}
    assert [token.has_morph() and str(token.morph) for token in doc] == ["", ""]


def test_an_unknown_feature_is_an_error_that_names_it(case_named) -> None:
    nlp, _ = initialized(case_named("morph-per-feature"))
    doc = Doc(nlp.vocab, words=["Why", "bark"], morphs=["Voice=Act", "_"])

    with pytest.raises(LabelError, match="feature 'Voice=Act' was not seen at initialize"):
        nlp.update([Example(bare(doc), doc)])


def test_per_feature_beside_tags_without_any_morphology(case_named) -> None:
    """Given tags but no morphology, the missing attribute is named instead of being written as empty."""
    nlp = blank()
    docs = [Doc(nlp.vocab, words=["Why", "bark"], tags=["WRB", "VB"]) for _ in range(2)]
    case_named("morph-per-feature").add_to(nlp, attributes=["tag", "morph"])

    with pytest.raises(LabelError, match="no labels for field 'morph'"):
        nlp.initialize(lambda: [Example(bare(doc), doc) for doc in docs])


def test_extension_values_must_be_strings(case_named) -> None:
    nlp = blank()
    if not Token.has_extension(EXTENSION):
        Token.set_extension(EXTENSION, default=None)
    doc = Doc(nlp.vocab, words=["Why", "bark"])
    doc[0]._.set(EXTENSION, 1)
    case_named("extension").add_to(nlp)

    with pytest.raises(LabelError, match=f"_.{EXTENSION}.*is 1, but must be a string"):
        nlp.initialize(lambda: [Example(bare(doc), doc)])


def test_the_languages_own_name_for_the_pipe_is_in_messages() -> None:
    nlp = spacy.blank("en")
    nlp.add_pipe("emerging_tagger", name="my_tagger", config={"model": {"tok2vec": {"encode": {"depth": 1}}}})

    with pytest.raises(LabelError, match="^my_tagger: "):
        nlp.initialize()


def test_relations_of_lifted_arcs_are_not_labels_of_the_users(case_named) -> None:
    """Given an encoding that notes on relations where an arc was lifted from, `labels` are the relations alone."""
    plain, marked = blank(), blank()
    expected = case_named("parser").add_to(plain)
    pipe = case_named("parser").add_to(
        marked, linearization={"@linearizations": "spacy-emerging.HexaTagDependency.v1", "pseudo_projective": "head"}
    )
    plain.initialize(lambda: examples(plain.vocab))
    marked.initialize(lambda: examples(marked.vocab))

    assert any("↑" in label for label in pipe.label_data["deprel"])
    assert pipe.labels == expected.labels


@pytest.mark.parametrize("id", ["tag", "ner", "spans", "parser", "extension"])
def test_a_reference_that_changes_is_read_anew(id: str, case_named) -> None:
    """Given an update on a Doc, when its annotation is then changed to an unknown label, the next update notices."""
    nlp = blank()
    data = examples(nlp.vocab)
    case_named(id).add_to(nlp)
    nlp.initialize(lambda: data)
    nlp.update(data)
    doc = data[0].reference
    doc[0].tag_ = doc[0].dep_ = "UNKNOWN"
    doc[0]._.set(EXTENSION, "UNKNOWN")
    doc.set_ents([Span(doc, 0, 1, label="UNKNOWN")])
    doc.spans[SPANS_KEY] = [Span(doc, 0, 1, label="UNKNOWN")]

    with pytest.raises(LabelError, match="UNKNOWN"):
        nlp.update(data)
