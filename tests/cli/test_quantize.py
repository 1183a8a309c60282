"""`spacy-emerging quantize` from the outside."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import spacy
from spacy.language import Language
from spacy.tokens import Doc, DocBin
from spacy.training import Example
from spacy.util import load_model_from_config
from thinc.api import Adam, fix_random_seed
from typer.testing import CliRunner

from spacy_emerging.cli.app import app
from spacy_emerging.corpus.convert import read_corpus
from spacy_emerging.errors import QuantizationError

SAMPLE = Path(__file__).parents[2] / "assets" / "sample" / "dev.conllu"
WIDTH = 64
TOK2VEC = {
    "@architectures": "spacy.Tok2Vec.v2",
    "embed": {"@architectures": "spacy-emerging.WordEmbed.v1", "width": WIDTH, "rows": [200, 100, 100, 100]},
    "encode": {"@architectures": "spacy-emerging.Mamba2Encoder.v1", "width": WIDTH, "depth": 1},
}
TAGGER = {
    "@architectures": "spacy-emerging.Labeler.v1",
    "tok2vec": {"@architectures": "spacy.Tok2VecListener.v1", "width": WIDTH},
    "decoder": {"@architectures": "spacy-emerging.SoftmaxDecoder.v1"},
}


def run(*arguments: object):
    return CliRunner().invoke(app, ["quantize", *map(str, arguments)], env={"COLUMNS": "120"})


def bare(nlp: Language, doc: Doc) -> Doc:
    return Doc(nlp.vocab, words=[token.text for token in doc], spaces=[bool(token.whitespace_) for token in doc])


@pytest.fixture(scope="module")
def gold() -> list[Doc]:
    return list(read_corpus(SAMPLE, spacy.blank("en").vocab))[:6]


@pytest.fixture(scope="module")
def data(gold, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("data") / "gold.spacy"
    DocBin(docs=gold, store_user_data=True).to_disk(path)
    return path


@pytest.fixture(scope="module")
def model(gold, tmp_path_factory) -> Path:
    """A tagger above shared vectors that knows its corpus by heart."""
    fix_random_seed(0)
    nlp = spacy.blank("en")
    nlp.add_pipe("emerging_tok2vec", name="tok2vec", config={"model": TOK2VEC})
    nlp.add_pipe("emerging_tagger", name="tagger", config={"model": TAGGER})
    examples = [Example(bare(nlp, doc), doc) for doc in gold]
    nlp.initialize(lambda: examples)
    optimizer = Adam(0.01)
    for _ in range(40):
        nlp.update(examples, sgd=optimizer)
    path = tmp_path_factory.mktemp("model") / "tagger"
    nlp.to_disk(path)
    return path


@pytest.fixture(scope="module")
def written(model, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("quantized") / "new" / "tagger"
    result = run(model, path)
    assert result.exit_code == 0, result.output
    return path


def tags(nlp: Language, docs: list[Doc]) -> list[str]:
    return [token.tag_ for doc in nlp.pipe([bare(nlp, doc) for doc in docs]) for token in doc]


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_what_is_written_is_a_pipeline_that_tags_alike(model, written, gold) -> None:
    original, quantized = spacy.load(model), spacy.load(written)
    before, after = tags(original, gold), tags(quantized, gold)
    assert len(set(before)) > 5
    assert sum(one == other for one, other in zip(before, after, strict=True)) >= 0.99 * len(before)
    vectors, rounded = (nlp(bare(nlp, gold[0])).tensor for nlp in (original, quantized))
    assert 0 < abs(vectors - rounded).max() < 0.05 * abs(vectors).max()


def test_it_is_smaller(model, written) -> None:
    assert size(written / "tok2vec") < 0.75 * size(model / "tok2vec")


def test_the_summary_says_what_was_done(model, tmp_path) -> None:
    (tmp_path / "empty").mkdir()
    result = run(model, tmp_path / "empty")
    assert result.exit_code == 0, result.output
    assert "layers quantised" in result.stdout and "MB on disk instead of" in result.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]


def test_scores_and_speed_of_both_are_shown_with_data(model, data, tmp_path) -> None:
    result = run(model, tmp_path / "out", "--data", data, "--repeats", 1)
    assert result.exit_code == 0, result.output
    rows = {line.split("│")[1].strip(): line for line in result.stdout.splitlines() if line.startswith("│")}
    assert {"tag_acc", "words/s"} <= set(rows)
    assert "×" in rows["words/s"] and "×" not in rows["tag_acc"]


def test_what_is_written_survives_bytes_pickles_and_private_vectors(written, gold) -> None:
    nlp = spacy.load(written)
    wanted = tags(nlp, gold)
    assert tags(load_model_from_config(nlp.config).from_bytes(nlp.to_bytes()), gold) == wanted
    assert tags(pickle.loads(pickle.dumps(nlp)), gold) == wanted
    nlp.replace_listeners("tok2vec", "tagger", ["model.tok2vec"])
    nlp.remove_pipe("tok2vec")
    assert tags(nlp, gold) == wanted


def test_training_what_is_written_is_refused(written, gold) -> None:
    nlp = spacy.load(written)
    with pytest.raises(QuantizationError, match="train the original pipeline"):
        nlp.update([Example(bare(nlp, doc), doc) for doc in gold], sgd=nlp.resume_training())


# What cannot be done is told in one sentence, and nothing is written


def refused(*arguments: object) -> str:
    result = run(*arguments)
    assert result.exit_code == 1, result.output
    assert result.stderr.startswith("Error: ") and result.stderr.count("\n") == 1
    return result.stderr


def test_a_folder_that_is_in_use_is_not_written_over(model, tmp_path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("precious")
    assert "not empty" in refused(model, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]
    assert "a file is in the place" in refused(model, tmp_path / "out" / "mine.txt")


def test_the_model_itself_is_not_written_to(model) -> None:
    before = sorted(model.rglob("*"))
    assert "choose another place" in refused(model, model)
    assert "choose another place" in refused(model, model / "smaller")
    assert sorted(model.rglob("*")) == before


def test_what_is_quantised_already_is_told(written, tmp_path) -> None:
    assert "quantise the original pipeline instead" in refused(written, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_pipelines_without_these_layers_are_told(tmp_path) -> None:
    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    nlp.to_disk(tmp_path / "stock")
    assert "no trained component of spacy-emerging to quantise (its components: sentencizer)" in refused(
        tmp_path / "stock", tmp_path / "out"
    )
    assert not (tmp_path / "out").exists()


def test_missing_models_and_corpora_are_named(model, tmp_path) -> None:
    assert "is no saved pipeline" in refused(tmp_path / "missing", tmp_path / "out")
    assert "missing.spacy" in refused(model, tmp_path / "out", "--data", tmp_path / "missing.spacy")
    assert not (tmp_path / "out").exists()


def test_nothing_is_left_behind_when_writing_fails(model, tmp_path, monkeypatch) -> None:
    def full(self: Language, path: Path, **options: object) -> None:
        (Path(path) / "half").write_text("half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Language, "to_disk", full)
    assert "No space left on device" in refused(model, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
