"""Saving, loading and pickling; and what a damaged model directory is told."""

from __future__ import annotations

import json
import pickle
import re
from pathlib import Path

import pytest
import spacy
from spacy.tokens import Doc, DocBin
from thinc.api import Config

from spacy_emerging.errors import ModelDataError
from spacy_emerging.linearizations.dependency.bracketing import BracketingDependency
from spacy_emerging.registry import spacy_registry as registry

from .cases import CASES, Case, blank, initialized
from .conftest import Learned, copied
from .corpus import SPANS_KEY

by_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)

TEXT = "Anna lives in New York . They like green eggs ."


@by_case
def test_a_pipeline_that_was_never_initialized_is_saved_and_loaded(case: Case, tmp_path) -> None:
    nlp = blank()
    case.add_to(nlp)

    nlp.to_disk(tmp_path)
    loaded = spacy.load(tmp_path)

    assert loaded.get_pipe("labeler").labels == ()
    with pytest.raises(ValueError, match="Did you forget to call `initialize"):
        loaded("Anna lives .")


@pytest.mark.parametrize("id", ["tag", "ner"])
def test_labels_added_before_initialize_are_saved(id: str, case_named, tmp_path) -> None:
    nlp = blank()
    case_named(id).add_to(nlp).add_label("NEW")

    nlp.to_disk(tmp_path)

    assert spacy.load(tmp_path).get_pipe("labeler").labels == ("NEW",)


@by_case
def test_what_is_excluded_is_not_written(case: Case, learned: Learned, tmp_path) -> None:
    """Given no cfg, the labels are those of the model; given no model, there are labels but no weights; given no pipe, neither."""
    nlp, _ = learned(case)
    pipe = nlp.get_pipe("labeler")
    for part in ("cfg", "model"):
        pipe.to_disk(tmp_path / part, exclude=[part])
        assert not (tmp_path / part / part).exists()
    nlp.to_disk(tmp_path / "pipeline", exclude=["labeler"])

    without_cfg, without_model = blank(), blank()
    case.add_to(without_cfg).from_disk(tmp_path / "cfg")
    case.add_to(without_model).from_disk(tmp_path / "model", exclude=["model"])

    assert case.read(without_cfg(TEXT)) == case.read(nlp(TEXT))
    assert without_model.get_pipe("labeler").label_data == pipe.label_data
    with pytest.raises(ValueError, match="Did you forget to call `initialize"):
        without_model(TEXT)
    assert not (tmp_path / "pipeline" / "labeler").exists()


@by_case
def test_bytes_without_cfg(case: Case, learned: Learned) -> None:
    nlp, _ = learned(case)
    other = blank()

    case.add_to(other).from_bytes(nlp.get_pipe("labeler").to_bytes(exclude=["cfg", "vocab"]), exclude=["vocab"])

    assert other.get_pipe("labeler").label_data == nlp.get_pipe("labeler").label_data


@by_case
def test_a_component_is_pickled(case: Case, learned: Learned) -> None:
    """What `nlp.pipe(n_process=...)` does where processes are spawned, also after training has filled the gold cache."""
    nlp, data = learned(case)
    pipe = nlp.get_pipe("labeler")
    pipe.update(data, sgd=None)

    loaded = pickle.loads(pickle.dumps(pipe))

    assert loaded.label_data == pipe.label_data
    with nlp.select_pipes(disable=["labeler"]):
        doc = nlp(TEXT)
    assert case.read(loaded(doc)) == case.read(nlp(TEXT))


@by_case
def test_annotated_docs_survive_bytes_docbin_and_pickle(case: Case, learned: Learned) -> None:
    nlp, _ = learned(case)
    doc = nlp(TEXT)
    annotation = case.read(doc)
    (binned,) = DocBin(docs=[doc], store_user_data=True).get_docs(nlp.vocab)

    assert case.read(Doc(nlp.vocab).from_bytes(doc.to_bytes())) == annotation
    assert case.read(binned) == annotation
    assert case.read(pickle.loads(pickle.dumps(doc))) == annotation


@by_case
def test_the_config_says_it_all(case: Case, learned: Learned) -> None:
    """Given a config as text, when a pipeline is made of it, it is the same config again."""
    nlp, _ = learned(case)
    text = nlp.config.to_str()

    again = spacy.util.load_model_from_config(Config().from_str(text))

    assert again.config.to_str() == Config().from_str(text).to_str()


# Damage


def saved(learned: Learned, case: Case, path: Path) -> Path:
    learned(case)[0].to_disk(path)
    return path / "labeler"


DAMAGES = {
    "model cut to a half": lambda path: (path / "model").write_bytes((path / "model").read_bytes()[: (path / "model").stat().st_size // 2]),
    "model empty": lambda path: (path / "model").write_bytes(b""),
    "model one byte short": lambda path: (path / "model").write_bytes((path / "model").read_bytes()[:-1]),
    "a bit of an embedding flipped": lambda path: _flip_a_bit(path / "model", 0.3),
    "a bit near the end flipped": lambda path: _flip_a_bit(path / "model", 0.9),
    "model is text": lambda path: (path / "model").write_text("not a model", encoding="utf8"),
    "cfg cut": lambda path: (path / "cfg").write_bytes((path / "cfg").read_bytes()[:10]),
    "cfg is a list": lambda path: (path / "cfg").write_text("[1]", encoding="utf8"),
    "cfg labels are text": lambda path: (path / "cfg").write_text('{"labels": "NN"}', encoding="utf8"),
    "cfg label renamed": lambda path: _edit_labels(path / "cfg", lambda labels: ["RENAMED", *labels[1:]]),
    "cfg label removed": lambda path: _edit_labels(path / "cfg", lambda labels: labels[:-1]),
    "cfg labels in another order": lambda path: _edit_labels(path / "cfg", lambda labels: labels[::-1]),
}


def _flip_a_bit(path: Path, where: float) -> None:
    data = bytearray(path.read_bytes())
    data[int(len(data) * where)] ^= 4
    path.write_bytes(data)


def _edit_labels(path: Path, edit) -> None:
    cfg = json.loads(path.read_text(encoding="utf8"))
    cfg["labels"] = {field: edit(labels) for field, labels in cfg["labels"].items()}
    path.write_text(json.dumps(cfg), encoding="utf8")


@pytest.mark.parametrize("id", ["tag", "morph-per-feature", "spans", "parser"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_directory_is_named(id: str, damage: str, learned: Learned, case_named, tmp_path) -> None:
    path = saved(learned, case_named(id), tmp_path)

    DAMAGES[damage](path)

    with pytest.raises(ModelDataError, match="^labeler: .*") as caught:
        spacy.load(tmp_path)
    assert str(path) in str(caught.value)


def test_fields_in_another_order_are_noticed(learned: Learned, case_named, tmp_path) -> None:
    """Given a cfg whose tables were sorted by name, labels would get each other's ids."""
    path = saved(learned, case_named("tag+pos+morph"), tmp_path) / "cfg"
    cfg = json.loads(path.read_text(encoding="utf8"))
    cfg["labels"] = dict(sorted(cfg["labels"].items()))
    path.write_text(json.dumps(cfg), encoding="utf8")

    with pytest.raises(ModelDataError, match="the labels in the cfg file of .* are not those of the model"):
        spacy.load(tmp_path)


def test_a_failed_load_from_bytes_says_so(learned: Learned, case_named) -> None:
    nlp, _ = learned(case_named("tag"))
    data = nlp.get_pipe("labeler").to_bytes()
    other = blank()
    pipe = case_named("tag").add_to(other)

    with pytest.raises(ModelDataError, match="^labeler: cannot load the given bytes"):
        pipe.from_bytes(data[: len(data) // 2])


def test_a_model_of_another_width_is_refused(case_named, learned: Learned, tmp_path) -> None:
    """Given a directory whose config was edited to another width, loading names the component."""
    path = saved(learned, case_named("tag"), tmp_path)
    config = (tmp_path / "config.cfg").read_text(encoding="utf8")
    (tmp_path / "config.cfg").write_text(config.replace("width = 16", "width = 24"), encoding="utf8")

    with pytest.raises(ModelDataError, match="labeler") as caught:
        spacy.load(tmp_path)
    assert str(path) in str(caught.value)


def test_labels_are_kept_apart_from_the_model_they_came_from(case_named, learned: Learned) -> None:
    """Given a copy, when its source is initialized on, the copy does not change."""
    nlp, data = initialized(case_named("ner"))
    copy = copied(nlp)
    before = copy.get_pipe("labeler").to_bytes()

    nlp.update(data, sgd=nlp.create_optimizer())

    assert copy.get_pipe("labeler").to_bytes() == before
    assert copy("Anna .").spans.get(SPANS_KEY) is None


def test_a_config_with_other_fields_is_refused(case_named, learned: Learned, tmp_path) -> None:
    """Given a saved tagger of three attributes whose config is edited to read two of them, labels would land in the wrong places."""
    path = saved(learned, case_named("tag+pos+morph"), tmp_path)
    config = tmp_path / "config.cfg"
    text = config.read_text(encoding="utf8")
    edited = re.sub(r'"tag",(\s*)"pos"', r'"pos",\1"tag"', text)
    assert edited != text
    config.write_text(edited, encoding="utf8")

    with pytest.raises(ModelDataError, match="trained with the label fields tag, pos, morph") as caught:
        spacy.load(tmp_path)
    assert str(path) in str(caught.value)


OTHER_ENCODINGS = {
    "planes": ("brackets", "planes = 2", "planes = 1", "BracketingDependency(planes=2)", "BracketingDependency(planes=1)"),
    "scheme": ("ner", 'scheme = "bilou"', 'scheme = "bio"', "SpanTags(scheme='bilou')", "SpanTags(scheme='bio')"),
    "class": (
        "brackets",
        "spacy-emerging.BracketingDependency.v1",
        "test.SearchedBrackets.v1",
        "BracketingDependency(planes=2)",
        "SearchedBrackets(planes=2)",
    ),
    "layers of spans": ("spans", 'scheme = "bilou"', 'scheme = "bio"', "tags=SpanTags(scheme='bilou')", "tags=SpanTags(scheme='bio')"),
}


@registry.linearizations("test.SearchedBrackets.v1")
class SearchedBrackets(BracketingDependency):
    """Another class with the same fields and settings."""


def save_brackets(case_named, path: Path) -> Path:
    """A parser by brackets, saved."""
    nlp, _ = initialized(case_named("parser"), linearization={"@linearizations": "spacy-emerging.BracketingDependency.v1", "planes": 2})
    nlp.to_disk(path)
    return path / "labeler"


@pytest.mark.parametrize("edit", OTHER_ENCODINGS)
def test_a_config_with_another_encoding_of_equal_fields_is_refused(edit: str, case_named, learned: Learned, tmp_path) -> None:
    """Given a directory whose config was edited so that the same labels mean something else, both are named."""
    id, trained, edited, *descriptions = OTHER_ENCODINGS[edit]
    path = save_brackets(case_named, tmp_path) if id == "brackets" else saved(learned, case_named(id), tmp_path)
    config = tmp_path / "config.cfg"
    text = config.read_text(encoding="utf8")
    assert trained in text
    config.write_text(text.replace(trained, edited), encoding="utf8")

    with pytest.raises(ModelDataError, match="^labeler: .* trained with the linearization") as caught:
        spacy.load(tmp_path)
    assert all(description in str(caught.value) for description in [*descriptions, str(path)])


def test_how_labels_are_decoded_may_change_after_training(case_named, tmp_path) -> None:
    save_brackets(case_named, tmp_path)
    config = tmp_path / "config.cfg"
    text = config.read_text(encoding="utf8")
    edited = text.replace('repair = "nearest"', 'repair = "root"')
    assert edited != text
    config.write_text(edited, encoding="utf8")

    assert spacy.load(tmp_path).get_pipe("labeler").task.linearization.repair == "root"
