"""spaCy's training loop, rehearsal, logging, and what the gold cache keeps."""

from __future__ import annotations

import gc
import io
import weakref
from pathlib import Path

import pytest
from spacy.language import Language
from spacy.tokens import Doc, DocBin
from spacy.training import Example
from spacy.training.initialize import init_nlp
from spacy.training.loop import train as spacy_train
from spacy.util import load_config_from_str
from thinc.api import Adam, Config

from .cases import CASES, LISTENER, TOK2VEC, Case, blank, by_representative_case, initialized, train
from .conftest import Learned, copied
from .corpus import bare, examples

by_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)

TRAINING = """
[corpora]

[corpora.train]
@readers = "spacy.Corpus.v1"
path = {path}

[corpora.dev]
@readers = "spacy.Corpus.v1"
path = {path}

[training]
seed = 0
accumulate_gradient = 2
max_epochs = -1
max_steps = 6
eval_frequency = 3
dropout = 0.1
frozen_components = []
annotating_components = ["tag"]

[training.optimizer]
@optimizers = "Adam.v1"
learn_rate = 0.01
use_averages = true

[training.batcher]
@batchers = "spacy.batch_by_sequence.v1"
size = 2

[training.logger]
@loggers = {logger}
"""

TRAINED_TOGETHER = ("tag", "morph-per-feature", "ner", "spans", "parser")


def looped(tmp_path: Path, logger: str) -> tuple[Language, str]:
    """Six steps of spaCy's own loop over components above shared vectors, and what the logger printed."""
    nlp = blank()
    data = examples(nlp.vocab)
    path = tmp_path / "corpus.spacy"
    DocBin(docs=[example.reference for example in data], store_user_data=True).to_disk(path)
    nlp.add_pipe("tok2vec", config={"model": TOK2VEC})
    for case in CASES:
        if case.id in TRAINED_TOGETHER:
            case.add_to(nlp, LISTENER, name=case.id)
    settings = load_config_from_str(TRAINING.format(path=f'"{path}"', logger=f'"{logger}"'))
    config = Config(nlp.config).merge(settings)
    nlp = init_nlp(config)
    stdout = io.StringIO()
    (tmp_path / "model").mkdir()
    nlp, _ = spacy_train(nlp, tmp_path / "model", stdout=stdout, stderr=io.StringIO())
    return nlp, stdout.getvalue()


def test_spacys_training_loop(tmp_path: Path) -> None:
    """Given accumulated gradients, averages, a streamed corpus and an annotating component, losses fall and both models are saved."""
    nlp, printed = looped(tmp_path, "spacy.ConsoleLogger.v1")

    rows = [line.split() for line in printed.splitlines() if line.strip()[:1].isdigit()]
    assert len(rows) == 3, printed
    assert (tmp_path / "model" / "model-best").exists() and (tmp_path / "model" / "model-last").exists()
    loss_of_parser = [float(row[2 + 5]) for row in rows[1:]]
    assert all(loss > 0.0 for loss in loss_of_parser)


@pytest.mark.slow
def test_training_is_the_same_twice(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first, _ = looped(tmp_path / "a", "spacy.ConsoleLogger.v1")
    second, _ = looped(tmp_path / "b", "spacy.ConsoleLogger.v1")

    for name in first.pipe_names:
        assert first.get_pipe(name).model.to_bytes() == second.get_pipe(name).model.to_bytes()


def test_the_console_logger_shows_what_decoders_report(tmp_path: Path) -> None:
    _, printed = looped(tmp_path, "spacy-emerging.ConsoleLogger.v1")

    assert "Loss parser" in printed and "TAG_ACC" in printed
    values = [line.partition("parser.sentence_starts=")[2].split()[0] for line in printed.splitlines() if "parser.sentence" in line]
    assert len(values) == 3 and all(float(value) > 0.0 for value in values)


# Rehearsal


@by_representative_case
def test_rehearsal_leads_back_to_the_teacher(case: Case, learned: Learned) -> None:
    """Given a model that has forgotten everything since `resume_training`, when it rehearses on bare texts, it answers as before."""
    nlp, data = learned(case)
    nlp = copied(nlp)
    texts = [Example(bare(example.reference), bare(example.reference)) for example in data]
    nlp.resume_training()
    nlp.get_pipe("labeler").initialize(lambda: data, nlp=nlp)
    optimizer = Adam(0.03)

    losses = []
    for _ in range(60):
        losses.append(nlp.get_pipe("labeler").rehearse(texts, sgd=optimizer)["labeler"])

    assert losses[-1] < 0.1 * losses[0]
    for example in data:
        assert case.read(nlp(bare(example.reference))) == case.read(example.reference)


@by_case
def test_spacys_own_rehearse_updates_the_model(case: Case, learned: Learned) -> None:
    nlp, data = learned(case)
    nlp = copied(nlp)
    optimizer = nlp.resume_training()
    nlp.update(data, sgd=optimizer, drop=0.5)
    before = nlp.get_pipe("labeler").model.to_bytes()

    losses = nlp.rehearse(data, sgd=optimizer, losses={})

    assert losses["labeler"] >= 0.0
    assert nlp.get_pipe("labeler").model.to_bytes() != before


@by_case
def test_rehearsal_without_a_teacher_does_nothing(case: Case) -> None:
    nlp, data = initialized(case)
    before = nlp.get_pipe("labeler").model.to_bytes()

    assert nlp.get_pipe("labeler").rehearse(data, sgd=Adam(0.01)) == {"labeler": 0.0}
    assert nlp.get_pipe("labeler").model.to_bytes() == before


# The gold cache


@by_case
def test_gold_is_encoded_once_per_reference(case: Case, monkeypatch) -> None:
    nlp, data = initialized(case)
    pipe = nlp.get_pipe("labeler")
    calls = []
    gold = pipe.task.gold
    monkeypatch.setattr(pipe.task, "gold", lambda example: calls.append(1) or gold(example))

    train(nlp, data, steps=3)
    assert len(calls) == len(data) == len(pipe.gold)

    pipe.initialize(lambda: data, nlp=nlp)
    assert len(pipe.gold) == 0


def test_gold_is_encoded_anew_for_another_tokenization(case_named) -> None:
    """Given one reference and two tokenizations of the prediction, each gets its own gold."""
    nlp, data = initialized(case_named("tag"))
    reference = data[2].reference
    words = [token.text for token in reference]
    merged = Doc(nlp.vocab, words=[words[0] + words[1], *words[2:]])
    pipe = nlp.get_pipe("labeler")

    whole = pipe.gold.encoded(Example(bare(reference), reference))
    shorter = pipe.gold.encoded(Example(merged, reference))
    again = pipe.gold.encoded(Example(bare(reference), reference))

    assert [len(gold.ids[0]) for gold in (whole, shorter, again)] == [len(words), len(words) - 1, len(words)]
    assert (whole.ids[0] == again.ids[0]).all()


def test_the_gold_cache_keeps_no_doc_alive(case_named) -> None:
    nlp, _ = initialized(case_named("parser"))
    pipe = nlp.get_pipe("labeler")
    data = examples(nlp.vocab)
    nlp.update(data, sgd=Adam(0.01))
    alive = [weakref.ref(example.reference) for example in data]
    assert len(pipe.gold) == 3

    del data
    gc.collect()

    assert [doc() for doc in alive] == [None, None, None]
    assert len(pipe.gold) == 0
